// SPDX-License-Identifier: Apache-2.0

//go:build linux

package agent

import (
	"testing"
	"time"

	"github.com/qtune/qtune/inspection"
)

// BenchmarkDecide is a decision on a host of 500 namespaces with 20 listeners each, of
// which ten lose connections.
func BenchmarkDecide(b *testing.B) {
	w := newWorld(b)
	for i := range 500 {
		height := uint32(20)
		if i < 10 {
			height = 300
		}
		w.serve(bursts(height))
	}
	w.policy.Mode = "advise"
	w.run(15 * time.Minute)
	s, _ := w.snapshot()
	for i := range s.Namespaces {
		n := &s.Namespaces[i]
		for len(n.Listeners) < 20 {
			l := n.Listeners[0]
			l.Cookie += uint64(1_000_000 * len(n.Listeners))
			n.Listeners = append(n.Listeners, l)
		}
	}
	win := w.course.window
	in := inspection.From(s, &win, judge(s, &win, &w.policy))
	now, _ := w.Now()
	b.ReportMetric(float64(len(in.Listeners)), "listeners")
	b.ReportAllocs()
	for b.Loop() {
		w.enforcer.loop.decide(now, &look{in: in, snapshot: s, window: &win, policy: &w.policy})
	}
}
