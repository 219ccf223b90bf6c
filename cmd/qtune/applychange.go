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
