// SPDX-License-Identifier: Apache-2.0

//go:build linux && e2e

package e2e

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/qtune/qtune/test/lab"
)

// A trial is a qtune apply in a terminal, of a larger somaxconn and a longer queue
// of a listener that is overloaded.
type trial struct {
	*terminal
	ns    *lab.Namespace
	flags string // where the journal lies
}

// somaxconn is the one of a trial's namespace before it.
const somaxconn = "1024"

// newTrial answers the first question with yes.
func newTrial(t *testing.T, more string) *trial {
	t.Helper()
	lab.NeedRoot(t)
	lab.NeedProgram(t, "tmux")
	ns := lab.NewNamespace(t)
	ns.SetSysctl("net.core.somaxconn", somaxconn)
	ns.Start(lab.Process{Listen: []lab.Socket{{Addr: "127.0.0.1", Port: 8000, Backlog: 8}}})
	state := t.TempDir()
	tr := &trial{
		terminal: newTerminal(t, 100, 40), ns: ns,
		flags: fmt.Sprintf("--state-dir %s --lock-file %s/lock", state, state),
	}
	tr.keys("PS1='$ '; clear", "Enter")
	tr.keys(fmt.Sprintf("%s apply --netns %s --for 10ms --listener 127.0.0.1:8000=2048 %s %s; echo ended $?",
		lab.Binary(t), ns.Path(), tr.flags, more), "Enter")
	tr.wait("net.core.somaxconn", "1024 -> 2048", "8 -> 2048", "apply? [y/N]")
	tr.wants(somaxconn, 8) // not yet
	tr.keys("y", "Enter")
	tr.wait("undone in", "keep? [y/N]")
	tr.wants("2048", 2048)
	return tr
}

// wants asks the kernel what there is.
func (tr *trial) wants(sysctl string, limit uint32) {
	tr.t.Helper()
	if got, _ := tr.ns.Sysctl("net.core.somaxconn"); got != sysctl {
		tr.t.Errorf("net.core.somaxconn = %s, want %s", got, sysctl)
	}
	for _, l := range lab.Inspect(tr.t, "--netns", tr.ns.Path(), "--for", "0").Listeners {
		if l.AcceptQueue.Limit != limit {
			tr.t.Errorf("limit = %d, want %d", l.AcceptQueue.Limit, limit)
		}
	}
}

// qtune runs a command beside the terminal and returns what it says.
func (tr *trial) qtune(command string, more ...string) string {
	tr.t.Helper()
	r := lab.Command(tr.t, append(append([]string{command}, more...), strings.Fields(tr.flags)...)...)
	if code := r.Wait(); code != 0 {
		tr.t.Fatalf("qtune %s: exit %d: %s", command, code, r.Stderr.String())
	}
	return r.Stdout.String()
}

// TestTrialEnds ends a trial in each way that there is.
func TestTrialEnds(t *testing.T) {
	tests := []struct {
		name string
		more string // flags
		end  func(*trial)
		says string
		kept bool
	}{
		{"a yes keeps it", "", func(tr *trial) { tr.keys("y", "Enter") }, "ended 0", true},
		{"a no undoes it", "", func(tr *trial) { tr.keys("n", "Enter") }, "ended 14", false},
		{"no answer undoes it", "", func(tr *trial) { tr.keys("Enter") }, "ended 14", false},
		{"the end of the input undoes it", "", func(tr *trial) { tr.keys("C-d") }, "ended 14", false},
		{"Ctrl-C undoes it", "", func(tr *trial) { tr.keys("C-c") }, "Undone (interrupted)", false},
		{"its deadline undoes it", "--confirm-within 2s", func(*trial) {}, "Undone (deadline)", false},
		{"somebody elsewhere keeps it", "", func(tr *trial) { tr.qtune("confirm") }, "Somebody else decided: it is confirmed", true},
		{"somebody elsewhere undoes it", "", func(tr *trial) { tr.qtune("rollback") }, "Somebody else decided: it is rolled back", false},
		{"so does recovery of what nobody watches", "", func(tr *trial) { tr.qtune("recover", "--orphaned") }, "Somebody else decided: it is rolled back", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tr := newTrial(t, tt.more)
			tt.end(tr)
			tr.wait(tt.says)
			tr.show("the trial")
			if tt.kept {
				tr.wants("2048", 2048)
			} else {
				tr.wants(somaxconn, 8)
			}
		})
	}
}

// TestTrialEndsBehindAnother lets another qtune hold the lock when the deadline comes,
// and when a yes does.
func TestTrialEndsBehindAnother(t *testing.T) {
	tests := []struct {
		name string
		more string
		wait func(tr *trial, id string)
		says string
		kept bool
	}{
		{"the deadline undoes it when the lock is free", "--confirm-within 3s", func(tr *trial, id string) {
			lab.Wait(t, "the trial to be over", func() bool { return strings.Contains(tr.qtune("explain", id), "over: it is being undone") })
		}, "Undone (deadline)", false},
		{"a yes keeps it when the lock is free", "", func(tr *trial, _ string) { tr.keys("y", "Enter") }, "ended 0", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tr := newTrial(t, tt.more)
			id := strings.Fields(strings.Split(tr.qtune("history"), "\n")[1])[0]
			lock, err := os.Open(strings.Fields(tr.flags)[3])
			if err != nil {
				t.Fatal(err)
			}
			if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
				t.Fatal(err)
			}
			tt.wait(tr, id)
			if err := lock.Close(); err != nil {
				t.Fatal(err)
			}
			tr.wait(tt.says)
			if tt.kept {
				tr.wants("2048", 2048)
			} else {
				tr.wants(somaxconn, 8)
			}
		})
	}
}

// TestTrialEndsWithItsTerminal takes the terminal away: SIGHUP.
func TestTrialEndsWithItsTerminal(t *testing.T) {
	tr := newTrial(t, "")
	tr.tmux("new-session", "-d", "sh") // else the server ends with the only one
	tr.tmux("kill-session", "-t", "0")
	lab.Wait(t, "the trial to be rolled back", func() bool { return strings.Contains(tr.qtune("history"), "rolled back (hang-up)") })
	tr.wants(somaxconn, 8)
}

// TestTrialShowsItsEffect overloads the listener while it is asked about.
func TestTrialShowsItsEffect(t *testing.T) {
	tr := newTrial(t, "")
	clients := lab.NewClients(t, netip.MustParseAddrPort("127.0.0.1:8000"), 100)
	tr.ns.Do(func() { clients.Come(100) })
	tr.keys("y") // stays beside the question while the line above it is renewed
	tr.wait("0 packets refused", "longest queue 100", "keep? [y/N] y")
	tr.show("the effect")
	tr.keys("Enter")
	tr.wait("Kept.", "ended 0")
}

// TestApplyAsksNothingOfAPipe has no terminal to ask.
func TestApplyAsksNothingOfAPipe(t *testing.T) {
	state := t.TempDir()
	r := lab.Command(t, "apply", "net.core.somaxconn=8192", "--state-dir", state, "--lock-file", filepath.Join(state, "lock"))
	if code := r.Wait(); code != 64 || !strings.Contains(r.Stderr.String(), "--yes") {
		t.Errorf("exit %d, want 64: %s", code, r.Stderr.String())
	}
}
