// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/qtune/qtune/collector"
	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/policy"
	"github.com/qtune/qtune/tcpq"
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
	planner.AtBoot, planner.Started = p.atBoot(), live.StartedTicks
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

// wishes reads the values that were asked for by name, of no namespace yet.
func (p *planning) wishes() ([]tuner.Wish, error) {
	var all []tuner.Wish
	for _, arg := range p.Args {
		name, text, ok := strings.Cut(arg, "=")
		if !ok {
			return nil, usageError("%q: want KEY=VALUE, such as %s=8192", arg, tcpq.Somaxconn)
		}
		key, ok := settableNamed(name)
		if !ok {
			return nil, usageError("%s: qtune changes only %v; sysctl(8) sets any other", name, tuner.Settable())
		}
		to, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, usageError("%s: %q is no whole number", name, text)
		}
		all = append(all, tuner.Wish{Key: key, To: to})
	}
	for _, text := range p.Listeners {
		at := strings.LastIndexByte(text, '=')
		name, number := text[:max(at, 0)], text[at+1:]
		addr, err := netip.ParseAddrPort(name)
		to, numberErr := strconv.ParseUint(number, 10, 31)
		if err != nil || numberErr != nil {
			return nil, usageError("--listener %s: want ADDR:PORT=N, such as 0.0.0.0:80=4096 or [::]:80=4096", text)
		}
		all = append(all, tuner.Wish{Listener: tcpq.ListenerName(addr.Addr().WithZone("").String(), addr.Addr().Is6(), addr.Addr().Zone(), addr.Port()), To: int64(to)})
	}
	return all, nil
}

func settableNamed(name string) (tcpq.Sysctl, bool) {
	for _, s := range tuner.Settable() {
		if s.String() == name {
			return s, true
		}
	}
	return 0, false
}

// place finds the namespaces in which the wishes are meant.
func (p *planning) place(in *inspection.Inspection, wishes []tuner.Wish) ([]tuner.Wish, error) {
	var placed []tuner.Wish
	for _, w := range wishes {
		all := p.placesOf(in, &w)
		switch {
		case len(all) == 0 && w.Listener != "":
			return nil, usageError("--listener: nobody listens on %s there (qtune inspect shows who does)", w.Listener)
		case len(all) == 0:
			return nil, usageError("%s: no network namespace has what was asked for", w.Key)
		case len(all) > 1 && w.Listener != "":
			names := in.NetnsNames()
			var where []string
			for _, inode := range all {
				where = append(where, names[inode])
			}
			return nil, usageError("--listener: %s is listened on in %s: say which by --netns", w.Listener, strings.Join(where, ", "))
		}
		for _, inode := range all {
			w.Netns = inode
			placed = append(placed, w)
		}
	}
	return placed, nil
}

// placesOf returns the namespaces that a wish is meant for.
func (p *planning) placesOf(in *inspection.Inspection, w *tuner.Wish) (all []uint64) {
	hostOnly := w.Listener == "" && !p.netnsGiven && p.Filter == filter{} // as sysctl(8) has it
	for i := range in.Namespaces {
		n := &in.Namespaces[i]
		if hostOnly && !n.Host {
			continue
		}
		if w.Listener == "" && p.Filter == (filter{}) || p.listens(in, n.Inode, w.Listener) {
			all = append(all, n.Inode)
		}
	}
	return all
}

// listens reports whether a listener of a namespace is wanted and has this name,
// or any when it is empty.
func (p *planning) listens(in *inspection.Inspection, netns uint64, name string) bool {
	for i := range in.Listeners {
		if l := &in.Listeners[i]; l.Netns == netns && p.Filter.wants(l) && (name == "" || l.Name() == name) {
			return true
		}
	}
	return false
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
func (p *planning) collector(progress *progress) (*collector.Collector, collector.Host, error) {
	s := selection{Netns: p.Netns, Filter: p.Filter, Sort: "netns"}
	search, err := s.search(p.Global, false)
	if err != nil {
		return nil, nil, err
	}
	h, err := p.Global.open()
	if err != nil {
		return nil, nil, err
	}
	return collector.New(h, collector.Options{Search: search, Syn: collector.SynAuto, Progress: progress.say, Log: p.Global.Log}), h, nil
}
