// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/tuner"
)

// plans returns the plan that was saved, or makes one.
func (o *applyOptions) plans(ctx context.Context) (*tuner.Plan, *inspection.Inspection, error) {
	if o.planFile == "" {
		return o.plan(ctx)
	}
	p, err := readPlan(o.planFile)
	if err != nil {
		return nil, nil, err
	}
	in, err := o.recheck(ctx, p)
	return p, in, err
}

// recheck looks whether the guard rails still let a saved plan pass: it may have
// been changed, and the host has.
func (o *applyOptions) recheck(ctx context.Context, p *tuner.Plan) (*inspection.Inspection, error) {
	pol, err := o.policy()
	if err != nil {
		return nil, err
	}
	if name := pol.Revision(); p.Policy != name {
		return nil, usageError("%s was made under policy %s, and this is %s: give that by -f, for its bounds", o.planFile, p.Policy, name)
	}
	in, err := o.look(ctx)
	if err != nil {
		return nil, err
	}
	planner, err := o.planner(in, pol)
	if err != nil {
		return nil, err
	}
	planner.LiveResize = true // whoever made the plan asked for it
	for _, r := range planner.Check(p) {
		if r.Code == tuner.NotFound {
			return nil, fmt.Errorf("%w: %s: %s", tuner.ErrStale, scopeText(&r.Scope), r.Message)
		}
		p.Refusals = append(p.Refusals, r)
	}
	return in, nil
}

// allowed returns an error when what was asked for is not to be had.
func (o *applyOptions) allowed(p *tuner.Plan) error {
	if p.Empty() || o.explicit() || o.planFile != "" {
		if err := refusalError(p.Refusals); err != nil {
			return err
		}
	}
	lower := func(s tuner.Step) bool { return s.To < s.From }
	if o.trial() == 0 && !o.DryRun && slices.ContainsFunc(p.Steps, lower) {
		return fmt.Errorf("%w: without a trial values only become larger (--confirm-within 10m)", tuner.ErrRail)
	}
	if !o.Persist || p.Empty() {
		return nil
	}
	atBoot := func(s tuner.Step) bool { return s.Scope.Host && s.Kind != tuner.KindListen }
	if !slices.ContainsFunc(p.Steps, atBoot) {
		return usageError("--persist: only sysctls of the host's namespace are set at boot; a pod's belong into its securityContext")
	}
	for _, step := range p.Steps {
		for _, by := range step.SetBy {
			if by.Wins && step.Scope.Host && !o.ShadowedOK {
				return fmt.Errorf("%w: %s sets %s to %s after /etc/sysctl.d/60-qtune.conf at boot: change it there, or --shadowed-ok",
					errShadowed, by.Where, step.Key, by.Value)
			}
		}
	}
	return nil
}

// refusalError turns what is refused into an error, the first that matters.
func refusalError(all []tuner.Refusal) error {
	for i := range all {
		switch r := &all[i]; r.Code {
		case tuner.Capped: // a smaller value is planned
		case tuner.Unsupported:
			return fmt.Errorf("%s: %w", r.Message, host.ErrUnsupported)
		case tuner.NotPermitted:
			return fmt.Errorf("%w: %s", host.ErrPermission, r.Message)
		case tuner.NotFound:
			return usageError("%s", r.Message)
		default:
			if r.Rail != "" {
				return fmt.Errorf("%w: %s", tuner.ErrRail, r.Rail)
			}
			return fmt.Errorf("%w: %s", tuner.ErrRail, r.Message)
		}
	}
	return nil
}
