// SPDX-License-Identifier: Apache-2.0

//go:build linux

package exporter

import (
	"slices"
	"strings"
	"unicode"

	"github.com/qtune/qtune/tcpq"
)

// A Metric is what is said of one metric; docs/metrics.md is made of them.
type Metric struct {
	Name   string
	Type   string // gauge, counter or histogram
	Labels []string
	Help   string
}

// The types of a Metric.
const (
	gauge     = "gauge"
	counter   = "counter"
	histogram = "histogram"
)

// Metrics returns all metrics in the order of the page.
func Metrics() []Metric {
	var all []Metric
	for i := range listenerRows {
		all = append(all, listenerRows[i].Metric)
	}
	all = append(all, infoMetric, boundByMetric, findingMetric)
	all = append(all, netnsInfoMetric)
	for c := range tcpq.Counter(tcpq.NumCounters) {
		all = append(all, counterMetric(c))
	}
	for s := range tcpq.Sysctl(tcpq.NumSysctls) {
		all = append(all, sysctlMetric(s))
	}
	for i := range agentRows {
		all = append(all, agentRows[i].Metric)
	}
	for i := range tuningRows {
		all = append(all, tuningRows[i].Metric)
	}
	return append(all, stretchedMetric, fillMetric, durationMetric, errorsMetric, ageMetric, droppedMetric, buildMetric)
}

// counterMetric names a counter of a namespace from the counter table.
func counterMetric(c tcpq.Counter) Metric {
	info := c.Info()
	return Metric{
		"qtune_netns_" + strings.ToLower(info.Group) + "_" + snake(strings.TrimPrefix(info.Name, "TCP")) + "_total",
		counter, netnsLabels, info.Name + ": " + info.Help,
	}
}

// sysctlMetric names a setting of a namespace from the sysctl table.
func sysctlMetric(s tcpq.Sysctl) Metric {
	info := s.Info()
	return Metric{"qtune_netns_sysctl_" + strings.ReplaceAll(info.Name, ".", "_"), gauge, netnsLabels, info.Name + ": " + info.Help}
}

// snake turns ReqQFullDrop into req_q_full_drop, and PFMemallocDrop into
// pf_memalloc_drop.
func snake(name string) string {
	var out []rune
	runes := []rune(name)
	for i, r := range runes {
		if unicode.IsUpper(r) && i > 0 {
			afterLower := !unicode.IsUpper(runes[i-1])
			beforeLower := i+1 < len(runes) && !unicode.IsUpper(runes[i+1])
			if afterLower || beforeLower {
				out = append(out, '_')
			}
		}
		out = append(out, unicode.ToLower(r))
	}
	return string(slices.Clip(out))
}
