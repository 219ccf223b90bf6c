// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernel

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/qtune/qtune/advisor"
	"github.com/qtune/qtune/collector"
	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/tcpq"
	"github.com/qtune/qtune/test/lab"
)

// A street has a victim, whose accept queue is full, beside an innocent listener
// that is only scanned.
type street struct {
	ns               *lab.Namespace
	wire             *lab.Wire
	victim, innocent *lab.Listener
	base             uint64 // ListenDrops before the test did anything
	refused, scanned uint64 // segments sent
}

func newStreet(t *testing.T) *street {
	t.Helper()
	ns := lab.NewNamespace(t)
	s := &street{ns: ns, wire: ns.NewWire("near")}
	s.victim = ns.Listen(lab.Socket{Addr: "0.0.0.0", Port: 80, Backlog: 2})
	s.innocent = ns.Listen(lab.Socket{Addr: "0.0.0.0", Port: 81, Backlog: 100})
	ns.Connect(to4(80), 3)
	lab.Wait(t, "the victim's queue to be full", func() bool { length, _ := s.victim.Queue(); return length == 3 })
	s.base = ns.Counters()["ListenDrops"]
	return s
}

// scan sends segments that the innocent discards and nobody counts as refused.
func (s *street) scan(count int) {
	to := netip.AddrPortFrom(lab.Near4, s.innocent.Port)
	s.wire.Send(to, lab.RST, count)
	s.wire.Send(to, lab.FIN, count)
	s.wire.HealthCheck(to, count)
	s.scanned += uint64(3 * count)
}

// refuse sends SYNs that the victim refuses.
func (s *street) refuse(count int) {
	s.wire.Send(netip.AddrPortFrom(lab.Near4, s.victim.Port), lab.SYN, count)
	s.refused += uint64(count)
}

// settle waits until the kernel has seen all segments sent so far.
func (s *street) settle(t *testing.T) {
	t.Helper()
	lab.Wait(t, "the segments to arrive", func() bool {
		return s.ns.Counters()["ListenDrops"] >= s.base+s.refused && uint64(s.ns.SS()[s.innocent.Cookie].Drops) >= s.scanned
	})
}

// verdicts returns what is said of the two.
func (s *street) verdicts(t *testing.T, in *inspection.Inspection) (victim, innocent inspection.Listener) {
	t.Helper()
	for _, l := range listenersOf(in, s.ns) {
		switch l.Port {
		case s.victim.Port:
			victim = l
		case s.innocent.Port:
			innocent = l
		}
	}
	if victim.Refused == nil || innocent.Refused == nil || innocent.Discards.Window == nil {
		t.Fatalf("victim %+v, innocent %+v: want both, watched", victim, innocent)
	}
	return victim, innocent
}

// TestKernelLoss watches the two while segments keep coming.
func TestKernelLoss(t *testing.T) {
	lab.NeedRoot(t)
	lab.NeedProgram(t, "ip", "ss")
	s := newStreet(t)
	run := lab.Go(t, "-o", "json", "--netns", s.ns.Path(), "--for", "1500ms")
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for run.Running() {
		s.scan(1)
		s.refuse(1)
		<-tick.C
	}
	in := run.Inspection()
	refused := s.ns.Counters()["ListenDrops"] - s.base
	victim, innocent := s.verdicts(t, in)
	if *innocent.Discards.Window == 0 || innocent.Refused.Max != 0 {
		t.Errorf("innocent: %d discards, refused %+v, want some and none", *innocent.Discards.Window, *innocent.Refused)
	}
	if r := *victim.Refused; r.Max == 0 || r.Min > refused || r.Min > r.Max {
		t.Errorf("victim: refused %+v, want some, and at least no more than %d", r, refused)
	}
	if moved := in.Namespaces[0].Moved["ListenOverflows"]; moved == 0 || moved > refused {
		t.Errorf("moved ListenOverflows = %d, want 1 to %d", moved, refused)
	}
}

// A staged host lets the test act while a snapshot is taken.
type staged struct {
	*host.Live
	beforeRead func(host.File)
}

func (h *staged) Visit(ctx context.Context, all []*host.Namespace, look func(*host.Namespace, host.Inside, error)) error {
	return h.Live.Visit(ctx, all, func(ns *host.Namespace, in host.Inside, err error) {
		if err == nil {
			in = stagedInside{in, h}
		}
		look(ns, in, err)
	})
}

type stagedInside struct {
	host.Inside
	host *staged
}

func (in stagedInside) Read(f host.File) ([]byte, error) {
	if in.host.beforeRead != nil {
		in.host.beforeRead(f)
	}
	return in.Inside.Read(f)
}

// watch takes a snapshot before and after each step; h is what they are read of.
func (s *street) watch(t *testing.T, h *staged, steps ...func()) *inspection.Inspection {
	t.Helper()
	h.Live = live(t)
	c := collector.New(h, collector.Options{Search: host.Search{Path: s.ns.Path()}})
	w := &tcpq.Window{}
	last := snapshot(t, c, nil)
	for _, step := range steps {
		step()
		now := snapshot(t, c, last)
		w.Deltas = append(w.Deltas, tcpq.Diff(last, now))
		last = now
	}
	return inspection.From(last, w, advisor.Report{})
}

// TestKernelLossBounds lets a known number of SYNs be refused between snapshots.
func TestKernelLossBounds(t *testing.T) {
	lab.NeedRoot(t)
	lab.NeedProgram(t, "ip", "ss")
	tests := []struct {
		name  string
		steps func(*street) []func()
	}{
		{"refused alone", func(s *street) []func() {
			return []func(){func() { s.refuse(7) }}
		}},
		{"refused and scanned in one slot", func(s *street) []func() {
			return []func(){func() { s.scan(5); s.refuse(7) }}
		}},
		{"refused and scanned in turn", func(s *street) []func() {
			return []func(){func() { s.refuse(4) }, func() { s.scan(5) }, func() {}, func() { s.refuse(3) }}
		}},
		{"more scans than refusals", func(s *street) []func() {
			return []func(){func() { s.scan(100); s.refuse(7) }}
		}},
		{"scanned alone", func(s *street) []func() {
			return []func(){func() { s.scan(5) }, func() { s.scan(5) }}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStreet(t)
			var steps []func()
			for _, step := range tt.steps(s) {
				steps = append(steps, func() { step(); s.settle(t) })
			}
			in := s.watch(t, &staged{}, steps...)
			victim, innocent := s.verdicts(t, in)
			if *innocent.Discards.Window != s.scanned || *innocent.Refused != (inspection.Refused{}) {
				t.Errorf("innocent: %d discards, refused %+v, want %d and none", *innocent.Discards.Window, *innocent.Refused, s.scanned)
			}
			if r := *victim.Refused; r.Min > s.refused || r.Max < s.refused || r.Max > *victim.Discards.Window {
				t.Errorf("victim: refused %+v of %d discards, want bounds around %d", r, *victim.Discards.Window, s.refused)
			}
			if got := in.Namespaces[0].Moved["ListenDrops"]; got != s.refused {
				t.Errorf("moved ListenDrops = %d, want %d", got, s.refused)
			}
		})
	}
}

// TestKernelLossDuringPass lets a SYN be refused between the two readings of one
// pass, the listeners' and the counters': who was scanned in the same slot must
// not be blamed for it.
func TestKernelLossDuringPass(t *testing.T) {
	lab.NeedRoot(t)
	lab.NeedProgram(t, "ip", "ss")
	s := newStreet(t)
	h := &staged{}
	in := s.watch(t, h,
		func() {
			s.scan(1)
			s.settle(t)
			h.beforeRead = func(f host.File) {
				if f == host.Netstat {
					h.beforeRead = nil
					s.refuse(1)
					s.settle(t)
				}
			}
		},
		func() {})
	victim, innocent := s.verdicts(t, in)
	if *innocent.Refused != (inspection.Refused{}) {
		t.Errorf("innocent: refused %+v, want none", *innocent.Refused)
	}
	if r := *victim.Refused; r.Min > 1 || r.Max < 1 {
		t.Errorf("victim: refused %+v, want bounds around 1", r)
	}
}
