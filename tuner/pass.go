// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tuner

import (
	"context"
	"slices"
)

// pass visits each namespace once and hands its steps, in their order, to each. The
// first error ends it. Of a namespace that cannot be entered err says why.
func (t *Tuner) pass(ctx context.Context, steps []*Step, each func(p place, steps []*Step, err error) error) error {
	var scopes []Scope
	var groups [][]*Step
	at := map[netnsID]int{}
	for _, s := range steps {
		id := s.Scope.id()
		i, ok := at[id]
		if !ok {
			i = len(groups)
			at[id] = i
			scopes = append(scopes, s.Scope)
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], s)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var failed error
	err := t.kernel.visit(ctx, scopes, func(i int, p place, err error) {
		if failed != nil {
			return
		}
		if failed = each(p, groups[i], err); failed != nil {
			stop()
		}
	})
	if failed != nil {
		return failed
	}
	return err
}

// look reads the value of each step and hands it to each. The first error ends it.
func (t *Tuner) look(ctx context.Context, steps []*Step, each func(p place, s *Step, v int64, err error) error) error {
	return t.pass(ctx, steps, func(p place, steps []*Step, err error) error {
		for _, s := range steps {
			v, err := int64(0), err
			if err == nil {
				v, err = p.read(s)
			}
			if err := each(p, s, v, err); err != nil {
				return err
			}
		}
		return nil
	})
}

// runtimeSteps returns the steps that change the running kernel.
func (tx *Transaction) runtimeSteps() []*Step {
	var all []*Step
	for i := range tx.Steps {
		if tx.Steps[i].Kind != KindFile {
			all = append(all, &tx.Steps[i])
		}
	}
	return all
}

// undoSteps returns them in the order in which they are undone.
func (tx *Transaction) undoSteps() []*Step {
	all := tx.runtimeSteps()
	slices.Reverse(all)
	return all
}
