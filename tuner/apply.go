// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tuner

import (
	"cmp"
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
	s, err := t.begin()
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

// wanted returns the steps of a plan in the order in which they are done, namespace
// by namespace, or why it is no plan for this host.
func wanted(p *Plan, now Now) ([]Step, error) {
	if p.BootID != now.BootID {
		return nil, fmt.Errorf("%w: it was made before the last reboot", ErrStale)
	}
	steps := make([]Step, 0, len(p.Steps))
	seen := map[valueID]bool{}
	for i := range p.Steps {
		s := p.Steps[i]
		if err := s.validate(); err != nil {
			return nil, fmt.Errorf("step %d of the plan: %w", i+1, err)
		}
		if s.Kind == KindFile {
			continue // follows from the others
		}
		if seen[s.value()] {
			return nil, fmt.Errorf("step %d of the plan: %s is changed twice", i+1, &s)
		}
		seen[s.value()] = true
		s.Outcome, s.Seen, s.Message = "", nil, ""
		steps = append(steps, s)
	}
	visits := map[netnsID]int{}
	for i := range steps {
		if id := steps[i].Scope.id(); visits[id] == 0 {
			visits[id] = i + 1
		}
	}
	slices.SortStableFunc(steps, func(a, b Step) int {
		return cmp.Or(cmp.Compare(visits[a.Scope.id()], visits[b.Scope.id()]), cmp.Compare(a.Kind.rank(), b.Kind.rank()))
	})
	return steps, nil
}

// rank orders steps: a listener's limit is cut down to somaxconn, which has to be
// there before.
func (k Kind) rank() int { return slices.Index([]Kind{KindSysctl, KindListen, KindFile}, k) }

// compare reads the values a transaction starts from and drops the steps that
// somebody has done already.
func (t *Tuner) compare(ctx context.Context, tx *Transaction) error {
	satisfied := map[*Step]bool{}
	somaxconn := map[valueID]int64{} // what steps will have made it
	err := t.look(ctx, tx.runtimeSteps(), func(p place, s *Step, v int64, err error) error {
		switch {
		case errors.Is(err, host.ErrGone), errors.Is(err, host.ErrChanged):
			return fmt.Errorf("%w: %w", ErrStale, err)
		case err != nil:
			return fmt.Errorf("read %s: %w", s, err)
		case s.better(v):
			satisfied[s] = true
			return nil
		case v != s.From:
			return fmt.Errorf("%w: %s is %d and was %d when the plan was made: make another", ErrStale, s, v, s.From)
		case s.Kind == KindListen:
			return hasRoom(p, s, somaxconn)
		}
		somaxconn[s.value()] = s.To
		return nil
	})
	if err != nil {
		return err
	}
	var left []Step
	for i := range tx.Steps {
		if !satisfied[&tx.Steps[i]] {
			left = append(left, tx.Steps[i])
		}
	}
	tx.Steps = left
	if len(tx.runtimeSteps()) == 0 {
		return fmt.Errorf("%w: every value is what the plan wants, or better", ErrSatisfied)
	}
	return nil
}

// hasRoom makes sure that listen(2) will give a listener what is planned, before
// anything is written.
func hasRoom(p place, s *Step, planned map[valueID]int64) error {
	somaxconn, ok := planned[s.somaxconn()]
	if !ok {
		var err error
		if somaxconn, err = readSomaxconn(p, s); err != nil {
			return fmt.Errorf("read %s: %w", s, err)
		}
	}
	if somaxconn < s.To {
		return fmt.Errorf("%w: %s cannot become %d: %w", ErrStale, s, s.To, shrinks(somaxconn))
	}
	return nil
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
		if tx.Deadline == nil {
			return errors.Join(t.keep(now, s, tx, "no trial"), s.journal.prune(s.all, now))
		}
		tx.State = Applied
		err = s.journal.write(tx)
	}
	if err != nil {
		return t.fail(ctx, now, s, tx, err)
	}
	t.at(faultApplied)
	return s.journal.prune(s.all, now)
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
