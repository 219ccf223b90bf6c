// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tuner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/qtune/qtune/host"
)

// ApplyOptions say how a plan is applied.
type ApplyOptions struct {
	Trial    time.Duration // until it is undone unless confirmed; 0: confirmed at once
	Guardian Guardian      // of the trial
	Persist  bool          // at confirm
	Actor    Actor
	Why      string
}

// Apply does what a plan says, in one transaction: the journal has it before the
// kernel, all is read back, and a step that cannot be done undoes those before it.
//
// What fails before anything was written returns no transaction: [ErrBusy],
// [ErrOpen], [ErrStale], [ErrSatisfied] or why it is impossible. What was begun and
// failed is returned with the reason: [ErrVerify], [ErrConflict], or what host says
// of permission and support; and [ErrIncomplete] when something could not be undone.
func (t *Tuner) Apply(ctx context.Context, now Now, p *Plan, o ApplyOptions) (*Transaction, error) {
	steps, err := wanted(p, now)
	if err != nil {
		return nil, err
	}
	s, err := t.begin(ctx, 0)
	if err != nil {
		return nil, err
	}
	defer s.end()
	if s.bad != nil {
		return nil, s.bad
	}
	if tx := s.open(); tx != nil {
		return nil, fmt.Errorf("%w: %s: confirm it, roll it back or recover", ErrOpen, describe(tx))
	}
	tx := &Transaction{
		Schema: schema, State: Prepared, Created: now.Moment, BootID: now.BootID,
		Actor: o.Actor, Why: o.Why, Persist: o.Persist, Steps: steps,
	}
	if err := t.compare(ctx, tx); err != nil {
		return nil, err
	}
	if o.Trial > 0 {
		tx.Deadline = now.after(o.Trial)
		tx.Guardian = o.Guardian
	}
	if tx.ID, err = newID(now.Wall, newest(s.all)); err != nil {
		return nil, err
	}
	if o.Persist {
		if err := t.planBoot(tx); err != nil {
			return nil, err
		}
	}
	if err := s.journal.write(tx); err != nil {
		return nil, fmt.Errorf("nothing was changed: %w", err)
	}
	t.at(faultPrepared)
	return tx, t.do(ctx, now, s, tx)
}

// newest returns the first of all.
func newest(all []*Transaction) *Transaction {
	if len(all) == 0 {
		return nil
	}
	return all[0]
}

// do carries a prepared transaction out.
func (t *Tuner) do(ctx context.Context, now Now, s *session, tx *Transaction) error {
	err := t.write(ctx, tx)
	if err == nil && tx.all(Vanished) {
		return errors.Join(fmt.Errorf("all that was to be changed is %w", host.ErrGone),
			s.close(tx, now, Gone, "vanished meanwhile"))
	}
	if err == nil {
		t.at(faultVerified)
		err = t.record(now, s, tx)
	}
	if err != nil {
		return t.fail(ctx, now, s, tx, err)
	}
	t.prune(s, now)
	if tx.State == Confirmed {
		t.at(faultConfirmed)
		return t.finishBoot(s, tx)
	}
	t.at(faultApplied)
	return nil
}

// record makes durable that a transaction is done.
func (t *Tuner) record(now Now, s *session, tx *Transaction) error {
	if tx.Deadline == nil {
		return s.close(tx, now, Confirmed, "no trial")
	}
	tx.State = Applied
	return s.journal.write(tx)
}

// write does the steps of each namespace, then reads them back, from files and
// answers that are new. What has vanished needs nothing done.
func (t *Tuner) write(ctx context.Context, tx *Transaction) error {
	return t.pass(ctx, tx.runtimeSteps(), func(p place, steps []*Step, err error) error {
		for _, do := range []func(place, *Step) error{t.writeStep, verifyStep} {
			for _, s := range steps {
				e := err
				if e == nil && s.Outcome != Vanished {
					e = do(p, s)
				}
				switch {
				case errors.Is(e, host.ErrGone):
					s.Outcome, s.Message = Vanished, e.Error()
				case e != nil:
					s.Message = e.Error()
					if s.Outcome == "" && errors.Is(e, host.ErrChanged) { // nothing was written
						s.Outcome = Foreign
					}
					return e
				}
			}
		}
		return nil
	})
}

func (t *Tuner) writeStep(p place, s *Step) error {
	if err := t.set(p, s, s.From, s.To); err != nil {
		return fmt.Errorf("set %s from %d to %d: %w", s, s.From, s.To, err)
	}
	s.Outcome = Done
	t.at(faultWritten)
	return nil
}

func verifyStep(p place, s *Step) error {
	v, err := p.read(s)
	if err != nil {
		return fmt.Errorf("read %s back: %w", s, err)
	}
	if v != s.To {
		return fmt.Errorf("%s is %d right after it was set to %d: %w", s, v, s.To, host.ErrVerify)
	}
	return nil
}

// fail undoes what was begun.
func (t *Tuner) fail(ctx context.Context, now Now, s *session, tx *Transaction, cause error) error {
	undone := t.undo(ctx, now, s, tx, Failed, cause.Error())
	switch {
	case tx.State == Conflict: // undone says so
	case errors.Is(cause, host.ErrPermission), errors.Is(cause, host.ErrUnsupported), errors.Is(cause, host.ErrAbsent):
	case errors.Is(cause, host.ErrChanged), errors.Is(cause, host.ErrShrinks):
		cause = fmt.Errorf("%w: %w", ErrConflict, cause)
	case !errors.Is(undone, ErrIncomplete):
		cause = fmt.Errorf("%w: %w", ErrVerify, cause)
	}
	return errors.Join(cause, undone)
}

// all reports whether every runtime step ended so.
func (tx *Transaction) all(o Outcome) bool {
	return !slices.ContainsFunc(tx.runtimeSteps(), func(s *Step) bool { return s.Outcome != o })
}
