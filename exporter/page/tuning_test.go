// SPDX-License-Identifier: Apache-2.0

//go:build linux

package page

import (
	"html"
	"strings"
	"testing"
	"time"

	"github.com/qtune/qtune/inspection"
)

// TestTuning proves that the page tells what is on trial, what was decided and why,
// what somebody changed, and a policy file that is not followed.
func TestTuning(t *testing.T) {
	r := replayed(t, hosts(t)[0])
	netns := r.in.Namespaces[0].Inode
	decision := inspection.Decision{
		ID: "20260102T030405Z-1", Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Netns: netns, Listener: "0.0.0.0:80", Comm: "<b>nginx", Transaction: "01TX",
		Verdict: "BurstOverflow", Action: "apply", Rule: "it overflowed in bursts",
		Inputs:  []inspection.Evidence{{Name: "limit", Value: 128, Unit: "connections", Source: "sock_diag"}},
		Refused: []inspection.Alternative{{What: "limit 128 to 8192", Rail: "step", Message: "more than four times the old limit"}},
	}
	r.in.Agent = &inspection.Agent{Mode: "enforce", PolicyError: "policy.yaml:3: spec.mod: unknown", Tuning: &inspection.Tuning{
		Mode: "enforce", Open: true, Decisions: []inspection.Decision{decision},
		Trial:    &inspection.Trial{Transaction: "01TX", Netns: netns, Listener: "0.0.0.0:80", From: 128, To: 512, Started: decision.Time, JudgedAfter: 1800, EndsAfter: 3600},
		Drifted:  []inspection.DriftedSetting{{Transaction: "01OLD", Netns: netns, What: "net.core.somaxconn", Ours: 8192, Found: 4096}},
		Troubles: []inspection.Trouble{{What: "read the journal", Error: "ask the tuner: connection refused"}},
	}}
	w := get(t, Handler(r, "0.0.0"), "/")
	checkHTML(t, w.Body.String())
	text := html.UnescapeString(w.Body.String())
	for _, want := range []string{
		"On trial since 2026-01-02 03:04:05 UTC: 0.0.0.0:80", "limit 128 to 512", "judged after 1800 s", "net.core.somaxconn", "is 4096, and 8192 was confirmed",
		"it overflowed in bursts", "more than four times the old limit", "spec.mod: unknown",
		"Not possible now:", "read the journal: ask the tuner: connection refused",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if strings.Contains(w.Body.String(), "<b>nginx") {
		t.Error("a program's name became markup")
	}
	r.in.Agent.Tuning = &inspection.Tuning{Mode: "advise"}
	if got := get(t, Handler(r, "0.0.0"), "/").Body.String(); !strings.Contains(html.UnescapeString(got), "The policy's mode is advise: nothing is changed.") {
		t.Error("the page does not say that the policy allows nothing")
	}
	r.in.Agent.Tuning = nil
	if got := get(t, Handler(r, "0.0.0"), "/").Body.String(); strings.Contains(got, "What the agent changes") {
		t.Error("an agent that only advises has a section on what it changes")
	}
}
