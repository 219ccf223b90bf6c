// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"

	"github.com/qtune/qtune/advisor"
	"github.com/qtune/qtune/collector"
	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/sysctl"
	"github.com/qtune/qtune/tcpq"
	"github.com/qtune/qtune/tuner"
)

// look returns what is known of the host: the ten minutes of its agent and, since
// those may be half a minute old, the values of this moment; without an agent what
// is seen while watching.
func (p *planning) look(ctx context.Context) (*inspection.Inspection, error) {
	span := p.For
	if !p.forGiven && !p.needsRates() {
		span = 0
	}
	o := inspectOptions{
		Global: p.Global, selection: selection{Netns: p.Netns, Filter: p.Filter, Sort: "netns"}, Agent: p.Agent,
		For: span, Syn: string(collector.SynAuto), Output: "table",
		Err: p.Err, forGiven: p.forGiven, socket: p.socket,
	}
	search, err := o.search()
	if err != nil {
		return nil, err
	}
	known, err := o.askAgent(ctx, search)
	if err != nil {
		return nil, err
	}
	if known == nil {
		return o.read(ctx, search)
	}
	progress := newProgress(p.Err)
	defer progress.clear()
	c, err := p.collector(progress)
	if err != nil {
		return nil, err
	}
	s, err := c.Snapshot(ctx, nil)
	if err != nil {
		return nil, err
	}
	if err := nothingRead(s); err != nil {
		return nil, err
	}
	return freshened(known, inspection.From(s, nil, advisor.Report{})), nil
}

// needsRates reports whether a plan takes more than a snapshot: findings do, and a
// rail on the limit of a listener.
func (p *planning) needsRates() bool {
	return len(p.Listeners) > 0 || len(p.Args) == 0 && p.PolicyFile == ""
}

// freshened returns what an agent knows with the values that hold now. What is
// gone is left out; what came since stays, with nothing found of it.
func freshened(known, now *inspection.Inspection) *inspection.Inspection {
	out := *now
	out.Window, out.Elsewhere, out.Agent = known.Window, known.Elsewhere, known.Agent
	was := map[listenerID]*inspection.Listener{}
	for i := range known.Listeners {
		was[idOf(&known.Listeners[i])] = &known.Listeners[i]
	}
	there := map[listenerID]bool{}
	for i := range out.Listeners {
		l := &out.Listeners[i]
		there[idOf(l)] = true
		if k := was[idOf(l)]; k != nil {
			l.AcceptQueue.Peak, l.AcceptQueue.RecentPeak = k.AcceptQueue.Peak, k.AcceptQueue.RecentPeak
			l.Discards, l.Refused, l.Totals, l.Findings = k.Discards, k.Refused, k.Totals, k.Findings
		}
	}
	moved := map[uint64]*inspection.Namespace{}
	for i := range known.Namespaces {
		moved[known.Namespaces[i].Inode] = &known.Namespaces[i]
	}
	alive := map[uint64]bool{}
	for i := range out.Namespaces {
		n := &out.Namespaces[i]
		if k := moved[n.Inode]; k != nil && k.Cookie == n.Cookie { // not its successor of the same number
			n.Moved = k.Moved
			alive[n.Inode] = true
		}
	}
	out.Findings = nil
	for _, f := range known.Findings {
		if alive[f.Netns] && (f.Listener == nil || there[listenerID{f.Netns, f.Listener.Cookie}]) {
			out.Findings = append(out.Findings, f)
		}
	}
	return &out
}

// atBoot returns who sets a key of the host's namespace at boot. What of the files
// cannot be read is said in the log: it bears on no change of now.
func (p *planning) atBoot() func(tcpq.Sysctl) []tuner.Setter {
	files, err := sysctl.Boot(p.Global.Rootfs)
	if err != nil {
		p.Global.Log.Warn("who sets sysctls at boot is not all known", "error", err)
	}
	if files == nil {
		return nil
	}
	return tuner.BootSetters(files)
}
