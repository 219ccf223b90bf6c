// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tuner

import (
	"context"
	"fmt"
	"path/filepath"
	"time"
)

// A session is the journal while the lock is held.
type session struct {
	journal *journal
	lock    *lock
	all     []*Transaction // the newest first
	bad     error          // of records that were set aside, once
}

// journal returns the journal of t.
func (t *Tuner) journal() *journal {
	return &journal{dir: filepath.Join(t.opts.Dir, "journal"), at: t.at}
}

// begin takes the lock, for which it waits so long at most, and reads the journal.
func (t *Tuner) begin(ctx context.Context, patience time.Duration) (*session, error) {
	l, err := await(ctx, t.opts.Lock, patience)
	if err != nil {
		return nil, err
	}
	s := &session{journal: t.journal(), lock: l}
	if err := s.read(); err != nil {
		s.end()
		return nil, err
	}
	return s, nil
}

func (s *session) read() error {
	if err := s.journal.prepare(); err != nil {
		return err
	}
	all, bad, err := s.journal.load()
	if err != nil {
		return err
	}
	s.all = all
	s.bad = s.journal.setAside(bad)
	return nil
}

// end gives the lock back.
func (s *session) end() { s.lock.release() }

// open returns the transaction that is open, nil when none is.
func (s *session) open() *Transaction {
	for _, tx := range s.all {
		if tx.State.Open() {
			return tx
		}
	}
	return nil
}

// close records how a transaction ended. What could not be recorded has not ended.
func (s *session) close(tx *Transaction, now Now, state State, reason string) error {
	before := *tx
	tx.State, tx.Reason, tx.Closed = state, reason, now.Wall
	err := s.journal.write(tx)
	if err != nil {
		tx.State, tx.Reason, tx.Closed = before.State, before.Reason, before.Closed
	}
	return err
}

// prune removes what is old. That it could not does no harm to anybody.
func (t *Tuner) prune(s *session, now Now) {
	if err := s.journal.prune(s.all, now); err != nil {
		t.opts.Log.Warn("journal not pruned", "error", err)
	}
}

// describe says when a transaction was begun, and by whom.
func describe(tx *Transaction) string {
	text := fmt.Sprintf("%s, %s since %s", tx.ID, tx.State, tx.Created.Wall.Format(time.RFC3339))
	if tx.Actor.Comm != "" {
		text += fmt.Sprintf(", by %s (process %d)", tx.Actor.Comm, tx.Actor.PID)
	}
	return text
}
