// SPDX-License-Identifier: Apache-2.0

//go:build linux

package agent

import (
	"testing"
	"time"

	"github.com/qtune/qtune/tcpq"
)

// TestRush proves that one burst is told from the next, and that no burst is taken
// for less than it was.
func TestRush(t *testing.T) {
	type read struct {
		after    time.Duration
		discards uint32
	}
	const ms = time.Millisecond
	tests := []struct {
		name  string
		reads []read
		want  tcpq.Sample
	}{
		{"nothing discarded", []read{{0, 0}, {500 * ms, 0}}, tcpq.Sample{}},
		{"one burst", []read{{0, 0}, {50 * ms, 30}, {100 * ms, 52}, {1200 * ms, 52}}, tcpq.Sample{Discards: 52, Burst: 52}},
		{"one that two sums share", []read{{0, 0}, {990 * ms, 30}, {1010 * ms, 52}, {1030 * ms, 60}}, tcpq.Sample{Discards: 60, Burst: 60}},
		{
			"three, each seconds after the one before",
			[]read{{0, 0}, {500 * ms, 50}, {1000 * ms, 50}, {2000 * ms, 50}, {3500 * ms, 100}, {4000 * ms, 100}, {5000 * ms, 100}, {6500 * ms, 160}},
			tcpq.Sample{Discards: 160, Burst: 60},
		},
		{"where nobody looked for long it may all be one", []read{{0, 0}, {5 * time.Second, 300}}, tcpq.Sample{Discards: 300, Burst: 300}},
		{"and its end may come after that", []read{{0, 0}, {5 * time.Second, 300}, {5100 * ms, 310}}, tcpq.Sample{Discards: 310, Burst: 310}},
		{"a counter that begins again at 0", []read{{0, 1<<32 - 10}, {50 * ms, 10}}, tcpq.Sample{Discards: 20, Burst: 20}},
	}
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := rush{seen: tt.reads[0].discards}
			var got tcpq.Sample
			for _, read := range tt.reads {
				r.count(&got, read.discards, start.Add(read.after))
			}
			if got != tt.want {
				t.Errorf("count = %+v, want %+v", got, tt.want)
			}
		})
	}
}
