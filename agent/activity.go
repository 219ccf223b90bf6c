// SPDX-License-Identifier: Apache-2.0

//go:build linux

package agent

import (
	"sync"
	"time"

	"github.com/qtune/qtune/inspection"
)

// An activity is something that is done again and again: once in its period, and so
// that it takes no more than its share of a CPU.
type activity struct {
	name   string
	period time.Duration
	share  float64 // of a CPU: 0.01
	budget *budget // that it has together with others, or nil

	due     time.Time     // when it is next to be done
	cost    time.Duration // CPU time that it took the last time
	stretch float64       // what the budget made of its gap then, 0 before
}

// gap returns the time between two beginnings.
func (a *activity) gap() time.Duration {
	return time.Duration(float64(a.alone()) * max(1, a.stretch))
}

// alone returns the gap as its own share has it.
func (a *activity) alone() time.Duration {
	return max(a.period, time.Duration(float64(a.cost)/a.share))
}

// isDue reports whether it is to be done now.
func (a *activity) isDue(now time.Time) bool { return !now.Before(a.due) }

// done notes that it was done, and when it is due next: a gap after it was due, so
// that being late once does not make it late for ever.
func (a *activity) done(now time.Time, cost time.Duration) {
	a.cost = max(0, cost)
	if a.budget != nil {
		a.stretch = a.budget.take(a, a.cost.Seconds()/a.alone().Seconds())
	}
	a.due = a.due.Add(a.gap())
	if a.due.Before(now) {
		a.due = now.Add(a.gap())
	}
}

// rest notes that it is not done any more until there is something to do again.
func (a *activity) rest() {
	if a.budget != nil {
		a.budget.take(a, 0)
	}
}

// together is how much all activities may take of a CPU, by the share of each. With
// what serving and Go's own work cost that is at most two shares.
const together = 1.25

// A budget is what activities may take of a CPU together. When they would take
// more, all are done less often by the same factor.
type budget struct {
	share float64 // of a CPU: 0.0125

	mu    sync.Mutex // guards loads
	loads map[*activity]float64
}

// take notes how much of a CPU an activity takes by its own gap, and returns by what
// that is to be multiplied. What is dear once does not put off the others much.
func (b *budget) take(a *activity, load float64) (stretch float64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.loads == nil {
		b.loads = map[*activity]float64{}
	}
	if before := b.loads[a]; before > 0 && load > 0 {
		load = (before + load) / 2
	}
	b.loads[a] = load
	sum := 0.0
	for _, l := range b.loads {
		sum += l
	}
	return max(1, sum/b.share)
}

func (a *activity) shown() inspection.Activity {
	return inspection.Activity{
		Name: a.name, PeriodSeconds: a.period.Seconds(), GapSeconds: a.gap().Seconds(), CPUSeconds: a.cost.Seconds(),
	}
}
