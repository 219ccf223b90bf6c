// SPDX-License-Identifier: Apache-2.0

//go:build linux

package agent

import (
	"os"

	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/policy"
)

// A Reload reads the policy again. The zero value never does.
type Reload struct {
	Signal <-chan os.Signal // when
	Read   func() (*policy.Policy, error)
}

// reload follows the policy file as it is now. One that is not right changes nothing:
// the last good one is followed on, and it is said why.
func (a *Agent) reload() {
	p, err := a.opts.Reload.Read()
	if err != nil {
		a.policyError = err.Error()
		a.opts.Log.Error("the policy file is not right, the last good one is followed on", "policy", a.opts.Policy.Revision(), "error", err)
		return
	}
	a.policyError = ""
	a.opts.Log.Info("policy read again", "from", a.opts.Policy.Revision(), "to", p.Revision(), "mode", p.Mode)
	if p.Mode != policy.Enforce && a.opts.Mode == policy.Enforce {
		a.opts.Log.Warn("the policy allows no changes: they are recommended only", "mode", p.Mode)
	}
	a.opts.Policy = *p
}

// Decisions returns what was decided last, the newest first: of one transaction, or
// with "" of all. Nothing is decided but in mode enforce.
func (a *Agent) Decisions(transaction string) []inspection.Decision {
	if a.enforcer == nil {
		return []inspection.Decision{}
	}
	return inspection.DecisionsOf(a.enforcer.loop.register.last(decisionsMost), transaction)
}
