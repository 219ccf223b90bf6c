// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tcpq

// A Queue is one of a listener's two queues at one instant.
type Queue struct {
	Len uint32 // connections waiting
	Max uint32 // the limit the kernel compares Len with
}

// Full reports whether the kernel turns the next connection away from an accept
// queue. It compares Len > Max (sk_acceptq_is_full), so the queue holds Max+1.
func (q Queue) Full() bool { return q.Len > q.Max }

// Capacity returns how many connections an accept queue holds. CPUs race past
// the test, so a Len of a few more is not an error.
func (q Queue) Capacity() uint64 { return uint64(q.Max) + 1 }

// A SynQueue is a listener's SYN queue. A reuse-port group has one between its
// members, because the kernel does not say whose a half-open peer is.
type SynQueue struct {
	Queue

	Counted  bool     // Len was counted; otherwise it is unknown, not 0
	Stale    uint32   // of them, those that have not answered for a second
	MaxKnown bool     // Max could be computed
	BoundBy  SynBound // what sets Max
	Members  int      // listeners that share it, 1 for one alone
}

// AtLimit reports whether the queue was counted and has reached its limit. One in
// which nothing is ever stored, because every SYN gets a cookie, has none.
func (q SynQueue) AtLimit() bool {
	return q.Counted && q.MaxKnown && q.BoundBy != SynBoundSyncookies && q.Len >= q.Max
}
