// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/tuner"
)

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
	byDeadline     = "deadline"
	byNoAnswer     = "not kept"
	byHangUp       = "hang-up"
	byInterrupted  = "interrupted"
	byNotConfirmed = "could not be confirmed"
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
			over, err := t.over(ctx)
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
func (t *trial) over(ctx context.Context) (bool, error) {
	tx, err := find(ctx, t.tuner, t.tx.ID)
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
	switch {
	case err != nil && (tx == nil || tx.State == tuner.Applied): // nobody would undo it
		return errors.Join(err, t.undo(ctx, byNotConfirmed))
	case err != nil:
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
	if tx == nil {
		return fmt.Errorf("%s stays in force until qtune recover or qtune rollback undoes it: %w", t.tx.ID, err)
	}
	if err != nil {
		return t.o.ended(tx, err)
	}
	t.o.say("Undone (%s). %s", why, stateMeaning(tx))
	return errors.Join(t.o.document(tx), errNotKept)
}
