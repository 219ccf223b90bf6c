// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tcpq

import "slices"

import "fmt"

// A Rule is something the kernel does with a listen queue, in the versions that
// do it: the index of its row in the table.
type Rule uint8

// The rules, in the order of the table.
const (
	BacklogIsClamped Rule = iota
	LimitOf16Bits
	AcceptFullAboveLimit
	AcceptFullSparesYoung
	RelistenSetsLimit
	SynTableOfListen
	SynLimitIsListeners
	SynFullAboveLimit
	SyncookiesBeforeDrop
	SyncookiesAlwaysMode
	ThreeQuarters
	ProvenPeersPass
	SynEntriesPruned
	AcceptFullDropsSyn
	AcceptFullKeepsHalfOpen
	CookieAckDropped
	DropCountsTwice
	NewNamespaceDefaults
	SomaxconnDefault4096
	MaxSynBacklogByMemory
	ReuseportOwnQueues
	MPTCPOneQueue
	FastOpenOwnLimit

	NumRules = iota
)

// A Proof says how a rule is known.
type Proof string

// How a rule is known.
const (
	Measured Proof = "measured" // tried on running kernels
	Read     Proof = "read"     // in the kernel's source
	Known    Proof = "known"    // general knowledge, not verified
)

// A RuleInfo is a row of the rule table.
type RuleInfo struct {
	ID   string // stable, for documents and tests
	Says string // one sentence

	Since, Until [2]int         // first release that does so, first that no longer does; zero for always and never
	Stable       map[[2]int]int // earlier branches that took it, from this patch level on
	Vendors      []string       // distributions whose kernel does so whatever its number says
	Proof        Proof
	Where        string // the kernels it was tried on, the function or the change that decides
}

// rules is the table; one row is one rule.
var rules = [NumRules]RuleInfo{
	BacklogIsClamped: {
		ID: "backlog-clamped", Says: "listen(2) takes the smaller of backlog and net.core.somaxconn of the socket's own namespace, compared without sign: a negative backlog becomes somaxconn.",
		Proof: Measured, Where: "5.10, 6.1, 6.18; __sys_listen",
	},
	LimitOf16Bits: {
		ID: "limit-16-bits", Says: "The limit is kept in 16 bits: of what is asked for beyond 65535 only the lower 16 bits stay.",
		Until: [2]int{4, 1}, Proof: Read, Where: "sk_max_ack_backlog in 3.10 and 4.4; the border is known",
	},
	AcceptFullAboveLimit: {
		ID: "accept-full-above-limit", Says: "An accept queue is full when it is longer than its limit, so it holds one more.",
		Proof: Measured, Where: "5.10 to 7.3; sk_acceptq_is_full",
	},
	AcceptFullSparesYoung: {
		ID: "accept-full-spares-young", Says: "A full accept queue refuses a SYN only while more than one half-open peer is young, so some clients see a connection that does not exist.",
		Until: [2]int{4, 10}, Vendors: []string{"el7"}, Proof: Read, Where: "tcp_conn_request in 3.10 and el7; the releases of 4.4 and 4.9 have lost it since",
	},
	RelistenSetsLimit: {
		ID: "relisten-sets-limit", Says: "listen(2) on a listener sets its limit and touches nothing that is queued; no sysctl reaches a listener otherwise.",
		Proof: Measured, Where: "5.10, 6.1, 6.18; inet_csk_listen_start",
	},
	SynTableOfListen: {
		ID: "syn-table-of-listen", Says: "listen(2) sizes the SYN queue once: the smaller of limit and tcp_max_syn_backlog, at least 8, then the next power of two above it.",
		Until: [2]int{4, 4}, Proof: Read, Where: "reqsk_queue_alloc in 3.10 and el7; the border is known",
	},
	SynLimitIsListeners: {
		ID: "syn-limit-is-listeners", Says: "The listener's limit bounds the SYN queue as well; tcp_max_syn_backlog is not looked at while syncookies are on.",
		Since: [2]int{4, 4}, Proof: Measured, Where: "5.10, 6.1, 6.18; inet_csk_reqsk_queue_is_full",
	},
	SynFullAboveLimit: {
		ID: "syn-full-above-limit", Says: "A SYN queue is full when it is longer than its limit, so it holds one more; before, it was full at its limit, and one of limit 0 was full when empty.",
		Since: [2]int{6, 13}, Stable: map[[2]int]int{{6, 12}: 10, {6, 6}: 72, {6, 1}: 125, {5, 15}: 177, {5, 10}: 234},
		Proof: Measured, Where: "5.10.223 (not), 5.10.262, 6.1, 6.12, 6.18, 7.3; 5.15 and 6.6 read in changelogs; tcp/dccp: allow a connection when sk_max_ack_backlog is zero",
	},
	SyncookiesBeforeDrop: {
		ID: "syncookies-before-drop", Says: "With tcp_syncookies 1 a SYN that meets a full SYN queue is answered by cookie and not stored; with 0 it is refused (TCPReqQFullDrop).",
		Proof: Measured, Where: "5.10, 6.1, 6.18; tcp_conn_request",
	},
	SyncookiesAlwaysMode: {
		ID: "syncookies-always", Says: "With tcp_syncookies 2 every SYN is answered by cookie, and nothing is half-open.",
		Since: [2]int{3, 12}, Vendors: []string{"el7"}, Proof: Measured, Where: "5.10, 6.1, 6.18; the border is known",
	},
	ThreeQuarters: {
		ID: "three-quarters", Says: "Without syncookies a SYN of a peer not met before is refused once less than a quarter of tcp_max_syn_backlog is left: such peers reach M - M/4 + 1.",
		Proof: Measured, Where: "5.10, 6.1, 6.18; tcp_conn_request",
	},
	ProvenPeersPass: {
		ID: "proven-peers-pass", Says: "A peer whose round-trip time is cached (tcp_metrics) passes the rule of the three quarters.",
		Since: [2]int{4, 12}, Proof: Measured, Where: "6.18; tcp_peer_is_proven; the border is known",
	},
	SynEntriesPruned: {
		ID: "syn-entries-pruned", Says: "Half-open peers last for tcp_synack_retries doublings of one second (63 s for 5); while the queue is over half full, old ones go after 7 s.",
		Since: [2]int{4, 4}, Proof: Measured, Where: "6.18; reqsk_timer_handler",
	},
	AcceptFullDropsSyn: {
		ID: "accept-full-drops-syn", Says: "A SYN that meets a full accept queue is refused in silence, whatever tcp_abort_on_overflow and tcp_syncookies say.",
		Since: [2]int{4, 10}, Proof: Measured, Where: "5.10, 6.1, 6.18; tcp_conn_request",
	},
	AcceptFullKeepsHalfOpen: {
		ID: "accept-full-keeps-half-open", Says: "A final ACK that meets a full accept queue is ignored and its peer stays half-open; with tcp_abort_on_overflow 1 it is answered with RST.",
		Proof: Measured, Where: "6.18; tcp_check_req",
	},
	CookieAckDropped: {
		ID: "cookie-ack-dropped", Says: "A final ACK with a cookie that meets a full accept queue is dropped, and nothing is ever repeated; tcp_abort_on_overflow is not looked at.",
		Proof: Measured, Where: "6.18; cookie_v4_check",
	},
	DropCountsTwice: {
		ID: "drop-counts-twice", Says: "A final ACK refused by a full accept queue counts twice in the listener's own count of drops, once in ListenDrops.",
		Since: [2]int{4, 7}, Proof: Measured, Where: "6.18; tcp_listendrop; the border is known",
	},
	NewNamespaceDefaults: {
		ID: "new-namespace-defaults", Says: "A new network namespace starts with the kernel's values of these sysctls, not with its creator's or the host's.",
		Proof: Measured, Where: "5.10 to 7.3; net_defaults_init_net, tcp_sk_init",
	},
	SomaxconnDefault4096: {
		ID: "somaxconn-4096", Says: "net.core.somaxconn starts at 4096; before, at 128.",
		Since: [2]int{5, 4}, Proof: Measured, Where: "5.10 to 7.3; 128 read in 4.19; SOMAXCONN",
	},
	MaxSynBacklogByMemory: {
		ID: "max-syn-backlog-by-memory", Says: "tcp_max_syn_backlog starts at the size of the table of connections divided by 128 (before: by 256), at least 128.",
		Since: [2]int{5, 4}, Proof: Measured, Where: "5.10 to 7.3; tcp_sk_init",
	},
	ReuseportOwnQueues: {
		ID: "reuseport-own-queues", Says: "Every member of a reuse-port group has queues of its own, and a full one refuses its share although others are empty.",
		Proof: Measured, Where: "6.18; reuseport_select_sock",
	},
	MPTCPOneQueue: {
		ID: "mptcp-one-queue", Says: "An MPTCP listener has one accept queue for plain TCP and MPTCP clients, that of its TCP subflow.",
		Since: [2]int{5, 6}, Proof: Measured, Where: "6.18; the border is known",
	},
	FastOpenOwnLimit: {
		ID: "fastopen-own-limit", Says: "Fast Open has a limit of its own (TCP_FASTOPEN), which listening again does not change; beyond it clients fall back to a normal handshake.",
		Proof: Measured, Where: "6.18; tcp_fastopen_queue_check",
	},
}

// Info returns the row of r.
func (r Rule) Info() RuleInfo { return rules[r] }

// String returns the stable name.
func (r Rule) String() string { return rules[r].ID }

// Has reports whether kernel v does what the rule says.
func (v Version) Has(r Rule) bool {
	if r == SynFullAboveLimit && v.SynFull != "" {
		return v.SynFull == SynFullAbove
	}
	has, _ := v.decides(r)
	return has
}

// decides reports whether v does what the rule says, and whether its number is
// enough to know: distributions that keep a number take changes all the same.
func (v Version) decides(r Rule) (has, sure bool) {
	info := &rules[r]
	if slices.Contains(info.Vendors, v.Vendor) {
		return true, true
	}
	if info.Until != [2]int{} && v.AtLeast(info.Until[0], info.Until[1]) {
		return false, true
	}
	if info.Since == [2]int{} || v.AtLeast(info.Since[0], info.Since[1]) {
		return true, true
	}
	if len(info.Stable) == 0 {
		return false, true
	}
	patch, taken := info.Stable[[2]int{v.Major, v.Minor}]
	switch {
	case !v.AtLeast(4, 4): // the queue had another form
		return false, true
	case v.Patches == PatchHidden, !taken: // some branch may have taken it unseen
		return false, false
	case v.Patches == PatchAbsent: // a whole series was named: its newest release
		return true, false
	}
	return v.Patch >= patch, true
}

// Undecided reports whether only a trial tells which test of a full SYN queue
// this kernel has.
func (v Version) Undecided() bool {
	_, sure := v.decides(SynFullAboveLimit)
	return !sure && v.SynFull == ""
}

// Range says in words which kernels follow the rule.
func (i RuleInfo) Range() string {
	switch {
	case i.Since != [2]int{} && i.Until != [2]int{}:
		return fmt.Sprintf("%d.%d to before %d.%d", i.Since[0], i.Since[1], i.Until[0], i.Until[1])
	case i.Since != [2]int{}:
		return fmt.Sprintf("since %d.%d", i.Since[0], i.Since[1])
	case i.Until != [2]int{}:
		return fmt.Sprintf("before %d.%d", i.Until[0], i.Until[1])
	}
	return "all"
}
