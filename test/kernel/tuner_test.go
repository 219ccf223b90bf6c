// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernel

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/qtune/qtune/agent"
	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/policy"
	"github.com/qtune/qtune/test/lab"
	"github.com/qtune/qtune/tuner"
)

// TestKernelLoopThroughTheTuner proves that the loop tunes as well when it has to ask
// for it over a socket.
func TestKernelLoopThroughTheTuner(t *testing.T) {
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

// TestKernelTunerCommand asks a real qtune tuner for a trial, and ends it by SIGTERM.
func TestKernelTunerCommand(t *testing.T) {
	h := newTuned(t)
	h.ns.Mount(filepath.Join(t.TempDir(), "shop"))
	before, _ := h.ns.Sysctl("net.core.somaxconn")
	socket, ceiling := filepath.Join(h.state, "tuner.sock"), filepath.Join(h.state, "ceiling.yaml")
	text := `{apiVersion: qtune.dev/v1alpha1, kind: ListenQueuePolicy, metadata: {name: ceiling}, spec: {mode: enforce, scopes: [pod], namespaces: [shop], bounds: {somaxconn: {max: 16384}}}}`
	if err := os.WriteFile(ceiling, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	h.run(1, "tuner", "--ceiling", ceiling+".none", "--socket", socket)
	server := lab.Command(t, append([]string{"tuner", "--ceiling", ceiling, "--socket", socket}, h.journal()...)...)
	lab.Wait(t, "the socket", func() bool { _, err := os.Stat(socket); return err == nil || !server.Running() })

	out := h.run(0, slices.Concat([]string{"plan", "-o", "json", "net.core.somaxconn=8192"}, h.place())...)
	plan, err := tuner.ReadPlan([]byte(out))
	if err != nil {
		t.Fatal(err)
	}
	remote := tuner.NewRemote(socket)
	tx, err := remote.Apply(t.Context(), tuner.Now{}, plan, tuner.ApplyOptions{Trial: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	h.wantSysctl("net.core.somaxconn", "8192")
	if state, id := h.newest(); state != "applied" || id != tx.ID {
		t.Errorf("the newest transaction is %s, %s, want %s, applied", id, state, tx.ID)
	}
	var shown struct{ Guardian string }
	if err := json.Unmarshal([]byte(h.run(0, append([]string{"explain", tx.ID, "-o", "json"}, h.journal()...)...)), &shown); err != nil || shown.Guardian != "agent" {
		t.Errorf("guardian %q, %v, want agent", shown.Guardian, err)
	}

	if err := unix.Kill(server.PID, unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := server.Wait(); code != 0 {
		t.Errorf("exit %d, want 0: %s", code, server.Stderr.String())
	}
	h.wantSysctl("net.core.somaxconn", before)
	if _, err := os.Stat(socket); err == nil {
		t.Error("the socket is left behind")
	}
}
