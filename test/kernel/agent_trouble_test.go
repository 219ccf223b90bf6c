// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernel

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/qtune/qtune/test/lab"
)

// TestKernelAgentNotRoot proves that an agent without any right goes on with what it
// may see, and says once what it does not.
func TestKernelAgentNotRoot(t *testing.T) {
	lab.NeedRoot(t)
	p := startPod(t, lab.Socket{Addr: "127.0.0.1", Port: 8080, Backlog: 4})
	a := lab.StartAgentAs(t, 65534)
	in := a.Inspection()
	seen := 0
	for i := range in.Namespaces {
		if in.Namespaces[i].Error == "" { // others that are mounted here it knows of
			seen++
		}
	}
	if p.in(in) != nil || seen != 1 {
		t.Errorf("it looks into %d namespaces, want its own alone", seen)
	}
	first := in.Time
	lab.Wait(t, "some steps", func() bool { return a.Inspection().Time.Sub(first) > time.Second })
	log := a.Log()
	if n := strings.Count(log, "may not be looked into (CAP_SYS_PTRACE)"); n != 1 {
		t.Errorf("it says %d times what it may not see, want once: %s", n, log)
	}
	if n := strings.Count(log, "\n"); n > 12 {
		t.Errorf("%d lines of log: %s", n, log)
	}
	if a.Stdout.Len() != 0 {
		t.Errorf("on stdout: %q, want nothing", a.Stdout.String())
	}
}

// TestKernelAgentCannotServe proves that an agent that cannot serve ends, and says
// why.
func TestKernelAgentCannotServe(t *testing.T) {
	lab.NeedRoot(t)
	used, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer used.Close()
	file := filepath.Join(t.TempDir(), "notes")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, address, socket, want string }{
		{"an address in use", used.Addr().String(), "", "address already in use"},
		{"a file where the socket should be", "127.0.0.1:0", file, "no socket"},
		{"a path that is too long", "127.0.0.1:0", filepath.Join(t.TempDir(), strings.Repeat("a", 108)), "at most 107 bytes"},
	}
	for _, tt := range tests {
		r := lab.GoAgent(t, "--web.listen-address", tt.address, "--socket", tt.socket)
		if code := r.Wait(); code != 1 || !strings.Contains(r.Stderr.String(), tt.want) || r.Stdout.Len() > 0 {
			t.Errorf("%s: exit code %d, %s, want 1 and %q", tt.name, code, r.Stderr.String(), tt.want)
		}
	}
}

// TestKernelAgentSuccessor lets a namespace follow another under the same number
// between two steps: what the first lost is not said of the second.
func TestKernelAgentSuccessor(t *testing.T) {
	lab.NeedRoot(t)
	socket := lab.Socket{Addr: "0.0.0.0", Port: 8080, Backlog: 2}
	olds := first(t)
	a := lab.StartAgent(t)
	var children []*lab.Child
	for _, n := range olds {
		children = append(children, n.Start(lab.Process{Listen: []lab.Socket{socket}}))
		n.Connect(to4(socket.Port), 10)
	}
	lab.Wait(t, "their loss to be seen", func() bool {
		in := a.Inspection()
		for _, n := range olds {
			if l := listenersOf(in, n); len(l) != 1 || l[0].Totals.Discards == 0 {
				return false
			}
		}
		return true
	})
	for i, n := range olds {
		children[i].Kill()
		n.CloseClients()
		n.Release()
	}
	second, _ := successor(t, olds)
	cookie := fmt.Sprintf("%016x", second.Start(lab.Process{Listen: []lab.Socket{socket}}).Listeners[0].Cookie)
	lab.Wait(t, "the successor to be seen twice", func() bool {
		l := listenersOf(a.Inspection(), second)
		return len(l) == 1 && l[0].Cookie == cookie && l[0].Refused != nil
	})
	l := listenersOf(a.Inspection(), second)[0]
	if l.Totals.Discards != 0 || l.Totals.RefusedMax != 0 || *l.AcceptQueue.RecentPeak != 0 || l.Refused.Max != 0 || len(l.Findings) > 0 {
		t.Errorf("of the successor: totals %+v, peak %d, refused %+v, findings %v, want none of the first's",
			*l.Totals, *l.AcceptQueue.RecentPeak, *l.Refused, l.Findings)
	}
}
