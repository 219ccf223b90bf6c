// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tuner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"
)

// Why transactions end, as Reason has it.
const (
	reasonReboot     = "reboot"
	reasonDeadline   = "deadline"
	reasonUnfinished = "it was never finished"
	reasonOrphaned   = "nobody watches it"
)

// Rollback undoes a transaction, a confirmed one too. A value that is not ours any
// more is left, and all others are undone: [ErrConflict].
func (t *Tuner) Rollback(ctx context.Context, now Now, id, reason string) (*Transaction, error) {
	s, err := t.begin(ctx, t.opts.Patience)
	if err != nil {
		return nil, err
	}
	defer s.end()
	tx, err := find(s.all, id)
	if err != nil {
		return nil, errors.Join(err, s.bad)
	}
	return tx, errors.Join(t.rollback(ctx, now, s, tx, reason), s.bad)
}

func (t *Tuner) rollback(ctx context.Context, now Now, s *session, tx *Transaction, reason string) error {
	if tx.State == Confirmed {
		supersede(s.all)
	}
	switch {
	case tx.State == Superseded:
		return fmt.Errorf("transaction %s: %w: later ones changed the same values again; roll those back first", tx.ID, ErrConflict)
	case !tx.State.Open() && tx.State != Confirmed:
		return fmt.Errorf("transaction %s is %s: %w", tx.ID, tx.State, ErrClosed)
	case tx.State == Confirmed:
		if open := s.open(); open != nil {
			return fmt.Errorf("%w: %s: end that first", ErrOpen, describe(open))
		}
		// From here on it is open: who is stopped leaves it to be undone.
		before := *tx
		tx.State, tx.Reason, tx.Closed = Prepared, reason, time.Time{}
		if err := s.journal.write(tx); err != nil {
			*tx = before
			return fmt.Errorf("nothing was changed: %w", err)
		}
	}
	return t.undo(ctx, now, s, tx, RolledBack, reason)
}

// overdue says why an open transaction has to be undone, "" when it has not.
func (tx *Transaction) overdue(now Now) string {
	switch {
	case tx.BootID != now.BootID:
		return reasonReboot
	case tx.State == Prepared:
		return cmp.Or(tx.Reason, reasonUnfinished)
	case now.Boot >= tx.Deadline.Boot:
		return reasonDeadline
	}
	return ""
}
