// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tcpq

import (
	"regexp"
	"strings"
	"testing"
)

func TestCounterTable(t *testing.T) {
	var bits Counters
	if width := 64; NumCounters > width {
		t.Fatalf("NumCounters = %d, want at most the %d bits of Counters.known", NumCounters, width)
	}
	groups := map[string]bool{"Tcp": true, "TcpExt": true, "nf_conntrack": true, "softnet": true}
	names := regexp.MustCompile(`^[A-Za-z]+$`)
	seen := map[string]bool{}
	before := ""
	for c := range Counter(NumCounters) {
		info := c.Info()
		if info.Name == "" || info.Group == "" || info.Help == "" {
			t.Errorf("Counter(%d).Info() = %+v, want a name, a group and a help", c, info)
		}
		if !names.MatchString(info.Name) || !groups[info.Group] {
			t.Errorf("Counter(%d).Info() = %+v, want a name of the kernel's and a known group", c, info)
		}
		if seen[info.Name] {
			t.Errorf("counter %s is there twice", info.Name)
		}
		seen[info.Name] = true
		if name := strings.ToLower(info.Name); name <= before {
			t.Errorf("counter %s is not sorted: it follows %s", info.Name, before)
		} else {
			before = name
		}
		if !strings.HasSuffix(info.Help, ".") {
			t.Errorf("%v.Info().Help = %q, want a sentence", c, info.Help)
		}
		if strings.HasPrefix(info.Name, "Listen") || strings.HasPrefix(info.Name, "Syncookies") || strings.HasPrefix(info.Name, "TCPReqQ") {
			if info.Elsewhere != "" {
				t.Errorf("%v.Info().Elsewhere = %q, want none: it is about a listen queue", c, info.Elsewhere)
			}
		}
		if got, ok := CounterNamed(info.Group, info.Name); got != c || !ok {
			t.Errorf("CounterNamed(%q, %q) = %v, %t, want %v", info.Group, info.Name, got, ok, c)
		}
		if c.String() != info.Name {
			t.Errorf("Counter(%d).String() = %q, want %q", c, c.String(), info.Name)
		}
		if _, ok := bits.Get(c); ok {
			t.Errorf("Get(%v) is known before Set(%v)", c, c)
		}
		bits.Set(c, uint64(c)+1)
	}
	for c := range Counter(NumCounters) {
		if got, ok := bits.Get(c); got != uint64(c)+1 || !ok {
			t.Errorf("Get(%v) = %d, %t, want %d", c, got, ok, uint64(c)+1)
		}
	}
}

func TestCounterNamedUnknown(t *testing.T) {
	tests := []struct{ name, group, counter string }{
		{"no such counter", "TcpExt", "TCPHPHits"},
		{"the counter of another group", "Tcp", "ListenDrops"},
		{"another spelling", "TcpExt", "listendrops"},
		{"nothing", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if c, ok := CounterNamed(tt.group, tt.counter); ok {
				t.Errorf("CounterNamed(%q, %q) = %v, want none", tt.group, tt.counter, c)
			}
		})
	}
}

func TestSysctlTable(t *testing.T) {
	var bits Sysctls
	if width := 32; NumSysctls > width {
		t.Fatalf("NumSysctls = %d, want at most the %d bits of Sysctls.known", NumSysctls, width)
	}
	names := regexp.MustCompile(`^net\.(core|ipv4)\.[a-z_]+$`)
	seen := map[string]bool{}
	before := ""
	for s := range Sysctl(NumSysctls) {
		info := s.Info()
		if !names.MatchString(info.Name) || info.Help == "" {
			t.Errorf("Sysctl(%d).Info() = %+v, want a name as sysctl(8) spells it and a help", s, info)
		}
		if seen[info.Name] {
			t.Errorf("sysctl %s is there twice", info.Name)
		}
		seen[info.Name] = true
		if info.Name <= before {
			t.Errorf("sysctl %s is not sorted: it follows %s", info.Name, before)
		}
		before = info.Name
		if !strings.HasSuffix(info.Help, ".") {
			t.Errorf("%v.Info().Help = %q, want a sentence", s, info.Help)
		}
		if since := info.PerNetns; (since[0] == 0) != (since == [2]int{}) || since[0] > 0 && since[0] < 2 {
			t.Errorf("%v.Info().PerNetns = %v, want a kernel or zero", s, since)
		}
		if s.String() != info.Name {
			t.Errorf("Sysctl(%d).String() = %q, want %q", s, s.String(), info.Name)
		}
		if _, ok := bits.Get(s); ok {
			t.Errorf("Get(%v) is known before Set(%v)", s, s)
		}
		bits.Set(s, -int64(s)-1)
		if bits.HostWide(s) {
			t.Errorf("HostWide(%v) = true after Set(%v), want false", s, s)
		}
	}
	for s := range Sysctl(NumSysctls) {
		if got, ok := bits.Get(s); got != -int64(s)-1 || !ok {
			t.Errorf("Get(%v) = %d, %t, want %d", s, got, ok, -int64(s)-1)
		}
	}
}

func TestSysctlHostWide(t *testing.T) {
	tests := []struct {
		name    string
		sysctl  Sysctl
		version Version
		want    bool
	}{
		{"somaxconn never was", Somaxconn, Version{Major: 3, Minor: 10}, false},
		{"netdev_max_backlog always is", NetdevMaxBacklog, Version{Major: 7, Minor: 2}, true},
		{"tcp_max_syn_backlog was up to 4.10", TCPMaxSynBacklog, Version{Major: 4, Minor: 10}, true},
		{"tcp_max_syn_backlog is not from 4.11", TCPMaxSynBacklog, Version{Major: 4, Minor: 11}, false},
		{"tcp_syncookies was in 4.4", TCPSyncookies, Version{Major: 4, Minor: 4}, true},
		{"tcp_syncookies is not in 4.9", TCPSyncookies, Version{Major: 4, Minor: 9}, false},
		{"tcp_synack_retries was in 3.10", TCPSynackRetries, Version{Major: 3, Minor: 10}, true},
		{"tcp_synack_retries is not in 4.9", TCPSynackRetries, Version{Major: 4, Minor: 9}, false},
		{"tcp_abort_on_overflow was in 4.9", TCPAbortOnOverflow, Version{Major: 4, Minor: 9}, true},
		{"tcp_abort_on_overflow is not in 4.19", TCPAbortOnOverflow, Version{Major: 4, Minor: 19}, false},
		{"tcp_fastopen was in 4.9", TCPFastopen, Version{Major: 4, Minor: 9}, true},
		{"tcp_fastopen is not in 4.19", TCPFastopen, Version{Major: 4, Minor: 19}, false},
		{"tcp_migrate_req never was: 5.10.188 got it from 5.14", TCPMigrateReq, Version{Major: 5, Minor: 10}, false},
		{"tcp_child_ehash_entries is not in 6.1", TCPChildEhashEntries, Version{Major: 6, Minor: 1}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.sysctl.HostWide(tt.version); got != tt.want {
				t.Errorf("%v.HostWide(%v) = %t, want %t", tt.sysctl, tt.version, got, tt.want)
			}
		})
	}
	var s Sysctls
	s.SetHostWide(NetdevMaxBacklog, 1000)
	if v, ok := s.Get(NetdevMaxBacklog); v != 1000 || !ok || !s.HostWide(NetdevMaxBacklog) || s.HostWide(Somaxconn) {
		t.Errorf("after SetHostWide(netdev_max_backlog, 1000): Get = %d, %t, HostWide = %t, of somaxconn %t, want 1000, true, true, false",
			v, ok, s.HostWide(NetdevMaxBacklog), s.HostWide(Somaxconn))
	}
}
