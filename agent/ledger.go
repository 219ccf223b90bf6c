// SPDX-License-Identifier: Apache-2.0

//go:build linux

package agent

import (
	"slices"
	"time"

	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/tcpq"
)

// What is kept of that which ended.
const (
	goneFor  = 10 * time.Minute
	goneMost = 2000 // things
)

// A ledger adds up what happened at each listener since the agent first saw it, and
// keeps what ended for a while.
type ledger struct {
	recent time.Duration // over which peaks are kept

	listeners  map[tcpq.ListenerID]*account
	namespaces map[tcpq.NetnsID]*inspection.Namespace // as last shown
	gone       []departed                             // in order of time
}

// An account is of one listener.
type account struct {
	discards uint64 // without the wrap
	read     uint32 // sk_drops as it was read last
	tally    tcpq.Tally
	peak     peak
	shown    *inspection.Listener
}

// A departed is something that ended: a listener or a namespace, the other is nil.
type departed struct {
	at        time.Time
	id        tcpq.ListenerID // of a namespace without a cookie of a listener
	account   *account        // of a listener
	listener  *inspection.Listener
	namespace *inspection.Namespace
}

func newLedger(recent time.Duration) *ledger {
	return &ledger{recent: recent, listeners: map[tcpq.ListenerID]*account{}, namespaces: map[tcpq.NetnsID]*inspection.Namespace{}}
}

// enter takes in a step and completes its Inspection, which was made of s. The
// delta is nil at the first step.
func (g *ledger) enter(s *tcpq.Snapshot, d *tcpq.Delta, samples map[tcpq.ListenerID]tcpq.Sample, in *inspection.Inspection) {
	shown := in.Listeners // in the order of the Snapshot
	listeners := make(map[tcpq.ListenerID]*account, len(in.Listeners))
	namespaces := make(map[tcpq.NetnsID]*inspection.Namespace, len(s.Namespaces))
	for i := range s.Namespaces {
		n := &s.Namespaces[i]
		namespaces[n.ID] = &in.Namespaces[i]
		var delta *tcpq.NamespaceDelta
		if d != nil {
			delta = d.Namespaces[n.ID]
		}
		for j := range n.Listeners {
			l := &n.Listeners[j]
			id := tcpq.ListenerID{Netns: n.ID, Cookie: l.Cookie}
			a := g.listeners[id]
			if a == nil {
				a = g.back(id)
			}
			a.add(l, delta)
			a.peak.add(s.Time, max(l.Accept.Len, samples[id].Peak), s.Time.Add(-g.recent))
			a.show(l, &shown[0])
			listeners[id] = a
			shown = shown[1:]
		}
	}
	g.depart(s, listeners, namespaces)
	g.listeners, g.namespaces = listeners, namespaces
	in.Gone = g.shownGone()
}

// back returns the account of a listener that was not there a step before: a new one,
// or where it stood when it was not found for a while, as when each way into its
// namespace that was known had ended.
func (g *ledger) back(id tcpq.ListenerID) *account {
	at := slices.IndexFunc(g.gone, func(d departed) bool { return d.listener != nil && d.id == id })
	if at < 0 {
		return &account{}
	}
	a := g.gone[at].account
	g.gone = slices.Delete(g.gone, at, at+1)
	return a
}

// add takes in a listener as it is now; delta may be nil.
func (a *account) add(l *tcpq.Listener, delta *tcpq.NamespaceDelta) {
	a.discards += uint64(l.Discards - a.read) // u32: right across a wrap
	a.read = l.Discards
	if delta != nil {
		ld := delta.Listeners[l.Cookie]
		a.tally.Add(delta, &ld)
	}
}

// show completes what is shown of the listener.
func (a *account) show(l *tcpq.Listener, out *inspection.Listener) {
	recent := a.peak.max()
	out.AcceptQueue.RecentPeak = &recent
	out.Totals = &inspection.Totals{RefusedMax: a.tally.Max()}
	if l.DiscardsKnown {
		out.Totals.Discards = a.discards
	}
	a.shown = out
}

// depart notes what was there a step before and is no more: listeners that had
// something to tell, and namespaces. Where a namespace could not be read nobody
// knows.
func (g *ledger) depart(s *tcpq.Snapshot, listeners map[tcpq.ListenerID]*account, namespaces map[tcpq.NetnsID]*inspection.Namespace) {
	unread := map[tcpq.NetnsID]bool{}
	for i := range s.Namespaces {
		unread[s.Namespaces[i].ID] = !s.Namespaces[i].Listed
	}
	for id, a := range g.listeners {
		if _, still := listeners[id]; still || *a.shown.Totals == (inspection.Totals{}) {
			continue
		}
		if unread[id.Netns] {
			listeners[id] = a
			continue
		}
		last := *a.shown // not the whole Inspection
		last.Findings = []string{}
		a.shown = nil
		g.gone = append(g.gone, departed{at: s.Time, listener: &last, id: id, account: a})
	}
	for id, n := range g.namespaces {
		if _, still := namespaces[id]; !still {
			last := *n
			g.gone = append(g.gone, departed{at: s.Time, namespace: &last, id: tcpq.ListenerID{Netns: id}})
		}
	}
	g.gone = slices.DeleteFunc(g.gone, func(d departed) bool {
		_, back := namespaces[d.id.Netns]
		return s.Time.Sub(d.at) > goneFor || back && d.namespace != nil
	})
	g.gone = slices.Delete(g.gone, 0, max(0, len(g.gone)-goneMost))
}

func (g *ledger) shownGone() *inspection.Gone {
	out := &inspection.Gone{Namespaces: []inspection.Namespace{}, Listeners: []inspection.Listener{}}
	for _, d := range g.gone {
		switch {
		case d.listener != nil:
			out.Listeners = append(out.Listeners, *d.listener)
		default:
			out.Namespaces = append(out.Namespaces, *d.namespace)
		}
	}
	return out
}
