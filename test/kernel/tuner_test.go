// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernel

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/qtune/qtune/test/lab"
	"github.com/qtune/qtune/tuner"
)

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
