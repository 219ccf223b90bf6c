// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernel

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/qtune/qtune/collector"
	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/tcpq"
	"github.com/qtune/qtune/test/lab"
)

// A seer counts how often a namespace was asked.
type seer struct {
	host.Inside
	dumps, batches int
}

func (s *seer) Dump(name host.DumpName, request []byte, each func([]byte) (bool, error)) error {
	if name == host.Lookups {
		s.batches++
	} else {
		s.dumps++
	}
	return s.Inside.Dump(name, request, each)
}

// A sampled namespace is read again and again from one thread.
type sampled struct {
	t      *testing.T
	ns     []*host.Namespace
	known  []collector.Known
	crowd  collector.Crowd
	queues collector.Queues
	last   *seer // of the last reading
}

// sample lists the listeners of a namespace.
func sample(t *testing.T, n *lab.Namespace) *sampled {
	t.Helper()
	h := live(t)
	found, err := h.Namespaces(t.Context(), host.Search{Path: n.Path()})
	if err != nil {
		t.Fatal(err)
	}
	snap, err := collector.New(h, collector.Options{}).Pass(t.Context(), found, nil, collector.Dump)
	if err != nil || len(snap.Namespaces) != 1 {
		t.Fatalf("Pass = %d namespaces, %v, want one", len(snap.Namespaces), err)
	}
	// A crowd makes lookups pay.
	return &sampled{t: t, ns: found.Namespaces, known: collector.KnownOf(snap.Namespaces[0].Listeners), crowd: collector.Crowd{Host: 1e6}}
}

// read reads the queues once and returns how many dumps that took.
func (s *sampled) read() int {
	s.t.Helper()
	err := live(s.t).Visit(s.t.Context(), s.ns, func(_ *host.Namespace, in host.Inside, err error) {
		if err != nil {
			s.t.Fatal(err)
		}
		s.last = &seer{Inside: in}
		if err := s.queues.Read(s.last, s.known, s.crowd); err != nil {
			s.t.Error(err)
		}
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return s.last.dumps
}

// of returns what is known of a listener.
func (s *sampled) of(l *lab.Listener) *collector.Known {
	s.t.Helper()
	i := slices.IndexFunc(s.known, func(k collector.Known) bool { return k.Cookie == l.Cookie })
	if i < 0 {
		s.t.Fatalf("%v is not among the listeners", l.AddrPort())
	}
	return &s.known[i]
}

// TestKernelQueuesLookUp proves that every kind of listener is read by a lookup,
// and says what the kernel says of it.
func TestKernelQueuesLookUp(t *testing.T) {
	lab.NeedRoot(t)
	n := lab.NewNamespace(t)
	listeners := n.ListenAll(
		lab.Socket{Addr: "127.0.0.1", Backlog: 3},
		lab.Socket{Addr: "0.0.0.0", Port: 8001, Backlog: 4},
		lab.Socket{Addr: "127.0.0.1", Port: 8006, Backlog: 5, Device: "lo"},
		lab.Socket{Addr: "::1", Backlog: 6},
		lab.Socket{Addr: "::", Port: 8002, Backlog: 7},
		lab.Socket{Addr: "::", Port: 8003, Backlog: 8, V6Only: true},
		lab.Socket{Addr: "0.0.0.0", Port: 8003, Backlog: 9},
		lab.Socket{Addr: "::ffff:127.0.0.1", Backlog: 10},
		lab.Socket{Addr: "::", Port: 8004, Backlog: 11, Device: "lo"},
		lab.Socket{Addr: "0.0.0.0", Port: 8005, Backlog: 12, Device: "lo"},
	)
	s := sample(t, n)
	n.Connect(listeners[0].AddrPort(), 2)
	n.Connect(netip.MustParseAddrPort("127.0.0.1:8002"), 5)
	if dumps := s.read(); dumps != 0 {
		t.Errorf("reading took %d dumps, want lookups alone", dumps)
	}
	for i, l := range listeners {
		length, limit := l.Queue()
		want := tcpq.Queue{Len: length, Max: limit}
		if k := s.of(l); k.Accept != want || k.Gone || !k.DiscardsKnown || int(limit) != i+3 {
			t.Errorf("%v = %+v, want %+v", l.AddrPort(), *k, want)
		}
	}
}

// TestKernelQueuesOfAGroup proves that each member of a reuse-port group is read
// by itself, after the group has changed, too.
func TestKernelQueuesOfAGroup(t *testing.T) {
	lab.NeedRoot(t)
	n := lab.NewNamespace(t)
	member := lab.Socket{Addr: "127.0.0.1", Port: 8000, ReusePort: true}
	var group []*lab.Listener
	for i := range 4 {
		member.Backlog = 10 + i
		group = append(group, n.Listen(member))
	}
	other := n.Listen(lab.Socket{Addr: "127.0.0.1", Port: 8001, Backlog: 1})
	s := sample(t, n)
	n.Connect(group[0].AddrPort(), 20)
	check := func(doing string, dumps int, alive ...*lab.Listener) {
		t.Helper()
		if got := s.read(); got != dumps {
			t.Errorf("%s: reading took %d dumps, want %d", doing, got, dumps)
		}
		for _, l := range alive {
			length, limit := l.Queue()
			if k := s.of(l); k.Gone || k.Accept != (tcpq.Queue{Len: length, Max: limit}) {
				t.Errorf("%s: member = %+v, want length %d, limit %d", doing, *k, length, limit)
			}
		}
	}
	check("at first", 0, append(group, other)...)
	check("again", 0, append(group, other)...)
	if s.last.batches != 1 {
		t.Errorf("reading again took %d batches, want one: the members were met before", s.last.batches)
	}
	late := n.Listen(member)
	check("when a member has come", 0, append(group, other)...)
	late.Close()
	group[1].Close()
	check("when a member is gone", 1, group[0], group[2], group[3], other)
	if !s.of(group[1]).Gone {
		t.Errorf("closed member = %+v, want it to be gone", *s.of(group[1]))
	}
	check("after that", 0, group[0], group[2], group[3], other)
}

// TestKernelQueuesOfASuccessor proves that a listener on the same address is not
// taken for the one that ended.
func TestKernelQueuesOfASuccessor(t *testing.T) {
	lab.NeedRoot(t)
	n := lab.NewNamespace(t)
	first := n.Listen(lab.Socket{Addr: "127.0.0.1", Port: 8000, Backlog: 5})
	stays := n.Listen(lab.Socket{Addr: "::1", Port: 8001, Backlog: 6})
	s := sample(t, n)
	first.Close()
	n.Listen(lab.Socket{Addr: "127.0.0.1", Port: 8000, Backlog: 50})
	if dumps := s.read(); dumps != 1 {
		t.Errorf("reading took %d dumps, want one, to be sure", dumps)
	}
	if k := s.of(first); !k.Gone || k.Accept.Max != 5 {
		t.Errorf("the first listener = %+v, want it gone and nothing of its successor's", *k)
	}
	if k := s.of(stays); k.Gone || k.Accept.Max != 6 {
		t.Errorf("the other listener = %+v, want it as it was", *k)
	}
	stays.Close()
	s.read()
	if k := s.of(stays); !k.Gone {
		t.Errorf("a closed listener = %+v, want it gone", *k)
	}
	if dumps := s.read(); dumps != 0 {
		t.Errorf("reading what is gone took %d dumps, want none", dumps)
	}
}

// TestKernelQueuesOfMPTCP proves that the TCP half of an MPTCP listener is found.
func TestKernelQueuesOfMPTCP(t *testing.T) {
	lab.NeedRoot(t)
	lab.NeedMPTCP(t)
	n := lab.NewNamespace(t)
	l := n.Listen(lab.Socket{Addr: "127.0.0.1", Backlog: 7, MPTCP: true})
	s := sample(t, n)
	n.Connect(l.AddrPort(), 3)
	if dumps := s.read(); dumps != 0 || len(s.known) != 1 || s.known[0].Accept != (tcpq.Queue{Len: 3, Max: 7}) {
		t.Errorf("read = %+v with %d dumps, want length 3, limit 7 by a lookup", s.known, dumps)
	}
}

// TestKernelQueuesAllocateNothing proves it of lookups and of dumps.
func TestKernelQueuesAllocateNothing(t *testing.T) {
	lab.NeedRoot(t)
	n := lab.NewNamespace(t)
	for range 3 {
		n.Listen(lab.Socket{Addr: "127.0.0.1", Port: 8000, Backlog: 7, ReusePort: true})
	}
	s := sample(t, n)
	s.read() // finds the members
	for name, c := range map[string]collector.Crowd{"lookups": {Host: 1e6}, "a dump": {Host: -1e6}} {
		err := live(t).Visit(t.Context(), s.ns, func(_ *host.Namespace, in host.Inside, _ error) {
			allocs := testing.AllocsPerRun(100, func() {
				if err := s.queues.Read(in, s.known, c); err != nil {
					t.Error(err)
				}
			})
			if allocs != 0 {
				t.Errorf("reading by %s = %v allocations, want 0", name, allocs)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestKernelQueuesOfAWholeBatch proves that the answers to a full batch, and one
// more, fit into a socket.
func TestKernelQueuesOfAWholeBatch(t *testing.T) {
	lab.NeedRoot(t)
	n := lab.NewNamespace(t)
	for i := range 65 {
		n.Listen(lab.Socket{Addr: "127.0.0.1", Port: uint16(8000 + i), Backlog: i + 1})
	}
	s := sample(t, n)
	for i := range s.known {
		s.known[i].Accept = tcpq.Queue{}
	}
	if dumps := s.read(); dumps != 0 {
		t.Errorf("reading took %d dumps, want none", dumps)
	}
	limits := map[uint32]bool{}
	for i := range s.known {
		limits[s.known[i].Accept.Max] = true
	}
	if len(limits) != 65 || limits[0] {
		t.Errorf("%d different limits were read, want 65", len(limits))
	}
}
