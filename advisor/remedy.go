// SPDX-License-Identifier: Apache-2.0

//go:build linux

package advisor

import (
	"fmt"

	"github.com/qtune/qtune/tcpq"
)

// recommended returns the limit that would have held all that came: the longest
// queue and what was refused of the worst burst, with headroom. Who asks has seen
// the queue full or nearly so: it is no shorter than one that was.
func (l *subject) recommended() int64 {
	need := max(uint64(l.seen.Peak), uint64(l.l.Accept.Len), l.l.Accept.Capacity()) + l.seen.Worst
	return l.policy.Limit(need, l.busiestRate())
}

// lengthen fills in what makes the listener's queue as long as limit: in the
// namespace first, then in the program.
func (l *subject) lengthen(f *Finding, limit int64) {
	s := l.sysctl(tcpq.Somaxconn)
	limit = min(limit, max(s, l.policy.Somaxconn.Max)) // it cuts down what the program asks for
	if limit*4 < int64(l.l.Accept.Max)*5 {
		f.Why += " The policy allows no longer queue that would make a difference: the program has to become faster."
		return
	}
	f.Limit = limit
	if s >= 0 && s < limit {
		f.Changes = append(f.Changes, Change{tcpq.Somaxconn, s, l.policy.Somaxconn.Clamp(limit), false})
	}
	f.Hints = append(f.Hints, l.longerHints(limit)...)
}

// synNeed returns how many half-open peers the listener would have had, had none
// been refused. Who was refused and tried again was counted again. Peers and limit
// are known of a reuse-port group as a whole, what was refused of each member.
func (l *subject) synNeed() uint64 {
	members := uint64(max(1, l.l.Syn.Members))
	return (max(uint64(l.seen.SynPeak), uint64(l.l.Syn.Max))+members-1)/members + l.seen.Worst
}

// synMax returns how many half-open peers the listener itself may have.
func (l *subject) synMax() uint32 { return l.l.Syn.Max / uint32(max(1, l.l.Syn.Members)) }

// largerSynBacklog returns the change of tcp_max_syn_backlog that leaves strangers
// room for so many half-open peers.
func (s *scene) largerSynBacklog(from int64, need uint64) []Change {
	to := s.policy.SynBacklog(need * 4 / 3)
	if to <= from {
		return nil
	}
	return []Change{{tcpq.TCPMaxSynBacklog, from, to, true}}
}

// longerHints say how the program that listens is told to ask for this limit.
func (l *subject) longerHints(limit int64) []Hint {
	p := l.program()
	atSomaxconn := int64(l.l.Accept.Max) == l.sysctl(tcpq.Somaxconn)
	if p == nil && !atSomaxconn {
		p = likely(l.l.Accept.Max)
	}
	switch {
	case p != nil:
		return []Hint{p.hint(uint32(limit), l.l.Port)}
	case atSomaxconn:
		return []Hint{{
			Setting: "its setting for the backlog, if it has one; net.core.somaxconn of the namespace first", Example: fmt.Sprintf("listen(fd, %d)", limit),
			TakesEffect: Restart, Verified: true,
			Note: "It asks for as much as it may, or for a number that was cut down; qtune does not know the program. Its limit after the restart tells.",
		}}
	}
	return []Hint{{
		Setting: "the backlog that the program gives to listen(2)", Example: fmt.Sprintf("listen(fd, %d)", limit),
		TakesEffect: Restart, Verified: true,
		Note: "qtune does not know the program: look for a setting called backlog, listen or accept queue.",
	}}
}

// program returns what the catalogue knows of who holds the listener.
func (l *subject) program() *Program {
	return Recognise(l.l.Owner, l.l.Accept.Max)
}

// cookiesOn returns the change that turns syncookies on, where they are off.
func (s *scene) cookiesOn() []Change {
	if s.sysctl(tcpq.TCPSyncookies) != 0 {
		return nil
	}
	return []Change{{tcpq.TCPSyncookies, 0, 1, true}}
}

// longer returns the limit that somebody who believes in longer queues would try.
func (l *subject) longer() uint32 { return max(4096, 2*l.l.Accept.Max) }
