// SPDX-License-Identifier: Apache-2.0

//go:build linux

package selftest

import (
	"os"

	"golang.org/x/sys/unix"

	"github.com/qtune/qtune/tcpq"
)

// Bits of tcp_fastopen.
const (
	fastOpenServer   = 2
	fastOpenNoCookie = 0x200 // a SYN with data needs no cookie
)

// tryFastOpen sends SYNs with data, more than the limit of Fast Open.
func tryFastOpen(r *runner) {
	const limit, syns = 2, 5
	r.do("TCP_FASTOPEN 2, 5 SYNs with data", func(t *trial) error {
		if err := t.set(tcpq.TCPFastopen, fastOpenServer|fastOpenNoCookie); err != nil {
			return err
		}
		x, err := t.listenWith(4096, 0, 1, 100)
		if err != nil {
			return err
		}
		if err := unix.SetsockoptInt(x.fd, unix.IPPROTO_TCP, unix.TCP_FASTOPEN, limit); err != nil {
			return untried("no Fast Open: %v", err)
		}
		if err := x.listen(200); err != nil {
			return err
		}
		kept, err := unix.GetsockoptInt(x.fd, unix.IPPROTO_TCP, unix.TCP_FASTOPEN)
		if err != nil {
			return os.NewSyscallError("TCP_FASTOPEN", err)
		}
		if err := t.mark(); err != nil {
			return err
		}
		for range syns {
			if err := t.peers.send(t.peers.newPeer(x.port), SYN, 0, "hello"); err != nil {
				return err
			}
		}
		ownLimit := quantity{"limit of Fast Open", func(*view) int64 { return int64(kept) }}
		return t.check("", limitOf(x).is(200), ownLimit.is(limit), acceptQueue(x).is(limit), synQueue(x).is(syns-limit),
			counter(tcpq.TCPFastOpenListenOverflow).is(syns-limit), counter(tcpq.ListenDrops).is(0))
	})
}
