// SPDX-License-Identifier: Apache-2.0

//go:build linux

package agent

import (
	"slices"
	"testing"
	"time"
)

func TestPeak(t *testing.T) {
	const kept = 60 * time.Second
	begin := time.Date(2026, 5, 2, 3, 0, 0, 0, time.UTC)
	values := []uint32{3, 9, 2, 2, 7, 0, 0, 1, 8, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 5}
	var p peak
	for i := range values {
		now := begin.Add(time.Duration(i) * 5 * time.Second)
		p.add(now, values[i], now.Add(-kept))
		want := slices.Max(values[max(0, i-12) : i+1])
		if got := p.max(); got != want {
			t.Errorf("after %d values: max = %d, want %d", i+1, got, want)
		}
		if len(p.values) > 13 {
			t.Fatalf("%d values are kept", len(p.values))
		}
	}
	if got := (&peak{}).max(); got != 0 {
		t.Errorf("max of nothing = %d", got)
	}
}
