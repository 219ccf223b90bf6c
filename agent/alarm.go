// SPDX-License-Identifier: Apache-2.0

//go:build linux

package agent

import (
	"context"
	"time"

	"golang.org/x/sys/unix"

	"github.com/qtune/qtune/host"
)

// precise is the wait up to which an alarm sleeps in the kernel,
// without the runtime's timers, which lose several ticks in a hundred at 1 kHz.
const precise = 20 * time.Millisecond

// An alarm waits for points in time.
type alarm struct {
	yield func() error // lets other goroutines have the thread
	timer *time.Timer
	began time.Time     // a moment by both clocks
	clock time.Duration // CLOCK_MONOTONIC then
}

func newAlarm(yield func() error) *alarm {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return &alarm{yield: yield, timer: t, began: time.Now(), clock: host.Monotonic()}
}

func (a *alarm) stop() { a.timer.Stop() }

// wait waits until a moment, or until ctx ends.
func (a *alarm) wait(ctx context.Context, until time.Time) error {
	switch left := time.Until(until); {
	case left > precise:
		a.timer.Reset(left - precise/4)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-a.timer.C:
		}
	case left > time.Millisecond: // else yielding takes too much of it
		// To the runtime a goroutine that only makes system calls has run since it
		// was last scheduled. After 10 ms of that sysmon takes its P away, and then
		// looks for others each 20 us: a fourth of what sampling at 100 Hz cost
		// [measured].
		if err := a.yield(); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	ts := unix.NsecToTimespec(int64(a.clock + until.Sub(a.began)))
	for { // until a signal of the runtime's no longer interrupts it
		if err := unix.ClockNanosleep(unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, &ts, nil); err != unix.EINTR {
			return err
		}
	}
}
