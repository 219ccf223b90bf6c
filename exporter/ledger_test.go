// SPDX-License-Identifier: Apache-2.0

//go:build linux

package exporter

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"

	"github.com/qtune/qtune/inspection"
)

type family = *dto.MetricFamily

// told returns what the families of the last step say: by name and labels that are
// not empty, as Prometheus has them. It fails when two are the same.
func told(t *testing.T, e *Exporter) map[string]float64 {
	t.Helper()
	got := map[string]float64{}
	for _, f := range e.published.Load().families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, pair := range m.GetLabel() {
				if pair.GetValue() != "" {
					labels = append(labels, pair.GetName()+"="+pair.GetValue())
				}
			}
			name := strings.TrimPrefix(f.GetName(), "qtune_") + "{" + strings.Join(labels, ",") + "}"
			if _, twice := got[name]; twice {
				t.Errorf("%s is told twice", name)
			}
			got[name] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return got
}

// only keeps what a test is about.
func only(told map[string]float64, parts ...string) map[string]float64 {
	got := map[string]float64{}
	for name, value := range told {
		for _, part := range parts {
			if strings.HasPrefix(name, part) {
				got[name] = value
			}
		}
	}
	return got
}

func aNetns(inode uint64, cookie string, drops uint64) inspection.Namespace {
	return inspection.Namespace{
		Inode: inode, Cookie: cookie, Counters: map[string]uint64{"ListenDrops": drops, "ListenOverflows": 0},
		Sysctls: map[string]int64{"net.core.somaxconn": 4096},
	}
}

func aListener(netns uint64, port uint16, cookie string, discards uint64) inspection.Listener {
	return inspection.Listener{
		Netns: netns, Address: "::", Family: "ipv6", Port: port, Inode: 77, Cookie: cookie,
		AcceptQueue: inspection.AcceptQueue{Length: 3, Limit: 9}, SynQueue: inspection.SynQueue{Members: 1},
		Totals: &inspection.Totals{Discards: discards},
	}
}

// TestSteps plays steps and looks at what is told after the last.
func TestSteps(t *testing.T) {
	type (
		namespaces = []inspection.Namespace
		listeners  = []inspection.Listener
		step       = inspection.Inspection
	)
	a := aNetns(1, "a", 5)
	pod := func(l inspection.Listener, name string) inspection.Listener {
		l.Owner = &inspection.Owner{Pod: &inspection.Pod{Namespace: "shop", Name: name}}
		return l
	}
	group := func(l inspection.Listener, inode uint32, members int) inspection.Listener {
		l.Inode, l.SynQueue.Members = inode, members
		return l
	}
	gone := func(ns namespaces, ls listeners) *inspection.Gone {
		return &inspection.Gone{Namespaces: ns, Listeners: ls}
	}
	const drops, discards = "netns_tcpext_listen_drops", "listener_discarded"
	tests := []struct {
		name  string
		steps []step
		about []string
		want  map[string]float64
	}{
		{"a sum of CPUs that steps back stays", []step{
			{Namespaces: namespaces{aNetns(1, "a", 1000)}}, {Namespaces: namespaces{aNetns(1, "a", 997)}},
		}, []string{drops}, map[string]float64{"netns_tcpext_listen_drops_total{netns=1}": 1000}},
		{"a successor begins with its own count", []step{
			{Namespaces: namespaces{aNetns(1, "a", 1000)}}, {Namespaces: namespaces{aNetns(1, "b", 997)}},
		}, []string{drops}, map[string]float64{"netns_tcpext_listen_drops_total{netns=1}": 997}},
		{"without a cookie, a step back stays", []step{
			{Namespaces: namespaces{aNetns(1, "", 1000)}}, {Namespaces: namespaces{aNetns(1, "", 997)}},
		}, []string{drops}, map[string]float64{"netns_tcpext_listen_drops_total{netns=1}": 1000}},
		{"without a cookie, far less is a successor", []step{
			{Namespaces: namespaces{aNetns(1, "", 1000)}}, {Namespaces: namespaces{aNetns(1, "", 3)}},
		}, []string{drops}, map[string]float64{"netns_tcpext_listen_drops_total{netns=1}": 3}},
		{"a listener whose name another had is not told again when that ends", []step{
			{Namespaces: namespaces{a}, Listeners: listeners{aListener(1, 80, "l1", 25)}},
			{Namespaces: namespaces{a}, Listeners: listeners{aListener(1, 80, "l2", 0)}, Gone: gone(nil, listeners{aListener(1, 80, "l1", 25)})},
			{Namespaces: namespaces{a}, Gone: gone(nil, listeners{aListener(1, 80, "l1", 25)})},
		}, []string{discards}, map[string]float64{}},
		{"what is gone keeps its counts but 0, and no settings", []step{
			{Namespaces: namespaces{a}}, {Gone: gone(namespaces{aNetns(1, "a", 6)}, nil)},
		}, []string{"netns"}, map[string]float64{"netns_info{netns=1}": 1, "netns_tcpext_listen_drops_total{netns=1}": 6}},
		{"a living namespace wins over a gone one of its number", []step{
			{Namespaces: namespaces{aNetns(1, "b", 2)}, Gone: gone(namespaces{a}, nil)},
		}, []string{drops}, map[string]float64{"netns_tcpext_listen_drops_total{netns=1}": 2}},
		{"of two gone ones the last wins", []step{
			{Gone: gone(namespaces{a, aNetns(1, "b", 4)}, nil)},
		}, []string{drops}, map[string]float64{"netns_tcpext_listen_drops_total{netns=1}": 4}},

		{"a listener that is gone keeps its counts only", []step{
			{Namespaces: namespaces{a}, Listeners: listeners{aListener(1, 80, "x", 7)}},
			{Namespaces: namespaces{a}, Gone: gone(nil, listeners{aListener(1, 80, "x", 8)})},
		}, []string{"listener"}, map[string]float64{
			"listener_info{family=ipv6,listener=[::]:80,netns=1}":          1,
			"listener_discarded_packets_total{listener=[::]:80,netns=1}":   8,
			"listener_refused_packets_max_total{listener=[::]:80,netns=1}": 0,
		}},
		{"one that is gone and counted nothing is left out", []step{
			{Namespaces: namespaces{a}, Gone: gone(nil, listeners{aListener(1, 80, "x", 0)})},
		}, []string{"listener"}, map[string]float64{}},
		{"a living listener wins over a gone one of its name", []step{
			{Namespaces: namespaces{a}, Listeners: listeners{aListener(1, 80, "y", 1)}, Gone: gone(nil, listeners{aListener(1, 80, "x", 8)})},
		}, []string{discards}, map[string]float64{"listener_discarded_packets_total{listener=[::]:80,netns=1}": 1}},
		{"a cookie that counts again from the beginning is a successor", []step{
			{Namespaces: namespaces{a}, Listeners: listeners{aListener(1, 80, "x", 50)}},
			{Namespaces: namespaces{a}, Listeners: listeners{aListener(1, 80, "x", 2)}},
		}, []string{discards}, map[string]float64{"listener_discarded_packets_total{listener=[::]:80,netns=1}": 2}},
		{"the members of a group are told apart, and the last one stays itself", []step{
			{Namespaces: namespaces{a}, Listeners: listeners{group(aListener(1, 80, "x", 1), 11, 2), group(aListener(1, 80, "y", 2), 12, 2)}},
			{Namespaces: namespaces{a}, Listeners: listeners{group(aListener(1, 80, "y", 3), 12, 1)}},
		}, []string{discards}, map[string]float64{"listener_discarded_packets_total{listener=[::]:80#12,netns=1}": 3}},
		{"two of one name are told apart, whatever the reason", []step{
			{Namespaces: namespaces{a}, Listeners: listeners{group(aListener(1, 80, "x", 1), 11, 1), group(aListener(1, 80, "y", 2), 12, 1)}},
		}, []string{discards}, map[string]float64{
			"listener_discarded_packets_total{listener=[::]:80,netns=1}":    1,
			"listener_discarded_packets_total{listener=[::]:80#12,netns=1}": 2,
		}},
		{"a pod stays known when the runtime is late", []step{
			{Namespaces: namespaces{a}, Listeners: listeners{pod(aListener(1, 80, "x", 1), "web-1")}},
			{Namespaces: namespaces{a}, Listeners: listeners{aListener(1, 80, "x", 1)}},
		}, []string{discards}, map[string]float64{"listener_discarded_packets_total{listener=[::]:80,namespace=shop,netns=1,pod=web-1}": 1}},
		{"a pod that gets known is told", []step{
			{Namespaces: namespaces{a}, Listeners: listeners{aListener(1, 80, "x", 1)}},
			{Namespaces: namespaces{a}, Listeners: listeners{pod(aListener(1, 80, "x", 1), "web-1")}},
		}, []string{discards}, map[string]float64{"listener_discarded_packets_total{listener=[::]:80,namespace=shop,netns=1,pod=web-1}": 1}},
		{"the host's settings are told of the host only", []step{{Namespaces: namespaces{
			{Inode: 1, Host: true, Sysctls: map[string]int64{"net.core.somaxconn": 128}, HostWideSysctls: []string{"net.core.somaxconn"}},
			{Inode: 2, Sysctls: map[string]int64{"net.core.somaxconn": 128}, HostWideSysctls: []string{"net.core.somaxconn"}},
		}}}, []string{"netns_sysctl"}, map[string]float64{"netns_sysctl_net_core_somaxconn{netns=1}": 128}},
		{"a finding is told once, of its listener, and of the namespace", []step{{
			Namespaces: namespaces{a}, Listeners: listeners{aListener(1, 80, "x", 1)},
			Findings: []inspection.Finding{
				{Code: "syn-queue-full", Severity: "critical", Netns: 1, Listener: &inspection.FindingListener{Netns: 1, Cookie: "x"}},
				{Code: "syn-flood-suspected", Severity: "warning", Netns: 1},
				{Code: "syn-flood-suspected", Severity: "warning", Netns: 1},
			},
		}}, []string{"finding"}, map[string]float64{
			"finding{code=syn-queue-full,listener=[::]:80,netns=1,severity=critical}": 1,
			"finding{code=syn-flood-suspected,netns=1,severity=warning}":              1,
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := newExporter(t, &aSource{}, Options{})
			var got map[string]float64
			for i := range tt.steps {
				e.Publish(&tt.steps[i])
				got = told(t, e)
			}
			if diff := cmp.Diff(tt.want, only(got, tt.about...)); diff != "" {
				t.Errorf("told (-want +got):\n%s", diff)
			}
		})
	}
}

// TestHostileLabels gives names that are no names to everything that has one.
func TestHostileLabels(t *testing.T) {
	evil := "\x00\"\\\n\xff\u202e{}" + strings.Repeat("é", 300)
	in := hostOf(1, 1)
	in.Namespaces[0].Name = evil
	l := &in.Listeners[0]
	l.Device = evil
	l.Owner = &inspection.Owner{
		Comm: evil, Unit: evil, Exe: "secret", Container: &inspection.Container{Name: evil},
		Pod: &inspection.Pod{Namespace: evil, Name: evil, Container: evil},
	}
	in.Agent.Activities[0].Name = evil
	e := newExporter(t, &aSource{in: in}, Options{})
	e.Publish(in)
	e.Collected(time.Second, []inspection.Error{{Stage: evil}})
	got, err := e.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, f := range got {
		for _, m := range f.GetMetric() {
			for _, pair := range m.GetLabel() {
				value, most := pair.GetValue(), maxText
				switch pair.GetName() {
				case "comm", "container", "namespace", "name", "activity", "stage":
					most = maxName
				case "pod":
					most = maxPod
				}
				if len(value) > most {
					t.Errorf("%s: %s has %d bytes, want at most %d", f.GetName(), pair.GetName(), len(value), most)
				}
				if value != inspection.Text(value) {
					t.Errorf("%s: %s = %q, want what is printable", f.GetName(), pair.GetName(), value)
				}
				if strings.Contains(value, "secret") {
					t.Errorf("%s: %s = %q: an argument or a path", f.GetName(), pair.GetName(), value)
				}
				if strings.Contains(value, `\x00`) {
					seen++
				}
			}
		}
	}
	if seen < 10 {
		t.Errorf("%d hostile labels were seen, want all that there are", seen)
	}
}

// TestLabelsAreCutBetweenRunes proves the boundary.
func TestLabelsAreCutBetweenRunes(t *testing.T) {
	tests := []struct {
		name, in string
		want     string
	}{
		{"at the limit", strings.Repeat("a", 4), "aaaa"},
		{"one past it", strings.Repeat("a", 5), "aaaa"},
		{"a rune across it", "aaaé", "aaa"},
		{"a rune before it", "aaé", "aaé"},
		{"what is not UTF-8 is escaped first", "\xff\xff", `\xff`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := labelValue(tt.in, 4); got != tt.want {
				t.Errorf("labelValue(%q, 4) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}
