// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tuner

import (
	"context"
	"errors"
	"fmt"

	"github.com/qtune/qtune/host"
)

// A Drift is a confirmed step whose value is no longer ours.
type Drift struct {
	Transaction string `json:"transaction"`
	Step        Step   `json:"step"` // with the value found in Seen
}

// Drift reads back what was confirmed, of each value the newest. What is better
// than ours, or is there no more, has not drifted. Nothing is put back: somebody
// had a reason.
func (t *Tuner) Drift(ctx context.Context, now Now) ([]Drift, error) {
	all, err := t.history()
	if all == nil && err != nil {
		return nil, err
	}
	steps, of := inForce(all, now)
	var drifts []Drift
	problems := []error{err}
	err = t.look(ctx, steps, func(_ place, s *Step, v int64, err error) error {
		switch {
		case errors.Is(err, host.ErrGone):
		case err != nil:
			problems = append(problems, fmt.Errorf("read %s: %w", s, err))
		case !s.better(v):
			s.saw(v)
			drifts = append(drifts, Drift{Transaction: of[s], Step: *s})
		}
		return nil
	})
	return drifts, errors.Join(append(problems, err)...)
}

// inForce returns the newest confirmed step of each value of this boot, and which
// transaction it is of.
func inForce(all []*Transaction, now Now) (steps []*Step, of map[*Step]string) {
	of = map[*Step]string{}
	seen := map[valueID]bool{}
	for _, tx := range all {
		if tx.State != Confirmed || tx.BootID != now.BootID {
			continue
		}
		for _, s := range tx.runtimeSteps() {
			if seen[s.value()] || s.Outcome != Done {
				continue
			}
			seen[s.value()] = true
			steps = append(steps, s)
			of[s] = tx.ID
		}
	}
	return steps, of
}
