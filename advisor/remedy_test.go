// SPDX-License-Identifier: Apache-2.0

//go:build linux

package advisor

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/qtune/qtune/policy"
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
			"a longer limit, too, where the listener would refuse the rest",
			play{
				listeners: []part{{
					port: 80, limit: 128, discards: each(10, uint32(53)), queue: each(11, uint32(0)), syn: each(11, half(97, 10)),
					synBound: tcpq.SynBoundMaxSynBacklog, synMax: 97,
				}},
				moved:   map[tcpq.Counter][]uint64{tcpq.ListenDrops: each(10, uint64(53)), tcpq.PassiveOpens: each(10, uint64(9))},
				sysctls: map[tcpq.Sysctl]int64{tcpq.TCPSyncookies: 0, tcpq.TCPMaxSynBacklog: 128, tcpq.Somaxconn: 128},
			},
			SynBacklogThreeQuarters,
			[]Change{{tcpq.TCPSyncookies, 0, 1, true}, {tcpq.TCPMaxSynBacklog, 128, 512, true}, {tcpq.Somaxconn, 128, 256, false}},
		},
		{
			"a larger tcp_max_syn_backlog, too, where its three quarters would refuse the rest",
			play{
				listeners: []part{{port: 80, limit: 10, discards: each(10, uint32(99)), queue: each(11, uint32(0)), syn: each(11, half(11, 2))}},
				moved:     map[tcpq.Counter][]uint64{tcpq.ListenDrops: each(10, uint64(99)), tcpq.TCPReqQFullDrop: each(10, uint64(99)), tcpq.PassiveOpens: each(10, uint64(9))},
				sysctls:   map[tcpq.Sysctl]int64{tcpq.TCPSyncookies: 0, tcpq.TCPMaxSynBacklog: 128},
			},
			SynQueueFull,
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
	shared := slowly
	shared.listeners = append([]part{{port: 81, limit: 10, queue: each(11, uint32(0))}}, slowly.listeners...)
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
	floodBeside := play{
		listeners: []part{{port: 80, limit: 128, queue: each(11, uint32(0)), syn: each(11, half(100, 90))}, {port: 81, limit: 10, queue: each(11, uint32(0))}},
		moved:     map[tcpq.Counter][]uint64{tcpq.ListenDrops: middle64(10, 5), tcpq.PassiveOpens: each(10, uint64(9))},
	}
	floodUncounted := floodBeside
	floodUncounted.uncounted = tcpq.ListenDrops
	neverAsked := play{
		listeners: []part{{port: 80, limit: 0, queue: middle(11, 1), discards: middle(10, 20)}}, sysctls: map[tcpq.Sysctl]int64{tcpq.Somaxconn: 0},
		moved: map[tcpq.Counter][]uint64{tcpq.ListenDrops: middle64(10, 20), tcpq.ListenOverflows: middle64(10, 20), tcpq.PassiveOpens: middle64(10, 2)},
	}
	mute := play{
		kernel:    tcpq.Version{Major: 4, Minor: 4, Patch: 178},
		listeners: []part{{port: 80, limit: 10, queue: middle(11, 11), mute: true}, {port: 81, limit: 10, queue: each(11, uint32(0)), mute: true}},
		moved:     map[tcpq.Counter][]uint64{tcpq.ListenDrops: middle64(10, 20), tcpq.ListenOverflows: middle64(10, 20)},
	}
	closed := play{
		listeners: []part{
			{port: 80, limit: 10, queue: each(11, uint32(0)), discards: middle(10, 20)},
			{port: 81, limit: 10, queue: each(11, uint32(0)), discards: middle(10, 20)},
			{port: 82, limit: 10, queue: each(3, uint32(0)), until: 3},
		},
		moved: map[tcpq.Counter][]uint64{tcpq.ListenDrops: middle64(10, 20), tcpq.ListenOverflows: middle64(10, 20)},
	}
	muteUnseen := mute
	muteUnseen.listeners = []part{mute.listeners[1]}
	tabled := play{
		kernel: tcpq.Version{Major: 3, Minor: 10}, sysctls: map[tcpq.Sysctl]int64{tcpq.TCPSyncookies: 0},
		listeners: []part{{port: 80, limit: 10, discards: each(10, uint32(5)), queue: each(11, uint32(0)), syn: each(11, half(16, 2)), synBound: tcpq.SynBoundListener, synMax: 16}},
		moved:     map[tcpq.Counter][]uint64{tcpq.ListenDrops: each(10, uint64(5)), tcpq.TCPReqQFullDrop: each(10, uint64(5)), tcpq.PassiveOpens: each(10, uint64(9))},
	}
	aborts := play{
		listeners: []part{burst(80)}, sysctls: map[tcpq.Sysctl]int64{tcpq.TCPAbortOnOverflow: 2},
		moved: map[tcpq.Counter][]uint64{tcpq.ListenDrops: middle64(10, 20), tcpq.ListenOverflows: middle64(10, 20)},
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
		{"that others may have been accepted faster", shared, ApplicationSlow, []string{"at most each waits at least 6.02 s", "it would be at least 48.2 s"}},
		{"that the CPU quota is used up", throttled, ApplicationSlow, []string{"quota of process 9 was used up in 71 % of the periods"}},
		{"that the process is stopped", owner(tcpq.Vitals{Stopped: true}), ApplicationStuck, []string{"11 connections wait", "none was accepted in 10.0 s", "Process 9 is stopped"}},
		{"that the cgroup is frozen", owner(tcpq.Vitals{Frozen: true, Stopped: true}), ApplicationStuck, []string{"frozen"}},
		{"that descriptors are used up", owner(tcpq.Vitals{Descriptors: 64, DescriptorLimit: 64, Ran: true, Over: time.Second}), ApplicationStuck, []string{"64 descriptors open and RLIMIT_NOFILE is 64"}},
		{"that one thread does all the work", owner(tcpq.Vitals{Busiest: 0.99, Threads: 4, Ran: true, Over: time.Second}), ApplicationStuck, []string{"One thread of process 9 ran, or waited for a CPU, 99 % of the time"}},
		{"that nothing of it ran", owner(tcpq.Vitals{Over: time.Second}), ApplicationStuck, []string{"No thread of the process ran"}},
		{"whether cookies are off when a flood has it lose", floodWithout, SynFloodSuspected, []string{"Syncookies are off, so other clients lose, too"}},
		{"and not that they are when they are on", floodWith, SynFloodSuspected, []string{"500 cookies were sent, and 0 came back. 500 packets were refused."}},
		{"that nobody knows whose the refused packets were", floodBeside, SynFloodSuspected, []string{"5 packets were refused in the namespace; nothing says whose."}},
		{"that nobody counts what was refused", floodUncounted, SynFloodSuspected, []string{"Whether anything was refused is not known."}},
		{"that it is somaxconn which is 0", neverAsked, BacklogZero, []string{"net.core.somaxconn is 0 here, so whatever"}},
		{"who was full where the kernel does not count discards", mute, AcceptQueueOverflow, []string{"does not count by listener what it discards", "Full was 10.0.0.1:80."}},
		{"who discarded, and that another was closed", closed, AcceptQueueOverflow, []string{"No sample saw which. It is one of these, which discarded packets: 10.0.0.1:80, 10.0.0.1:81, or one that was closed meanwhile."}},
		{"that none was seen full there", muteUnseen, AcceptQueueOverflow, []string{"does not count by listener what it discards", "No sample saw which was full."}},
		{"how long the table of half-open peers is", tabled, SynQueueFull, []string{"than the SYN queue holds (16)"}},
		{"that any value but 0 aborts", aborts, AbortOnOverflow, []string{"tcp_abort_on_overflow is 2:"}},
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

// TestStuckBesideOthers proves that accepts which may be a neighbour's are not said
// to be none.
func TestStuckBesideOthers(t *testing.T) {
	p := play{
		listeners: []part{
			{port: 80, limit: 10, queue: each(11, uint32(11)), discards: each(10, uint32(2)), owner: &tcpq.Owner{PIDs: []int{9}}}, {port: 81, limit: 10},
		},
		moved: map[tcpq.Counter][]uint64{
			tcpq.ListenDrops: each(10, uint64(2)), tcpq.ListenOverflows: each(10, uint64(2)), tcpq.PassiveOpens: each(10, uint64(100)),
		},
		vitals: map[int]tcpq.Vitals{9: {Stopped: true, Over: time.Second}},
	}
	if f := find(t, p.advise(), ApplicationStuck); strings.Contains(f.Why, "none was accepted") || !strings.Contains(f.Why, "is stopped") {
		t.Errorf("why = %q, want that the process is stopped and nothing of accepts", f.Why)
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

// TestNearLimitHasRoom proves that a limit which no bound keeps from growing is
// never said to be kept from it, whatever the next power of two is.
func TestNearLimitHasRoom(t *testing.T) {
	for limit := uint32(10); limit < 5000; limit += 7 {
		length := limit*4/5 + 1
		p := play{listeners: []part{{port: 80, limit: limit, queue: []uint32{0, length, 0, 0, length, 0}}}, moved: map[tcpq.Counter][]uint64{tcpq.PassiveOpens: each(5, uint64(9000))}}
		f := find(t, p.advise(), AcceptQueueNearLimit)
		if strings.Contains(f.Why, "policy") || len(f.Hints) == 0 {
			t.Fatalf("limit %d, %d waited: found %q, hints %v, want a longer queue", limit, length, f.Why, f.Hints)
		}
	}
}

// TestSomaxconnBoundsTheBacklog proves that a program is not told to ask for more
// than somaxconn may become.
func TestSomaxconnBoundsTheBacklog(t *testing.T) {
	p := play{
		listeners: []part{{port: 80, limit: 128, queue: middle(11, 129), discards: middle(10, 700)}}, moved: overflowing,
		sysctls: map[tcpq.Sysctl]int64{tcpq.Somaxconn: 128},
	}
	s, w := p.run()
	pol := policy.Default()
	pol.Somaxconn.Max = 512
	r := Advise(s, w, &pol)
	f := find(t, r, AcceptQueueOverflow)
	if want := []Change{{tcpq.Somaxconn, 128, 512, false}}; !slices.Equal(f.Changes, want) {
		t.Errorf("changes = %v, want %v", f.Changes, want)
	}
	if len(f.Hints) != 1 || !strings.Contains(f.Hints[0].Example, "512") {
		t.Errorf("hints = %+v, want one that asks for 512", f.Hints)
	}
}

// TestReadOnce proves that of a process which was read once nobody says that it
// did not run.
func TestReadOnce(t *testing.T) {
	p := play{
		listeners: []part{{port: 80, limit: 10, queue: each(11, uint32(11)), discards: each(10, uint32(2)), owner: &tcpq.Owner{PIDs: []int{9}}}},
		moved:     map[tcpq.Counter][]uint64{tcpq.ListenDrops: each(10, uint64(2)), tcpq.ListenOverflows: each(10, uint64(2))},
		vitals:    map[int]tcpq.Vitals{9: {Threads: 1}},
	}
	if f := find(t, p.advise(), ApplicationStuck); strings.Contains(f.Why, "No thread") {
		t.Errorf("why = %q, want nothing of threads", f.Why)
	}
}
