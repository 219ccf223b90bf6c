// SPDX-License-Identifier: Apache-2.0

//go:build linux

package inspection

import (
	"testing"
	"time"

	"github.com/qtune/qtune/tcpq"
)

func TestHistoryOf(t *testing.T) {
	begin := time.Date(2026, 5, 2, 3, 0, 0, 0, time.UTC)
	id := tcpq.NetnsID{Inode: 40, Cookie: 5}
	step := func(i int, length, discards uint32, drops uint64) *tcpq.Snapshot {
		n := tcpq.Namespace{ID: id, Listed: true, Listeners: []tcpq.Listener{{
			Cookie: 0xab, Accept: tcpq.Queue{Len: length, Max: 8}, Discards: discards, DiscardsKnown: true,
		}}}
		n.Counters.Set(tcpq.ListenDrops, drops)
		return &tcpq.Snapshot{Time: begin.Add(time.Duration(i) * 10 * time.Second), Namespaces: []tcpq.Namespace{n}}
	}
	steps := []*tcpq.Snapshot{step(0, 0, 0, 0), step(1, 9, 0, 0), step(2, 2, 7, 5)}
	var w tcpq.Window
	w.Extend(steps[0], steps[1])
	w.Extend(steps[1], steps[2])
	h, ok := HistoryOf(steps[2], &w, 40, "00000000000000ab")
	if !ok || h.Limit != 8 || len(h.Slots) != 2 {
		t.Fatalf("HistoryOf = %+v, %t, want limit 8 and 2 slots", h, ok)
	}
	want := []Slot{
		{Time: begin.Add(10 * time.Second), Seconds: 10, Length: 9, Peak: 9},
		{Time: begin.Add(20 * time.Second), Seconds: 10, Length: 2, Peak: 9, Discards: 7, Refused: 5},
	}
	for i := range want {
		if h.Slots[i] != want[i] {
			t.Errorf("slot %d = %+v, want %+v", i, h.Slots[i], want[i])
		}
	}
	for _, no := range []struct {
		netns  uint64
		cookie string
	}{{41, "00000000000000ab"}, {40, "00000000000000ac"}, {40, ""}} {
		if _, ok := HistoryOf(steps[2], &w, no.netns, no.cookie); ok {
			t.Errorf("HistoryOf(%d, %q) gave one, want none", no.netns, no.cookie)
		}
	}
}
