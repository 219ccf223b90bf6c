// SPDX-License-Identifier: Apache-2.0

//go:build linux

package selftest

import (
	"fmt"
	"math"

	"github.com/qtune/qtune/tcpq"
)

// tryClamp compares the limit of a listener with its backlog and somaxconn.
func tryClamp(r *runner) {
	backlogs := []int32{1000, -1, 0, 1, 5, 128, 4096, 65535, math.MinInt32, math.MaxInt32}
	for _, somaxconn := range []int64{10, 0, 1, 50, 128, 4096, math.MaxInt32} {
		r.do("", func(t *trial) error {
			if err := t.set(tcpq.Somaxconn, somaxconn); err != nil {
				return err
			}
			for i, backlog := range backlogs {
				x, err := t.listen(spec{backlog: int(backlog), port: uint16(8080 + i)})
				if err != nil {
					return err
				}
				limit := tcpq.AcceptLimit(r.kernel, backlog, somaxconn)
				if err := t.check(fmt.Sprintf("listen(%d), somaxconn %d", backlog, somaxconn), limitOf(x).is(int64(limit))); err != nil {
					return err
				}
				x.close()
			}
			return nil
		})
	}
}

// try16Bits asks for a limit of more than 16 bits.
func try16Bits(r *runner) {
	const backlog, somaxconn = 65536 + 5, math.MaxInt32
	r.do(fmt.Sprintf("listen(%d)", backlog), func(t *trial) error {
		if r.kernel.Has(tcpq.LimitOf16Bits) {
			return untried("somaxconn ends at 65535 on this kernel")
		}
		if err := t.set(tcpq.Somaxconn, somaxconn); err != nil {
			return err
		}
		x, err := t.listen(spec{backlog: backlog})
		if err != nil {
			return err
		}
		return t.check("", limitOf(x).is(int64(tcpq.AcceptLimit(r.kernel, backlog, somaxconn))))
	})
}

// An acceptCase is a listener that more clients come to than it has room for.
type acceptCase struct {
	backlog    int32
	somaxconn  int64
	syncookies int64
}

// tryAcceptCapacity fills accept queues.
func tryAcceptCapacity(r *runner) {
	var cases []acceptCase
	for _, backlog := range []int32{4, 0, 1, 128} {
		for _, syncookies := range []int64{1, 0, 2} {
			cases = append(cases, acceptCase{backlog, 4096, syncookies})
		}
	}
	for _, backlog := range []int32{-1, 0, 1, 5, 128, 1000} {
		for _, somaxconn := range []int64{0, 1, 10, 50} {
			cases = append(cases, acceptCase{backlog, somaxconn, 1})
		}
	}
	for _, c := range cases {
		r.do(fmt.Sprintf("backlog %d, somaxconn %d, syncookies %d", c.backlog, c.somaxconn, c.syncookies), c.try)
	}
}

func (c acceptCase) try(t *trial) error {
	x, err := t.listenWith(c.somaxconn, 0, c.syncookies, int(c.backlog))
	if err != nil {
		return err
	}
	const tooMany = 3
	kernel := t.runner.kernel
	limit := tcpq.AcceptLimit(kernel, c.backlog, c.somaxconn)
	capacity := tcpq.Queue{Max: limit}.Capacity()
	clients := int64(capacity + tooMany)
	wants := []want{limitOf(x).is(int64(limit)), acceptQueue(x).is(int64(capacity)), counter(tcpq.ListenOverflows).is(tooMany), counter(tcpq.ListenDrops).is(tooMany)}
	if room, _ := tcpq.SynQueueMax(kernel, limit, usualMaxSyn, c.syncookies); room == 0 && c.syncookies == 0 {
		// A SYN queue that is full when empty: nobody gets as far as the accept queue.
		wants = []want{limitOf(x).is(int64(limit)), acceptQueue(x).is(0), counter(tcpq.ListenOverflows).is(0), counter(tcpq.ListenDrops).is(clients)}
	}
	if err := t.mark(); err != nil {
		return err
	}
	if err := t.peers.connect(x.port, int(clients)); err != nil {
		return err
	}
	return t.check("", wants...)
}

// usualMaxSyn is tcp_max_syn_backlog where it is not to matter.
const usualMaxSyn = 4096

// usualSomaxconn is larger than any backlog where it is not to matter.
const usualSomaxconn = 4096

// listenWith sets the sysctls and opens a listener; a maxSynBacklog of 0 stands
// for one that does not matter.
func (t *trial) listenWith(somaxconn, maxSynBacklog, syncookies int64, backlog int) (*listener, error) {
	if maxSynBacklog == 0 {
		maxSynBacklog = usualMaxSyn
	}
	return t.listenExactly(somaxconn, maxSynBacklog, syncookies, spec{backlog: backlog})
}

func (t *trial) listenExactly(somaxconn, maxSynBacklog, syncookies int64, s spec) (*listener, error) {
	for _, v := range []struct {
		sysctl tcpq.Sysctl
		value  int64
	}{{tcpq.Somaxconn, somaxconn}, {tcpq.TCPMaxSynBacklog, maxSynBacklog}, {tcpq.TCPSyncookies, syncookies}} {
		if err := t.set(v.sysctl, v.value); err != nil {
			return nil, err
		}
	}
	return t.listen(s)
}

// tryMPTCP lets plain clients come to an MPTCP listener.
func tryMPTCP(r *runner) {
	const backlog, tooMany = 7, 3
	r.do("plain TCP clients", func(t *trial) error {
		x, err := t.listen(spec{backlog: backlog, mptcp: true})
		if err != nil {
			return untried("this kernel makes no MPTCP socket: %v", err)
		}
		if err := t.mark(); err != nil {
			return err
		}
		if err := t.peers.connect(x.port, backlog+1+tooMany); err != nil {
			return err
		}
		if err := t.check("", limitOf(x).is(backlog), acceptQueue(x).is(backlog+1), counter(tcpq.ListenOverflows).is(tooMany)); err != nil {
			return err
		}
		if err := x.listen(backlog + 2); err != nil {
			return err
		}
		if err := t.peers.connect(x.port, 2); err != nil {
			return err
		}
		return t.check("listening again with 2 more", limitOf(x).is(backlog+2), acceptQueue(x).is(backlog+3), counter(tcpq.ListenOverflows).is(0))
	})
}
