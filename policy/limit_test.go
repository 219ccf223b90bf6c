// SPDX-License-Identifier: Apache-2.0

//go:build linux

package policy

import "testing"

func TestLimit(t *testing.T) {
	tests := []struct {
		name    string
		need    uint64
		accepts float64
		want    int64
	}{
		{"nothing is needed", 0, 0, 128},
		{"headroom reaches the lower bound", 85, 0, 128},
		{"headroom passes it", 86, 0, 256},
		{"a burst of 700", 700, 0, 2048},
		{"more than 65535 is not recommended", 60000, 0, 65535},
		{"a number past all bounds", 1 << 63, 0, 65535},
		{"a slow program may have the kernel's default", 2700, 10, 4096},
		{"and no more than that", 10000, 10, 4096},
		{"a fast one what it works off in a second", 10000, 9000, 8192},
		{"and the same when it was a little faster", 10000, 9700, 8192},
		{"a very fast one what it needs", 10000, 1e6, 16384},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := Default()
			if got := p.Limit(tt.need, tt.accepts); got != tt.want {
				t.Errorf("Limit(%d, %v) = %d, want %d", tt.need, tt.accepts, got, tt.want)
			}
		})
	}
}

func TestSynBacklog(t *testing.T) {
	p := Default()
	p.Backlog.Max = 1024 // bounds another number
	for need, want := range map[uint64]int64{0: 128, 100: 256, 60000: 131072, 1 << 40: 262144} {
		if got := p.SynBacklog(need); got != want {
			t.Errorf("SynBacklog(%d) = %d, want %d", need, got, want)
		}
	}
}
