// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"time"

	"github.com/qtune/qtune/collector"
	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/tcpq"
)

const (
	// discovery is how often new namespaces and listeners are looked for. Known
	// ones are looked up in between.
	discovery = 5 * time.Second
	// discoveryLatest is how late a discovery comes that takes long, on a host
	// that is large or has no time for it: as often as the agent's.
	discoveryLatest = 15 * time.Second
	// sysctls is how often those are read.
	sysctls = 30 * time.Second
	// localRest keeps looks each --interval below a tenth of a CPU, and
	// discoveries, too.
	localRest = 9
)

// A localSource reads the kernel of this host.
type localSource struct {
	collector *collector.Collector
	sliding   sliding
	found     host.Found

	looks       pace
	discoveries time.Time // when the next is due
	sysctls     time.Time
}

func (o *topOptions) localSource(search host.Search) (source, error) {
	h, err := o.Global.open()
	if err != nil {
		return nil, err
	}
	return &localSource{
		collector: collector.New(h, collector.Options{Search: search, Syn: o.syn, Log: o.Global.Log}),
		looks:     pace{interval: o.Interval, rest: localRest, due: time.Now()},
	}, nil
}

func (s *localSource) next(ctx context.Context) (look, error) {
	if err := s.looks.wait(ctx); err != nil {
		return look{}, err
	}
	cur, err := s.read(ctx)
	if err != nil {
		return look{}, err
	}
	if err := nothingRead(cur); err != nil {
		return look{}, err
	}
	s.sliding.add(cur)
	return s.sliding.look("this kernel", true), nil
}

// read reads what changes, and now and then more.
func (s *localSource) read(ctx context.Context) (*tcpq.Snapshot, error) {
	began := time.Now()
	if began.Before(s.discoveries) {
		defer func() { s.looks.took(time.Since(began)) }()
		return s.collector.Pass(ctx, s.found, s.sliding.last, 0)
	}
	defer func() {
		s.looks.took(0) // looks need not wait for what is done seldom
		s.discoveries = time.Now().Add(max(discovery, min(localRest*time.Since(began), discoveryLatest)))
	}()
	found, err := s.collector.Find(ctx)
	if err != nil {
		return nil, err
	}
	s.found = found
	work := collector.Dump | collector.Owners
	if !began.Before(s.sysctls) {
		work |= collector.Sysctls
		s.sysctls = began.Add(sysctls)
	}
	return s.collector.Pass(ctx, found, s.sliding.last, work)
}
