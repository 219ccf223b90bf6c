// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"time"

	"github.com/qtune/qtune/collector"
	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/inspection"
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

// source returns where top looks: a recording, an agent, or this host.
func (o *topOptions) source(ctx context.Context, search host.Search) (source, error) {
	// An agent has looked as it was told to.
	own := o.Deep || o.syn != collector.SynAuto || o.Global.Rootfs != "/"
	switch {
	case o.Agent != "" && o.Agent != noAgent && (own || o.Global.Host != ""):
		return nil, usageError("--agent %s: --host, --rootfs, --deep and --syn have no use with it", o.Agent)
	case o.Global.Host != "":
		return o.recordedSource(search)
	case o.Agent == noAgent || o.Agent == "" && own:
		return o.localSource(search)
	case o.Agent != "":
		return o.agentSource(ctx, o.Agent, search)
	}
	s, err := o.agentSource(ctx, unixScheme+o.socket, search)
	if errors.Is(err, errNoAgent) {
		return o.localSource(search)
	}
	return s, err
}

// noAgent is the --agent of whoever wants none.
const noAgent = "none"

// A pace says when the next look is due.
type pace struct {
	interval time.Duration
	rest     int // times the last look took, at least
	due      time.Time
}

// wait waits until the next look is due.
func (p *pace) wait(ctx context.Context) error {
	timer := time.NewTimer(time.Until(p.due))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// took says how long a look took that has just ended.
func (p *pace) took(d time.Duration) {
	p.due = p.due.Add(p.interval)
	if least := time.Now().Add(time.Duration(p.rest) * d); p.due.Before(least) {
		p.due = least
	}
}
