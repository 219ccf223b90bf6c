// SPDX-License-Identifier: Apache-2.0

//go:build linux

package selftest

import (
	"net/netip"
	"testing"
)

func TestSegmentComesBack(t *testing.T) {
	want := Segment{
		From: netip.MustParseAddrPort("10.0.0.1:1025"), To: netip.MustParseAddrPort("192.0.2.1:8080"),
		Flags: PSH | ACK, Seq: 1001, Ack: 7, Data: []byte("odd"),
	}
	packet := want.Packet()
	got, ok := ParseIPv4(packet)
	if !ok || got.From != want.From || got.To != want.To || got.Flags != want.Flags || got.Seq != want.Seq || got.Ack != want.Ack {
		t.Errorf("parseIPv4 = %+v, %t, want %+v", got, ok, want)
	}
	if sum := checksum(packet[:ipv4Header]); sum != 0 {
		t.Errorf("the sum over the header with its checksum is %#x, want 0", sum)
	}
}

// TestChecksum has the example of RFC 1071 and one of odd length.
func TestChecksum(t *testing.T) {
	for _, tt := range []struct {
		b    []byte
		want uint16
	}{
		{[]byte{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7}, ^uint16(0xddf2)},
		{[]byte{0x01}, ^uint16(0x0100)},
		{nil, 0xffff},
	} {
		if got := checksum(tt.b); got != tt.want {
			t.Errorf("checksum(%x) = %#x, want %#x", tt.b, got, tt.want)
		}
	}
}

func FuzzParseIPv4(f *testing.F) {
	s := Segment{From: netip.MustParseAddrPort("10.0.0.1:1"), To: netip.MustParseAddrPort("192.0.2.1:2"), Flags: SYN}
	f.Add(s.Packet())
	f.Add([]byte{0x4f})
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, ok := ParseIPv4(b); ok && (!s.From.IsValid() || !s.To.IsValid() || len(b) < ipv4Header+tcpHeader) {
			t.Errorf("ParseIPv4(%x) = %+v", b, s)
		}
	})
}
