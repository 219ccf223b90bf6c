// SPDX-License-Identifier: Apache-2.0

//go:build linux

package agent

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/qtune/qtune/tcpq"
)

// at returns a Snapshot of one namespace with one listener.
func at(second int, drops uint64, l tcpq.Listener) *tcpq.Snapshot {
	n := tcpq.Namespace{ID: tcpq.NetnsID{Inode: 1, Cookie: 2}, Listed: true, Listeners: []tcpq.Listener{l}}
	n.Counters.Set(tcpq.ListenDrops, drops)
	return &tcpq.Snapshot{Time: time.Date(2026, 5, 2, 3, 0, second, 0, time.UTC), Namespaces: []tcpq.Namespace{n}}
}

func listening(length, discards uint32) tcpq.Listener {
	return tcpq.Listener{Cookie: 7, Accept: tcpq.Queue{Len: length, Max: 8}, Discards: discards, DiscardsKnown: true}
}

func TestCourse(t *testing.T) {
	c := course{slot: 10 * time.Second}
	if c.add(at(0, 0, listening(0, 0)), nil) != nil || len(c.window.Deltas) != 0 {
		t.Fatal("the first Snapshot made a slot")
	}
	for i := 1; i <= 5; i++ {
		before := c.window.Deltas
		if d := c.add(at(5*i, uint64(i), listening(0, uint32(i))), nil); d.Namespaces[tcpq.NetnsID{Inode: 1, Cookie: 2}].Discards != 1 {
			t.Fatalf("step %d: discards %+v, want 1", i, d)
		}
		for j, d := range before {
			if d.End.Sub(d.Start) >= c.slot && !c.window.Deltas[j].End.Equal(d.End) {
				t.Fatalf("step %d changed a slot that was full", i)
			}
		}
	}
	if n := len(c.window.Deltas); n != 3 {
		t.Errorf("25 s in steps of 5 s make %d slots, want 3", n)
	}
	id := tcpq.ListenerID{Netns: tcpq.NetnsID{Inode: 1, Cookie: 2}, Cookie: 7}
	if got := c.window.Listener(id); got.Discards != 5 || got.Refused.Max != 5 {
		t.Errorf("discards, refused = %d, %v, want 5 and at most 5", got.Discards, got.Refused)
	}
	for i := 6; i < 400; i++ {
		c.add(at(5*i, 5, listening(0, 5)), map[tcpq.ListenerID]tcpq.Sample{id: {Peak: 3}})
	}
	if n := len(c.window.Deltas); n != windowSlots {
		t.Errorf("the window has %d slots, want %d", n, windowSlots)
	}
	if d := c.window.Duration(); d < 590*time.Second || d > 600*time.Second {
		t.Errorf("it lasts %v, want ten minutes", d)
	}
	if got := c.window.Listener(id); got.Discards != 0 || got.Peak != 3 {
		t.Errorf("discards, peak = %d, %d, want 0, 3: what is old is forgotten, samples count", got.Discards, got.Peak)
	}
	if got := tail(&c.window, recentSlots); len(got.Deltas) != recentSlots || !got.Deltas[5].End.Equal(c.last.Time) {
		t.Errorf("tail has %d slots", len(got.Deltas))
	}
}

func TestMatters(t *testing.T) {
	id := tcpq.NetnsID{Inode: 1, Cookie: 2}
	ns := &tcpq.NamespaceDelta{Discards: 60, Listeners: map[uint64]tcpq.ListenerDelta{
		1: {Discards: 10, To: 3}, 2: {AcceptFull: true}, 3: {Discards: 50}, 4: {To: 900}, 5: {To: 2},
	}}
	d := tcpq.Delta{Namespaces: map[tcpq.NetnsID]*tcpq.NamespaceDelta{id: ns}}
	if got := matters(d, 5); got.Namespaces[id] != ns {
		t.Error("all were few enough, and they were copied")
	}
	for most, want := range map[int][]uint64{1: {2}, 2: {2, 3}, 4: {1, 2, 3, 4}} {
		got := matters(d, most).Namespaces[id]
		if cookies := slices.Sorted(maps.Keys(got.Listeners)); !slices.Equal(cookies, want) || got.Discards != 60 {
			t.Errorf("the %d that matter are %v of %d discards, want %v of 60", most, cookies, got.Discards, want)
		}
	}
	if len(ns.Listeners) != 5 {
		t.Error("what others read was changed")
	}
}
