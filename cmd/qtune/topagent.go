// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"strings"
	"time"

	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/inspection"
)

// An agentSource asks an agent.
type agentSource struct {
	client *agentClient
	from   string
	search host.Search
	pace   pace
	first  *look // was asked for to see whether it answers
}

// agentRest spares an agent that has much to tell.
const agentRest = 9

func (o *topOptions) agentSource(ctx context.Context, address string, search host.Search) (source, error) {
	client, err := newAgentClient(address)
	if err != nil {
		return nil, err
	}
	if search.Path != "" && !strings.HasPrefix(address, unixScheme) {
		return nil, usageError("--netns %s: a path is one of this host; ask an agent by INODE or NAME", search.Path)
	}
	s := &agentSource{
		client: client, search: search, from: "agent " + client.name,
		pace: pace{interval: o.Interval, rest: agentRest, due: time.Now()},
	}
	if o.Agent == "" {
		s.from = "the agent of this host"
	}
	first, err := s.look(ctx)
	if err != nil {
		return nil, err
	}
	s.first = &first
	return s, nil
}

func (s *agentSource) next(ctx context.Context) (look, error) {
	if s.first != nil {
		first := *s.first
		s.first = nil
		s.pace.due = time.Now().Add(s.pace.interval)
		return first, nil
	}
	if err := s.pace.wait(ctx); err != nil {
		return look{}, err
	}
	began := time.Now()
	l, err := s.look(ctx)
	s.pace.took(time.Since(began))
	return l, err
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
