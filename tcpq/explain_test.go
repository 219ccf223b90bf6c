// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tcpq

import (
	"strings"
	"testing"
)

// TestExplainAcceptObserved holds what was seen on the kernels themselves: how
// many connections were established while nobody accepted.
func TestExplainAcceptObserved(t *testing.T) {
	type row struct {
		backlog    int32
		somaxconn  int64
		syncookies int64
		want       uint64 // on 6.18 and 6.1
		want5_10   uint64
	}
	for _, tt := range []row{
		{0, 4096, 0, 1, 0},
		{0, 4096, 1, 1, 1},
		{0, 4096, 2, 1, 1},
		{1, 4096, 0, 2, 2},
		{1, 4096, 1, 2, 2},
		{4, 4096, 0, 5, 5},
		{4, 4096, 1, 5, 5},
		{128, 4096, 0, 129, 129},
		{128, 4096, 1, 129, 129},
		{128, 4096, 2, 129, 129},
		{-1, 50, 1, 51, 51},
		{1000, 10, 1, 11, 11},
		{5, 0, 1, 1, 1},
	} {
		for _, v := range tested {
			want := tt.want
			if v == v5_10 {
				want = tt.want5_10
			}
			s := Setup{v, tt.backlog, tt.somaxconn, 2048, tt.syncookies}
			e := s.Explain()
			got := e.Capacity
			if e.Unreachable {
				got = 0
			}
			if got != want {
				t.Errorf("%+v: holds %d, want %d", s, got, want)
			}
		}
	}
}

func TestAcceptLimit(t *testing.T) {
	v3_10 := Version{Major: 3, Minor: 10}
	tests := []struct {
		name      string
		v         Version
		backlog   int32
		somaxconn int64
		want      uint32
	}{
		{"below somaxconn", v6_18, 128, 4096, 128},
		{"cut down to somaxconn", v6_18, 5000, 4096, 4096},
		{"equal", v6_18, 4096, 4096, 4096},
		{"a negative backlog is somaxconn", v6_18, -1, 50, 50},
		{"the largest of both", v6_18, -1, 1<<31 - 1, 1<<31 - 1},
		{"16 bits hold 65535", v3_10, -1, 65535, 65535},
		{"and of 65536 nothing", v3_10, 65536, 65536, 0},
		{"and of 65664 its rest", v3_10, 65664, 262144, 128},
		{"not since 4.1", Version{Major: 4, Minor: 1}, 65536, 65536, 65536},
	}
	for _, tt := range tests {
		if got := AcceptLimit(tt.v, tt.backlog, tt.somaxconn); got != tt.want {
			t.Errorf("%s: AcceptLimit(%v, %d, %d) = %d, want %d", tt.name, tt.v, tt.backlog, tt.somaxconn, got, tt.want)
		}
	}
}

// TestSynTable holds the sizes of the table that el7 makes.
func TestSynTable(t *testing.T) {
	el7 := Version{Major: 3, Minor: 10, Vendor: "el7", Patches: PatchHidden}
	for limit, want := range map[uint32]uint32{1: 16, 8: 16, 9: 16, 16: 32, 127: 128, 128: 256, 1024: 2048} {
		if got, _ := SynQueueMax(el7, limit, 4096, 1); got != want {
			t.Errorf("SynQueueMax(el7, %d) = %d, want %d", limit, got, want)
		}
	}
	if got, by := SynQueueMax(el7, 1024, 128, 1); got != 256 || by != SynBoundMaxSynBacklog {
		t.Errorf("SynQueueMax(el7, 1024, tcp_max_syn_backlog 128) = %d, %s, want 256 by tcp_max_syn_backlog", got, by)
	}
	if got, by := SynQueueMax(el7, 1024, 128, 0); got != 97 || by != SynBoundMaxSynBacklog {
		t.Errorf("the same without syncookies = %d, %s, want 97 by tcp_max_syn_backlog", got, by)
	}
	if got, _ := SynQueueMax(el7, 1024, 128, 2); got != 0 {
		t.Errorf("with syncookies 2 = %d, want 0: el7 has that mode", got)
	}
	if got, _ := SynQueueMax(Version{Major: 3, Minor: 10}, 1024, 4096, 2); got != 2048 {
		t.Errorf("3.10 with syncookies 2 = %d, want 2048: it has not", got)
	}
}

// TestUndecided proves for which kernels only a trial tells the test of a full
// SYN queue.
func TestUndecided(t *testing.T) {
	tests := []struct {
		release, line string
		want          bool
	}{
		{"6.18.44", "", false},
		{"7.3.0", "", false},
		{"5.10.223", "", false},
		{"3.10.0-1160.el7.x86_64", "", false},
		{"5.14.0-503.el9", "", true},
		{"5.15.0-91-generic", "#101-Ubuntu", true},
		{"5.4.273", "", true},
		{"6.8.12-4-pve", "", true},
		{"6.14.0-27-generic", "#27-Ubuntu", false},
	}
	for _, tt := range tests {
		v, err := ParseVersion(tt.release, tt.line)
		if err != nil || v.Undecided() != tt.want {
			t.Errorf("%s: undecided %t, %v, want %t", tt.release, v.Undecided(), err, tt.want)
		}
		v.SynFull = SynFullAbove
		if v.Undecided() || !v.Has(SynFullAboveLimit) {
			t.Errorf("%s: a trial that showed the new test is not believed", tt.release)
		}
		v.SynFull = SynFullAt
		if v.Has(SynFullAboveLimit) {
			t.Errorf("%s: a trial that showed the old test is not believed", tt.release)
		}
	}
}

func TestRules(t *testing.T) {
	ids := map[string]bool{}
	for r := range Rule(NumRules) {
		info := r.Info()
		if info.ID == "" || ids[info.ID] || strings.ToLower(info.ID) != info.ID || strings.Contains(info.ID, " ") {
			t.Errorf("rule %d has id %q", r, info.ID)
		}
		ids[info.ID] = true
		if !strings.HasSuffix(info.Says, ".") || info.Where == "" {
			t.Errorf("%s says %q, where %q", r, info.Says, info.Where)
		}
		switch info.Proof {
		case Measured, Read, Known:
		default:
			t.Errorf("%s is proved by %q", r, info.Proof)
		}
		if info.Proof == Measured && !strings.ContainsAny(info.Where, "567") {
			t.Errorf("%s was measured, on which kernel? %q", r, info.Where)
		}
		for branch, patch := range info.Stable {
			if patch <= 0 || branch[0] > info.Since[0] || branch[0] == info.Since[0] && branch[1] >= info.Since[1] {
				t.Errorf("%s was taken by %v from %d on, though it came with %v", r, branch, patch, info.Since)
			}
		}
	}
}

func TestEffects(t *testing.T) {
	s := Setup{v6_18, 511, 4096, 128, 0}
	got := map[string]Effect{}
	for _, e := range s.Effects() {
		got[e.Key] = e
	}
	if e := got["backlog"]; e.Now.Limit != 511 || e.Relisten.Limit != 1022 {
		t.Errorf("a longer backlog: now %d, after listen(2) %d, want 511 and 1022", e.Now.Limit, e.Relisten.Limit)
	}
	if e := got["net.core.somaxconn"]; e.Now.Limit != 511 || e.Relisten.Limit != 511 {
		t.Errorf("a larger somaxconn: now %d, after listen(2) %d, want 511 twice", e.Now.Limit, e.Relisten.Limit)
	}
	if e := got["net.ipv4.tcp_max_syn_backlog"]; e.Now.Syn != 193 || e.Relisten.Syn != 193 {
		t.Errorf("a larger tcp_max_syn_backlog: now %d, after listen(2) %d, want 193 twice", e.Now.Syn, e.Relisten.Syn)
	}
	if e := got["net.ipv4.tcp_syncookies"]; e.To != 1 || e.Now.Syn != 512 {
		t.Errorf("syncookies %d: now %d, want 512 at 1", e.To, e.Now.Syn)
	}
	for _, e := range (&Setup{Version{Major: 3, Minor: 10}, 1024, 4096, 128, 1}).Effects() {
		if e.Key == "net.ipv4.tcp_max_syn_backlog" && (e.Now.Syn != 256 || e.Relisten.Syn != 512) {
			t.Errorf("on 3.10 a larger tcp_max_syn_backlog: now %d, after listen(2) %d, want 256 and 512", e.Now.Syn, e.Relisten.Syn)
		}
	}
}

// TestEffectsOnlyRaise proves that no number is proposed that is lower than what
// there is, however large that is.
func TestEffectsOnlyRaise(t *testing.T) {
	for _, s := range []Setup{
		{v6_18, 0, 0, 0, 1},
		{v6_18, 1, 1, -1, 0},
		{v6_18, 511, 4096, 2048, 1},
		{v6_18, 1 << 20, 1 << 20, 1 << 20, 2},
		{v6_18, 1<<31 - 1, 1<<31 - 1, 1<<31 - 1, 0},
		{v6_18, 3 << 19, 3 << 19, 3 << 19, 0},
	} {
		for _, e := range s.Effects() {
			if e.Key != TCPSyncookies.String() && e.To <= e.From {
				t.Errorf("%+v: %s from %d to %d, want more", s, e.Key, e.From, e.To)
			}
		}
	}
}

func TestMemory(t *testing.T) {
	e := (&Setup{v6_18, 65535, 65535, 2048, 2}).Explain()
	if idle, worst := e.Memory(); idle != 65536*2688 || worst != 65536*(2688+131072) {
		t.Errorf("Memory() = %d, %d, want 176160768 and 8766095360", idle, worst)
	}
}
