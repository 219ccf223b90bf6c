// SPDX-License-Identifier: Apache-2.0

//go:build linux

package advisor

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/qtune/qtune/tcpq"
)

var overflowing = map[tcpq.Counter][]uint64{
	tcpq.ListenDrops: middle64(10, 700), tcpq.ListenOverflows: middle64(10, 700), tcpq.PassiveOpens: middle64(10, 11),
}

// TestChanges proves which sysctls are proposed, and when they are felt.
func TestChanges(t *testing.T) {
	victim := func(limit uint32, discards uint32) []part {
		return []part{{port: 80, limit: limit, queue: middle(11, limit+1), discards: middle(10, discards)}}
	}
	late := []part{{port: 80, limit: 500, discards: each(10, uint32(5)), queue: each(11, uint32(0)), syn: each(11, half(97, 10)), synBound: tcpq.SynBoundMaxSynBacklog, synMax: 97}}
	refused := map[tcpq.Counter][]uint64{tcpq.ListenDrops: each(10, uint64(5)), tcpq.PassiveOpens: each(10, uint64(9))}
	tests := []struct {
		name string
		play play
		code Code
		want []Change
	}{
		{"somaxconn is no obstacle", play{listeners: victim(128, 700), moved: overflowing}, AcceptQueueOverflow, nil},
		{
			"somaxconn first",
			play{listeners: victim(128, 700), moved: overflowing, sysctls: map[tcpq.Sysctl]int64{tcpq.Somaxconn: 128}},
			AcceptQueueOverflow,
			[]Change{{tcpq.Somaxconn, 128, 2048, false}},
		},
		{
			"syncookies or tcp_max_syn_backlog, both at once",
			play{listeners: late, moved: refused, sysctls: map[tcpq.Sysctl]int64{tcpq.TCPSyncookies: 0, tcpq.TCPMaxSynBacklog: 128}},
			SynBacklogThreeQuarters,
			[]Change{{tcpq.TCPSyncookies, 0, 1, true}, {tcpq.TCPMaxSynBacklog, 128, 256, true}},
		},
		{
			"syncookies first, then a longer limit",
			play{
				listeners: []part{{port: 80, limit: 10, discards: each(10, uint32(50)), queue: each(11, uint32(0)), syn: each(11, half(11, 2))}},
				moved:     map[tcpq.Counter][]uint64{tcpq.ListenDrops: each(10, uint64(50)), tcpq.TCPReqQFullDrop: each(10, uint64(50)), tcpq.PassiveOpens: each(10, uint64(9))},
				sysctls:   map[tcpq.Sysctl]int64{tcpq.TCPSyncookies: 0, tcpq.Somaxconn: 10},
			},
			SynQueueFull,
			[]Change{{tcpq.TCPSyncookies, 0, 1, true}, {tcpq.Somaxconn, 10, 128, false}},
		},
		{
			"a flood is no reason for a longer queue",
			play{
				listeners: []part{{port: 80, limit: 10, discards: each(10, uint32(50)), queue: each(11, uint32(0)), syn: each(11, half(11, 11))}},
				moved:     map[tcpq.Counter][]uint64{tcpq.ListenDrops: each(10, uint64(50)), tcpq.TCPReqQFullDrop: each(10, uint64(50))},
				sysctls:   map[tcpq.Sysctl]int64{tcpq.TCPSyncookies: 0, tcpq.Somaxconn: 10},
			},
			SynFloodSuspected,
			[]Change{{tcpq.TCPSyncookies, 0, 1, true}},
		},
		{
			"cookies only when they are needed",
			play{
				listeners: []part{{port: 80, limit: 10, queue: each(11, uint32(0))}}, sysctls: map[tcpq.Sysctl]int64{tcpq.TCPSyncookies: 2},
				moved: map[tcpq.Counter][]uint64{tcpq.SyncookiesSent: each(10, uint64(5)), tcpq.SyncookiesRecv: each(10, uint64(5))},
			},
			SyncookiesAlways,
			[]Change{{tcpq.TCPSyncookies, 2, 1, true}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := find(t, tt.play.advise(), tt.code)
			if !slices.Equal(f.Changes, tt.want) {
				t.Errorf("changes = %v, want %v", f.Changes, tt.want)
			}
		})
	}
}

// TestTexts proves that a finding says what matters of its case.
func TestTexts(t *testing.T) {
	owner := func(v tcpq.Vitals) play {
		return play{
			listeners: []part{{port: 80, limit: 10, queue: each(11, uint32(11)), discards: each(10, uint32(2)), owner: &tcpq.Owner{PIDs: []int{9}}}},
			moved:     map[tcpq.Counter][]uint64{tcpq.ListenDrops: each(10, uint64(2)), tcpq.ListenOverflows: each(10, uint64(2))},
			vitals:    map[int]tcpq.Vitals{9: v},
		}
	}
	slowly := play{
		listeners: []part{{port: 80, limit: 512, queue: each(11, uint32(512)), owner: &tcpq.Owner{PIDs: []int{9}}}},
		moved:     map[tcpq.Counter][]uint64{tcpq.PassiveOpens: each(10, uint64(85))},
	}
	throttled := slowly
	throttled.vitals = map[int]tcpq.Vitals{9: {Over: time.Second, Ran: true, Periods: 100, Throttled: 71}}
	floodWithout := play{
		listeners: []part{{port: 80, limit: 10, discards: each(10, uint32(50)), queue: each(11, uint32(0)), syn: each(11, half(11, 11))}},
		moved:     map[tcpq.Counter][]uint64{tcpq.ListenDrops: each(10, uint64(50)), tcpq.TCPReqQFullDrop: each(10, uint64(50))}, sysctls: map[tcpq.Sysctl]int64{tcpq.TCPSyncookies: 0},
	}
	floodWith := play{
		listeners: []part{{port: 80, limit: 10, discards: each(10, uint32(50)), queue: each(11, uint32(11))}},
		moved: map[tcpq.Counter][]uint64{
			tcpq.SyncookiesSent: each(10, uint64(50)), tcpq.ListenDrops: each(10, uint64(50)), tcpq.ListenOverflows: each(10, uint64(50)),
		},
	}
	two := play{
		listeners: []part{burst(80), burst(81)},
		moved:     map[tcpq.Counter][]uint64{tcpq.ListenDrops: middle64(10, 30), tcpq.ListenOverflows: middle64(10, 30)},
	}
	tests := []struct {
		name string
		play play
		code Code
		want []string
	}{
		{"how long each waits, and would wait", slowly, ApplicationSlow, []string{"85 accepts a second", "each waits 6.02 s", "limit of 4096 it would be 48.2 s", "A longer queue will not help."}},
		{"that the CPU quota is used up", throttled, ApplicationSlow, []string{"quota of process 9 was used up in 71 % of the periods"}},
		{"that the process is stopped", owner(tcpq.Vitals{Stopped: true}), ApplicationStuck, []string{"11 connections wait", "none was accepted in 10.0 s", "Process 9 is stopped"}},
		{"that the cgroup is frozen", owner(tcpq.Vitals{Frozen: true, Stopped: true}), ApplicationStuck, []string{"frozen"}},
		{"that descriptors are used up", owner(tcpq.Vitals{Descriptors: 64, DescriptorLimit: 64, Ran: true, Over: time.Second}), ApplicationStuck, []string{"64 descriptors open and RLIMIT_NOFILE is 64"}},
		{"that one thread does all the work", owner(tcpq.Vitals{Busiest: 0.99, Threads: 4, Ran: true, Over: time.Second}), ApplicationStuck, []string{"One thread of process 9 ran, or waited for a CPU, 99 % of the time"}},
		{"that nothing of it ran", owner(tcpq.Vitals{Over: time.Second}), ApplicationStuck, []string{"No thread of the process ran"}},
		{"whether cookies are off when a flood has it lose", floodWithout, SynFloodSuspected, []string{"Syncookies are off, so other clients lose, too"}},
		{"and not that they are when they are on", floodWith, SynFloodSuspected, []string{"500 cookies were sent, and 0 came back. 500 packets were refused."}},
		{"whom suspicion is shared with", two, AcceptQueueOverflow, []string{"10 to 20 packets were refused", "suspicion is shared", "10.0.0.1:81"}},
		{"that there was one snapshot", play{listeners: []part{{port: 80, limit: 10, queue: []uint32{11}}}, once: true}, AcceptQueueOverflow, []string{"at this instant", "--for"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := find(t, tt.play.advise(), tt.code)
			for _, want := range tt.want {
				if !strings.Contains(f.Why, want) {
					t.Errorf("why = %q, want %q in it", f.Why, want)
				}
			}
		})
	}
}

// TestNotStuck proves that a program which accepts is never called stuck for what
// the last sample shows of one of its processes.
func TestNotStuck(t *testing.T) {
	atLimit := tcpq.Vitals{Descriptors: 64, DescriptorLimit: 64, Ran: true, Over: time.Second}
	accepts := play{
		listeners: []part{{port: 80, limit: 512, queue: each(11, uint32(513)), discards: each(10, uint32(9)), owner: &tcpq.Owner{PIDs: []int{9}}}},
		moved: map[tcpq.Counter][]uint64{
			tcpq.PassiveOpens: each(10, uint64(500)), tcpq.ListenDrops: each(10, uint64(9)), tcpq.ListenOverflows: each(10, uint64(9)),
		},
	}
	accepts.vitals = map[int]tcpq.Vitals{9: atLimit}
	workers := accepts
	workers.listeners = []part{accepts.listeners[0]}
	workers.listeners[0].owner = &tcpq.Owner{PIDs: []int{9, 10, 11}}
	workers.vitals = map[int]tcpq.Vitals{10: {Ran: true, Over: time.Second}, 11: atLimit}
	for name, p := range map[string]play{"one process at its limit": accepts, "one worker of two": workers} {
		f := find(t, p.advise(), ApplicationSlow)
		if !strings.Contains(f.Why, "500 accepts a second") {
			t.Errorf("%s: why = %q, want the rate", name, f.Why)
		}
	}
}

// TestNoRoom proves that a limit which the bounds do not let grow is not proposed.
func TestNoRoom(t *testing.T) {
	p := play{
		listeners: []part{{port: 80, limit: 65535, queue: middle(11, 65535), discards: middle(10, 700)}}, moved: overflowing,
		sysctls: map[tcpq.Sysctl]int64{tcpq.Somaxconn: 65535},
	}
	f := find(t, p.advise(), AcceptQueueOverflow)
	if len(f.Changes) > 0 || len(f.Hints) > 0 || !strings.Contains(f.Why, "has to become faster") {
		t.Errorf("found %q with changes %v and hints %v, want neither and the reason", f.Why, f.Changes, f.Hints)
	}
}
