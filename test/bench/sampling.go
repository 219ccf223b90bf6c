// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/qtune/qtune/advisor"
	"github.com/qtune/qtune/agent"
	"github.com/qtune/qtune/collector"
	"github.com/qtune/qtune/collector/inetdiag"
	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/tcpq"
)

// A scene is one namespace of the host, and what a pass saw there: what a sampler
// of nothing else follows.
type scene struct {
	live     *host.Live
	places   []*host.Namespace
	snapshot *tcpq.Snapshot
}

// newScene looks at the namespaces of the holders, in which there are so many
// listeners.
func (l *lab) newScene(holders []*holder, listeners int) (*scene, error) {
	live, err := host.NewLive("/")
	if err != nil {
		return nil, err
	}
	wanted := make(map[uint64]bool, len(holders))
	for _, h := range holders {
		var st unix.Stat_t
		if err := unix.Stat(h.netns(), &st); err != nil {
			return nil, fmt.Errorf("stat %s: %w", h.netns(), err)
		}
		wanted[st.Ino] = true
	}
	c := collector.New(live, collector.Options{Syn: collector.SynNever})
	found, err := c.Find(l.ctx)
	if err != nil {
		return nil, err
	}
	found.Namespaces = slices.DeleteFunc(found.Namespaces, func(ns *host.Namespace) bool { return !wanted[ns.Inode] })
	s := &scene{live: live, places: found.Namespaces}
	if s.snapshot, err = c.Pass(l.ctx, found, nil, collector.Dump); err != nil {
		return nil, err
	}
	got := 0
	for i := range s.snapshot.Namespaces {
		got += len(s.snapshot.Namespaces[i].Listeners)
	}
	if got != listeners {
		return nil, fmt.Errorf("found %d listeners, want %d", got, listeners)
	}
	return s, nil
}

// sampler returns a sampler of the scene, which may take a whole CPU.
func (s *scene) sampler(hz int) *agent.Sampler {
	sampler := agent.NewSampler(s.live, time.Second, hz, 1)
	sampler.Follow(s.places, s.snapshot, inspection.From(s.snapshot, &tcpq.Window{}, advisor.Report{}))
	return sampler
}

// sampling compares the sampler with the C floor: the same listeners, as often.
func (l *lab) sampling(listeners, hz int, percentBar, bar float64) ([]row, error) {
	seconds, rounds := 10, 3
	if l.smoke {
		seconds, rounds = 2, 1
	}
	h, err := l.hold("waiting", listeners, &netnsOfItsOwn)
	if err != nil {
		return nil, err
	}
	defer h.close()
	scene, err := l.newScene([]*holder{h}, listeners)
	if err != nil {
		return nil, err
	}
	sampler := scene.sampler(hz)
	c, err := l.compare(rounds,
		func() (time.Duration, error) { return l.sample(sampler, listeners, hz, seconds) },
		func() (time.Duration, error) { return l.sampleFloor(h, hz, seconds) })
	if err != nil {
		return nil, err
	}
	percent := func(d time.Duration) float64 { return 100 * d.Seconds() / float64(seconds) }
	text := func(d time.Duration) string { return fmt.Sprintf("%.2f %%", percent(d)) }
	what := fmt.Sprintf("sampling %d listeners at %d Hz, of a CPU", listeners, hz)
	r := c.row(what+" / C sampler", bar)
	r.ours, r.peer = text(c.ours), text(c.peer)
	late, _ := sampler.Describe()
	return []row{
		r,
		atMost(what, percent(c.ours), "%", percentBar),
		inform("of its ticks, late by more than half a period", fmt.Sprintf("%d of %d", late.LateTicks, late.Ticks)),
	}, nil
}

// sample lets the sampler look at all listeners for so long, and returns the CPU that
// this process took for the looks of that time.
func (l *lab) sample(sampler *agent.Sampler, listeners, hz, seconds int) (took time.Duration, err error) {
	ctx, cancel := context.WithCancel(l.ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		defer cancel()
		ended <- sampler.Run(ctx)
	}()
	defer func() {
		cancel()
		if e := <-ended; e != nil && !errors.Is(e, context.Canceled) {
			err = e
		}
	}()
	for { // until it has seen that all of them fill
		d, _ := sampler.Describe()
		if d.Watched == listeners {
			break
		}
		if err := wait(ctx, 100*time.Millisecond); err != nil {
			return 0, err
		}
	}
	begin, from := ownCPU(), ticksOf(sampler)
	if err := wait(ctx, time.Duration(seconds)*time.Second); err != nil { // asking it meanwhile would cost CPU
		return 0, err
	}
	took, ticks := ownCPU()-begin, ticksOf(sampler)-from
	if ticks == 0 {
		return 0, errors.New("the sampler made no tick")
	}
	return took * time.Duration(hz*seconds) / time.Duration(ticks), nil
}

func ticksOf(s *agent.Sampler) uint64 {
	d, _ := s.Describe()
	return d.Ticks
}

// sampleFloor runs the C sampler.
func (l *lab) sampleFloor(h *holder, hz, seconds int) (took time.Duration, err error) {
	err = onThread(h.netns(), func() error {
		out, err := exec.CommandContext(l.ctx, l.floor, strconv.Itoa(hz), strconv.Itoa(seconds)).Output()
		if err != nil {
			return fmt.Errorf("the C sampler: %w", err)
		}
		var ticks int
		_, err = fmt.Sscan(string(out), &took, &ticks)
		return err
	})
	return took, err
}

// few compares a tick of the sampler that watches a few of many listeners with the C
// floor's dump of all.
func (l *lab) few(watched, listeners int, bar float64) ([]row, error) {
	if l.smoke {
		watched, listeners = 5, 500
	}
	h, err := l.listeners(listeners, "")
	if err != nil {
		return nil, err
	}
	defer h.close()
	scene, err := l.newScene([]*holder{h}, listeners)
	if err != nil {
		return nil, err
	}
	all := scene.snapshot.Namespaces[0].Listeners
	var some []tcpq.Listener
	for i := range watched {
		some = append(some, all[i*len(all)/watched])
	}
	var c comparison
	err = onThread(h.netns(), func() error {
		f, err := l.startFloor()
		if err != nil {
			return err
		}
		defer f.close()
		c, err = l.compare(l.rounds,
			func() (time.Duration, error) {
				return scene.reads(l.ctx, [][]collector.Known{collector.KnownOf(some)}, collector.Crowd{Netns: listeners, Host: listeners}, 1000)
			},
			func() (time.Duration, error) {
				p10, _, err := f.dump(dumpsEach(listeners))
				return p10, err
			})
		return err
	})
	return []row{c.row(fmt.Sprintf("a look at %d of %d listeners / C floor's dump of all, p10", watched, listeners), bar)}, err
}

// reads visits each namespace, reads the queues that are known there, and that n
// times. It returns the 10th percentile of the time it takes.
func (s *scene) reads(ctx context.Context, known [][]collector.Known, crowd collector.Crowd, n int) (p10 time.Duration, err error) {
	var queues collector.Queues
	p10, err = s.passes(ctx, n, func(i int, in host.Inside) error { return queues.Read(in, known[i], crowd) })
	for _, place := range known {
		for i := range place {
			if place[i].Gone && err == nil {
				err = errors.New("a listener was not found again")
			}
		}
	}
	return p10, err
}

// dumps is reads by dumps only.
func (s *scene) dumps(ctx context.Context, n int) (p10 time.Duration, err error) {
	var dump inetdiag.Dump
	var seq uint32
	return s.passes(ctx, n, func(_ int, in host.Inside) error {
		seq++
		dump.Reset(seq)
		return in.Dump(host.ListenDump, inetdiag.Request(seq, inetdiag.ExtSkMemInfo, inetdiag.Listen), dump.Add)
	})
}

// passes visits all namespaces n times and lets read look into each, by its index.
func (s *scene) passes(ctx context.Context, n int, read func(i int, in host.Inside) error) (p10 time.Duration, err error) {
	var took []time.Duration
	err = s.live.Stay(func(v *host.Visitor) error {
		unix.Setpriority(unix.PRIO_PROCESS, 0, -20) //nolint:errcheck // as onThread does
		for range n {
			begin, i := time.Now(), 0
			var failed error
			err := v.Visit(ctx, s.places, func(_ *host.Namespace, in host.Inside, err error) {
				if err == nil {
					err = read(i, in)
				}
				failed = errors.Join(failed, err)
				i++
			})
			if err = errors.Join(err, failed); err != nil {
				return err
			}
			took = append(took, time.Since(begin))
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return tenth(took), nil
}
