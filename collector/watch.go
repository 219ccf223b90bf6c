// SPDX-License-Identifier: Apache-2.0

//go:build linux

package collector

import (
	"context"
	"time"

	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/tcpq"
)

// Watch reads the host over a span of time: a Window of equal slots, and the
// Snapshot at its end; when ctx ends, the Window does. When a pass takes longer than half a slot the next comes
// later, so that watching never takes more than half a CPU.
func (c *Collector) Watch(ctx context.Context, span time.Duration, slots int) (*tcpq.Snapshot, *tcpq.Window, error) {
	var w tcpq.Window
	clock := slotClock{begin: time.Now(), width: max(1, span/time.Duration(slots)), slots: slots}
	prev, err := c.Snapshot(ctx, nil)
	if err != nil {
		return nil, nil, err
	}
	found, err := c.find(ctx)
	if err != nil {
		return nil, nil, err
	}
	began := clock.begin
	for {
		if err := clock.next(ctx, time.Since(began)); err != nil {
			// Who stops watching early wants to see what there was.
			ctx = context.WithoutCancel(ctx)
			break
		}
		if clock.slot >= slots {
			break
		}
		c.opts.Progress("watching", clock.slot, slots)
		began = time.Now()
		cur, err := c.sample(ctx, found, prev)
		if err != nil {
			return nil, nil, err
		}
		w.Extend(prev, cur)
		prev = cur
	}
	last, err := c.Snapshot(ctx, prev)
	if err != nil {
		return nil, nil, err
	}
	w.Extend(prev, last)
	return last, &w, nil
}

// Replay reads all steps of a recording, as Watch reads a host. One of a single
// step has no Window.
func (c *Collector) Replay(ctx context.Context, rec *host.Recording) (*tcpq.Snapshot, *tcpq.Window, error) {
	var w tcpq.Window
	var prev *tcpq.Snapshot
	last := rec.Steps() - 1
	for step := range last {
		rec.Seek(step)
		found, err := c.find(ctx)
		if err != nil {
			return nil, nil, err
		}
		cur, err := c.sample(ctx, found, prev)
		if err != nil {
			return nil, nil, err
		}
		w.Extend(prev, cur)
		prev = cur
	}
	rec.Seek(last)
	s, err := c.Snapshot(ctx, prev)
	if err != nil || prev == nil {
		return s, nil, err
	}
	w.Extend(prev, s)
	return s, &w, nil
}

// sample reads what changes from one moment to the next: listeners, counters,
// and the SYN queues that matter.
func (c *Collector) sample(ctx context.Context, found host.Found, prev *tcpq.Snapshot) (*tcpq.Snapshot, error) {
	p, err := c.newPass(found, prev)
	if err != nil {
		return nil, err
	}
	if err := p.run(ctx, found.Namespaces); err != nil {
		return nil, err
	}
	return p.finish(), nil
}

// A slotClock cuts a span of time into slots.
type slotClock struct {
	begin time.Time
	width time.Duration
	slots int
	slot  int // the one that began last
}

// next waits for the first slot that leaves a rest as long as the pass took.
func (t *slotClock) next(ctx context.Context, took time.Duration) error {
	ready := time.Since(t.begin) + took
	t.slot = min(t.slots, max(t.slot+1, int((ready+t.width-1)/t.width)))
	timer := time.NewTimer(time.Until(t.begin.Add(time.Duration(t.slot) * t.width)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
