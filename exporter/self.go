// SPDX-License-Identifier: Apache-2.0

//go:build linux

package exporter

import (
	"runtime"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// self is what the exporter says of itself, and what is observed from step to step.
type self struct {
	registry *prometheus.Registry
	duration prometheus.Histogram
	fill     prometheus.Histogram
	errors   *prometheus.CounterVec
	dropped  prometheus.Counter
}

// stages are those of a pass; each is there from the start, so that the first error
// is an increase.
var stages = []string{"discover", "enter", "listen", "synrecv", "counters", "sysctls", "owners"}

func newSelf(version, revision string, last *atomic.Pointer[published]) (*self, error) {
	s := &self{
		registry: prometheus.NewPedanticRegistry(),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: durationMetric.Name, Help: durationMetric.Help,
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 12), // to 2 s
		}),
		fill: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: fillMetric.Name, Help: fillMetric.Help,
			Buckets: []float64{0, 0.1, 0.25, 0.5, 0.75, 0.9, 1},
		}),
		errors:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: errorsMetric.Name, Help: errorsMetric.Help}, errorsMetric.Labels),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{Name: droppedMetric.Name, Help: droppedMetric.Help}),
	}
	for _, stage := range stages {
		s.errors.WithLabelValues(stage)
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: buildMetric.Name, Help: buildMetric.Help,
		ConstLabels: prometheus.Labels{"version": version, "revision": revision, "goversion": runtime.Version()},
	})
	build.Set(1)
	for _, c := range []prometheus.Collector{
		s.duration, s.fill, s.errors, s.dropped, build,
		age{prometheus.NewDesc(ageMetric.Name, ageMetric.Help, nil, nil), last},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		if err := s.registry.Register(c); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// age tells how old the Inspection is at the moment of the scrape; nothing before
// the first.
type age struct {
	desc *prometheus.Desc
	last *atomic.Pointer[published]
}

func (a age) Describe(ch chan<- *prometheus.Desc) { ch <- a.desc }

func (a age) Collect(ch chan<- prometheus.Metric) {
	if p := a.last.Load(); p != nil {
		ch <- prometheus.MustNewConstMetric(a.desc, prometheus.GaugeValue, p.age().Seconds())
	}
}
