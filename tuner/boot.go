// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tuner

import (
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/sysctl"
)

// A BootFile is what a transaction makes of the file that sets sysctls at boot: the
// whole of it before and after, nil for none.
type BootFile struct {
	From *sysctl.Persisted `json:"from"`
	To   *sysctl.Persisted `json:"to"`
}

// planBoot adds the step that makes the host's values survive a reboot, if there is
// a value of the host's. Namespaces of others have no boot.
func (t *Tuner) planBoot(tx *Transaction) error {
	values := map[string]int64{}
	var scope Scope
	for _, s := range tx.runtimeSteps() {
		if s.Kind == KindSysctl && s.Scope.Host {
			values[s.Key], scope = s.To, s.Scope
		}
	}
	if len(values) == 0 {
		return nil
	}
	from, err := sysctl.ReadPersisted(t.opts.Root)
	if errors.Is(err, host.ErrChanged) {
		return fmt.Errorf("%w: %w", ErrConflict, err)
	}
	if err != nil {
		return err
	}
	to := &sysctl.Persisted{Transaction: tx.ID, Time: tx.Created.Wall.Truncate(time.Second), Values: map[string]int64{}}
	if from != nil {
		maps.Copy(to.Values, from.Values)
	}
	maps.Copy(to.Values, values)
	tx.Boot = &BootFile{From: from, To: to}
	tx.Steps = append(tx.Steps, Step{Kind: KindFile, Scope: scope, Key: "/etc/sysctl.d/" + sysctl.PersistName})
	return nil
}

// bootStep returns the step of the file, nil when there is none.
func (tx *Transaction) bootStep() *Step {
	for i := range tx.Steps {
		if tx.Steps[i].Kind == KindFile && tx.Boot != nil {
			return &tx.Steps[i]
		}
	}
	return nil
}

// lacksBoot reports whether a confirmed transaction was stopped before its file was
// written.
func (tx *Transaction) lacksBoot() bool {
	s := tx.bootStep()
	return tx.State == Confirmed && s != nil && s.Outcome == ""
}

// finishBoot writes the file of a confirmed transaction, unless it is written. That
// it could not be is an error, but the transaction stays confirmed: the kernel has
// its values. Confirming once more tries again.
func (t *Tuner) finishBoot(s *session, tx *Transaction) error {
	step := tx.bootStep()
	if step == nil || step.Outcome == Done {
		return nil
	}
	err := sysctl.SwapPersisted(t.opts.Root, tx.Boot.From, tx.Boot.To)
	t.at(faultPersisted)
	step.settle(err, Done)
	if errors.Is(err, host.ErrChanged) {
		err = fmt.Errorf("%w: %w", ErrConflict, err)
	}
	if err != nil {
		err = fmt.Errorf("transaction %s is confirmed, but would not survive a reboot: %w", tx.ID, err)
	}
	return errors.Join(err, s.journal.write(tx))
}

// settle says what became of the file.
func (s *Step) settle(err error, done Outcome) {
	switch {
	case err == nil:
		s.Outcome, s.Message = done, ""
		return
	case errors.Is(err, host.ErrChanged):
		s.Outcome = Foreign
	default:
		s.Outcome = Unknown
	}
	s.Message = err.Error()
}

// undoBoot takes the values of a transaction out of the file. What later ones put
// there stays.
func (t *Tuner) undoBoot(tx *Transaction) {
	step := tx.bootStep()
	if step == nil {
		return
	}
	err := sysctl.SwapPersisted(t.opts.Root, tx.Boot.To, tx.Boot.From)
	if errors.Is(err, host.ErrChanged) {
		err = t.takeOut(tx)
	}
	step.settle(err, Undone)
}

// takeOut is undoBoot for a file that has values of later transactions.
func (t *Tuner) takeOut(tx *Transaction) error {
	now, err := sysctl.ReadPersisted(t.opts.Root)
	if err != nil || now == nil { // nil: somebody took all of it out
		return err
	}
	to := &sysctl.Persisted{Transaction: now.Transaction, Time: now.Time, Values: maps.Clone(now.Values)}
	for _, s := range tx.runtimeSteps() {
		if !s.Scope.Host || s.Kind != KindSysctl || to.Values[s.Key] != tx.Boot.To.Values[s.Key] {
			continue
		}
		delete(to.Values, s.Key)
		if tx.Boot.From != nil {
			if v, ok := tx.Boot.From.Values[s.Key]; ok {
				to.Values[s.Key] = v
			}
		}
	}
	if len(to.Values) == 0 {
		to = nil
	}
	return sysctl.SwapPersisted(t.opts.Root, now, to)
}
