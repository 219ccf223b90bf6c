// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tuner

import (
	"context"
	"slices"
)

// pass visits each namespace once and hands each of its steps, in their order, to
// each. The first error ends it. Of a namespace that cannot be entered err says why.
func (t *Tuner) pass(ctx context.Context, steps []*Step, each func(s *Step, p place, err error) error) error {
	type identity struct {
		netns  uint64
		cookie string
	}
	var scopes []Scope
	var groups [][]*Step
	at := map[identity]int{}
	for _, s := range steps {
		id := identity{s.Scope.Netns, s.Scope.Cookie}
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
		for _, s := range groups[i] {
			if failed != nil {
				return
			}
			if failed = each(s, p, err); failed != nil {
				stop()
			}
		}
	})
	if failed != nil {
		return failed
	}
	return err
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
