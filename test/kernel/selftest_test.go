// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernel

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/qtune/qtune/selftest"
	"github.com/qtune/qtune/test/lab"
)

// selftestRun is how `qtune selftest` ended.
type selftestRun struct {
	cmd            *exec.Cmd
	code           int
	stdout, stderr bytes.Buffer
}

func runSelftest(ctx context.Context, t *testing.T, attr *syscall.SysProcAttr, args ...string) *selftestRun {
	t.Helper()
	r := startSelftest(ctx, t, attr, args...)
	r.wait()
	return r
}

func startSelftest(ctx context.Context, t *testing.T, attr *syscall.SysProcAttr, args ...string) *selftestRun {
	t.Helper()
	cmd := exec.CommandContext(ctx, lab.Binary(t), append([]string{"selftest"}, args...)...)
	r := &selftestRun{cmd: cmd}
	cmd.Dir, cmd.SysProcAttr, cmd.Stdout, cmd.Stderr = "/", attr, &r.stdout, &r.stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGINT) }
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *selftestRun) wait() {
	_ = r.cmd.Wait() // the exit code says it
	r.code = r.cmd.ProcessState.ExitCode()
}

// TestKernelSelftestCommand runs the command as a user does; its rule that needs
// another process has one.
func TestKernelSelftestCommand(t *testing.T) {
	lab.NeedRoot(t)
	r := runSelftest(t.Context(), t, nil, "-o", "json")
	var report selftest.Report
	d := json.NewDecoder(&r.stdout)
	d.DisallowUnknownFields()
	if err := d.Decode(&report); err != nil {
		t.Fatalf("exit %d: %v: %s", r.code, err, r.stderr.String())
	}
	if r.code != 0 || report.Summary.Hold == 0 || report.Summary.Hold != report.Summary.Tried {
		t.Errorf("exit %d, %+v, want 0 and all that was tried: %s", r.code, report.Summary, r.stderr.String())
	}
	for _, rule := range report.Rules {
		if rule.ID == "resize-from-outside" && rule.Outcome != selftest.Pass {
			t.Errorf("%s: %s: %+v", rule.ID, rule.Outcome, rule.Cases)
		}
	}
}

func TestKernelSelftestNeedsCapabilities(t *testing.T) {
	lab.NeedRoot(t)
	nobody := &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if r := runSelftest(t.Context(), t, nobody); r.code != 12 || !strings.Contains(r.stderr.String(), "CAP_SYS_ADMIN") {
		t.Errorf("exit %d, %q, want 12 and the capability", r.code, r.stderr.String())
	}
}

// TestKernelSelftestInterrupted sends Ctrl-C while it runs.
func TestKernelSelftestInterrupted(t *testing.T) {
	lab.NeedRoot(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r := startSelftest(ctx, t, nil)
	threads := fmt.Sprintf("/proc/%d/task/[0-9]*/ns/net", r.cmd.Process.Pid)
	lab.Wait(t, "a lab of it", func() bool { return len(elsewhere(t, threads)) > 0 })
	cancel()
	if r.wait(); r.code != 130 || r.stdout.Len() != 0 {
		t.Errorf("exit %d and %d bytes, want 130 and none: %s", r.code, r.stdout.Len(), r.stderr.String())
	}
	if left := labThreads(t); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// labThreads returns the threads of every selftest, and of the processes that hold
// a listener for one, that are in another network namespace.
func labThreads(t *testing.T) []string {
	t.Helper()
	return slices.DeleteFunc(elsewhere(t, "/proc/[0-9]*/task/[0-9]*/ns/net"), func(link string) bool {
		argv, _ := os.ReadFile(filepath.Join(filepath.Dir(link), "../../../cmdline")) // it may have ended
		return !bytes.HasPrefix(argv, []byte(lab.Binary(t)+"\x00selftest")) && !bytes.Contains(argv, []byte("selftest\x00hold"))
	})
}

// elsewhere returns which of these links are of another network namespace.
func elsewhere(t *testing.T, pattern string) (found []string) {
	t.Helper()
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	links, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		if ns, err := os.Readlink(link); err == nil && ns != own {
			found = append(found, link)
		}
	}
	return found
}
