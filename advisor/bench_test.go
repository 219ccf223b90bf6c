// SPDX-License-Identifier: Apache-2.0

//go:build linux

package advisor

import (
	"testing"

	"github.com/qtune/qtune/policy"
)

// BenchmarkAdviseQuiet judges ten thousand listeners at which nothing happens.
func BenchmarkAdviseQuiet(b *testing.B) {
	p := play{once: true}
	for i := range 10000 {
		p.listeners = append(p.listeners, part{port: uint16(i + 1), limit: 128})
	}
	s, w := p.run()
	pol := policy.Default()
	b.ReportAllocs()
	for b.Loop() {
		if r := Advise(s, w, &pol); len(r.Findings) > 0 {
			b.Fatalf("found %v, want nothing", codes(r))
		}
	}
}
