// SPDX-License-Identifier: Apache-2.0

//go:build linux

package page

import (
	"strconv"
	"strings"

	"github.com/qtune/qtune/inspection"
)

// A detail is all that is known of one listener.
type detail struct {
	Row      row
	Ended    bool // it is gone, and this is how it was last seen
	Missing  bool // nobody knows it
	Facts    []factGroup
	Problems []problem
	Remarks  []problem
	Chart    *chart
}

// A factGroup is a heading and what stands below.
type factGroup struct {
	Title string
	Facts []fact
}

// A fact is a name, its value and perhaps what that means.
type fact struct{ Name, Value, Note string }

// detailOf looks for a listener among those there are and those that went.
func (s *site) detailOf(in *inspection.Inspection, ns uint64, cookie string) (*detail, bool) {
	l, ended := find(in, ns, cookie)
	if l == nil {
		return &detail{Missing: true}, false
	}
	names := in.NetnsNames()
	if names[ns] == "" {
		names[ns] = strconv.FormatUint(ns, 10) // it went, too
	}
	d := &detail{Row: row{Listener: l, Netns: names[ns], ID: idOf(ns, cookie)}, Ended: ended}
	severities := map[string]string{}
	listeners := listenersOf(in)
	for i := range in.Findings {
		f := &in.Findings[i]
		severities[f.Code] = f.Severity
		if f.Listener == nil || f.Netns != ns || f.Listener.Cookie != cookie {
			continue
		}
		p := problemOf(f, names, listeners)
		p.ID, p.Link, p.Open = "d-"+p.ID, "", true // the link would lead here
		if f.Problem() {
			d.Problems = append(d.Problems, p)
		} else {
			d.Remarks = append(d.Remarks, p)
		}
	}
	d.Row.judge(severities)
	d.Facts = factsOf(&d.Row)
	if h, ok := s.source.History(ns, cookie); ok {
		d.Chart = chartOf(h)
	}
	return d, true
}

func find(in *inspection.Inspection, ns uint64, cookie string) (l *inspection.Listener, ended bool) {
	look := func(all []inspection.Listener) *inspection.Listener {
		for i := range all {
			if all[i].Netns == ns && all[i].Cookie == cookie {
				return &all[i]
			}
		}
		return nil
	}
	if l := look(in.Listeners); l != nil || in.Gone == nil {
		return l, false
	}
	return look(in.Gone.Listeners), true
}

// factsOf writes out every field.
func factsOf(r *row) []factGroup {
	l := r.Listener
	accept := []fact{
		{"length", number(l.AcceptQueue.Length), "connections wait for accept(2)"},
		{"limit", number(l.AcceptQueue.Limit), "taken once, inside listen(2)"},
		{"fits", number(l.AcceptQueue.Capacity), "the kernel compares length > limit"},
		{"limit by", l.LimitBoundBy, r.LimitWhy()},
	}
	accept = add(accept, "longest", l.AcceptQueue.Peak, "while it was watched")
	accept = add(accept, "longest lately", l.AcceptQueue.RecentPeak, "within the agent's --peak-window")
	syn := []fact{{"length", r.Syn.Text, ""}}
	if l.SynQueue.Length != nil {
		syn[0] = fact{"length", number(*l.SynQueue.Length), "half-open peers"}
	}
	syn = add(syn, "limit", l.SynQueue.Limit, "")
	if l.SynQueue.BoundBy != "" {
		syn = append(syn, fact{"bound by", l.SynQueue.BoundBy, ""})
	}
	if l.SynQueue.Members > 1 {
		syn = append(syn, fact{"members", number(l.SynQueue.Members), "listeners of a reuse-port group share it"})
	}
	loss := []fact{{"refused", l.Refused.String(), "packets of new connections, while it was watched"}}
	if l.Totals != nil {
		loss = append(loss, fact{"at most, in all", number(l.Totals.RefusedMax), "since the agent first saw it"})
	}
	loss = append(loss, fact{"discards", r.Discarded(), "packets since the socket was made; alone they are harmless"})
	loss = add(loss, "while watched", l.Discards.Window, "packets discarded")
	return []factGroup{{"Accept queue", accept}, {"SYN queue", syn}, {"Losses", loss}, {"Owner", ownerFacts(l.Owner)}, {"Socket", socketFacts(r)}}
}

func ownerFacts(o *inspection.Owner) []fact {
	if o == nil {
		return []fact{{"owner", "-", "nobody looked"}}
	}
	facts := []fact{{"process", o.Process(), ""}}
	text := func(name, value string) {
		if value != "" {
			facts = append(facts, fact{name, value, ""})
		}
	}
	if len(o.PIDs) > 1 {
		pids := make([]string, len(o.PIDs))
		for i, pid := range o.PIDs {
			pids[i] = strconv.Itoa(pid)
		}
		facts = append(facts, fact{"held by", strings.Join(pids, " "), "the oldest first"})
	}
	text("program", o.Exe)
	text("uid", number(o.UID))
	text("unit", o.Unit)
	if p := o.Pod; p != nil {
		text("pod", o.Place())
		text("pod's container", p.Container)
		text("pod's uid", p.UID)
	}
	if c := o.Container; c != nil {
		text("container", c.String())
		text("container's id", c.ID)
	}
	return facts
}

func socketFacts(r *row) []fact {
	l := r.Listener
	facts := []fact{
		{"namespace", r.Netns, "net:[" + number(l.Netns) + "]"},
		{"kind", l.Flavour(), ""},
	}
	if l.Device != "" {
		facts = append(facts, fact{"device", l.Device, "bound to it"})
	}
	return append(facts, fact{"inode", number(l.Inode), ""}, fact{"cookie", l.Cookie, ""})
}

// add adds a number that is known.
func add[N uint32 | uint64](facts []fact, name string, n *N, note string) []fact {
	if n == nil {
		return facts
	}
	return append(facts, fact{name, number(*n), note})
}

func number[N int | uint32 | uint64](n N) string { return strconv.FormatUint(uint64(n), 10) } //nolint:gosec // none is negative
