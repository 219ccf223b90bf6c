// SPDX-License-Identifier: Apache-2.0

//go:build linux

package collector_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/qtune/qtune/collector"
	"github.com/qtune/qtune/host"
)

// TestReplayVitals proves that a recording tells how a process went, and not only
// how it was at the end.
func TestReplayVitals(t *testing.T) {
	const gunicorn = 17 // its queue is full in every step but the first
	const recorded = "../test/hosts/pods"
	if _, err := os.Stat(recorded); err != nil {
		t.Skip("no recorded hosts on this machine:", err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(recorded)); err != nil {
		t.Fatal(err)
	}
	began := time.Date(2026, 5, 2, 3, 0, 0, 0, time.UTC)
	for i, step := range []string{"000", "005", "010"} {
		b, err := json.Marshal(map[int]host.Vitals{gunicorn: {
			At: began.Add(time.Duration(i) * time.Second), Start: 5,
			Threads: map[int]host.ThreadTime{gunicorn: {Ran: uint64(1e9 * (i + 1))}},
		}})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, step, "vitals.json"), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rec, err := host.OpenRecording(dir)
	if err != nil {
		t.Fatal(err)
	}
	s, _, err := collector.New(rec, collector.Options{}).Replay(t.Context(), rec)
	if err != nil {
		t.Fatal(err)
	}
	if v := s.Vitals[gunicorn]; v.Over == 0 || v.Busiest != 1 {
		t.Errorf("vitals of gunicorn = %+v, want those of a time in which it ran without a pause", v)
	}
}
