// SPDX-License-Identifier: Apache-2.0

//go:build linux

package agent

import (
	"math"
	"testing"
	"time"

	"github.com/qtune/qtune/advisor"
	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/tcpq"
)

// A book steps a course and a ledger together, as the agent does.
type book struct {
	course course
	ledger *ledger
}

func (b *book) step(s *tcpq.Snapshot, samples map[tcpq.ListenerID]tcpq.Sample) *inspection.Inspection {
	d := b.course.add(s, samples)
	in := inspection.From(s, &b.course.window, advisor.Report{})
	b.ledger.enter(s, d, samples, in)
	return in
}

func TestLedgerTotals(t *testing.T) {
	b := book{course: course{slot: 10 * time.Second}, ledger: newLedger(time.Minute)}
	id := tcpq.ListenerID{Netns: tcpq.NetnsID{Inode: 1, Cookie: 2}, Cookie: 7}
	steps := []struct {
		name              string
		drops             uint64
		length            uint32
		discards          uint32
		sample            uint32
		wantDiscards      uint64
		wantRefused, peak uint64
	}{
		{"what was discarded before is in the total, and nothing is known to be refused", 100, 0, math.MaxUint32 - 1, 0, math.MaxUint32 - 1, 0, 0},
		{"a counter that wraps goes on", 104, 9, 2, 0, math.MaxUint32 + 3, 4, 9},
		{"samples make a peak", 104, 0, 2, 11, math.MaxUint32 + 3, 4, 11},
		{"a queue that refused more is added", 106, 9, 4, 0, math.MaxUint32 + 5, 6, 11},
	}
	for i, s := range steps {
		in := b.step(at(5*i, s.drops, listening(s.length, s.discards)), map[tcpq.ListenerID]tcpq.Sample{id: {Peak: s.sample}})
		l := in.Listeners[0]
		if *l.Totals != (inspection.Totals{Discards: s.wantDiscards, RefusedMax: s.wantRefused}) || uint64(*l.AcceptQueue.RecentPeak) != s.peak {
			t.Errorf("%s: %+v, peak %d, want %d, %d, peak %d", s.name, *l.Totals, *l.AcceptQueue.RecentPeak, s.wantDiscards, s.wantRefused, s.peak)
		}
	}
	in := b.step(at(120, 106, listening(0, 4)), nil)
	if got := *in.Listeners[0].AcceptQueue.RecentPeak; got != 0 {
		t.Errorf("a minute later the recent peak is %d, want 0", got)
	}
}

func TestLedgerGone(t *testing.T) {
	b := book{course: course{slot: 10 * time.Second}, ledger: newLedger(time.Minute)}
	quiet := listening(0, 0)
	quiet.Cookie = 8
	s := at(0, 3, listening(0, 5))
	s.Namespaces[0].Listeners = append(s.Namespaces[0].Listeners, quiet)
	b.step(s, nil)

	unread := at(5, 3, listening(0, 0))
	unread.Namespaces[0].Listed, unread.Namespaces[0].Listeners = false, nil
	if in := b.step(unread, nil); len(in.Gone.Listeners) != 0 {
		t.Error("where a dump failed its listeners were called gone")
	}
	empty := at(10, 4, listening(0, 0))
	empty.Namespaces[0].Listeners = nil
	in := b.step(empty, nil)
	if len(in.Gone.Listeners) != 1 || in.Gone.Listeners[0].Totals.Discards != 5 {
		t.Fatalf("gone: %+v, want the one listener that had something to tell", in.Gone.Listeners)
	}

	successor := at(15, 9, listening(0, 0))
	successor.Namespaces[0].ID.Cookie = 3
	in = b.step(successor, nil)
	if len(in.Gone.Namespaces) != 1 || in.Gone.Namespaces[0].Counters["ListenDrops"] != 4 {
		t.Fatalf("gone: %+v, want the namespace with its last count, 4", in.Gone.Namespaces)
	}
	if got := *in.Listeners[0].Totals; got != (inspection.Totals{}) {
		t.Errorf("the listener of its successor begins with %+v", got)
	}
	successor = at(10+600, 9, listening(0, 0))
	successor.Namespaces[0].ID.Cookie = 3
	if in = b.step(successor, nil); len(in.Gone.Listeners) != 1 {
		t.Error("after ten minutes it was forgotten, want to the second")
	}
	successor = at(16+600, 9, listening(0, 0))
	successor.Namespaces[0].ID.Cookie = 3
	if in = b.step(successor, nil); len(in.Gone.Listeners)+len(in.Gone.Namespaces) != 0 {
		t.Errorf("after more than ten minutes %d are kept", len(in.Gone.Listeners)+len(in.Gone.Namespaces))
	}
	for i := range 2 * goneMost {
		other := at(700+i, 9, listening(0, 0))
		other.Namespaces[0].ID.Cookie = uint64(100 + i)
		other.Time = successor.Time.Add(time.Duration(i+1) * time.Millisecond)
		in = b.step(other, nil)
	}
	if n := len(in.Gone.Namespaces); n != goneMost {
		t.Errorf("%d are kept, want %d at most", n, goneMost)
	}
}

// TestLedgerBack proves that what was not found for a step goes on where it stood,
// and is not told as gone beside.
func TestLedgerBack(t *testing.T) {
	b := book{course: course{slot: 10 * time.Second}, ledger: newLedger(time.Minute)}
	b.step(at(0, 0, listening(0, 0)), nil)
	b.step(at(5, 4, listening(9, 4)), nil)
	away := at(10, 4, listening(0, 0))
	away.Namespaces = nil
	if in := b.step(away, nil); len(in.Gone.Listeners) != 1 || len(in.Gone.Namespaces) != 1 {
		t.Fatalf("gone: %d listeners, %d namespaces, want 1 and 1", len(in.Gone.Listeners), len(in.Gone.Namespaces))
	}
	in := b.step(at(15, 6, listening(9, 6)), nil)
	if got, want := *in.Listeners[0].Totals, (inspection.Totals{Discards: 6, RefusedMax: 4}); got != want {
		t.Errorf("totals = %+v, want %+v", got, want)
	}
	if len(in.Gone.Listeners)+len(in.Gone.Namespaces) != 0 {
		t.Errorf("gone: %d listeners, %d namespaces that are there", len(in.Gone.Listeners), len(in.Gone.Namespaces))
	}
	in = b.step(at(20, 7, listening(9, 7)), nil)
	if got, want := *in.Listeners[0].Totals, (inspection.Totals{Discards: 7, RefusedMax: 5}); got != want {
		t.Errorf("totals = %+v, want %+v", got, want)
	}
}

// TestNothingPilesUp lets a namespace with a busy listener follow another at each
// of many steps.
func TestNothingPilesUp(t *testing.T) {
	b := book{course: course{slot: 10 * time.Second}, ledger: newLedger(time.Minute)}
	sampler := NewSampler(nil, time.Second, 100, 0.01)
	for i := range 1500 {
		s := at(i, uint64(i), listening(9, 7))
		n := &s.Namespaces[0]
		n.ID.Cookie = uint64(1000 + i/2) // each is seen twice
		n.Listeners[0].Cookie = uint64(5000 + i/2)
		n.Listeners[0].Discards = uint32(i)
		in := b.step(s, sampler.Take())
		sampler.Follow([]*host.Namespace{{Inode: 1, Cookie: n.ID.Cookie}}, s, in)
		sampler.places[0].sampled[0].Peak = 9
	}
	if l, n := len(b.ledger.listeners), len(b.ledger.namespaces); l != 1 || n != 1 {
		t.Errorf("the ledger keeps %d listeners and %d namespaces, want 1 and 1", l, n)
	}
	if n := len(b.ledger.gone); n > 2*601 {
		t.Errorf("%d are kept as gone, want those of ten minutes", n)
	}
	for _, d := range b.course.window.Deltas {
		if n := len(d.Namespaces); n > 11 {
			t.Errorf("a slot of 10 s is of %d namespaces", n)
		}
	}
	if n := len(sampler.places); n != 1 {
		t.Errorf("%d namespaces are sampled, want 1", n)
	}
}
