// SPDX-License-Identifier: Apache-2.0

//go:build linux

package agent

import (
	"fmt"
	"slices"

	"github.com/qtune/qtune/advisor"
	"github.com/qtune/qtune/policy"
	"github.com/qtune/qtune/tcpq"
)

// recentSlots is how much of the window says how things are now: a minute.
const recentSlots = 6

// judge looks at the last minute and at the whole window. A program that stopped to
// accept two minutes ago did accept within the window: what the last minute shows
// of a listener counts, unless what came before it was worse.
func judge(s *tcpq.Snapshot, w *tcpq.Window, p *policy.Policy) advisor.Report {
	minute := tail(w, recentSlots)
	recent := advisor.Advise(s, minute, p)
	whole := advisor.Advise(s, w, p)
	if len(minute.Deltas) < len(w.Deltas) {
		for i := range recent.Findings {
			recent.Findings[i].Why += fmt.Sprintf(" That is of the last %.0f s.", minute.Duration().Seconds())
		}
	}
	type place struct {
		ns *tcpq.Namespace
		l  *tcpq.Listener
	}
	worst := func(r advisor.Report) map[place]int {
		at := map[place]int{}
		for _, f := range r.Findings {
			where := place{f.Namespace, f.Listener}
			at[where] = max(at[where], f.Severity.Urgency())
		}
		return at
	}
	now, then := worst(recent), worst(whole)
	keep := func(r advisor.Report, which func(now, then int) bool) []advisor.Finding {
		return slices.DeleteFunc(r.Findings, func(f advisor.Finding) bool {
			where := place{f.Namespace, f.Listener}
			return !which(now[where], then[where])
		})
	}
	findings := keep(recent, func(now, then int) bool { return now >= then && now > advisor.Info.Urgency() })
	findings = append(findings, keep(whole, func(now, then int) bool { return now < then || now <= advisor.Info.Urgency() })...)
	slices.SortStableFunc(findings, func(a, b advisor.Finding) int { return b.Severity.Urgency() - a.Severity.Urgency() })
	return advisor.Report{Findings: findings}
}
