// SPDX-License-Identifier: Apache-2.0

//go:build linux && e2e

package e2e

import (
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/qtune/qtune/test/lab"
)

// A terminal is one that tmux emulates, with a shell in it.
type terminal struct {
	t      *testing.T
	server string // tmux's socket
}

func newTerminal(t *testing.T, width, height int) *terminal {
	t.Helper()
	term := &terminal{t: t, server: filepath.Join(t.TempDir(), "tmux")}
	term.tmux("-f", "/dev/null", "new-session", "-d", "-x", fmt.Sprint(width), "-y", fmt.Sprint(height), "sh")
	t.Cleanup(func() { term.tmux("kill-server") })
	return term
}

func (term *terminal) tmux(args ...string) string {
	term.t.Helper()
	cmd := exec.Command("tmux", append([]string{"-u", "-S", term.server}, args...)...) //nolint:noctx // kill-server comes after the test's context
	out, err := cmd.CombinedOutput()
	if err != nil {
		term.t.Fatalf("tmux %v: %v: %s", args, err, out)
	}
	return string(out)
}

// keys presses keys, as tmux names them.
func (term *terminal) keys(keys ...string) {
	term.t.Helper()
	term.tmux(append([]string{"send-keys"}, keys...)...)
}

// resize gives the terminal another size.
func (term *terminal) resize(width, height int) {
	term.t.Helper()
	term.tmux("resize-window", "-x", fmt.Sprint(width), "-y", fmt.Sprint(height))
}

// screen returns what the terminal shows.
func (term *terminal) screen() string { return term.tmux("capture-pane", "-p") }

// wait waits until the terminal shows all texts at the same time.
func (term *terminal) wait(texts ...string) {
	term.t.Helper()
	var last string
	shown := lab.Within(patience, func() bool {
		last = term.screen()
		for _, text := range texts {
			if !strings.Contains(last, text) {
				return false
			}
		}
		return true
	})
	if !shown {
		term.t.Fatalf("waited in vain for %q on\n%s", texts, last)
	}
}

// show logs the screen for whoever wants to look at it.
func (term *terminal) show(what string) {
	term.t.Helper()
	term.t.Logf("%s:\n%s", what, term.screen())
}

// TestTop drives top in a real terminal, while a listener is overloaded.
func TestTop(t *testing.T) {
	lab.NeedRoot(t)
	lab.NeedProgram(t, "tmux")
	ns := lab.NewNamespace(t)
	busy := ns.Listen(lab.Socket{Addr: "127.0.0.1", Port: 8080, Backlog: 4})
	ns.ListenAll(lab.Socket{Addr: "127.0.0.1", Port: 8081, Backlog: 100}, lab.Socket{Addr: "127.0.0.1", Port: 8082, Backlog: 4096})
	clients := lab.NewClients(t, busy.AddrPort(), 64)

	term := newTerminal(t, 80, 24)
	term.keys("stty -g > "+term.server+".before", "Enter")
	term.keys(fmt.Sprintf("%s top --agent none --netns %s --interval 200ms; echo ended $?", lab.Binary(t), ns.Path()), "Enter")
	term.wait("3 listeners", "0 losing", "this kernel", "▾REFUSED")

	ns.Do(func() { clients.Come(64) }) // who found no room ask again for a minute
	term.wait("1 losing", ">! ", "CRITICAL: the accept queue overflows")
	term.show("the list")

	term.keys("s")
	term.wait("by netns") // after the order of the last column comes that of the first
	term.keys("/8081")
	term.wait("/8081_", "127.0.0.1:8081")
	term.keys("Enter")
	term.wait(`with "8081"`)
	if screen := term.screen(); strings.Contains(screen, "127.0.0.1:8080 ") {
		t.Errorf("filtered by 8081, and yet:\n%s", screen)
	}
	term.keys("Escape")
	term.wait("127.0.0.1:8080", "127.0.0.1:8082")
	term.keys("!")
	term.wait("problems only", "127.0.0.1:8080")
	term.keys("!")
	term.keys("p")
	term.wait("paused")
	term.keys("p")

	term.keys("Enter") // the first by port is the busy one
	term.wait("accept queue, the longest of each slot: 5, limit 4", "×", "now", "LIMIT BY application")
	term.show("a listener")
	term.resize(120, 40)
	term.wait("(accept-queue-overflow)", "qtune explain accept-queue-overflow")
	term.show("the same, larger")
	term.keys("Escape")
	term.resize(40, 10)
	term.wait("3 listeners", ">! ")
	term.show("the list, small")
	term.keys("?")
	term.wait("Keys", "the listener above")

	term.resize(80, 24)
	term.keys("q")
	term.wait("ended 0")
	if on := strings.TrimSpace(term.tmux("display-message", "-p", "#{alternate_on}#{cursor_flag}")); on != "01" {
		t.Errorf("alternate screen and cursor afterwards: %q, want 01", on)
	}
	term.keys("clear; stty -g > "+term.server+".after; cmp "+term.server+".before "+term.server+".after && echo res''tored", "Enter")
	term.wait("restored")
}

// TestTopAsksAnAgent lets top show what a real agent knows, and lose it.
func TestTopAsksAnAgent(t *testing.T) {
	lab.NeedRoot(t)
	lab.NeedProgram(t, "tmux")
	ns := lab.NewNamespace(t)
	ns.Listen(lab.Socket{Addr: "127.0.0.1", Port: 8080, Backlog: 4})
	socket := filepath.Join(t.TempDir(), "agent.sock")
	agent := exec.CommandContext(t.Context(), lab.Binary(t), "agent", "--socket", socket, "--web.listen-address", "127.0.0.1:0")
	// A process in the namespace lets the agent find it.
	ns.Start(lab.Process{Listen: []lab.Socket{{Addr: "127.0.0.1", Port: 8081, Backlog: 100}}})
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- agent.Wait() }()
	answers := func() bool {
		conn, err := net.Dial("unix", socket) //nolint:noctx // of this host, at once
		if err != nil {
			return false
		}
		conn.Close()
		return true
	}
	if !lab.Within(patience, answers) {
		t.Fatal("the agent does not listen")
	}
	term := newTerminal(t, 100, 24)
	// Until its first step the agent has nothing to tell.
	term.keys(fmt.Sprintf("until %s top --agent unix:%s --netns %s; do sleep 1; done", lab.Binary(t), socket, ns.Path()), "Enter")
	term.wait("agent unix:", "2 listeners", "127.0.0.1:8080", "127.0.0.1:8081")
	term.keys("Enter")
	term.wait("accept queue, the longest of each slot: 0, limit 4")
	term.keys("Escape")
	if err := agent.Process.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("the agent: %v", err)
	}
	term.wait("not read: ask the agent at unix:", "2 listeners")
	term.keys("q")
}
