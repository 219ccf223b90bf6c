// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tcpq

// A SynBound says what sets the limit of a SYN queue.
type SynBound string

// What sets the limit of a SYN queue.
const (
	SynBoundListener      SynBound = "listener-limit"      // the limit taken inside listen(2)
	SynBoundMaxSynBacklog SynBound = "tcp_max_syn_backlog" // the 3/4 rule, only without syncookies
	SynBoundSyncookies    SynBound = "tcp_syncookies"      // 2: nothing is ever stored
)

// SynQueueMax returns how many half-open peers a listener with this limit holds
// (tcp_conn_request, Linux 4.4 and later). Peers with a cached round-trip time
// may exceed the 3/4 rule.
//
// With syncookies tcp_max_syn_backlog is not looked at; without them a SYN gets
// in while maxSynBacklog-len >= maxSynBacklog>>2, in signed arithmetic.
func SynQueueMax(v Version, limit uint32, maxSynBacklog, syncookies int64) (uint32, SynBound) {
	if syncookies == 2 {
		return 0, SynBoundSyncookies
	}
	full := uint64(limit)
	if synFullIsAbove(v) {
		full++
	}
	if syncookies == 0 {
		quarters := max(0, maxSynBacklog-(maxSynBacklog>>2)+1)
		if uint64(quarters) < full {
			return uint32(quarters), SynBoundMaxSynBacklog
		}
	}
	return uint32(min(full, 1<<32-1)), SynBoundListener
}

// synFullIsAbove reports whether the kernel calls a SYN queue full at len > limit
// ("tcp/dccp: allow a connection when sk_max_ack_backlog is zero") or already at
// len >= limit.
func synFullIsAbove(v Version) bool {
	patch, stable := synFullAboveSince[[2]int{v.Major, v.Minor}]
	return v.AtLeast(6, 13) || stable && v.Patch >= patch
}

// synFullAboveSince are the stable releases that took that change from 6.13. Of
// 5.15 only the announcement was seen; the others were measured or are in the
// changelog of a distribution.
var synFullAboveSince = map[[2]int]int{{6, 12}: 10, {6, 6}: 72, {6, 1}: 125, {5, 15}: 177, {5, 10}: 234}

// A LimitBound says who set a listener's limit.
type LimitBound string

// Who set a listener's limit. The kernel does not keep the backlog that was
// asked for, so each is a probability.
const (
	BoundSomaxconn   LimitBound = "somaxconn"   // limit equals somaxconn now: probably clamped
	BoundApplication LimitBound = "application" // limit is below: it asked for this
	BoundUnknown     LimitBound = "unknown"     // limit is above: somaxconn was lowered since
)

// BoundBy says who set limit, given the namespace's somaxconn now.
func BoundBy(limit uint32, s *Sysctls) LimitBound {
	somaxconn, ok := s.Get(Somaxconn)
	switch {
	case !ok:
		return BoundUnknown
	case int64(limit) == somaxconn:
		return BoundSomaxconn
	case int64(limit) < somaxconn:
		return BoundApplication
	}
	return BoundUnknown
}
