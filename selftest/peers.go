// SPDX-License-Identifier: Apache-2.0

//go:build linux

package selftest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// forgedSeq is where the sequence numbers of forged peers begin.
const forgedSeq = 1000

// A peer is one forged client.
type peer struct {
	addr     netip.AddrPort
	to       uint16 // the port it speaks to
	isn      uint32 // the kernel's initial sequence number
	answered int    // SYN-ACKs it was sent
}

// peers are the forged clients of a namespace, and what the kernel answers them.
type peers struct {
	ctx     context.Context
	forger  *Forger
	capture int // AF_PACKET: what arrives at lo
	buf     []byte

	all    map[netip.AddrPort]*peer
	probes uint32

	synAcks int64 // peers that were sent a SYN-ACK
	resets  int64 // RSTs sent to peers
}

// captureBuffer has room for the answers between two flushes.
const captureBuffer = 4 << 20

func openPeers(ctx context.Context, lo int) (*peers, error) {
	forger, err := NewForger(lo, make([]byte, 6))
	if err != nil {
		return nil, err
	}
	p := &peers{ctx: ctx, forger: forger, capture: -1, buf: make([]byte, 2048), all: map[netip.AddrPort]*peer{}}
	if err := p.openCapture(lo); err != nil {
		p.close()
		return nil, fmt.Errorf("open a packet socket: %w", err)
	}
	return p, nil
}

func (p *peers) openCapture(lo int) (err error) {
	p.capture, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return err
	}
	if err := unix.SetsockoptInt(p.capture, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, captureBuffer); err != nil {
		return err
	}
	return unix.Bind(p.capture, &unix.SockaddrLinklayer{Protocol: NetworkOrder(unix.ETH_P_IP), Ifindex: lo})
}

func (p *peers) close() {
	p.forger.Close()
	if p.capture >= 0 {
		unix.Close(p.capture)
	}
	p.capture = -1
}

// newPeer returns a peer that has not sent anything.
func (p *peers) newPeer(port uint16) *peer {
	q := &peer{addr: PeerAddr(uint32(len(p.all)+1), true), to: port}
	p.all[q.addr] = q
	return q
}

// send sends a segment of a peer that begins this far behind its first.
func (p *peers) send(q *peer, flags Flags, offset uint32, data string) error {
	s := Segment{From: q.addr, To: netip.AddrPortFrom(server, q.to), Flags: flags, Seq: forgedSeq + offset, Data: []byte(data)}
	if flags&ACK != 0 {
		s.Ack = q.isn + 1
	}
	return p.forger.Send(s)
}

// syn lets count new peers send a SYN each.
func (p *peers) syn(port uint16, count int) ([]*peer, error) {
	const batch = 128 // what the buffer has room for, many times over
	made := make([]*peer, 0, count)
	for i := range count {
		q := p.newPeer(port)
		made = append(made, q)
		if err := p.send(q, SYN, 0, ""); err != nil {
			return nil, err
		}
		if i%batch == batch-1 {
			if err := p.flush(); err != nil {
				return nil, err
			}
		}
	}
	return made, p.flush()
}

// each lets peers that have shaken hands, or are about to, send a segment: with
// ACK it acknowledges the SYN-ACK.
func (p *peers) each(all []*peer, flags Flags, data string) error {
	for _, q := range all {
		offset := uint32(1)
		if flags&SYN != 0 {
			offset = 0
		}
		if err := p.send(q, flags, offset, data); err != nil {
			return err
		}
	}
	return p.settle()
}

// connect lets count new peers shake hands, one after the other; one that gets no
// SYN-ACK gives up.
func (p *peers) connect(port uint16, count int) error {
	for range count {
		made, err := p.syn(port, 1)
		if err != nil {
			return err
		}
		if made[0].answered > 0 {
			if err := p.send(made[0], ACK, 1, ""); err != nil {
				return err
			}
		}
	}
	return p.settle()
}

// settle waits until the kernel has dealt with all segments sent, with its
// answers to them and with the answers to those: a handshake of three.
func (p *peers) settle() error {
	for range 3 {
		if err := p.flush(); err != nil {
			return err
		}
	}
	return nil
}

const (
	closedPort   = 9                // nobody listens there
	flushTimeout = 20 * time.Second // on any machine
)

var errNoAnswer = errors.New("the kernel did not answer a segment to a closed port")

// flush waits until the kernel has dealt with all segments sent so far: it sends
// one to a closed port and waits for the RST. The packets of lo wait in one line
// for each CPU, and this thread stays on one.
func (p *peers) flush() error {
	p.probes++
	from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 255, 255, 254}), closedPort)
	err := p.forger.Send(Segment{From: from, To: netip.AddrPortFrom(server, closedPort), Flags: SYN, Seq: p.probes})
	if err != nil {
		return err
	}
	deadline := time.Now().Add(flushTimeout)
	for {
		s, err := p.read(deadline)
		if err != nil {
			return err
		}
		if s.From.Port() == closedPort && s.To == from && s.Ack == p.probes+1 {
			return nil
		}
	}
}

// read takes in the next segment that arrived at lo.
func (p *peers) read(deadline time.Time) (Segment, error) {
	for {
		n, err := unix.Read(p.capture, p.buf)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			if err := p.wait(deadline); err != nil {
				return Segment{}, err
			}
		case err != nil:
			return Segment{}, os.NewSyscallError("read a packet socket", err)
		default:
			if s, ok := ParseIPv4(p.buf[:n]); ok {
				p.note(&s)
				return s, nil
			}
		}
	}
}

// wait waits for the next packet, in slices: the context may end.
func (p *peers) wait(deadline time.Time) error {
	const slice = 50 // milliseconds
	for {
		if err := p.ctx.Err(); err != nil {
			return err
		}
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(p.capture), Events: unix.POLLIN}}, slice)
		switch {
		case err != nil && !errors.Is(err, unix.EINTR):
			return os.NewSyscallError("poll", err)
		case n > 0:
			return nil
		case time.Now().After(deadline):
			return errNoAnswer
		}
	}
}

// note remembers what a peer was answered.
func (p *peers) note(s *Segment) {
	q := p.all[s.To]
	switch {
	case q == nil || s.From.Addr() != server:
	case s.Flags&RST != 0:
		p.resets++
	case s.Flags&(SYN|ACK) == SYN|ACK:
		if q.answered == 0 {
			p.synAcks++
		}
		q.answered++
		q.isn = s.Seq
	}
}
