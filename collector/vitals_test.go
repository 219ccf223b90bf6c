// SPDX-License-Identifier: Apache-2.0

//go:build linux

package collector

import (
	"slices"
	"testing"
	"time"

	"github.com/qtune/qtune/collector/inetdiag"
	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/tcpq"
)

func TestVitalsAreReadWhereSomebodyWaits(t *testing.T) {
	h := cluster()
	h.vitals = map[int]host.Vitals{30: {Start: 5}, 31: {Start: 6}, 50: {Start: 9}}
	if s := snapshotOf(t, h, Options{}); len(h.examined) > 0 || s.Vitals != nil {
		t.Errorf("nobody waits: examined %v, want nobody", h.examined)
	}

	h.netns[100] = listens(inetdiag.Socket{Inode: 11, Port: 80, Cgroup: 5, RQueue: 3, WQueue: 128})
	s := snapshotOf(t, h, Options{})
	slices.Sort(h.examined)
	if want := []int{30, 31}; !slices.Equal(h.examined, want) || len(s.Vitals) != 2 {
		t.Errorf("three wait for nginx: examined %v, known %v, want %v", h.examined, s.Vitals, want)
	}
}

func TestVitalsSince(t *testing.T) {
	second := time.Second
	tests := []struct {
		name     string
		was, now host.Vitals
		over     time.Duration
		want     tcpq.Vitals
	}{
		{
			"the first reading tells how it is, not how it goes",
			host.Vitals{},
			host.Vitals{Stopped: true, Frozen: true, Descriptors: 9, DescriptorLimit: 64, Threads: map[int]host.ThreadTime{1: {Ran: 5}}, Quotas: map[string]host.QuotaUse{"a": {Periods: 9}}},
			0,
			tcpq.Vitals{Stopped: true, Frozen: true, Descriptors: 9, DescriptorLimit: 64, Threads: 1},
		},
		{
			"one thread runs all the time",
			host.Vitals{Threads: map[int]host.ThreadTime{1: {Ran: 100}, 2: {Ran: 7}}},
			host.Vitals{Threads: map[int]host.ThreadTime{1: {Ran: 100}, 2: {Ran: 7 + uint64(second)}}},
			second,
			tcpq.Vitals{Over: second, Ran: true, Busiest: 1, Threads: 2},
		},
		{
			"no thread runs",
			host.Vitals{Threads: map[int]host.ThreadTime{1: {Ran: 100}}},
			host.Vitals{Threads: map[int]host.ThreadTime{1: {Ran: 100}}},
			second,
			tcpq.Vitals{Over: second, Threads: 1},
		},
		{
			"where the kernel does not tell, it may have run",
			host.Vitals{},
			host.Vitals{},
			second,
			tcpq.Vitals{Over: second, Ran: true},
		},
		{
			"one of the threads that were not looked at may have run",
			host.Vitals{Threads: map[int]host.ThreadTime{1: {Ran: 100}}},
			host.Vitals{Threads: map[int]host.ThreadTime{1: {Ran: 100}}, MoreThreads: true},
			second,
			tcpq.Vitals{Over: second, Ran: true, Threads: 1},
		},
		{
			"a thread that is new ran, for how long of its time is not known",
			host.Vitals{Threads: map[int]host.ThreadTime{1: {Ran: 100}}},
			host.Vitals{Threads: map[int]host.ThreadTime{1: {Ran: 100}, 2: {Ran: uint64(second / 2)}}},
			second,
			tcpq.Vitals{Over: second, Ran: true, Threads: 2},
		},
		{
			"a thread that ended ran",
			host.Vitals{Threads: map[int]host.ThreadTime{1: {Ran: 100}, 2: {Ran: 100}}},
			host.Vitals{Threads: map[int]host.ThreadTime{1: {Ran: 100}}},
			second,
			tcpq.Vitals{Over: second, Ran: true, Threads: 1},
		},
		{
			"of two cgroups the one that is throttled more counts, however many its periods are",
			host.Vitals{Threads: map[int]host.ThreadTime{1: {Ran: 1}}},
			host.Vitals{
				Threads: map[int]host.ThreadTime{1: {Ran: 1}},
				Quotas:  map[string]host.QuotaUse{"pod": {Periods: 100, Throttled: 8}, "pod/app": {Periods: 10, Throttled: 7}, "pod/app/x": {Periods: 1000}},
			},
			second,
			tcpq.Vitals{Over: second, Threads: 1, Periods: 10, Throttled: 7},
		},
		{
			"the quota was used up in seven of ten periods, now, of the cgroup above",
			host.Vitals{
				Threads: map[int]host.ThreadTime{1: {Ran: 1}},
				Quotas:  map[string]host.QuotaUse{"pod": {Periods: 90, Throttled: 3}, "pod/app": {Periods: 900, Throttled: 800}},
			},
			host.Vitals{
				Threads: map[int]host.ThreadTime{1: {Ran: 1}},
				Quotas:  map[string]host.QuotaUse{"pod": {Periods: 100, Throttled: 10}, "pod/app": {Periods: 910, Throttled: 801}},
			},
			second,
			tcpq.Vitals{Over: second, Threads: 1, Periods: 10, Throttled: 7},
		},
	}
	for _, tt := range tests {
		tt.now.At = tt.was.At.Add(tt.over)
		if got := vitalsSince(&tt.was, &tt.now); got != tt.want {
			t.Errorf("%s: vitalsSince = %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

// TestVitalsOfASuccessor proves that who has the number of a process that ended
// begins anew.
func TestVitalsOfASuccessor(t *testing.T) {
	h := cluster()
	h.netns[200] = listens(inetdiag.Socket{Inode: 21, Port: 8080, Cgroup: 6, RQueue: 9, WQueue: 8})
	h.vitals = map[int]host.Vitals{50: {Start: 9, Threads: map[int]host.ThreadTime{50: {Ran: 1}}}}
	c := New(h, Options{})
	first, err := c.Snapshot(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	h.info.Time = h.info.Time.Add(time.Second)
	began := time.Now()
	h.vitals[50] = host.Vitals{At: began, Start: 10, Threads: map[int]host.ThreadTime{50: {Ran: 5}}}
	second, err := c.Snapshot(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	if v := second.Vitals[50]; v.Over != 0 || v.Ran {
		t.Errorf("vitals of the successor = %+v, want a first reading", v)
	}
	h.info.Time = h.info.Time.Add(time.Second)
	h.vitals[50] = host.Vitals{At: began.Add(time.Second), Start: 10, Threads: map[int]host.ThreadTime{50: {Ran: 6}}}
	third, err := c.Snapshot(t.Context(), second)
	if err != nil {
		t.Fatal(err)
	}
	if v := third.Vitals[50]; v.Over != time.Second || !v.Ran {
		t.Errorf("vitals of its second reading = %+v, want 1 s in which it ran", v)
	}
}
