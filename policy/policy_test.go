// SPDX-License-Identifier: Apache-2.0

//go:build linux

package policy

import (
	"fmt"
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
		{"past the ceiling", func(p *Policy) { p.Somaxconn.Max = 1<<20 + 1 }, "somaxconn.max is 1048577: must be from 1 to 1048576 connections"},
		{"zero as a lower bound", func(p *Policy) { p.MaxSynBacklog.Min = 0 }, "tcpMaxSynBacklog.min is 0: must be from 1 to 262144 connections"},
		{"ends swapped", func(p *Policy) { p.Backlog = Range{512, 128} }, "backlog.min is 512, more than its max, 128"},
		{"no latency at all", func(p *Policy) { p.LatencyBudget = 0 }, "latencyBudget is 0s"},
		{"the longest latency", func(p *Policy) { p.LatencyBudget = 3 * time.Second }, ""},
		{"past the longest latency", func(p *Policy) { p.LatencyBudget = 3*time.Second + 1 }, "latencyBudget is"},
		{"no headroom", func(p *Policy) { p.Headroom = 0 }, ""},
		{"headroom below none", func(p *Policy) { p.Headroom = -1 }, "headroomPercent is -1"},
		{"no mode", func(p *Policy) { p.Mode = "" }, `spec.mode "": want observe or advise or enforce`},
		{"a mode in other letters", func(p *Policy) { p.Mode = "Enforce" }, "did you mean enforce?"},
		{"no scope", func(p *Policy) { p.Scopes = nil }, "spec.scopes is empty: want host or pod"},
		{"a scope twice", func(p *Policy) { p.Scopes = []string{"pod", "pod"} }, `spec.scopes "pod" is there twice`},
		{"the shortest trial", func(p *Policy) { p.Trial.Duration = time.Minute }, ""},
		{"less than the shortest trial", func(p *Policy) { p.Trial.Duration = time.Minute - 1 }, "spec.trial.duration is 59.999999999s: must be from 1m to 1h"},
		{"a trial longer than its longest", func(p *Policy) { p.Trial.Max = 29 * time.Minute }, "spec.trial.duration is 30m, more than trial.max, 29m"},
		{"a trial as long as its longest", func(p *Policy) { p.Trial.Max = 30 * time.Minute }, ""},
		{"no change at all in an hour", func(p *Policy) { p.MaxPerHour = 0 }, "spec.maxPerHour is 0: must be from 1 to 60 changes"},
		{"all memory", func(p *Policy) { p.Memory.Worst = 100 }, ""},
		{"more than all memory", func(p *Policy) { p.Memory.Worst = 101 }, "spec.memory.worstPercent is 101: must be from 1 to 100 per cent"},
		{"32 excluded commands", func(p *Policy) { p.Exclude.Commands = commands(32) }, ""},
		{"33 excluded commands", func(p *Policy) { p.Exclude.Commands = commands(33) }, "spec.exclude.commands has 33 entries: at most 32"},
		{"a command with its path", func(p *Policy) { p.Exclude.Commands = []string{"/usr/sbin/nginx"} }, `"/usr/sbin/nginx" is a path`},
		{"the host to be resized, out of scope", func(p *Policy) { p.LiveResize.Namespaces = []string{"host"} }, "spec.liveResize.namespaces names host, which spec.scopes does not"},
		{"the host to be resized, in scope", func(p *Policy) {
			p.Scopes, p.LiveResize.Namespaces = []string{ScopeHost}, []string{"host"}
		}, ""},
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

	bad := Default()
	bad.Backlog, bad.Headroom, bad.OnDrift = Range{}, -1, "fight"
	if err := bad.Validate(); err == nil || strings.Count(err.Error(), "\n") != 3 {
		t.Errorf("Validate = %v, want all four faults", err)
	}
}

// commands returns n names that differ.
func commands(n int) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprint("server", i))
	}
	return all
}
