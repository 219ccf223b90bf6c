// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/qtune/qtune/collector"
	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/tcpq"
)

// A recordedSource shows the steps of a recording, one after the other.
type recordedSource struct {
	recording *host.Recording
	collector *collector.Collector
	search    host.Search
	pace      pace
	sliding   sliding
	step      int
}

func (o *topOptions) recordedSource(search host.Search) (source, error) {
	rec, err := host.OpenRecording(o.Global.Host)
	if err != nil {
		return nil, err
	}
	return &recordedSource{
		recording: rec, collector: collector.New(rec, collector.Options{Search: search, Syn: o.syn, Log: o.Global.Log}),
		search: search, pace: pace{interval: o.Interval, due: time.Now()},
	}, nil
}

func (s *recordedSource) next(ctx context.Context) (look, error) {
	if s.step == s.recording.Steps() { // the end stays on the screen
		<-ctx.Done()
		return look{}, ctx.Err()
	}
	if err := s.pace.wait(ctx); err != nil {
		return look{}, err
	}
	s.pace.took(0)
	s.recording.Seek(s.step)
	cur, err := s.read(ctx)
	if err != nil {
		return look{}, err
	}
	s.step++
	s.sliding.add(cur)
	return s.sliding.look(fmt.Sprintf("recording, step %d of %d", s.step, s.recording.Steps()), false), nil
}

// read reads a step. Between the first and the last only what changes is there.
func (s *recordedSource) read(ctx context.Context) (*tcpq.Snapshot, error) {
	if s.step == 0 || s.step == s.recording.Steps()-1 {
		return s.collector.Snapshot(ctx, s.sliding.last)
	}
	found, err := s.recording.Namespaces(ctx, s.search)
	if err != nil {
		return nil, err
	}
	return s.collector.Sample(ctx, found, s.sliding.last)
}
