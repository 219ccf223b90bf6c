// SPDX-License-Identifier: Apache-2.0

//go:build linux

package advisor

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/qtune/qtune/tcpq"
)

// burst is a listener of limit 10 that a burst of 31 meets and that works it off.
func burst(port uint16) part {
	return part{port: port, limit: 10, queue: middle(11, 11), discards: middle(10, 20)}
}

// grouped makes parts members of one reuse-port group.
func grouped(all ...part) []part {
	for i := range all {
		all[i].group = len(all)
	}
	return all
}

func TestFindings(t *testing.T) {
	var (
		overflows = map[tcpq.Counter][]uint64{
			tcpq.ListenDrops: middle64(10, 20), tcpq.ListenOverflows: middle64(10, 20), tcpq.PassiveOpens: middle64(10, 11),
		}
		standing = func(limit, n uint32) part {
			return part{port: 80, limit: limit, queue: each(11, n), discards: each(10, uint32(2))}
		}
		opened = func(n uint64) map[tcpq.Counter][]uint64 {
			return map[tcpq.Counter][]uint64{tcpq.PassiveOpens: each(10, n)}
		}
		refused = func(n, overflows, synFull uint64) map[tcpq.Counter][]uint64 {
			return map[tcpq.Counter][]uint64{
				tcpq.ListenDrops: each(10, n), tcpq.ListenOverflows: each(10, overflows), tcpq.TCPReqQFullDrop: each(10, synFull),
			}
		}
		with = func(m map[tcpq.Counter][]uint64, more map[tcpq.Counter][]uint64) map[tcpq.Counter][]uint64 {
			out := map[tcpq.Counter][]uint64{}
			for _, part := range []map[tcpq.Counter][]uint64{m, more} {
				maps.Copy(out, part)
			}
			return out
		}
	)
	holder := &tcpq.Owner{PIDs: []int{9}, Comm: "server"}
	tests := []struct {
		name string
		play play
		want []string
	}{
		{"nothing moves", play{listeners: []part{{port: 80, limit: 128, queue: each(11, uint32(0))}}}, nil},
		{"one waits at an idle server", play{listeners: []part{{port: 80, limit: 5, queue: each(11, uint32(1))}}}, nil},
		{"ten wait at an idle server", play{listeners: []part{{port: 80, limit: 50, queue: each(11, uint32(10))}}}, nil},
		{"a full sample is a blip", play{listeners: []part{{port: 80, limit: 5, queue: middle(11, 6)}}, moved: opened(10)}, nil},
		{"discards are no loss", play{listeners: []part{{port: 80, limit: 5, queue: each(11, uint32(0)), discards: each(10, uint32(9))}}}, nil},
		{
			"a burst that is worked off",
			play{listeners: []part{burst(80)}, moved: overflows},
			[]string{"accept-queue-overflow:80", "limit-below-somaxconn:80"},
		},
		{
			"a burst that no sample saw is the only discarder's",
			play{listeners: []part{{port: 80, limit: 10, queue: each(11, uint32(0)), discards: middle(10, 20)}}, moved: overflows},
			[]string{"accept-queue-overflow:80", "limit-below-somaxconn:80"},
		},
		{
			"a burst at the kernel's default",
			play{listeners: []part{{port: 80, limit: 4096, queue: middle(11, 4097), discards: middle(10, 20)}}, moved: overflows},
			[]string{"accept-queue-overflow:80", "limit-at-somaxconn:80", "namespace-at-defaults"},
		},
		{
			"a burst where overflow is answered by a reset",
			play{listeners: []part{burst(80)}, moved: overflows, sysctls: map[tcpq.Sysctl]int64{tcpq.TCPAbortOnOverflow: 1}},
			[]string{"accept-queue-overflow:80", "limit-below-somaxconn:80", "abort-on-overflow"},
		},
		{
			"a victim beside a scanned innocent",
			play{listeners: []part{burst(80), {port: 81, limit: 10, queue: each(11, uint32(0)), discards: each(10, uint32(50))}}, moved: overflows},
			[]string{"accept-queue-overflow:80", "limit-below-somaxconn:80"},
		},
		{
			"two that discarded and no full sample: nobody is named",
			play{
				listeners: []part{
					{port: 80, limit: 10, queue: each(11, uint32(0)), discards: middle(10, 20)},
					{port: 81, limit: 10, queue: each(11, uint32(0)), discards: middle(10, 20)},
				},
				moved: overflows,
			},
			[]string{"accept-queue-overflow"},
		},
		{
			"two that discarded, and one that was scanned and closed before: nobody is named",
			play{
				listeners: []part{
					{port: 80, limit: 10, queue: each(11, uint32(0)), discards: middle(10, 20)},
					{port: 81, limit: 10, queue: each(11, uint32(0)), discards: middle(10, 20)},
					{port: 82, limit: 10, queue: each(3, uint32(0)), discards: []uint32{1}, until: 3},
				},
				moved: overflows,
			},
			[]string{"accept-queue-overflow"},
		},
		{
			"one that was full and closed, beside two that were scanned",
			play{
				listeners: []part{
					{port: 80, limit: 10, queue: each(11, uint32(0)), discards: each(10, uint32(2))},
					{port: 81, limit: 10, queue: each(11, uint32(0)), discards: each(10, uint32(2))},
					{port: 82, limit: 10, queue: each(7, uint32(11)), discards: each(6, uint32(4)), until: 7},
				},
				moved: overflows,
			},
			nil,
		},
		{
			"one that discarded and closed, and nobody else did",
			play{
				listeners: []part{
					{port: 80, limit: 10, queue: each(11, uint32(0))},
					{port: 81, limit: 10, queue: each(11, uint32(0))},
					{port: 82, limit: 10, queue: each(7, uint32(0)), discards: each(6, uint32(4)), until: 7},
				},
				moved: overflows,
			},
			nil,
		},
		{
			"refused final ACKs fill the SYN queue, too",
			play{
				listeners: []part{{port: 80, limit: 10, queue: middle(11, 11), discards: middle(10, 40), syn: each(11, half(11, 3))}, {port: 81, limit: 10}},
				moved:     with(overflows, map[tcpq.Counter][]uint64{tcpq.ListenDrops: middle64(10, 30), tcpq.TCPReqQFullDrop: middle64(10, 10)}),
				sysctls:   map[tcpq.Sysctl]int64{tcpq.TCPSyncookies: 0},
			},
			[]string{"accept-queue-overflow:80", "limit-below-somaxconn:80"},
		},
		{
			"near its limit twice",
			play{listeners: []part{{port: 80, limit: 10, queue: []uint32{0, 8, 0, 0, 9, 0, 0, 0, 0, 0, 0}}}, moved: opened(10)},
			[]string{"accept-queue-near-limit:80", "limit-below-somaxconn:80"},
		},
		{
			"near its limit once",
			play{listeners: []part{{port: 80, limit: 10, queue: []uint32{0, 8, 0, 0, 7, 0, 0, 0, 0, 0, 0}}}, moved: opened(10)},
			nil,
		},
		{
			"a standing queue without loss, at ten a second",
			play{listeners: []part{{port: 80, limit: 100, queue: each(11, uint32(50))}}, moved: opened(10)},
			[]string{"application-slow:80"},
		},
		{
			"a standing queue that is worked off within milliseconds",
			play{listeners: []part{{port: 80, limit: 100, queue: each(11, uint32(50))}}, moved: opened(10000)},
			nil,
		},
		{
			"a queue far below a long limit, in which each waits for ten seconds",
			play{listeners: []part{{port: 80, limit: 4096, queue: each(11, uint32(300))}}, moved: opened(30)},
			[]string{"application-slow:80"},
		},
		{
			"the same, worked off within the latency budget",
			play{listeners: []part{{port: 80, limit: 4096, queue: each(11, uint32(300))}}, moved: opened(301)},
			nil,
		},
		{
			"the same in one sample too few",
			play{listeners: []part{{port: 80, limit: 4096, queue: append([]uint32{29}, each(10, uint32(300))...)}}, moved: opened(60)},
			nil,
		},
		{
			"a program that paused, and went on",
			play{
				listeners: []part{{port: 80, limit: 4096, queue: []uint32{0, 20, 40, 60, 80, 80, 0, 0, 0, 0, 0}}},
				moved:     map[tcpq.Counter][]uint64{tcpq.PassiveOpens: {20, 20, 20, 20, 0, 0, 0, 0, 0, 0}},
			},
			nil,
		},
		{
			"an idle listener far below a long limit, beside a neighbour that accepts",
			play{listeners: []part{{port: 80, limit: 4096, queue: each(11, uint32(5))}, {port: 81, limit: 4096}}, moved: opened(100)},
			nil,
		},
		{
			"nothing is accepted while a queue far below its limit grows",
			play{listeners: []part{{port: 80, limit: 4096, queue: []uint32{0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20}}}, moved: opened(2)},
			[]string{"application-stuck:80"},
		},
		{
			"the same for less than five seconds",
			play{listeners: []part{{port: 80, limit: 4096, queue: []uint32{0, 2, 4, 6, 8}}}, moved: map[tcpq.Counter][]uint64{tcpq.PassiveOpens: each(4, uint64(2))}},
			nil,
		},
		{
			"the same since a second ago",
			play{listeners: []part{{port: 80, limit: 4096, queue: []uint32{0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 4}}}, moved: opened(2)},
			nil,
		},
		{
			"some wait at an idle listener, and come to its neighbour that accepts nothing",
			play{
				listeners: []part{{port: 80, limit: 4096, queue: each(11, uint32(5))}, {port: 81, limit: 4096, queue: []uint32{0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20}}},
				moved:     opened(2),
			},
			[]string{"application-stuck:81"},
		},
		{
			"a standing queue with loss",
			play{listeners: []part{standing(10, 11)}, moved: with(opened(3), refused(2, 2, 0))},
			[]string{"application-slow:80"},
		},
		{
			"nothing is accepted",
			play{listeners: []part{standing(10, 11)}, moved: refused(2, 2, 0)},
			[]string{"application-stuck:80"},
		},
		{
			"nothing is accepted since the queue filled",
			play{
				listeners: []part{{port: 80, limit: 10, queue: []uint32{0, 0, 0, 11, 11, 11, 11, 11, 11, 11, 11}, discards: each(10, uint32(2))}},
				moved:     with(map[tcpq.Counter][]uint64{tcpq.PassiveOpens: {0, 0, 11, 0, 0, 0, 0, 0, 0, 0}}, refused(2, 2, 0)),
			},
			[]string{"application-stuck:80"},
		},
		{
			"over its limit, though nothing moves",
			play{listeners: []part{{port: 80, limit: 10, queue: each(11, uint32(11))}}},
			[]string{"application-stuck:80"},
		},
		{
			"stopped, though its neighbour accepts",
			play{
				listeners: []part{{port: 80, limit: 10, queue: each(11, uint32(11)), discards: each(10, uint32(2)), owner: holder}, {port: 81, limit: 10}},
				moved:     with(opened(100), refused(2, 2, 0)), vitals: map[int]tcpq.Vitals{9: {Stopped: true, Over: time.Second}},
			},
			[]string{"application-stuck:80"},
		},
		{
			"no thread ran, though its neighbour accepts",
			play{
				listeners: []part{{port: 80, limit: 10, queue: each(11, uint32(11)), discards: each(10, uint32(2)), owner: holder}, {port: 81, limit: 10}},
				moved:     with(opened(100), refused(2, 2, 0)), vitals: map[int]tcpq.Vitals{9: {Over: time.Second}},
			},
			[]string{"application-stuck:80"},
		},
		{
			"slow, beside a neighbour that accepts",
			play{
				listeners: []part{{port: 80, limit: 10, queue: each(11, uint32(11)), discards: each(10, uint32(2)), owner: holder}, {port: 81, limit: 10}},
				moved:     with(opened(100), refused(2, 2, 0)), vitals: map[int]tcpq.Vitals{9: {Over: time.Second, Ran: true}},
			},
			[]string{"application-slow:80"},
		},
		{
			"one of two workers has no descriptors left, beside a neighbour that accepts",
			play{
				listeners: []part{
					{port: 80, limit: 10, queue: each(11, uint32(11)), discards: each(10, uint32(2)), owner: &tcpq.Owner{PIDs: []int{8, 9, 10}}}, {port: 81, limit: 10},
				},
				moved: with(opened(100), refused(2, 2, 0)),
				vitals: map[int]tcpq.Vitals{
					9:  {Ran: true, Over: time.Second, Descriptors: 5, DescriptorLimit: 64},
					10: {Ran: true, Over: time.Second, Descriptors: 64, DescriptorLimit: 64},
				},
			},
			[]string{"application-slow:80"},
		},
		{
			"whether it ran is not known, beside a neighbour that accepts",
			play{
				listeners: []part{{port: 80, limit: 10, queue: each(11, uint32(11)), discards: each(10, uint32(2)), owner: holder}, {port: 81, limit: 10}},
				moved:     with(opened(100), refused(2, 2, 0)), vitals: map[int]tcpq.Vitals{9: {}},
			},
			[]string{"application-slow:80"},
		},
		{
			"one member of a group is full",
			play{
				listeners: grouped(standing(10, 11), part{port: 80, limit: 10}, part{port: 80, limit: 10}, part{port: 80, limit: 10}),
				moved:     with(opened(100), refused(2, 2, 0)),
			},
			[]string{"reuseport-imbalance:80"},
		},
		{
			"all members of a group are full",
			play{listeners: grouped(standing(10, 11), standing(10, 11)), moved: with(opened(3), refused(4, 4, 0))},
			[]string{"application-slow:80", "application-slow:80"},
		},
		{
			"a backlog of 0",
			play{listeners: []part{{port: 80, limit: 0, queue: middle(11, 1), discards: middle(10, 20)}}, moved: overflows},
			[]string{"backlog-zero:80"},
		},
		{
			"a backlog of 0 that nobody can reach",
			play{
				kernel:    tcpq.Version{Major: 5, Minor: 10, Patch: 223},
				listeners: []part{{port: 80, limit: 0, queue: each(11, uint32(0)), discards: each(10, uint32(2))}},
				moved:     refused(2, 0, 2), sysctls: map[tcpq.Sysctl]int64{tcpq.TCPSyncookies: 0},
			},
			[]string{"backlog-zero:80", "syncookies-off"},
		},
		{
			"a limit cut to 16 bits",
			play{
				kernel:    tcpq.Version{Major: 3, Minor: 10},
				listeners: []part{{port: 80, limit: 0, queue: middle(11, 1), discards: middle(10, 20)}},
				moved:     overflows, sysctls: map[tcpq.Sysctl]int64{tcpq.Somaxconn: 262144},
			},
			[]string{"backlog-truncated:80"},
		},
		{
			"cookie ACKs meet a full accept queue",
			play{
				listeners: []part{burst(80)},
				moved: map[tcpq.Counter][]uint64{
					tcpq.ListenDrops: middle64(10, 20), tcpq.ListenOverflows: middle64(10, 20),
					tcpq.PassiveOpens: middle64(10, 11), tcpq.SyncookiesRecv: middle64(10, 31), tcpq.SyncookiesSent: middle64(10, 31),
				},
			},
			[]string{"cookie-zombies:80", "limit-below-somaxconn:80", "syncookies-sent"},
		},
		{
			"SYNs refused after their cookies came back are no zombies",
			play{
				listeners: []part{burst(80)}, sysctls: map[tcpq.Sysctl]int64{tcpq.TCPSyncookies: 2},
				moved: with(overflows, map[tcpq.Counter][]uint64{tcpq.SyncookiesRecv: middle64(10, 11), tcpq.SyncookiesSent: middle64(10, 11)}),
			},
			[]string{"accept-queue-overflow:80", "limit-below-somaxconn:80", "syncookies-always"},
		},
		{
			"the SYN queue is full of peers that do answer",
			play{
				listeners: []part{{port: 80, limit: 10, discards: each(10, uint32(5)), queue: each(11, uint32(0)), syn: each(11, half(11, 2))}},
				moved:     with(opened(20), refused(5, 0, 5)), sysctls: map[tcpq.Sysctl]int64{tcpq.TCPSyncookies: 0},
			},
			[]string{"syn-queue-full:80", "syncookies-off"},
		},
		{
			"the SYN queue is full of peers that answer after a second",
			play{
				listeners: []part{{port: 80, limit: 10, discards: each(10, uint32(5)), queue: each(11, uint32(0)), syn: each(11, half(11, 9))}},
				moved:     with(opened(2), refused(5, 0, 5)), sysctls: map[tcpq.Sysctl]int64{tcpq.TCPSyncookies: 0},
			},
			[]string{"syn-queue-full:80", "syncookies-off"},
		},
		{
			"a SYN queue that nobody counted",
			play{
				listeners: []part{{port: 80, limit: 10, discards: each(10, uint32(5)), queue: each(11, uint32(0))}},
				moved:     refused(5, 0, 5), sysctls: map[tcpq.Sysctl]int64{tcpq.TCPSyncookies: 0},
			},
			[]string{"syn-queue-full:80", "syncookies-off"},
		},
		{
			"three quarters of tcp_max_syn_backlog",
			play{
				listeners: []part{{
					port: 80, limit: 500, discards: each(10, uint32(5)), queue: each(11, uint32(0)), syn: each(11, half(97, 10)),
					synBound: tcpq.SynBoundMaxSynBacklog, synMax: 97,
				}},
				moved: with(opened(20), refused(5, 0, 0)), sysctls: map[tcpq.Sysctl]int64{tcpq.TCPSyncookies: 0, tcpq.TCPMaxSynBacklog: 128},
			},
			[]string{"syn-backlog-three-quarters:80", "syncookies-off"},
		},
		{
			"refused for another reason, with cookies: not a queue's",
			play{listeners: []part{{port: 80, limit: 500, discards: each(10, uint32(5)), queue: each(11, uint32(0))}}, moved: refused(5, 0, 0)},
			nil,
		},
		{
			"a flood without cookies",
			play{
				listeners: []part{{port: 80, limit: 10, discards: each(10, uint32(50)), queue: each(11, uint32(0)), syn: each(11, half(11, 11))}},
				moved:     refused(50, 0, 50), sysctls: map[tcpq.Sysctl]int64{tcpq.TCPSyncookies: 0},
			},
			[]string{"syn-flood-suspected:80", "syncookies-off"},
		},
		{
			"a flood that cookies answer",
			play{
				listeners: []part{{port: 80, limit: 10, queue: each(11, uint32(0)), syn: each(11, half(11, 11))}},
				moved:     map[tcpq.Counter][]uint64{tcpq.SyncookiesSent: each(10, uint64(50))},
			},
			[]string{"syn-flood-suspected:80"},
		},
		{
			"a flood where every SYN is answered by cookie",
			play{
				listeners: []part{{port: 80, limit: 10, queue: each(11, uint32(0))}},
				moved:     map[tcpq.Counter][]uint64{tcpq.SyncookiesSent: each(10, uint64(50))}, sysctls: map[tcpq.Sysctl]int64{tcpq.TCPSyncookies: 2},
			},
			[]string{"syn-flood-suspected:80", "syncookies-always"},
		},
		{
			"the same of one of two listeners",
			play{
				listeners: []part{{port: 80, limit: 10, queue: each(11, uint32(0))}, {port: 81, limit: 10}},
				moved:     map[tcpq.Counter][]uint64{tcpq.SyncookiesSent: each(10, uint64(50))}, sysctls: map[tcpq.Sysctl]int64{tcpq.TCPSyncookies: 2},
			},
			[]string{"syn-flood-suspected", "syncookies-always"},
		},
		{
			"a port scan answered by cookie is no flood",
			play{
				listeners: []part{{port: 80, limit: 10, queue: each(11, uint32(0))}},
				moved:     map[tcpq.Counter][]uint64{tcpq.SyncookiesSent: each(10, uint64(6))}, sysctls: map[tcpq.Sysctl]int64{tcpq.TCPSyncookies: 2},
			},
			[]string{"syncookies-always"},
		},
		{
			"cookies that come back",
			play{
				listeners: []part{{port: 80, limit: 10, queue: each(11, uint32(0)), syn: each(11, half(11, 0))}},
				moved:     with(opened(60), map[tcpq.Counter][]uint64{tcpq.SyncookiesSent: each(10, uint64(50)), tcpq.SyncookiesRecv: each(10, uint64(49))}),
			},
			[]string{"syncookies-sent"},
		},
		{
			"peers that were deferred did answer",
			play{
				listeners: []part{{port: 80, limit: 2, discards: each(10, uint32(3)), queue: each(11, uint32(0)), syn: each(11, half(3, 3))}},
				moved:     with(refused(2, 0, 2), map[tcpq.Counter][]uint64{tcpq.TCPDeferAcceptDrop: each(10, uint64(1))}),
				sysctls:   map[tcpq.Sysctl]int64{tcpq.TCPSyncookies: 0},
			},
			[]string{"syn-queue-full:80", "syncookies-off", "deferred-accepts"},
		},
		{
			"the Fast Open queue is full",
			play{listeners: []part{{port: 80, limit: 10, queue: each(11, uint32(0))}}, moved: map[tcpq.Counter][]uint64{tcpq.TCPFastOpenListenOverflow: middle64(10, 1)}},
			[]string{"fastopen-overflow:80"},
		},
		{
			"loss of the past",
			play{listeners: []part{{port: 80, limit: 10, queue: each(11, uint32(0)), past: 9}}, before: map[tcpq.Counter]uint64{tcpq.ListenDrops: 7}},
			[]string{"past-loss:80"},
		},
		{
			"scans of the past",
			play{listeners: []part{{port: 80, limit: 10, queue: each(11, uint32(0)), past: 9}}},
			nil,
		},
		{
			"full at the only look",
			play{listeners: []part{{port: 80, limit: 10, queue: []uint32{11}}}, once: true},
			[]string{"accept-queue-overflow:80", "limit-below-somaxconn:80"},
		},
		{
			"stopped at the only look",
			play{listeners: []part{{port: 80, limit: 10, queue: []uint32{11}, owner: holder}}, once: true, vitals: map[int]tcpq.Vitals{9: {Stopped: true}}},
			[]string{"application-stuck:80"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := tt.play.advise()
			if got := codes(r); !slices.Equal(got, tt.want) {
				t.Errorf("found %v, want %v", got, tt.want)
			}
			for _, f := range r.Findings {
				wellFormed(t, &f)
			}
		})
	}
}

// wellFormed holds what is true of every finding.
func wellFormed(t *testing.T, f *Finding) {
	t.Helper()
	if f.Why == "" || f.Title == "" || f.Severity.Urgency() == 0 || f.Namespace == nil {
		t.Errorf("%s has why %q, title %q, severity %q", f.Code, f.Why, f.Title, f.Severity)
	}
	if strings.Contains(f.Why, "  ") || !strings.HasSuffix(f.Why, ".") {
		t.Errorf("%s says %q, want sentences", f.Code, f.Why)
	}
	if len(f.Evidence) == 0 {
		t.Errorf("%s has no evidence", f.Code)
	}
	for _, e := range f.Evidence {
		if e.Name == "" || e.Source == "" {
			t.Errorf("%s has evidence %+v without name or source", f.Code, e)
		}
	}
	for _, h := range f.Hints {
		if h.Setting == "" || h.TakesEffect == "" {
			t.Errorf("%s has hint %+v without setting or effect", f.Code, h)
		}
	}
	slowOnes := []Code{ApplicationSlow, ApplicationStuck, ReuseportImbalance}
	if slices.Contains(slowOnes, f.Code) && len(f.Changes) > 0 {
		t.Errorf("%s proposes %v, want no change: a longer queue does not help", f.Code, f.Changes)
	}
}
