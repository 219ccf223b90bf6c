// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tcpq

import (
	"maps"
	"time"
)

// A Delta is what changed between two Snapshots: one slot of a Window.
type Delta struct {
	Start, End time.Time
	Namespaces map[NetnsID]*NamespaceDelta
}

// A NamespaceDelta is what changed in one namespace.
type NamespaceDelta struct {
	Counters  Counters
	Listeners map[uint64]ListenerDelta // by cookie; a quiet empty listener is absent
	Discards  uint64                   // of all listeners together
	Gone      int                      // listeners that are there no more: what they discarded is not known
}

// A ListenerDelta is what changed at one listener.
type ListenerDelta struct {
	Discards   uint32
	Burst      uint32 // most of them within a second, at most; 0 when samples do not tell
	From, To   uint32 // length of the accept queue at both ends of the slot
	Peak       uint32 // its longest sample between them, 0 when none was taken
	AcceptFull bool   // it was full at one of them, or in between
	Emptied    bool   // a sample between them showed it empty
	SynFull    bool   // the SYN queue was at its limit at one of them
	SynLen     uint32 // the longer count of half-open peers
	SynStale   uint32 // the larger count of those that do not answer
}

// Longest returns the longest accept queue that was seen in the slot.
func (d *ListenerDelta) Longest() uint32 { return max(d.From, d.To, d.Peak) }

// A Sample is what was seen of an accept queue between two Snapshots.
type Sample struct {
	Peak uint32 // the longest
	Full bool   // at one moment at least

	Emptied bool // it was seen empty

	Discards uint32 // that samples showed
	Burst    uint32 // most of them within a second, at most
}

// AddSamples adds what was seen between the two ends of the slot.
func (d *Delta) AddSamples(samples map[ListenerID]Sample) {
	for id, s := range samples {
		ns := d.Namespaces[id.Netns]
		if ns == nil || s == (Sample{}) {
			continue
		}
		l := ns.Listeners[id.Cookie]
		if l == (ListenerDelta{}) && s.Peak == 0 {
			continue // a quiet empty one
		}
		l.Peak = max(l.Peak, s.Peak)
		l.Emptied = l.Emptied || s.Emptied
		l.AcceptFull = l.AcceptFull || s.Full
		if l.Discards > 0 { // those after the last sample may be of the same burst
			l.Burst = min(l.Discards, s.Burst+l.Discards-min(l.Discards, s.Discards))
		}
		ns.Listeners[id.Cookie] = l
	}
}

// Diff returns the Delta from prev to cur. A namespace or listener that is in
// only one of them has no delta.
func Diff(prev, cur *Snapshot) Delta {
	d := Delta{Start: prev.Time, End: cur.Time, Namespaces: make(map[NetnsID]*NamespaceDelta, len(cur.Namespaces))}
	before := make(map[NetnsID]*Namespace, len(prev.Namespaces))
	for i := range prev.Namespaces {
		before[prev.Namespaces[i].ID] = &prev.Namespaces[i]
	}
	for i := range cur.Namespaces {
		now := &cur.Namespaces[i]
		if was := before[now.ID]; was != nil {
			d.Namespaces[now.ID] = diffNamespace(was, now)
		}
	}
	return d
}

func diffNamespace(was, now *Namespace) *NamespaceDelta {
	d := &NamespaceDelta{
		Counters:  now.Counters.Since(&was.Counters),
		Listeners: map[uint64]ListenerDelta{},
	}
	d.Gone = len(was.Listeners)
	for i, j := 0, 0; i < len(now.Listeners); i++ {
		l := &now.Listeners[i]
		// Listeners are sorted by cookie in both.
		for j < len(was.Listeners) && was.Listeners[j].Cookie < l.Cookie {
			j++
		}
		before := &Listener{DiscardsKnown: true} // of one that came: all it has is of this slot
		if j < len(was.Listeners) && was.Listeners[j].Cookie == l.Cookie {
			before = &was.Listeners[j]
			d.Gone--
		} else if !was.Listed {
			continue // it may have been there
		}
		ld := diffListener(before, l)
		if ld == (ListenerDelta{}) {
			continue
		}
		d.Listeners[l.Cookie] = ld
		d.Discards += uint64(ld.Discards)
	}
	return d
}

func diffListener(was, now *Listener) ListenerDelta {
	d := ListenerDelta{
		From: was.Accept.Len, To: now.Accept.Len,
		AcceptFull: was.Accept.Full() || now.Accept.Full(),
		SynFull:    was.Syn.AtLimit() || now.Syn.AtLimit(),
		SynLen:     max(was.Syn.Len, now.Syn.Len),
		SynStale:   max(was.Syn.Stale, now.Syn.Stale),
	}
	if was.DiscardsKnown && now.DiscardsKnown {
		d.Discards = now.Discards - was.Discards // u32: right across a wrap
	}
	return d
}

// Merge returns the Delta over two that follow each other.
func Merge(first, then Delta) Delta {
	d := Delta{Start: first.Start, End: then.End, Namespaces: make(map[NetnsID]*NamespaceDelta, len(then.Namespaces))}
	maps.Copy(d.Namespaces, first.Namespaces)
	for id, ns := range then.Namespaces {
		if before := d.Namespaces[id]; before != nil {
			ns = mergeNamespaces(before, ns)
		}
		d.Namespaces[id] = ns
	}
	return d
}

func mergeNamespaces(first, then *NamespaceDelta) *NamespaceDelta {
	d := &NamespaceDelta{
		Counters:  first.Counters,
		Listeners: make(map[uint64]ListenerDelta, max(len(first.Listeners), len(then.Listeners))),
		Discards:  first.Discards + then.Discards,
		Gone:      first.Gone + then.Gone,
	}
	d.Counters.Add(&then.Counters)
	for cookie, l := range first.Listeners {
		d.Listeners[cookie] = l.merge(then.Listeners[cookie]) // a quiet one is the zero value
	}
	for cookie, l := range then.Listeners {
		if _, done := first.Listeners[cookie]; !done {
			d.Listeners[cookie] = ListenerDelta{}.merge(l)
		}
	}
	return d
}

// worst returns how many packets were discarded within a second at most.
func (d *ListenerDelta) worst() uint32 {
	if d.Burst == 0 {
		return d.Discards
	}
	return d.Burst
}

// burst returns the Burst of two slots. One of which samples do not tell may be the
// end, or the beginning, of the other's.
func (d *ListenerDelta) burst(then *ListenerDelta) uint32 {
	switch {
	case d.Discards == 0:
		return then.Burst
	case then.Discards == 0:
		return d.Burst
	case d.Burst == 0 || then.Burst == 0:
		return 0
	}
	return max(d.Burst, then.Burst)
}

func (d ListenerDelta) merge(then ListenerDelta) ListenerDelta {
	return ListenerDelta{
		Discards: d.Discards + then.Discards,
		Burst:    d.burst(&then),
		From:     d.From, To: then.To,
		Peak:       max(d.Peak, d.To, then.From, then.Peak),
		AcceptFull: d.AcceptFull || then.AcceptFull,
		Emptied:    d.Emptied || then.Emptied,
		SynFull:    d.SynFull || then.SynFull,
		SynLen:     max(d.SynLen, then.SynLen),
		SynStale:   max(d.SynStale, then.SynStale),
	}
}
