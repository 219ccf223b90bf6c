// SPDX-License-Identifier: Apache-2.0

//go:build linux

package page

import (
	"testing"
	"time"

	"github.com/qtune/qtune/inspection"
)

func TestScale(t *testing.T) {
	for n, want := range map[uint64]uint64{0: 2, 1: 2, 2: 2, 3: 4, 9: 10, 10: 10, 11: 20, 65535: 80000, 1<<32 + 1: 6_000_000_000} {
		if got := scaleOf(n); got != want {
			t.Errorf("scaleOf(%d) = %d, want %d", n, got, want)
		}
	}
}

func TestPercent(t *testing.T) {
	tests := []struct {
		name        string
		part, whole uint64
		want        int
	}{
		{"nothing", 0, 4097, 0},
		{"a little is seen", 1, 4097, 2},
		{"half", 5, 10, 50},
		{"full", 9, 9, 100},
		{"over its limit", 30, 9, 100},
	}
	for _, tt := range tests {
		if got := percent(tt.part, tt.whole); got != tt.want {
			t.Errorf("%s: percent(%d, %d) = %d, want %d", tt.name, tt.part, tt.whole, got, tt.want)
		}
	}
}

func TestPeakStaysInItsBar(t *testing.T) {
	longest := uint32(9)
	if got := acceptBar(&inspection.AcceptQueue{Limit: 8, Capacity: 9, Peak: &longest}); got.Peak != 97 || got.Level != "near" {
		t.Errorf("a queue that was full has its peak at %d and is %q, want 97 of 100 and near", got.Peak, got.Level)
	}
}

func TestChart(t *testing.T) {
	at := time.Date(2026, 5, 2, 3, 0, 0, 0, time.UTC)
	slots := []inspection.Slot{
		{Time: at.Add(10 * time.Second), Seconds: 10, Peak: 4, Length: 2},
		{Time: at.Add(40 * time.Second), Seconds: 30, Peak: 9, Length: 9, Refused: 5},
	}
	tests := []struct {
		name  string
		limit uint32
		line  float64 // of the limit
		peak  float64 // of the second slot
	}{
		{"the limit is in the chart", 8, plotBottom - 0.8*plotHigh, plotBottom - 0.9*plotHigh},
		{"a limit out of reach presses nothing flat", 4096, -1, plotBottom - 0.9*plotHigh},
		{"a limit of four times the longest is still drawn", 36, plotBottom - 0.9*plotHigh, plotBottom - 0.225*plotHigh},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := chartOf(&inspection.History{Limit: tt.limit, Slots: slots})
			if c.Limit != round(tt.line) {
				t.Errorf("the limit is at %v, want %v", c.Limit, tt.line)
			}
			if got := c.Slots[1].Peak; got != round(tt.peak) {
				t.Errorf("the longest is at %v, want %v", got, tt.peak)
			}
			if first, second := c.Slots[0], c.Slots[1]; first.Width != 25 || second.Left != 25 || second.Right() != 100 {
				t.Errorf("the slots are %v%% and from %v%% to %v%%, want each as wide as it is long", first.Width, second.Left, second.Right())
			}
			if c.Slots[0].Refused != 0 || c.Slots[1].Refused != stripHigh {
				t.Errorf("refusals are %v and %v high, want 0 and %d", c.Slots[0].Refused, c.Slots[1].Refused, stripHigh)
			}
		})
	}
	if got := chartOf(&inspection.History{Limit: 8}); got != nil {
		t.Errorf("chartOf of nothing = %v, want nil", got)
	}
}

func TestTrend(t *testing.T) {
	h := &inspection.History{Slots: []inspection.Slot{{Refused: 1}, {}, {Refused: 2}}}
	if got, want := trendOf(h), "M0.0 16v-9.0h19.7V16zM40.0 16v-16.0h19.7V16z"; got != want {
		t.Errorf("trendOf = %q, want %q", got, want)
	}
	if got := trendOf(&inspection.History{Slots: []inspection.Slot{{}, {Discards: 9}}}); got != "" {
		t.Errorf("trendOf of a quiet listener = %q, want none", got)
	}
}
