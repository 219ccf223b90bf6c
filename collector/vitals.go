// SPDX-License-Identifier: Apache-2.0

//go:build linux

package collector

import (
	"cmp"
	"slices"

	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/tcpq"
)

// maxPatients bounds how many processes are looked at in one pass.
const maxPatients = 64

// readVitals reads how the processes are doing whose listeners have connections
// waiting, the fullest first, and those that had before in this watch. Where
// nobody waits it reads nothing.
func (p *pass) readVitals() {
	c := p.collector
	if p.full {
		c.named = p.snapshot
		c.owners = nil
	}
	type waiting struct {
		fill float64
		pids []int
	}
	var all []waiting
	for i := range p.snapshot.Namespaces {
		n := &p.snapshot.Namespaces[i]
		for j := range n.Listeners {
			l := &n.Listeners[j]
			if l.Accept.Len == 0 || !p.full && !l.Accept.Full() {
				continue
			}
			if o := c.ownerOf(l); o != nil && len(o.PIDs) > 0 {
				all = append(all, waiting{float64(l.Accept.Len) / float64(l.Accept.Capacity()), o.PIDs})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b waiting) int { return cmp.Compare(b.fill, a.fill) })
	for _, w := range all {
		for _, pid := range w.pids {
			p.examine(pid)
		}
	}
	if p.full {
		for pid := range c.patients {
			p.examine(pid)
		}
	}
}

// ownerOf returns the owner that the last full pass found.
func (c *Collector) ownerOf(l *tcpq.Listener) *tcpq.Owner {
	if l.Owner != nil || c.named == nil {
		return l.Owner
	}
	if c.owners == nil {
		c.owners = map[uint64]*tcpq.Owner{}
		for i := range c.named.Namespaces {
			for j := range c.named.Namespaces[i].Listeners {
				was := &c.named.Namespaces[i].Listeners[j]
				c.owners[was.Cookie] = was.Owner
			}
		}
	}
	return c.owners[l.Cookie]
}

// examine reads the vitals of one process, once in a pass.
func (p *pass) examine(pid int) {
	if _, done := p.snapshot.Vitals[pid]; done || len(p.snapshot.Vitals) == maxPatients {
		return
	}
	c := p.collector
	now, err := c.host.Vitals(pid)
	if err != nil {
		return // ended: ordinary
	}
	first, known := c.patients[pid]
	if !known || first.Start != now.Start {
		first = now
		c.patients[pid] = now
	}
	if p.snapshot.Vitals == nil {
		p.snapshot.Vitals = map[int]tcpq.Vitals{}
	}
	p.snapshot.Vitals[pid] = vitalsSince(&first, &now)
}

// vitalsSince compares two readings of one process.
func vitalsSince(was, now *host.Vitals) tcpq.Vitals {
	v := tcpq.Vitals{
		Descriptors: now.Descriptors, DescriptorLimit: now.DescriptorLimit,
		Stopped: now.Stopped, Frozen: now.Frozen, Threads: len(now.Threads), Over: max(0, now.At.Sub(was.At)),
	}
	if v.Over == 0 {
		return v
	}
	v.Ran = now.MoreThreads || len(now.Threads) == 0 // for all that is known
	for tid, t := range now.Threads {
		before, known := was.Threads[tid]
		if !known {
			v.Ran = v.Ran || t.Ran > 0
			continue // for how long of the time it was there is not known
		}
		ran := t.Ran - min(t.Ran, before.Ran)
		waited := t.Waited - min(t.Waited, before.Waited)
		v.Ran = v.Ran || ran > 0
		v.Busiest = max(v.Busiest, min(1, float64(ran+waited)/float64(v.Over)))
	}
	for dir, use := range now.Quotas {
		if moved := use.Sub(was.Quotas[dir]); moved.Throttled > v.Throttled || v.Periods == 0 {
			v.Periods, v.Throttled = moved.Periods, moved.Throttled
		}
	}
	return v
}
