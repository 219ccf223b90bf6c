// SPDX-License-Identifier: Apache-2.0

//go:build linux

package lab

import (
	"encoding/binary"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// The addresses of a Wire's near end.
var (
	Near4      = netip.MustParseAddr("192.0.2.1")
	OtherNear4 = netip.MustParseAddr("192.0.2.2")
	Near6      = netip.MustParseAddr("fd00:2::1")
)

// A Wire is a veth pair inside a namespace. Its near end has addresses to listen
// on; from its far end come forged segments of peers in 10.0.0.0/8 and
// fd00:10::/32, and what the kernel answers to them gets lost there.
type Wire struct {
	Device string // the near end

	ns    *Namespace
	fd    int // AF_PACKET
	far   int // index of the far end
	near  [8]byte
	peers uint32
}

// NewWire makes a veth pair whose near end has this name.
func (n *Namespace) NewWire(device string) *Wire {
	n.t.Helper()
	NeedProgram(n.t, "ip")
	const far = "far"
	for _, args := range [][]string{
		{"link", "add", device, "type", "veth", "peer", "name", far},
		{"link", "set", device, "arp", "off", "up"},
		{"link", "set", far, "arp", "off", "up"},
		{"addr", "add", Near4.String() + "/24", "dev", device},
		{"addr", "add", OtherNear4.String() + "/24", "dev", device},
		{"-6", "addr", "add", Near6.String() + "/64", "dev", device, "nodad"},
		{"route", "add", "10.0.0.0/8", "dev", device},
		{"-6", "route", "add", "fd00:10::/32", "dev", device},
	} {
		n.Run("ip", args...)
	}
	for _, name := range []string{"all", device} {
		n.SetSysctl("net.ipv4.conf."+name+".rp_filter", "0")
	}
	w := &Wire{Device: device, ns: n, fd: -1}
	n.Do(func() {
		nearIf, err := net.InterfaceByName(device)
		must(n.t, "find the near end", err)
		copy(w.near[:], nearIf.HardwareAddr)
		farIf, err := net.InterfaceByName(far)
		must(n.t, "find the far end", err)
		w.far = farIf.Index
		w.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		must(n.t, "open a packet socket", err)
	})
	n.t.Cleanup(func() { unix.Close(w.fd) })
	return w
}

// A Segment is a kind of forged TCP segment.
type Segment byte

// Segments: the flags of the TCP header.
const (
	NULL Segment = 0
	FIN  Segment = 1
	SYN  Segment = 2
	RST  Segment = 4
)

// Send sends one segment from each of count new peers.
func (w *Wire) Send(dst netip.AddrPort, kind Segment, count int) {
	w.ns.t.Helper()
	for range count {
		w.peers++
		w.send(dst, w.peers, kind, forgedSeq, nil)
	}
}

// SendData is Send with data in the segment: a SYN with data is a Fast Open.
func (w *Wire) SendData(dst netip.AddrPort, kind Segment, count int) {
	w.ns.t.Helper()
	for range count {
		w.peers++
		w.send(dst, w.peers, kind, forgedSeq, []byte("hello"))
	}
}

// HealthCheck lets count new peers send SYN and then RST, as half-open health
// checks and SYN scans do.
func (w *Wire) HealthCheck(dst netip.AddrPort, count int) {
	w.ns.t.Helper()
	for range count {
		w.peers++
		w.send(dst, w.peers, SYN, forgedSeq, nil)
		w.send(dst, w.peers, RST, forgedSeq+1, nil)
	}
}

// forgedSeq is where the sequence numbers of forged peers begin.
const forgedSeq = 1000

func (w *Wire) send(dst netip.AddrPort, peer uint32, kind Segment, seq uint32, data []byte) {
	w.ns.t.Helper()
	to := &unix.SockaddrLinklayer{Ifindex: w.far, Halen: 6, Addr: w.near}
	src := peerAddr(peer, dst.Addr().Is4())
	tcp := tcpSegment(src, dst, kind, seq, data)
	var packet []byte
	if dst.Addr().Is4() {
		to.Protocol = networkOrder(unix.ETH_P_IP)
		packet = append(ipv4Header(src.Addr(), dst.Addr(), len(tcp)), tcp...)
	} else {
		to.Protocol = networkOrder(unix.ETH_P_IPV6)
		packet = append(ipv6Header(src.Addr(), dst.Addr(), len(tcp)), tcp...)
	}
	must(w.ns.t, "send a forged segment", unix.Sendto(w.fd, packet, 0, to))
}

// peerAddr returns the address and port of forged peer n.
func peerAddr(n uint32, v4 bool) netip.AddrPort {
	port := uint16(1024 + n%60000)
	if v4 {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}), port)
	}
	a := netip.MustParseAddr("fd00:10::").As16()
	binary.BigEndian.PutUint32(a[12:], n)
	return netip.AddrPortFrom(netip.AddrFrom16(a), port)
}

func tcpSegment(src, dst netip.AddrPort, kind Segment, seq uint32, data []byte) []byte {
	const header, mss = 20, 4
	b := make([]byte, header+mss, header+mss+len(data))
	binary.BigEndian.PutUint16(b[0:], src.Port())
	binary.BigEndian.PutUint16(b[2:], dst.Port())
	binary.BigEndian.PutUint32(b[4:], seq)
	b[12] = (header + mss) / 4 << 4
	b[13] = byte(kind)
	binary.BigEndian.PutUint16(b[14:], 65535)
	copy(b[header:], []byte{2, 4, 0x05, 0xb4})
	b = append(b, data...)
	pseudo := append(src.Addr().AsSlice(), dst.Addr().AsSlice()...)
	pseudo = binary.BigEndian.AppendUint32(pseudo, uint32(len(b)))
	pseudo = binary.BigEndian.AppendUint32(pseudo, unix.IPPROTO_TCP)
	binary.BigEndian.PutUint16(b[16:], checksum(append(pseudo, b...)))
	return b
}

func ipv4Header(src, dst netip.Addr, payload int) []byte {
	b := make([]byte, 20)
	b[0], b[8], b[9] = 0x45, 64, unix.IPPROTO_TCP
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)+payload))
	copy(b[12:], src.AsSlice())
	copy(b[16:], dst.AsSlice())
	binary.BigEndian.PutUint16(b[10:], checksum(b))
	return b
}

func ipv6Header(src, dst netip.Addr, payload int) []byte {
	b := make([]byte, 40)
	b[0], b[6], b[7] = 0x60, unix.IPPROTO_TCP, 64
	binary.BigEndian.PutUint16(b[4:], uint16(payload))
	copy(b[8:], src.AsSlice())
	copy(b[24:], dst.AsSlice())
	return b
}

// checksum is that of the internet protocols (RFC 1071).
func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i < len(b); i += 2 {
		sum += uint32(b[i]) << 8
		if i+1 < len(b) {
			sum += uint32(b[i+1])
		}
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}

// networkOrder puts a number into the byte order that AF_PACKET wants.
func networkOrder(n uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, n))
}
