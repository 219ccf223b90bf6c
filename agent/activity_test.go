// SPDX-License-Identifier: Apache-2.0

//go:build linux

package agent

import (
	"testing"
	"time"
)

func TestActivity(t *testing.T) {
	begin := time.Date(2026, 5, 2, 3, 0, 0, 0, time.UTC)
	at := func(ms int) time.Time { return begin.Add(time.Duration(ms) * time.Millisecond) }
	tests := []struct {
		name string
		done time.Time
		cost time.Duration
		gap  time.Duration
		due  time.Time
	}{
		{"what costs little is due a period later", at(0), time.Millisecond, time.Second, at(1000)},
		{"and a period after it was due, though it came late", at(300), time.Millisecond, time.Second, at(1000)},
		{"what costs more than its share waits longer", at(0), 40 * time.Millisecond, 4 * time.Second, at(4000)},
		{"what came a period late begins anew", at(1500), time.Millisecond, time.Second, at(2500)},
		{"a clock that went backwards costs nothing", at(0), -time.Second, time.Second, at(1000)},
	}
	for _, tt := range tests {
		a := activity{period: time.Second, share: 0.01, due: begin}
		a.done(tt.done, tt.cost)
		if a.gap() != tt.gap || !a.due.Equal(tt.due) {
			t.Errorf("%s: gap %v, due after %v, want %v, %v", tt.name, a.gap(), a.due.Sub(begin), tt.gap, tt.due.Sub(begin))
		}
		if a.isDue(tt.due.Add(-1)) || !a.isDue(tt.due) {
			t.Errorf("%s: isDue is not true from %v on", tt.name, tt.due.Sub(begin))
		}
	}
}

func TestBudget(t *testing.T) {
	const cost = 10 * time.Millisecond // 1 % of a CPU once a second
	tests := []struct {
		name  string
		costs []time.Duration // of activities that have 1 % each and 1.5 % together
		want  []time.Duration // their gaps when all were done twice
	}{
		{"what is within the budget is done as planned", []time.Duration{cost, cost / 4}, []time.Duration{time.Second, time.Second}},
		{"what fills it, too", []time.Duration{cost, cost / 2}, []time.Duration{time.Second, time.Second}},
		{"what exceeds it is done less often by one factor, be it dear or cheap", []time.Duration{cost, cost, cost, 0}, []time.Duration{2 * time.Second, 2 * time.Second, 2 * time.Second, 2 * time.Second}},
		{"beside the share of each", []time.Duration{3 * cost, cost, cost}, []time.Duration{6 * time.Second, 2 * time.Second, 2 * time.Second}},
	}
	for _, tt := range tests {
		b := &budget{share: 0.015}
		all := make([]activity, len(tt.costs))
		for range 2 {
			for i := range all {
				all[i].period, all[i].share, all[i].budget = time.Second, 0.01, b
				all[i].done(time.Time{}, tt.costs[i])
			}
		}
		for i := range all {
			if got := all[i].gap(); got != tt.want[i] {
				t.Errorf("%s: gap of number %d = %v, want %v", tt.name, i, got, tt.want[i])
			}
		}
		for i := range all[1:] {
			all[1+i].rest()
		}
		all[0].done(time.Time{}, cost)
		if got := all[0].gap(); got != time.Second {
			t.Errorf("%s: gap of the first when the others rest = %v, want its own", tt.name, got)
		}
	}
}

// TestBudgetOfADearOne proves that one owner search or dump which was dear does not
// put off the next step for long.
func TestBudgetOfADearOne(t *testing.T) {
	b := &budget{share: 0.015}
	steps := activity{period: time.Second, share: 0.01, budget: b}
	owners := activity{period: time.Second, share: 0.01, budget: b}
	for _, cost := range []time.Duration{time.Millisecond, time.Second} {
		owners.done(time.Time{}, cost)
		steps.done(time.Time{}, 10*time.Millisecond)
	}
	if got, most := steps.gap(), 1100*time.Millisecond; got <= time.Second || got > most {
		t.Errorf("gap of what fills its share = %v, want more than %v and at most %v", got, time.Second, most)
	}
}
