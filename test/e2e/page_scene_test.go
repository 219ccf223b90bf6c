// SPDX-License-Identifier: Apache-2.0

//go:build linux && e2e

package e2e

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/qtune/qtune/advisor"
	"github.com/qtune/qtune/collector"
	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/policy"
)

// A stage is a source of the status page: what is known changes when the test says.
type stage struct {
	last atomic.Pointer[inspection.Inspection]
}

func (s *stage) Last() *inspection.Inspection { return s.last.Load() }

// History tells of ten minutes with bursts: longer ones, the more was refused.
func (s *stage) History(netns uint64, cookie string) (*inspection.History, bool) {
	in := s.Last()
	at := slices.IndexFunc(in.Listeners, func(l inspection.Listener) bool { return l.Netns == netns && l.Cookie == cookie })
	if at < 0 {
		return nil, false
	}
	l := &in.Listeners[at]
	h := &inspection.History{
		APIVersion: inspection.APIVersion, Kind: inspection.KindHistory, Netns: netns, Cookie: cookie, Limit: l.AcceptQueue.Limit,
	}
	const slots = 60
	for i := range slots {
		slot := inspection.Slot{Time: in.Time.Add(time.Duration(i+1-slots) * 10 * time.Second), Seconds: 10}
		if l.Refused != nil && l.Refused.Max > 0 {
			burst := uint32((i*7)%11) * uint32(i) / 60 //nolint:gosec // small
			slot.Peak = min(burst*(l.AcceptQueue.Limit+1)/6, l.AcceptQueue.Limit+1)
			slot.Length = slot.Peak / 3
			if slot.Peak > l.AcceptQueue.Limit {
				slot.Refused = uint64(burst) / 2
				slot.Discards = slot.Refused
			}
		} else {
			slot.Peak = uint32(i*5%13) / 4 //nolint:gosec // small
		}
		h.Slots = append(h.Slots, slot)
	}
	h.Slots[slots-1].Length = l.AcceptQueue.Length
	return h, true
}

// recorded reads a recorded host, as if an agent had watched it.
func recorded(t *testing.T, name string) *inspection.Inspection {
	t.Helper()
	rec, err := host.OpenRecording("../hosts/" + name)
	if err != nil {
		t.Fatal(err)
	}
	c := collector.New(rec, collector.Options{Syn: collector.SynAll, Progress: func(string, int, int) {}})
	snapshot, window, err := c.Replay(context.Background(), rec)
	if err != nil {
		t.Fatal(err)
	}
	p := policy.Default()
	in := inspection.From(snapshot, window, advisor.Advise(snapshot, window, &p))
	in.Time = time.Now()
	in.Window = inspection.Window{Seconds: 600, Source: inspection.SourceAgent}
	in.Agent = &inspection.Agent{
		Version: "0.2.0", Mode: "advise", Started: in.Time.Add(-time.Hour),
		Activities: []inspection.Activity{
			{Name: "step", PeriodSeconds: 5, GapSeconds: 5, CPUSeconds: 0.0041},
			{Name: "dump", PeriodSeconds: 15, GapSeconds: 15, CPUSeconds: 0.012},
			{Name: "syn-walk", PeriodSeconds: 5, GapSeconds: 22, CPUSeconds: 0.11},
		},
		Sampling: inspection.Sampling{Watched: 2, Hz: 100, Ticks: 123456, LateTicks: 34},
	}
	return in
}

// crowd is a host with many listeners: copies of those of another in namespaces of
// their own.
func crowd(of *inspection.Inspection, listeners int) *inspection.Inspection {
	in := *of
	in.Listeners = slices.Clone(of.Listeners)
	in.Namespaces = slices.Clone(of.Namespaces)
	for i := 0; len(in.Listeners) < listeners; i++ {
		const each = 20
		l := of.Listeners[i%2]
		l.Netns = 4026540000 + uint64(i/each) //nolint:gosec // small
		l.Cookie = fmt.Sprintf("%016x", 0xa00000+i)
		l.Port = uint16(3000 + i) //nolint:gosec // small
		l.Owner = &inspection.Owner{
			PID: 5000 + i, PIDs: []int{5000 + i}, Comm: "worker", UID: 1000,
			Pod: &inspection.Pod{Namespace: "shop", Name: fmt.Sprintf("cart-%d", i/each), UID: "u"},
		}
		l.AcceptQueue.Length = uint32(i * i % 97) //nolint:gosec // small
		in.Listeners = append(in.Listeners, l)
		if i%each == 0 {
			n := of.Namespaces[0]
			n.Inode, n.Host, n.Name, n.Cookie = l.Netns, false, fmt.Sprintf("cni-%d", i/each), ""
			in.Namespaces = append(in.Namespaces, n)
		}
	}
	return &in
}

// quiet is a host on which nothing happened.
func quiet(of *inspection.Inspection) *inspection.Inspection {
	in := *of
	in.Findings = nil
	in.Listeners = slices.Clone(of.Listeners)
	for i := range in.Listeners {
		l := &in.Listeners[i]
		var none uint32
		l.AcceptQueue.Length, l.AcceptQueue.Peak, l.Refused, l.Findings = 0, &none, &inspection.Refused{}, nil
		l.Discards.Window = nil
	}
	in.Namespaces = slices.Clone(of.Namespaces)
	for i := range in.Namespaces {
		moved := maps.Clone(in.Namespaces[i].Moved)
		delete(moved, "ListenDrops")
		delete(moved, "ListenOverflows")
		in.Namespaces[i].Moved = moved
	}
	return &in
}
