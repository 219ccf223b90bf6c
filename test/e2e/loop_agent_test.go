// SPDX-License-Identifier: Apache-2.0

//go:build linux && e2e

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/qtune/qtune/test/lab"
)

// signalsPolicy lets an agent change the namespace "signals" only.
const signalsPolicy = `apiVersion: qtune.dev/v1alpha1
kind: ListenQueuePolicy
metadata: {name: signals}
spec:
  mode: enforce
  namespaces: [signals]
  bounds:
    somaxconn: {max: 8192}
  trial: {duration: 1m, max: 2m}
  liveResize: {namespaces: [signals]}
`

// TestLoopAgent proves of the program that mode enforce needs a policy file; that
// SIGHUP reads it again and one that is not right changes nothing but is told; that a
// trial is told; and that SIGTERM rolls it back.
func TestLoopAgent(t *testing.T) {
	lab.NeedRoot(t)
	lab.NeedRealTime(t)
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "policy.yaml")
	args := []string{
		"--mode", "enforce", "--policy", file, "--state-dir", filepath.Join(dir, "journal"), "--lock-file", filepath.Join(dir, "lock"),
		"--step", "100ms",
	}
	refused := lab.GoAgent(t, append([]string{"--web.listen-address", "127.0.0.1:0", "--socket", ""}, args...)...)
	if code := refused.Wait(); code != 1 || !strings.Contains(refused.Stderr.String(), "without a policy that sets bounds nothing is changed") {
		t.Errorf("exit %d, %s, want 1 and why", code, refused.Stderr.String())
	}

	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(signalsPolicy)
	w := newTown(t, "signals", shortQueue)
	w.server.Serve(healthy)
	w.busy(250*time.Millisecond, w.comes(110))
	a := lab.StartAgent(t, args...)
	followed := a.Inspection().Agent.Policy
	hangUp := func(text string, right float64) {
		write(text)
		if err := syscall.Kill(a.PID, syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		lab.Wait(t, "the policy to be read again", func() bool {
			told, _ := a.Metric("qtune_policy_last_reload_successful", nil)
			return told == right
		})
	}
	hangUp(signalsPolicy+"  colour: blue\n", 0)
	if got := a.Inspection().Agent; got.Policy != followed || !strings.Contains(got.PolicyError, "colour") {
		t.Errorf("policy %s (%s), want %s and what is wrong", got.Policy, got.PolicyError, followed)
	}
	hangUp(signalsPolicy+"  maxPerHour: 5\n", 1)
	if got := a.Inspection().Agent; got.Policy == followed || got.PolicyError != "" {
		t.Errorf("policy %s (%s), want another than %s", got.Policy, got.PolicyError, followed)
	}

	const patience = 3 * time.Minute // two windows of 12 s, on a busy machine
	if !lab.Within(patience, func() bool { return a.Inspection().Agent.Tuning.Trial != nil }) {
		t.Fatalf("nothing is on trial: %+v", a.Inspection().Agent.Tuning.Decisions)
	}
	if open, ok := a.Metric("qtune_tuner_open_transaction", nil); !ok || open != 1 {
		t.Errorf("qtune_tuner_open_transaction %g, %t, want 1", open, ok)
	}
	if n, _ := a.Metric("qtune_decisions_total", map[string]string{"verdict": "BurstOverflow", "action": "apply", "rail": ""}); n != 1 {
		t.Errorf("decisions to apply: %g, want 1", n)
	}
	if _, page := a.Get("/"); !strings.Contains(string(page), "On trial since") {
		t.Error("the page does not tell of the trial")
	}
	if _, all := a.Get("/api/v1/decisions?transaction=" + a.Inspection().Agent.Tuning.Trial.Transaction); !strings.Contains(string(all), `"action":"apply"`) {
		t.Errorf("the decisions do not tell of the trial: %s", all)
	}
	if got := w.limit(); got <= shortLimit {
		t.Errorf("limit %d on trial, want more than %d", got, shortLimit)
	}
	a.Terminate()
	if code := a.Wait(); code != 0 {
		t.Errorf("exit code %d: %s", code, a.Stderr.String())
	}
	if got := w.limit(); got != shortLimit {
		t.Errorf("limit %d after SIGTERM, want %d", got, shortLimit)
	}
}

// TestAgentWithoutItsTuner proves that an agent whose tuner is away tells it where an
// alert finds it, and that it goes on.
func TestAgentWithoutItsTuner(t *testing.T) {
	lab.NeedRoot(t)
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "policy.yaml")
	if err := os.WriteFile(file, []byte(signalsPolicy), 0o600); err != nil {
		t.Fatal(err)
	}
	a := lab.StartAgent(t, "--mode", "enforce", "--policy", file, "--tuner", filepath.Join(dir, "tuner.sock"))
	lab.Wait(t, "the agent to tell that it cannot ask", func() bool {
		n, _ := a.Metric("qtune_tuner_troubles", nil)
		return n > 0
	})
	troubles := a.Inspection().Agent.Tuning.Troubles
	if len(troubles) == 0 || !strings.Contains(troubles[0].Error, "tuner.sock") {
		t.Errorf("troubles: %+v, want that the tuner's socket is not there", troubles)
	}
	if _, page := a.Get("/"); !strings.Contains(string(page), "Not possible now") {
		t.Error("the page does not tell of it")
	}
}
