// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"fmt"

	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/tuner"
)

// A dryRunDocument is what apply --dry-run -o json prints.
type dryRunDocument struct {
	APIVersion  string             `json:"apiVersion"`
	Kind        string             `json:"kind"`
	Plan        *tuner.Plan        `json:"plan"`
	Permissions []tuner.Permission `json:"permissions"`
}

// dryRun says what of a plan the kernel would allow.
func (o *applyOptions) dryRun(ctx context.Context, t *hostTuner, p *tuner.Plan) error {
	all, err := t.Probe(ctx, p)
	if err != nil {
		return err
	}
	for i := range all {
		makePrintable(&all[i])
	}
	d := dryRunDocument{tuner.APIVersion, "DryRun", p, append([]tuner.Permission{}, all...)}
	if err := writeText(o.Out, o.Output, d, func(s *screen) { s.permissions(all) }); err != nil {
		return err
	}
	for i := range all {
		if !all[i].Allowed {
			return fmt.Errorf("%s of %d would be refused: %w", count(denied(all), "step"), len(all), host.ErrPermission)
		}
	}
	return nil
}

func denied(all []tuner.Permission) (n int) {
	for i := range all {
		if !all[i].Allowed {
			n++
		}
	}
	return n
}

// permissions says of each step whether it would be allowed.
func (s *screen) permissions(all []tuner.Permission) {
	if denied(all) == 0 {
		s.say("Dry run: each of %s would be allowed. Nothing was written.", count(len(all), "step"))
		return
	}
	s.say("%s", s.paint(styleYel, "Dry run: not allowed. Nothing was written."))
	for i := range all {
		step := &all[i].Step
		if all[i].Allowed {
			fmt.Fprintf(s.w, "%sok  %s  %s\n", planMargin, scopeText(&step.Scope), stepName(step))
			continue
		}
		fmt.Fprintf(s.w, "%s%s  %s  %s\n", planMargin, s.paint(styleYel, "no"), scopeText(&step.Scope), stepName(step))
		s.detail("why", all[i].Message)
	}
}
