// SPDX-License-Identifier: Apache-2.0

//go:build linux

package agent

import (
	"cmp"
	"slices"
	"time"

	"github.com/qtune/qtune/tcpq"
)

// windowSlots is how many slots the window has: for so long a finding is remembered.
const windowSlots = 60

// historyMost is of how many listeners a slot remembers anything: 60 slots of so
// many take 10 MB. Quiet ones take nothing.
const historyMost = 1000

// A course is the window of the agent, whose newest slot grows step by step until
// it is as wide as the others.
type course struct {
	slot time.Duration // its width

	last   *tcpq.Snapshot
	window tcpq.Window // never changed, only replaced: others read it
}

// add takes in the Snapshot of a step and what was sampled since the one before. It
// returns what changed, nil at first.
func (c *course) add(s *tcpq.Snapshot, samples map[tcpq.ListenerID]tcpq.Sample) *tcpq.Delta {
	last := c.last
	c.last = s
	if last == nil {
		return nil
	}
	step := tcpq.Diff(last, s)
	step.AddSamples(samples)
	old := c.window.Deltas
	newest := step
	if n := len(old) - 1; n >= 0 && old[n].End.Sub(old[n].Start) < c.slot-c.slot/10 {
		newest = tcpq.Merge(old[n], step)
		old = old[:n]
	}
	old = old[max(0, len(old)-windowSlots+1):]
	deltas := make([]tcpq.Delta, 0, windowSlots)
	c.window = tcpq.Window{Deltas: append(append(deltas, old...), matters(newest, historyMost))}
	return &step
}

// matters returns a Delta of the listeners that matter most: those that were full,
// then by what they discarded, then by their length. What the others discarded
// stays in the sum of their namespace.
func matters(d tcpq.Delta, most int) tcpq.Delta {
	type entry struct {
		netns  tcpq.NetnsID
		cookie uint64
		delta  tcpq.ListenerDelta
	}
	n := 0
	for _, ns := range d.Namespaces {
		n += len(ns.Listeners)
	}
	if n <= most {
		return d
	}
	all := make([]entry, 0, n)
	out := tcpq.Delta{Start: d.Start, End: d.End, Namespaces: make(map[tcpq.NetnsID]*tcpq.NamespaceDelta, len(d.Namespaces))}
	for id, ns := range d.Namespaces {
		for cookie, l := range ns.Listeners {
			all = append(all, entry{id, cookie, l})
		}
		few := *ns
		few.Listeners = map[uint64]tcpq.ListenerDelta{}
		out.Namespaces[id] = &few
	}
	full := func(l *tcpq.ListenerDelta) int {
		if l.AcceptFull || l.SynFull {
			return 1
		}
		return 0
	}
	slices.SortFunc(all, func(a, b entry) int {
		return cmp.Or(full(&b.delta)-full(&a.delta), cmp.Compare(b.delta.Discards, a.delta.Discards),
			cmp.Compare(b.delta.Longest(), a.delta.Longest()), cmp.Compare(a.cookie, b.cookie))
	})
	for _, e := range all[:most] {
		out.Namespaces[e.netns].Listeners[e.cookie] = e.delta
	}
	return out
}

// tail returns the newest slots of a window.
func tail(w *tcpq.Window, slots int) *tcpq.Window {
	return &tcpq.Window{Deltas: w.Deltas[max(0, len(w.Deltas)-slots):]}
}
