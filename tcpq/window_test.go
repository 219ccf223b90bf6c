// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tcpq

import (
	"cmp"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"
)

var (
	blue  = NetnsID{Inode: 4026532001, Cookie: 7}
	green = NetnsID{Inode: 4026532002, Cookie: 8}
	start = time.Date(2026, 5, 2, 3, 0, 0, 0, time.UTC)
)

// listener makes a Listener with an accept queue of 128 and what it discarded.
func listener(cookie uint64, queued, discards uint32) Listener {
	return Listener{
		Cookie: cookie, Inode: uint32(cookie), Accept: Queue{queued, 128},
		Discards: discards, DiscardsKnown: true,
	}
}

// snapshot makes a Snapshot of one namespace.
func snapshot(id NetnsID, drops uint64, listeners ...Listener) *Snapshot {
	slices.SortFunc(listeners, func(a, b Listener) int { return cmp.Compare(a.Cookie, b.Cookie) })
	return &Snapshot{Namespaces: []Namespace{{
		ID: id, Counters: counts(map[Counter]uint64{ListenDrops: drops}), Listeners: listeners, Listed: true,
	}}}
}

func TestDiff(t *testing.T) {
	tests := []struct {
		name      string
		prev, cur *Snapshot
		want      map[NetnsID]*NamespaceDelta
	}{
		{
			"what changed at a listener",
			snapshot(blue, 10, listener(1, 3, 100)), snapshot(blue, 12, listener(1, 9, 105)),
			map[NetnsID]*NamespaceDelta{blue: {
				Counters:  counts(map[Counter]uint64{ListenDrops: 2}),
				Listeners: map[uint64]ListenerDelta{1: {Discards: 5, From: 3, To: 9}}, Discards: 5,
			}},
		},
		{
			"a queue that was worked off",
			snapshot(blue, 0, listener(1, 9, 0)), snapshot(blue, 0, listener(1, 3, 0)),
			map[NetnsID]*NamespaceDelta{blue: {
				Counters:  counts(map[Counter]uint64{ListenDrops: 0}),
				Listeners: map[uint64]ListenerDelta{1: {From: 9, To: 3}},
			}},
		},
		{
			"a quiet empty listener is absent",
			snapshot(blue, 10, listener(1, 0, 100)), snapshot(blue, 10, listener(1, 0, 100)),
			map[NetnsID]*NamespaceDelta{blue: {Counters: counts(map[Counter]uint64{ListenDrops: 0}), Listeners: map[uint64]ListenerDelta{}}},
		},
		{
			"a listener that comes has all its discards in this slot",
			snapshot(blue, 10, listener(1, 0, 0)), snapshot(blue, 10, listener(1, 0, 4), listener(2, 50, 1000)),
			map[NetnsID]*NamespaceDelta{blue: {
				Counters:  counts(map[Counter]uint64{ListenDrops: 0}),
				Listeners: map[uint64]ListenerDelta{1: {Discards: 4}, 2: {Discards: 1000, To: 50}}, Discards: 1004,
			}},
		},
		{
			"what an incomplete dump missed did not come",
			&Snapshot{Namespaces: []Namespace{{ID: blue}}}, snapshot(blue, 10, listener(2, 50, 1000)),
			map[NetnsID]*NamespaceDelta{blue: {Listeners: map[uint64]ListenerDelta{}}},
		},
		{
			"a listener that goes has no delta",
			snapshot(blue, 10, listener(1, 50, 1000), listener(2, 0, 0)), snapshot(blue, 10, listener(2, 0, 4)),
			map[NetnsID]*NamespaceDelta{blue: {
				Counters:  counts(map[Counter]uint64{ListenDrops: 0}),
				Listeners: map[uint64]ListenerDelta{2: {Discards: 4}}, Discards: 4, Gone: 1,
			}},
		},
		{
			"the last goes, others come and stay",
			snapshot(blue, 0, listener(2, 0, 0), listener(5, 0, 0), listener(9, 0, 0)),
			snapshot(blue, 0, listener(1, 0, 9), listener(3, 0, 9), listener(5, 0, 2), listener(7, 0, 9)),
			map[NetnsID]*NamespaceDelta{blue: {
				Counters:  counts(map[Counter]uint64{ListenDrops: 0}),
				Listeners: map[uint64]ListenerDelta{1: {Discards: 9}, 3: {Discards: 9}, 5: {Discards: 2}, 7: {Discards: 9}},
				Discards:  29, Gone: 2,
			}},
		},
		{
			"discards wrap at 32 bits",
			snapshot(blue, 0, listener(1, 0, 1<<32-3)), snapshot(blue, 0, listener(1, 0, 4)),
			map[NetnsID]*NamespaceDelta{blue: {
				Counters:  counts(map[Counter]uint64{ListenDrops: 0}),
				Listeners: map[uint64]ListenerDelta{1: {Discards: 7}}, Discards: 7,
			}},
		},
		{
			"discards the kernel does not show are none",
			&Snapshot{Namespaces: []Namespace{{ID: blue, Listeners: []Listener{{Cookie: 1, Discards: 0}}}}},
			&Snapshot{Namespaces: []Namespace{{ID: blue, Listeners: []Listener{{Cookie: 1, Discards: 9, DiscardsKnown: true}}}}},
			map[NetnsID]*NamespaceDelta{blue: {Listeners: map[uint64]ListenerDelta{}}},
		},
		{
			"the same inode with another cookie is another socket",
			snapshot(blue, 0, Listener{Cookie: 1, Inode: 99, Accept: Queue{200, 128}, Discards: 5, DiscardsKnown: true}),
			snapshot(blue, 0, Listener{Cookie: 2, Inode: 99, Accept: Queue{200, 128}, Discards: 50, DiscardsKnown: true}),
			map[NetnsID]*NamespaceDelta{blue: {Counters: counts(map[Counter]uint64{ListenDrops: 0}), Listeners: map[uint64]ListenerDelta{2: {Discards: 50, To: 200, AcceptFull: true}}, Discards: 50, Gone: 1}},
		},
		{
			"also when the cookie is smaller: CPUs hand them out in batches",
			snapshot(blue, 0, Listener{Cookie: 4096, Inode: 99, Accept: Queue{200, 128}, Discards: 5, DiscardsKnown: true}),
			snapshot(blue, 0, Listener{Cookie: 7, Inode: 99, Accept: Queue{200, 128}, Discards: 50, DiscardsKnown: true}),
			map[NetnsID]*NamespaceDelta{blue: {Counters: counts(map[Counter]uint64{ListenDrops: 0}), Listeners: map[uint64]ListenerDelta{7: {Discards: 50, To: 200, AcceptFull: true}}, Discards: 50, Gone: 1}},
		},
		{
			"the same inode with another cookie is another namespace",
			snapshot(blue, 10, listener(1, 200, 5)), snapshot(NetnsID{blue.Inode, blue.Cookie + 1}, 50, listener(1, 200, 50)),
			map[NetnsID]*NamespaceDelta{},
		},
		{
			"the same cookie of a socket in another namespace is another socket",
			snapshot(blue, 10, listener(1, 200, 5)), snapshot(green, 50, listener(1, 200, 50)),
			map[NetnsID]*NamespaceDelta{},
		},
		{
			"full in the earlier sample",
			snapshot(blue, 0, listener(1, 129, 0)), snapshot(blue, 0, listener(1, 0, 0)),
			map[NetnsID]*NamespaceDelta{blue: {
				Counters:  counts(map[Counter]uint64{ListenDrops: 0}),
				Listeners: map[uint64]ListenerDelta{1: {From: 129, AcceptFull: true}},
			}},
		},
		{
			"full in the later sample",
			snapshot(blue, 0, listener(1, 0, 0)), snapshot(blue, 0, listener(1, 129, 0)),
			map[NetnsID]*NamespaceDelta{blue: {
				Counters:  counts(map[Counter]uint64{ListenDrops: 0}),
				Listeners: map[uint64]ListenerDelta{1: {To: 129, AcceptFull: true}},
			}},
		},
		{
			"at the limit is not yet full",
			snapshot(blue, 0, listener(1, 128, 0)), snapshot(blue, 0, listener(1, 128, 0)),
			map[NetnsID]*NamespaceDelta{blue: {
				Counters:  counts(map[Counter]uint64{ListenDrops: 0}),
				Listeners: map[uint64]ListenerDelta{1: {From: 128, To: 128}},
			}},
		},
		{
			"a SYN queue at its limit is full",
			snapshot(blue, 0, Listener{Cookie: 1}),
			snapshot(blue, 0, Listener{Cookie: 1, Syn: SynQueue{Queue: Queue{97, 97}, Counted: true, MaxKnown: true}}),
			map[NetnsID]*NamespaceDelta{blue: {
				Counters:  counts(map[Counter]uint64{ListenDrops: 0}),
				Listeners: map[uint64]ListenerDelta{1: {SynFull: true, SynLen: 97}},
			}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.prev.Time, tt.cur.Time = start, start.Add(time.Second)
			got := Diff(tt.prev, tt.cur)
			if got.Start != tt.prev.Time || got.End != tt.cur.Time {
				t.Errorf("Diff = from %v to %v, want from %v to %v", got.Start, got.End, tt.prev.Time, tt.cur.Time)
			}
			if !reflect.DeepEqual(got.Namespaces, tt.want) {
				t.Errorf("Diff = %+v, want %+v", describe(got.Namespaces), describe(tt.want))
			}
		})
	}
}

// TestDiffOfSuccessors proves that a sequence leaves nothing of a socket that
// went to one that came.
func TestDiffOfSuccessors(t *testing.T) {
	var w Window
	samples := []*Snapshot{
		snapshot(blue, 100, listener(1, 129, 100)),
		snapshot(blue, 200, listener(1, 129, 200)),
		snapshot(NetnsID{blue.Inode, 9}, 0, listener(3, 0, 0)), // the number was reused
		snapshot(NetnsID{blue.Inode, 9}, 0, listener(3, 0, 0)),
	}
	for i, s := range samples[1:] {
		w.Deltas = append(w.Deltas, Diff(samples[i], s))
	}
	old, young := w.Listener(ListenerID{blue, 1}), w.Listener(ListenerID{NetnsID{blue.Inode, 9}, 3})
	if want := (ListenerWindow{
		Slots: 1, Discards: 100, Refused: Refused{100, 100}, RefusedKnown: true, Worst: 100, Causes: Causes{Other: 100},
		Lengths: []uint32{129, 129}, Emptied: make([]bool, 1), Peak: 129,
	}); !reflect.DeepEqual(old, want) {
		t.Errorf("Listener(the one before) = %+v, want %+v", old, want)
	}
	if want := (ListenerWindow{Slots: 1, RefusedKnown: true, Lengths: []uint32{0, 0}, Emptied: make([]bool, 1)}); !reflect.DeepEqual(young, want) {
		t.Errorf("Listener(its successor) = %+v, want %+v", young, want)
	}
	if moved, ok := w.Counters(NetnsID{blue.Inode, 9}); moved.Value(ListenDrops) != 0 || !ok {
		t.Errorf("Counters(the successor) = %d, %t, want 0, true", moved.Value(ListenDrops), ok)
	}
}

func describe(m map[NetnsID]*NamespaceDelta) (all []NamespaceDelta) {
	for _, d := range m {
		all = append(all, *d)
	}
	return all
}

// TestRefused holds the rule of loss (docs/json.md), sentence by sentence.
func TestRefused(t *testing.T) {
	quiet, full := uint32(0), uint32(129)
	tests := []struct {
		name      string
		drops     uint64 // how far ListenDrops moved
		queued    []uint32
		discarded []uint32
		want      []Refused
	}{
		{"nothing moved", 0, []uint32{quiet}, []uint32{0}, []Refused{{}}},
		{"discards are no loss when nothing was refused", 0, []uint32{quiet}, []uint32{20}, []Refused{{}}},
		{"a full queue is no loss when nothing was refused", 0, []uint32{full}, []uint32{20}, []Refused{{}}},
		{"what was refused is not of a listener that discarded nothing", 7, []uint32{full}, []uint32{0}, []Refused{{}}},
		{"the only discarder lost it, though no sample saw it full", 7, []uint32{quiet, quiet}, []uint32{7, 0}, []Refused{{7, 7}, {}}},
		{"a scanned innocent beside the victim", 7, []uint32{quiet, full}, []uint32{50, 7}, []Refused{{}, {0, 7}}},
		{"what the scanned one cannot have taken is the victim's", 60, []uint32{quiet, full}, []uint32{50, 60}, []Refused{{}, {10, 60}}},
		{"two candidates are suspected, neither is certain", 10, []uint32{full, full}, []uint32{10, 10}, []Refused{{0, 10}, {0, 10}}},
		{"two candidates share what neither can have taken alone", 10, []uint32{full, full}, []uint32{7, 6}, []Refused{{4, 7}, {3, 6}}},
		{"two candidates, all of it certain", 13, []uint32{full, full}, []uint32{7, 6}, []Refused{{7, 7}, {6, 6}}},
		{"two that discarded and no full sample: nobody is accused", 10, []uint32{quiet, quiet}, []uint32{7, 6}, []Refused{{}, {}}},
		{"one at its limit is not yet full", 10, []uint32{128, quiet}, []uint32{7, 6}, []Refused{{}, {}}},
		{"a refused final ACK is discarded twice", 3, []uint32{full}, []uint32{6}, []Refused{{3, 3}}},
		{"discards beyond what was refused were harmless", 7, []uint32{full}, []uint32{50}, []Refused{{7, 7}}},
		{"counters are read after the listeners: the rest is nobody's", 100, []uint32{full}, []uint32{5}, []Refused{{5, 5}}},
		{"the rest of two is nobody's", 100, []uint32{full, full}, []uint32{5, 6}, []Refused{{5, 5}, {6, 6}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var before, after []Listener
			for i, n := range tt.discarded {
				before = append(before, listener(uint64(i+1), 0, 1000))
				after = append(after, listener(uint64(i+1), tt.queued[i], 1000+n))
			}
			w := Window{Deltas: []Delta{Diff(snapshot(blue, 500, before...), snapshot(blue, 500+tt.drops, after...))}}
			for i, want := range tt.want {
				got := w.Listener(ListenerID{blue, uint64(i + 1)})
				if got.Refused != want || !got.RefusedKnown {
					t.Errorf("Listener(%d).Refused = %+v, known %t, want %+v", i+1, got.Refused, got.RefusedKnown, want)
				}
				if got.Discards != uint64(tt.discarded[i]) || got.Slots != 1 {
					t.Errorf("Listener(%d) = %+v, want %d discards in 1 slot", i+1, got, tt.discarded[i])
				}
			}
		})
	}
}

// TestRefusedWithoutDiscards: Linux 4.4 shows no discards, and so nothing can be
// attributed.
func TestRefusedWithoutDiscards(t *testing.T) {
	l := Listener{Cookie: 1, Accept: Queue{129, 128}}
	w := Window{Deltas: []Delta{Diff(snapshot(blue, 0, l), snapshot(blue, 9, l))}}
	if got, want := w.Listener(ListenerID{blue, 1}), (ListenerWindow{Slots: 1, RefusedKnown: true, Lengths: []uint32{129, 129}, Emptied: make([]bool, 1), Peak: 129}); !reflect.DeepEqual(got, want) {
		t.Errorf("Listener = %+v, want %+v", got, want)
	}
}

func TestWindow(t *testing.T) {
	id := ListenerID{blue, 1}
	var empty Window
	if got := empty.Listener(id); !reflect.DeepEqual(got, ListenerWindow{}) || empty.Duration() != 0 {
		t.Errorf("an empty window = %+v, %v, want nothing", got, empty.Duration())
	}
	if _, ok := empty.Counters(blue); ok {
		t.Error("Counters of an empty window are known, want unknown")
	}

	samples := []*Snapshot{
		snapshot(blue, 10, listener(1, 3, 0)),
		snapshot(blue, 15, listener(1, 129, 5)),
		snapshot(green, 0), // blue was missed once
		snapshot(blue, 90, listener(1, 40, 20)),
		snapshot(blue, 91, listener(1, 7, 21), listener(2, 0, 0)),
	}
	var w Window
	for i, s := range samples {
		s.Time = start.Add(time.Duration(i) * time.Second)
		if i > 0 {
			w.Deltas = append(w.Deltas, Diff(samples[i-1], s))
		}
	}
	if got := w.Duration(); got != 4*time.Second {
		t.Errorf("Duration() = %v, want 4s", got)
	}
	if got, want := w.Listener(id), (ListenerWindow{
		Slots: 2, Discards: 6, Refused: Refused{6, 6}, RefusedKnown: true, Worst: 5, Causes: Causes{Other: 6},
		Lengths: []uint32{3, 129, 40, 7}, Emptied: make([]bool, 3), Peak: 129,
	}); !reflect.DeepEqual(got, want) {
		t.Errorf("Listener(%v) = %+v, want %+v", id, got, want)
	}
	if got, want := w.Listener(ListenerID{blue, 2}), (ListenerWindow{Slots: 2, RefusedKnown: true, Lengths: []uint32{0, 0, 0, 0}, Emptied: make([]bool, 3)}); !reflect.DeepEqual(got, want) {
		t.Errorf("Listener(one that came) = %+v, want %+v", got, want)
	}
	if moved, ok := w.Counters(blue); !ok || moved.Value(ListenDrops) != 6 {
		t.Errorf("Counters(blue) = %d, %t, want 6", moved.Value(ListenDrops), ok)
	}
	if _, ok := w.Counters(green); ok {
		t.Error("Counters(green), seen once, are known, want unknown")
	}
}

// TestRefusedOverSlots: a packet refused while a sample was being taken is in the
// counters of one slot and in the discards of the next, so slots are judged
// together from one quiet slot to the next.
func TestRefusedOverSlots(t *testing.T) {
	type sample struct {
		drops     uint64
		queued    [2]uint32
		discarded [2]uint32
	}
	tests := []struct {
		name    string
		samples []sample
		want    [2]Refused
	}{
		{
			"counted in one slot, discarded in the next",
			[]sample{{}, {drops: 7, queued: [2]uint32{0, 129}}, {drops: 7, discarded: [2]uint32{0, 7}}},
			[2]Refused{{}, {7, 7}},
		},
		{
			"a scan in the slot that counted it is not to blame",
			[]sample{{}, {drops: 1, discarded: [2]uint32{1, 0}}, {drops: 1, queued: [2]uint32{0, 129}, discarded: [2]uint32{1, 1}}},
			[2]Refused{{}, {0, 1}},
		},
		{
			"a quiet slot parts them: the scan comes later",
			[]sample{{}, {drops: 5, queued: [2]uint32{129, 0}, discarded: [2]uint32{5, 0}}, {drops: 5, discarded: [2]uint32{5, 0}}, {drops: 5, discarded: [2]uint32{5, 9}}},
			[2]Refused{{5, 5}, {}},
		},
		{
			"a quiet slot parts them: each the only discarder of its run",
			[]sample{{}, {drops: 5, discarded: [2]uint32{5, 0}}, {drops: 5, discarded: [2]uint32{5, 0}}, {drops: 8, discarded: [2]uint32{5, 3}}},
			[2]Refused{{5, 5}, {3, 3}},
		},
		{
			"without a quiet slot between them neither is the only one",
			[]sample{{}, {drops: 5, discarded: [2]uint32{5, 0}}, {drops: 8, discarded: [2]uint32{5, 3}}},
			[2]Refused{{}, {}},
		},
		{
			"a queue that was full before a quiet slot says nothing of what came after it",
			[]sample{{queued: [2]uint32{129, 0}}, {}, {drops: 7, discarded: [2]uint32{5, 7}}},
			[2]Refused{{}, {}},
		},
		{
			"a queue that was full when the run began does",
			[]sample{{}, {queued: [2]uint32{0, 129}}, {drops: 7, discarded: [2]uint32{5, 7}}},
			[2]Refused{{}, {2, 7}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var w Window
			var prev *Snapshot
			for _, s := range tt.samples {
				cur := snapshot(blue, 500+s.drops, listener(1, s.queued[0], 1000+s.discarded[0]), listener(2, s.queued[1], 1000+s.discarded[1]))
				w.Extend(prev, cur)
				prev = cur
			}
			for i, want := range tt.want {
				if got := w.Listener(ListenerID{blue, uint64(i + 1)}); got.Refused != want {
					t.Errorf("Listener(%d).Refused = %+v, want %+v", i+1, got.Refused, want)
				}
			}
		})
	}
}

// TestRefusedOfThoseThatCameAndWent: what a listener discarded before it went is
// not known, so nobody is the only discarder beside it.
func TestRefusedOfThoseThatCameAndWent(t *testing.T) {
	tests := []struct {
		name      string
		prev, cur []Listener
		want      Refused // of listener 1
	}{
		{"one that went may have lost it", []Listener{listener(1, 0, 0), listener(2, 129, 0)}, []Listener{listener(1, 0, 3)}, Refused{}},
		{"beside one that went nothing is certain", []Listener{listener(1, 0, 0), listener(2, 129, 0)}, []Listener{listener(1, 129, 3)}, Refused{0, 3}},
		{"one that came and discarded may have lost it", []Listener{listener(1, 0, 0)}, []Listener{listener(1, 0, 3), listener(2, 0, 9)}, Refused{}},
		{"one that came and discarded nothing did not", []Listener{listener(1, 0, 0)}, []Listener{listener(1, 0, 3), listener(2, 0, 0)}, Refused{3, 3}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var w Window
			w.Extend(snapshot(blue, 500, tt.prev...), snapshot(blue, 509, tt.cur...))
			if got := w.Listener(ListenerID{blue, 1}); got.Refused != tt.want {
				t.Errorf("Listener(1).Refused = %+v, want %+v", got.Refused, tt.want)
			}
		})
	}
}

// TestWindowLossBounds makes namespaces in which it is known which packets were
// refused where, and asks whether the bounds hold the truth.
func TestWindowLossBounds(t *testing.T) {
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 1))
		exact := seed%2 == 0 // every refused packet is among the discards
		now := make([]Listener, 1+r.IntN(4))
		for i := range now {
			now[i] = listener(uint64(i+1), 0, r.Uint32()) // anywhere, so that it wraps now and then
		}
		drops := r.Uint64N(1000)
		first := drops
		prev := snapshot(blue, drops, slices.Clone(now)...)
		var w Window
		var runs []Window // the slots between two quiet ones, each by itself
		truth := make([]uint64, len(now))
		for range 1 + r.IntN(8) {
			quiet := r.IntN(4) == 0
			for i := range now {
				now[i].Accept.Len = 0
				if quiet {
					continue
				}
				n, scans := r.Uint64N(20)*r.Uint64N(2), r.Uint32N(20)*r.Uint32N(2)
				if n > 0 {
					now[i].Accept.Len = 129 // who refuses is seen to be full
				}
				truth[i] += n
				now[i].Discards += uint32(n) + scans
				drops += n
			}
			if !exact && !quiet {
				drops += r.Uint64N(50) // of a listener that came and went
			}
			cur := snapshot(blue, drops, slices.Clone(now)...)
			w.Extend(prev, cur)
			if last := Diff(prev, cur); last.Namespaces[blue].Discards == 0 && last.Namespaces[blue].Counters.Value(ListenDrops) == 0 {
				runs = append(runs, Window{})
			} else {
				if len(runs) == 0 {
					runs = append(runs, Window{})
				}
				run := &runs[len(runs)-1]
				run.Extend(prev, cur)
			}
			prev = cur
		}

		for i := range now {
			id := ListenerID{blue, uint64(i + 1)}
			got := w.Listener(id)
			var sum Refused
			for _, run := range runs {
				one := run.Listener(id).Refused
				sum.Min += one.Min
				sum.Max += one.Max
			}
			if got.Refused != sum {
				t.Fatalf("seed %d listener %d: Refused = %+v, want the sum of its runs %+v", seed, i, got.Refused, sum)
			}
			if got.Refused.Min > got.Refused.Max || got.Refused.Max > min(drops-first, got.Discards) {
				t.Fatalf("seed %d listener %d: %+v, want 0 <= min <= max <= the %d refused and the discards", seed, i, got, drops-first)
			}
			if exact && truth[i] > 0 && (truth[i] < got.Refused.Min || truth[i] > got.Refused.Max) {
				t.Fatalf("seed %d listener %d: %+v, want %d within", seed, i, got.Refused, truth[i])
			}
			if exact && truth[i] == 0 && got.Refused.Min > 0 {
				t.Fatalf("seed %d listener %d: %+v, want nothing certain: it refused nothing", seed, i, got.Refused)
			}
		}
	}
}

func TestAddSamples(t *testing.T) {
	ns := NetnsID{Inode: 1, Cookie: 2}
	at := func(cookie uint64) ListenerID { return ListenerID{ns, cookie} }
	listeners := []Listener{{Cookie: 7, Accept: Queue{Len: 3, Max: 8}}, {Cookie: 8, Accept: Queue{Max: 8}}, {Cookie: 9, Accept: Queue{Max: 8}}}
	s := &Snapshot{Namespaces: []Namespace{{ID: ns, Listed: true, Listeners: listeners}}}
	d := Diff(s, s)
	d.AddSamples(map[ListenerID]Sample{
		at(7):                             {Peak: 2},
		at(8):                             {Peak: 9, Full: true},
		at(9):                             {},
		{NetnsID{Inode: 1, Cookie: 3}, 8}: {Peak: 50},
	})
	w := Window{Deltas: []Delta{d}}
	tests := []struct {
		name   string
		cookie uint64
		peak   uint32
	}{
		{"a sample below both ends changes nothing", 7, 3},
		{"one above them is the peak", 8, 9},
		{"an empty one leaves a quiet listener out", 9, 0},
	}
	for _, tt := range tests {
		if got := w.Listener(at(tt.cookie)).Peak; got != tt.peak {
			t.Errorf("%s: peak = %d, want %d", tt.name, got, tt.peak)
		}
	}
	if _, there := d.Namespaces[ns].Listeners[9]; there {
		t.Error("a quiet listener is in the delta")
	}
	if len(d.Namespaces) != 1 {
		t.Error("samples of another namespace of that number made a delta")
	}
	if !d.Namespaces[ns].Listeners[8].AcceptFull {
		t.Error("AcceptFull = false, want true: a sample showed it full")
	}
}

// TestWorst proves that samples tell the largest burst of a slot, however slots are
// merged, and that where they do not all of a slot may be one.
func TestWorst(t *testing.T) {
	ns := NetnsID{Inode: 1, Cookie: 2}
	id := ListenerID{ns, 7}
	tests := []struct {
		name     string
		discards []uint32 // of each step
		samples  []Sample
		steps    uint64 // the Worst of a window of the steps
		merged   uint64 // and of one that they are merged to
	}{
		{"nobody looked", []uint32{100, 40}, []Sample{{}, {}}, 100, 140},
		{"two bursts in a step", []uint32{100, 0}, []Sample{{Discards: 100, Burst: 50}, {}}, 50, 50},
		{"one burst in each", []uint32{100, 40}, []Sample{{Discards: 100, Burst: 50}, {Discards: 40, Burst: 40}}, 50, 50},
		{"what came after the last sample may be of it", []uint32{100, 0}, []Sample{{Discards: 70, Burst: 50}, {}}, 80, 80},
		{"a step in which nobody looked may be of it", []uint32{100, 40}, []Sample{{Discards: 100, Burst: 50}, {}}, 50, 140},
		{"never more than was discarded", []uint32{10, 0}, []Sample{{Discards: 100, Burst: 100}, {}}, 10, 10},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var all Window
			var discards, drops uint32
			at := func(more uint32) *Snapshot {
				discards, drops = discards+more, drops+more
				n := Namespace{ID: ns, Listed: true, Listeners: []Listener{{Cookie: 7, Accept: Queue{Max: 8}, Discards: discards, DiscardsKnown: true}}}
				n.Counters.Set(ListenDrops, uint64(drops))
				return &Snapshot{Namespaces: []Namespace{n}}
			}
			prev := at(0)
			for i, more := range tt.discards {
				cur := at(more)
				d := Diff(prev, cur)
				d.AddSamples(map[ListenerID]Sample{id: tt.samples[i]})
				all.Deltas = append(all.Deltas, d)
				prev = cur
			}
			if got := all.Listener(id).Worst; got != tt.steps {
				t.Errorf("Worst = %d, want %d", got, tt.steps)
			}
			one := Window{Deltas: []Delta{Merge(all.Deltas[0], all.Deltas[1])}}
			if got := one.Listener(id).Worst; got != tt.merged {
				t.Errorf("Worst of both merged = %d, want %d", got, tt.merged)
			}
		})
	}
}

func TestTally(t *testing.T) {
	slot := func(drops, others uint64, mine uint32, full bool) (*NamespaceDelta, *ListenerDelta) {
		ns := &NamespaceDelta{Discards: others + uint64(mine)}
		ns.Counters.Set(ListenDrops, drops)
		return ns, &ListenerDelta{Discards: mine, AcceptFull: full}
	}
	var tally Tally
	steps := []struct {
		name   string
		drops  uint64
		others uint64
		mine   uint32
		full   bool
		want   uint64
	}{
		{name: "what it alone discarded was its", drops: 5, mine: 5, want: 5},
		{name: "a quiet slot ends the run", want: 5},
		{name: "the next run is added", drops: 3, mine: 9, full: true, want: 8},
		{name: "and grows", drops: 4, mine: 9, full: true, want: 12},
		{name: "a quiet slot, again", want: 12},
		{name: "it may have been its", drops: 2, mine: 2, want: 14},
		{name: "that another discarded, too, takes nothing back", drops: 1, mine: 1, others: 3, want: 14},
	}
	for _, s := range steps {
		tally.Add(slot(s.drops, s.others, s.mine, s.full))
		if got := tally.Max(); got != s.want {
			t.Fatalf("%s: Max() = %d, want %d", s.name, got, s.want)
		}
	}
}
