// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tcpq

import (
	"testing"
	"time"
)

func TestMerge(t *testing.T) {
	old, young := NetnsID{Inode: 1, Cookie: 2}, NetnsID{Inode: 1, Cookie: 3}
	begin := time.Date(2026, 5, 2, 3, 0, 0, 0, time.UTC)
	step := func(i int, id NetnsID, drops uint64, listeners ...Listener) *Snapshot {
		n := Namespace{ID: id, Listed: true, Listeners: listeners}
		n.Counters.Set(ListenDrops, drops)
		return &Snapshot{Time: begin.Add(time.Duration(i) * time.Second), Namespaces: []Namespace{n}}
	}
	l := func(cookie uint64, length, discards uint32) Listener {
		return Listener{Cookie: cookie, Accept: Queue{Len: length, Max: 8}, Discards: discards, DiscardsKnown: true}
	}
	one := Diff(step(0, old, 1, l(7, 0, 0), l(8, 2, 5), l(9, 3, 1)), step(1, old, 3, l(7, 9, 4), l(8, 0, 5)))
	two := Diff(step(1, old, 3, l(7, 9, 4), l(8, 0, 5)), step(2, old, 4, l(7, 1, 6), l(8, 4, 5), l(10, 0, 2)))
	two.AddSamples(map[ListenerID]Sample{{old, 8}: {Peak: 6, Emptied: true}, {old, 11}: {Emptied: true}})
	other := Diff(step(1, young, 50, l(7, 1, 0)), step(2, young, 60, l(7, 1, 3)))

	got := Merge(one, two)
	ns := got.Namespaces[old]
	if !got.Start.Equal(begin) || !got.End.Equal(begin.Add(2*time.Second)) || len(got.Namespaces) != 1 {
		t.Fatalf("Merge = %v to %v of %d namespaces", got.Start, got.End, len(got.Namespaces))
	}
	if drops := ns.Counters.Value(ListenDrops); drops != 3 || ns.Discards != 8 || ns.Gone != 1 {
		t.Errorf("drops, discards, gone = %d, %d, %d, want 3, 8, 1", drops, ns.Discards, ns.Gone)
	}
	tests := []struct {
		name   string
		cookie uint64
		want   ListenerDelta
	}{
		{"one that was full in the middle", 7, ListenerDelta{Discards: 6, From: 0, To: 1, Peak: 9, AcceptFull: true}},
		{"one that a sample showed", 8, ListenerDelta{From: 2, To: 4, Peak: 6, Emptied: true}},
		{"one that went and was not counted", 9, ListenerDelta{}},
		{"a quiet one that samples showed empty, as it always is", 11, ListenerDelta{}},
		{"one that came", 10, ListenerDelta{Discards: 2}},
	}
	for _, tt := range tests {
		if got := ns.Listeners[tt.cookie]; got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
	if got := Merge(one, other); got.Namespaces[young].Counters.Value(ListenDrops) != 10 || got.Namespaces[old].Counters.Value(ListenDrops) != 2 {
		t.Error("a namespace and its successor of the same number were added up")
	}
}
