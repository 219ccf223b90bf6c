// SPDX-License-Identifier: Apache-2.0

//go:build linux

package collector

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/qtune/qtune/collector/inetdiag"
	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/tcpq"
)

// What it takes to read queues on Linux 6.18: the shortest of many, beside some
// 3000 listeners of other namespaces [measured]. A cold cache or a busy machine
// makes all of it two or three times as long, so that the choice stays.
const (
	lookupCost       = 1100 * time.Nanosecond // of one listener, whatever else there is
	dumpCost         = 12 * time.Microsecond  // of a dump of nothing
	dumpCostListener = 280 * time.Nanosecond  // more for each listener of the namespace
	dumpCostHost     = 6 * time.Nanosecond    // and for each of the host: one table holds them all
)

// A Known is a listener that was listed, and its accept queue as it was read
// last.
type Known struct {
	Cookie        uint64
	Accept        tcpq.Queue
	Discards      uint32 // as in tcpq.Listener
	DiscardsKnown bool
	Gone          bool // it listens no more; nothing brings it back

	key    inetdiag.Key
	remote uint16 // a peer's port that makes the kernel choose this member of a reuse-port group
	next   int    // which of its fellows came after it in the last dump
	missed bool   // not found by a lookup: gone, or hidden
	listed bool   // met in the dump
	hidden bool   // alive, but no lookup finds it
}

// KnownOf returns listeners, which are sorted by cookie as in a Snapshot, for
// [Queues.Read].
func KnownOf(listeners []tcpq.Listener) []Known {
	all := make([]Known, len(listeners))
	for i := range listeners {
		all[i] = knownOf(&listeners[i])
	}
	return all
}

func knownOf(l *tcpq.Listener) Known {
	k := Known{Cookie: l.Cookie, Accept: l.Accept, Discards: l.Discards, DiscardsKnown: l.DiscardsKnown}
	k.key = inetdiag.Key{Family: unix.AF_INET6, Port: l.Port, Ifindex: l.Ifindex, Addr: l.Addr.As16(), Cookie: l.Cookie}
	if l.Addr.Is4() {
		k.key.Family = unix.AF_INET
		k.key.Addr = [16]byte(append(l.Addr.AsSlice(), make([]byte, 12)...))
	}
	return k
}

// take takes in what was read.
func (k *Known) take(s *inetdiag.Socket) {
	k.Accept = tcpq.Queue{Len: s.RQueue, Max: s.WQueue}
	k.Discards, k.DiscardsKnown = s.Drops, s.Has(inetdiag.HasDrops)
	k.missed = false
}

// A Crowd is how many listeners there are: it decides how a few are read.
type Crowd struct {
	Netns int // in the namespace
	Host  int // on the host, that namespace included
}

// Queues reads the accept queues of known listeners, again and again, without
// allocating. The zero value is ready; one goroutine uses it.
type Queues struct {
	seq     uint32
	lookups inetdiag.Lookups
	dump    inetdiag.Dump
	request []byte   // for a dump
	members []uint64 // cookies of the group that is searched

	addAnswer, addSocket func([]byte) (bool, error) // the Add of both, made once
}

// Read reads the queues of known listeners of the namespace being visited, which
// are sorted by cookie: one by one, or by a dump of all that listens there when
// that takes less time. What is gone is marked so, and not asked for again.
//
// After an error a listener has what was read last.
func (q *Queues) Read(in host.Inside, known []Known, c Crowd) error {
	if lookupsPay(known, c) && q.lookUp(in, known) {
		return nil
	}
	err := q.dumpSockets(in, host.ListenDump, inetdiag.ExtSkMemInfo, inetdiag.Listen)
	q.settle(known, err == nil)
	return err
}

// lookupsPay reports whether lookups take less time than a dump, and find all.
func lookupsPay(known []Known, c Crowd) bool {
	alive := 0
	for i := range known {
		if known[i].hidden {
			return false
		}
		if !known[i].Gone {
			alive++
		}
	}
	dump := dumpCost + time.Duration(c.Netns)*dumpCostListener + time.Duration(c.Host)*dumpCostHost
	return time.Duration(alive)*lookupCost <= dump
}

// settle reads known listeners from a dump that was made, and marks which are
// gone if it was complete.
func (q *Queues) settle(known []Known, complete bool) {
	last := -1
	for i := range q.dump.Sockets {
		s := &q.dump.Sockets[i]
		if s.State != inetdiag.Listen {
			continue
		}
		at, ok := indexAfter(known, last, s.Cookie)
		if !ok {
			continue
		}
		last = at
		k := &known[at]
		k.listed = true
		k.hidden = k.hidden || k.missed
		k.take(s)
	}
	for i := range known {
		k := &known[i]
		k.Gone = k.Gone || complete && !k.listed
		k.hidden = k.hidden && !k.Gone
		k.missed, k.listed = false, false
	}
}

// indexAfter is indexOf where the kernel lists sockets in the same order as the last
// time, as it does while none comes or goes: then it need not search. It notes
// what came after known[last], if that is not -1.
func indexAfter(known []Known, last int, cookie uint64) (int, bool) {
	if last < 0 {
		return indexOf(known, cookie)
	}
	at := &known[last].next
	if *at < len(known) && known[*at].Cookie == cookie {
		return *at, true
	}
	i, ok := indexOf(known, cookie)
	if ok {
		*at = i
	}
	return i, ok
}

func indexOf(known []Known, cookie uint64) (int, bool) {
	return slices.BinarySearchFunc(known, cookie, func(k Known, cookie uint64) int { return cmp.Compare(k.Cookie, cookie) })
}

// Listeners returns every listener of the namespace being visited. The next call of q
// writes where they are.
func (q *Queues) Listeners(in host.Inside) ([]inetdiag.Socket, error) {
	err := q.dumpSockets(in, host.ListenDump, inetdiag.ExtInfo|inetdiag.ExtSkMemInfo, inetdiag.Listen)
	return q.dump.Sockets, err
}

// dumpSockets makes one dump and leaves it in q.dump; it is made again when it
// was interrupted, and what there is stays when that does not help.
func (q *Queues) dumpSockets(in host.Inside, name host.DumpName, ext, state uint8) error {
	if q.addSocket == nil {
		q.addSocket = q.dump.Add
	}
	var err error
	for range maxAttempts {
		q.seq++
		q.dump.Reset(q.seq)
		q.request = inetdiag.AppendRequest(q.request[:0], q.seq, ext, state)
		err = in.Dump(name, q.request, q.addSocket)
		if !errors.Is(err, inetdiag.ErrInterrupted) && !errors.Is(err, unix.ENOBUFS) {
			break
		}
	}
	return explainDump(err)
}
