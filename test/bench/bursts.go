// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/qtune/qtune/agent"
	"github.com/qtune/qtune/tcpq"
)

// burster starts a process with one listener in a namespace of its own.
func (l *lab) burster(backlog int) (*burster, error) {
	h, out, err := l.start("burst", backlog, &netnsOfItsOwn)
	if err != nil {
		return nil, err
	}
	return &burster{h, out}, nil
}

// The bursts, of a queue of 128. One fills at once and stays full until it is worked
// off; the other fills evenly until then.
var (
	square   = burst{clients: 40, all: 20 * time.Millisecond}
	sawtooth = burst{clients: 40, filling: 20 * time.Millisecond, all: 20 * time.Millisecond}
	plateau  = burst{clients: 40, all: 1500 * time.Millisecond} // nobody overlooks it
)

const (
	burstBacklog = 128
	filledWithin = 2 * time.Millisecond // what makes a burst square
)

// A sighting is a burst and the longest queue that was sampled meanwhile.
type sighting struct {
	outcome
	sampled int
}

// bursts makes real bursts at a random phase and asks the sampler what it saw of
// each: on a listener that is watched, and on one that is looked at once a second.
func (l *lab) bursts(n int) ([]row, error) {
	if l.smoke {
		n = 20
	}
	b, err := l.burster(burstBacklog)
	if err != nil {
		return nil, err
	}
	defer b.close()
	gauge := l.watchGauge(b.holder)
	defer gauge.stop() //nolint:errcheck // asked below, unless something else failed
	rows, err := l.burstsWatched(b, n)
	if err != nil {
		return nil, err
	}
	more, err := l.burstsUnwatched(n)
	looks, seen, err2 := gauge.stop()
	rows = append(rows, more...)
	return append(rows, inform(fmt.Sprintf("of %d bursts and sawteeth, seen by a look each %v", 2*n, gaugePeriod),
		fmt.Sprintf("%d by %d looks", seen, looks))), errors.Join(err, err2)
}

func (l *lab) burstsWatched(b *burster, n int) ([]row, error) {
	var squares, teeth []sighting
	sampler, err := l.whileSampling(b, 100, func(s *agent.Sampler) error {
		if _, err := b.do(plateau); err != nil { // it draws the sampler's attention
			return err
		}
		if d, _ := s.Describe(); d.Watched != 1 {
			return fmt.Errorf("the sampler watches %d listeners, want the one that fills", d.Watched)
		}
		var err error
		if squares, err = l.sightings(s, b, square, n); err == nil {
			teeth, err = l.sightings(s, b, sawtooth, n)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	ticks, _ := sampler.Describe()
	var judged, full, seen, half, slow int
	for _, s := range squares {
		if s.filled > filledWithin {
			slow++
		}
		if s.filled > filledWithin || s.length < 18*time.Millisecond || s.length > 25*time.Millisecond {
			continue
		}
		judged++
		if 10*s.sampled >= 9*s.peak && s.sampled <= s.peak {
			full++
		}
	}
	for _, s := range teeth {
		if s.sampled > 0 {
			seen++
		}
		if 2*s.sampled >= s.peak {
			half++
		}
	}
	const at = " at 100 Hz on a watched listener"
	l.note("bursts", "watched, 100 Hz", 100*float64(count(squares))/float64(n))
	return []row{
		atLeast(fmt.Sprintf("bursts of %v%s, seen", square.all, at), count(squares), n, 99),
		atLeast("of those of 18 to 25 ms, peak within 10 %", full, judged, 90),
		inform("filled in more than 2 ms, or longer or shorter", fmt.Sprintf("%d, %d", slow, n-judged)),
		atLeast(fmt.Sprintf("sawteeth of %v%s, seen", sawtooth.all, at), seen, n, 99),
		atLeast("of them, peak at least half", half, n, 90),
		inform("ticks late by more than half a period", fmt.Sprintf("%d of %d", ticks.LateTicks, ticks.Ticks)),
	}, nil
}

// burstsUnwatched looks once a second while bursts overflow the queue, and compares
// what the namespace counted with what the clients saw.
func (l *lab) burstsUnwatched(n int) ([]row, error) {
	b, err := l.burster(7)
	if err != nil {
		return nil, err
	}
	defer b.close()
	var all []sighting
	before, err := l.overflows(b)
	if err != nil {
		return nil, err
	}
	if _, err := l.whileSampling(b, 1, func(s *agent.Sampler) error {
		all, err = l.sightings(s, b, burst{clients: 12, all: square.all}, n)
		return err
	}); err != nil {
		return nil, err
	}
	after, err := l.overflows(b)
	if err != nil {
		return nil, err
	}
	refused := 0
	for _, s := range all {
		refused += s.refused
	}
	counted := int(after - before)
	l.note("bursts", "not watched, 1 Hz", 100*float64(count(all))/float64(n))
	return []row{
		inform(fmt.Sprintf("bursts of %v at 1 Hz, seen", square.all), fmt.Sprintf("%d of %d", count(all), n)),
		{
			what: "refused in them: ListenOverflows / the clients' count", ours: fmt.Sprint(counted), peer: fmt.Sprint(refused),
			ratio: fmt.Sprintf("%.4g", float64(counted)/float64(refused)), bar: "exact", missed: counted != refused || refused == 0,
		},
	}, nil
}

// overflows reads the counter as the agent does.
func (l *lab) overflows(b *burster) (uint64, error) {
	s, err := l.newScene([]*holder{b.holder}, 1)
	if err != nil {
		return 0, err
	}
	return s.snapshot.Namespaces[0].Counters.Value(tcpq.ListenOverflows), nil
}

// sightings makes n bursts.
func (l *lab) sightings(s *agent.Sampler, b *burster, u burst, n int) ([]sighting, error) {
	var all []sighting
	for range n {
		if err := l.ctx.Err(); err != nil {
			return nil, err
		}
		s.Take() // what was before
		o, err := b.do(u)
		if err != nil {
			return nil, err
		}
		seen := sighting{outcome: o}
		for _, sample := range s.Take() {
			seen.sampled = int(sample.Peak)
		}
		all = append(all, seen)
	}
	return all, nil
}

// count returns how many bursts were seen at all.
func count(all []sighting) (seen int) {
	for _, s := range all {
		if s.sampled > 0 {
			seen++
		}
	}
	return seen
}

// whileSampling calls f while a sampler follows the listener, and returns that when
// it has ended.
func (l *lab) whileSampling(b *burster, hz int, f func(*agent.Sampler) error) (*agent.Sampler, error) {
	scene, err := l.newScene([]*holder{b.holder}, 1)
	if err != nil {
		return nil, err
	}
	sampler := scene.sampler(hz)
	ctx, cancel := context.WithCancel(l.ctx)
	ended := make(chan error, 1)
	go func() { ended <- sampler.Run(ctx) }()
	err = f(sampler)
	cancel()
	if e := <-ended; e != nil && !errors.Is(e, context.Canceled) {
		err = errors.Join(err, e)
	}
	return sampler, err
}

// gaugePeriod is how often Prometheus scrapes, as most have it.
const gaugePeriod = 15 * time.Second

// A gauge is the queue's length as a scrape sees it: now.
type gauge struct {
	cancel      context.CancelFunc
	ended       chan error
	looks, seen int
	stopped     bool
	err         error
}

// watchGauge looks at the one queue of a namespace each 15 seconds.
func (l *lab) watchGauge(h *holder) *gauge {
	ctx, cancel := context.WithCancel(l.ctx)
	g := &gauge{cancel: cancel, ended: make(chan error, 1)}
	go func() {
		g.ended <- onThread(h.netns(), func() error {
			d, err := newDumper()
			if err != nil {
				return err
			}
			defer d.diag.Close()
			tick := time.NewTicker(gaugePeriod)
			defer tick.Stop()
			for {
				select {
				case <-ctx.Done():
					return nil
				case <-tick.C:
				}
				if err := d.once(); err != nil {
					return err
				}
				g.looks++
				for i := range d.dump.Sockets {
					g.seen += min(1, int(d.dump.Sockets[i].RQueue))
				}
			}
		})
	}()
	return g
}

// stop ends the looks and returns how many there were, and how many saw somebody
// wait.
func (g *gauge) stop() (looks, seen int, err error) {
	if !g.stopped {
		g.stopped = true
		g.cancel()
		g.err = <-g.ended
	}
	return g.looks, g.seen, g.err
}
