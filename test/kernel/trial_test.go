// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernel

import (
	"log/slog"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/qtune/qtune/tuner"
)

// begin begins a trial of what was planned by the command, as one who ends before he
// decides it.
func (h *tuned) begin(values ...string) (id string) {
	h.t.Helper()
	out := h.run(0, slices.Concat([]string{"plan", "-o", "json"}, values, h.place())...)
	plan, err := tuner.ReadPlan([]byte(out))
	if err != nil {
		h.t.Fatal(err)
	}
	l := live(h.t)
	now, err := tuner.Present(l)
	if err != nil {
		h.t.Fatal(err)
	}
	tn := tuner.New(l, tuner.Options{Dir: h.state, Lock: filepath.Join(h.state, "lock"), Root: "/", Log: slog.New(slog.DiscardHandler)})
	tx, err := tn.Apply(h.t.Context(), now, plan, tuner.ApplyOptions{Trial: time.Hour})
	if err != nil {
		h.t.Fatal(err)
	}
	return tx.ID
}

// TestKernelTrialEnds has trials decided by commands that did not begin them: each
// finds the namespace again, before Linux 5.14 by a process in it.
func TestKernelTrialEnds(t *testing.T) {
	const key, listener = "net.core.somaxconn", "--listener=127.0.0.1:8000=4100"
	tests := []struct {
		name           string
		command        []string
		state, setting string
		limit          uint32
	}{
		{"confirmed", []string{"confirm"}, "confirmed", "8192", 4100},
		{"rolled back", []string{"rollback"}, "rolled-back", "4096", 8},
		{"not recovered before its end", []string{"recover"}, "applied", "8192", 4100},
		{"recovered, for nobody waits for it", []string{"recover", "--orphaned"}, "rolled-back", "4096", 8},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newTuned(t)
			h.ns.SetSysctl(key, "4096")
			id := h.begin(key+"=8192", listener)
			h.wantSysctl(key, "8192")
			h.wantLimit(4100)
			command := tt.command
			if command[0] != "recover" {
				command = append(command[:1:1], id)
			}
			h.run(0, append(command, h.journal()...)...)
			if state, _ := h.newest(); state != tt.state {
				t.Errorf("state = %s, want %s", state, tt.state)
			}
			h.wantSysctl(key, tt.setting)
			h.wantLimit(tt.limit)
		})
	}
}
