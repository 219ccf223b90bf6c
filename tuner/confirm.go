// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tuner

import (
	"context"
	"errors"
	"fmt"

	"github.com/qtune/qtune/host"
)

// Confirm keeps what a trial changed, if all of it is still as the trial left it.
// One that is confirmed already stays so.
func (t *Tuner) Confirm(ctx context.Context, now Now, id string) (*Transaction, error) {
	s, err := t.begin(ctx, t.opts.Patience)
	if err != nil {
		return nil, err
	}
	defer s.end()
	tx, err := find(s.all, id)
	if err != nil {
		return nil, errors.Join(err, s.bad)
	}
	return tx, errors.Join(t.confirm(ctx, now, s, tx), s.bad)
}

func (t *Tuner) confirm(ctx context.Context, now Now, s *session, tx *Transaction) error {
	switch {
	case tx.State == Confirmed:
		return t.finishBoot(s, tx)
	case tx.State == Prepared:
		return fmt.Errorf("transaction %s: %w and was never finished: recover undoes it", tx.ID, ErrOpen)
	case tx.State != Applied:
		return fmt.Errorf("transaction %s is %s: %w", tx.ID, tx.State, ErrClosed)
	}
	if reason := tx.overdue(now); reason != "" {
		return errors.Join(fmt.Errorf("transaction %s: %w (%s), it was undone", tx.ID, ErrLate, reason),
			t.undo(ctx, now, s, tx, RolledBack, reason))
	}
	switch kept, err := t.inspect(ctx, tx); {
	case err != nil:
		return fmt.Errorf("transaction %s stays on trial: %w", tx.ID, err)
	case !kept:
		return t.clash(ctx, now, s, tx)
	case tx.all(Vanished):
		return errors.Join(fmt.Errorf("transaction %s: all that it changed is %w", tx.ID, host.ErrGone),
			s.close(tx, now, Gone, "vanished during the trial"))
	}
	if err := s.close(tx, now, Confirmed, ""); err != nil {
		return fmt.Errorf("it stays on trial: %w", err)
	}
	t.at(faultConfirmed)
	return t.finishBoot(s, tx)
}

// inspect compares the values of a trial with what it made them. Kept is false when
// one is somebody else's, the old one too: then somebody has put it back.
func (t *Tuner) inspect(ctx context.Context, tx *Transaction) (kept bool, err error) {
	kept = true
	err = t.look(ctx, tx.runtimeSteps(), func(_ place, s *Step, v int64, err error) error {
		switch {
		case errors.Is(err, host.ErrGone):
			s.Outcome, s.Message = Vanished, err.Error()
		case err != nil:
			return fmt.Errorf("read %s: %w", s, err)
		case v != s.To:
			kept = false
		}
		return nil
	})
	return kept, err
}

// clash ends a trial because a value is not ours any more: ours are undone.
func (t *Tuner) clash(ctx context.Context, now Now, s *session, tx *Transaction) error {
	err := t.undo(ctx, now, s, tx, Conflict, "somebody else wrote")
	if !errors.Is(err, ErrConflict) { // the old value was put back
		err = errors.Join(fmt.Errorf("transaction %s: %w: a value was put back during the trial", tx.ID, ErrConflict), err)
	}
	return err
}
