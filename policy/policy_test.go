// SPDX-License-Identifier: Apache-2.0

//go:build linux

package policy

import (
	"strings"
	"testing"
	"time"
)

func TestDefaultIsValid(t *testing.T) {
	p := Default()
	if err := p.Validate(); err != nil {
		t.Errorf("Validate of the default policy = %v, want nil", err)
	}
}

func TestValidate(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Policy)
		want   string // part of the error, "" for none
	}{
		{"a bound of one value", func(p *Policy) { p.Backlog = Range{4096, 4096} }, ""},
		{"the ceiling", func(p *Policy) { p.Somaxconn.Max = 1 << 20 }, ""},
		{"past the ceiling", func(p *Policy) { p.Somaxconn.Max = 1<<20 + 1 }, "somaxconn.max is 1048577: must be 1048576 or less"},
		{"zero as a lower bound", func(p *Policy) { p.MaxSynBacklog.Min = 0 }, "tcpMaxSynBacklog.min is 0: must be 1 or more"},
		{"ends swapped", func(p *Policy) { p.Backlog = Range{512, 128} }, "backlog.min is 512, more than its max, 128"},
		{"no latency at all", func(p *Policy) { p.LatencyBudget = 0 }, "latencyBudget is 0s"},
		{"the longest latency", func(p *Policy) { p.LatencyBudget = 3 * time.Second }, ""},
		{"past the longest latency", func(p *Policy) { p.LatencyBudget = 3*time.Second + 1 }, "latencyBudget is"},
		{"no headroom", func(p *Policy) { p.Headroom = 0 }, ""},
		{"headroom below none", func(p *Policy) { p.Headroom = -1 }, "headroomPercent is -1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := Default()
			tt.change(&p)
			err := p.Validate()
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Validate = %v, want %q", err, tt.want)
			}
		})
	}

	bad := Policy{}
	if err := bad.Validate(); err == nil || strings.Count(err.Error(), "\n") != 3 {
		t.Errorf("Validate of the zero policy = %v, want all four faults", err)
	}
}

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
