// SPDX-License-Identifier: Apache-2.0

//go:build linux

package agent

import (
	"testing"

	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/tuner"
)

// TestRegister proves that what is kept is bounded, that all is counted, and that what
// is about a transaction is kept longest.
func TestRegister(t *testing.T) {
	r := newRegister()
	r.enter(tuner.Now{}, inspection.Decision{Action: actApply, Transaction: "tx0"})
	for range 3 * decisionsMost {
		r.enter(tuner.Now{}, inspection.Decision{Action: actWatch})
	}
	all := r.last(decisionsMost)
	if len(all) > decisionsMost || len(all) < decisionsMost*8/10 {
		t.Errorf("%d are kept, want nearly %d", len(all), decisionsMost)
	}
	if got := inspection.DecisionsOf(all, "tx0"); len(got) != 1 {
		t.Errorf("%d of the transaction are kept, want 1", len(got))
	}
	if got := r.counts[telling{action: actWatch}]; got != 3*decisionsMost {
		t.Errorf("%d were counted, want %d", got, 3*decisionsMost)
	}
	if first, second := all[0].ID, all[1].ID; first == second {
		t.Errorf("two have the id %s", first)
	}
	for range 3 * decisionsMost {
		r.enter(tuner.Now{}, inspection.Decision{Action: actExtend, Transaction: "tx1"})
	}
	if all := r.last(2 * decisionsMost); len(all) > decisionsMost || all[0].Transaction != "tx1" {
		t.Errorf("%d are kept, the newest of %s", len(all), all[0].Transaction)
	}
}
