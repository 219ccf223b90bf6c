// SPDX-License-Identifier: Apache-2.0

//go:build linux

package agent

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/qtune/qtune/collector"
	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/tcpq"
)

// A Sampler looks at the accept queues of known listeners between two steps: at all
// of them once a second, but for namespaces in which nobody connects, and as often as
// it may at those that fill or lost something, because a burst that is worked off in
// 20 ms shows at no other time.
type Sampler struct {
	live   *host.Live
	queues collector.Queues // of the sampling goroutine

	spent time.Duration // CPU time of its thread, at the end of the last tick or when it came to it

	mu        sync.Mutex // guards what follows; held for one tick
	places    []*place
	listeners int // of the host
	all       activity
	fast      activity
	ticks     uint64 // of fast
	late      uint64 // of them, those more than half a period late

	chosen []*place // of the visit that is being made, and the ways in
	doors  []*host.Namespace
	wanted []wanted // of the choice that is being made
}

// How long a listener is watched after the last sign of trouble, and how many are.
const (
	watchFor  = time.Minute
	watchMost = 256
)

// NewSampler returns a sampler that looks at all listeners once in a period, at some
// so often in a second, and takes at most so much of a CPU for each.
func NewSampler(live *host.Live, period time.Duration, hz int, share float64) *Sampler {
	return &Sampler{
		live: live,
		all:  activity{name: "sample", period: period, share: share},
		fast: activity{name: "watch", period: time.Second / time.Duration(max(1, hz)), share: share},
	}
}

// Run samples until ctx ends, on a thread of its own.
func (s *Sampler) Run(ctx context.Context) error {
	return s.live.Stay(func(v *host.Visitor) error {
		alarm := newAlarm(func() error {
			err := v.Yield()
			s.spent = host.ThreadCPUTime() // it may be another
			return err
		})
		defer alarm.stop()
		s.mu.Lock()
		s.all.due, s.fast.due = time.Now(), time.Now()
		s.mu.Unlock()
		s.spent = host.ThreadCPUTime()
		for {
			if err := alarm.wait(ctx, s.next()); err != nil {
				return err
			}
			if err := s.tick(ctx, v, time.Now()); err != nil {
				return err
			}
		}
	})
}

// next returns when something is due.
func (s *Sampler) next() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fast.due.Before(s.all.due) && s.watching() > 0 {
		return s.fast.due
	}
	return s.all.due
}

func (s *Sampler) watching() (n int) {
	for _, p := range s.places {
		n += len(p.watched)
	}
	return n
}

// tick looks at what is due.
func (s *Sampler) tick(ctx context.Context, v *host.Visitor, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all.isDue(now) {
		err := s.visit(ctx, v, now, (*place).lively)
		s.choose(now)
		s.all.done(now, s.cost())
		return err
	}
	if !s.fast.isDue(now) {
		return nil
	}
	s.ticks++
	if now.Sub(s.fast.due) > s.fast.gap()/2 {
		s.late++
	}
	err := s.visit(ctx, v, now, func(p *place) []collector.Known { return p.watched })
	s.fast.done(now, (7*s.fast.cost+s.cost())/8) // one tick that was dear does not slow the next
	return err
}

// cost returns the CPU time of a tick that ends, with what it took its thread to wait
// for it.
func (s *Sampler) cost() time.Duration {
	before := s.spent
	s.spent = host.ThreadCPUTime()
	return s.spent - before
}

// visit reads the queues that which chooses.
func (s *Sampler) visit(ctx context.Context, v *host.Visitor, now time.Time, which func(*place) []collector.Known) error {
	s.chosen, s.doors = s.chosen[:0], s.doors[:0]
	for _, p := range s.places {
		if len(which(p)) > 0 {
			s.chosen, s.doors = append(s.chosen, p), append(s.doors, p.ns)
		}
	}
	next := 0
	return v.Visit(ctx, s.doors, func(_ *host.Namespace, in host.Inside, err error) {
		p := s.chosen[next]
		next++
		if err != nil {
			return // ended, or may not be entered: the next step says so
		}
		read := which(p)
		if s.queues.Read(in, read, collector.Crowd{Netns: len(p.known), Host: s.listeners}) == nil {
			p.note(read, now)
		}
	})
}

// A wanted is one that is to be looked at fast.
type wanted struct {
	*sampled
	fill float64 // of its queue, now
}

// choose decides who is looked at fast from now on: when they are too many, those
// that lost most, then the fullest.
func (s *Sampler) choose(now time.Time) {
	s.wanted = s.wanted[:0]
	for _, p := range s.places {
		for i := range p.sampled {
			m, q := &p.sampled[i], p.known[i].Accept
			if m.passed = p.known[i].Gone || !now.Before(m.watch); !m.passed {
				s.wanted = append(s.wanted, wanted{m, float64(q.Len) / (float64(q.Max) + 1)})
			}
		}
	}
	if len(s.wanted) > watchMost {
		slices.SortStableFunc(s.wanted, func(a, b wanted) int {
			return cmp.Or(cmp.Compare(b.lost, a.lost), cmp.Compare(b.fill, a.fill))
		})
		for _, w := range s.wanted[watchMost:] {
			w.passed = true
		}
	}
	clear(s.wanted) // it keeps no place that has ended
	for _, p := range s.places {
		p.watched, p.which = p.watched[:0], p.which[:0]
		for i := range p.sampled {
			if !p.sampled[i].passed {
				p.watched = append(p.watched, p.known[i])
				p.which = append(p.which, i)
			}
		}
	}
	if s.watching() == 0 {
		s.fast.rest()
	}
	if s.fast.due.Before(now) {
		s.fast.due = now.Add(s.fast.gap()) // nobody was watched until now
	}
}

// Take returns what was sampled since the last time.
func (s *Sampler) Take() map[tcpq.ListenerID]tcpq.Sample {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := map[tcpq.ListenerID]tcpq.Sample{}
	for _, p := range s.places {
		for i := range p.sampled {
			m := &p.sampled[i]
			if m.Peak > 0 || m.Discards > 0 || m.Emptied && !m.watch.IsZero() { // of others it is nothing new
				taken[tcpq.ListenerID{Netns: p.id, Cookie: p.known[i].Cookie}] = m.Sample
			}
			m.Sample = tcpq.Sample{}
		}
	}
	return taken
}

// Follow makes the listeners of a Snapshot those that are sampled. Who lost
// something within the window of its Inspection is watched.
func (s *Sampler) Follow(found []*host.Namespace, snap *tcpq.Snapshot, in *inspection.Inspection) {
	byInode := make(map[uint64]*host.Namespace, len(found))
	for _, ns := range found {
		byInode[ns.Inode] = ns
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	before := make(map[tcpq.NetnsID]*place, len(s.places))
	for _, p := range s.places {
		before[p.id] = p
	}
	now := time.Now()
	shown := in.Listeners // in the order of the Snapshot
	s.places, s.listeners = s.places[:0], len(in.Listeners)
	for i := range snap.Namespaces {
		n := &snap.Namespaces[i]
		mine := shown[:len(n.Listeners)]
		shown = shown[len(n.Listeners):]
		ns := byInode[n.ID.Inode]
		if ns == nil || len(mine) == 0 {
			continue
		}
		p := newPlace(ns, n, before[n.ID])
		for j := range mine {
			p.sampled[j].lost = 0
			if r := mine[j].Refused; r != nil && r.Max > 0 {
				p.sampled[j].watch, p.sampled[j].lost = now.Add(watchFor), r.Max
			}
		}
		s.places = append(s.places, p)
	}
	s.choose(now)
}

// Describe says how sampling goes, and what it costs.
func (s *Sampler) Describe() (inspection.Sampling, []inspection.Activity) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return inspection.Sampling{
		Watched: s.watching(), Hz: 1 / s.fast.gap().Seconds(), Ticks: s.ticks, LateTicks: s.late,
	}, []inspection.Activity{s.all.shown(), s.fast.shown()}
}
