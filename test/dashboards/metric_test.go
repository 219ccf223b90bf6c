// SPDX-License-Identifier: Apache-2.0

//go:build linux

package dashboards

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/qtune/qtune/exporter"
)

// exported returns the metrics of the agent, of its process and of Prometheus itself
// that a query may ask for, with their labels.
func exported() map[string][]string {
	all := map[string][]string{
		"process_cpu_seconds_total":     {},
		"process_resident_memory_bytes": {},
		"up":                            {},
	}
	for _, m := range exporter.Metrics() {
		if m.Type != "histogram" {
			all[m.Name] = m.Labels
			continue
		}
		all[m.Name+"_bucket"] = append([]string{"le"}, m.Labels...)
		all[m.Name+"_sum"], all[m.Name+"_count"] = m.Labels, m.Labels
	}
	all["ALERTS"] = slices.Concat([]string{"alertname", "alertstate"}, all["qtune_finding"])
	return all
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
