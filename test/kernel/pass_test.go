// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernel

import (
	"context"
	"os"
	"slices"
	"testing"

	"github.com/qtune/qtune/collector"
	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/tcpq"
	"github.com/qtune/qtune/test/lab"
)

// A counter is this machine, and counts what is asked of it.
type counter struct {
	*host.Live
	dumps, searched int
}

func (c *counter) Visit(ctx context.Context, all []*host.Namespace, look func(*host.Namespace, host.Inside, error)) error {
	return c.Live.Visit(ctx, all, func(ns *host.Namespace, in host.Inside, err error) {
		s := &seer{Inside: in}
		look(ns, s, err)
		c.dumps += s.dumps
	})
}

func (c *counter) Descriptors(pid int, each func(host.Descriptor) bool) error {
	c.searched++
	return c.Live.Descriptors(pid, each)
}

// TestKernelPass proves that a steady pass neither dumps nor looks into a process,
// and sees what happens all the same.
func TestKernelPass(t *testing.T) {
	lab.NeedRoot(t)
	n := lab.NewNamespace(t)
	first := n.Listen(lab.Socket{Addr: "127.0.0.1", Port: 8000, Backlog: 2})
	n.Listen(lab.Socket{Addr: "::1", Port: 8001, Backlog: 5})
	h := &counter{Live: live(t)}
	c := collector.New(h, collector.Options{Search: host.Search{Path: n.Path()}})
	found, err := c.Find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var prev *tcpq.Snapshot
	pass := func(work collector.Work) *tcpq.Namespace {
		t.Helper()
		h.dumps, h.searched = 0, 0
		if prev, err = c.Pass(t.Context(), found, prev, work); err != nil || len(prev.Namespaces) != 1 {
			t.Fatalf("Pass = %v, want one namespace", err)
		}
		return &prev.Namespaces[0]
	}
	pass(collector.Everything)
	if h.dumps != 1 || h.searched == 0 {
		t.Errorf("the first pass made %d dumps and searched %d processes, want 1 and some", h.dumps, h.searched)
	}
	n.Connect(first.AddrPort(), 2)
	ns := pass(collector.Owners)
	if h.dumps != 0 || h.searched != 0 {
		t.Errorf("a steady pass made %d dumps and searched %d processes, want none", h.dumps, h.searched)
	}
	of := func(port uint16) *tcpq.Listener {
		t.Helper()
		i := slices.IndexFunc(ns.Listeners, func(l tcpq.Listener) bool { return l.Port == port })
		if i < 0 {
			t.Fatalf("no listener on port %d in %+v", port, ns.Listeners)
		}
		return &ns.Listeners[i]
	}
	if l := of(8000); l.Accept != (tcpq.Queue{Len: 2, Max: 2}) || l.Owner == nil || !slices.Contains(l.Owner.PIDs, os.Getpid()) {
		t.Errorf("listener in a steady pass = %+v of %+v, want length 2, limit 2 of this process", *l, l.Owner)
	}

	n.Listen(lab.Socket{Addr: "127.0.0.1", Port: 8002, Backlog: 1})
	n.Connect(first.AddrPort(), 3) // does not fit
	lab.Wait(t, "the kernel to refuse", func() bool { return n.Counters()["ListenDrops"] > 0 })
	ns = pass(collector.Owners)
	if l := of(8002); h.dumps != 1 || l.Owner == nil || !slices.Contains(l.Owner.PIDs, os.Getpid()) {
		t.Errorf("after packets were refused a pass made %d dumps, owner %+v, want one, and the new listener's owner", h.dumps, l.Owner)
	}
	first.Close()
	ns = pass(0)
	if h.dumps != 1 || len(ns.Listeners) != 2 {
		t.Errorf("after a listener was closed a pass made %d dumps and has %d listeners, want 1 and 2", h.dumps, len(ns.Listeners))
	}
}
