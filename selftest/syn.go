// SPDX-License-Identifier: Apache-2.0

//go:build linux

package selftest

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/qtune/qtune/tcpq"
)

// A synCase is a listener that more SYNs come to than it keeps.
type synCase struct {
	backlog    int
	somaxconn  int64
	maxSyn     int64
	syncookies int64
	syns       int
}

func (c synCase) limit() int { return min(c.backlog, int(c.somaxconn)) }

func (c synCase) name() string {
	return fmt.Sprintf("limit %d, tcp_max_syn_backlog %d, syncookies %d, %d SYNs", c.limit(), c.maxSyn, c.syncookies, c.syns)
}

// synRows are backlogs, tcp_max_syn_backlog and SYNs, to be tried with each
// tcp_syncookies.
var synRows = []synCase{
	{backlog: 500, maxSyn: 16, syns: 100},
	{backlog: 0, maxSyn: 128, syns: 50},
	{backlog: 1, maxSyn: 128, syns: 50},
	{backlog: 4, maxSyn: 128, syns: 50},
	{backlog: 10, maxSyn: 128, syns: 50},
	{backlog: 128, maxSyn: 128, syns: 300},
	{backlog: 500, maxSyn: 128, syns: 600},
	{backlog: 500, maxSyn: 5, syns: 50},
	{backlog: 500, maxSyn: 0, syns: 50},
	{backlog: 500, maxSyn: -1, syns: 50},
	{backlog: 100, maxSyn: 4096, syns: 300},
}

// trySynLimit tries what bounds the SYN queue while syncookies are on.
func trySynLimit(r *runner) { trySynRows(r, 1) }

// tryAlwaysCookies tries that nothing is kept.
func tryAlwaysCookies(r *runner) { trySynRows(r, 2) }

func trySynRows(r *runner, syncookies int64) {
	for _, c := range synRows {
		c.somaxconn, c.syncookies = usualSomaxconn, syncookies
		r.do(c.name(), c.try)
	}
}

// tryThreeQuarters tries what bounds the SYN queue while syncookies are off.
func tryThreeQuarters(r *runner) {
	trySynRows(r, 0)
	for _, m := range []int64{1, 2, 3, 4, 7, 8, 100, 1024} {
		c := synCase{backlog: 4096, somaxconn: usualSomaxconn, maxSyn: m, syns: int(m) + 5}
		r.do(c.name(), c.try)
	}
}

// trySynFull tries at the border which test of a full SYN queue runs.
func trySynFull(r *runner) {
	for _, limit := range []int{1, 0, 2, 7, 8, 9, 64} {
		for _, syncookies := range []int64{0, 1} {
			c := synCase{backlog: limit, somaxconn: usualSomaxconn, maxSyn: usualMaxSyn, syncookies: syncookies, syns: limit + 5}
			r.do(c.name(), c.try)
		}
	}
}

// trySyncookies tries over limits that somaxconn makes what becomes of the SYNs
// that find no room.
func trySyncookies(r *runner) {
	for _, somaxconn := range []int64{10, 0, 1, 128} {
		for _, syncookies := range []int64{1, 0} {
			c := synCase{backlog: 500, somaxconn: somaxconn, maxSyn: usualMaxSyn, syncookies: syncookies, syns: int(somaxconn) + 40}
			r.do(fmt.Sprintf("backlog 500, somaxconn %d, syncookies %d, %d SYNs", somaxconn, syncookies, c.syns), c.try)
		}
	}
}

func (c synCase) try(t *trial) error {
	x, err := t.listenExactly(c.somaxconn, c.maxSyn, c.syncookies, spec{backlog: c.backlog})
	if err != nil {
		return err
	}
	if err := t.mark(); err != nil {
		return err
	}
	if _, err := t.peers.syn(x.port, c.syns); err != nil {
		return err
	}
	return t.check("", c.predict(t.runner.kernel, x)...)
}

// predict says what becomes of the SYNs.
func (c synCase) predict(v tcpq.Version, x *listener) []want {
	room, by := tcpq.SynQueueMax(v, uint32(c.limit()), c.maxSyn, c.syncookies)
	kept := min(int64(c.syns), int64(room))
	rest := int64(c.syns) - kept
	var refused, refusedByLimit, cookies int64
	switch {
	case c.syncookies != 0:
		cookies = rest
	case by == tcpq.SynBoundListener:
		refused, refusedByLimit = rest, rest
	default:
		refused = rest
	}
	return []want{
		synQueue(x).is(kept), synAcks.is(kept + cookies),
		counter(tcpq.ListenDrops).is(refused), counter(tcpq.TCPReqQFullDrop).is(refusedByLimit),
		counter(tcpq.TCPReqQFullDoCookies).is(cookies), counter(tcpq.SyncookiesSent).is(cookies),
	}
}

// tryProvenPeers lets clients come whose round-trip time the kernel has kept.
func tryProvenPeers(r *runner) {
	const maxSyn, tooMany, clients = 16, 3, 5
	r.do(fmt.Sprintf("tcp_max_syn_backlog %d", maxSyn), func(t *trial) error {
		x, err := t.listenWith(4096, maxSyn, 0, 500)
		if err != nil {
			return err
		}
		if err := t.becomeProven(x); err != nil {
			return err
		}
		room, _ := tcpq.SynQueueMax(r.kernel, 500, maxSyn, 0)
		if err := t.mark(); err != nil {
			return err
		}
		if _, err := t.peers.syn(x.port, int(room)+tooMany); err != nil {
			return err
		}
		if err := t.check("strangers", synQueue(x).is(int64(room)), acceptQueue(x).is(0), counter(tcpq.ListenDrops).is(tooMany)); err != nil {
			return err
		}
		for range clients {
			if err := t.dial(x); err != nil {
				return err
			}
		}
		connected, refused := int64(clients), int64(0)
		if !t.has(tcpq.ProvenPeersPass) {
			connected, refused = 0, clients
		}
		return t.check("clients met before", synQueue(x).is(int64(room)), acceptQueue(x).is(connected), counter(tcpq.ListenDrops).is(refused))
	})
}

// becomeProven makes a connection from the server's own address, and ends it: the
// kernel then knows the round-trip time of that address.
func (t *trial) becomeProven(x *listener) error {
	if err := t.dial(x); err != nil {
		return err
	}
	if err := t.peers.settle(); err != nil {
		return err
	}
	before := len(t.accepted)
	if err := t.takeOut(x, 1); err != nil {
		return err
	}
	client, conn := t.accepted[before-1], t.accepted[before]
	t.accepted = t.accepted[:before-1]
	// The server ends first: it is its side that keeps the time.
	for _, fd := range []int{conn, client} {
		if err := unix.Shutdown(fd, unix.SHUT_WR); err != nil {
			return fmt.Errorf("end a first connection: %w", err)
		}
		if err := t.peers.settle(); err != nil {
			return err
		}
	}
	unix.Close(conn)
	unix.Close(client)
	return t.peers.settle()
}

// dial opens a real connection from the server's own address and does not wait
// for it.
func (t *trial) dial(x *listener) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	t.accepted = append(t.accepted, fd)
	err = unix.Connect(fd, &unix.SockaddrInet4{Addr: server.As4(), Port: int(x.port)})
	if err != nil && err != unix.EINPROGRESS {
		return fmt.Errorf("connect: %w", err)
	}
	return nil
}
