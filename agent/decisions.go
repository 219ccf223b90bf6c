// SPDX-License-Identifier: Apache-2.0

//go:build linux

package agent

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"sync"

	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/tuner"
)

// What the loop does about a listener.
const (
	actWatch     = "watch"     // nothing, and nothing held it back
	actExplain   = "explain"   // it will not be tuned: the program is at fault
	actRecommend = "recommend" // it would help, and somebody else has to do it
	actWait      = "wait"      // perhaps later
	actApply     = "apply"
	actFail      = "fail" // to apply
	actExtend    = "extend"
	actConfirm   = "confirm"
	actRollback  = "rollback"
	actReapply   = "reapply" // what somebody else changed
)

// How many decisions are kept, and how many of them every Inspection shows.
const (
	decisionsMost  = 1000
	decisionsShown = 20
)

// A register keeps the last decisions, and counts all.
type register struct {
	mu     sync.Mutex // guards what follows: others ask while the loop decides
	kept   []inspection.Decision
	number uint64
	counts map[telling]uint64
	ended  map[ending]uint64
}

func newRegister() *register {
	r := &register{counts: map[telling]uint64{}, ended: map[ending]uint64{}}
	for _, e := range endings {
		r.ended[e] = 0
	}
	return r
}

// enter keeps a decision.
func (r *register) enter(now tuner.Now, d inspection.Decision) inspection.Decision {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.number++
	d.Time = now.Wall.UTC()
	d.ID = fmt.Sprintf("%s-%d", d.Time.Format("20060102T150405Z"), r.number)
	if d.Inputs == nil {
		d.Inputs = []inspection.Evidence{}
	}
	r.counts[tellingOf(&d)]++
	if len(r.kept) == decisionsMost {
		r.forget(decisionsMost / 10)
	}
	r.kept = append(r.kept, d)
	return d
}

// forget drops the oldest decisions, first those that are about no transaction: a
// listener on the edge between two verdicts makes many.
func (r *register) forget(count int) {
	for _, all := range []bool{false, true} {
		r.kept = slices.DeleteFunc(r.kept, func(d inspection.Decision) bool {
			drop := count > 0 && (all || d.Transaction == "")
			if drop {
				count--
			}
			return drop
		})
	}
}

// end counts a transaction that ended.
func (r *register) end(how ending) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended[how]++
}

// last returns the newest decisions, the newest first.
func (r *register) last(most int) []inspection.Decision {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := append([]inspection.Decision{}, r.kept[max(0, len(r.kept)-most):]...) // [] in JSON
	slices.Reverse(out)
	return out
}

// show fills in what is counted, in an order that stays.
func (r *register) show(t *inspection.Tuning) {
	t.Decisions = r.last(decisionsShown)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range endings {
		t.Transactions = append(t.Transactions, inspection.OutcomeCount{Outcome: string(e), Count: r.ended[e]})
	}
	for _, k := range slices.SortedFunc(maps.Keys(r.counts), func(a, b telling) int {
		return cmp.Or(cmp.Compare(a.verdict, b.verdict), cmp.Compare(a.action, b.action), cmp.Compare(a.rail, b.rail))
	}) {
		t.Counts = append(t.Counts, inspection.DecisionCount{Verdict: k.verdict, Action: k.action, Rail: k.rail, Count: r.counts[k]})
	}
}

// A telling is what makes a decision worth telling: another than the one before.
type telling struct{ verdict, action, rail string }

func tellingOf(d *inspection.Decision) telling { return telling{d.Verdict, d.Action, d.Rail} }

// rounded keeps three digits, so that nobody reads more into a number than it says.
func rounded(f float64) float64 {
	r, err := strconv.ParseFloat(strconv.FormatFloat(f, 'g', 3, 64), 64)
	if err != nil || math.IsInf(f, 0) {
		return f
	}
	return r
}

func digits(f float64) string { return strconv.FormatFloat(rounded(f), 'g', -1, 64) }
