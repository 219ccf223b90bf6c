// SPDX-License-Identifier: Apache-2.0

//go:build linux

package exporter

import (
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/qtune/qtune/inspection"
)

// published is a step that can be scraped.
type published struct {
	at       time.Time
	before   time.Duration // how old it was then
	families []*dto.MetricFamily
}

func newPublished(in *inspection.Inspection, families []*dto.MetricFamily) *published {
	now := time.Now()
	return &published{at: now, before: max(0, now.Sub(in.Time)), families: families}
}

// age is measured by the monotonic clock from the moment of publishing on.
func (p *published) age() time.Duration { return p.before + time.Since(p.at) }

// gatherer hands out the families of the last step merged with those of the
// exporter's registry. Both are sorted and have no name in common.
type gatherer struct{ e *Exporter }

// Gather implements prometheus.Gatherer.
func (g gatherer) Gather() ([]*dto.MetricFamily, error) {
	own, err := g.e.self.registry.Gather()
	p := g.e.published.Load()
	if p == nil {
		return own, err
	}
	all := make([]*dto.MetricFamily, 0, len(own)+len(p.families))
	step := p.families
	for len(own) > 0 && len(step) > 0 {
		if own[0].GetName() < step[0].GetName() {
			all, own = append(all, own[0]), own[1:]
		} else {
			all, step = append(all, step[0]), step[1:]
		}
	}
	all = append(all, own...)
	return append(all, step...), err
}
