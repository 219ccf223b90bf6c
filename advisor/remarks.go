// SPDX-License-Identifier: Apache-2.0

//go:build linux

package advisor

import (
	"fmt"

	"github.com/qtune/qtune/tcpq"
)

// The codes that inform.
const (
	LimitAtSomaxconn    Code = "limit-at-somaxconn"
	LimitBelowSomaxconn Code = "limit-below-somaxconn"
	NamespaceAtDefaults Code = "namespace-at-defaults"
	SyncookiesSent      Code = "syncookies-sent"
	SyncookiesOff       Code = "syncookies-off"
	SyncookiesAlways    Code = "syncookies-always"
	AbortOnOverflow     Code = "abort-on-overflow"
	DeferredAccepts     Code = "deferred-accepts"
	PastLoss            Code = "past-loss"
)

var (
	tooShort   = []Code{AcceptQueueOverflow, AcceptQueueNearLimit, CookieZombies}
	acceptLoss = []Code{AcceptQueueOverflow, CookieZombies, ApplicationSlow, ApplicationStuck, ReuseportImbalance, BacklogZero}
	synTrouble = []Code{SynQueueFull, SynBacklogThreeQuarters, SynFloodSuspected, BacklogZero}
)

// remarks tell of settings that bear on what was found, and of the past.
var remarks = []check{
	{
		Page: Page{
			Code: LimitAtSomaxconn, Severity: Info, Title: "the limit is somaxconn",
			Means: "The listener's limit equals net.core.somaxconn of its namespace: the program probably asked for more and was cut down, " +
				"or reads the sysctl itself.",
			Confirm: "Send-Q of the listener in `ss -ltn` is what `sysctl net.core.somaxconn` says in its namespace.",
			Do:      "Raise net.core.somaxconn in that namespace first, then have the program listen again.",
			Avoid:   "The sysctl alone does not reach a listener that exists.",
		},
		beside:   tooShort,
		listener: atSomaxconn,
	},
	{
		Page: Page{
			Code: LimitBelowSomaxconn, Severity: Info, Title: "the limit is below somaxconn",
			Means: "The listener's limit is lower than net.core.somaxconn of its namespace: the program asked for this number, " +
				"or called listen(2) when the sysctl was lower.",
			Confirm: "Send-Q of the listener in `ss -ltn` is less than `sysctl net.core.somaxconn` in its namespace.",
			Do:      "Change the program's own setting; when it takes whatever somaxconn is, a restart is enough.",
			Avoid:   "Raising net.core.somaxconn further changes nothing.",
		},
		beside:   tooShort,
		listener: belowSomaxconn,
	},
	{
		Page: Page{
			Code: NamespaceAtDefaults, Severity: Info, Title: "somaxconn is the kernel's default",
			Means: "A new network namespace starts with the kernel's own values, not with those of the host or of whoever made it. " +
				"Here the default of net.core.somaxconn is what limits a listener.",
			Confirm: "`nsenter -t PID -n sysctl net.core.somaxconn` shows 4096 (128 before Linux 5.4), whatever the host has.",
			Do: "Set it in this namespace: securityContext.sysctls of the pod (an unsafe sysctl, which the kubelet must allow), " +
				"docker run --sysctl, or an init container.",
			Avoid: "Setting it on the host reaches host-network pods only.",
		},
		whole: atDefaults,
	},
	{
		Page: Page{
			Code: SyncookiesSent, Severity: Info, Title: "clients were answered by cookie",
			Means: "A SYN queue was full and syncookies stepped in: nothing was lost. Such connections lack window scaling and SACK " +
				"unless the client uses timestamps.",
			Confirm: "`nstat -az TcpExtSyncookiesSent TcpExtSyncookiesRecv`: both rise together.",
			Do:      "Nothing; when it happens often, a longer backlog of the listener gives the SYN queue more room.",
			Avoid:   "Do not turn syncookies off, and do not raise tcp_max_syn_backlog: it is not looked at while they are on.",
		},
		whole: cookiesSent,
	},
	{
		Page: Page{
			Code: SyncookiesOff, Severity: Info, Title: "syncookies are off",
			Means:   "net.ipv4.tcp_syncookies is 0 here: a full SYN queue refuses SYNs instead of answering by cookie.",
			Confirm: "`sysctl net.ipv4.tcp_syncookies` in the namespace.",
			Do:      "Set it to 1, the kernel's default. It works at once.",
			Avoid:   "2 answers every SYN by cookie, which costs all clients something.",
		},
		beside: synTrouble,
		whole:  cookiesOff,
	},
	{
		Page: Page{
			Code: SyncookiesAlways, Severity: Info, Title: "every SYN is answered by cookie",
			Means: "net.ipv4.tcp_syncookies is 2, meant for tests: every client loses what a cookie cannot carry, " +
				"and a final ACK that meets a full accept queue leaves its client hanging.",
			Confirm: "`sysctl net.ipv4.tcp_syncookies` in the namespace; TcpExtSyncookiesSent rises with every connection.",
			Do:      "Set it to 1: cookies then come only when the SYN queue is full.",
			Avoid:   "TCPReqQFullDoCookies counts every SYN in this mode: it is no alarm.",
		},
		whole: cookiesAlways,
	},
	{
		Page: Page{
			Code: AbortOnOverflow, Severity: Info, Title: "overflow is answered with a reset",
			Means: "net.ipv4.tcp_abort_on_overflow is 1: a final ACK that meets a full accept queue is answered with RST, " +
				"so a client that would have got in a second later sees an error. SYNs are refused in silence all the same.",
			Confirm: "`sysctl net.ipv4.tcp_abort_on_overflow`; TcpExtEmbryonicRsts rises with the overflows.",
			Do:      "Set it to 0 unless clients must fail fast, and cure the overflow.",
			Avoid:   "It is not a way to see overflows: the counters are.",
		},
		beside: acceptLoss,
		whole:  aborting,
	},
	{
		Page: Page{
			Code: DeferredAccepts, Severity: Info, Title: "connections are deferred until they send data",
			Means: "A listener uses TCP_DEFER_ACCEPT: a bare ACK is ignored and the peer stays in the SYN queue until it sends data. " +
				"Each such ACK counts as a discarded packet, which is no loss. Silent clients do fill the SYN queue.",
			Confirm: "`nstat -az TcpExtTCPDeferAcceptDrop` rises.",
			Do:      "Nothing, unless the SYN queue is full: then turn deferring off (nginx: `deferred` of listen; Apache: AcceptFilter).",
			Avoid:   "Do not read the listener's drops as lost connections.",
		},
		whole: deferred,
	},
	{
		Page: Page{
			Code: PastLoss, Severity: Info, Title: "packets were refused in the past",
			Means: "The counters since the start show refused packets, and this listener discarded some since it was made; " +
				"nothing moved while qtune watched.",
			Confirm: "`ss -ltnm` shows d of skmem; `nstat -az TcpExtListenDrops` stands still.",
			Do:      "Watch when there is load: qtune inspect --for 10m, or the agent.",
			Avoid:   "Do not tune for a number that may be weeks old: part of it may be scans and health checks.",
		},
		listener: past,
	},
}

func atSomaxconn(l *subject) *Finding {
	somaxconn := l.sysctl(tcpq.Somaxconn)
	if int64(l.l.Accept.Max) != somaxconn {
		return nil
	}
	f := &Finding{Evidence: []Evidence{l.limitEvidence(), l.sysctlEvidence(tcpq.Somaxconn)}}
	f.Why = fmt.Sprintf("The limit, %d, is net.core.somaxconn of the namespace: it probably cut down what the program asked for.", somaxconn)
	return f
}

func belowSomaxconn(l *subject) *Finding {
	somaxconn := l.sysctl(tcpq.Somaxconn)
	if int64(l.l.Accept.Max) >= somaxconn {
		return nil
	}
	f := &Finding{Evidence: []Evidence{l.limitEvidence(), l.sysctlEvidence(tcpq.Somaxconn)}}
	f.Why = fmt.Sprintf("The limit is %d and net.core.somaxconn %d. ", l.l.Accept.Max, somaxconn)
	switch p := l.program(); {
	case p == nil:
		f.Why += "The program asked for that, or listened when the sysctl was lower; the kernel does not keep which."
	case p.takesAll():
		f.Why += fmt.Sprintf("%s asks for as much as it may, so the sysctl was probably lower when it called listen(2): listening again is enough.", p.Name)
	case p.Asks.Backlog > 0 && p.Asks.Backlog == int(l.l.Accept.Max):
		f.Why += fmt.Sprintf("%d is what %s asks for unless it is configured.", p.Asks.Backlog, p.Name)
	default:
		f.Why += "The program probably asked for that."
	}
	return f
}

func atDefaults(s *scene) *Finding {
	somaxconn := s.sysctl(tcpq.Somaxconn)
	if somaxconn != tcpq.DefaultSomaxconn(s.snapshot.Kernel) {
		return nil
	}
	for i := range s.subjects {
		l := &s.subjects[i]
		if int64(l.l.Accept.Max) == somaxconn && (l.overflowed() && !l.standing() || !l.lost() && l.timesNear() >= 2 && !l.standing()) {
			return &Finding{
				Why:      fmt.Sprintf("net.core.somaxconn is %d here, what every new namespace starts with, and it limits %s.", somaxconn, l.l.Name()),
				Evidence: []Evidence{s.sysctlEvidence(tcpq.Somaxconn)},
			}
		}
	}
	return nil
}

func cookiesSent(s *scene) *Finding {
	sent := s.moved.Value(tcpq.SyncookiesSent)
	if sent == 0 || s.sysctl(tcpq.TCPSyncookies) == 2 || s.cookiesUnanswered() > 0 {
		return nil
	}
	return &Finding{
		Why:      fmt.Sprintf("A SYN queue was full: %s by cookie, and %d came back.", plural(sent, "SYN was answered", "SYNs were answered"), s.moved.Value(tcpq.SyncookiesRecv)),
		Evidence: []Evidence{s.movedEvidence(tcpq.SyncookiesSent), s.movedEvidence(tcpq.SyncookiesRecv)},
	}
}

func cookiesOff(s *scene) *Finding {
	if s.sysctl(tcpq.TCPSyncookies) != 0 {
		return nil
	}
	return &Finding{
		Why:      "net.ipv4.tcp_syncookies is 0: what does not fit into a SYN queue is refused.",
		Evidence: []Evidence{s.sysctlEvidence(tcpq.TCPSyncookies)},
		Changes:  s.cookiesOn(),
	}
}

func cookiesAlways(s *scene) *Finding {
	if s.sysctl(tcpq.TCPSyncookies) != 2 || s.moved.Value(tcpq.SyncookiesSent) == 0 {
		return nil
	}
	return &Finding{
		Why:      fmt.Sprintf("net.ipv4.tcp_syncookies is 2: all %d SYNs were answered by cookie, needed or not.", s.moved.Value(tcpq.SyncookiesSent)),
		Evidence: []Evidence{s.sysctlEvidence(tcpq.TCPSyncookies), s.movedEvidence(tcpq.SyncookiesSent)},
		Changes:  []Change{{tcpq.TCPSyncookies, 2, 1, true}},
	}
}

func aborting(s *scene) *Finding {
	abort := s.sysctl(tcpq.TCPAbortOnOverflow) // up to 255, and each aborts
	if abort <= 0 || s.moved.Value(tcpq.ListenOverflows) == 0 {
		return nil
	}
	return &Finding{
		Why:      fmt.Sprintf("net.ipv4.tcp_abort_on_overflow is %d: a final ACK that meets a full accept queue is answered with a reset.", abort),
		Evidence: []Evidence{s.sysctlEvidence(tcpq.TCPAbortOnOverflow), s.movedEvidence(tcpq.EmbryonicRsts)},
		Changes:  []Change{{tcpq.TCPAbortOnOverflow, abort, 0, true}},
	}
}

func deferred(s *scene) *Finding {
	n := s.moved.Value(tcpq.TCPDeferAcceptDrop)
	if n == 0 {
		return nil
	}
	return &Finding{
		Why:      fmt.Sprintf("%s ignored because a listener waits for data (TCP_DEFER_ACCEPT). That is no loss.", plural(n, "bare ACK was", "bare ACKs were")),
		Evidence: []Evidence{s.movedEvidence(tcpq.TCPDeferAcceptDrop)},
	}
}

func past(l *subject) *Finding {
	drops, known := l.ns.Counters.Get(tcpq.ListenDrops)
	if !known || !l.l.DiscardsKnown || drops == 0 || l.l.Discards == 0 || l.seen.Discards > 0 || l.lost() {
		return nil
	}
	f := &Finding{Evidence: []Evidence{
		{"packets discarded since the socket was made", float64(l.l.Discards), "packets", "sock_diag sk_drops"},
		{"packets refused in the namespace since it was made", float64(drops), "packets", "netstat ListenDrops"},
	}}
	f.Why = fmt.Sprintf("At most %s refused", plural(min(drops, uint64(l.l.Discards)), "packet was", "packets were"))
	if o := l.l.Owner; o != nil && !o.Started.IsZero() {
		f.Why += fmt.Sprintf(" since the program was started, %s ago", age(l.snapshot.Time.Sub(o.Started)))
	} else {
		f.Why += " since the socket was made"
	}
	f.Why += "; scans and health checks may be among them."
	if l.seen.Slots > 0 {
		f.Why += fmt.Sprintf(" None in %s.", span(l.seconds))
	}
	return f
}
