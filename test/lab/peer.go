// SPDX-License-Identifier: Apache-2.0

//go:build linux

package lab

import (
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/qtune/qtune/selftest"
)

// Peers are forged peers of a [Wire] that, unlike those of [Wire.Send], hear what
// the kernel answers: they complete their handshakes when they are told to, and
// send their SYN again when nothing came back. IPv4 only.
type Peers struct {
	Data []byte // in their SYN, which makes it a Fast Open

	w    *Wire
	dst  netip.AddrPort
	fd   int // AF_PACKET, hears what arrives at the far end
	all  map[netip.AddrPort]*peer
	line []*peer // in the order of their SYNs
}

type peer struct {
	number   uint32
	asked    time.Time // when it sent its last SYN
	answered time.Time // when its first SYN-ACK was heard
	isn      uint32    // the server's
	done     bool      // it has sent its ACK
}

// NewPeers returns the peers of dst.
func (w *Wire) NewPeers(dst netip.AddrPort) *Peers {
	t := w.ns.t
	t.Helper()
	p := &Peers{w: w, dst: dst, all: map[netip.AddrPort]*peer{}}
	w.ns.Do(func() {
		var err error
		p.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		must(t, "open a packet socket", err)
		must(t, "enlarge its buffer", unix.SetsockoptInt(p.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20))
		must(t, "hear the far end", unix.Bind(p.fd, &unix.SockaddrLinklayer{Ifindex: w.far, Protocol: selftest.NetworkOrder(unix.ETH_P_IP)}))
	})
	t.Cleanup(func() { unix.Close(p.fd) })
	return p
}

// Knock lets new peers send their SYN.
func (p *Peers) Knock(count int) {
	p.w.ns.t.Helper()
	for range count {
		p.w.peers++
		one := &peer{number: p.w.peers}
		p.all[selftest.PeerAddr(one.number, true)] = one
		p.line = append(p.line, one)
		p.ask(one)
	}
}

// Count returns how many peers have come.
func (p *Peers) Count() int { return len(p.line) }

func (p *Peers) ask(one *peer) {
	one.asked = time.Now()
	p.w.forge(selftest.Segment{From: selftest.PeerAddr(one.number, true), To: p.dst, Flags: SYN, Seq: forgedSeq, Data: p.Data})
}

// Answer lets the peers whose SYN-ACK came at least this long ago send their ACK,
// and those without one for a second their SYN again. It returns how many
// handshakes the peers believe complete by now.
func (p *Peers) Answer(late time.Duration) (complete int) {
	p.w.ns.t.Helper()
	p.Hear()
	const again = time.Second
	now := time.Now()
	for _, one := range p.line {
		switch {
		case one.done:
		case !one.answered.IsZero() && now.Sub(one.answered) >= late:
			one.done = true
			p.acknowledge(one)
		case one.answered.IsZero() && now.Sub(one.asked) >= again:
			p.ask(one)
		}
		if one.done {
			complete++
		}
	}
	return complete
}

// Hear notes the SYN-ACKs that have arrived and returns how many peers got one.
// Who had sent its ACK and is asked once more sends it once more.
func (p *Peers) Hear() (heard int) {
	p.w.ns.t.Helper()
	var b [2048]byte
	for {
		n, _, err := unix.Recvfrom(p.fd, b[:], 0)
		if err != nil {
			break
		}
		heard, ok := selftest.ParseIPv4(b[:n])
		one := p.all[heard.To]
		switch {
		case !ok || one == nil || heard.Flags&(SYN|ACK) != SYN|ACK || heard.From.Port() != p.dst.Port():
		case one.done:
			p.acknowledge(one)
		case one.answered.IsZero():
			one.answered, one.isn = time.Now(), heard.Seq
		}
	}
	for _, one := range p.line {
		if !one.answered.IsZero() {
			heard++
		}
	}
	return heard
}

func (p *Peers) acknowledge(one *peer) {
	p.w.sendAck(p.dst, one.number, forgedSeq+1, one.isn+1)
}

// SendAck sends one bare ACK of nothing from each of count new peers.
func (w *Wire) SendAck(dst netip.AddrPort, count int) {
	w.ns.t.Helper()
	for range count {
		w.peers++
		w.sendAck(dst, w.peers, forgedSeq, w.peers)
	}
}

// sendAck sends the bare ACK of an IPv4 peer.
func (w *Wire) sendAck(dst netip.AddrPort, number, seq, ack uint32) {
	w.ns.t.Helper()
	w.forge(selftest.Segment{From: selftest.PeerAddr(number, true), To: dst, Flags: ACK, Seq: seq, Ack: ack})
}

// SendBroken sends SYNs whose checksum is wrong.
func (w *Wire) SendBroken(dst netip.AddrPort, count int) {
	w.ns.t.Helper()
	for range count {
		w.peers++
		w.forge(selftest.Segment{From: selftest.PeerAddr(w.peers, true), To: dst, Flags: SYN, Seq: forgedSeq, Broken: true})
	}
}

// SendFrom sends one SYN from an address of the caller's choice.
func (w *Wire) SendFrom(src, dst netip.AddrPort) {
	w.ns.t.Helper()
	w.forge(selftest.Segment{From: src, To: dst, Flags: SYN, Seq: forgedSeq})
}
