// SPDX-License-Identifier: Apache-2.0

//go:build linux && e2e

package e2e

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/qtune/qtune/agent"
	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/policy"
	"github.com/qtune/qtune/test/lab"
	"github.com/qtune/qtune/tuner"
)

// TestLoopThroughTheTuner proves that the loop tunes as well when it has to ask
// for it over a socket.
func TestLoopThroughTheTuner(t *testing.T) {
	lab.NeedRoot(t)
	t.Parallel()
	w := newTown(t, "asked", shortQueue)
	w.server.Serve(healthy)
	w.busy(250*time.Millisecond, w.comes(110))
	asks := func(live *host.Live, behind *tuner.Tuner, ceiling policy.Policy) agent.Effects {
		socket := filepath.Join(t.TempDir(), "tuner.sock")
		l, err := tuner.ListenServer(t.Context(), socket)
		if err != nil {
			t.Fatal(err)
		}
		server := tuner.NewServer(live, behind, tuner.ServerOptions{
			Ceiling: func() (*policy.Policy, error) { p := ceiling; return &p, nil }, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		})
		ctx, end := context.WithCancel(context.WithoutCancel(t.Context()))
		ended := make(chan error, 1)
		go func() { ended <- server.Serve(ctx, l) }()
		t.Cleanup(func() {
			end()
			if err := <-ended; err != nil {
				t.Errorf("the tuner ended: %v", err)
			}
		})
		return tuner.NewRemote(socket)
	}
	e := enforceBy(t, asks, nil, w)
	e.onTrial(0)
	raised := w.limit()
	if raised <= shortLimit {
		t.Errorf("on trial with limit %d, want more than %d", raised, shortLimit)
	}
	e.ended(tuner.Confirmed, "confirm")
	e.end()
	if got := w.limit(); got != raised {
		t.Errorf("limit %d after it was confirmed, want %d", got, raised)
	}
}
