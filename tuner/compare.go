// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tuner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/qtune/qtune/host"
)

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
	planned := map[valueID]bool{}
	for _, s := range tx.runtimeSteps() {
		planned[s.value()] = true
	}
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
			return cmp.Or(hasRoom(p, s, somaxconn), isWhole(p, s, planned))
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

// isWhole makes sure that a reuse-port group is resized whole: a member may have
// joined since the plan was made, and would keep its limit.
func isWhole(p place, s *Step, planned map[valueID]bool) error {
	limits, err := p.group(s)
	if err != nil {
		return fmt.Errorf("look for the reuse-port group of %s: %w", s, err)
	}
	for cookie, limit := range limits {
		v := s.value()
		v.socket = cookie
		if limit < s.To && !planned[v] {
			return fmt.Errorf("%w: the reuse-port group of %s has a member that is not in the plan: all are resized or none, so make another plan", ErrStale, s)
		}
	}
	return nil
}
