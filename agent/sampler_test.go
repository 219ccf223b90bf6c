// SPDX-License-Identifier: Apache-2.0

//go:build linux

package agent

import (
	"slices"
	"testing"
	"time"

	"github.com/qtune/qtune/advisor"
	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/tcpq"
)

// crowd returns a Snapshot of namespaces of this many listeners each, the ways in,
// and what is shown of them.
func crowd(sizes ...int) ([]*host.Namespace, *tcpq.Snapshot, *inspection.Inspection) {
	s := &tcpq.Snapshot{Time: time.Now()}
	var found []*host.Namespace
	for i, size := range sizes {
		n := tcpq.Namespace{ID: tcpq.NetnsID{Inode: uint64(i + 1), Cookie: uint64(i + 101)}, Listed: true}
		for j := range size {
			l := listening(0, 0)
			l.Cookie = uint64(i*10000 + j + 1)
			n.Listeners = append(n.Listeners, l)
		}
		s.Namespaces = append(s.Namespaces, n)
		found = append(found, &host.Namespace{Inode: n.ID.Inode, Cookie: n.ID.Cookie})
	}
	return found, s, inspection.From(s, &tcpq.Window{}, advisor.Report{})
}

// watched returns the cookies of those that are looked at fast, by namespace.
func watched(s *Sampler) [][]uint64 {
	out := make([][]uint64, len(s.places))
	for i, p := range s.places {
		for _, k := range p.watched {
			out[i] = append(out[i], k.Cookie)
		}
	}
	return out
}

func TestWatched(t *testing.T) {
	s := NewSampler(nil, time.Second, 100, 0.01)
	found, snap, in := crowd(watchMost, 3)
	for i := range in.Listeners {
		in.Listeners[i].Refused = &inspection.Refused{Max: 1}
	}
	in.Listeners[watchMost+1].Refused.Max = 90
	in.Listeners[7].Refused.Max = 0
	s.Follow(found, snap, in)
	got := watched(s)
	if n := len(got[0]) + len(got[1]); n != watchMost {
		t.Fatalf("%d are watched, want %d", n, watchMost)
	}
	if !slices.Equal(got[1], []uint64{10002}) {
		t.Errorf("in the last namespace %v are watched, want the one that lost most, 10002", got[1])
	}
	for _, cookie := range got[0] {
		if cookie == 8 {
			t.Error("one that lost nothing is watched")
		}
	}
	for i := range in.Listeners {
		in.Listeners[i].Refused.Max = 0
	}
	s.Follow(found, snap, in)
	if got = watched(s); len(got[0])+len(got[1]) != watchMost {
		t.Error("who lost something is not watched a minute longer")
	}
	s.choose(time.Now().Add(watchFor + time.Second))
	if got = watched(s); len(got[0])+len(got[1]) != 0 {
		t.Errorf("%d are watched after that minute", len(got[0])+len(got[1]))
	}
}

// TestSamplesTellBursts proves that what a listener discarded before it was known is
// none of its bursts, and that bursts are told apart over two steps.
func TestSamplesTellBursts(t *testing.T) {
	s := NewSampler(nil, time.Second, 100, 0.01)
	found, snap, in := crowd(1, 1)
	l := &snap.Namespaces[0].Listeners[0]
	l.Discards, l.DiscardsKnown = 1000, true
	id := tcpq.ListenerID{Netns: snap.Namespaces[0].ID, Cookie: l.Cookie}
	s.Follow(found, snap, in)
	now := time.Now()
	for _, burst := range []uint32{50, 60} {
		l.Discards += burst
		s.places[0].known[0].Discards = l.Discards
		for range 3 {
			s.places[0].note(s.places[0].known, now)
			now = now.Add(time.Second)
		}
		if got := s.Take()[id]; got.Discards != burst || got.Burst != burst {
			t.Errorf("taken: %+v, want %d discards in one burst", got, burst)
		}
		s.Follow(found, snap, in)
	}
}

// TestFollow proves that what samples showed stays with its listener, whoever comes
// and goes around it, and with nobody else.
func TestQuiet(t *testing.T) {
	tests := []struct {
		name   string
		change func(n *tcpq.Namespace) // in every step
		want   bool                    // quiet
	}{
		{"nobody connects", func(*tcpq.Namespace) {}, true},
		{"segments of connections that are open come", func(n *tcpq.Namespace) { n.Counters.Set(tcpq.OutRsts, n.Counters.Value(tcpq.OutRsts)+1) }, true},
		{"somebody connects", func(n *tcpq.Namespace) { n.Counters.Set(tcpq.PassiveOpens, n.Counters.Value(tcpq.PassiveOpens)+1) }, false},
		{"somebody is refused", func(n *tcpq.Namespace) { n.Counters.Set(tcpq.ListenDrops, n.Counters.Value(tcpq.ListenDrops)+1) }, false},
		{"somebody waits", func(n *tcpq.Namespace) { n.Listeners[1].Accept.Len = 1 }, false},
		{"the counters cannot be read", func(n *tcpq.Namespace) { n.Counters = tcpq.Counters{} }, false},
	}
	for _, tt := range tests {
		s := NewSampler(nil, time.Second, 100, 0.01)
		found, snap, in := crowd(2)
		n := &snap.Namespaces[0]
		n.Counters.Set(tcpq.PassiveOpens, 7)
		n.Counters.Set(tcpq.ListenDrops, 7)
		for range quietAfter {
			s.Follow(found, snap, in)
			if len(s.places[0].lively()) != 2 {
				t.Errorf("%s: it is not sampled from the beginning", tt.name)
			}
			tt.change(n)
		}
		s.Follow(found, snap, in)
		if got := len(s.places[0].lively()) == 0; got != tt.want {
			t.Errorf("%s: quiet = %t, want %t", tt.name, got, tt.want)
		}
		n.Counters.Set(tcpq.PassiveOpens, 1000)
		s.Follow(found, snap, in)
		if len(s.places[0].lively()) != 2 {
			t.Errorf("%s: when the next one connected it is not sampled again", tt.name)
		}
	}
}

func TestFollow(t *testing.T) {
	s := NewSampler(nil, time.Second, 100, 0.01)
	found, snap, in := crowd(3, 2)
	s.Follow(found, snap, in)
	s.places[0].sampled[1].Sample = tcpq.Sample{Peak: 5} // cookie 2
	s.places[1].sampled[1].Sample = tcpq.Sample{Peak: 6} // cookie 10002
	s.places[0].known[2].Gone = true                     // cookie 3 did not listen for a moment

	snap.Namespaces[0].Listeners = snap.Namespaces[0].Listeners[1:] // 1 has gone
	in = inspection.From(snap, &tcpq.Window{}, advisor.Report{})
	snap.Namespaces[1].ID.Cookie, found[1].Cookie = 103, 103 // another namespace of that number
	s.Follow(found, snap, in)
	if s.places[0].known[1].Gone {
		t.Error("a listener that is back is not looked at any more")
	}
	taken := s.Take()
	id := tcpq.ListenerID{Netns: snap.Namespaces[0].ID, Cookie: 2}
	if len(taken) != 1 || taken[id].Peak != 5 {
		t.Errorf("taken: %v, want a peak of 5 at %v alone", taken, id)
	}
	if taken = s.Take(); len(taken) != 0 {
		t.Errorf("taken again: %v", taken)
	}
}
