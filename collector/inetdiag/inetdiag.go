// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package inetdiag speaks the wire format of inet_diag (linux/inet_diag.h): it
// writes the requests for dumps of TCP sockets and for single ones, and reads the
// kernel's answers. It opens nothing; host does.
package inetdiag

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// TCP states as idiag_state carries them.
const (
	SynRecv uint8 = 3
	Listen  uint8 = 10
)

// Extensions a request can ask for: bit n-1 asks for attribute n.
const (
	ExtInfo      uint8 = 1 << (attrInfo - 1)      // and with it the ULP name that marks MPTCP
	ExtSkMemInfo uint8 = 1 << (attrSkMemInfo - 1) // and in it the discarded packets
)

// Sizes and types of the wire format.
const (
	sizeofNlmsg    = 16 // struct nlmsghdr
	sizeofReq      = 60 // struct inet_diag_req
	sizeofMsg      = 72 // struct inet_diag_msg
	sizeofAttr     = 4  // struct nlattr
	tcpdiagGetsock = 18 // TCPDIAG_GETSOCK
)

// Request returns the request for all TCP sockets of the namespace in the given
// states. It is the older of the two request types: it ignores the family and
// so gives IPv4 and IPv6 in one walk of the kernel's table, where
// SOCK_DIAG_BY_FAMILY needs one each.
//
// Ask for LISTEN alone or for SYN_RECV alone. Any state beside LISTEN makes the
// kernel walk the established table of the whole host.
func Request(seq uint32, ext uint8, states ...uint8) []byte {
	return AppendRequest(nil, seq, ext, states...)
}

// AppendRequest appends what [Request] returns to into.
func AppendRequest(into []byte, seq uint32, ext uint8, states ...uint8) []byte {
	into = append(into, make([]byte, sizeofNlmsg+sizeofReq)...)
	b := into[len(into)-sizeofNlmsg-sizeofReq:]
	binary.NativeEndian.PutUint32(b[0:], uint32(len(b)))
	binary.NativeEndian.PutUint16(b[4:], tcpdiagGetsock)
	binary.NativeEndian.PutUint16(b[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	binary.NativeEndian.PutUint32(b[8:], seq)
	b[sizeofNlmsg+3] = ext // idiag_ext
	var mask uint32
	for _, s := range states {
		mask |= 1 << s
	}
	binary.NativeEndian.PutUint32(b[sizeofNlmsg+52:], mask) // idiag_states
	return into
}
