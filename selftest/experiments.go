// SPDX-License-Identifier: Apache-2.0

//go:build linux

package selftest

import "github.com/qtune/qtune/tcpq"

// experiments is the table; one row tries one rule. In the order of tcpq's rules,
// then those that tcpq has no row for.
var experiments = []experiment{
	{rule: tcpq.BacklogIsClamped, run: tryClamp, example: "listen(1000), somaxconn 128"},
	{rule: tcpq.LimitOf16Bits, run: try16Bits},
	{rule: tcpq.AcceptFullAboveLimit, run: tryAcceptCapacity, example: "backlog 128, somaxconn 4096, syncookies 1"},
	{rule: tcpq.AcceptFullSparesYoung, notTried: "only kernels that qtune does not run on do so"},
	{rule: tcpq.RelistenSetsLimit, run: tryRelisten, example: "listen(100), somaxconn 50: somaxconn 200"},
	{rule: tcpq.SynTableOfListen, notTried: "only kernels that qtune does not run on do so"},
	{rule: tcpq.SynLimitIsListeners, run: trySynLimit},
	{rule: tcpq.SynFullAboveLimit, run: trySynFull, example: "limit 8, tcp_max_syn_backlog 4096, syncookies 0, 13 SYNs"},
	{rule: tcpq.SyncookiesBeforeDrop, run: trySyncookies},
	{rule: tcpq.SyncookiesAlwaysMode, run: tryAlwaysCookies},
	{rule: tcpq.ThreeQuarters, run: tryThreeQuarters, example: "limit 500, tcp_max_syn_backlog 128, syncookies 0, 600 SYNs"},
	{rule: tcpq.ProvenPeersPass, run: tryProvenPeers, example: "tcp_max_syn_backlog 16: clients met before"},
	{rule: tcpq.SynEntriesPruned, notTried: "it takes more than a minute to see"},
	{rule: tcpq.AcceptFullDropsSyn, run: tryFullAtSyn},
	{rule: tcpq.AcceptFullKeepsHalfOpen, run: tryFullAtAck},
	{rule: tcpq.CookieAckDropped, run: tryFullAtCookieAck},
	{rule: tcpq.DropCountsTwice, run: tryDropCounts},
	{rule: tcpq.NewNamespaceDefaults, run: tryDefaults},
	{rule: tcpq.SomaxconnDefault4096, run: trySomaxconnDefault},
	{rule: tcpq.MaxSynBacklogByMemory, run: tryMaxSynBacklogDefault},
	{rule: tcpq.ReuseportOwnQueues, run: tryReusePort, example: "one of 4 members stuck: 200 more SYNs"},
	{rule: tcpq.MPTCPOneQueue, run: tryMPTCP},
	{rule: tcpq.FastOpenOwnLimit, run: tryFastOpen},

	{own: &Rule{
		ID:    "harmless-packets",
		Says:  "Packets that lose no connection raise a listener's own count of drops, and ListenDrops not: health checks, scans, stray and repeated segments.",
		Range: "all",
	}, run: tryHarmless},
	{own: &Rule{
		ID:    "sysctls-are-live",
		Says:  "A running listener feels tcp_max_syn_backlog and tcp_syncookies at once; what is half-open stays.",
		Range: "all",
	}, run: tryLiveSysctls, example: "tcp_max_syn_backlog 200"},
	{own: &Rule{
		ID:    "resize-from-outside",
		Says:  "Another process can set the limit of a running listener (pidfd_getfd and listen), up to somaxconn of the listener's namespace, whatever its own is.",
		Range: "since 5.6",
	}, run: tryResize, example: "somaxconn 6000 there, listen(5000)"},
	{own: &Rule{
		ID:    "reuseport-migrate",
		Says:  "The connections waiting at a closed reuse-port member are reset; with tcp_migrate_req 1 they and half-open peers move to another member.",
		Range: "since 5.14",
	}, run: tryMigrate},
}
