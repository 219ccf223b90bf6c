// SPDX-License-Identifier: Apache-2.0

//go:build linux

package selftest

import (
	"fmt"

	"github.com/qtune/qtune/tcpq"
)

// fullLimit is the limit of the accept queues that are filled here.
const fullLimit = 4

// tryFullAtSyn sends SYNs to a full accept queue.
func tryFullAtSyn(r *runner) {
	const syns = 5
	for _, abort := range []int64{0, 1} {
		for _, syncookies := range []int64{1, 0, 2} {
			r.do(fmt.Sprintf("%d SYNs, abort_on_overflow %d, syncookies %d", syns, abort, syncookies), func(t *trial) error {
				x, err := t.full(abort, syncookies)
				if err != nil {
					return err
				}
				if _, err := t.peers.syn(x.port, syns); err != nil {
					return err
				}
				return t.check("", counter(tcpq.ListenOverflows).is(syns), synAcks.is(0), resets.is(0),
					counter(tcpq.ListenDrops).is(syns), acceptQueue(x).is(fullLimit+1), synQueue(x).is(0))
			})
		}
	}
}

// full opens a listener and fills its accept queue.
func (t *trial) full(abort, syncookies int64) (*listener, error) {
	x, err := t.almost(abort, syncookies)
	if err != nil {
		return nil, err
	}
	return x, t.fill(x)
}

// almost opens a listener whose accept queue is to be filled.
func (t *trial) almost(abort, syncookies int64) (*listener, error) {
	if err := t.set(tcpq.TCPAbortOnOverflow, abort); err != nil {
		return nil, err
	}
	return t.listenWith(4096, 0, syncookies, fullLimit)
}

func (t *trial) fill(x *listener) error {
	if err := t.peers.connect(x.port, fullLimit+1); err != nil {
		return err
	}
	return t.mark()
}

// tooLate opens a listener, and sends the final ACKs of half-open peers when others
// have filled its accept queue.
func (t *trial) tooLate(late int, abort, syncookies int64) (*listener, []*peer, error) {
	x, err := t.almost(abort, syncookies)
	if err != nil {
		return nil, nil, err
	}
	peers, err := t.peers.syn(x.port, late)
	if err != nil {
		return nil, nil, err
	}
	if err := t.fill(x); err != nil {
		return nil, nil, err
	}
	return x, peers, t.peers.each(peers, ACK, "")
}

// tryFullAtAck lets the final ACKs of half-open peers meet a full accept queue.
func tryFullAtAck(r *runner) {
	const late = 3
	for _, abort := range []int64{0, 1} {
		r.do(fmt.Sprintf("abort_on_overflow %d", abort), func(t *trial) error {
			x, peers, err := t.tooLate(late, abort, 1)
			if err != nil {
				return err
			}
			halfOpen, rsts := int64(late), int64(0)
			if abort == 1 {
				halfOpen, rsts = 0, late
			}
			if err := t.check(fmt.Sprintf("%d final ACKs", late), synQueue(x).is(halfOpen), resets.is(rsts), acceptQueue(x).is(fullLimit+1),
				counter(tcpq.ListenOverflows).is(late), counter(tcpq.ListenDrops).is(late), counter(tcpq.EmbryonicRsts).is(rsts)); err != nil {
				return err
			}
			if err := t.peers.each(peers, ACK, ""); err != nil {
				return err
			}
			again := halfOpen // the others are strangers now
			if err := t.check("the same ACKs again", synQueue(x).is(halfOpen), resets.is(rsts),
				counter(tcpq.ListenOverflows).is(again), counter(tcpq.ListenDrops).is(again)); err != nil {
				return err
			}
			if err := t.takeOut(x, fullLimit+1); err != nil {
				return err
			}
			if err := t.peers.each(peers, ACK|PSH, "hello"); err != nil {
				return err
			}
			return t.check("the queue is drained and they send data", acceptQueue(x).is(halfOpen), synQueue(x).is(0), resets.is(rsts),
				counter(tcpq.ListenOverflows).is(0), counter(tcpq.ListenDrops).is(0))
		})
	}
}

// tryFullAtCookieAck lets final ACKs with a cookie meet a full accept queue.
func tryFullAtCookieAck(r *runner) {
	const late = 3
	for _, abort := range []int64{0, 1} {
		r.do(fmt.Sprintf("abort_on_overflow %d", abort), func(t *trial) error {
			x, peers, err := t.tooLate(late, abort, 2)
			if err != nil {
				return err
			}
			if err := t.check(fmt.Sprintf("%d final ACKs", late), counter(tcpq.SyncookiesRecv).is(late), counter(tcpq.ListenOverflows).is(late),
				acceptQueue(x).is(fullLimit+1), synQueue(x).is(0), resets.is(0), counter(tcpq.ListenDrops).is(late)); err != nil {
				return err
			}
			if err := t.takeOut(x, fullLimit+1); err != nil {
				return err
			}
			if err := t.check("the queue is drained", acceptQueue(x).is(0), synQueue(x).is(0), synAcks.is(0)); err != nil {
				return err
			}
			if err := t.peers.each(peers, ACK|PSH, "hello"); err != nil {
				return err
			}
			return t.check("they send data", acceptQueue(x).is(late), resets.is(0),
				counter(tcpq.SyncookiesRecv).is(late), counter(tcpq.ListenOverflows).is(0))
		})
	}
}
