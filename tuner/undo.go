// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tuner

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/qtune/qtune/host"
)

// undo undoes a transaction, whatever of it was done, and closes it in state, or in
// what became of it instead: [Conflict] when a value is somebody else's, [Gone] when
// nothing is there any more. What cannot be read or written leaves it open.
//
// It is not to be interrupted: whoever asks for it has good reasons.
func (t *Tuner) undo(ctx context.Context, now Now, s *session, tx *Transaction, state State, reason string) error {
	t.at(faultUndoing)
	before := make(map[*Step]Outcome, len(tx.Steps))
	for i := range tx.Steps {
		step := &tx.Steps[i]
		before[step], step.Outcome = step.Outcome, ""
	}
	failed := t.pass(context.WithoutCancel(ctx), tx.undoSteps(), func(step *Step, p place, err error) error {
		t.undoStep(p, step, before[step], err)
		t.at(faultUndone)
		return nil
	})
	for _, step := range tx.undoSteps() {
		if step.Outcome == "" { // no namespace could be visited at all
			step.Outcome, step.Message = Unknown, fmt.Sprint(failed)
		}
	}
	if err := t.undoBoot(s, tx); err != nil {
		failed = errors.Join(failed, err)
	}
	t.at(faultClosing)
	if tx.has(Unknown) {
		tx.Reason = "could not be undone in full, asked for because of: " + reason
		return errors.Join(tx.complaint(ErrIncomplete, Unknown), s.journal.write(tx))
	}
	var complaint error
	switch {
	case tx.has(Foreign) || tx.has(LeftHigh):
		state = Conflict
		complaint = tx.complaint(ErrConflict, Foreign, LeftHigh)
	case tx.all(Vanished):
		state = Gone
	}
	return errors.Join(complaint, s.close(tx, now, state, reason))
}

// undoStep gives one value back its old one, if it is ours.
func (t *Tuner) undoStep(p place, s *Step, before Outcome, err error) {
	var v int64
	if err == nil {
		v, err = p.read(s)
	}
	if err == nil {
		switch v {
		case s.From:
			s.Outcome = NotDone
			if before == Undone {
				s.Outcome = Undone
			}
			return
		case s.To:
			err = t.set(p, s, s.To, s.From)
		default:
			err = fmt.Errorf("%d was found: %w", v, host.ErrChanged)
		}
	}
	if err == nil {
		if v, err = p.read(s); err == nil && v != s.From {
			err = fmt.Errorf("%d was found after %d was written: %w", v, s.From, host.ErrChanged)
		}
	}
	switch {
	case err == nil:
		s.Outcome, s.Message = Undone, ""
		return
	case errors.Is(err, host.ErrGone):
		s.Outcome = Vanished
	case errors.Is(err, host.ErrShrinks):
		s.Outcome = LeftHigh
	case errors.Is(err, host.ErrChanged):
		s.Outcome = Foreign
	default:
		s.Outcome = Unknown
	}
	if s.Outcome == Foreign || s.Outcome == LeftHigh {
		s.saw(v)
	}
	s.Message = err.Error()
}

// has reports whether a step ended so.
func (tx *Transaction) has(o Outcome) bool {
	for i := range tx.Steps {
		if tx.Steps[i].Outcome == o {
			return true
		}
	}
	return false
}

// complaint lists the steps that ended in one of these ways, with what is to do.
func (tx *Transaction) complaint(what error, outcomes ...Outcome) error {
	var list []string
	for i := range tx.Steps {
		s := &tx.Steps[i]
		for _, o := range outcomes {
			if s.Outcome == o {
				list = append(list, fmt.Sprintf("%s was to go back from %d to %d: %s", s, s.To, s.From, s.Message))
			}
		}
	}
	return fmt.Errorf("transaction %s: %w: %s", tx.ID, what, strings.Join(list, "; "))
}
