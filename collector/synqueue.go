// SPDX-License-Identifier: Apache-2.0

//go:build linux

package collector

import (
	"errors"
	"math"
	"net/netip"
	"time"

	"github.com/qtune/qtune/collector/inetdiag"
	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/tcpq"
)

// synBudget is the time that counting SYN queues may take in all under
// [SynAuto]: one walk reads the established table of the whole host.
const synBudget = 500 * time.Millisecond

// synGap is how many times as long as it takes a count has to be paid for: who
// reads the host for days counts for a two-hundredth of the time.
const synGap = 200

// regainSynBudget gives back what time has paid for.
func (c *Collector) regainSynBudget(now time.Time) {
	if !c.synSince.IsZero() {
		c.synSpent = max(0, c.synSpent-now.Sub(c.synSince)/synGap)
	}
	c.synSince = now
}

// readSynQueues computes the limit of every SYN queue and counts the queues
// where the options and the counters ask for it.
func (p *pass) readSynQueues(n *tcpq.Namespace, in host.Inside) {
	queues := newSynQueues(n.Listeners)
	queues.setLimits(p.snapshot.Kernel, &n.Sysctls)
	cov := &p.snapshot.Coverage
	switch p.synWanted(n) {
	case synQuiet:
		if len(n.Listeners) > 0 {
			cov.SynQuiet++
		}
		return
	case synOverBudget:
		cov.SynOverBudget++
		return
	}
	started := time.Now()
	err := p.collector.queues.dumpSockets(in, host.SynRecvDump, 0, inetdiag.SynRecv)
	p.collector.synSpent += time.Since(started)
	if errors.Is(err, host.ErrAbsent) { // a recording without it
		cov.SynQuiet++
		return
	}
	if err != nil {
		p.fail(n, "synrecv", err)
		return
	}
	cov.SynWalked++
	n.SynWalked = true
	n.UnattributedSyn = queues.count(p.collector.queues.dump.Sockets)
}

// A synChoice says whether the SYN queues of a namespace are counted.
type synChoice int

const (
	synQuiet synChoice = iota
	synOverBudget
	synCount
)

func (p *pass) synWanted(n *tcpq.Namespace) synChoice {
	switch p.collector.opts.Syn {
	case SynNever:
		return synQuiet
	case SynAll:
		return synCount
	}
	was := p.before[n.ID]
	if was == nil || len(n.Listeners) == 0 || !was.SynWalked && !synMoved(n, was) {
		return synQuiet
	}
	budget := synBudget
	if !p.does(Owners) {
		budget /= 2 // the rest is for the last pass, which is shown
	}
	if p.collector.synSpent >= budget {
		return synOverBudget
	}
	return synCount
}

// synMoved reports whether something happened that a SYN queue may explain.
func synMoved(n, was *tcpq.Namespace) bool {
	moved := n.Counters.Since(&was.Counters)
	return moved.Value(tcpq.TCPReqQFullDrop) > 0 ||
		moved.Value(tcpq.TCPReqQFullDoCookies) > 0 ||
		moved.Value(tcpq.SyncookiesSent) > 0 ||
		moved.Value(tcpq.ListenDrops) > moved.Value(tcpq.ListenOverflows)
}

// A synKey is what the kernel finds a listener by.
type synKey struct {
	addr    netip.Addr
	port    uint16
	ifindex uint32
	v6only  bool
}

// synQueues are the SYN queues of one namespace. Listeners that share a key are
// a reuse-port group, and have one between them.
type synQueues struct {
	listeners []tcpq.Listener
	byKey     map[synKey][]int
}

func newSynQueues(listeners []tcpq.Listener) synQueues {
	q := synQueues{listeners: listeners, byKey: make(map[synKey][]int, len(listeners))}
	members := make([]int, len(listeners)) // one allocation for all the groups of one
	for i := range listeners {
		l := &listeners[i]
		key := synKey{l.Addr, l.Port, l.Ifindex, l.V6Only}
		members[i] = i
		if group, ok := q.byKey[key]; ok {
			q.byKey[key] = append(group, i)
		} else {
			q.byKey[key] = members[i : i+1 : i+1]
		}
	}
	return q
}

// setLimits computes what each queue can hold; a group's is the sum.
func (q synQueues) setLimits(v tcpq.Version, s *tcpq.Sysctls) {
	maxSyn, ok := s.Get(tcpq.TCPMaxSynBacklog)
	cookies, ok2 := s.Get(tcpq.TCPSyncookies)
	for _, group := range q.byKey {
		syn := tcpq.SynQueue{MaxKnown: ok && ok2, Members: len(group)}
		if syn.MaxKnown {
			var sum uint64
			for _, i := range group {
				limit, by := tcpq.SynQueueMax(v, q.listeners[i].Accept.Max, maxSyn, cookies)
				sum += uint64(limit)
				syn.BoundBy = by
			}
			syn.Max = uint32(min(sum, math.MaxUint32))
		}
		for _, i := range group {
			q.listeners[i].Syn = syn
		}
	}
}

// count attributes request sockets to the queues and returns how many belong to
// none.
func (q synQueues) count(requests []inetdiag.Socket) (unattributed uint32) {
	for i := range q.listeners {
		q.listeners[i].Syn.Counted = true
	}
	for i := range requests {
		r := &requests[i]
		// A Fast Open child is in state SYN_RECV, too, but in the accept
		// queue already.
		if r.State != inetdiag.SynRecv || r.Has(inetdiag.FullSocket) {
			continue
		}
		group := q.owner(r)
		if group == nil {
			unattributed++
		}
		for _, i := range group {
			q.listeners[i].Syn.Len++
			if r.Has(inetdiag.Silent) {
				q.listeners[i].Syn.Stale++
			}
		}
	}
	if unattributed > 0 {
		return q.placeUnattributed(unattributed)
	}
	return 0
}

// owner returns the listeners a request socket may belong to, by the kernel's
// order: the exact address before the wildcard, a device before none. A request
// has the listener's family, so an IPv4 peer of a dual-stack listener carries
// IPv6 addresses.
func (q synQueues) owner(r *inetdiag.Socket) []int {
	addr := r.LocalAddr()
	wildcard := netip.IPv6Unspecified()
	if addr.Is4() {
		wildcard = netip.IPv4Unspecified()
	}
	for _, at := range [...]struct {
		addr    netip.Addr
		ifindex uint32
	}{{addr, r.Ifindex}, {addr, 0}, {wildcard, r.Ifindex}, {wildcard, 0}} {
		dual := q.byKey[synKey{at.addr, r.Port, at.ifindex, false}]
		v6only := q.byKey[synKey{at.addr, r.Port, at.ifindex, true}]
		switch {
		case addr.Is4In6() || v6only == nil:
			if dual != nil {
				return dual
			}
		case dual == nil:
			return v6only
		default:
			return nil // both take IPv6 peers, and nothing says whose it is
		}
	}
	return nil
}

// placeUnattributed gives what matched no listener to the one transparent
// listener, whose peers have foreign addresses. Where that is not certain, no
// queue can be called empty.
func (q synQueues) placeUnattributed(n uint32) (left uint32) {
	proxy := -1
	for i := range q.listeners {
		if q.listeners[i].Transparent {
			if proxy >= 0 {
				proxy = -1
				break
			}
			proxy = i
		}
	}
	if proxy >= 0 {
		q.listeners[proxy].Syn.Len += n
		return 0
	}
	for i := range q.listeners {
		if q.listeners[i].Syn.Len == 0 {
			q.listeners[i].Syn.Counted = false
		}
	}
	return n
}
