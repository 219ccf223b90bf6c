// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tcpq

import (
	"net/netip"
	"testing"
)

func TestListenerName(t *testing.T) {
	tests := []struct {
		name, addr, device string
		port               uint16
		want, family       string
	}{
		{"the wildcard", "0.0.0.0", "", 80, "0.0.0.0:80", "ipv4"},
		{"one address", "127.0.0.1", "", 65535, "127.0.0.1:65535", "ipv4"},
		{"the wildcard of IPv6", "::", "", 80, "[::]:80", "ipv6"},
		{"loopback", "::1", "", 443, "[::1]:443", "ipv6"},
		{"a mapped address is an IPv6 socket's", "::ffff:127.0.0.1", "", 80, "[::ffff:127.0.0.1]:80", "ipv6"},
		{"a device", "0.0.0.0", "eth0", 80, "0.0.0.0%eth0:80", "ipv4"},
		{"a device of IPv6", "fe80::1", "eth0", 80, "[fe80::1%eth0]:80", "ipv6"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := Listener{Addr: netip.MustParseAddr(tt.addr), Port: tt.port, Device: tt.device}
			if got := l.Name(); got != tt.want {
				t.Errorf("Name() of %s, %d, %q = %q, want %q", tt.addr, tt.port, tt.device, got, tt.want)
			}
			if got := l.Family(); got != tt.family {
				t.Errorf("Family() of %s = %q, want %q", tt.addr, got, tt.family)
			}
		})
	}
}
