// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/qtune/qtune/collector"
	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/tcpq"
	"github.com/qtune/qtune/tuner"
)

// An effect is what a change did to the queues: looks at the namespaces concerned,
// from just before it on.
type effect struct {
	collector *collector.Collector
	found     host.Found
	concerned map[tcpq.NetnsID]string // names

	first, last *tcpq.Snapshot    // nil when nothing could be read
	longest     map[string]uint32 // accept queue, by the listener's cookie
}

// newEffect looks at the namespaces of a plan for the first time. What cannot be
// read is not shown: the change does not depend on it.
func newEffect(ctx context.Context, global *globalOptions, p *tuner.Plan) *effect {
	e := &effect{concerned: map[tcpq.NetnsID]string{}, longest: map[string]uint32{}}
	var search host.Search
	for i := range p.Steps {
		scope := &p.Steps[i].Scope
		search = host.Search{Inode: scope.Netns}
		e.concerned[netnsOf(scope)] = netnsText(scope)
	}
	if len(e.concerned) > 1 {
		search = host.Search{}
	}
	h, err := global.open()
	if err != nil {
		return e
	}
	e.collector = collector.New(h, collector.Options{Search: search, Syn: collector.SynNever, Log: global.Log})
	if e.found, err = e.collector.Find(ctx); err != nil {
		return e
	}
	e.first, err = e.collector.Pass(ctx, e.found, nil, collector.Dump|collector.Sysctls)
	if err != nil {
		e.first = nil
	}
	e.last = e.first
	return e
}

func netnsOf(s *tuner.Scope) tcpq.NetnsID {
	cookie, err := strconv.ParseUint(s.Cookie, 16, 64)
	if err != nil {
		cookie = 0 // before Linux 5.14 there is none
	}
	return tcpq.NetnsID{Inode: s.Netns, Cookie: cookie}
}

// look looks again.
func (e *effect) look(ctx context.Context) {
	if e.first == nil {
		return
	}
	cur, err := e.collector.Pass(ctx, e.found, e.last, collector.Sysctls)
	if err != nil {
		return
	}
	e.last = cur
	for i := range cur.Namespaces {
		for j := range cur.Namespaces[i].Listeners {
			l := &cur.Namespaces[i].Listeners[j]
			e.longest[cookieText(l.Cookie)] = max(e.longest[cookieText(l.Cookie)], l.Accept.Len)
		}
	}
}

func cookieText(cookie uint64) string { return fmt.Sprintf("%016x", cookie) }

// listener returns what the last look saw of a listener.
func (e *effect) listener(s *tuner.Socket) *tcpq.Listener {
	if e.last == nil || s == nil {
		return nil
	}
	for i := range e.last.Namespaces {
		for j := range e.last.Namespaces[i].Listeners {
			if l := &e.last.Namespaces[i].Listeners[j]; cookieText(l.Cookie) == s.Cookie {
				return l
			}
		}
	}
	return nil
}

// refused returns the packets of new connections that were refused since the first
// look, in all namespaces concerned.
func (e *effect) refused() (packets uint64, known bool) {
	if e.first == nil {
		return 0, false
	}
	before := map[tcpq.NetnsID]*tcpq.Namespace{}
	for i := range e.first.Namespaces {
		before[e.first.Namespaces[i].ID] = &e.first.Namespaces[i]
	}
	for i := range e.last.Namespaces {
		n := &e.last.Namespaces[i]
		was := before[n.ID]
		if _, ok := e.concerned[n.ID]; !ok || was == nil {
			continue
		}
		moved := n.Counters.Since(&was.Counters)
		packets += moved.Value(tcpq.ListenDrops)
		known = true
	}
	return packets, known
}

// write shows what each value was and is.
func (e *effect) write(s *screen, tx *tuner.Transaction) {
	t := table{columns: []column{
		{title: "NETNS", least: 8},
		{title: "VALUE", least: 20},
		{title: "BEFORE", right: true},
		{title: "NOW", right: true},
		{title: "QUEUE", right: true},
	}}
	const few = 12
	full := false
	for i := range tx.Steps {
		step := &tx.Steps[i]
		if full = len(t.rows) == few; full {
			break
		}
		if step.Kind == tuner.KindFile || i > 0 && alike(&tx.Steps[i-1], step) {
			continue
		}
		now, queue := strconv.FormatInt(step.To, 10), "-"
		if l := e.listener(step.Listener); l != nil {
			now, queue = fmt.Sprint(l.Accept.Max), fmt.Sprint(l.Accept.Len)
		}
		t.rows = append(t.rows, row{cells: []string{
			netnsText(&step.Scope),
			stepName(step), strconv.FormatInt(step.From, 10), now, queue,
		}})
	}
	t.write(s.w, s.style.Width, s.style.Colour)
	if more := len(tx.Steps) - len(t.rows); full && more > 0 {
		s.say("and %d more", more)
	}
	fmt.Fprintln(s.w)
}

// text says in a line what was refused before and since, and how full the queues
// are that were changed.
func (e *effect) text(tx *tuner.Transaction, before *inspection.Inspection) string {
	packets, known := e.refused()
	if !known {
		return "nothing can be read of its effect"
	}
	text := fmt.Sprintf("%s refused in %.0f s", count(int(packets), "packet"), e.last.Time.Sub(e.first.Time).Round(time.Second).Seconds())
	if refused, seconds := e.refusedBefore(before); seconds > 0 {
		text += fmt.Sprintf(", and %d in the %.0f s before", refused, seconds)
	}
	if longest, ok := e.longestQueue(tx); ok {
		text += fmt.Sprintf(" · longest queue %d", longest)
	}
	return text
}

// longestQueue returns the longest accept queue seen since, of the listeners whose
// limit was changed.
func (e *effect) longestQueue(tx *tuner.Transaction) (longest uint32, ok bool) {
	for i := range tx.Steps {
		if l := tx.Steps[i].Listener; l != nil {
			length, seen := e.longest[l.Cookie]
			longest, ok = max(longest, length), ok || seen
		}
	}
	return longest, ok
}

// refusedBefore returns what the inspection saw refused in the same namespaces.
func (e *effect) refusedBefore(in *inspection.Inspection) (packets uint64, seconds float64) {
	if in == nil {
		return 0, 0
	}
	for i := range in.Namespaces {
		n := &in.Namespaces[i]
		for id := range e.concerned {
			if id.Inode == n.Inode {
				packets += n.Moved["ListenDrops"]
			}
		}
	}
	return packets, in.Window.Seconds
}
