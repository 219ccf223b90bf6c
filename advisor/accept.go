// SPDX-License-Identifier: Apache-2.0

//go:build linux

package advisor

import (
	"fmt"
	"math"

	"github.com/qtune/qtune/tcpq"
)

// The codes of the accept queue.
const (
	ApplicationStuck     Code = "application-stuck"
	ApplicationSlow      Code = "application-slow"
	BacklogTruncated     Code = "backlog-truncated"
	BacklogZero          Code = "backlog-zero"
	ReuseportImbalance   Code = "reuseport-imbalance"
	CookieZombies        Code = "cookie-zombies"
	AcceptQueueOverflow  Code = "accept-queue-overflow"
	AcceptQueueNearLimit Code = "accept-queue-near-limit"
)

// acceptChecks are about the accept queue. The deeper cause stands first.
var acceptChecks = []check{
	{
		Page: Page{
			Code: ReuseportImbalance, Severity: Warning, Title: "one member of a reuse-port group is full",
			Means: "Listeners that share a port by SO_REUSEPORT have a queue each, and a hash of the addresses picks one: " +
				"a member that is full refuses its share of the clients although others are empty.",
			Confirm: "`ss -ltnp` shows several lines of the same address and port; Recv-Q is high on one and low on the others.",
			Do:      "Find out why the process of that member accepts less than its siblings; restart it.",
			Avoid: "Do not judge the group by its sum, and do not lengthen the queues: the full one belongs to a worker that hangs. " +
				"Closing the member resets what waits there, unless net.ipv4.tcp_migrate_req is 1 (Linux 5.14).",
		},
		silences: []Code{ApplicationStuck, ApplicationSlow, CookieZombies, AcceptQueueOverflow, AcceptQueueNearLimit, SynQueueFull, SynBacklogThreeQuarters},
		listener: imbalance,
	},
	{
		Page: Page{
			Code: ApplicationStuck, Severity: Critical, Title: "the application accepts nothing",
			Means: "Connections wait in the accept queue all the time and the program took none of them: it hangs, is stopped, " +
				"or has no descriptors left. The queue is full, packets were refused, or more and more connections wait.",
			Confirm: "Run `ss -ltn` twice: Recv-Q of the listener does not fall, or stays above Send-Q. Look at the process: `cat /proc/PID/status`, " +
				"`ls /proc/PID/fd | wc -l` against `Max open files` of `/proc/PID/limits`, `cat /proc/PID/task/*/wchan`.",
			Do:    "Find out what the program waits for, or restart it. When a reason is named (stopped, frozen, descriptors), remove that.",
			Avoid: "A longer queue only lets more clients wait for an answer that does not come.",
		},
		silences: []Code{ApplicationSlow, BacklogZero, CookieZombies, AcceptQueueOverflow, AcceptQueueNearLimit, SynQueueFull, SynBacklogThreeQuarters},
		listener: stuck,
	},
	{
		Page: Page{
			Code: BacklogTruncated, Severity: Warning, Title: "the limit was cut to 16 bits",
			Means: "Before Linux 4.1 a listener keeps its limit in 16 bits: a backlog of 65536 becomes 0, and 65664 becomes 128.",
			Confirm: "`sysctl net.core.somaxconn` shows more than 65535, and Send-Q of the listener in `ss -ltn` is the number asked for " +
				"less a multiple of 65536.",
			Do:    "Lower net.core.somaxconn of the namespace to 65535 and have the program listen again (reload or restart).",
			Avoid: "Do not ask for more than 65535 on such a kernel.",
		},
		silences: []Code{BacklogZero, AcceptQueueOverflow, AcceptQueueNearLimit},
		listener: truncated,
	},
	{
		Page: Page{
			Code: BacklogZero, Severity: Critical, Title: "the limit is 0",
			Means: "The program called listen(2) with a backlog of 0, so at most one connection can wait, and on kernels that call an empty " +
				"SYN queue of limit 0 full nobody can connect at all while tcp_syncookies is 0.",
			Confirm: "Send-Q of the listener in `ss -ltn` is 0, and `nstat -az TcpExtListenDrops` rises.",
			Do:      "Give the program a backlog; it has to listen again.",
			Avoid:   "No sysctl raises a limit the program asked for.",
		},
		silences: []Code{ApplicationSlow, CookieZombies, AcceptQueueOverflow, AcceptQueueNearLimit, SynQueueFull},
		listener: zero,
	},
	{
		Page: Page{
			Code: ApplicationSlow, Severity: Warning, Title: "the application accepts too slowly",
			Means: "Connections stand in the accept queue most of the time: more arrive than the program accepts. " +
				"Each waits as long as the queue is, divided by the accept rate.",
			Confirm: "`ss -ltn` repeated shows Recv-Q that never falls to 0; the wait is Recv-Q divided by the rate of " +
				"`nstat TcpPassiveOpens`.",
			Do:    "Give the program more processes, threads or CPU, or less work between two accepts. Behind a load balancer, take load away.",
			Avoid: "A longer queue makes clients wait longer; past their timeout the program serves connections nobody waits for.",
		},
		silences: []Code{CookieZombies, AcceptQueueOverflow, AcceptQueueNearLimit, SynQueueFull, SynBacklogThreeQuarters},
		listener: slow,
	},
	{
		Page: Page{
			Code: CookieZombies, Severity: Warning, Title: "clients connected by cookie are left hanging",
			Means: "A final ACK with a syncookie met a full accept queue and was dropped. The client believes it is connected, and the kernel, " +
				"which remembers nothing of it, repeats nothing: a client that waits for the server to speak first hangs until its own timeout.",
			Confirm: "`nstat -az TcpExtSyncookiesRecv TcpExtListenOverflows TcpPassiveOpens`: cookies are received, overflows rise, and fewer " +
				"connections are opened than cookies came back.",
			Do:    "Lengthen the listener's queue; that also makes cookies rarer, because the same limit bounds the SYN queue.",
			Avoid: "tcp_abort_on_overflow does not reach such clients.",
		},
		silences: []Code{AcceptQueueOverflow, AcceptQueueNearLimit, SynQueueFull, SynBacklogThreeQuarters},
		listener: zombies,
	},
	{
		Page: Page{
			Code: AcceptQueueOverflow, Severity: Critical, Title: "the accept queue overflows",
			Means: "Connections arrive in bursts that are higher than the queue is long; the program works them off in between. " +
				"What does not fit is refused: the client repeats its SYN after one second, then each second for a while " +
				"(Linux 6.5 and later) or after two more, four more and so on.",
			Confirm: "`nstat -az TcpExtListenOverflows` rises; Recv-Q of the listener in `ss -ltn` is above Send-Q at times.",
			Do: "Lengthen the queue: the program asks for more, net.core.somaxconn of its own namespace allows it, " +
				"and then listen(2) is called again: by a reload, where the program does that, or by a restart.",
			Avoid: "A sysctl alone does nothing to a listener that exists, and the host's does nothing for a pod. " +
				"tcp_abort_on_overflow=1 only turns some of the waiting into errors.",
		},
		silences: []Code{AcceptQueueNearLimit, SynQueueFull, SynBacklogThreeQuarters}, // ACKs that were refused leave their peers half-open
		listener: overflow,
		whole:    someOverflow,
	},
	{
		Page: Page{
			Code: AcceptQueueNearLimit, Severity: Warning, Title: "the accept queue was nearly full",
			Means:   "More than once the queue reached four fifths of its limit. Nothing was refused yet.",
			Confirm: "`ss -ltn` repeated shows Recv-Q close to Send-Q.",
			Do:      "Lengthen the queue before the next burst is a little higher.",
			Avoid:   "A queue that does not empty between bursts needs a faster program, not more room.",
		},
		listener: nearLimit,
	},
}

func truncated(l *subject) *Finding {
	somaxconn := l.sysctl(tcpq.Somaxconn)
	if !l.snapshot.Kernel.Has(tcpq.LimitOf16Bits) || somaxconn <= math.MaxUint16 || !l.lost() {
		return nil
	}
	return &Finding{
		Why: fmt.Sprintf("Linux %s keeps a limit in 16 bits, and net.core.somaxconn is %d: what the program asked for beyond 65535 was cut to %d.",
			l.snapshot.Kernel, somaxconn, l.l.Accept.Max) + l.shared(),
		Evidence: append(l.queueEvidence(), l.sysctlEvidence(tcpq.Somaxconn)),
		Changes:  []Change{{tcpq.Somaxconn, somaxconn, math.MaxUint16, false}},
		Hints:    l.longerHints(math.MaxUint16),
	}
}

func zero(l *subject) *Finding {
	if l.l.Accept.Max > 0 || !l.lost() {
		return nil
	}
	f := &Finding{Evidence: l.queueEvidence()}
	f.Why = "The program asked for a backlog of 0"
	if l.sysctl(tcpq.Somaxconn) == 0 {
		f.Why = "net.core.somaxconn is 0 here, so whatever a program asks for, its limit is 0"
		f.Evidence = append(f.Evidence, l.sysctlEvidence(tcpq.Somaxconn))
	}
	if l.seen.Causes.SynFull > 0 {
		f.Why += ". This kernel calls an empty SYN queue of limit 0 full, and without syncookies refuses every SYN."
		f.Evidence = append(f.Evidence, l.sysctlEvidence(tcpq.TCPSyncookies))
		f.Changes = l.cookiesOn()
	} else {
		f.Why += ": one connection may wait, and the next is refused."
	}
	f.Why += l.shared()
	l.lengthen(f, l.recommended())
	return f
}

func zombies(l *subject) *Finding {
	if !l.overflowed() {
		return nil
	}
	refused := l.cookieAcksRefused()
	if refused == 0 {
		return nil
	}
	f := &Finding{Evidence: append(l.queueEvidence(), l.movedEvidence(tcpq.SyncookiesRecv), l.movedEvidence(tcpq.PassiveOpens))}
	f.Why = fmt.Sprintf("At least %s with a valid cookie met a full accept queue. Those clients believe they are connected; unless they speak first they hang until their own timeout.",
		plural(refused, "final ACK", "final ACKs")) + l.shared()
	l.lengthen(f, l.recommended())
	return f
}

// cookieAcksRefused returns how many final ACKs with a cookie a full accept queue
// refused at least, 0 when most of what it refused were SYNs: those will be tried
// again.
func (l *subject) cookieAcksRefused() (least uint64) {
	for _, s := range l.slots { // a cookie that came back and opened no connection was refused
		recv, opened := s.Counters.Value(tcpq.SyncookiesRecv), s.Counters.Value(tcpq.PassiveOpens)
		least += recv - min(recv, opened)
	}
	overflows := l.seen.Causes.AcceptFull
	chosen, sent := l.moved.Value(tcpq.TCPReqQFullDoCookies), l.moved.Value(tcpq.SyncookiesSent)
	syns := chosen - min(chosen, sent) // refused after a cookie was chosen for them
	most := min(l.moved.Value(tcpq.SyncookiesRecv), overflows-min(overflows, syns))
	if most*2 < overflows {
		return 0
	}
	return min(least, most)
}

func overflow(l *subject) *Finding {
	if l.seen.Slots == 0 && l.l.Accept.Full() {
		f := &Finding{Evidence: l.queueEvidence()}
		f.Why = fmt.Sprintf("%s at this instant, and the limit is %d: the next is refused. Whether that is a burst or a program that is too slow takes a window (--for 10s).",
			plural(uint64(l.l.Accept.Len), "connection waits", "connections wait"), l.l.Accept.Max)
		return f
	}
	if !l.overflowed() {
		return nil
	}
	f := &Finding{Evidence: append(l.queueEvidence(), l.movedEvidence(tcpq.PassiveOpens))}
	f.Why = fmt.Sprintf("Connections came faster than they were accepted, and did not fit: %s refused, retries included. ", l.refusedText()) + l.courseText() + l.shared()
	l.lengthen(f, l.recommended())
	return f
}

// someOverflow tells of packets that some listener of the namespace lost, when
// nothing says which.
func someOverflow(s *scene) *Finding {
	refused := s.moved.Value(tcpq.ListenOverflows)
	if refused == 0 || len(s.suspects()) > 0 || s.goneLost() {
		return nil
	}
	f := &Finding{Evidence: []Evidence{s.movedEvidence(tcpq.ListenOverflows)}}
	f.Why = fmt.Sprintf("%s refused because some accept queue of this namespace was full. %s",
		plural(refused, "packet was", "packets were"), s.discardersText())
	f.Hints = []Hint{{Setting: "watch longer", Example: fmt.Sprintf("qtune inspect --netns %d --for 30s", s.ns.ID.Inode), TakesEffect: Now, Verified: true}}
	return f
}

func nearLimit(l *subject) *Finding {
	if l.lost() || l.timesNear() < 2 {
		return nil
	}
	f := &Finding{Evidence: l.queueEvidence()}
	f.Why = fmt.Sprintf("The queue was seen at four fifths of its limit or more %d times, at most at %d of %d. Nothing was refused.",
		l.timesNear(), l.seen.Peak, l.l.Accept.Max)
	l.lengthen(f, l.recommended())
	return f
}
