// SPDX-License-Identifier: Apache-2.0

//go:build linux

package inetdiag

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

// words are u32 of a structure.
func words(n ...uint32) (b []byte) {
	for _, w := range n {
		b = binary.NativeEndian.AppendUint32(b, w)
	}
	return b
}

func TestParseAttributes(t *testing.T) {
	mptcp := attribute(ulpName, []byte("mptcp\x00")...)
	tests := []struct {
		name string
		b    []byte
		want Socket // beside family, state and cookie
	}{
		{"none", nil, Socket{}},
		{"one that is not known", attribute(5, 0), Socket{}},
		{"one of the future", attribute(900, 1, 2, 3, 4), Socket{}},
		{"drops", attribute(attrSkMemInfo, words(0, 1, 2, 3, 4, 5, 6, 7, 88)...), Socket{Drops: 88, Flags: HasDrops | FullSocket}},
		{"drops of 0 were sent, too", attribute(attrSkMemInfo, words(0, 1, 2, 3, 4, 5, 6, 7, 0)...), Socket{Flags: HasDrops | FullSocket}},
		{"the largest count of drops", attribute(attrSkMemInfo, words(0, 1, 2, 3, 4, 5, 6, 7, 1<<32-1)...), Socket{Drops: 1<<32 - 1, Flags: HasDrops | FullSocket}},
		{"a later kernel's SKMEMINFO is longer", attribute(attrSkMemInfo, words(0, 1, 2, 3, 4, 5, 6, 7, 88, 99, 111)...), Socket{Drops: 88, Flags: HasDrops | FullSocket}},
		{"Linux 4.4 sends 8 numbers: no drops", attribute(attrSkMemInfo, words(0, 1, 2, 3, 4, 5, 6, 7)...), Socket{Flags: FullSocket}},
		{"drops cut off", attribute(attrSkMemInfo, words(0, 1, 2, 3, 4, 5, 6, 7, 88)[:35]...), Socket{Flags: FullSocket}},
		{"an empty SKMEMINFO", attribute(attrSkMemInfo), Socket{Flags: FullSocket}},
		{"cgroup", attribute(attrCgroupID, words(0x1234, 0x5)...), Socket{Cgroup: 0x5_0000_1234}},
		{"a cgroup id cut off", attribute(attrCgroupID, words(0x1234, 0x5)[:7]...), Socket{}},
		{"a cgroup with the nested flag", attribute(attrCgroupID|unix.NLA_F_NESTED, words(9, 0)...), Socket{Cgroup: 9}},
		{"v6only", attribute(attrV6Only, 1), Socket{Flags: V6Only}},
		{"not v6only", attribute(attrV6Only, 0), Socket{}},
		{"v6only without a value", attribute(attrV6Only), Socket{}},
		{"transparent", attribute(attrSockopt, 1<<5, 0), Socket{Flags: Transparent | FullSocket}},
		{"every other socket option", attribute(attrSockopt, 0xff&^(1<<5), 0xff), Socket{Flags: FullSocket}},
		{"no socket options", attribute(attrSockopt), Socket{Flags: FullSocket}},
		{"shutdown", attribute(attrShutdown, 0), Socket{Flags: FullSocket}},
		{"info is not kept", attribute(attrInfo, make([]byte, 240)...), Socket{}},
		{"mptcp", attribute(attrULPInfo, mptcp...), Socket{Flags: MPTCP}},
		{"mptcp after another nested one", attribute(attrULPInfo, append(attribute(3, 1, 2), mptcp...)...), Socket{Flags: MPTCP}},
		{"mptcp, nested flag set", attribute(attrULPInfo, attribute(ulpName|unix.NLA_F_NESTED, []byte("mptcp\x00")...)...), Socket{Flags: MPTCP}},
		{"tls is not mptcp", attribute(attrULPInfo, attribute(ulpName, []byte("tls\x00")...)...), Socket{}},
		{"a longer name is not mptcp", attribute(attrULPInfo, attribute(ulpName, []byte("mptcp2\x00")...)...), Socket{}},
		{"a name without its end is not mptcp", attribute(attrULPInfo, attribute(ulpName, []byte("mptcp")...)...), Socket{}},
		{"an empty ULP", attribute(attrULPInfo), Socket{}},
		{"a broken ULP", attribute(attrULPInfo, 3, 0, 1, 0), Socket{}},
		{"a ULP too long", attribute(attrULPInfo, 99, 0, 1, 0), Socket{}},
		{
			"all together", bytes.Join([][]byte{
				attribute(attrSkMemInfo, words(0, 1, 2, 3, 4, 5, 6, 7, 88)...), attribute(attrV6Only, 1),
				attribute(attrULPInfo, mptcp...), attribute(attrCgroupID, words(9, 0)...), attribute(attrSockopt, 1<<5, 0),
			}, nil),
			Socket{Drops: 88, Cgroup: 9, Flags: HasDrops | V6Only | MPTCP | Transparent | FullSocket},
		},
		{"the last one without its padding", attribute(attrV6Only, 1)[:5], Socket{Flags: V6Only}},
		{"bytes too few for an attribute", []byte{1, 2, 3}, Socket{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.want.Family, tt.want.State, tt.want.Cookie = unix.AF_INET, Listen, 1
			got := Socket{Drops: 5, Flags: MPTCP, Cgroup: 4} // of the one before
			if err := got.parse(diagMsg(1, tt.b)); err != nil || got != tt.want {
				t.Errorf("parse(%x) = %+v, %v, want %+v", tt.b, got, err, tt.want)
			}
		})
	}
}

func TestParseBrokenAttributes(t *testing.T) {
	tests := []struct {
		name string
		b    []byte
	}{
		{"of 0 bytes", []byte{0, 0, attrV6Only, 0}},
		{"of 3 bytes", []byte{3, 0, attrV6Only, 0}},
		{"one byte too long", []byte{6, 0, attrV6Only, 0, 1}},
		{"of the most bytes", []byte{255, 255, attrV6Only, 0, 1}},
		{"broken after a good one", append(attribute(attrV6Only, 1), 0, 0, 0, 0)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var s Socket
			if err := s.parse(diagMsg(1, tt.b)); !errors.Is(err, ErrShort) {
				t.Errorf("parse(%x) = %v, want %v", tt.b, err, ErrShort)
			}
		})
	}
}

// TestSilent proves which half-open peers count as silent: those whose SYN-ACK was
// repeated.
func TestSilent(t *testing.T) {
	tests := []struct {
		name    string
		state   uint8
		retrans byte
		want    bool
	}{
		{"a fresh peer", SynRecv, 0, false},
		{"after the first repetition", SynRecv, 1, true},
		{"after the last", SynRecv, 5, true},
		{"a connection that repeats data", 1, 1, false},
	}
	for _, tt := range tests {
		b := diagMsg(0)
		b[1], b[3] = tt.state, tt.retrans
		var s Socket
		if err := s.parse(b); err != nil || s.Has(Silent) != tt.want {
			t.Errorf("%s: silent %t, %v, want %t", tt.name, s.Has(Silent), err, tt.want)
		}
	}
}

func TestParseFields(t *testing.T) {
	b := diagMsg(0)
	b[0], b[1] = unix.AF_INET6, SynRecv
	copy(b[4:], []byte{0x1f, 0x90, 0xab, 0xcd}) // local port, peer's port
	local, peer := netip.MustParseAddr("2001:db8::1").As16(), netip.MustParseAddr("2001:db8::2").As16()
	copy(b[8:], local[:])
	copy(b[24:], peer[:])
	binary.NativeEndian.PutUint32(b[40:], 4)          // idiag_if
	binary.NativeEndian.PutUint32(b[44:], 0x89abcdef) // idiag_cookie
	binary.NativeEndian.PutUint32(b[48:], 0x01234567)
	binary.NativeEndian.PutUint32(b[52:], 99) // idiag_expires
	binary.NativeEndian.PutUint32(b[56:], 1<<32-1)
	binary.NativeEndian.PutUint32(b[60:], 1<<31-1)
	binary.NativeEndian.PutUint32(b[64:], 1000)
	binary.NativeEndian.PutUint32(b[68:], 4711)
	want := Socket{
		Family: unix.AF_INET6, State: SynRecv, Port: 8080, Ifindex: 4, Addr: local, Cookie: 0x0123456789abcdef,
		RQueue: 1<<32 - 1, WQueue: 1<<31 - 1, UID: 1000, Inode: 4711,
	}
	var got Socket
	if err := got.parse(b); err != nil || got != want {
		t.Errorf("parse = %+v, %v, want %+v", got, err, want)
	}
	if addr := got.LocalAddr(); addr != netip.MustParseAddr("2001:db8::1") {
		t.Errorf("LocalAddr() = %v, want 2001:db8::1", addr)
	}
	if !got.Has(0) || got.Has(HasDrops) || got.Has(V6Only|MPTCP) {
		t.Errorf("Has = %t, %t, %t, want true, false, false", got.Has(0), got.Has(HasDrops), got.Has(V6Only|MPTCP))
	}
	got.Flags = V6Only
	if got.Has(V6Only | MPTCP) {
		t.Error("Has(V6Only|MPTCP) with one of them = true, want false")
	}
}

func TestRequest(t *testing.T) {
	tests := []struct {
		name   string
		ext    uint8
		states []uint8
		mask   uint32
	}{
		{"LISTEN alone", ExtSkMemInfo | ExtInfo, []uint8{Listen}, 1 << 10},
		{"SYN_RECV alone", 0, []uint8{SynRecv}, 1 << 3},
		{"no state", 0, nil, 0},
		{"two states", ExtSkMemInfo, []uint8{SynRecv, Listen}, 1<<10 | 1<<3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := Request(0x01020304, tt.ext, tt.states...)
			want := make([]byte, 16+60)
			binary.NativeEndian.PutUint32(want[0:], 76)
			binary.NativeEndian.PutUint16(want[4:], 18)    // TCPDIAG_GETSOCK
			binary.NativeEndian.PutUint16(want[6:], 0x301) // NLM_F_REQUEST|NLM_F_DUMP
			binary.NativeEndian.PutUint32(want[8:], 0x01020304)
			want[16+3] = tt.ext
			binary.NativeEndian.PutUint32(want[16+52:], tt.mask)
			if !bytes.Equal(got, want) {
				t.Errorf("Request(0x01020304, %#x, %v) = %x, want %x", tt.ext, tt.states, got, want)
			}
		})
	}
	if ExtInfo != 1<<1 || ExtSkMemInfo != 1<<6 {
		t.Errorf("ExtInfo, ExtSkMemInfo = %#x, %#x, want 0x2, 0x40", ExtInfo, ExtSkMemInfo)
	}
}
