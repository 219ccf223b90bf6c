// SPDX-License-Identifier: Apache-2.0

//go:build linux

package agent

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/qtune/qtune/policy"
	"github.com/qtune/qtune/tuner"
)

// A nature is how a server of the random world behaves for a while.
type nature struct {
	name    string
	tunable bool
	behaves func(*server, time.Duration) slotLoad
}

var natures = []nature{
	{"quiet", false, func(*server, time.Duration) slotLoad { return slotLoad{calm: 50} }},
	{"bursts", true, func(*server, time.Duration) slotLoad { return slotLoad{calm: 50, burst: 300} }},
	{"higher bursts", true, func(*server, time.Duration) slotLoad { return slotLoad{calm: 50, burst: 900} }},
	{"lossy", true, func(s *server, _ time.Duration) slotLoad { return slotLoad{calm: 50, burst: s.limit + 100} }},
	{"scanned", false, func(*server, time.Duration) slotLoad { return slotLoad{calm: 50, scan: 5000} }},
	{"slow", false, func(s *server, _ time.Duration) slotLoad { return slotLoad{burst: 200, stays: s.limit / 2} }},
	{"stuck", false, func(*server, time.Duration) slotLoad { return slotLoad{burst: 20, stays: 1 << 20} }},
	{"flooded", false, func(*server, time.Duration) slotLoad { return slotLoad{calm: 50, flood: 50000} }},
}

// TestLoopRandomly lets 10 000 virtual hours pass over servers that change their
// nature, are started again, are written to by others, under an agent that ends and
// a policy that changes. The world itself refuses a second open transaction, a plan
// that is stale or lowers anything, and the end of what has ended.
func TestLoopRandomly(t *testing.T) {
	for seed := range uint64(2) {
		r := rand.New(rand.NewPCG(seed, 7))
		w := newWorldAt(t, 15*time.Minute)
		window := windowSlots * w.pace
		w.policy.Trial = policy.Trial{Duration: 3 * window, Max: 6 * window}
		last := make([]time.Duration, 2) // when each server was last one to be tuned
		is := make([]nature, len(last))
		for i := range last {
			is[i] = natures[0]
			w.serve(is[i].behaves)
		}
		seen := 0
		for end := w.now + 5000*time.Hour; w.now < end; {
			for i, s := range w.servers {
				switch r.IntN(900) {
				case 0, 1, 2, 3:
					is[i] = natures[r.IntN(len(natures))]
					s.behaves = is[i].behaves
				case 4:
					w.restart(s)
				case 5:
					s.limit = uint32(100 + r.IntN(2000))
				case 6:
					s.somaxconn = int64(4096 + r.IntN(2))
				}
				if is[i].tunable {
					last[i] = w.now
				}
			}
			switch r.IntN(4000) {
			case 0:
				w.enforcer.stop()
				w.restartAgent()
			case 1:
				w.restartAgent() // it was killed
			case 2:
				w.policy.Mode = []policy.Mode{policy.Enforce, policy.Advise}[r.IntN(2)]
			case 3:
				w.policy.Mode = policy.Enforce
			}
			w.slot()
			for ; seen < len(w.begins); seen++ {
				tx := w.journal[0]
				for i, s := range w.servers {
					if s.inode == tx.Steps[0].Scope.Netns && w.now-last[i] > window {
						t.Errorf("seed %d: at %v a server was tuned that is %s", seed, w.now, is[i].name)
					}
				}
			}
			for _, tx := range w.journal[:min(1, len(w.journal))] {
				if tx.State.Open() && w.now-tx.Created.Boot > w.policy.Trial.Max+2*w.pace {
					t.Fatalf("seed %d: at %v a trial is open for %v", seed, w.now, w.now-tx.Created.Boot)
				}
			}
			if t.Failed() {
				t.Fatal(w.story(5))
			}
		}
		states := map[tuner.State]int{}
		failed := map[experiment]time.Duration{} // when it did last
		for _, tx := range slices.Backward(w.journal) {
			states[tx.State]++
			step := tx.Steps[len(tx.Steps)-1]
			e := experiment{placeOf(false, "", "", step.Scope.Netns), step.Listener.Comm, step.Listener.Name(), step.From}
			if at, did := failed[e]; did && tx.Created.Boot-at < coolDown*window {
				t.Errorf("seed %d: %v was tried again after %v", seed, e, tx.Created.Boot-at)
			}
			delete(failed, e)
			if tx.State == tuner.RolledBack && ending(tx.Reason[:len(noBenefit)]) == noBenefit {
				failed[e] = tx.Closed.Sub(time.Unix(0, 0))
			}
		}
		t.Logf("seed %d: %d transactions, %v, %d decisions", seed, len(w.journal), states, w.enforcer.loop.register.number)
		if states[tuner.Confirmed] == 0 || states[tuner.RolledBack] == 0 || states[tuner.Conflict] == 0 {
			t.Errorf("seed %d: %v, want some of each", seed, states)
		}
	}
}
