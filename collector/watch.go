// SPDX-License-Identifier: Apache-2.0

//go:build linux

package collector

import (
	"context"
	"slices"
	"time"

	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/tcpq"
)

// Watch reads the host over a span of time: a Window of equal slots, and the
// Snapshot at its end; when ctx ends, the Window does. When a pass takes longer
// than half a slot the next comes later, so that watching never takes more than
// half a CPU.
func (c *Collector) Watch(ctx context.Context, span time.Duration, slots int) (*tcpq.Snapshot, *tcpq.Window, error) {
	clock := slotClock{begin: time.Now(), width: max(1, span/time.Duration(slots)), slots: slots}
	found, err := c.Find(ctx)
	if err != nil {
		return nil, nil, err
	}
	first, err := c.Pass(ctx, found, nil, Everything)
	if err != nil {
		return nil, nil, err
	}
	found.Namespaces = c.withStrays(found.Namespaces)
	w := &watched{}
	w.add(first)
	began := clock.begin
	for clock.next(ctx, time.Since(began)) {
		c.opts.Progress("watching", clock.slot, slots)
		began = time.Now()
		cur, err := c.Sample(ctx, found, w.last)
		if err != nil && ctx.Err() == nil {
			return nil, nil, err
		}
		if err == nil {
			w.add(cur)
		}
	}
	// Who stops watching early wants to see what there was.
	last, err := c.Snapshot(context.WithoutCancel(ctx), w.last)
	if err != nil {
		return nil, nil, err
	}
	w.add(last)
	return last, &w.window, nil
}

// A watched span is the Window so far and what could not be read in it.
type watched struct {
	window tcpq.Window
	last   *tcpq.Snapshot
	errors []tcpq.Error // each once
}

// add ends a slot. The newest Snapshot names the errors of all.
func (w *watched) add(cur *tcpq.Snapshot) {
	for _, e := range cur.Errors {
		if !slices.Contains(w.errors, e) {
			w.errors = append(w.errors, e)
		}
	}
	cur.Errors = slices.Clone(w.errors)
	w.window.Extend(w.last, cur)
	w.last = cur
}

// Replay reads all steps of a recording, as Watch reads a host. One of a single
// step has no Window.
func (c *Collector) Replay(ctx context.Context, rec *host.Recording) (*tcpq.Snapshot, *tcpq.Window, error) {
	w := &watched{}
	end := rec.Steps() - 1
	for step := range end + 1 {
		rec.Seek(step)
		read := c.resample
		if step == 0 || step == end {
			read = c.Snapshot
		}
		cur, err := read(ctx, w.last)
		if err != nil {
			return nil, nil, err
		}
		w.add(cur)
	}
	if end == 0 {
		return w.last, nil, nil
	}
	return w.last, &w.window, nil
}

// resample is Sample of the namespaces there are now.
func (c *Collector) resample(ctx context.Context, prev *tcpq.Snapshot) (*tcpq.Snapshot, error) {
	found, err := c.Find(ctx)
	if err != nil {
		return nil, err
	}
	return c.Sample(ctx, found, prev)
}

// Sample reads what changes of these namespaces from one moment to the next:
// listeners, counters, and the SYN queues that matter. It names no owners. Without
// prev it reads the sysctls, too.
func (c *Collector) Sample(ctx context.Context, found host.Found, prev *tcpq.Snapshot) (*tcpq.Snapshot, error) {
	return c.Pass(ctx, found, prev, Dump)
}

// A slotClock cuts a span of time into slots.
type slotClock struct {
	begin time.Time
	width time.Duration
	slots int
	slot  int // the one that began last
}

// next waits for the first slot that leaves a rest as long as the pass took. It
// returns false when there is none, or ctx ended.
func (t *slotClock) next(ctx context.Context, took time.Duration) bool {
	ready := time.Since(t.begin) + took
	t.slot = min(t.slots, max(t.slot+1, int((ready+t.width-1)/t.width)))
	timer := time.NewTimer(time.Until(t.begin.Add(time.Duration(t.slot) * t.width)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return t.slot < t.slots
	case <-ctx.Done():
		return false
	}
}
