// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tuner

import (
	"context"
	"errors"
)

// Recover decides every open transaction that has to be: those past their
// deadline, not finished, of another boot, or on trial with a value that is not
// theirs any more; with orphaned all of them. It returns those whose record it
// changed. A trial that goes on is not among them.
func (t *Tuner) Recover(ctx context.Context, now Now, orphaned bool) ([]*Transaction, error) {
	s, err := t.begin(ctx, t.opts.Patience)
	if err != nil {
		return nil, err
	}
	defer s.end()
	var decided []*Transaction
	problems := []error{s.bad}
	for _, tx := range s.all {
		changed, err := t.decide(ctx, now, s, tx, orphaned)
		if changed {
			decided = append(decided, tx)
		}
		problems = append(problems, err)
	}
	t.prune(s, now)
	return decided, errors.Join(problems...)
}

// decide ends one transaction, if it has to end.
func (t *Tuner) decide(ctx context.Context, now Now, s *session, tx *Transaction, orphaned bool) (changed bool, err error) {
	if !tx.State.Open() {
		if !tx.lacksBoot() {
			return false, nil
		}
		return true, t.finishBoot(s, tx)
	}
	reason := tx.overdue(now)
	if reason == "" && orphaned {
		reason = reasonOrphaned
	}
	if reason != "" {
		return true, t.undo(ctx, now, s, tx, RolledBack, reason)
	}
	switch kept, err := t.inspect(ctx, tx); {
	case err != nil:
		return false, err // nobody knows: the deadline decides
	case !kept:
		return true, t.clash(ctx, now, s, tx)
	case tx.all(Vanished):
		return true, s.close(tx, now, Gone, "vanished during the trial")
	}
	return false, nil
}
