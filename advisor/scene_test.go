// SPDX-License-Identifier: Apache-2.0

//go:build linux

package advisor

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/qtune/qtune/policy"
	"github.com/qtune/qtune/tcpq"
)

var start = time.Date(2026, 5, 2, 3, 0, 0, 0, time.UTC)

// A play is a window told in slots of a second: what one namespace and its
// listeners go through.
type play struct {
	kernel    tcpq.Version // zero: 6.18
	sysctls   map[tcpq.Sysctl]int64
	moved     map[tcpq.Counter][]uint64 // in each slot
	before    map[tcpq.Counter]uint64   // since the namespace was made
	listeners []part
	vitals    map[int]tcpq.Vitals
	uncounted tcpq.Counter // that the kernel does not have; the zero one is always there
	once      bool         // one snapshot, no window
}

// A part is what one listener goes through.
type part struct {
	port     uint16
	limit    uint32
	queue    []uint32 // length at the start and at the end of each slot
	discards []uint32 // in each slot
	past     uint32   // discards before the window
	syn      []tcpq.SynQueue
	synBound tcpq.SynBound
	synMax   uint32
	owner    *tcpq.Owner
	group    int  // members of its reuse-port group
	mute     bool // the kernel does not count its discards
	until    int  // the sample from which on it is there no more; 0: it stays
}

// run plays it and returns the last snapshot and the window.
func (p *play) run() (*tcpq.Snapshot, *tcpq.Window) {
	slots := 0
	for _, l := range p.listeners {
		slots = max(slots, len(l.queue)-1)
	}
	w := &tcpq.Window{}
	var prev *tcpq.Snapshot
	for i := range slots + 1 {
		s := p.snapshot(i)
		w.Extend(prev, s)
		prev = s
	}
	if p.once {
		w = nil
	}
	return prev, w
}

func (p *play) snapshot(i int) *tcpq.Snapshot {
	ns := tcpq.Namespace{ID: tcpq.NetnsID{Inode: 7, Cookie: 7}, Name: "blue", Listed: true}
	for k, v := range map[tcpq.Sysctl]int64{tcpq.Somaxconn: 4096, tcpq.TCPMaxSynBacklog: 2048, tcpq.TCPSyncookies: 1, tcpq.TCPAbortOnOverflow: 0} {
		ns.Sysctls.Set(k, v)
	}
	for k, v := range p.sysctls {
		ns.Sysctls.Set(k, v)
	}
	for c := range tcpq.Counter(tcpq.NumCounters) {
		if c != 0 && c == p.uncounted {
			continue
		}
		n := p.before[c]
		for j, moved := range p.moved[c] {
			if j < i {
				n += moved
			}
		}
		ns.Counters.Set(c, n)
	}
	for j := range p.listeners {
		if until := p.listeners[j].until; until > 0 && i >= until {
			continue
		}
		ns.Listeners = append(ns.Listeners, p.listeners[j].at(i, uint64(j+1)))
	}
	kernel := p.kernel
	if kernel == (tcpq.Version{}) {
		kernel = tcpq.Version{Major: 6, Minor: 18, Patch: 44}
	}
	return &tcpq.Snapshot{
		Time: start.Add(time.Duration(i) * time.Second), Kernel: kernel,
		Namespaces: []tcpq.Namespace{ns}, Vitals: p.vitals,
	}
}

// members is how many share a SYN queue; the parts of a group say so.
func (p *part) members() int { return max(1, p.group) }

func (p *part) at(i int, cookie uint64) tcpq.Listener {
	l := tcpq.Listener{
		Addr: netip.MustParseAddr("10.0.0.1"), Port: p.port, Inode: uint32(cookie), Cookie: cookie,
		Accept:   tcpq.Queue{Max: p.limit},
		Syn:      tcpq.SynQueue{MaxKnown: true, BoundBy: tcpq.SynBoundListener, Members: p.members()},
		Discards: p.past, DiscardsKnown: !p.mute, Owner: p.owner,
	}
	l.Syn.Max = p.limit + 1
	if len(p.queue) > 0 {
		l.Accept.Len = p.queue[min(i, len(p.queue)-1)]
	}
	if len(p.syn) > 0 {
		q := p.syn[min(i, len(p.syn)-1)]
		l.Syn.Len, l.Syn.Stale, l.Syn.Counted = q.Len, q.Stale, true
	}
	if p.synBound != "" {
		l.Syn.BoundBy, l.Syn.Max = p.synBound, p.synMax
	}
	for j, n := range p.discards {
		if j < i {
			l.Discards += n
		}
	}
	return l
}

// half returns counts of half-open peers, with those that are stale.
func half(length, stale uint32) tcpq.SynQueue {
	return tcpq.SynQueue{Queue: tcpq.Queue{Len: length}, Stale: stale}
}

// each returns n times v.
func each[T any](n int, v T) []T { return slices.Repeat([]T{v}, n) }

// ten returns ten slots, or eleven samples, all 0 but the middle one.
func middle(n, v uint32) []uint32 {
	all := make([]uint32, n)
	all[n/2] = v
	return all
}

func middle64(n int, v uint64) []uint64 {
	all := make([]uint64, n)
	all[n/2] = v
	return all
}

// advise returns the report of a play.
func (p *play) advise() Report {
	s, w := p.run()
	pol := policy.Default()
	return Advise(s, w, &pol)
}

// codes returns the codes found, as "CODE" of the namespace or "CODE:PORT".
func codes(r Report) []string {
	var all []string
	for _, f := range r.Findings {
		code := string(f.Code)
		if f.Listener != nil {
			code += fmt.Sprintf(":%d", f.Listener.Port)
		}
		all = append(all, code)
	}
	return all
}

// find returns the only finding of a code.
func find(t *testing.T, r Report, code Code) *Finding {
	t.Helper()
	i := slices.IndexFunc(r.Findings, func(f Finding) bool { return f.Code == code })
	if i < 0 {
		t.Fatalf("found %v, want %s", codes(r), code)
	}
	return &r.Findings[i]
}
