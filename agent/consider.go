// SPDX-License-Identifier: Apache-2.0

//go:build linux

package agent

import (
	"fmt"

	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/tcpq"
	"github.com/qtune/qtune/tuner"
)

// consider decides about one listener. Free is false when something else is to be
// done first.
func (l *loop) consider(now tuner.Now, k *look, j *judged, free bool) *act {
	t := l.track(now, j)
	d := inspection.Decision{
		Netns: j.ns.ID.Inode, Listener: j.name(), Cookie: j.shown.Cookie, Comm: j.comm(),
		Verdict: string(j.verdict), Action: actWatch, Rule: j.rule,
	}
	if j.finding != nil {
		d.Inputs = j.finding.Evidence
	}
	switch j.verdict {
	case appTooSlow:
		d.Action, d.Rail, d.Rule = actExplain, railTooSlow, j.finding.Why
	case burstOverflow:
		return l.burst(now, k, j, t, free, d)
	case healthy, nearLimit, synPressure, indeterminate:
	}
	l.tell(now, j.id, d)
	return nil
}

// burst decides about a listener that overflows in bursts: nothing while a rail holds
// it back, else it is changed.
func (l *loop) burst(now tuner.Now, k *look, j *judged, t *track, free bool, d inspection.Decision) *act {
	q := &question{loop: l, now: now.Boot, look: k, judged: j, track: t, free: free}
	for i := range rails {
		if held := rails[i].holds(q); held != nil {
			held.Rail = rails[i].name
			held.What = fmt.Sprintf("limit %d to %d", j.l.Accept.Max, j.finding.Limit)
			d.Action, d.Rail, d.Refused = rails[i].action, held.Rail, []inspection.Alternative{*held}
			l.tell(now, j.id, d)
			return nil
		}
	}
	plan := l.plan(about(k.in, j.finding), k.policy)
	to, held := promises(plan, j)
	d.Refused = held
	if to == 0 {
		d.Action, d.Rail = actRecommend, held[0].Rail
		l.tell(now, j.id, d)
		return nil
	}
	before := flowOf(k.window, j.id)
	d.Action = actApply
	d.Expected = fmt.Sprintf("limit %d to %d: at most half of %s %% of the packets refused, with %s connections/s, within %v of waiting",
		j.l.Accept.Max, to, digits(before.rate()*100), digits(before.offered()), k.policy.LatencyBudget)
	return &act{action: actApply, plan: plan, trial: k.policy.Trial, reason: d.Rule, subject: j, entry: d}
}

// tell registers a decision that is another than the one before.
func (l *loop) tell(now tuner.Now, id tcpq.ListenerID, d inspection.Decision) {
	what := tellingOf(&d)
	if before, known := l.told[id]; known && before == what || !known && d.Verdict == string(healthy) {
		return
	}
	l.told[id] = what
	if d.Verdict == string(healthy) {
		delete(l.told, id) // until it has trouble again
	}
	l.register.enter(now, d)
}

// about returns an inspection that holds one finding only, so that only that is
// planned.
func about(in *inspection.Inspection, f *inspection.Finding) *inspection.Inspection {
	only := *in
	only.Findings = []inspection.Finding{*f}
	return &only
}
