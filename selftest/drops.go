// SPDX-License-Identifier: Apache-2.0

//go:build linux

package selftest

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/qtune/qtune/tcpq"
)

// events is how often each thing happens that is counted. So many half-open peers
// leave room in a SYN queue of fullLimit.
const events = 3

// tryDropCounts compares what a listener counts with what its namespace counts
// when connections are lost.
func tryDropCounts(r *runner) {
	ofACK := int64(events)
	if r.kernel.Has(tcpq.DropCountsTwice) {
		ofACK *= 2
	}
	for _, c := range []struct {
		name       string
		syncookies int64
		late       bool // the peers' SYNs come before the accept queue is full, their ACKs after
		drops      int64
	}{
		{"final ACKs, accept queue full", 1, true, ofACK},
		{"cookie ACKs, accept queue full", 2, true, events},
		{"SYNs, accept queue full", 1, false, events},
	} {
		r.do(fmt.Sprintf("%d %s", events, c.name), func(t *trial) error {
			x, err := t.almost(0, c.syncookies)
			if err != nil {
				return err
			}
			var peers []*peer
			if c.late {
				if peers, err = t.peers.syn(x.port, events); err != nil {
					return err
				}
			}
			if err := t.fill(x); err != nil {
				return err
			}
			if c.late {
				err = t.peers.each(peers, ACK, "")
			} else {
				_, err = t.peers.syn(x.port, events)
			}
			if err != nil {
				return err
			}
			return t.check("", drops(x).is(c.drops), counter(tcpq.ListenDrops).is(events))
		})
	}
	for _, c := range []struct {
		name   string
		maxSyn int64
	}{{"SYNs, SYN queue full", usualMaxSyn}, {"SYNs, three quarters used", 4}} {
		r.do(fmt.Sprintf("%d %s", events, c.name), func(t *trial) error {
			x, err := t.listenWith(4096, c.maxSyn, 0, fullLimit)
			if err != nil {
				return err
			}
			if _, err := t.peers.syn(x.port, fullLimit+1); err != nil { // as many as fit, or more
				return err
			}
			if err := t.mark(); err != nil {
				return err
			}
			if _, err := t.peers.syn(x.port, events); err != nil {
				return err
			}
			return t.check("", drops(x).is(events), counter(tcpq.ListenDrops).is(events))
		})
	}
}

// tryHarmless sends what loses no connection and is discarded all the same.
func tryHarmless(r *runner) {
	for _, c := range []struct {
		name     string
		deferred bool  // TCP_DEFER_ACCEPT
		filtered bool  // a socket filter that lets nothing pass
		halfOpen bool  // the peers have sent a SYN and were answered
		flags    Flags // what they send then
		deferACK int64
	}{
		{name: "half-open health checks: SYN, SYN-ACK, RST", halfOpen: true, flags: RST},
		{name: "SYNs repeated by half-open peers", halfOpen: true, flags: SYN},
		{name: "stray RSTs", flags: RST},
		{name: "stray FINs", flags: FIN},
		{name: "segments without a flag", flags: 0},
		{name: "bare ACKs, TCP_DEFER_ACCEPT", deferred: true, halfOpen: true, flags: ACK, deferACK: events},
		{name: "SYNs that a socket filter refuses", filtered: true, flags: SYN},
	} {
		r.do(fmt.Sprintf("%d %s", events, c.name), func(t *trial) error {
			x, err := t.listen(spec{backlog: 100, deferAccept: c.deferred})
			if err != nil {
				return err
			}
			if c.filtered {
				if err := x.refuseAll(); err != nil {
					return err
				}
			}
			var peers []*peer
			if c.halfOpen {
				if peers, err = t.peers.syn(x.port, events); err != nil {
					return err
				}
			} else {
				for range events {
					peers = append(peers, t.peers.newPeer(x.port))
				}
			}
			if err := t.mark(); err != nil {
				return err
			}
			if err := t.peers.each(peers, c.flags, ""); err != nil {
				return err
			}
			return t.check("", drops(x).is(events), counter(tcpq.ListenDrops).is(0), counter(tcpq.ListenOverflows).is(0),
				counter(tcpq.TCPDeferAcceptDrop).is(c.deferACK))
		})
	}
}

// refuseAll attaches a filter to the listener that lets no packet pass.
func (x *listener) refuseAll() error {
	refuse := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K}
	err := unix.SetsockoptSockFprog(x.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &refuse})
	return os.NewSyscallError("SO_ATTACH_FILTER", err)
}
