// SPDX-License-Identifier: Apache-2.0

//go:build linux

package exporter

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/tcpq"
)

// hostOf returns an Inspection of so many namespaces and listeners in each, as an
// agent has it: everything known, every tenth listener full, in pods.
func hostOf(namespaces, listeners int) *inspection.Inspection {
	in := &inspection.Inspection{
		Time:  time.Now().UTC(),
		Agent: &inspection.Agent{Activities: []inspection.Activity{{Name: "dump", PeriodSeconds: 15, GapSeconds: 15}}},
	}
	for n := range namespaces {
		ns := inspection.Namespace{
			Inode: uint64(4026532000 + n), Cookie: fmt.Sprintf("%016x", n+1), Host: n == 0, Name: fmt.Sprintf("cni-%d", n),
			Sysctls: map[string]int64{}, Counters: map[string]uint64{}, HostWideSysctls: []string{"net.core.netdev_max_backlog"},
		}
		for s := range tcpq.Sysctl(tcpq.NumSysctls) {
			ns.Sysctls[s.String()] = 4096
		}
		for c := range tcpq.Counter(tcpq.NumCounters) {
			if c != tcpq.SoftnetDropped || ns.Host {
				ns.Counters[c.String()] = uint64(1000 * n)
			}
		}
		in.Namespaces = append(in.Namespaces, ns)
		owner := &inspection.Owner{
			PID: 100 + n, Comm: "nginx", Container: &inspection.Container{Runtime: "containerd", ID: "0123456789abcdef"},
			Pod: &inspection.Pod{Namespace: "shop", Name: fmt.Sprintf("checkout-7d4b9c6f5-%05d", n), UID: "u", Container: "web"},
		}
		for i := range listeners {
			length, peak, total := uint32(i%10), uint32(100), uint32(17*i)
			l := inspection.Listener{
				Netns: ns.Inode, Address: "0.0.0.0", Port: uint16(8000 + i), Family: "ipv4", Protocol: "tcp",
				Inode: uint32(100000 + n*listeners + i), Cookie: fmt.Sprintf("%016x", 1+n*listeners+i),
				AcceptQueue:  inspection.AcceptQueue{Length: length, Limit: 511, Capacity: 512, Peak: &peak, RecentPeak: &peak},
				SynQueue:     inspection.SynQueue{Length: &length, Limit: &peak, Members: 1},
				Discards:     inspection.Discards{Total: &total},
				Refused:      &inspection.Refused{},
				Totals:       &inspection.Totals{Discards: uint64(total), RefusedMax: uint64(i)},
				LimitBoundBy: "application", Owner: owner, Findings: []string{},
			}
			in.Listeners = append(in.Listeners, l)
		}
	}
	return in
}

// aSource is a Source of one Inspection.
type aSource struct {
	in    *inspection.Inspection
	ready error
}

func (s *aSource) Last() *inspection.Inspection { return s.in }
func (s *aSource) Ready() error                 { return s.ready }

func (s *aSource) History(netns uint64, cookie string) (*inspection.History, bool) {
	for i := range s.in.Listeners {
		if l := &s.in.Listeners[i]; l.Netns == netns && l.Cookie == cookie {
			return &inspection.History{Kind: inspection.KindHistory, Netns: netns, Cookie: cookie}, true
		}
	}
	return nil, false
}

func newExporter(tb testing.TB, source Source, o Options) *Exporter {
	tb.Helper()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	e, err := New(source, o)
	if err != nil {
		tb.Fatal(err)
	}
	return e
}
