// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tuner

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/tcpq"
)

// settled returns one wish for each value, in an order in which each knows those
// that it depends on: what tcp_max_syn_backlog is good for on tcp_syncookies, and
// a listener's limit on somaxconn. That is not lowered below a limit that is wished
// for, too.
func (d *draft) settled(wishes []Wish) []Wish {
	var all []Wish
	for _, w := range wishes {
		same := func(o Wish) bool {
			return o.Netns == w.Netns && o.Listener == w.Listener && (w.Listener != "" || o.Key == w.Key)
		}
		if i := slices.IndexFunc(all, same); i >= 0 {
			all[i].To = max(all[i].To, w.To)
		} else {
			all = append(all, w)
		}
	}
	for i := range all {
		if w := &all[i]; w.Listener == "" && w.Key == tcpq.Somaxconn && d.spaces[w.Netns] != nil {
			now, _ := d.spaces[w.Netns].live(w.Key)
			for _, o := range all {
				if o.Listener != "" && o.Netns == w.Netns && w.To < now {
					w.To = min(max(w.To, o.To), now)
				}
			}
		}
	}
	rank := func(w Wish) int {
		switch {
		case w.Listener != "":
			return 2
		case w.Key == tcpq.TCPSyncookies:
			return 0
		}
		return 1
	}
	slices.SortStableFunc(all, func(a, b Wish) int { return cmp.Compare(rank(a), rank(b)) })
	return all
}

// wish plans one explicit value.
func (d *draft) wish(w Wish) {
	s := d.spaces[w.Netns]
	if s == nil {
		r := Refusal{Code: NotFound, Scope: Scope{Netns: w.Netns}, To: w.To, Message: fmt.Sprintf("there is no network namespace %d, or it could not be read", w.Netns)}
		if w.Listener == "" {
			r.Key = w.Key.String()
		}
		d.refuse(r)
		return
	}
	if w.Listener != "" {
		d.resize(s, w.Listener, w.To)
		return
	}
	d.raise(s, w.Key, w.To, "asked for by name")
}

// raise plans one setting. What is there already, or better, is left as it is
// unless a person wants less.
func (d *draft) raise(s *space, key tcpq.Sysctl, to int64, why string) {
	a, r := d.sysctlAsk(s, key, to, true)
	switch {
	case r != nil:
		d.refuse(*r)
		return
	case d.satisfied(&a):
		return
	}
	if r := d.broken([]ask{a}); r != nil {
		d.refuse(*r)
		return
	}
	d.take(a, why, "")
}

// satisfied reports whether the value is there already, or a better one. Every
// value of tcp_syncookies but 0 and 2 is 1 to the kernel.
func (d *draft) satisfied(a *ask) bool {
	if a.sets(tcpq.TCPSyncookies) {
		return a.from == a.to || a.to == 1 && a.from != 0 && a.from != 2
	}
	return a.to == a.from || a.to < a.from && !(d.AllowDecrease && d.Person)
}

// resize plans the limit of a listener that was named, and of its reuse-port
// group.
func (d *draft) resize(s *space, name string, to int64) {
	var found []*inspection.Listener
	for _, l := range s.listeners {
		if l.Name() == name {
			found = append(found, l)
		}
	}
	if len(found) == 0 {
		d.refuse(Refusal{Code: NotFound, Scope: s.scope, To: to, Message: fmt.Sprintf("nobody listens on %s in this namespace", name)})
		return
	}
	members := s.together(found[0])
	if d.allSatisfied(s, members, to) {
		return
	}
	if r := d.mayResizeAll(s, members, to, true); r != nil {
		d.refuse(*r)
		return
	}
	if _, r := d.sysctlAsk(s, tcpq.Somaxconn, to, true); r != nil {
		d.refuse(*r)
		return
	}
	asks := d.asksFor(s, members, to, true)
	if r := d.broken(asks); r != nil {
		d.refuse(*r)
		return
	}
	for _, m := range members {
		if atFault(m) {
			d.warn(s, m)
		}
	}
	for _, a := range asks {
		d.take(a, "asked for by name", "")
	}
}

func (d *draft) allSatisfied(s *space, members []*inspection.Listener, to int64) bool {
	for _, m := range members {
		if a := listenAsk(s, m, to, true); !d.satisfied(&a) {
			return false
		}
	}
	return true
}

// warn says of a listener that a person resizes what was found there.
func (d *draft) warn(s *space, l *inspection.Listener) {
	for i := range d.Inspection.Findings {
		f := &d.Inspection.Findings[i]
		if s.ns.Inode == f.Netns && s.listenerOf(f) == l && remedyOf(f.Code).never {
			d.advice(Advice{Scope: s.scope, Listener: l.Name(), Comm: l.Owner.Comm, Code: f.Code, Text: sentence(f.Title) + f.Why})
		}
	}
}
