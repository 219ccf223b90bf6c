// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tcpq

import "time"

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
	From, To   uint32 // length of the accept queue at both ends of the slot
	Peak       uint32 // its longest sample between them, 0 when none was taken
	AcceptFull bool   // it was full at one of them, or in between
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
}

// AddSamples adds what was seen between the two ends of the slot.
func (d *Delta) AddSamples(samples map[ListenerID]Sample) {
	for id, s := range samples {
		ns := d.Namespaces[id.Netns]
		if ns == nil || s == (Sample{}) {
			continue
		}
		l := ns.Listeners[id.Cookie]
		l.Peak = max(l.Peak, s.Peak)
		l.AcceptFull = l.AcceptFull || s.Full
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
	Worst        uint64 // most packets refused in one slot, at most: of the largest burst
	Causes       Causes

	Lengths  []uint32 // of the accept queue: at the start, and at the end of every slot
	Peak     uint32   // the longest of them
	SynPeak  uint32   // most half-open peers counted
	SynStale uint32   // most of them that did not answer
	SynFull  bool     // the SYN queue was seen at its limit
}

// Causes say why the namespace refused packets while this listener lost some.
// Those of another listener that lost some at the same time are among them.
type Causes struct {
	AcceptFull uint64 // ListenOverflows
	SynFull    uint64 // TCPReqQFullDrop
	Other      uint64 // the 3/4 rule; or no route, no memory, a security module
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
			lw.Lengths = append(lw.Lengths, l.From)
			seen = true
		}
		lw.Slots++
		lw.Lengths = append(lw.Lengths, l.To)
		lw.Discards += uint64(l.Discards)
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

// quiet reports whether nothing was refused and nothing discarded.
func (n *NamespaceDelta) quiet() bool {
	return n.Counters.Value(ListenDrops) == 0 && n.Discards == 0 && n.Gone == 0
}

// Refused bounds how many packets of a listener the kernel refused. Packets,
// not connections: a client that tries again counts again.
type Refused struct {
	Min, Max uint64
}

// An interval is a run of slots between two quiet ones, as one listener and its
// namespace saw it. It is judged as a whole: a packet refused while a sample was
// being taken is in the counters of one slot and in the discards of the next.
type interval struct {
	drops      uint64 // ListenDrops
	overflows  uint64 // of them, ListenOverflows
	synFull    uint64 // and TCPReqQFullDrop
	mine, all  uint64 // discards, of the listener and of all in the namespace
	worst      uint64 // most discards of the listener in one slot
	acceptSeen bool   // a sample showed its accept queue full
	synSeen    bool   // or its SYN queue
	gone       bool   // a listener went, and nobody knows what it discarded
}

// add adds a slot.
func (i *interval) add(ns *NamespaceDelta, l *ListenerDelta) {
	i.drops += ns.Counters.Value(ListenDrops)
	i.overflows += ns.Counters.Value(ListenOverflows)
	i.synFull += ns.Counters.Value(TCPReqQFullDrop)
	i.mine += uint64(l.Discards)
	i.worst = max(i.worst, uint64(l.Discards))
	i.all += ns.Discards
	i.acceptSeen = i.acceptSeen || l.AcceptFull
	i.synSeen = i.synSeen || l.SynFull
	i.gone = i.gone || ns.Gone > 0
}

// refused attributes the ListenDrops of an interval to the listener.
//
// Discards alone are no loss: scans and health checks raise them on an innocent
// listener. It lost something only if the namespace refused something, it
// discarded something, and a sample saw it full or nobody else discarded
// anything. Then at most what it discarded was refused, and at least what the
// others cannot have taken.
func (i *interval) refused() Refused {
	others := i.all - i.mine
	full := i.acceptSeen || i.synSeen
	if i.drops == 0 || i.mine == 0 || !full && (others > 0 || i.gone) {
		return Refused{}
	}
	r := Refused{Min: i.drops - min(i.drops, others), Max: min(i.drops, i.mine)}
	if i.gone {
		r.Min = 0
	}
	r.Min = min(r.Min, r.Max) // drops counted since the last sample are nobody's yet
	return r
}

// A Tally adds up, over any time, how many packets of one listener the kernel
// refused at most. It never goes backwards.
type Tally struct {
	run     interval
	ended   uint64 // in the runs before
	running uint64 // most that was ever said of this one
}

// Add adds a slot.
func (t *Tally) Add(ns *NamespaceDelta, l *ListenerDelta) {
	if ns.quiet() {
		*t = Tally{ended: t.Max()}
		return
	}
	t.run.add(ns, l)
	t.running = max(t.running, t.run.refused().Max)
}

// Max returns the sum.
func (t *Tally) Max() uint64 { return t.ended + t.running }

// causes says why packets were refused in an interval. While a sample showed one
// of the listener's queues full, what the other kind of queue refused is another
// listener's.
func (i *interval) causes() Causes {
	c := Causes{AcceptFull: i.overflows, SynFull: i.synFull}
	c.Other = i.drops - min(i.drops, c.AcceptFull+c.SynFull)
	switch {
	case i.acceptSeen && !i.synSeen && c.AcceptFull > 0:
		return Causes{AcceptFull: c.AcceptFull}
	case i.synSeen && !i.acceptSeen && c.SynFull+c.Other > 0:
		c.AcceptFull = 0
	}
	return c
}

func (c *Causes) add(more Causes) {
	c.AcceptFull += more.AcceptFull
	c.SynFull += more.SynFull
	c.Other += more.Other
}

// Extend adds the slot from prev to cur; without prev there is none yet.
func (w *Window) Extend(prev, cur *Snapshot) {
	if prev != nil {
		w.Deltas = append(w.Deltas, Diff(prev, cur))
	}
}
