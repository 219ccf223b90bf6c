// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package exporter tells what is known of a host: metrics for Prometheus, the
// inspection as JSON, health, over HTTP.
//
// It keeps no numbers of its own but a ledger, which sees to it that no counter
// runs backwards. Each step of the agent publishes an Inspection; its metric
// families are built once then, and are immutable afterwards, so that a scrape
// costs little and is of one instant.
package exporter

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/qtune/qtune/inspection"
)

// A Source is what the exporter tells.
type Source interface {
	// Last returns the Inspection of the last step, nil before the first.
	Last() *inspection.Inspection
	// History returns the course of one listener; ok is false when it is unknown.
	History(netns uint64, cookie string) (h *inspection.History, ok bool)
	// Ready returns nil when the agent does its work, else why it does not.
	Ready() error
}

// A Series says which listeners have series of their own.
type Series string

// Which listeners have series of their own.
const (
	SeriesAll    Series = "all"
	SeriesActive Series = "active" // with loss, a queue over a quarter full or a finding, within the last hour
)

// Options configure an Exporter. Zero values mean the defaults.
type Options struct {
	Version  string
	Revision string

	MaxListeners         int    // with series of their own on the node; 1000
	MaxListenersPerNetns int    // and in one namespace; 256
	MaxNamespaces        int    // with series, gone ones included; 1000
	Series               Series // all

	// Decisions returns what the agent decided about a transaction, or with ""
	// all it remembers. Nil: nobody decides anything.
	Decisions func(transaction string) []inspection.Decision

	Pprof  bool         // serve /debug/pprof/
	Page   http.Handler // the status page at /, /listener/ and /static/; nil: a few words
	Limits Limits
	Log    *slog.Logger // required
}

// An Exporter turns Inspections into metrics and serves them.
type Exporter struct {
	source Source
	o      Options
	self   *self
	ledger ledger // of whoever calls Publish

	published atomic.Pointer[published]
}

// New returns an Exporter of what source tells.
func New(source Source, o Options) (*Exporter, error) {
	if o.Log == nil {
		return nil, errors.New("exporter: no logger")
	}
	setDefault(&o.MaxListeners, 1000)
	setDefault(&o.MaxListenersPerNetns, 256)
	setDefault(&o.MaxNamespaces, 1000)
	setDefault(&o.Series, SeriesAll)
	if o.MaxListeners < 0 || o.MaxListenersPerNetns < 0 || o.MaxNamespaces < 0 {
		return nil, fmt.Errorf("exporter: a cap below 0: %d listeners, %d in a namespace, %d namespaces",
			o.MaxListeners, o.MaxListenersPerNetns, o.MaxNamespaces)
	}
	if o.Series != SeriesAll && o.Series != SeriesActive {
		return nil, fmt.Errorf("exporter: series of %q listeners: want %s or %s", o.Series, SeriesAll, SeriesActive)
	}
	o.Limits.setDefaults()
	e := &Exporter{source: source, o: o, ledger: newLedger()}
	self, err := newSelf(o.Version, o.Revision, &e.published)
	if err != nil {
		return nil, fmt.Errorf("exporter: register its own metrics: %w", err)
	}
	e.self = self
	return e, nil
}

func setDefault[T comparable](v *T, value T) {
	var zero T
	if *v == zero {
		*v = value
	}
}

// Publish makes an Inspection what is scraped from now on. It is called once a
// step, by one goroutine, and the Inspection is not changed afterwards.
func (e *Exporter) Publish(in *inspection.Inspection) {
	view := e.ledger.enter(in, &e.o)
	e.self.dropped.Add(float64(view.dropped))
	for i := range in.Listeners {
		q := &in.Listeners[i].AcceptQueue
		e.self.fill.Observe(float64(q.Length) / (float64(q.Limit) + 1))
	}
	e.published.Store(newPublished(in, families(in, view)))
}

// Collected notes how long a pass over the host took and what it could not read.
// It may be called by any goroutine.
func (e *Exporter) Collected(took time.Duration, errs []inspection.Error) {
	e.self.duration.Observe(took.Seconds())
	for _, err := range errs {
		e.self.errors.WithLabelValues(labelValue(err.Stage, maxName)).Inc()
	}
}

// Gatherer returns what a scrape gets.
func (e *Exporter) Gatherer() prometheus.Gatherer { return gatherer{e} }
