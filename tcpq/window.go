// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tcpq

import "time"

// A Window is a run of Deltas in equal slots. Judgements count slots, never
// seconds, so the same check works at 10 s and at 10 min.
type Window struct {
	Deltas []Delta
}

// Duration returns the time from the first sample to the last.
func (w *Window) Duration() time.Duration {
	if len(w.Deltas) == 0 {
		return 0
	}
	return w.Deltas[len(w.Deltas)-1].End.Sub(w.Deltas[0].Start)
}

// Counters returns how far the counters of a namespace moved in the window;
// ok is false when it was never seen twice.
func (w *Window) Counters(ns NetnsID) (moved Counters, ok bool) {
	for _, d := range w.Deltas {
		if n := d.Namespaces[ns]; n != nil {
			moved.Add(&n.Counters)
			ok = true
		}
	}
	return moved, ok
}

// A ListenerWindow is what a window shows of one listener.
type ListenerWindow struct {
	Slots        int // slots in which its namespace was seen at both ends
	Discards     uint64
	Refused      Refused
	RefusedKnown bool   // the namespace's counters were read in every slot
	Worst        uint64 // most packets refused in the largest burst: in one slot, at most, and in a second where samples tell
	Causes       Causes

	Lengths  []uint32 // of the accept queue: at the start, and at the end of every slot
	Between  []uint32 // and its longest sample within a slot, where that is longer than at both ends
	Emptied  []bool   // whether a sample showed it empty between one of Lengths and the next
	Peak     uint32   // the longest of all
	SynPeak  uint32   // most half-open peers counted
	SynStale uint32   // most of them that did not answer
	SynFull  bool     // the SYN queue was seen at its limit
}

// Listener returns what the window shows of one listener.
func (w *Window) Listener(id ListenerID) ListenerWindow {
	lw := ListenerWindow{RefusedKnown: true}
	var run interval
	var seen bool // in the slot before
	for _, d := range w.Deltas {
		ns := d.Namespaces[id.Netns]
		if ns == nil {
			lw.end(&run)
			seen = false
			continue
		}
		l := ns.Listeners[id.Cookie]
		if !seen {
			if len(lw.Lengths) > 0 {
				lw.Emptied = append(lw.Emptied, false)
			}
			lw.Lengths = append(lw.Lengths, l.From)
			seen = true
		}
		lw.Slots++
		lw.Lengths = append(lw.Lengths, l.To)
		lw.Emptied = append(lw.Emptied, l.Emptied)
		lw.Discards += uint64(l.Discards)
		if l.Peak > max(l.From, l.To) {
			lw.Between = append(lw.Between, l.Peak)
		}
		lw.Peak = max(lw.Peak, l.Longest())
		lw.SynPeak = max(lw.SynPeak, l.SynLen)
		lw.SynStale = max(lw.SynStale, l.SynStale)
		lw.SynFull = lw.SynFull || l.SynFull
		if _, ok := ns.Counters.Get(ListenDrops); !ok {
			lw.RefusedKnown = false
		}
		if ns.quiet() { // what was full in it is not of the run that follows
			lw.end(&run)
			continue
		}
		run.add(ns, &l)
	}
	lw.end(&run)
	lw.RefusedKnown = lw.RefusedKnown && lw.Slots > 0
	return lw
}

// end judges a run of slots and begins the next.
func (lw *ListenerWindow) end(run *interval) {
	r := run.refused()
	lw.Refused.Min += r.Min
	lw.Refused.Max += r.Max
	lw.Worst = max(lw.Worst, min(run.worst, r.Max))
	if r.Max > 0 {
		lw.Causes.add(run.causes())
	}
	*run = interval{}
}

// Extend adds the slot from prev to cur; without prev there is none yet.
func (w *Window) Extend(prev, cur *Snapshot) {
	if prev != nil {
		w.Deltas = append(w.Deltas, Diff(prev, cur))
	}
}
