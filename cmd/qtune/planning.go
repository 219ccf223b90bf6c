// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"io"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/qtune/qtune/collector"
	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/policy"
	"github.com/qtune/qtune/tuner"
)

// planning says how a plan comes about: the flags and arguments that plan and
// apply share.
type planning struct {
	Global *globalOptions

	Netns         string
	Filter        filter
	PolicyFile    string
	Listeners     []string // ADDR:PORT=N
	LiveResize    bool
	AllowDecrease bool
	For           time.Duration

	Agent string
	Args  []string // KEY=VALUE

	Err io.Writer

	netnsGiven, forGiven bool
	socket               string // of the agent of this host
}

func (p *planning) bind(f *pflag.FlagSet) {
	f.StringVarP(&p.PolicyFile, "file", "f", "", "a policy: at least what it wants, in every namespace it covers")
	f.StringArrayVar(&p.Listeners, "listener", nil, "the limit of a running listener, as ADDR:PORT=N; may be given several times")
	f.StringVar(&p.Netns, "netns", "all", "host, all, or one by its INODE number, its NAME or a PATH; for KEY=VALUE the host's unless given")
	f.IntVar(&p.Filter.PID, "pid", 0, "only what this process listens on, or its namespace")
	f.Uint16Var(&p.Filter.Port, "port", 0, "only listeners on this port, or their namespaces")
	f.StringVar(&p.Filter.Container, "container", "", "only this container: its name or the start of its id")
	f.StringVar(&p.Filter.Pod, "pod", "", "only this pod: NAMESPACE/NAME or its uid")
	f.BoolVar(&p.LiveResize, "live-resize", false, "also change the limit of running listeners; their restart loses it")
	f.BoolVar(&p.AllowDecrease, "allow-decrease", false, "values may become smaller")
	f.DurationVar(&p.For, "for", time.Second, "watch for this long instead of asking the agent of this host")
	f.StringVar(&p.Agent, "agent", "", "the agent of this host, as unix:PATH; none: look yourself (default: the usual one, when it answers)")
}

// begin notes what cobra knows.
func (p *planning) begin(f *pflag.FlagSet, args []string, err io.Writer) error {
	p.Args, p.Err = args, err
	p.netnsGiven, p.forGiven = f.Changed("netns"), f.Changed("for")
	if p.Agent != "" && p.Agent != noAgent && !strings.HasPrefix(p.Agent, unixScheme) {
		return usageError("--agent %s: want unix:PATH or none: what is changed is this host", p.Agent)
	}
	return noZero(f)
}

// explicit reports whether values were asked for by name.
func (p *planning) explicit() bool { return len(p.Args)+len(p.Listeners) > 0 }

// plan looks at the host and plans. The inspection is what it was planned from.
func (p *planning) plan(ctx context.Context) (*tuner.Plan, *inspection.Inspection, error) {
	if p.PolicyFile != "" && p.explicit() {
		return nil, nil, usageError("-f and values by name exclude each other: the policy says the values")
	}
	wishes, err := p.wishes()
	if err != nil {
		return nil, nil, err
	}
	pol, err := p.policy()
	if err != nil {
		return nil, nil, err
	}
	in, err := p.look(ctx)
	if err != nil {
		return nil, nil, err
	}
	planner, err := p.planner(in, pol)
	if err != nil {
		return nil, nil, err
	}
	switch {
	case p.explicit():
		placed, err := p.place(in, wishes)
		if err != nil {
			return nil, nil, err
		}
		return planner.Wished(placed), in, nil
	case p.PolicyFile != "":
		planner.Inspection = p.narrow(in)
		return planner.Baseline(), in, nil
	}
	planner.Inspection = p.narrow(in)
	return planner.Advised(), in, nil
}

// planner returns one that knows this host.
func (p *planning) planner(in *inspection.Inspection, pol *policy.Policy) (*tuner.Planner, error) {
	planner := &tuner.Planner{
		Inspection: in, Policy: pol,
		LiveResize: p.LiveResize || len(p.Listeners) > 0, AllowDecrease: p.AllowDecrease, Person: true,
	}
	if p.Global.Host != "" { // of a recording neither is known, and no plan of it can be applied
		return planner, nil
	}
	live, err := host.NewLive(p.Global.Rootfs)
	if err != nil {
		return nil, err
	}
	if planner.Memory, err = live.Memory(); err != nil { // a rail says what then cannot be planned
		p.Global.Log.Info("how much memory there is for queues is not known", "error", err)
	}
	if planner.BootID, err = live.BootID(); err != nil {
		return nil, err
	}
	planner.AtBoot, planner.Witness = p.atBoot(), live.Witness
	return planner, nil
}

// policy returns the policy that was asked for, or the default one.
func (p *planning) policy() (*policy.Policy, error) {
	if p.PolicyFile == "" {
		d := policy.Default()
		return &d, nil
	}
	return readPolicy(p.PolicyFile)
}

// narrow leaves what a plan may be about: the findings of the listeners that are
// wanted. Their neighbours stay, for they feel what is changed.
func (p *planning) narrow(in *inspection.Inspection) *inspection.Inspection {
	if p.Filter == (filter{}) {
		return in
	}
	wanted := p.Filter.of(in)
	netns := map[uint64]bool{}
	for i := range wanted.Namespaces {
		netns[wanted.Namespaces[i].Inode] = true
	}
	out := within(in, netns)
	out.Findings = wanted.Findings
	return out
}

// collector returns one that looks at what was asked for.
func (p *planning) collector(progress *progress) (*collector.Collector, error) {
	s := selection{Netns: p.Netns, Filter: p.Filter, Sort: "netns"}
	search, err := s.search(p.Global, false)
	if err != nil {
		return nil, err
	}
	h, err := p.Global.open()
	if err != nil {
		return nil, err
	}
	return collector.New(h, collector.Options{Search: search, Syn: collector.SynAuto, Progress: progress.say, Log: p.Global.Log}), nil
}
