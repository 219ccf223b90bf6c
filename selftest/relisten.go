// SPDX-License-Identifier: Apache-2.0

//go:build linux

package selftest

import (
	"fmt"

	"github.com/qtune/qtune/tcpq"
)

// tryRelisten changes somaxconn under a listener, listens again, and looks what
// becomes of the limit and of what is queued.
func tryRelisten(r *runner) {
	r.do("queued connections", tryRelistenQueued)
	r.do("half-open peers", tryRelistenHalfOpen)
	r.do("listen(100), somaxconn 50", func(t *trial) error {
		x, err := t.listenWith(50, 0, 1, 100)
		if err != nil {
			return err
		}
		for _, s := range []struct {
			step      string
			somaxconn int64
			backlog   int // 0: nobody listens again
			limit     int64
		}{
			{"at first", 50, 0, 50},
			{"somaxconn 200", 200, 0, 50},
			{"listen(100) again", 200, 100, 100},
			{"somaxconn 10", 10, 0, 100},
			{"listen(100) once more", 10, 100, 10},
		} {
			if err := t.set(tcpq.Somaxconn, s.somaxconn); err != nil {
				return err
			}
			if s.backlog != 0 {
				if err := x.listen(s.backlog); err != nil {
					return err
				}
			}
			if err := t.check(s.step, limitOf(x).is(s.limit)); err != nil {
				return err
			}
		}
		return nil
	})
}

// tryRelistenQueued makes an accept queue longer and shorter while connections
// wait in it.
func tryRelistenQueued(t *trial) error {
	x, err := t.listenWith(4096, 0, 1, 4)
	if err != nil {
		return err
	}
	for _, s := range []struct {
		step           string
		backlog        int
		accept         int // connections taken out first
		clients        int
		queue, refused int64
	}{
		{"listen(4), 10 clients", 4, 0, 10, 5, 5},
		{"listen(20), 10 more", 20, 0, 10, 15, 0},
		{"listen(2), 5 more", 2, 0, 5, 15, 5},
		{"12 accepted, 1 more", 2, 12, 1, 3, 1},
		{"1 accepted, 1 more", 2, 1, 1, 3, 0},
	} {
		if err := x.listen(s.backlog); err != nil {
			return err
		}
		if err := t.takeOut(x, s.accept); err != nil {
			return err
		}
		if err := t.mark(); err != nil {
			return err
		}
		if err := t.peers.connect(x.port, s.clients); err != nil {
			return err
		}
		if err := t.check(s.step, limitOf(x).is(int64(s.backlog)), acceptQueue(x).is(s.queue), counter(tcpq.ListenOverflows).is(s.refused)); err != nil {
			return err
		}
	}
	return nil
}

// tryRelistenHalfOpen makes a SYN queue shorter and longer while peers are
// half-open.
func tryRelistenHalfOpen(t *trial) error {
	const halfOpen = 10
	x, err := t.listenWith(4096, 0, 0, 100)
	if err != nil {
		return err
	}
	peers, err := t.peers.syn(x.port, halfOpen)
	if err != nil {
		return err
	}
	if err := x.listen(2); err != nil {
		return err
	}
	if err := t.check("listen(100), 10 SYNs, listen(2)", limitOf(x).is(2), synQueue(x).is(halfOpen)); err != nil {
		return err
	}
	if _, err := t.peers.syn(x.port, 3); err != nil {
		return err
	}
	if err := t.check("3 more SYNs", synQueue(x).is(halfOpen), counter(tcpq.TCPReqQFullDrop).is(3)); err != nil {
		return err
	}
	if err := x.listen(100); err != nil {
		return err
	}
	if err := t.peers.each(peers, ACK, ""); err != nil {
		return err
	}
	return t.check("listen(100), the 10 complete their handshake", limitOf(x).is(100), synQueue(x).is(0), acceptQueue(x).is(halfOpen), counter(tcpq.ListenOverflows).is(0))
}

// tryLiveSysctls changes sysctls under a listener, and what it keeps with them.
func tryLiveSysctls(r *runner) {
	r.do("", func(t *trial) error {
		x, err := t.listenWith(4096, 4096, 0, 4)
		if err != nil {
			return err
		}
		room := func(limit uint32, maxSyn, syncookies int64) int64 {
			n, _ := tcpq.SynQueueMax(r.kernel, limit, maxSyn, syncookies)
			return int64(n)
		}
		limited, mid := room(4, 4096, 0), room(30, 4096, 0)
		for _, s := range []struct {
			step               string
			limit              int
			maxSyn, syncookies int64
			syns               int
			kept               int64
		}{
			{"limit 4, tcp_max_syn_backlog 4096", 4, 4096, 0, 20, limited},
			{"listen(30)", 30, 4096, 0, 60, mid},
			{"listen(2)", 2, 4096, 0, 10, mid},
			{"listen(1000), tcp_max_syn_backlog 64", 1000, 64, 0, 60, room(1000, 64, 0)},
			{"tcp_max_syn_backlog 200", 1000, 200, 0, 150, room(1000, 200, 0)},
			{"tcp_syncookies 1", 1000, 200, 1, 300, room(1000, 200, 0) + 300},
			{"tcp_syncookies 2", 1000, 200, 2, 100, room(1000, 200, 0) + 300},
		} {
			if err := x.listen(s.limit); err != nil {
				return err
			}
			if err := t.set(tcpq.TCPMaxSynBacklog, s.maxSyn); err != nil {
				return err
			}
			if err := t.set(tcpq.TCPSyncookies, s.syncookies); err != nil {
				return err
			}
			if _, err := t.peers.syn(x.port, s.syns); err != nil {
				return err
			}
			if err := t.check(s.step, limitOf(x).is(int64(s.limit)), synQueue(x).is(s.kept)); err != nil {
				return err
			}
		}
		return nil
	})
}

// takeOut accepts exactly count connections.
func (t *trial) takeOut(x *listener, count int) error {
	n, err := t.accept(x, count)
	if err == nil && n != count {
		err = fmt.Errorf("accepted %d connections, not %d", n, count)
	}
	return err
}
