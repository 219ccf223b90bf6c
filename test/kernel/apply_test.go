// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernel

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/qtune/qtune/test/lab"
)

// A tuned host is a namespace with a listener, and a journal of its own.
type tuned struct {
	t      *testing.T
	ns     *lab.Namespace
	state  string
	listen *lab.Held
}

func newTuned(t *testing.T) *tuned {
	t.Helper()
	lab.NeedRoot(t)
	h := &tuned{t: t, ns: lab.NewNamespace(t), state: t.TempDir()}
	child := h.ns.Start(lab.Process{Listen: []lab.Socket{{Addr: "127.0.0.1", Port: 8000, Backlog: 8}}})
	h.listen = child.Listeners[0]
	return h
}

// journal are the flags that say where it lies.
func (h *tuned) journal() []string {
	return []string{"--state-dir", h.state, "--lock-file", filepath.Join(h.state, "lock")}
}

// place are the flags that say which namespace is meant.
func (h *tuned) place() []string { return []string{"--netns", h.ns.Path(), "--for", "10ms"} }

// run runs a command that must exit with this code.
func (h *tuned) run(want int, args ...string) (stdout string) {
	h.t.Helper()
	r := lab.Command(h.t, args...)
	if code := r.Wait(); code != want {
		h.t.Fatalf("qtune %v: exit %d, want %d\n%s%s", args, code, want, r.Stdout.String(), r.Stderr.String())
	}
	return r.Stdout.String()
}

// apply applies values without a trial.
func (h *tuned) apply(want int, args ...string) string {
	h.t.Helper()
	return h.run(want, slices.Concat([]string{"apply", "--yes"}, args, h.place(), h.journal())...)
}

func (h *tuned) wantSysctl(key, want string) {
	h.t.Helper()
	if got, _ := h.ns.Sysctl(key); got != want {
		h.t.Errorf("%s = %s, want %s", key, got, want)
	}
}

// wantLimit asks the kernel for the limit of the listener.
func (h *tuned) wantLimit(want uint32) {
	h.t.Helper()
	in := lab.Inspect(h.t, "--netns", h.ns.Path(), "--for", "0")
	for _, l := range in.Listeners {
		if l.Port == 8000 && l.AcceptQueue.Limit != want {
			h.t.Errorf("limit = %d, want %d", l.AcceptQueue.Limit, want)
		}
	}
}

// newest returns the state and the id of the newest transaction.
func (h *tuned) newest() (state, id string) {
	h.t.Helper()
	var history struct {
		Kind         string
		Transactions []struct{ ID, State string }
	}
	out := h.run(0, slices.Concat([]string{"history", "-o", "json"}, h.journal())...)
	if err := json.Unmarshal([]byte(out), &history); err != nil || history.Kind != "History" || len(history.Transactions) == 0 {
		h.t.Fatalf("history: %v in %s", err, out)
	}
	return history.Transactions[0].State, history.Transactions[0].ID
}

// TestKernelApplySysctl applies a sysctl in a namespace and takes it back.
func TestKernelApplySysctl(t *testing.T) {
	h := newTuned(t)
	const key = "net.core.somaxconn"
	before, _ := h.ns.Sysctl(key)
	h.run(2, slices.Concat([]string{"plan", "--detailed-exitcode", key + "=8192"}, h.place())...)
	h.wantSysctl(key, before) // a plan writes nothing

	h.apply(0, key+"=8192")
	h.wantSysctl(key, "8192")
	if out := h.apply(0, key+"=8192"); !strings.Contains(out, "nothing to change") {
		t.Errorf("applied twice: %s", out)
	}
	h.run(0, slices.Concat([]string{"plan", "--detailed-exitcode", key + "=8192"}, h.place())...)
	state, id := h.newest()
	if state != "confirmed" {
		t.Errorf("state = %s, want confirmed", state)
	}
	if out := h.run(0, append([]string{"explain", id[:12]}, h.journal()...)...); !strings.Contains(out, before+" -> 8192") {
		t.Errorf("explain %s: %s", id, out)
	}
	h.run(0, append([]string{"drift"}, h.journal()...)...)

	h.run(0, append([]string{"rollback", strings.ToLower(id)}, h.journal()...)...)
	h.wantSysctl(key, before)
	h.run(1, append([]string{"rollback", id}, h.journal()...)...) // it is undone already
}

// TestKernelApplyListener resizes a running listener and takes it back.
func TestKernelApplyListener(t *testing.T) {
	h := newTuned(t)
	h.apply(0, "--listener", "127.0.0.1:8000=2048")
	h.wantLimit(2048)
	_, id := h.newest()
	h.run(0, append([]string{"rollback", id}, h.journal()...)...)
	h.wantLimit(8)
}

// TestKernelApplySavedPlan applies a plan that was saved, until its base moves.
func TestKernelApplySavedPlan(t *testing.T) {
	h := newTuned(t)
	plan := filepath.Join(t.TempDir(), "plan.json")
	h.run(0, slices.Concat([]string{"plan", "net.core.somaxconn=8192", "--out", plan}, h.place())...)
	h.ns.SetSysctl("net.core.somaxconn", "5000")
	h.apply(16, plan)
	h.wantSysctl("net.core.somaxconn", "5000")
	h.ns.SetSysctl("net.core.somaxconn", "4096")
	h.run(0, slices.Concat([]string{"plan", "net.core.somaxconn=8192", "--out", plan}, h.place())...)
	h.apply(0, plan)
	h.wantSysctl("net.core.somaxconn", "8192")
}

// TestKernelForeignValuesStay lets somebody else write what was applied.
func TestKernelForeignValuesStay(t *testing.T) {
	h := newTuned(t)
	h.apply(0, "net.core.somaxconn=8192")
	h.ns.SetSysctl("net.core.somaxconn", "1024")
	if out := h.run(10, slices.Concat([]string{"drift", "-o", "json"}, h.journal())...); !strings.Contains(out, `"seen": 1024`) {
		t.Errorf("drift: %s", out)
	}
	_, id := h.newest()
	h.run(10, append([]string{"rollback", id}, h.journal()...)...)
	h.wantSysctl("net.core.somaxconn", "1024")
}

// TestKernelApplyIsRefused has what is refused, and is not done.
func TestKernelApplyIsRefused(t *testing.T) {
	h := newTuned(t)
	tests := []struct {
		name string
		args []string
		want int
	}{
		{"beyond the bounds", []string{"net.core.somaxconn=70000"}, 11},
		{"lower, unless asked for", []string{"--listener", "127.0.0.1:8000=4", "--allow-decrease"}, 11},
		{"a trial that nobody would end", []string{"net.core.somaxconn=8192", "--confirm-within", "1m"}, 17},
		{"a listener that there is not", []string{"--listener", "127.0.0.1:8001=4096"}, 64},
		{"a boot file of a pod", []string{"net.core.somaxconn=8192", "--persist"}, 64},
	}
	before, _ := h.ns.Sysctl("net.core.somaxconn")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if out := h.apply(tt.want, tt.args...); strings.Contains(out, "/etc/sysctl.d") {
				t.Errorf("it promises a boot file that it does not write:\n%s", out)
			}
		})
	}
	h.wantSysctl("net.core.somaxconn", before)
	h.wantLimit(8)
}

// TestKernelApplyLeavesItsInput has an input that is somebody else's, as in a script.
func TestKernelApplyLeavesItsInput(t *testing.T) {
	h := newTuned(t)
	input, theirs, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer input.Close()
	if _, err := theirs.WriteString("theirs\n"); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	args := slices.Concat([]string{"apply", "--yes", "net.core.somaxconn=8192"}, h.place(), h.journal())
	cmd := exec.CommandContext(t.Context(), lab.Binary(t), args...)
	cmd.Stdin = input
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("qtune %v: %v\n%s", args, err, out)
	}
	if left, err := io.ReadAll(input); err != nil || string(left) != "theirs\n" {
		t.Errorf("what is left of the input is %q, %v, want theirs", left, err)
	}
	h.wantSysctl("net.core.somaxconn", "8192")
}

// TestKernelDryRun asks what would be allowed, with all rights and with none.
func TestKernelDryRun(t *testing.T) {
	h := newTuned(t)
	dry := slices.Concat([]string{"apply", "--dry-run", "net.core.somaxconn=8192"}, h.journal())
	out := h.run(0, append(dry, h.place()...)...)
	if !strings.Contains(out, "would be allowed") {
		t.Errorf("as root: %s", out)
	}
	before, _ := h.ns.Sysctl("net.core.somaxconn")
	h.ns.Do(func() { // nobody may look where it is
		r := lab.CommandAs(t, nobody, append(dry, "--netns", fmt.Sprint(h.ns.Inode), "--for", "10ms")...)
		if code := r.Wait(); code != 12 || !strings.Contains(r.Stdout.String(), "Dry run: not allowed") {
			t.Errorf("as nobody: exit %d, want 12\n%s%s", code, r.Stdout.String(), r.Stderr.String())
		}
	})
	h.wantSysctl("net.core.somaxconn", before)
}
