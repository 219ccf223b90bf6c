// SPDX-License-Identifier: Apache-2.0

//go:build linux

package advisor

import (
	"math"
	"slices"

	"github.com/qtune/qtune/tcpq"
)

// A subject is one listener as the window shows it.
type subject struct {
	*scene
	l     *tcpq.Listener
	seen  tcpq.ListenerWindow
	group []*subject // the members of its reuse-port group, itself among them; nil when it is alone
}

// uneventful reports whether there is nothing about it that any check looks at.
func (l *subject) uneventful() bool {
	return l.l.Accept.Len == 0 && l.seen.Peak == 0 && l.l.Discards == 0 && l.seen.Discards == 0 &&
		l.seen.SynPeak == 0 && !l.seen.SynFull && !(l.lone() && len(l.slots) > 0)
}

// lost reports whether packets of new connections were refused that may be its.
func (l *subject) lost() bool { return l.seen.Refused.Max > 0 }

// overflowed reports whether they were because its accept queue was full.
func (l *subject) overflowed() bool { return l.lost() && l.seen.Causes.AcceptFull > 0 }

// judgedSlots is how many slots a judgement about the course of a queue needs.
const judgedSlots = 3

// standing reports whether connections waited most of the time: in three of five
// slots the queue never fell below a tenth of its limit. A burst, however high, is
// worked off; a standing queue is the mark of a program that is too slow.
func (l *subject) standing() bool {
	if l.overdue() {
		return true
	}
	floor := max(2, l.l.Accept.Max/10+1)
	stood := 0
	for i := range l.seen.Lengths[min(1, len(l.seen.Lengths)):] {
		if min(l.seen.Lengths[i], l.seen.Lengths[i+1]) >= floor && !l.emptied(i) {
			stood++
		}
	}
	return l.seen.Slots >= judgedSlots && stood*5 >= l.seen.Slots*3
}

// emptied reports whether a sample showed the queue empty between one of its lengths
// and the next: bursts in step with the ends of the slots look like a queue that
// stands.
func (l *subject) emptied(i int) bool { return i < len(l.seen.Emptied) && l.seen.Emptied[i] }

// overdue reports whether every sample showed more waiting than the program accepts
// within the latency budget, however few that is of a long limit. Every sample: a
// program that paused has worked its queue off at some time.
func (l *subject) overdue() bool {
	rate, known := l.acceptRate()
	return known && rate > 0 && l.neverBelow(uint32(min(math.Ceil(rate*l.budgets()), math.MaxUint32)))
}

// stuckBudgets is after how many latency budgets a program that accepted nothing is
// called stuck, however long its queue may become.
const stuckBudgets = 5

// pilesUp reports whether connections came to this listener for so long, and
// nothing left any queue of the namespace.
func (l *subject) pilesUp() bool {
	rate, known := l.acceptRate()
	n := len(l.seen.Lengths)
	return known && rate == 0 && l.seconds >= stuckBudgets*l.budgets() && n > 0 && l.seen.Lengths[n-1] > max(1, l.seen.Lengths[0])
}

// neverEmptied reports whether, since somebody began to wait, somebody always did,
// and for three of five slots at least.
func (l *subject) neverEmptied() bool {
	first := slices.IndexFunc(l.seen.Lengths, func(n uint32) bool { return n > 0 })
	if first < 0 || slices.Contains(l.seen.Lengths[first:], 0) || slices.Contains(l.seen.Emptied[min(first, len(l.seen.Emptied)):], true) {
		return false
	}
	waited := len(l.seen.Lengths) - 1 - first
	return waited >= judgedSlots && waited*5 >= l.seen.Slots*3
}

// neverBelow reports whether every sample showed at least so many waiting.
func (l *subject) neverBelow(n uint32) bool {
	return l.seen.Slots >= judgedSlots && slices.Min(l.seen.Lengths) >= max(2, n) && !slices.Contains(l.seen.Emptied, true)
}

// timesNear counts how often the queue was seen at four fifths of its limit or more:
// at the ends of slots, and once within a slot.
func (l *subject) timesNear() (n int) {
	for _, lengths := range [][]uint32{l.seen.Lengths, l.seen.Between} {
		for _, length := range lengths {
			if length > 0 && uint64(length)*5 >= uint64(l.l.Accept.Max)*4 {
				n++
			}
		}
	}
	return n
}

// mean returns the mean length of the accept queue.
func (l *subject) mean() float64 {
	sum := 0.0
	for _, n := range l.seen.Lengths {
		sum += float64(n)
	}
	return sum / float64(max(1, len(l.seen.Lengths)))
}

// acceptRate returns how many connections the program accepts in a second at
// most: the kernel counts a namespace's, and others may have had their share. It
// looks at the slots in which the queue was full at both ends when there are any:
// then nothing enters but what follows one that was accepted.
func (l *subject) acceptRate() (perSecond float64, known bool) {
	var all, full struct{ accepted, opened, seconds float64 }
	for _, s := range l.slots {
		opened, ok := s.Counters.Get(tcpq.PassiveOpens)
		if !ok {
			continue
		}
		all.accepted += s.accepted()
		all.opened += float64(opened)
		all.seconds += s.seconds
		if d := s.Listeners[l.l.Cookie]; d.From > l.l.Accept.Max && d.To > l.l.Accept.Max {
			full.accepted += s.accepted()
			full.seconds += s.seconds
		}
	}
	if full.seconds > 0 {
		return full.accepted / full.seconds, true
	}
	// What arrives while a sample is taken is in the counters and not yet in
	// the queue: one, or one in a hundred, is nothing.
	if all.accepted <= max(1, all.opened/100) {
		all.accepted = 0
	}
	return all.accepted / all.seconds, all.seconds > 0
}

// busiestRate returns the most connections a second that left the accept queues
// of the namespace in one slot; 0 when it is not this listener's alone.
func (l *subject) busiestRate() (perSecond float64) {
	if !l.lone() {
		return 0
	}
	for _, s := range l.slots {
		perSecond = max(perSecond, s.accepted()/s.seconds)
	}
	return perSecond
}

// wait returns how many seconds a connection waits for accept(2) at least, in a
// queue of this length: Little's law. It is infinite when nothing is accepted.
func wait(length, perSecond float64) float64 {
	if length == 0 {
		return 0
	}
	if perSecond == 0 {
		return math.Inf(1)
	}
	return length / perSecond
}

// nothingAccepted reports whether the program accepted nothing in the window: the
// counters say so, or something keeps it from running at all. What the last sample
// shows of a process does not count against connections that it did accept.
func (l *subject) nothingAccepted() bool {
	rate, known := l.acceptRate()
	if known && rate > 0 && l.lone() {
		return false
	}
	if h := l.hardship(); h != nil && h.stops {
		return true
	}
	return known && rate == 0 || l.nobodyRan()
}

// goneLost reports whether a listener that is there no more probably lost what was
// refused: it was full while it was watched, or it discarded packets and none that
// is still there did.
func (s *scene) goneLost() bool {
	still := make(map[uint64]bool, len(s.subjects))
	discarded := false
	for i := range s.subjects {
		still[s.subjects[i].l.Cookie] = true
		discarded = discarded || s.subjects[i].seen.Discards > 0
	}
	for _, slot := range s.slots {
		for cookie, l := range slot.Listeners {
			if !still[cookie] && (l.AcceptFull || l.SynFull || l.Discards > 0 && !discarded) {
				return true
			}
		}
	}
	return false
}

// suspects returns the listeners of the namespace that may have lost packets in
// the window.
func (s *scene) suspects() (all []*subject) {
	for i := range s.subjects {
		if l := &s.subjects[i]; l.lost() {
			all = append(all, l)
		}
	}
	return all
}
