// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"

	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/tuner"
)

// apply does what the plan says and sees the transaction to its end, or to where a
// guardian takes over.
func (o *applyOptions) apply(ctx context.Context, t *hostTuner, p *tuner.Plan, in *inspection.Inspection, asked *prompter) error {
	// From before the first write until the end: a trial does not outlive the
	// terminal it is watched on, and a second Ctrl-C does not stop its undoing.
	// A reader that went away (SIGPIPE) is a terminal lost.
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, unix.SIGHUP, unix.SIGPIPE, os.Interrupt, unix.SIGTERM)
	defer signal.Stop(signals)

	guard := &tuner.Guard{}
	if o.trial() > 0 {
		var err error
		if guard, err = o.guard(ctx); err != nil {
			return err
		}
	}
	tx, before, err := o.commit(ctx, t, p, guard)
	if err != nil || tx == nil || o.trial() == 0 {
		o.release(ctx, guard)
	}
	if err != nil {
		return o.ended(tx, err)
	}
	trial := trial{o: o, tuner: t, tx: tx, effect: before, before: in, asked: asked, signals: signals}
	trial.show(ctx)
	switch {
	case o.trial() == 0:
		o.say("Done and read back. qtune rollback %s undoes it.", tx.ID)
	case guard.By != tuner.ByForeground:
		now, err := t.now()
		if err != nil {
			return err
		}
		left, _ := untilDeadline(tx, now)
		o.say("On trial: %s. To keep it: qtune confirm %s", trialText(tx, left), tx.ID)
	default:
		return trial.stay(ctx)
	}
	return o.document(tx)
}

// commit looks at the queues, and applies the plan.
func (o *applyOptions) commit(ctx context.Context, t *hostTuner, p *tuner.Plan, guard *tuner.Guard) (*tuner.Transaction, *effect, error) {
	e := newEffect(ctx, o.planning.Global, p)
	now, err := t.now()
	if err != nil {
		return nil, e, err
	}
	working := o.working(len(p.Steps))
	defer working()
	tx, err := t.Apply(ctx, now, p, tuner.ApplyOptions{
		Trial: o.trial(), Guardian: guard.By, Persist: o.Persist, Actor: o.actor(p), Why: o.why(),
	})
	if tx != nil {
		makePrintable(tx)
	}
	return tx, e, err
}

// working says on a terminal what takes so long, if it does, until it is told to
// stop.
func (o *applyOptions) working(steps int) (stop func()) {
	if !o.interactive {
		return func() {}
	}
	late := time.AfterFunc(progressDelay, func() { fmt.Fprintf(o.Err, "\r\x1b[Kchanging %s and reading it back", count(steps, "value")) })
	return func() {
		if !late.Stop() {
			fmt.Fprint(o.Err, "\r\x1b[K")
		}
	}
}

// ended shows a transaction that came to nothing.
func (o *applyOptions) ended(tx *tuner.Transaction, err error) error {
	if errors.Is(err, tuner.ErrSatisfied) {
		o.say("Nothing to do: every value is what the plan wants, or better.")
		return nil
	}
	if tx == nil {
		return err
	}
	return showTransaction(o.Out, o.Output, tx, err)
}

// release lets a guardian go that has nothing to guard any more.
func (o *applyOptions) release(ctx context.Context, g *tuner.Guard) {
	if err := g.Release(context.WithoutCancel(ctx)); err != nil {
		o.planning.Global.Log.Warn("the timer will find nothing to do", "error", err)
	}
}

// say tells a person.
func (o *applyOptions) say(format string, args ...any) {
	s := newTextScreen(o.words)
	s.say(format, args...)
	s.w.Flush() //nolint:errcheck // the terminal may be gone, and what it is about goes on
}

// document writes the transaction for who asked for JSON or YAML.
func (o *applyOptions) document(tx *tuner.Transaction) error {
	if o.Output == outputText {
		return nil
	}
	return writeAs(o.Out, o.Output, documentOf(tx), nil)
}

// A trial is a transaction that this process guards.
type trial struct {
	o       *applyOptions
	tuner   *hostTuner
	tx      *tuner.Transaction
	effect  *effect
	before  *inspection.Inspection // nil with a saved plan
	asked   *prompter
	signals <-chan os.Signal
}

// show writes what the change did so far.
func (t *trial) show(ctx context.Context) {
	t.effect.look(ctx)
	s := newTextScreen(t.o.words)
	t.effect.write(s, t.tx)
	s.w.Flush() //nolint:errcheck // as in say
}

// Why a trial ends without a yes.
const (
	byDeadline    = "deadline"
	byNoAnswer    = "not kept"
	byHangUp      = "hang-up"
	byInterrupted = "interrupted"
)

// refresh is how often the effect is looked at while a person thinks.
const refresh = time.Second

// stay shows the effect and asks until there is an answer. Everything but a yes
// undoes the transaction.
func (t *trial) stay(ctx context.Context) error {
	// The line of the effect is renewed above the question; what was typed so far
	// stays where it is.
	fmt.Fprintln(t.asked.w, t.status())
	fmt.Fprint(t.asked.w, "keep? [y/N] ")
	tick := time.NewTicker(refresh)
	defer tick.Stop()
	for {
		select {
		case answer, ok := <-t.asked.answers:
			if isYes(answer) {
				return t.keep(ctx)
			}
			if !ok {
				fmt.Fprintln(t.asked.w)
				return t.undo(ctx, byHangUp)
			}
			return t.undo(ctx, byNoAnswer)
		case sig := <-t.signals:
			fmt.Fprintln(t.asked.w)
			if sig == unix.SIGHUP || sig == unix.SIGPIPE {
				return t.undo(ctx, byHangUp)
			}
			return t.undo(ctx, byInterrupted)
		case <-tick.C:
			over, err := t.over()
			switch {
			case err != nil:
				fmt.Fprintln(t.asked.w)
				return errors.Join(err, t.undo(ctx, byInterrupted))
			case over:
				fmt.Fprintln(t.asked.w)
				return t.undo(ctx, byDeadline)
			case !t.tx.State.Open():
				fmt.Fprintln(t.asked.w)
				t.o.say("Somebody else decided: it is %s.", stateText(t.tx))
				return t.o.document(t.tx)
			}
			t.effect.look(ctx)
			fmt.Fprintf(t.asked.w, "\x1b7\x1b[A\r\x1b[K%s\x1b8", t.status())
		}
	}
}

// over reports whether the deadline has passed, and notes what others decided.
func (t *trial) over() (bool, error) {
	tx, err := find(t.tuner, t.tx.ID)
	if err != nil {
		return false, err
	}
	t.tx = tx
	now, err := t.tuner.now()
	if err != nil {
		return false, err
	}
	left, ok := untilDeadline(t.tx, now)
	return ok && left <= 0, nil
}

// status is one line: what was refused before and since, and how long there is.
func (t *trial) status() string {
	text := t.effect.text(t.tx, t.before)
	if now, err := t.tuner.now(); err == nil {
		if left, ok := untilDeadline(t.tx, now); ok {
			text += " · undone in " + clockText(left)
		}
	}
	if width := terminalWidth(t.asked.w); width > 0 && textWidth(text) > width {
		text = cut(text, width, true) // the end says how long there is
	}
	return text
}

// keep confirms the transaction.
func (t *trial) keep(ctx context.Context) error {
	now, err := t.tuner.now()
	if err != nil {
		return err
	}
	tx, err := t.tuner.Confirm(context.WithoutCancel(ctx), now, t.tx.ID)
	if err != nil {
		return t.o.ended(tx, err)
	}
	t.o.say("Kept. qtune rollback %s undoes it.", tx.ID)
	return t.o.document(tx)
}

// undo rolls the transaction back. Nothing may stop that.
func (t *trial) undo(ctx context.Context, why string) error {
	now, err := t.tuner.now()
	if err != nil {
		return err
	}
	tx, err := t.tuner.Rollback(context.WithoutCancel(ctx), now, t.tx.ID, why)
	if err != nil {
		return t.o.ended(tx, err)
	}
	t.o.say("Undone (%s). %s", why, stateMeaning(tx))
	return errors.Join(t.o.document(tx), errNotKept)
}
