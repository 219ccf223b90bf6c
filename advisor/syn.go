// SPDX-License-Identifier: Apache-2.0

//go:build linux

package advisor

import (
	"fmt"

	"github.com/qtune/qtune/tcpq"
)

// The codes of the SYN queue.
const (
	SynFloodSuspected       Code = "syn-flood-suspected"
	SynQueueFull            Code = "syn-queue-full"
	SynBacklogThreeQuarters Code = "syn-backlog-three-quarters"
	FastopenOverflow        Code = "fastopen-overflow"
)

// synChecks are about the SYN queue. The deeper cause stands first.
var synChecks = []check{
	{
		Page: Page{
			Code: SynFloodSuspected, Severity: Warning, Title: "half-open peers that never answer: perhaps a SYN flood",
			Means: "Most half-open peers do not complete their handshake: they repeat no SYN, send no ACK, and answer no cookie. " +
				"Forged source addresses behave so, and so do clients behind a filter that drops our SYN-ACKs.",
			Confirm: "`ss -tn state syn-recv` lists them, most with a timer that was backed off; `nstat -az TcpExtSyncookiesSent TcpExtSyncookiesRecv` " +
				"shows cookies that do not come back. With cookies at work there is nothing to count.",
			Do: "Keep net.ipv4.tcp_syncookies at 1: then real clients get in. Filter the sources upstream. Fewer repetitions " +
				"(net.ipv4.tcp_synack_retries) let dead entries go sooner.",
			Avoid: "Do not lengthen the SYN queue for a flood: it fills at any length, and every entry costs memory.",
		},
		silences: []Code{SynQueueFull, SynBacklogThreeQuarters, SyncookiesSent},
		listener: flood,
		whole:    someFlood,
	},
	{
		Page: Page{
			Code: SynQueueFull, Severity: Critical, Title: "the SYN queue is full",
			Means: "More handshakes are under way than the listener's limit allows, and syncookies are off: new SYNs are refused. " +
				"Since Linux 4.4 the limit of listen(2) bounds this queue, too; net.ipv4.tcp_max_syn_backlog does not.",
			Confirm: "`nstat -az TcpExtTCPReqQFullDrop` rises; `ss -tn state syn-recv | wc -l` is at the limit (Send-Q) of the listener.",
			Do:      "Set net.ipv4.tcp_syncookies to 1, which works at once, or lengthen the listener's queue.",
			Avoid:   "Raising net.ipv4.tcp_max_syn_backlog changes nothing here.",
		},

		listener: synFull,
		whole:    someSynFull,
	},
	{
		Page: Page{
			Code: SynBacklogThreeQuarters, Severity: Critical, Title: "tcp_max_syn_backlog refuses SYNs at three quarters",
			Means: "With syncookies off the kernel keeps the last quarter of net.ipv4.tcp_max_syn_backlog for peers it has met before, " +
				"and refuses the SYNs of all others. No counter of its own tells: only ListenDrops moves.",
			Confirm: "`sysctl net.ipv4.tcp_syncookies` is 0; `nstat -az TcpExtListenDrops` rises while TcpExtListenOverflows and " +
				"TcpExtTCPReqQFullDrop stand still; `ss -tn state syn-recv | wc -l` is three quarters of net.ipv4.tcp_max_syn_backlog, plus one.",
			Do:    "Set net.ipv4.tcp_syncookies to 1, or raise net.ipv4.tcp_max_syn_backlog: both work at once.",
			Avoid: "A longer backlog of the application does not help as long as this limit is the lower one.",
		},
		listener: threeQuarters,
	},
	{
		Page: Page{
			Code: FastopenOverflow, Severity: Warning, Title: "the Fast Open queue is full",
			Means: "More Fast Open requests are pending than the listener allows (TCP_FASTOPEN). Those clients fall back to a normal handshake: " +
				"nothing is lost but the round trip that Fast Open saves.",
			Confirm: "`nstat -az TcpExtTCPFastOpenListenOverflow` rises.",
			Do:      "Give a larger number to setsockopt(TCP_FASTOPEN); the program sets it, and it works on a listener that exists.",
			Avoid:   "Calling listen(2) again does not change this limit.",
		},
		listener: fastopen,
		whole:    someFastopen,
	},
}

// unansweredCookies is how many cookies must have stayed without an answer to
// speak of a flood: fewer are lost packets and a port scan.
const unansweredCookies = 64

// cookiesUnanswered returns how many cookies did not come back, 0 when most did.
func (s *scene) cookiesUnanswered() uint64 {
	sent, recv := s.moved.Value(tcpq.SyncookiesSent), s.moved.Value(tcpq.SyncookiesRecv)
	if sent < unansweredCookies+recv || recv*2 >= sent {
		return 0
	}
	return sent - recv
}

// crowded is how many half-open peers there must be to speak of a flood before
// anything is refused.
const crowded = 64

// flooded reports whether most of the listener's half-open peers do not answer.
// Peers that sent an ACK which a full accept queue refused, or which the listener
// deferred, did answer.
func (l *subject) flooded() bool {
	if l.seen.Causes.AcceptFull > 0 || l.moved.Value(tcpq.TCPDeferAcceptDrop) > 0 {
		return false
	}
	if l.lone() && l.moved.Value(tcpq.PassiveOpens) >= uint64(max(1, l.seen.SynPeak)) {
		return false // the whole queue went through in the window: late, but they answer
	}
	nobodyAnswers := l.seen.SynFull && l.seen.Slots >= judgedSlots && l.moved.Value(tcpq.PassiveOpens) == 0
	if !nobodyAnswers && (l.seen.SynStale == 0 || l.seen.SynStale*2 < l.seen.SynPeak) {
		return false
	}
	return l.seen.SynFull || l.lost() || l.seen.SynPeak >= max(crowded, l.l.Syn.Max/2)
}

func flood(l *subject) *Finding {
	cookies := l.cookiesUnanswered()
	if !l.flooded() && !(cookies > 0 && (l.lone() || l.seen.SynFull)) {
		return nil
	}
	f := &Finding{Evidence: l.synEvidence()}
	if l.seen.SynPeak > 0 {
		f.Why = fmt.Sprintf("%d of %s did not answer for a second or more. ", l.seen.SynStale, plural(uint64(l.seen.SynPeak), "half-open peer", "half-open peers"))
		if l.moved.Value(tcpq.PassiveOpens) == 0 {
			f.Why += fmt.Sprintf("Not one handshake was completed in %s. ", span(l.seconds))
		}
	}
	if cookies > 0 {
		f.Why += fmt.Sprintf("%s sent, and %s came back. ", plural(l.moved.Value(tcpq.SyncookiesSent), "cookie was", "cookies were"), number(float64(l.moved.Value(tcpq.SyncookiesRecv))))
		f.Evidence = append(f.Evidence, l.movedEvidence(tcpq.SyncookiesSent), l.movedEvidence(tcpq.SyncookiesRecv))
	}
	switch {
	case l.lost() && l.sysctl(tcpq.TCPSyncookies) == 0:
		f.Why += fmt.Sprintf("Syncookies are off, so other clients lose, too: %s refused.", l.refusedText())
	case l.lost():
		f.Why += fmt.Sprintf("%s refused.", l.refusedText())
	case !l.seen.RefusedKnown:
		f.Why += "Whether anything was refused is not known."
	case l.moved.Value(tcpq.ListenDrops) > 0:
		f.Why += fmt.Sprintf("%s refused in the namespace; nothing says whose.", plural(l.moved.Value(tcpq.ListenDrops), "packet was", "packets were"))
	default:
		f.Why += "Nothing was refused: whoever answers gets in."
	}
	f.Why += l.shared()
	l.againstFlood(f)
	return f
}

// someFlood tells of cookies that are not answered, when any listener of the
// namespace may have sent them.
func someFlood(s *scene) *Finding {
	if s.cookiesUnanswered() == 0 || s.lone() {
		return nil
	}
	for i := range s.subjects {
		if l := &s.subjects[i]; l.seen.SynFull || l.flooded() {
			return nil // the flood of that listener
		}
	}
	f := &Finding{Evidence: []Evidence{s.movedEvidence(tcpq.SyncookiesSent), s.movedEvidence(tcpq.SyncookiesRecv)}}
	f.Why = fmt.Sprintf("%d cookies were sent, and %d came back. The kernel does not say which listener sent them.",
		s.moved.Value(tcpq.SyncookiesSent), s.moved.Value(tcpq.SyncookiesRecv))
	s.againstFlood(f)
	return f
}

// againstFlood fills in what helps against a flood.
func (s *scene) againstFlood(f *Finding) {
	f.Evidence = append(f.Evidence, s.sysctlEvidence(tcpq.TCPSyncookies))
	f.Changes = s.cookiesOn()
	f.Hints = []Hint{{
		Setting: "filter the sources before they reach this host", TakesEffect: Now, Verified: true,
		Note: "See where they come from: ss -tn state syn-recv; with cookies at work only a packet capture tells.",
	}}
}

func synFull(l *subject) *Finding {
	if !l.lost() || l.seen.Causes.SynFull == 0 {
		return nil
	}
	f := &Finding{Evidence: append(l.synEvidence(), l.movedEvidence(tcpq.TCPReqQFullDrop), l.sysctlEvidence(tcpq.TCPSyncookies))}
	f.Why = fmt.Sprintf("More handshakes were under way than the SYN queue holds (%d), and syncookies are off: %s refused.",
		l.synMax(), l.refusedText()) + l.shared()
	need := l.synNeed()
	f.Changes = l.cookiesOn()
	if m := l.sysctl(tcpq.TCPMaxSynBacklog); m >= 0 && uint64(m-m/4) < need { // what would be refused by it next
		f.Changes = append(f.Changes, l.largerSynBacklog(m, need)...)
	}
	l.lengthen(f, l.policy.Limit(need, 0))
	return f
}

func someSynFull(s *scene) *Finding {
	refused := s.moved.Value(tcpq.TCPReqQFullDrop)
	if refused == 0 || len(s.suspects()) > 0 || s.goneLost() {
		return nil
	}
	f := &Finding{Evidence: []Evidence{s.movedEvidence(tcpq.TCPReqQFullDrop), s.sysctlEvidence(tcpq.TCPSyncookies)}, Changes: s.cookiesOn()}
	f.Why = fmt.Sprintf("%s refused because some SYN queue of this namespace was full. %s",
		plural(refused, "SYN was", "SYNs were"), s.discardersText())
	return f
}

func threeQuarters(l *subject) *Finding {
	c := l.seen.Causes
	if !l.lost() || c.Other == 0 || l.l.Syn.BoundBy != tcpq.SynBoundMaxSynBacklog || l.sysctl(tcpq.TCPSyncookies) != 0 {
		return nil
	}
	m := l.sysctl(tcpq.TCPMaxSynBacklog)
	f := &Finding{Evidence: append(l.synEvidence(), l.movedEvidence(tcpq.ListenDrops), l.sysctlEvidence(tcpq.TCPMaxSynBacklog), l.sysctlEvidence(tcpq.TCPSyncookies))}
	f.Why = fmt.Sprintf("Syncookies are off and net.ipv4.tcp_max_syn_backlog is %d: beyond %d half-open peers the SYNs of unknown clients are refused, here %s.",
		m, l.synMax(), l.refusedText()) + l.shared()
	need := l.synNeed()
	f.Changes = append(l.cookiesOn(), l.largerSynBacklog(m, need)...)
	if need > uint64(l.l.Accept.Max) {
		f.Why += fmt.Sprintf(" The limit of the listener, %d, would refuse the rest.", l.l.Accept.Max)
		l.lengthen(f, l.policy.Limit(need, 0))
	}
	return f
}

func fastopen(l *subject) *Finding {
	if !l.lone() {
		return nil
	}
	return l.fastopenFinding("")
}

// someFastopen tells of a Fast Open queue where any of several listeners may have
// it.
func someFastopen(s *scene) *Finding {
	if s.lone() {
		return nil
	}
	return s.fastopenFinding(" The kernel does not say which listener's.")
}

func (s *scene) fastopenFinding(more string) *Finding {
	n := s.moved.Value(tcpq.TCPFastOpenListenOverflow)
	if n == 0 {
		return nil
	}
	return &Finding{
		Why: fmt.Sprintf("%s fell back to a normal handshake because a Fast Open queue was full.",
			plural(n, "Fast Open request", "Fast Open requests")) + more,
		Evidence: []Evidence{s.movedEvidence(tcpq.TCPFastOpenListenOverflow)},
		Hints: []Hint{{
			Setting: "the number given to setsockopt(TCP_FASTOPEN)", Example: "setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN, &(int){4096}, sizeof(int))", TakesEffect: Rebuild, Verified: true,
			Note: "Web servers call it fastopen: nginx has `listen 80 fastopen=4096;`.",
		}},
	}
}
