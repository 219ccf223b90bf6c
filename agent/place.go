// SPDX-License-Identifier: Apache-2.0

//go:build linux

package agent

import (
	"slices"
	"time"

	"github.com/qtune/qtune/collector"
	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/tcpq"
)

// A place is a namespace with the listeners that are sampled there.
type place struct {
	ns      *host.Namespace
	id      tcpq.NetnsID
	known   []collector.Known // sorted by cookie, as in the Snapshot
	sampled []sampled         // what is remembered of each of them
	watched []collector.Known // those that are looked at fast
	which   []int             // of known each of them is

	counters tcpq.Counters // of the last step
	quiet    int           // steps since one in which somebody connected or waited
}

// A sampled is what samples showed of one listener.
type sampled struct {
	tcpq.Sample // since the last Take
	rush        rush
	watch       time.Time // until when it is looked at fast
	lost        uint64    // packets refused within the window, at most
	passed      bool      // over: others need to be looked at fast more than it
}

// newPlace returns the place of a namespace; what samples showed before, and how
// its listeners were found, is kept.
func newPlace(ns *host.Namespace, n *tcpq.Namespace, before *place) *place {
	p := &place{
		ns: ns, id: n.ID, known: collector.KnownOf(n.Listeners), sampled: make([]sampled, len(n.Listeners)),
		counters: n.Counters,
	}
	for i := range p.known {
		p.sampled[i].rush.seen = p.known[i].Discards
	}
	if before == nil {
		return p
	}
	if isQuiet(n, &before.counters) {
		p.quiet = before.quiet + 1
	}
	j := 0
	for i := range p.known { // both are sorted by cookie
		for j < len(before.known) && before.known[j].Cookie < p.known[i].Cookie {
			j++
		}
		if j < len(before.known) && before.known[j].Cookie == p.known[i].Cookie {
			p.sampled[i] = before.sampled[j]
			if !before.known[j].Gone { // it may have ceased to listen for a moment, and is back
				p.known[i] = before.known[j]
			}
		}
	}
	return p
}

// quietAfter is after how many steps without a connection a namespace is left to
// the steps, which look at it, too, and see when the next one has come.
const quietAfter = 3

// isQuiet reports whether nobody connected since the counters were read before, and
// nobody waits: to the accept queue the kernel adds nobody whom it does not count
// as a PassiveOpen, or does not refuse.
func isQuiet(n *tcpq.Namespace, before *tcpq.Counters) bool {
	for _, c := range []tcpq.Counter{tcpq.PassiveOpens, tcpq.ListenDrops} {
		now, ok := n.Counters.Get(c)
		then, ok2 := before.Get(c)
		if !ok || !ok2 || now != then {
			return false
		}
	}
	return !slices.ContainsFunc(n.Listeners, func(l tcpq.Listener) bool { return l.Accept.Len > 0 })
}

// lively returns the listeners of a place in which somebody may wait.
func (p *place) lively() []collector.Known {
	if p.quiet >= quietAfter {
		return nil
	}
	return p.known
}

// note takes in what was read: of all known, or of those watched.
func (p *place) note(read []collector.Known, now time.Time) {
	for i := range read {
		if read[i].Gone {
			continue
		}
		at := i
		if len(read) != len(p.known) {
			at = p.which[i]
		}
		q, m := read[i].Accept, &p.sampled[at]
		m.Peak = max(m.Peak, q.Len)
		m.Full = m.Full || q.Full()
		m.Emptied = m.Emptied || q.Len == 0
		if read[i].DiscardsKnown {
			m.rush.count(&m.Sample, read[i].Discards, now)
		}
		if worthWatching(q) {
			m.watch = now.Add(watchFor)
		}
	}
}

// worthWatching reports whether a queue of this length is a sign: a quarter full.
func worthWatching(q tcpq.Queue) bool { return q.Len >= 2 && uint64(q.Len)*4 >= uint64(q.Max) }
