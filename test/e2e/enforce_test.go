// SPDX-License-Identifier: Apache-2.0

//go:build linux && e2e

package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/test/lab"
	"github.com/qtune/qtune/tuner"
)

// halves builds the overlay enforce, which may resize in shop.
func halves(t *testing.T) (agent, privileged container) {
	t.Helper()
	o := build(t, "enforce")
	o.replace("namespaces: []", `namespaces: ["pod:shop/*"]`)
	agent = o.daemonSet("qtune")
	agent.args = append(agent.args, "--step=100ms", "--cpu-budget=100") // a window of 12 s
	return agent, o.daemonSet("qtune-tuner")
}

// once runs a command to its end in a container like one of the halves.
func (e *engine) once(c container, args ...string) (code int, said string) {
	e.t.Helper()
	c.args, c.flags = args, append(slices.Clone(c.flags), "--rm")
	words := slices.DeleteFunc(c.run(""), func(word string) bool { return word == "-d" })
	out, err := e.command(e.t.Context(), words...).CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode(), string(out)
	}
	if err != nil {
		e.t.Fatal(err)
	}
	return 0, string(out)
}

// TestEnforce runs both halves of the overlay: for the bursts that a pod's server
// loses, the one that may change something does, asked by the one that may not.
func TestEnforce(t *testing.T) {
	e := startEngine(t)
	s := e.openShop()
	s.busy()
	agent, privileged := halves(t)
	half := e.docker(privileged.run("")...)
	id := e.docker(agent.run("")...)
	at := e.address(id, agentPort)
	e.waitReady(id, at)
	e.checkGaveUp(id)
	s.checkObserver(agent)

	tuning := func() *inspection.Tuning { return e.inspection(at).Agent.Tuning }
	const patience = 3 * time.Minute // two windows, on a busy machine
	if !lab.Within(patience, func() bool { return tuning().Trial != nil }) {
		t.Fatalf("nothing is on trial: %+v\n%s", tuning().Decisions, e.logs(id))
	}
	if somaxconn, limit := s.has(); somaxconn < customers || limit < customers {
		t.Errorf("on trial somaxconn is %d and the limit %d, want %d or more", somaxconn, limit, customers)
	}
	remote := tuner.NewRemote(e.root() + tuner.ServerSocket)
	history, err := remote.History(t.Context())
	if err != nil || len(history) != 1 || history[0].Actor.Comm != tuner.AgentActor || history[0].State != tuner.Applied {
		t.Errorf("the journal of the tuner is %+v, %v; want one transaction of the agent, on trial", history, err)
	}

	e.docker("stop", half)
	if code := e.docker("inspect", "-f", "{{.State.ExitCode}}", half); code != "0" {
		t.Errorf("the tuner ended with %s, want 0: %s", code, e.logs(half))
	}
	s.unchanged("after SIGTERM to the tuner")
	if !lab.Within(patience, func() bool { return strings.Contains(e.logs(id), "none runs there") }) {
		t.Errorf("the agent does not say that no tuner runs: %s", e.logs(id))
	}
	s.unchanged("while the agent is alone")
	e.docker("start", half)
	tried := func() bool {
		history, err = remote.History(t.Context())
		return err == nil && len(history) == 2 && history[0].State == tuner.Applied
	}
	if !lab.Within(patience, tried) || history[1].State != tuner.RolledBack {
		t.Errorf("the journal of the next tuner is %+v, %v; want the first transaction rolled back, and another", history, err)
	}
}

// checkGaveUp checks what the kernel keeps of an agent that runs.
func (e *engine) checkGaveUp(id string) {
	e.t.Helper()
	text, err := os.ReadFile(e.root() + "/proc/" + e.docker("inspect", "-f", "{{.State.Pid}}", id) + "/status")
	if err != nil {
		e.t.Fatal(err)
	}
	// SYS_ADMIN, SYS_PTRACE, DAC_READ_SEARCH; the engine's filter and its own.
	for _, want := range []string{"CapEff:\t0000000000280004", "CapBnd:\t0000000000280004", "NoNewPrivs:\t1", "Seccomp_filters:\t2"} {
		if !strings.Contains(string(text), want+"\n") {
			e.t.Errorf("the agent's status has no %q: %s", want, text)
		}
	}
}

// checkObserver tries to change something with what the agent has.
func (s *shop) checkObserver(agent container) {
	s.e.t.Helper()
	apply := []string{"apply", "--rootfs", "/host", "--netns", strconv.FormatUint(s.netns, 10), "--for", "10ms", "--yes"}
	own := []string{"--state-dir", "/run/qtune/state", "--lock-file", "/run/qtune/lock"} // where it may write
	for _, tt := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"a listener", append(apply, "--listener", "0.0.0.0:8080=64"), 12, "read-only file system"},
		{"a listener, with a journal of its own", slices.Concat(apply, own, []string{"--listener", "0.0.0.0:8080=64"}), 12, "read-only"},
		{"a sysctl", slices.Concat(apply, own, []string{"net.core.somaxconn=64"}), 12, "read-only"},
		{"the tuner's file", append(apply, "--state-dir", "/host/run/qtune", "net.core.somaxconn=64"), 12, "read-only file system"},
	} {
		if code, said := s.e.once(agent, tt.args...); code != tt.code || !strings.Contains(said, tt.says) {
			s.e.t.Errorf("%s: exit %d, want %d with %q: %s", tt.name, code, tt.code, tt.says, said)
		}
		if _, limit := s.has(); limit != shopLimit {
			return // the loop was faster
		}
	}
}

// TestTunerServesRootOnly runs the agent's half as another user.
func TestTunerServesRootOnly(t *testing.T) {
	e := startEngine(t)
	agent, privileged := halves(t)
	e.docker(privileged.run("")...)
	agent.flags = append(agent.flags, "--user", "65534")
	id := e.docker(agent.run("")...)
	if !lab.Within(patience, func() bool { return strings.Contains(e.logs(id), "tuner.sock: connect: permission denied") }) {
		t.Errorf("the agent does not say that it may not ask: %s", e.logs(id))
	}
}

// TestTunerCapabilities takes away each capability of the tuner in turn: it says
// which it lacks, and changes nothing.
func TestTunerCapabilities(t *testing.T) {
	e := startEngine(t)
	s := e.openShop()
	_, privileged := halves(t)
	code, text := e.once(privileged, "plan", "--rootfs", "/host", "--netns", strconv.FormatUint(s.netns, 10), "--for", "10ms", "--listener", "0.0.0.0:8080=64", "-o", "json")
	plan, err := tuner.ReadPlan([]byte(text))
	if code != 0 || err != nil {
		t.Fatalf("plan: exit %d, %v: %s", code, err, text)
	}
	remote := tuner.NewRemote(e.root() + tuner.ServerSocket)
	ask := func(t *testing.T, without string) (half string, tx *tuner.Transaction, err error) {
		t.Helper()
		half = e.docker(privileged.run(without)...)
		lab.Wait(t, "the tuner to serve", func() bool { _, err := remote.History(t.Context()); return err == nil })
		tx, err = remote.Apply(t.Context(), tuner.Now{}, plan, tuner.ApplyOptions{Trial: time.Minute, Why: "a test"})
		return half, tx, err
	}
	for _, without := range privileged.caps {
		t.Run("without "+without, func(t *testing.T) {
			half, _, err := ask(t, without)
			defer e.docker("rm", "-f", half)
			if !errors.Is(err, host.ErrPermission) || !strings.Contains(fmt.Sprint(err), "CAP_"+without) {
				t.Errorf("it says %v; want that it is not permitted, and CAP_%s", err, without)
			}
			s.unchanged("then")
		})
	}
	half, tx, err := ask(t, "")
	if somaxconn, limit := s.has(); err != nil || tx.State != tuner.Applied || somaxconn != 64 || limit != 64 {
		t.Errorf("with all of them: %v, somaxconn is %d and the limit %d, want 64", err, somaxconn, limit)
	}
	e.docker("stop", half)
	s.unchanged("after SIGTERM")
}
