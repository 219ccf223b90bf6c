// SPDX-License-Identifier: Apache-2.0

//go:build linux

package agent

import (
	"context"
	"errors"

	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/policy"
	"github.com/qtune/qtune/tuner"
)

// driftedVerdict is the verdict on a confirmed value that somebody changed.
const driftedVerdict verdict = "Drifted"

// A drifted names a value.
type drifted struct {
	netns  uint64
	netnsC string // its cookie
	what   string // a key, or the cookie of a listener
}

// A drift is what is known of confirmed values that somebody changed.
type drift struct {
	now   []inspection.DriftedSetting
	known map[drifted]bool   // told of
	again map[drifted]string // set once more, under which policy
}

func (d *drift) shown() []inspection.DriftedSetting {
	return append([]inspection.DriftedSetting{}, d.now...)
}

// lookForDrift reads back what was confirmed. What somebody changed is told, and set
// once more if the policy says so: two that both insist would never stop.
func (e *enforcer) lookForDrift(ctx context.Context, now tuner.Now) {
	found, err := e.effects.Drift(ctx, now)
	e.troubles.tell("read back what was confirmed", err)
	if err != nil && found == nil {
		return
	}
	e.drift.now = nil
	still := map[drifted]bool{}
	for i := range found {
		s := &found[i].Step
		key := drifted{s.Scope.Netns, s.Scope.Cookie, s.Key}
		shown := inspection.DriftedSetting{Transaction: found[i].Transaction, Netns: s.Scope.Netns, What: s.Key, Ours: s.To}
		if s.Listener != nil {
			key.what, shown.What = s.Listener.Cookie, s.Listener.Name()
		}
		if s.Seen != nil {
			shown.Found = *s.Seen
		}
		still[key] = true
		e.drift.now = append(e.drift.now, shown)
		if !e.drift.known[key] {
			e.tellDrift(now, &shown, "report", "somebody changed a value that was confirmed")
			e.log.Warn("drifted", "transaction", shown.Transaction, "netns", shown.Netns, "what", shown.What, "ours", shown.Ours, "found", shown.Found)
		}
		e.setAgain(ctx, now, key, &shown, s)
	}
	e.drift.known = still
}

func (e *enforcer) tellDrift(now tuner.Now, s *inspection.DriftedSetting, action, rule string) {
	e.loop.register.enter(now, inspection.Decision{
		Netns: s.Netns, Listener: s.What, Transaction: s.Transaction, Verdict: string(driftedVerdict), Action: action, Rule: rule,
		Inputs: []inspection.Evidence{
			{Name: "ours", Value: float64(s.Ours), Source: "journal"},
			{Name: "found", Value: float64(s.Found), Source: "read back"},
		},
	})
}

// againMost is how many values are set once more at most: with so many somebody else
// is at work.
const againMost = 1000

// setAgain sets a value once more, once under each policy.
func (e *enforcer) setAgain(ctx context.Context, now tuner.Now, key drifted, shown *inspection.DriftedSetting, s *tuner.Step) {
	rev := e.policy.Revision()
	if e.policy.Mode != policy.Enforce || e.policy.OnDrift != policy.ReapplyOnce || e.drift.again[key] == rev ||
		s.Kind == tuner.KindFile || s.Seen == nil || *s.Seen >= s.To || e.loop.trial != nil || e.loop.other != "" ||
		len(e.drift.again) >= againMost {
		return
	}
	step := *s
	step.From, step.Outcome, step.Seen, step.Message = *s.Seen, "", nil, ""
	e.actor.Policy = rev
	tx, err := e.effects.Apply(ctx, now, &tuner.Plan{
		APIVersion: tuner.APIVersion, Kind: "Plan", Created: now.Wall, BootID: now.BootID, Policy: rev, Steps: []tuner.Step{step},
	}, tuner.ApplyOptions{Guardian: tuner.ByAgent, Actor: e.actor, Why: "drifted from transaction " + shown.Transaction})
	if errors.Is(err, tuner.ErrBusy) || errors.Is(err, tuner.ErrOpen) {
		return // the next time
	}
	e.drift.again[key] = rev
	rule := "the policy has it set once more; after that it is only told of"
	if err != nil {
		rule = "set once more: " + err.Error()
		e.log.Warn("not set again", "netns", shown.Netns, "what", shown.What, "error", err)
	} else {
		e.loop.memory.begun(now.Boot)
		e.log.Info("set again", "transaction", tx.ID, "netns", shown.Netns, "what", shown.What, "from", shown.Found, "to", shown.Ours)
	}
	e.tellDrift(now, shown, actReapply, rule)
}
