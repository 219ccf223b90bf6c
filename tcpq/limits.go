// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tcpq

import (
	"math"
	"math/bits"
)

// A SynBound says what sets the limit of a SYN queue.
type SynBound string

// What sets the limit of a SYN queue.
const (
	SynBoundListener      SynBound = "listener-limit"      // the limit taken inside listen(2)
	SynBoundMaxSynBacklog SynBound = "tcp_max_syn_backlog" // the 3/4 rule, only without syncookies
	SynBoundSyncookies    SynBound = "tcp_syncookies"      // 2: nothing is ever stored
)

// AcceptLimit returns the limit that listen(2) gives a listener: the backlog, cut
// down to somaxconn. A negative backlog is a huge one.
func AcceptLimit(v Version, backlog int32, somaxconn int64) uint32 {
	limit := uint32(min(max(somaxconn, 0), math.MaxInt32))
	if asked := uint32(backlog); asked < limit {
		limit = asked
	}
	if v.Has(LimitOf16Bits) {
		limit &= math.MaxUint16
	}
	return limit
}

// SynQueueMax returns how many half-open peers a listener with this limit holds.
// Peers with a cached round-trip time may exceed the rule of the three quarters.
//
// With syncookies tcp_max_syn_backlog is not looked at; without them a SYN gets
// in while maxSynBacklog-len >= maxSynBacklog>>2, in signed arithmetic.
func SynQueueMax(v Version, limit uint32, maxSynBacklog, syncookies int64) (uint32, SynBound) {
	if syncookies == 2 && v.Has(SyncookiesAlwaysMode) {
		return 0, SynBoundSyncookies
	}
	full := uint64(limit)
	by := SynBoundListener
	switch {
	case v.Has(SynTableOfListen):
		full, by = synTable(limit, maxSynBacklog)
	case v.Has(SynFullAboveLimit):
		full++
	}
	if syncookies == 0 {
		quarters := max(0, maxSynBacklog-(maxSynBacklog>>2)+1)
		if uint64(quarters) < full {
			return uint32(quarters), SynBoundMaxSynBacklog
		}
	}
	return uint32(min(full, math.MaxUint32)), by
}

// synTable returns the size of the table that listen(2) made up to Linux 4.3
// (reqsk_queue_alloc): the next power of two above the smaller of both numbers.
func synTable(limit uint32, maxSynBacklog int64) (size uint64, by SynBound) {
	n := uint64(limit)
	by = SynBoundListener
	if m := uint64(uint32(maxSynBacklog)); m < n {
		n, by = m, SynBoundMaxSynBacklog
	}
	n = max(n, 8)
	return 1 << bits.Len64(n), by
}

// DefaultSomaxconn returns net.core.somaxconn of a new namespace.
func DefaultSomaxconn(v Version) int64 {
	if v.Has(SomaxconnDefault4096) {
		return 4096
	}
	return 128
}

// A LimitBound says who set a listener's limit.
type LimitBound string

// Who set a listener's limit. The kernel does not keep the backlog that was
// asked for, so each is a probability.
const (
	BoundSomaxconn   LimitBound = "somaxconn"   // limit equals somaxconn now: probably clamped
	BoundApplication LimitBound = "application" // limit is below: it asked for this
	BoundUnknown     LimitBound = "unknown"     // limit is above: somaxconn was lowered since

	// It was clamped to what somaxconn was when listen(2) was called: only who
	// knows the program can tell.
	BoundSomaxconnAtListen LimitBound = "somaxconn-at-listen"
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
