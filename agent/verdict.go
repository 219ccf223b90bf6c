// SPDX-License-Identifier: Apache-2.0

//go:build linux

package agent

import (
	"fmt"

	"github.com/qtune/qtune/advisor"
	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/tcpq"
)

// A verdict is what the loop makes of a listener: its names for what was found.
type verdict string

// The verdicts.
const (
	healthy       verdict = "Healthy"
	nearLimit     verdict = "NearLimit"
	burstOverflow verdict = "BurstOverflow" // the only one that tunes
	appTooSlow    verdict = "AppTooSlow"    // never tuned: a longer queue only makes clients wait longer
	synPressure   verdict = "SynPressure"
	indeterminate verdict = "Indeterminate"
)

// verdicts is what each finding comes to. What stands first wins: a program that is
// too slow is not tuned because it overflows too, nor during a flood.
var verdicts = []struct {
	code advisor.Code
	verdict
}{
	{advisor.ApplicationStuck, appTooSlow},
	{advisor.ApplicationSlow, appTooSlow},
	{advisor.ReuseportImbalance, appTooSlow},
	{advisor.SynFloodSuspected, synPressure},
	{advisor.SynQueueFull, synPressure},
	{advisor.SynBacklogThreeQuarters, synPressure},
	{advisor.CookieZombies, indeterminate},
	{advisor.BacklogZero, indeterminate},
	{advisor.BacklogTruncated, indeterminate},
	{advisor.AcceptQueueOverflow, burstOverflow},
	{advisor.AcceptQueueNearLimit, nearLimit},
}

// A judged is a listener with what is known of it and the verdict.
type judged struct {
	id    tcpq.ListenerID
	ns    *tcpq.Namespace
	l     *tcpq.Listener
	shown *inspection.Listener

	seen    tcpq.ListenerWindow
	finding *inspection.Finding // that the verdict is made of; nil when healthy
	verdict verdict
	rule    string
}

// name returns ADDR[%DEV]:PORT.
func (j *judged) name() string { return j.shown.Name() }

// comm returns the program, as in /proc/PID/comm; "" when it is not known.
func (j *judged) comm() string {
	if o := j.shown.Owner; o != nil {
		return o.Comm
	}
	return ""
}

// classify makes the verdict of a listener from what was found of it and its
// namespace in the last window.
func (j *judged) classify(w *tcpq.Window, found []*inspection.Finding) {
	j.verdict, j.rule = healthy, "nothing was refused, and the queue kept away from its limit"
	for i := range verdicts {
		row := &verdicts[i]
		for _, f := range found {
			if f.Code != string(row.code) || row.verdict == burstOverflow && f.Listener == nil {
				continue
			}
			j.finding, j.verdict, j.rule = f, row.verdict, f.Title
			if row.verdict == burstOverflow {
				j.seen = w.Listener(j.id)
				j.doubt(len(w.Deltas))
			}
			return
		}
	}
}

// What a burst takes to be one.
const (
	leastRefused  = 20 // packets: of fewer nobody can say that they became fewer
	slotsOfMinute = recentSlots
)

// doubt makes an overflow indeterminate when too little is known of it, or when the
// queue was not worked off after the bursts.
func (j *judged) doubt(slots int) {
	drained, minutes := drains(&j.seen, j.l.Accept.Max)
	switch {
	case slots < windowSlots || j.seen.Slots*2 < slots:
		j.verdict, j.rule = indeterminate, "it overflowed, but has not been watched for a whole window"
	case j.seen.Refused.Max < leastRefused:
		j.verdict = indeterminate
		j.rule = fmt.Sprintf("it overflowed, but %d packets refused are too few to tell anything: %d are", j.seen.Refused.Max, leastRefused)
	case drained*5 < minutes*4:
		j.verdict = indeterminate
		j.rule = fmt.Sprintf("it overflowed, and in only %d of %d minutes the queue fell to a tenth of its limit: a burst is worked off", drained, minutes)
	default:
		j.rule = fmt.Sprintf("it overflowed in bursts, and in %d of %d minutes the queue fell to a tenth of its limit", drained, minutes)
	}
}

// drains counts the minutes of a window, of six slots each, in which the queue was
// seen at a tenth of its limit or less.
func drains(seen *tcpq.ListenerWindow, limit uint32) (drained, minutes int) {
	for from := 0; from < len(seen.Lengths); from += slotsOfMinute {
		low := false
		for i := from; i < min(from+slotsOfMinute, len(seen.Lengths)); i++ {
			low = low || uint64(seen.Lengths[i])*10 <= uint64(limit) || i < len(seen.Emptied) && seen.Emptied[i]
		}
		minutes++
		if low {
			drained++
		}
	}
	return drained, minutes
}
