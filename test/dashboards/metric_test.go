// SPDX-License-Identifier: Apache-2.0

//go:build linux

package dashboards

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/qtune/qtune/tcpq"
)

// exported returns the metrics of the agent that a query may ask for, with their
// labels: the fixed ones, and those named from the tables of tcpq.
func exported() map[string][]string {
	pod := []string{"namespace", "pod"}
	listener := append([]string{"netns", "listener"}, pod...)
	all := map[string][]string{
		"qtune_accept_queue_fill_ratio_bucket":     {"le"},
		"qtune_activity_stretched_ratio":           {"activity"},
		"qtune_build_info":                         {"version", "revision", "goversion"},
		"qtune_collect_duration_seconds_bucket":    {"le"},
		"qtune_collect_errors_total":               {"stage"},
		"qtune_finding":                            append([]string{"code", "severity"}, listener...),
		"qtune_listener_accept_queue_length":       listener,
		"qtune_listener_accept_queue_limit":        listener,
		"qtune_listener_accept_queue_peak":         listener,
		"qtune_listener_discarded_packets_total":   listener,
		"qtune_listener_info":                      append([]string{"family", "protocol", "comm", "container", "unit"}, listener...),
		"qtune_listener_limit_bound_by":            {"netns", "listener", "bound_by"},
		"qtune_listener_refused_packets_max_total": listener,
		"qtune_listener_syn_queue_length":          listener,
		"qtune_listener_syn_queue_limit":           listener,
		"qtune_netns_info":                         {"netns", "name"},
		"qtune_sampler_late_ticks_total":           {},
		"qtune_sampler_ticks_total":                {},
		"qtune_series_dropped_total":               {},
		"qtune_snapshot_age_seconds":               {},
		"process_cpu_seconds_total":                {},
		"process_resident_memory_bytes":            {},
		"up":                                       {},
		"ALERTS":                                   append([]string{"alertname", "alertstate"}, listener...),
	}
	for c := range tcpq.Counter(tcpq.NumCounters) {
		info := c.Info()
		name := "qtune_netns_" + strings.ToLower(info.Group) + "_" + snake(strings.TrimPrefix(info.Name, "TCP")) + "_total"
		all[name] = []string{"netns"}
	}
	for s := range tcpq.Sysctl(tcpq.NumSysctls) {
		all["qtune_netns_sysctl_"+strings.ReplaceAll(s.String(), ".", "_")] = []string{"netns"}
	}
	return all
}

var wordEnd = regexp.MustCompile(`([a-z0-9])([A-Z])|([A-Z])([A-Z][a-z])`)

// snake returns ReqQFullDrop as req_q_full_drop.
func snake(name string) string {
	for wordEnd.MatchString(name) { // in QFu a word ends twice
		name = wordEnd.ReplaceAllString(name, "$1${3}_$2$4")
	}
	return strings.ToLower(name)
}

// target are the labels of a target.
var target = []string{"instance", "job"}

func TestMetricsExist(t *testing.T) {
	known := exported()
	owned := slices.Concat(known["qtune_finding"], known["qtune_listener_info"])
	for _, r := range rules(t) {
		if r.Record != "" {
			known[r.Record] = owned
		}
	}
	queries, err := Queries(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range queries {
		selectors := q.Selectors()
		if len(selectors) == 0 && !strings.Contains(q.Expr, `__name__=~"qtune_netns_sysctl_.+"`) {
			t.Errorf("%s asks for no metric: %s", q.Where, q.Expr)
		}
		for _, s := range selectors {
			labels, ok := known[s.Metric]
			if !ok {
				t.Errorf("%s: nobody exports %s: %s", q.Where, s.Metric, q.Expr)
				continue
			}
			for label := range s.Labels {
				if !slices.Contains(labels, label) && !slices.Contains(target, label) {
					t.Errorf("%s: %s has no label %s, only %q", q.Where, s.Metric, label, labels)
				}
			}
		}
	}
}

// TestOtherIsNoListener: what is past the cap is added up, and a sum of queues has
// no limit that any of them would meet.
func TestOtherIsNoListener(t *testing.T) {
	queue := regexp.MustCompile(`^qtune_listener_(accept|syn)_queue_`)
	queries, err := Queries(folder)
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	for _, q := range queries {
		for _, s := range q.Selectors() {
			if !queue.MatchString(s.Metric) {
				continue
			}
			asked++
			if l := s.Labels["listener"]; l != `!="other"` && l != `="$listener"` {
				t.Errorf(`%s: %s with listener%s, want != "other" or one listener: %s`, q.Where, s.Metric, l, q.Expr)
			}
		}
	}
	if asked == 0 {
		t.Error("no query asks for a queue")
	}
}

func TestSelectors(t *testing.T) {
	q := Query{"here", `topk(1, rate(qtune_a_total{x="1", y!="o"}[5m])) / ignoring (z) listener:qtune_b:sum > up and label_replace(v, "qtune_c", "", "", "")`}
	var names []string
	for _, s := range q.Selectors() {
		names = append(names, s.Metric)
	}
	if want := []string{"qtune_a_total", "listener:qtune_b:sum", "up"}; !slices.Equal(names, want) {
		t.Errorf("Selectors() = %q, want %q", names, want)
	}
	if got, want := q.Selectors()[0].Labels, map[string]string{"x": `="1"`, "y": `!="o"`}; !maps.Equal(got, want) {
		t.Errorf("labels %q, want %q", got, want)
	}
}

func TestSnake(t *testing.T) {
	for name, want := range map[string]string{
		"ListenOverflows": "listen_overflows", "ReqQFullDoCookies": "req_q_full_do_cookies",
		"PFMemallocDrop": "pf_memalloc_drop", "SyncookiesSent": "syncookies_sent", "OutRsts": "out_rsts",
	} {
		if got := snake(name); got != want {
			t.Errorf("snake(%q) = %q, want %q", name, got, want)
		}
	}
}
