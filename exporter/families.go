// SPDX-License-Identifier: Apache-2.0

//go:build linux

package exporter

import (
	"cmp"
	"slices"

	dto "github.com/prometheus/client_model/go"

	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/tcpq"
)

// families turns a step into metric families, sorted by name. They are immutable
// from then on; label pairs are shared between them.
func families(in *inspection.Inspection, v *view) []*dto.MetricFamily {
	f := &builder{}
	f.addListeners(v)
	f.addNamespaces(v)
	f.begin(&findingMetric, len(v.findings))
	for _, pairs := range v.findings {
		f.add(pairs, 1)
	}
	if in.Agent != nil {
		f.addAgent(in.Agent)
		if in.Agent.Tuning != nil {
			f.addTuning(in.Agent.Tuning)
		}
	}
	f.end()
	slices.SortFunc(f.families, func(a, b *dto.MetricFamily) int { return cmp.Compare(a.GetName(), b.GetName()) })
	return f.families
}

func (f *builder) addListeners(v *view) {
	for i := range listenerRows {
		row := &listenerRows[i]
		f.begin(&row.Metric, len(v.listeners))
		for j := range v.listeners {
			s := &v.listeners[j]
			if !s.living && row.Type == gauge {
				continue
			}
			if value, ok := row.value(s); ok {
				f.add(s.pairs, value)
			}
		}
	}
	f.begin(&infoMetric, len(v.listeners))
	for j := range v.listeners {
		s := &v.listeners[j]
		if s.of == &others {
			continue
		}
		comm, unit := "", ""
		if o := s.of.Owner; o != nil {
			comm, unit = labelValue(o.Comm, maxName), labelValue(o.Unit, maxText)
		}
		f.add([]*dto.LabelPair{
			label("comm", comm), label("container", containerOf(s.of.Owner)), label("family", s.of.Family),
			s.pairs[0], s.pairs[1], s.pairs[2], s.pairs[3], label("protocol", s.of.Protocol), label("unit", unit),
		}, 1)
	}
	f.begin(&boundByMetric, len(v.listeners))
	for j := range v.listeners {
		if s := &v.listeners[j]; s.living && s.of.LimitBoundBy != "" {
			f.add([]*dto.LabelPair{label("bound_by", s.of.LimitBoundBy), s.pairs[0], s.pairs[1], s.pairs[2], s.pairs[3]}, 1)
		}
	}
}

func (f *builder) addNamespaces(v *view) {
	pairs := make([][]*dto.LabelPair, len(v.accounts))
	f.begin(&netnsInfoMetric, len(v.accounts))
	for i, a := range v.accounts {
		pairs[i] = []*dto.LabelPair{a.netns}
		f.add([]*dto.LabelPair{label("name", labelValue(a.of.Name, maxName)), a.netns}, 1)
	}
	for c := range tcpq.Counter(tcpq.NumCounters) {
		m := counterMetric(c)
		f.begin(&m, len(v.accounts))
		for i, a := range v.accounts {
			// Of what is gone, a 0 says no more than its absence.
			if count, ok := a.counters[c.String()]; ok && (a.living || count > 0) {
				f.add(pairs[i], float64(count))
			}
		}
	}
	for s := range tcpq.Sysctl(tcpq.NumSysctls) {
		m := sysctlMetric(s)
		f.begin(&m, len(v.accounts))
		for i, a := range v.accounts {
			value, ok := a.of.Sysctls[s.String()]
			if !ok || !a.living || !a.of.Host && slices.Contains(a.of.HostWideSysctls, s.String()) {
				continue
			}
			f.add(pairs[i], float64(value))
		}
	}
}

func (f *builder) addAgent(a *inspection.Agent) {
	for i := range agentRows {
		f.begin(&agentRows[i].Metric, 1)
		f.add(nil, agentRows[i].value(a))
	}
	f.begin(&stretchedMetric, len(a.Activities))
	for i := range a.Activities {
		if activity := &a.Activities[i]; activity.PeriodSeconds > 0 {
			name := labelValue(activity.Name, maxName)
			f.add([]*dto.LabelPair{label("activity", name)}, activity.GapSeconds/activity.PeriodSeconds)
		}
	}
}

func (f *builder) addTuning(t *inspection.Tuning) {
	for i := range tuningRows {
		row := &tuningRows[i]
		values := row.values(t)
		f.begin(&row.Metric, len(values))
		for _, v := range values {
			pairs := make([]*dto.LabelPair, len(v.labels))
			for j, value := range v.labels {
				pairs[j] = label(row.Labels[j], labelValue(value, maxName))
			}
			f.add(pairs, v.value)
		}
	}
}

// A builder makes families, one at a time. A family without metrics is left out.
type builder struct {
	families []*dto.MetricFamily
	family   *dto.MetricFamily
	counters []counterSample
	gauges   []gaugeSample
}

// Samples are made of one piece of memory for a family.
type (
	gaugeSample struct {
		metric dto.Metric
		gauge  dto.Gauge
		value  float64
	}
	counterSample struct {
		metric  dto.Metric
		counter dto.Counter
		value   float64
	}
)

// begin begins the family of m, with at most so many metrics.
func (f *builder) begin(m *Metric, most int) {
	f.end()
	kind := dto.MetricType_GAUGE
	f.gauges, f.counters = nil, nil
	if m.Type == counter {
		kind = dto.MetricType_COUNTER
		f.counters = make([]counterSample, 0, most)
	} else {
		f.gauges = make([]gaugeSample, 0, most)
	}
	f.family = &dto.MetricFamily{Name: &m.Name, Help: &m.Help, Type: &kind, Metric: make([]*dto.Metric, 0, most)}
}

// add adds a metric to the family.
func (f *builder) add(labels []*dto.LabelPair, value float64) {
	var metric *dto.Metric
	if f.family.GetType() == dto.MetricType_COUNTER {
		f.counters = f.counters[:len(f.counters)+1] // most is a promise
		s := &f.counters[len(f.counters)-1]
		s.value = value
		s.counter.Value = &s.value
		s.metric.Counter = &s.counter
		metric = &s.metric
	} else {
		f.gauges = f.gauges[:len(f.gauges)+1]
		s := &f.gauges[len(f.gauges)-1]
		s.value = value
		s.gauge.Value = &s.value
		s.metric.Gauge = &s.gauge
		metric = &s.metric
	}
	metric.Label = labels
	f.family.Metric = append(f.family.Metric, metric)
}

func (f *builder) end() {
	if f.family != nil && len(f.family.Metric) > 0 {
		f.families = append(f.families, f.family)
	}
	f.family = nil
}
