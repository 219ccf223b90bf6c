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
