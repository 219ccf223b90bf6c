// SPDX-License-Identifier: Apache-2.0

//go:build linux

package agent

import (
	"fmt"
	"slices"
	"time"

	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/policy"
	"github.com/qtune/qtune/tuner"
)

// A question is whether a listener that overflows in bursts is changed now.
type question struct {
	*loop
	*look
	*judged
	*track
	now  time.Duration
	free bool
}

// A rail holds the loop back. It returns nil when it does not.
type loopRail struct {
	name   string
	action string // what remains to be done: recommend it, or wait
	holds  func(*question) *inspection.Alternative
}

// The names of what holds the loop back; the planner has its own beside them.
const (
	railTooSlow   = "application-too-slow"
	railHyster    = "hysteresis"
	railShared    = "shared"
	railMode      = "mode"
	railOpen      = "open-transaction"
	railCoolDown  = "cool-down"
	railBackOff   = "back-off"
	railConfound  = "recent-change"
	railPerHour   = "max-per-hour"
	railNextTime  = "next-listen"
	railNoPlan    = "no-plan"
	railNoRoom    = "no-useful-room"
	railExcluded  = "excluded"
	recentWindows = 1
)

// rails is the table, in the order in which they are asked.
var rails = []loopRail{
	{railNoRoom, actExplain, func(q *question) *inspection.Alternative {
		if q.finding.Limit > int64(q.l.Accept.Max) {
			return nil
		}
		return &inspection.Alternative{Limit: float64(q.l.Accept.Max), Actual: float64(q.finding.Limit), Unit: "connections", Message: q.finding.Why}
	}},
	{railExcluded, actRecommend, func(q *question) *inspection.Alternative {
		if !q.policy.Excluded(q.comm()) {
			return nil
		}
		return &inspection.Alternative{Message: "the policy leaves " + q.comm() + " alone"}
	}},
	{railHyster, actWait, func(q *question) *inspection.Alternative {
		if q.entered {
			return nil
		}
		n := 0
		for _, is := range q.overflew {
			if is {
				n++
			}
		}
		return &inspection.Alternative{
			Limit: enterWindows, Actual: float64(n), Unit: "windows",
			Message: fmt.Sprintf("it overflowed in %d of the last %d windows; it takes %d of %d", n, len(q.overflew), enterWindows, ofWindows),
		}
	}},
	{railConfound, actWait, func(q *question) *inspection.Alternative {
		if q.changed == 0 {
			return nil
		}
		return until(q, q.changed+recentWindows*q.loop.window,
			"something else changed in its namespace: a listener came or went, the program was started again or somaxconn was changed")
	}},
	{railShared, actRecommend, func(q *question) *inspection.Alternative {
		f := flowOf(q.look.window, q.id)
		if f.attributed() {
			return nil
		}
		return &inspection.Alternative{
			Limit: 90, Actual: rounded(100 * float64(f.mine) / float64(f.all)), Unit: "%",
			Message: "other listeners of the namespace are busy too, and the kernel counts them together: nobody could say whether a longer queue helped this one",
		}
	}},
	{railMode, actRecommend, func(q *question) *inspection.Alternative {
		if q.policy.Mode == policy.Enforce {
			return nil
		}
		return &inspection.Alternative{Message: fmt.Sprintf("the policy's mode is %s", q.policy.Mode)}
	}},
	{railOpen, actWait, func(q *question) *inspection.Alternative {
		if q.free && q.trial == nil && q.other == "" {
			return nil
		}
		return &inspection.Alternative{Limit: 1, Actual: 1, Unit: "transactions", Message: "another change is on trial: one at a time, or nobody knows which of them helped"}
	}},
	{railCoolDown, actWait, func(q *question) *inspection.Alternative {
		return until(q, q.memory.cooling[q.id], "a change of it was confirmed a short time ago")
	}},
	{railBackOff, actWait, func(q *question) *inspection.Alternative {
		f := q.memory.failed[keyOf(q.judged)]
		return until(q, f.until, fmt.Sprintf("the same change failed (%d in a row)", f.count))
	}},
	{railPerHour, actWait, func(q *question) *inspection.Alternative {
		if len(q.memory.applied) < q.policy.MaxPerHour {
			return nil
		}
		return &inspection.Alternative{
			Limit: float64(q.policy.MaxPerHour), Actual: float64(len(q.memory.applied)), Unit: "changes an hour",
			Message: "the policy allows no more changes an hour",
		}
	}},
}

// until returns what holds until a moment, nil when that has passed.
func until(q *question, end time.Duration, why string) *inspection.Alternative {
	if q.now >= end {
		return nil
	}
	left := (end - q.now).Round(time.Second)
	return &inspection.Alternative{Limit: 0, Actual: left.Seconds(), Unit: "s", Message: fmt.Sprintf("%s: %v to wait", why, left)}
}

// promises returns the limit that a plan gives the listener now, 0 when it does not;
// and what it does not do, and why.
func promises(p *tuner.Plan, j *judged) (to int64, held []inspection.Alternative) {
	if p == nil {
		p = &tuner.Plan{}
	}
	for i := range p.Steps {
		if s := &p.Steps[i]; s.Kind == tuner.KindListen && s.Listener != nil && s.Listener.Cookie == j.shown.Cookie {
			to = s.To
		}
	}
	for i := range p.Refusals {
		r := &p.Refusals[i]
		what := r.Key
		if r.Listener != nil {
			what = r.Listener.Name()
		}
		rail := r.Rail
		if rail == "" {
			rail = r.Code
		}
		held = append(held, inspection.Alternative{
			What: fmt.Sprintf("%s %d to %d", what, r.From, r.To), Rail: rail,
			Limit: r.Limit, Actual: r.Actual, Unit: r.Unit, Message: r.Message,
		})
	}
	if to == 0 && len(held) == 0 {
		none := inspection.Alternative{What: fmt.Sprintf("limit %d to %d", j.l.Accept.Max, j.finding.Limit), Rail: railNoPlan, Message: "the planner has nothing to change"}
		if slices.ContainsFunc(p.Steps, func(s tuner.Step) bool { return s.Kind == tuner.KindSysctl }) {
			none.Rail, none.Message = railNextTime, "a sysctl is felt at the next listen(2) only, and the policy has no live resize here: restart the program, or allow it"
		}
		held = append(held, none)
	}
	return to, held
}
