// SPDX-License-Identifier: Apache-2.0

//go:build linux

package collector

import (
	"cmp"
	"slices"
	"time"

	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/tcpq"
)

// maxPatients bounds how many processes are looked at in one pass.
const maxPatients = 64

// vitalsSpan is how far back a process is looked at, at most; at least half of it
// once it has been waited for so long.
const vitalsSpan = 10 * time.Minute

// A patient is a process on whose listeners somebody waited.
type patient struct {
	first  host.Vitals // what a reading is compared with
	middle host.Vitals // takes its place when that is too old
	waited time.Time   // when somebody was last seen to wait
}

// grow takes in a reading that is the newest.
func (t *patient) grow(now *host.Vitals) {
	switch age := now.At.Sub(t.first.At); {
	case age >= vitalsSpan:
		t.first, t.middle = t.middle, *now
	case age < vitalsSpan/2:
		t.middle = *now
	}
}

// readVitals reads how the processes are doing whose listeners have connections
// waiting, the fullest first, and those that had before in this watch. Where
// nobody waits it reads nothing.
func (p *pass) readVitals() {
	c := p.collector
	type waiting struct {
		fill float64
		pids []int
	}
	var all []waiting
	for i := range p.snapshot.Namespaces {
		n := &p.snapshot.Namespaces[i]
		for j := range n.Listeners {
			l := &n.Listeners[j]
			if l.Accept.Len == 0 || !p.does(Owners) && !l.Accept.Full() {
				continue
			}
			if o := l.Owner; o != nil && len(o.PIDs) > 0 {
				all = append(all, waiting{float64(l.Accept.Len) / float64(l.Accept.Capacity()), o.PIDs})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b waiting) int { return cmp.Compare(b.fill, a.fill) })
	for _, w := range all {
		for _, pid := range w.pids {
			p.examine(pid)
			if t := c.patients[pid]; t != nil {
				t.waited = p.snapshot.Time
			}
		}
	}
	if !p.does(Owners) {
		return
	}
	for pid, t := range c.patients {
		if p.snapshot.Time.Sub(t.waited) > vitalsSpan {
			delete(c.patients, pid)
		} else {
			p.examine(pid)
		}
	}
}

// examine reads the vitals of one process, once in a pass.
func (p *pass) examine(pid int) {
	if _, done := p.snapshot.Vitals[pid]; done || len(p.snapshot.Vitals) == maxPatients {
		return
	}
	c := p.collector
	now, err := c.host.Vitals(pid)
	if err != nil {
		delete(c.patients, pid) // ended: ordinary
		return
	}
	was := c.patients[pid]
	if was == nil || was.first.Start != now.Start {
		was = &patient{first: now, middle: now}
		c.patients[pid] = was
	}
	if p.snapshot.Vitals == nil {
		p.snapshot.Vitals = map[int]tcpq.Vitals{}
	}
	p.snapshot.Vitals[pid] = vitalsSince(&was.first, &now)
	was.grow(&now)
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
	for tid := range was.Threads {
		_, is := now.Threads[tid]
		v.Ran = v.Ran || !is // to its end
	}
	for dir, use := range now.Quotas { // their periods may differ: the share counts
		if moved := use.Sub(was.Quotas[dir]); v.Periods == 0 || moved.Throttled*v.Periods > v.Throttled*moved.Periods {
			v.Periods, v.Throttled = moved.Periods, moved.Throttled
		}
	}
	return v
}
