// SPDX-License-Identifier: Apache-2.0

//go:build linux

package collector

import (
	"context"
	"time"

	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/tcpq"
)

// Work says what a pass reads beside the queues of known listeners and the
// counters, which it always reads. What it leaves out it has from the Snapshot
// before.
type Work uint8

// The work of a pass.
const (
	// Dump lists the listeners of every namespace anew. Without it, that is
	// done only where something asks for it: a namespace that was not listed
	// before, a listener that is gone, packets that were refused.
	Dump Work = 1 << iota

	// Sysctls reads the sysctls of every namespace anew.
	Sysctls

	// Owners looks for the owners of listeners that have none, and reads what
	// else never changes of a new listener.
	Owners

	// Everything is what one look at a host needs.
	Everything = Dump | Sysctls | Owners
)

// Pass reads the namespaces found. prev is the Snapshot of the last pass, or nil:
// then it lists the listeners and reads the sysctls in any case.
func (c *Collector) Pass(ctx context.Context, found host.Found, prev *tcpq.Snapshot, work Work) (*tcpq.Snapshot, error) {
	p, err := c.newPass(found, prev, work)
	if err != nil {
		return nil, err
	}
	if err := p.run(ctx, found.Namespaces); err != nil {
		return nil, err
	}
	if p.does(Owners) {
		began := host.CPUTime()
		if err := p.findOwners(ctx, found.Processes); err != nil {
			return nil, err
		}
		c.ownersTook = host.CPUTime() - began
	}
	return p.finish(), nil
}

// OwnersTook returns the CPU time that the last pass with [Owners] spent on them:
// next to nothing while there is no new listener, and on a host of many processes
// much when there is one.
func (c *Collector) OwnersTook() time.Duration { return c.ownersTook }

// does reports whether a pass does this work.
func (p *pass) does(w Work) bool { return p.work&w != 0 }

// lookUpListeners reads the listeners of n by lookups, as they were listed
// before. It reports false where that will not do and they must be dumped.
func (p *pass) lookUpListeners(n *tcpq.Namespace, in host.Inside) bool {
	was := p.before[n.ID]
	if was == nil || !was.Listed || p.does(Dump) {
		p.kept[n.ID] = p.collector.known[n.ID]
		return false
	}
	known := p.recall(n.ID, was.Listeners)
	crowd := Crowd{Netns: len(was.Listeners), Host: p.listeners}
	if !lookupsPay(known, crowd) || !p.collector.queues.lookUp(in, known) {
		return false
	}
	n.Listed = true
	n.Listeners = make([]tcpq.Listener, len(known))
	for i := range known {
		l := &n.Listeners[i]
		*l = was.Listeners[i]
		l.Accept, l.Discards, l.DiscardsKnown = known[i].Accept, known[i].Discards, known[i].DiscardsKnown
	}
	return true
}

// recall returns what is known of the listeners of a namespace, and keeps it for
// the next pass: the ports that meet the members of a reuse-port group.
func (p *pass) recall(id tcpq.NetnsID, listeners []tcpq.Listener) []Known {
	was := p.collector.known[id]
	same := len(was) == len(listeners)
	for i := 0; same && i < len(was); i++ {
		same = was[i].Cookie == listeners[i].Cookie && !was[i].Gone
	}
	known := was
	if !same {
		known = KnownOf(listeners)
		for i := range known {
			if at, ok := indexOf(was, known[i].Cookie); ok {
				known[i].remote, known[i].hidden = was[at].remote, was[at].hidden
			}
		}
	}
	p.kept[id] = known
	return known
}
