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
	var unrecorded error
	if tx.State == Applied { // who is stopped in between has to know that it is not a trial any more
		tx.State, tx.Reason = Prepared, reason
		unrecorded = s.journal.write(tx) // no reason to leave it: its deadline would say the same
	}
	t.at(faultUndoing)
	if tx.BootID == now.BootID {
		t.undoValues(context.WithoutCancel(ctx), tx)
	} else { // they are gone by themselves
		for _, step := range tx.runtimeSteps() {
			step.Outcome, step.Message = Vanished, "with the boot it was set in"
		}
		reason = reasonReboot
	}
	t.undoBoot(tx)
	t.at(faultClosing)
	if tx.has(Unknown) {
		tx.Reason = reason
		return errors.Join(tx.complaint(ErrIncomplete, Unknown), unrecorded, s.journal.write(tx))
	}
	if tx.has(Foreign) || tx.has(LeftHigh) {
		return errors.Join(tx.complaint(ErrConflict, Foreign, LeftHigh), s.close(tx, now, Conflict, reason))
	}
	if tx.all(Vanished) && reason != reasonReboot {
		state = Gone
	}
	return s.close(tx, now, state, reason)
}

// undoValues gives every value that is ours its old one back.
func (t *Tuner) undoValues(ctx context.Context, tx *Transaction) {
	steps := tx.undoSteps()
	before := make(map[*Step]Outcome, len(steps))
	for _, s := range steps {
		before[s], s.Outcome = s.Outcome, ""
	}
	err := t.look(ctx, steps, func(p place, s *Step, v int64, err error) error {
		t.undoStep(p, s, v, before[s], err)
		t.at(faultUndone)
		return nil
	})
	for _, s := range steps {
		if s.Outcome == "" { // no namespace could be visited at all
			s.Outcome, s.Message = Unknown, fmt.Sprint(err)
		}
	}
}

// undoStep gives one value back its old one, if it is ours.
func (t *Tuner) undoStep(p place, s *Step, v int64, before Outcome, err error) {
	if err == nil {
		switch v {
		case s.From:
			s.Outcome = NotDone
			if before == Undone {
				s.Outcome = Undone
			}
			return
		case s.To:
			if before == Foreign { // who came between our look and our write wants the same
				err = fmt.Errorf("%d was found, and not by us: %w", v, host.ErrChanged)
				break
			}
			err = t.set(p, s, s.To, s.From)
		default:
			err = fmt.Errorf("%d was found: %w", v, host.ErrChanged)
		}
	}
	if err == nil {
		if v, err = p.read(s); err == nil && v != s.From {
			err = fmt.Errorf("%d was found after %d was written: %w", v, s.From, host.ErrVerify)
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
	case errors.Is(err, host.ErrChanged), errors.Is(err, host.ErrVerify):
		s.Outcome = Foreign
	default:
		s.Outcome = Unknown
	}
	if s.Outcome == Foreign || s.Outcome == LeftHigh {
		if changed, ok := errors.AsType[*host.ChangedError](err); ok { // between our two looks
			v = changed.Have
		}
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
			switch {
			case s.Outcome != o:
			case s.Kind == KindFile:
				list = append(list, s.Message)
			default:
				list = append(list, fmt.Sprintf("%s was to go back from %d to %d: %s", s, s.To, s.From, s.Message))
			}
		}
	}
	return fmt.Errorf("transaction %s: %w: %s", tx.ID, what, strings.Join(list, "; "))
}
