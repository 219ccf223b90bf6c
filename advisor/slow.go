// SPDX-License-Identifier: Apache-2.0

//go:build linux

package advisor

import (
	"fmt"

	"github.com/qtune/qtune/tcpq"
)

func stuck(l *subject) *Finding {
	h := l.hardship()
	switch {
	case l.seen.Slots == 0: // one look: only what stops a process is known
		if !l.l.Accept.Full() || h == nil || !h.stops {
			return nil
		}
	case !l.l.Accept.Full() && !l.overflowed() && !(l.standing() && l.moved.Value(tcpq.PassiveOpens) > 0) && !l.pilesUp():
		return nil
	case !l.neverEmptied() || !l.nothingAccepted():
		return nil
	}
	f := &Finding{Evidence: l.queueEvidence()}
	f.Why = fmt.Sprintf("%s in the accept queue (limit %d)", plural(uint64(l.l.Accept.Len), "connection waits", "connections wait"), l.l.Accept.Max)
	if l.seen.Slots > 0 {
		if rate, known := l.acceptRate(); !known || rate == 0 { // else others of the namespace accepted some
			f.Why += fmt.Sprintf(" and none was accepted in %s", span(l.seconds))
		}
		f.Evidence = append(f.Evidence, l.acceptEvidence()...)
	}
	f.Why += ". "
	if h != nil {
		f.Why += h.why + " "
		f.Evidence = append(f.Evidence, h.evidence)
		f.Hints = append(f.Hints, h.hint)
	} else {
		if l.nobodyRan() {
			f.Why += "No thread of the process ran in that time: it waits for something else. "
		}
		f.Hints = append(f.Hints, Hint{Setting: "see what the process waits for", Example: l.lookExample(), TakesEffect: Restart, Verified: true})
	}
	f.Why += fmt.Sprintf("With a limit of %d as many would wait for nothing.", l.longer())
	return f
}

// slowWait is where waiting for accept(2) counts as slow although nothing was
// refused: a tenth of the default latency budget.
const slowWait = 0.1

func slow(l *subject) *Finding {
	if !l.standing() {
		return nil
	}
	rate, known := l.acceptRate()
	waits := wait(l.mean(), rate)
	moved := l.moved.Value(tcpq.PassiveOpens) > 0
	late := known && waits >= slowWait*l.budgets()
	if !l.lone() { // others were accepted faster, perhaps: then only the queue tells
		late = late || l.neverBelow(l.l.Accept.Max/4)
	}
	if !l.overflowed() && !(moved && late) {
		return nil
	}
	f := &Finding{Evidence: append(l.queueEvidence(), l.acceptEvidence()...)}
	f.Why = fmt.Sprintf("Most samples saw a standing queue: %.0f waited on average. ", l.mean())
	switch {
	case known && rate > 0:
		f.Why += fmt.Sprintf("At %s accepts a second%s each waits %s%s; with a limit of %d it would be %s%s. ", number(rate), l.atMost(),
			l.atLeast(), seconds(waits), l.longer(), l.atLeast(), seconds(wait(float64(l.longer()), rate)))
	case known:
		f.Why += fmt.Sprintf("Nothing was accepted in %s; with a limit of %d more would wait as long. ", span(l.seconds), l.longer())
	}
	if h := l.hardship(); h != nil {
		f.Why += h.why + " "
		f.Evidence = append(f.Evidence, h.evidence)
		f.Hints = append(f.Hints, h.hint)
	} else {
		f.Hints = append(f.Hints, Hint{Setting: "more processes, threads or CPU for the program, or less work between two accepts", TakesEffect: Restart, Verified: true})
	}
	f.Why += "A longer queue will not help." + l.shared()
	return f
}

// budgets scales a threshold given for a latency budget of one second.
func (l *subject) budgets() float64 { return l.policy.LatencyBudget.Seconds() }

func imbalance(l *subject) *Finding {
	if len(l.group) < 2 || !l.overflowed() && !(l.l.Accept.Full() && l.seen.Slots > 0) {
		return nil
	}
	calm, waiting := 0, uint32(0) // members whose queue stayed below a quarter of its limit
	for _, m := range l.group {
		if m != l && uint64(m.seen.Peak)*4 <= uint64(m.l.Accept.Max) && !m.lost() {
			calm++
			waiting = max(waiting, m.seen.Peak)
		}
	}
	if calm == 0 || calm*2 < len(l.group)-1 {
		return nil
	}
	f := &Finding{Evidence: append(l.queueEvidence(),
		Evidence{"members of the group", float64(len(l.group)), "listeners", "sock_diag"},
		Evidence{"of them calm", float64(calm), "listeners", "sock_diag"},
	)}
	f.Why = fmt.Sprintf("This member's queue reached %d (limit %d) while %d of its %d siblings never held more than %d.",
		max(l.seen.Peak, l.l.Accept.Len), l.l.Accept.Max, calm, len(l.group)-1, waiting)
	if h := l.hardship(); h != nil {
		f.Why += " " + h.why
		f.Evidence = append(f.Evidence, h.evidence)
		f.Hints = append(f.Hints, h.hint)
	} else {
		f.Hints = append(f.Hints, Hint{Setting: "see what the process of this member waits for", Example: l.lookExample(), TakesEffect: Restart, Verified: true})
	}
	f.Why += l.shared()
	return f
}
