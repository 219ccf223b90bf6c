// SPDX-License-Identifier: Apache-2.0

//go:build linux

package selftest

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Flags are those of a TCP header.
type Flags byte

// The flags.
const (
	FIN Flags = 1 << iota
	SYN
	RST
	PSH
	ACK
)

// A Segment is a TCP segment to forge.
type Segment struct {
	From, To netip.AddrPort // both of one family
	Flags    Flags
	Seq, Ack uint32
	Data     []byte
	Broken   bool // its checksum is wrong
}

// Sizes of headers without options.
const (
	ipv4Header = 20
	ipv6Header = 40
	tcpHeader  = 20
)

// mssOption is the only option that forged peers send: a segment size of 1460.
var mssOption = []byte{2, 4, 0x05, 0xb4}

// Packet returns the segment with its IP header.
func (s *Segment) Packet() []byte {
	tcp := s.tcp()
	if s.From.Addr().Is4() {
		return append(s.ipv4(len(tcp)), tcp...)
	}
	return append(s.ipv6(len(tcp)), tcp...)
}

func (s *Segment) tcp() []byte {
	b := make([]byte, tcpHeader, tcpHeader+len(mssOption)+len(s.Data))
	if s.Flags&SYN != 0 {
		b = append(b, mssOption...)
	}
	binary.BigEndian.PutUint16(b[0:], s.From.Port())
	binary.BigEndian.PutUint16(b[2:], s.To.Port())
	binary.BigEndian.PutUint32(b[4:], s.Seq)
	binary.BigEndian.PutUint32(b[8:], s.Ack)
	b[12] = byte(len(b)) / 4 << 4
	b[13] = byte(s.Flags)
	binary.BigEndian.PutUint16(b[14:], 65535) // window
	b = append(b, s.Data...)
	pseudo := append(s.From.Addr().AsSlice(), s.To.Addr().AsSlice()...)
	pseudo = binary.BigEndian.AppendUint32(pseudo, uint32(len(b)))
	pseudo = binary.BigEndian.AppendUint32(pseudo, unix.IPPROTO_TCP)
	binary.BigEndian.PutUint16(b[16:], checksum(append(pseudo, b...)))
	if s.Broken {
		b[16] ^= 0xff
	}
	return b
}

func (s *Segment) ipv4(payload int) []byte {
	b := make([]byte, ipv4Header)
	b[0], b[8], b[9] = 0x45, 64, unix.IPPROTO_TCP
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)+payload))
	copy(b[12:], s.From.Addr().AsSlice())
	copy(b[16:], s.To.Addr().AsSlice())
	binary.BigEndian.PutUint16(b[10:], checksum(b))
	return b
}

func (s *Segment) ipv6(payload int) []byte {
	b := make([]byte, ipv6Header)
	b[0], b[6], b[7] = 0x60, unix.IPPROTO_TCP, 64
	binary.BigEndian.PutUint16(b[4:], uint16(payload))
	copy(b[8:], s.From.Addr().AsSlice())
	copy(b[24:], s.To.Addr().AsSlice())
	return b
}

// checksum is that of the internet protocols (RFC 1071).
func checksum(b []byte) uint16 {
	var sum uint32
	for i, c := range b {
		if i%2 == 0 {
			sum += uint32(c) << 8
		} else {
			sum += uint32(c)
		}
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}

// ParseIPv4 reads the addresses, flags and numbers of a TCP segment in an IPv4
// packet; ok is false when it is none.
func ParseIPv4(b []byte) (s Segment, ok bool) {
	if len(b) < ipv4Header || b[0]>>4 != 4 || b[9] != unix.IPPROTO_TCP {
		return s, false
	}
	ip := int(b[0]&15) * 4
	if ip < ipv4Header || len(b) < ip+tcpHeader {
		return s, false
	}
	tcp := b[ip:]
	s.From = netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[12:16])), binary.BigEndian.Uint16(tcp[0:]))
	s.To = netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[16:20])), binary.BigEndian.Uint16(tcp[2:]))
	s.Seq = binary.BigEndian.Uint32(tcp[4:])
	s.Ack = binary.BigEndian.Uint32(tcp[8:])
	s.Flags = Flags(tcp[13])
	return s, true
}
