// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/qtune/qtune/inspection"
)

// scrapePeriod is how often one looks: as most Prometheus do, in a short run more
// often.
func (s *soak) scrapePeriod() time.Duration {
	return min(15*time.Second, max(3*time.Second, s.length/60))
}

// A scraper looks at the agent as one Prometheus does, and remembers what that
// would.
type scraper struct {
	*soak
	told  map[string]sample // by series
	grown map[growth]float64
	names map[uint64]map[string]bool // cookies that an inode number was seen to have
}

// A sample is the last value of a series.
type sample struct {
	value    float64
	identity string // of what it is about; "" when that is not known
	life     int
}

// A growth is what increase() makes of a counter over the whole run, by namespace.
type growth struct {
	metric string
	inode  uint64
}

// A scrape is one answer, and what the agent knew when it gave it.
type scrape struct {
	at       time.Time
	in       *inspection.Inspection
	families map[string]*dto.MetricFamily
	netns    map[uint64]string    // the cookie that an inode number stands for
	gone     map[uint64]bool      // which of them have ended
	sockets  map[netnsPort]string // the cookie that a listener's name stands for
}

type netnsPort struct {
	inode uint64
	name  string
}

func newScraper(s *soak) *scraper {
	return &scraper{soak: s, told: map[string]sample{}, grown: map[growth]float64{}, names: map[uint64]map[string]bool{}}
}

func (c *scraper) run(ctx context.Context) error {
	first := time.NewTimer(rand.N(c.scrapePeriod()))
	select {
	case <-ctx.Done():
		first.Stop()
		return ctx.Err()
	case <-first.C:
	}
	return every(ctx, c.scrapePeriod(), func() error {
		c.life.RLock()
		defer c.life.RUnlock()
		got, err := c.look(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		c.report.add("scrapes", 1)
		c.report.check("answers", err == nil, "%v", err)
		if err == nil && got != nil {
			c.judge(got)
		}
		return nil
	})
}

// look scrapes between two steps: then the metrics and the inspection are of the
// same one.
func (c *scraper) look(ctx context.Context) (*scrape, error) {
	for range 5 {
		before, err := c.inspection(ctx)
		if err != nil {
			return nil, err
		}
		body, err := c.agent.Get(ctx, "/metrics")
		if err != nil {
			return nil, err
		}
		at := time.Now()
		after, err := c.inspection(ctx)
		if err != nil {
			return nil, err
		}
		parser := expfmt.NewTextParser(model.UTF8Validation)
		families, err := parser.TextToMetricFamilies(bytes.NewReader(body))
		if err != nil {
			return nil, fmt.Errorf("parse a scrape: %w", err)
		}
		age := families["qtune_snapshot_age_seconds"].GetMetric()
		if len(age) != 1 {
			return nil, errors.New("a scrape without qtune_snapshot_age_seconds")
		}
		of := at.Add(-time.Duration(age[0].GetGauge().GetValue() * float64(time.Second)))
		if before.Time.Equal(after.Time) && of.Sub(before.Time).Abs() < 2*time.Second {
			return newScrape(at, before, families), nil
		}
	}
	return nil, nil
}

// newScrape finds out what names stand for: what lives, else what ended last.
func newScrape(at time.Time, in *inspection.Inspection, families map[string]*dto.MetricFamily) *scrape {
	s := &scrape{
		at: at, in: in, families: families,
		netns: map[uint64]string{}, gone: map[uint64]bool{}, sockets: map[netnsPort]string{},
	}
	for _, n := range in.Gone.Namespaces {
		s.netns[n.Inode], s.gone[n.Inode] = n.Cookie, true
	}
	for _, n := range in.Namespaces {
		s.netns[n.Inode], s.gone[n.Inode] = n.Cookie, false
	}
	for i := range in.Gone.Listeners {
		l := &in.Gone.Listeners[i]
		s.sockets[netnsPort{l.Netns, l.Name()}] = l.Cookie
	}
	for i := range in.Listeners {
		l := &in.Listeners[i]
		s.sockets[netnsPort{l.Netns, l.Name()}] = l.Cookie
	}
	return s
}

// A counter is one series of a scrape.
type counter struct {
	metric, key string
	inode       uint64 // 0 for what is not about a namespace
	identity    string
	value       float64
}

// counters returns the series of all counters.
func (s *scrape) counters() (all []counter) {
	for name, family := range s.families {
		if family.GetType() != dto.MetricType_COUNTER {
			continue
		}
		for _, m := range family.GetMetric() {
			c := counter{metric: name, key: name, value: m.GetCounter().GetValue(), identity: "the agent"}
			listener := ""
			var key strings.Builder
			for _, l := range m.GetLabel() {
				fmt.Fprintf(&key, " %s=%s", l.GetName(), l.GetValue())
				switch l.GetName() {
				case "netns":
					c.inode, _ = strconv.ParseUint(l.GetValue(), 10, 64) // it is a number
				case "listener":
					listener = l.GetValue()
				}
			}
			c.key += key.String()
			if c.inode != 0 {
				c.identity = s.netns[c.inode]
			}
			if listener != "" && listener != "other" && c.identity != "" {
				c.identity += " " + s.sockets[netnsPort{c.inode, listener}]
			}
			all = append(all, c)
		}
	}
	return all
}
