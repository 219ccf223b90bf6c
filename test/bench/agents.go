// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/test/daemon"
)

// A size is a host: so many namespaces with so many listeners each.
type size struct{ namespaces, each int }

func (s size) listeners() int { return s.namespaces * s.each }

func (s size) String() string {
	return fmt.Sprintf("agent, %d listeners in %d namespaces", s.listeners(), s.namespaces)
}

// What an agent took on a host of some size.
type agentCost struct {
	percent float64       // of a CPU, scraped each 15 s
	scrape  time.Duration // CPU time of one
	peak    float64       // MiB of resident memory, at most
}

// Bars of an agent; 0 is none.
type agentBars struct {
	percent, mib float64
	scrape       time.Duration
}

// How long an agent is measured: its steps may be 20 s apart.
const (
	steady      = 4 * time.Minute
	scrapeEvery = 15 * time.Second
	scrapes     = 20
)

// agent measures the whole agent as a process, with its default periods.
func (l *lab) agent(s size, bars agentBars) ([]row, error) {
	if l.smoke {
		s.namespaces = min(s.namespaces, 10)
	}
	c, err := l.agentCost(s)
	if err != nil {
		return nil, err
	}
	var rows []row
	add := func(what string, value float64, unit string, bar float64) {
		r := atMost(s.String()+": "+what, value, unit, bar)
		if bar == 0 {
			r.bar, r.missed = noBar, false
		}
		rows = append(rows, r)
	}
	add("of a CPU", c.percent, "%", bars.percent)
	add("resident at most", c.peak, "MiB", bars.mib)
	add("CPU of a scrape with gzip", c.scrape.Seconds()*1000, "ms", bars.scrape.Seconds()*1000)
	return rows, nil
}

// agentCost makes the host and lets an agent watch it.
func (l *lab) agentCost(s size) (c agentCost, err error) {
	holders, err := l.spread(s.namespaces, s.each)
	if err != nil {
		return c, err
	}
	defer closeAll(holders)
	a, err := daemon.StartAgent(l.ctx, l.qtune)
	if err != nil {
		return c, err
	}
	defer a.Stop()
	if err := l.agentSees(a, s.listeners()); err != nil {
		return c, err
	}
	if c.scrape, err = l.scrapeCost(a, "/metrics"); err != nil { // and meanwhile it becomes steady
		return c, err
	}
	if c.percent, err = l.steadyCost(a); err != nil {
		return c, err
	}
	u, err := a.Usage()
	if err != nil {
		return c, err
	}
	c.peak = float64(u.Peak) / (1 << 20)
	l.costs[s] = c
	return c, nil
}

// agentSees checks that an agent knows so many listeners.
func (l *lab) agentSees(a *daemon.Daemon, want int) error {
	body, err := a.Get(l.ctx, "/api/v1/inspection")
	if err != nil {
		return err
	}
	var in inspection.Inspection
	if err := json.Unmarshal(body, &in); err != nil {
		return fmt.Errorf("decode an inspection: %w", err)
	}
	if len(in.Listeners) < want {
		return fmt.Errorf("the agent sees %d listeners, want at least %d", len(in.Listeners), want)
	}
	return nil
}

// scrapeCost returns the CPU time of a scrape, the median of many: one that falls
// together with a step costs more.
func (l *lab) scrapeCost(d *daemon.Daemon, path string) (time.Duration, error) {
	n, gap := scrapes, 1100*time.Millisecond // an agent gives the same answer for a second
	if l.smoke {
		n = 3
	}
	var took []time.Duration
	for range n {
		before, err := d.CPU()
		if err != nil {
			return 0, err
		}
		if _, err := d.Get(l.ctx, path); err != nil {
			return 0, err
		}
		after, err := d.CPU()
		if err != nil {
			return 0, err
		}
		took = append(took, after-before)
		if err := wait(l.ctx, gap); err != nil {
			return 0, err
		}
	}
	return median(took), nil
}

// steadyCost returns how much of a CPU a daemon uses while it is scraped.
func (l *lab) steadyCost(d *daemon.Daemon) (percent float64, err error) {
	span, every := steady, scrapeEvery
	if l.smoke {
		span, every = 3*time.Second, time.Second
	}
	begin := time.Now()
	before, err := d.CPU()
	if err != nil {
		return 0, err
	}
	for range int(span / every) {
		if err := wait(l.ctx, every); err != nil {
			return 0, err
		}
		if _, err := d.Get(l.ctx, "/metrics"); err != nil {
			return 0, err
		}
	}
	after, err := d.CPU()
	return 100 * (after - before).Seconds() / time.Since(begin).Seconds(), err
}

// wait waits, unless ctx ends before.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// The sizes of which two show what one more listener or namespace costs.
var (
	smallHost = size{10, 10}
	dense     = size{10, 100}
	wide      = size{50, 20}
	manyPods  = size{500, 10}
)

// growth says what one more listener and one more namespace cost the agent.
func (l *lab) growth() ([]row, error) {
	small, many, broad := smallHost, dense, wide
	if l.smoke {
		small, many, broad = size{2, 5}, size{2, 20}, size{8, 5}
	}
	for _, s := range []size{small, many, broad} {
		if _, ok := l.costs[s]; ok {
			continue // measured in this run
		}
		if _, err := l.agentCost(s); err != nil {
			return nil, err
		}
	}
	per := func(what string, from, to size, more int) row {
		a, b := l.costs[from], l.costs[to]
		n := float64(more)
		return inform(fmt.Sprintf("the agent's growth per %s", what), fmt.Sprintf("%.2g KiB, %.2g us of CPU a second, %.2g us a scrape",
			1024*(b.peak-a.peak)/n, 1e4*(b.percent-a.percent)/n, float64((b.scrape-a.scrape).Nanoseconds())/1e3/n))
	}
	for _, s := range []size{small, broad, manyPods} {
		if c, ok := l.costs[s]; ok {
			name := fmt.Sprintf("%d in %d", s.listeners(), s.namespaces)
			l.note("agent-cpu", name, c.percent)
			l.note("agent-memory", name, c.peak)
		}
	}
	return []row{
		per("listener", small, many, many.listeners()-small.listeners()),
		per("namespace", many, broad, broad.namespaces-many.namespaces),
	}, nil
}
