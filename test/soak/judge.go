// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"time"

	"github.com/qtune/qtune/inspection"
)

const (
	settled    = 2 * time.Second  // between what was done and a pass that has seen it
	keptFor    = 9 * time.Minute  // what ended is told at least so long
	forgotten  = 11 * time.Minute // and at most so long
	namespaces = "qtune_netns_tcpext_listen_overflows_total"
)

// grows are the counters that only clients who were turned away move.
var grows = map[string]bool{
	namespaces:                                 true,
	"qtune_netns_tcpext_listen_drops_total":    true,
	"qtune_listener_refused_packets_max_total": true,
	"qtune_listener_discarded_packets_total":   true,
}

// judge checks a scrape.
func (c *scraper) judge(s *scrape) {
	for inode, cookie := range s.netns {
		if c.names[inode] == nil {
			c.names[inode] = map[string]bool{}
		}
		c.names[inode][cookie] = true
	}
	overflows := map[uint64]float64{}
	for _, series := range s.counters() {
		c.forward(series)
		if series.metric == namespaces {
			overflows[series.inode] = series.value
		}
	}
	c.load.mu.Lock()
	defer c.load.mu.Unlock()
	c.once()
	c.ofEach(s, overflows)
	c.apart(s.in)
}

// forward follows a series as Prometheus does, and checks that only what was
// replaced begins anew.
func (c *scraper) forward(now counter) {
	was, known := c.told[now.key]
	c.told[now.key] = sample{now.value, now.identity, c.lives}
	if !known {
		return // increase() begins with the second
	}
	if grows[now.metric] && now.inode != 0 {
		more := now.value - was.value
		if more < 0 {
			more = now.value
		}
		c.grown[growth{now.metric, now.inode}] += more
	}
	if was.life == c.lives && was.identity == now.identity && now.identity != "" {
		c.report.check("forward", now.value >= was.value, "%s was %g and is %g, of the same %s", now.key, was.value, now.value, now.identity)
	}
}

// once compares what the counters grew by with what the load did.
func (c *scraper) once() {
	for g, grown := range c.grown {
		pods := c.load.byInode[g.inode]
		truth, ours := 0.0, len(pods) > 0
		for _, p := range pods {
			truth += float64(p.refused)
		}
		for cookie := range c.names[g.inode] {
			ours = ours && find(pods, cookie) != nil
		}
		if ours { // somebody else's namespace may have had the number meanwhile
			c.report.check("once", grown <= truth, "increase(%s{netns=%d}) is %g, the load did %g", g.metric, g.inode, grown, truth)
		}
	}
}

func find(pods []*pod, cookie string) *pod {
	for _, p := range pods {
		if p.cookie == cookie {
			return p
		}
	}
	return nil
}

// ofEach checks what is told of namespaces that live, that ended, and that ended
// long ago.
func (c *scraper) ofEach(s *scrape, overflows map[uint64]float64) {
	for inode, pods := range c.load.byInode {
		value, told := overflows[inode]
		last := pods[len(pods)-1]
		p := find(pods, s.netns[inode])
		if s.netns[inode] == "" {
			p = last
		}
		if p == nil {
			continue // a namespace of somebody else
		}
		switch before := s.at.Sub(p.ended); {
		case p.ended.IsZero():
			if s.in.Time.After(p.touched.Add(settled)) {
				c.report.check("exact", told && value == float64(p.refused), "net:[%d] %s told %g (told: %t), the load did %d", inode, p.cookie, value, told, p.refused)
			}
		case before > forgotten:
			c.report.check("dead", !told, "net:[%d] %s ended %v ago", inode, p.cookie, before.Round(time.Second))
		case before < keptFor && s.in.Time.After(p.ended.Add(settled)) && c.steps.within(c.lives, p.touched.Add(settled), p.ended.Add(-settled)):
			// What ended and counted nothing has no series.
			c.report.check("kept", value == float64(p.refused), "net:[%d] %s, which ended %v ago, told %g (told: %t), the load did %d",
				inode, p.cookie, before.Round(time.Second), value, told, p.refused)
		}
	}
}

// apart checks that each namespace is told only what was done to it.
func (c *scraper) apart(in *inspection.Inspection) {
	living := map[uint64]*pod{}
	check := func(n *inspection.Namespace) *pod {
		p := find(c.load.byInode[n.Inode], n.Cookie)
		if p != nil {
			c.report.check("apart", n.Counters["ListenOverflows"] <= p.refused && n.Moved["ListenOverflows"] <= p.refused,
				"net:[%d] %s has %d ListenOverflows, %d of them within the window; the load did %d",
				n.Inode, n.Cookie, n.Counters["ListenOverflows"], n.Moved["ListenOverflows"], p.refused)
		}
		return p
	}
	for i := range in.Gone.Namespaces {
		check(&in.Gone.Namespaces[i])
	}
	for i := range in.Namespaces {
		living[in.Namespaces[i].Inode] = check(&in.Namespaces[i])
	}
	for i := range in.Listeners {
		l := &in.Listeners[i]
		p := living[l.Netns]
		if p == nil {
			continue
		}
		waited := uint32(0)
		if p.loses && l.Port == mainPort {
			waited = mainFull
		}
		c.report.check("apart", l.Totals != nil && l.Totals.RefusedMax <= p.refused && l.AcceptQueue.RecentPeak != nil && *l.AcceptQueue.RecentPeak <= waited,
			"%s in net:[%d] %s: %+v, recent peak %v; the load did %d", l.Name(), l.Netns, p.cookie, l.Totals, l.AcceptQueue.RecentPeak, p.refused)
		c.report.check("apart", p.loses || len(l.Findings) == 0 || l.Refused == nil || l.Refused.Max == 0, "%s in net:[%d] %s, which loses nothing: %v",
			l.Name(), l.Netns, p.cookie, l.Findings)
		if l.Owner != nil && l.Owner.PID != 0 {
			c.report.check("apart", p.pids[l.Owner.PID], "%s in net:[%d] %s has the owner %d, which never was there", l.Name(), l.Netns, p.cookie, l.Owner.PID)
		}
	}
}
