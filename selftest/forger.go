// SPDX-License-Identifier: Apache-2.0

//go:build linux

package selftest

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// A Forger sends segments of TCP peers that do not exist: they never repeat
// anything, and acknowledge only what they are told to.
type Forger struct {
	fd      int // AF_PACKET
	ifindex int
	to      [8]byte
	toLen   uint8
}

// NewForger returns a Forger in the network namespace of the calling thread. What
// it sends leaves through the interface of that number for the one of that
// hardware address. It needs CAP_NET_RAW.
func NewForger(ifindex int, to []byte) (*Forger, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0) // 0: it receives nothing
	if err != nil {
		return nil, fmt.Errorf("open a packet socket: %w", err)
	}
	f := &Forger{fd: fd, ifindex: ifindex, toLen: uint8(len(to))}
	copy(f.to[:], to)
	return f, nil
}

// Send sends a segment.
func (f *Forger) Send(s Segment) error {
	to := &unix.SockaddrLinklayer{Ifindex: f.ifindex, Halen: f.toLen, Addr: f.to, Protocol: NetworkOrder(unix.ETH_P_IP)}
	if s.From.Addr().Is6() {
		to.Protocol = NetworkOrder(unix.ETH_P_IPV6)
	}
	if err := unix.Sendto(f.fd, s.Packet(), 0, to); err != nil {
		return fmt.Errorf("send a forged segment: %w", err)
	}
	return nil
}

// Close closes the socket.
func (f *Forger) Close() { unix.Close(f.fd) }

// PeerAddr returns the address and port of forged peer n: in 10.0.0.0/8 or
// fd00:10::/96.
func PeerAddr(n uint32, v4 bool) netip.AddrPort {
	port := uint16(1024 + n%60000)
	if v4 {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}), port)
	}
	a := netip.MustParseAddr("fd00:10::").As16()
	binary.BigEndian.PutUint32(a[12:], n)
	return netip.AddrPortFrom(netip.AddrFrom16(a), port)
}

// NetworkOrder puts a number into the byte order that AF_PACKET wants.
func NetworkOrder(n uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, n))
}
