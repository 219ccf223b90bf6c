// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"time"

	"github.com/qtune/qtune/agent"
	"github.com/qtune/qtune/collector"
	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/inspection"
)

// askAgent returns what an agent knows: the one that was named, or the one of this
// host when nothing was asked for that only a look of one's own gives. Without
// either it returns nil.
func (o *inspectOptions) askAgent(ctx context.Context, search host.Search) (*inspection.Inspection, error) {
	own := o.forGiven || o.Deep || o.Syn != string(collector.SynAuto) || o.Global.Rootfs != "/" || o.Global.Host != ""
	switch {
	case o.Agent == noAgent, o.Agent == "" && own:
		return nil, nil //nolint:nilnil // nobody is to be asked
	case own:
		return nil, usageError("--agent %s: --for, --host, --rootfs, --deep and --syn have no use with it: an agent has looked as it was told to", o.Agent)
	}
	address := o.Agent
	if address == "" {
		address = unixScheme + o.socket
	}
	client, err := newAgentClient(address)
	if err != nil {
		return nil, err
	}
	in, err := client.inspection(ctx)
	if err == nil && o.Agent == "" {
		err = stale(in, time.Now())
	}
	switch {
	case err == nil:
		return searchIn(in, search)
	case o.Agent != "":
		return nil, err
	case !errors.Is(err, errNoAgent):
		o.Global.Log.Warn("the agent of this host is of no use, looking myself", "error", err)
	}
	return nil, nil //nolint:nilnil // nobody answered
}

// errStale says that an agent has not looked at its host for long.
var errStale = errors.New("its last look was too long ago")

// stale returns an error when an agent has missed its steps.
func stale(in *inspection.Inspection, now time.Time) error {
	gap := time.Minute
	if in.Agent != nil {
		for _, a := range in.Agent.Activities {
			if a.Name == "step" {
				gap = time.Duration(a.GapSeconds * float64(time.Second))
			}
		}
	}
	if now.Sub(in.Time) > agent.StaleAfter*gap {
		return errStale
	}
	return nil
}
