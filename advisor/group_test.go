// SPDX-License-Identifier: Apache-2.0

//go:build linux

package advisor

import (
	"slices"
	"strings"
	"testing"

	"github.com/qtune/qtune/tcpq"
)

// TestMemberNeed proves what a member of a reuse-port group needs of its SYN queue.
// Peers and limit are known of the group as a whole, what was refused of the member.
func TestMemberNeed(t *testing.T) {
	tests := []struct {
		name    string
		members int
		syn     tcpq.SynQueue // of the group
		seen    tcpq.ListenerWindow
		want    uint64
		limit   uint32
	}{
		{"one alone had as many as were seen", 1, limited(10), tcpq.ListenerWindow{SynPeak: 12}, 12, 10},
		{"and those that were refused", 1, limited(10), tcpq.ListenerWindow{SynPeak: 11, Worst: 50}, 61, 10},
		{"where none was counted, as many as it may", 1, limited(10), tcpq.ListenerWindow{Worst: 50}, 60, 10},
		{"of four each had a quarter", 4, limited(40), tcpq.ListenerWindow{SynPeak: 44}, 11, 10},
		{"rounded up", 4, limited(40), tcpq.ListenerWindow{SynPeak: 45}, 12, 10},
		{"and what it refused itself", 4, limited(40), tcpq.ListenerWindow{SynPeak: 44, Worst: 50}, 61, 10},
		{"members that nobody counted are one", 0, limited(10), tcpq.ListenerWindow{}, 10, 10},
	}
	for _, tt := range tests {
		tt.syn.Members = tt.members
		l := subject{l: &tcpq.Listener{Syn: tt.syn}, seen: tt.seen}
		if got := l.synNeed(); got != tt.want {
			t.Errorf("%s: synNeed() = %d, want %d", tt.name, got, tt.want)
		}
		if got := l.synMax(); got != tt.limit {
			t.Errorf("%s: synMax() = %d, want %d", tt.name, got, tt.limit)
		}
	}
}

func limited(n uint32) tcpq.SynQueue {
	return tcpq.SynQueue{Queue: tcpq.Queue{Max: n}, MaxKnown: true}
}

// TestMembersAdvice proves that the members of a group are told their own numbers.
func TestMembersAdvice(t *testing.T) {
	member := part{
		port: 80, limit: 500, discards: each(10, uint32(53)), queue: each(11, uint32(0)), syn: each(11, half(388, 40)),
		synBound: tcpq.SynBoundMaxSynBacklog, synMax: 4 * 97,
	}
	p := play{
		listeners: grouped(member, member, member, member),
		moved:     map[tcpq.Counter][]uint64{tcpq.ListenDrops: each(10, uint64(4*53)), tcpq.PassiveOpens: each(10, uint64(90))},
		sysctls:   map[tcpq.Sysctl]int64{tcpq.TCPSyncookies: 0, tcpq.TCPMaxSynBacklog: 128},
	}
	f := find(t, p.advise(), SynBacklogThreeQuarters)
	if want := "tcp_max_syn_backlog is 128: beyond 97 half-open peers"; !strings.Contains(f.Why, want) {
		t.Errorf("why = %q, want %q in it", f.Why, want)
	}
	if !slices.ContainsFunc(f.Evidence, func(e Evidence) bool { return e.Name == "SYN queue limit of all 4 members" && e.Value == 388 }) {
		t.Errorf("evidence = %v, want it to say that the numbers are the group's", f.Evidence)
	}
	// 97 and 53 refused are three quarters of 200, with headroom 300.
	if want := []Change{{tcpq.TCPSyncookies, 0, 1, true}, {tcpq.TCPMaxSynBacklog, 128, 512, true}}; !slices.Equal(f.Changes, want) {
		t.Errorf("changes = %v, want %v", f.Changes, want)
	}
}
