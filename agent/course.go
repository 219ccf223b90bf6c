// SPDX-License-Identifier: Apache-2.0

//go:build linux

package agent

import (
	"time"

	"github.com/qtune/qtune/tcpq"
)

// windowSlots is how many slots the window has: for so long a finding is remembered.
const windowSlots = 60

// A course is the window of the agent, whose newest slot grows step by step until
// it is as wide as the others.
type course struct {
	slot time.Duration // its width

	last   *tcpq.Snapshot
	window tcpq.Window // never changed, only replaced: others read it
}

// add takes in the Snapshot of a step and what was sampled since the one before. It
// returns what changed, nil at first.
func (c *course) add(s *tcpq.Snapshot, samples map[tcpq.ListenerID]tcpq.Sample) *tcpq.Delta {
	last := c.last
	c.last = s
	if last == nil {
		return nil
	}
	step := tcpq.Diff(last, s)
	step.AddSamples(samples)
	old := c.window.Deltas
	newest := step
	if n := len(old) - 1; n >= 0 && old[n].End.Sub(old[n].Start) < c.slot-c.slot/10 {
		newest = tcpq.Merge(old[n], step)
		old = old[:n]
	}
	old = old[max(0, len(old)-windowSlots+1):]
	deltas := make([]tcpq.Delta, 0, windowSlots)
	c.window = tcpq.Window{Deltas: append(append(deltas, old...), newest)}
	return &step
}

// tail returns the newest slots of a window.
func tail(w *tcpq.Window, slots int) *tcpq.Window {
	return &tcpq.Window{Deltas: w.Deltas[max(0, len(w.Deltas)-slots):]}
}
