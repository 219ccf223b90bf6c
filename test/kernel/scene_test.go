// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernel

import (
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/qtune/qtune/test/lab"
)

// A scene is a namespace with listeners, and what the test knows of them from
// having made them.
type scene struct {
	t    *testing.T
	ns   *lab.Namespace
	wire *lab.Wire
	want []*want

	span  string // --for
	quiet bool   // nothing happens while qtune watches
}

// A want is what must be said of one listener.
type want struct {
	lab.Socket
	inode  uint32
	cookie uint64        // 0: an MPTCP socket's, of which only ss knows the TCP half's
	queue  *lab.Listener // to ask for the queue; nil when a child has it
	length uint32        // accept queue
	limit  uint32        // accept queue, without the 1 it holds beyond
	by     string        // limitBoundBy
	syn    *synQueue     // shared in a reuse-port group
	owner  *owner
}

// A synQueue is what must be said of a SYN queue.
type synQueue struct {
	length  uint32
	members []*want
}

// An owner is what must be said of who holds a listener.
type owner struct {
	pid            int
	comm, exe      string
	uid            uint32
	unit, contains string
}

func newScene(t *testing.T) *scene {
	t.Helper()
	return &scene{t: t, ns: lab.NewNamespace(t), span: "0"}
}

// cable gives the scene a wire and returns it.
func (s *scene) cable() *lab.Wire {
	if s.wire == nil {
		s.wire = s.ns.NewWire("near")
	}
	return s.wire
}

func (s *scene) sysctl(name, value string) {
	s.t.Helper()
	s.ns.SetSysctl(name, value)
}

// listen opens a listener of this process; limit and by are what is to come out.
func (s *scene) listen(socket lab.Socket, limit uint32, by string) *want {
	s.t.Helper()
	l := s.ns.Listen(socket)
	w := &want{
		Socket: l.Socket, inode: l.Inode, cookie: l.Cookie, queue: l,
		limit: limit, by: by, owner: self(),
	}
	s.add(w)
	return w
}

// child opens a listener in a child process of the scene.
func (s *scene) child(p lab.Process, o owner, limit uint32, by string) *want {
	s.t.Helper()
	c := s.ns.Start(p)
	h := c.Listeners[0]
	o.pid, o.exe = c.PID, self().exe
	w := &want{Socket: h.Socket, inode: h.Inode, cookie: h.Cookie, limit: limit, by: by, owner: &o}
	s.add(w)
	return w
}

func (s *scene) add(w *want) {
	if w.MPTCP {
		w.cookie = 0
	}
	w.syn = &synQueue{members: []*want{w}}
	s.want = append(s.want, w)
}

// group says that listeners are one reuse-port group.
func (s *scene) group(all ...*want) {
	q := &synQueue{members: all}
	for _, w := range all {
		q.length += w.syn.length
		w.syn = q
	}
}

// connect lets clients connect and stay. They are spread over the listeners by
// the kernel; together they must hold this many.
func (s *scene) connect(to netip.AddrPort, clients int, held uint32, at ...*want) {
	s.t.Helper()
	s.ns.Connect(to, clients)
	s.settle(held, at...)
}

// settle waits until listeners together have this many more connections.
func (s *scene) settle(more uint32, at ...*want) {
	s.t.Helper()
	var before uint32
	for _, w := range at {
		before += w.length
	}
	lab.Wait(s.t, strconv.Itoa(int(more))+" connections to be queued", func() bool {
		var sum uint32
		for _, w := range at {
			w.length, _ = w.queue.Queue()
			sum += w.length
		}
		return sum == before+more
	})
}

// fill connects clients over loopback; all of them are held.
func (s *scene) fill(w *want, clients int) {
	s.t.Helper()
	s.connect(w.queue.AddrPort(), clients, uint32(clients), w)
}

// overflow fills a queue to the brim and sends this many clients too many. Of
// those, some stay half-open if their SYN came before the queue was full.
func (s *scene) overflow(w *want, tooMany int) {
	s.t.Helper()
	before, halfOpen := s.ns.Counters()["ListenDrops"], s.ns.HalfOpen()
	s.connect(w.queue.AddrPort(), int(w.limit)+1+tooMany, w.limit+1, w)
	lab.Wait(s.t, "connections to be refused", func() bool {
		return s.ns.Counters()["ListenDrops"] >= before+uint64(tooMany)
	})
	w.syn.length += uint32(s.ns.HalfOpen() - halfOpen)
}

// halfOpen sends SYNs of forged peers, of which a SYN queue must keep this many.
// What a busy machine loses on the cable is sent again by other peers.
func (s *scene) halfOpen(w *want, to netip.Addr, peers int, kept uint32) {
	s.t.Helper()
	before := s.ns.HalfOpen()
	missing := func() int { return before + int(kept) - s.ns.HalfOpen() }
	for n := peers; n > 0; n = missing() {
		s.cable().Send(netip.AddrPortFrom(to, w.Port), lab.SYN, n)
		if lab.Within(time.Second, func() bool { return missing() <= 0 }) {
			break
		}
		s.t.Logf("%d of %d half-open peers are missing", missing(), kept)
	}
	s.keeps(w, before, kept)
}

// silent lets clients of a deferring listener connect: they say nothing, and so
// stay in the SYN queue.
func (s *scene) silent(w *want, to netip.AddrPort, clients int) {
	s.t.Helper()
	before := s.ns.HalfOpen()
	s.ns.Connect(to, clients)
	s.keeps(w, before, uint32(clients))
}

func (s *scene) keeps(w *want, before int, kept uint32) {
	s.t.Helper()
	lab.Wait(s.t, strconv.Itoa(int(kept))+" half-open peers", func() bool {
		return s.ns.HalfOpen() == before+int(kept)
	})
	w.syn.length += kept
}

// self is this process as an owner.
var self = sync.OnceValue(func() *owner {
	comm, _ := os.ReadFile("/proc/self/comm")
	exe, _ := os.Readlink("/proc/self/exe")
	return &owner{pid: os.Getpid(), comm: strings.TrimSuffix(string(comm), "\n"), exe: exe}
})

// synLimit says how many half-open peers a listener holds (tcp_conn_request),
// written a second time, for unproven peers and Linux 4.4 and later.
func (s *scene) synLimit(limit uint32) (most uint32, by string) {
	s.t.Helper()
	number := func(name string) int {
		text, _ := s.ns.Sysctl(name)
		n, err := strconv.Atoi(text)
		if err != nil {
			s.t.Fatalf("%s = %q", name, text)
		}
		return n
	}
	m := number("net.ipv4.tcp_max_syn_backlog")
	plain := limit + synBeyond(s.t)
	switch number("net.ipv4.tcp_syncookies") {
	case 2:
		return 0, "tcp_syncookies"
	case 0:
		if quarters := max(0, m-(m>>2)+1); quarters < int(plain) {
			return uint32(quarters), "tcp_max_syn_backlog"
		}
	}
	return plain, "listener-limit"
}

// synBeyond asks this kernel how many half-open peers it holds beyond the limit:
// 1 if it calls a SYN queue full above the limit, 0 if already at it.
func synBeyond(t *testing.T) uint32 {
	t.Helper()
	beyond.once.Do(func() {
		ns := lab.NewNamespace(t)
		ns.SetSysctl("net.ipv4.tcp_syncookies", "0")
		l := ns.Listen(lab.Socket{Addr: "0.0.0.0", Backlog: 3})
		wire := ns.NewWire("near")
		wire.Send(netip.AddrPortFrom(lab.Near4, l.Port), lab.SYN, 10)
		lab.Wait(t, "SYNs to be refused", func() bool {
			return ns.Counters()["TCPReqQFullDrop"]+uint64(ns.HalfOpen()) == 10
		})
		beyond.number = uint32(ns.HalfOpen()) - 3
	})
	return beyond.number
}

var beyond struct {
	once   sync.Once
	number uint32
}

// mapped returns the IPv6 spelling of an IPv4 address.
func mapped(a netip.Addr) string { return netip.AddrFrom16(a.As16()).String() }
