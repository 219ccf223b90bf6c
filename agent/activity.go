// SPDX-License-Identifier: Apache-2.0

//go:build linux

package agent

import (
	"time"

	"github.com/qtune/qtune/inspection"
)

// An activity is something that is done again and again: once in its period, and so
// that it takes no more than its share of a CPU.
type activity struct {
	name   string
	period time.Duration
	share  float64 // of a CPU: 0.01

	due  time.Time     // when it is next to be done
	cost time.Duration // CPU time that it took the last time
}

// gap returns the time between two beginnings.
func (a *activity) gap() time.Duration {
	return max(a.period, time.Duration(float64(a.cost)/a.share))
}

// isDue reports whether it is to be done now.
func (a *activity) isDue(now time.Time) bool { return !now.Before(a.due) }

// done notes that it was done, and when it is due next: a gap after it was due, so
// that being late once does not make it late for ever.
func (a *activity) done(now time.Time, cost time.Duration) {
	a.cost = max(0, cost)
	a.due = a.due.Add(a.gap())
	if a.due.Before(now) {
		a.due = now.Add(a.gap())
	}
}

func (a *activity) shown() inspection.Activity {
	return inspection.Activity{
		Name: a.name, PeriodSeconds: a.period.Seconds(), GapSeconds: a.gap().Seconds(), CPUSeconds: a.cost.Seconds(),
	}
}
