// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/qtune/qtune/advisor"
	"github.com/qtune/qtune/collector"
	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/policy"
	"github.com/qtune/qtune/tcpq"
)

// A source gives one look at the host after the other.
type source interface {
	// next waits until it is time and looks. The first time it does not wait.
	next(ctx context.Context) (look, error)
}

// A look is what is known of the host at one instant. It stays as it is.
type look struct {
	in   *inspection.Inspection
	from string // who looked
	live bool   // now, and not when a recording was made

	history func(listenerID) (*inspection.History, error)
}

// errNoHistory says that a listener is not there, or no more.
var errNoHistory = errors.New("the listener is gone")

// source returns where top looks: a recording, an agent, or this host.
func (o *topOptions) source(ctx context.Context, search host.Search) (source, error) {
	if o.Global.Host != "" {
		return o.recordedSource(search)
	}
	address := o.Agent
	if address == "" {
		address = "unix:" + o.socket
	}
	if address == "none" {
		return o.localSource(search)
	}
	client, err := newAgentClient(address)
	if err != nil {
		return nil, err
	}
	s := &agentSource{client: client, search: search, interval: o.Interval, from: "agent " + client.name}
	if o.Agent == "" {
		s.from = "the agent of this host"
	}
	first, err := s.look(ctx)
	switch {
	case err == nil:
		s.first = &first
		return s, nil
	case o.Agent == "" && errors.Is(err, errNoAgent):
		return o.localSource(search)
	}
	return nil, err
}

// A pace says when the next look is due.
type pace struct {
	interval time.Duration
	rest     int // times the last look took, at least
	due      time.Time
}

// wait waits until the next look is due, and returns how the pace goes on after
// it: whoever looks calls done.
func (p *pace) wait(ctx context.Context) (done func(), err error) {
	timer := time.NewTimer(time.Until(p.due))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-timer.C:
	}
	began := time.Now()
	return func() {
		now := time.Now()
		p.due = p.due.Add(p.interval)
		if least := now.Add(time.Duration(p.rest) * now.Sub(began)); p.due.Before(least) {
			p.due = least
		}
		if p.due.Before(now) {
			p.due = now
		}
	}, nil
}

// A sliding window is the last slots of what a collector read.
type sliding struct {
	window tcpq.Window
	last   *tcpq.Snapshot
}

// topSlots is how many slots a window has, as in the agent.
const topSlots = 60

// add ends a slot. The window of earlier looks stays as it is.
func (s *sliding) add(cur *tcpq.Snapshot) {
	deltas := s.window.Deltas
	deltas = deltas[max(0, len(deltas)-topSlots+1):]
	s.window = tcpq.Window{Deltas: append(make([]tcpq.Delta, 0, topSlots), deltas...)}
	s.window.Extend(s.last, cur)
	s.last = cur
}

// look judges what was read.
func (s *sliding) look(from string, live bool) look {
	cur, window := s.last, &s.window
	if len(window.Deltas) == 0 {
		window = nil
	}
	p := policy.Default()
	return look{
		in: inspection.From(cur, window, advisor.Advise(cur, window, &p)), from: from, live: live,
		history: func(id listenerID) (*inspection.History, error) {
			w := window
			if w == nil {
				w = &tcpq.Window{}
			}
			h, ok := inspection.HistoryOf(cur, w, id.netns, id.cookie)
			if !ok {
				return nil, errNoHistory
			}
			return h, nil
		},
	}
}

// An agentSource asks an agent.
type agentSource struct {
	client   *agentClient
	from     string
	search   host.Search
	interval time.Duration
	pace     pace
	first    *look // was asked for to see whether it answers
}

func (s *agentSource) next(ctx context.Context) (look, error) {
	if s.first != nil {
		first := *s.first
		s.first = nil
		s.pace = pace{interval: s.interval, due: time.Now().Add(s.interval)}
		return first, nil
	}
	done, err := s.pace.wait(ctx)
	if err != nil {
		return look{}, err
	}
	defer done()
	return s.look(ctx)
}

func (s *agentSource) look(ctx context.Context) (look, error) {
	in, err := s.client.inspection(ctx)
	if err != nil {
		return look{}, err
	}
	if in, err = searchIn(in, s.search); err != nil {
		return look{}, err
	}
	return look{in: in, from: s.from, live: true, history: func(id listenerID) (*inspection.History, error) {
		return s.client.history(ctx, id)
	}}, nil
}

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
	if o.Agent != "" {
		return nil, usageError("--host reads a recording: --agent has no use with it")
	}
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
	done, err := s.pace.wait(ctx)
	if err != nil {
		return look{}, err
	}
	defer done()
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
