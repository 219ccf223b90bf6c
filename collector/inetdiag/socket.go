// SPDX-License-Identifier: Apache-2.0

//go:build linux

package inetdiag

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// ErrShort says that a message ends before its fields do.
var ErrShort = errors.New("message too short")

// A Socket is one inet_diag_msg with the attributes qtune uses. It holds no
// pointer, so that a slice of ten thousand costs the garbage collector nothing.
type Socket struct {
	Family uint8 // AF_INET or AF_INET6
	State  uint8
	Flags  Flags
	Port   uint16 // local

	Ifindex uint32   // interface the socket is bound to, 0 for all
	Addr    [16]byte // local, in network order; an IPv4 address fills four bytes
	Cookie  uint64
	Cgroup  uint64 // cgroup v2 id, 0 when the kernel did not send it

	RQueue uint32 // LISTEN: connections waiting to be accepted
	WQueue uint32 // LISTEN: the limit of both queues
	UID    uint32
	Inode  uint32
	Drops  uint32 // sk_drops
}

// Flags are the yes-or-no facts of a Socket.
type Flags uint8

// The facts.
const (
	HasDrops    Flags = 1 << iota // Drops was sent
	V6Only                        // IPV6_V6ONLY is set
	MPTCP                         // the socket is the TCP half of an MPTCP one
	Transparent                   // IP_TRANSPARENT is set
	FullSocket                    // not a bare request socket: attributes a request socket lacks were sent
	Silent                        // a request socket whose SYN-ACK was repeated: no answer for a second
)

// Has reports whether all facts of f are set.
func (s *Socket) Has(f Flags) bool { return s.Flags&f == f }

// LocalAddr returns the local address; an IPv4-mapped one stays mapped, as the
// kernel has it.
func (s *Socket) LocalAddr() netip.Addr {
	if s.Family == unix.AF_INET {
		return netip.AddrFrom4([4]byte(s.Addr[:4]))
	}
	return netip.AddrFrom16(s.Addr)
}

// Attributes of an answer (INET_DIAG_*).
const (
	attrInfo      = 2
	attrSkMemInfo = 7
	attrShutdown  = 8
	attrV6Only    = 11
	attrULPInfo   = 19
	attrCgroupID  = 21
	attrSockopt   = 22

	attrTypeMask = 0x3fff // the two high bits are flags

	skMemDrops  = 8 * 4 // SK_MEMINFO_DROPS, an index of u32
	ulpName     = 1     // INET_ULP_INFO_NAME, nested in attrULPInfo
	transparent = 1 << 5
)

// parse reads one inet_diag_msg and its attributes.
func (s *Socket) parse(b []byte) error {
	if len(b) < sizeofMsg {
		return fmt.Errorf("inet_diag_msg: %d bytes, need %d: %w", len(b), sizeofMsg, ErrShort)
	}
	b0 := b[:sizeofMsg:sizeofMsg]
	*s = Socket{
		Family:  b0[0],
		State:   b0[1],
		Port:    binary.BigEndian.Uint16(b0[4:]),
		Addr:    [16]byte(b0[8:24]),
		Ifindex: binary.NativeEndian.Uint32(b0[40:]),
		Cookie:  uint64(binary.NativeEndian.Uint32(b0[44:])) | uint64(binary.NativeEndian.Uint32(b0[48:]))<<32,
		RQueue:  binary.NativeEndian.Uint32(b0[56:]),
		WQueue:  binary.NativeEndian.Uint32(b0[60:]),
		UID:     binary.NativeEndian.Uint32(b0[64:]),
		Inode:   binary.NativeEndian.Uint32(b0[68:]),
	}
	if retrans := b0[3]; s.State == SynRecv && retrans > 0 { // the timer starts at one second
		s.Flags |= Silent
	}
	for b = b[sizeofMsg:]; len(b) >= sizeofAttr; {
		n := int(binary.NativeEndian.Uint16(b))
		if n < sizeofAttr || n > len(b) {
			return fmt.Errorf("attribute of %d bytes in %d: %w", n, len(b), ErrShort)
		}
		s.attribute(binary.NativeEndian.Uint16(b[2:])&attrTypeMask, b[sizeofAttr:n])
		b = b[min(align(n), len(b)):]
	}
	return nil
}

// attribute takes one attribute in. One that is shorter than this kernel's
// headers promise is left out: older kernels send less.
func (s *Socket) attribute(kind uint16, v []byte) {
	switch kind {
	case attrSkMemInfo:
		s.Flags |= FullSocket
		if len(v) >= skMemDrops+4 {
			s.Drops = binary.NativeEndian.Uint32(v[skMemDrops:])
			s.Flags |= HasDrops
		}
	case attrCgroupID:
		if len(v) >= 8 {
			s.Cgroup = binary.NativeEndian.Uint64(v)
		}
	case attrV6Only:
		if len(v) >= 1 && v[0] != 0 {
			s.Flags |= V6Only
		}
	case attrSockopt:
		s.Flags |= FullSocket
		if len(v) >= 1 && v[0]&transparent != 0 {
			s.Flags |= Transparent
		}
	case attrShutdown:
		s.Flags |= FullSocket
	case attrULPInfo:
		if isMPTCP(v) {
			s.Flags |= MPTCP
		}
	}
}

// isMPTCP reports whether nested ULP attributes name "mptcp".
func isMPTCP(b []byte) bool {
	for len(b) >= sizeofAttr {
		n := int(binary.NativeEndian.Uint16(b))
		if n < sizeofAttr || n > len(b) {
			return false
		}
		if binary.NativeEndian.Uint16(b[2:])&attrTypeMask == ulpName {
			return string(b[sizeofAttr:n]) == "mptcp\x00"
		}
		b = b[min(align(n), len(b)):]
	}
	return false
}

// align rounds up to the 4 bytes on which messages and attributes begin.
func align(n int) int { return (n + 3) &^ 3 }
