// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernel

import (
	"errors"
	"flag"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/test/lab"
)

var resizes = flag.Int("resizes", 500, "how often a listener is resized under load; a tenth of it where the CPU is emulated")

// visit enters one namespace. What do fails it says by t.Error: it is called on
// another goroutine.
func visit(t *testing.T, n *lab.Namespace, do func(host.Changeable)) {
	t.Helper()
	again(t, n, 1, do)
}

// again is visit a number of times, each by another thread, until the test fails.
func again(t *testing.T, n *lab.Namespace, times int, do func(host.Changeable)) {
	t.Helper()
	l := live(t)
	found, err := l.Namespaces(t.Context(), host.Search{Path: n.Path()})
	if err != nil {
		t.Fatal(err)
	}
	for range times {
		err := l.Change(t.Context(), found.Namespaces, func(_ *host.Namespace, c host.Changeable, err error) {
			if err != nil {
				t.Errorf("enter: %v", err)
				return
			}
			do(c)
		})
		if err != nil {
			t.Error(err)
		}
		if t.Failed() {
			return
		}
	}
}

// socketOf is how a dump and a search for its owner show a child's listener.
func socketOf(c *lab.Child, h *lab.Held) *host.Socket {
	return &host.Socket{
		PIDs: []int{c.PID}, Inode: h.Inode, Cookie: h.Cookie,
		Addr: netip.MustParseAddr(h.Addr), Port: h.Port, MPTCP: h.MPTCP,
	}
}

func limitOf(h *lab.Held) uint32 {
	_, limit := h.Queue()
	return limit
}

// TestKernelResizeOfAnotherProcess proves that the listener of another process is
// resized, whoever it is, and that of the two somaxconn its own counts.
func TestKernelResizeOfAnotherProcess(t *testing.T) {
	lab.NeedRoot(t)
	listen := []lab.Socket{{Addr: loopback4, Port: 80, Backlog: 8}, {Addr: "::", Port: 81, Backlog: 8}}
	tests := []struct {
		name    string
		process lab.Process
	}{
		{"root's", lab.Process{NewNet: true, Listen: listen}},
		{"of another user", lab.Process{NewNet: true, UID: 1000, Listen: []lab.Socket{{Addr: loopback4, Port: 8080, Backlog: 8}}}},
		{"in a child user namespace", lab.Process{NewUser: true, NewNet: true, Listen: listen}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := lab.Start(t, tt.process)
			n := lab.NamespaceOf(t, c.PID)
			if _, ok := n.Sysctl(maxConn); !ok {
				visit(t, n, func(in host.Changeable) {
					if err := in.Relisten(socketOf(c, c.Listeners[0]), 8, 64); !errors.Is(err, host.ErrUnsupported) {
						t.Errorf("Relisten without a somaxconn = %v, want %v", err, host.ErrUnsupported)
					}
				})
				t.Skip("this kernel hides somaxconn in a child user namespace")
			}
			n.SetSysctl(maxConn, "100")
			visit(t, n, func(in host.Changeable) {
				for _, h := range c.Listeners {
					s := socketOf(c, h)
					if err := in.MayFetch(s); err != nil {
						t.Errorf("MayFetch(%v) = %v", s, err)
					}
					if err := in.Relisten(s, 8, 101); !errors.Is(err, host.ErrShrinks) || limitOf(h) != 8 {
						t.Errorf("Relisten(%v) above its somaxconn = %v, the limit is %d, want %v and 8", s, err, limitOf(h), host.ErrShrinks)
					}
					if err := in.Relisten(s, 8, 100); err != nil || limitOf(h) != 100 {
						t.Errorf("Relisten(%v) = %v, the limit is %d, want 100", s, err, limitOf(h))
					}
				}
			})
		})
	}
}

// TestKernelResizeOfTheHolder proves that a process which ended, or never had the
// socket, does not hide one that has it, and that its successor under the same
// number is not taken for it.
func TestKernelResizeOfTheHolder(t *testing.T) {
	lab.NeedRoot(t)
	n := lab.NewNamespace(t)
	start := func(port uint16) *lab.Child {
		return n.Start(lab.Process{Listen: []lab.Socket{{Addr: loopback4, Port: port, Backlog: 8}}})
	}
	ended, other, c := start(80), start(81), start(82)
	ended.Kill()
	visit(t, n, func(in host.Changeable) {
		s := socketOf(c, c.Listeners[0])
		s.PIDs = []int{ended.PID, other.PID, c.PID}
		if err := in.Relisten(s, 8, 64); err != nil || limitOf(c.Listeners[0]) != 64 {
			t.Errorf("Relisten = %v, the limit is %d, want 64", err, limitOf(c.Listeners[0]))
		}
		s = socketOf(ended, ended.Listeners[0])
		s.PIDs = []int{other.PID} // as if it had got the number
		if err := in.Relisten(s, 8, 64); !errors.Is(err, host.ErrGone) || limitOf(other.Listeners[0]) != 8 {
			t.Errorf("Relisten of a successor = %v, the limit is %d, want %v and 8", err, limitOf(other.Listeners[0]), host.ErrGone)
		}
	})
}

// TestKernelResizeKeepsTheQueue proves that a shorter limit loses nobody who waits.
func TestKernelResizeKeepsTheQueue(t *testing.T) {
	lab.NeedRoot(t)
	n := lab.NewNamespace(t)
	c := n.Start(lab.Process{Listen: []lab.Socket{{Addr: loopback4, Port: 80, Backlog: 64}}})
	h := c.Listeners[0]
	n.Connect(h.AddrPort(), 20)
	lab.Wait(t, "20 connections", func() bool { length, _ := h.Queue(); return length == 20 })
	visit(t, n, func(in host.Changeable) {
		if err := in.Relisten(socketOf(c, h), 64, 2); err != nil {
			t.Error(err)
		}
	})
	if length, limit := h.Queue(); length != 20 || limit != 2 {
		t.Errorf("the queue has %d of %d, want 20 of 2", length, limit)
	}
	if got := h.Accept(0); got != 20 {
		t.Errorf("%d connections were accepted, want 20", got)
	}
}

// TestKernelResizeUnderLoad proves that no client notices that a listener is resized,
// again and again, and that nothing stays behind: no descriptor here or there, no
// thread, no namespace.
func TestKernelResizeUnderLoad(t *testing.T) {
	lab.NeedRoot(t)
	n := lab.NewNamespace(t)
	c := n.Start(lab.Process{Plain: true, Listen: []lab.Socket{{Addr: loopback4, Port: 80, Backlog: 64}}})
	h := c.Listeners[0]
	s := socketOf(c, h)
	theirs := entries(t, c.PID, "fd")
	h.Serve(lab.Serve{})
	visit(t, n, func(host.Changeable) {}) // what is opened once, is
	ours := entries(t, os.Getpid(), "fd")
	threads := entries(t, os.Getpid(), "task")
	var served atomic.Int64
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for source := range lab.Sources {
		clients.Go(func() {
			n.Do(func() {
				if err := lab.Visit(h.AddrPort(), source, stop, &served); err != nil {
					t.Errorf("a client of address %d: %v", source, err)
				}
			})
		})
	}
	end := sync.OnceFunc(func() {
		close(stop)
		clients.Wait()
	})
	defer end()
	lab.Wait(t, "clients", func() bool { return served.Load() > lab.Sources })
	from, to := uint32(64), uint32(1024)
	times := *resizes
	if lab.Emulated() {
		times /= 10
	}
	again(t, n, times, func(in host.Changeable) {
		if err := in.Relisten(s, from, to); err != nil {
			t.Error(err)
		}
		from, to = to, from
	})
	end()
	if counters := n.Counters(); counters["ListenDrops"] != 0 || counters["ListenOverflows"] != 0 {
		t.Errorf("ListenDrops %d, ListenOverflows %d, want none", counters["ListenDrops"], counters["ListenOverflows"])
	}
	t.Logf("%d connections while the listener was resized %d times", served.Load(), times)
	for _, left := range []struct {
		what string
		pid  int
		dir  string
		want int
	}{
		{"descriptors here", os.Getpid(), "fd", ours},
		{"descriptors of the server", c.PID, "fd", theirs},
		{"threads here", os.Getpid(), "task", threads + lab.Sources}, // the runtime keeps some that clients made it start
	} {
		got := 0
		if !lab.Within(time.Second, func() bool { got = entries(t, left.pid, left.dir); return got <= left.want }) {
			t.Errorf("%d %s, want %d", got, left.what, left.want)
		}
	}
}

// entries counts what is in a folder of a process.
func entries(t *testing.T, pid int, dir string) int {
	t.Helper()
	all, err := os.ReadDir("/proc/" + strconv.Itoa(pid) + "/" + dir)
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}
