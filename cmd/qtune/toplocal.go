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
	// everything is how often namespaces, sysctls and owners are read anew.
	everything = 15 * time.Second
	// newcomers is how long the owner of a new listener waits to be named.
	newcomers = 3 * time.Second
	// localRest keeps a look each --interval below a tenth of a CPU.
	localRest = 9
)

// A localSource reads the kernel of this host.
type localSource struct {
	host      collector.Host
	search    host.Search
	collector *collector.Collector
	pace      pace
	sliding   sliding
	found     host.Found
	full      time.Time // when everything was read
	unnamed   map[uint64]*tcpq.Owner
}

func (o *topOptions) localSource(search host.Search) (source, error) {
	h, err := o.Global.open()
	if err != nil {
		return nil, err
	}
	return &localSource{
		host: h, search: search,
		collector: collector.New(h, collector.Options{Search: search, Syn: o.syn, Log: o.Global.Log}),
		pace:      pace{interval: o.Interval, rest: localRest, due: time.Now()},
	}, nil
}

func (s *localSource) next(ctx context.Context) (look, error) {
	done, err := s.pace.wait(ctx)
	if err != nil {
		return look{}, err
	}
	defer done()
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

// read reads what changes, and now and then everything.
func (s *localSource) read(ctx context.Context) (*tcpq.Snapshot, error) {
	age := time.Since(s.full)
	if s.sliding.last == nil || age > everything || age > newcomers && s.strangers() {
		return s.readAll(ctx)
	}
	cur, err := s.collector.Sample(ctx, s.found, s.sliding.last)
	if err != nil {
		return nil, err
	}
	s.each(cur, func(l *tcpq.Listener) {
		if l.Owner == nil {
			l.Owner = s.unnamed[l.Cookie]
		}
	})
	return cur, nil
}

func (s *localSource) readAll(ctx context.Context) (*tcpq.Snapshot, error) {
	cur, err := s.collector.Snapshot(ctx, s.sliding.last)
	if err != nil {
		return nil, err
	}
	if s.found, err = s.host.Namespaces(ctx, s.search); err != nil {
		return nil, err
	}
	s.full = time.Now()
	s.unnamed = map[uint64]*tcpq.Owner{}
	s.each(cur, func(l *tcpq.Listener) {
		if l.Owner != nil && l.Owner.Unfound != tcpq.Found {
			s.unnamed[l.Cookie] = l.Owner
		}
	})
	return cur, nil
}

// strangers reports whether there are listeners whose owner was not looked for.
func (s *localSource) strangers() bool {
	found := false
	s.each(s.sliding.last, func(l *tcpq.Listener) { found = found || l.Owner == nil && l.Inode != 0 })
	return found
}

func (*localSource) each(s *tcpq.Snapshot, do func(*tcpq.Listener)) {
	for i := range s.Namespaces {
		for j := range s.Namespaces[i].Listeners {
			do(&s.Namespaces[i].Listeners[j])
		}
	}
}
