// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tuner

import (
	"cmp"
	"slices"

	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/tcpq"
)

// affects returns the running listeners that feel an ask, and whether they do at
// once.
func (d *draft) affects(a *ask) []Affect {
	var all []Affect
	add := func(l *inspection.Listener, now bool) {
		f := Affect{Listener: l.Name(), Now: now}
		if l.Owner != nil {
			f.Comm = l.Owner.Comm
		}
		if !slices.Contains(all, f) {
			all = append(all, f)
		}
	}
	switch {
	case a.kind == KindListen:
		add(a.listener, true)
	case a.key.Info().Live:
		for _, l := range a.space.listeners {
			add(l, true)
		}
	default:
		for _, l := range a.space.listeners {
			if clamped(l, a.from) {
				add(l, d.resizes(l))
			}
		}
	}
	slices.SortFunc(all, func(x, y Affect) int {
		return cmp.Or(cmp.Compare(x.Listener, y.Listener), cmp.Compare(x.Comm, y.Comm))
	})
	return all
}

// resizes reports whether the plan resizes a listener.
func (d *draft) resizes(l *inspection.Listener) bool {
	return slices.ContainsFunc(d.asked, func(a ask) bool { return a.listener == l })
}

// setBy returns who else sets the key of an ask.
func (d *draft) setBy(a *ask) []Setter {
	switch {
	case a.kind != KindSysctl:
		return nil
	case a.space.ns.Host && d.AtBoot != nil:
		return d.AtBoot(a.key)
	case a.space.scope.Pod != "":
		return []Setter{{Where: "securityContext.sysctls of the pod, perhaps: they are set when it starts"}}
	case !a.space.ns.Host && a.space.place.Container != "":
		return []Setter{{Where: "the container's runtime (--sysctl), perhaps: it sets them when it starts"}}
	}
	return nil
}

// askOf returns what a step of a plan that was saved would change. It refuses a
// step whose namespace or listener is not there.
func (d *draft) askOf(step *Step) (ask, bool) {
	gone := func(what string) (ask, bool) {
		d.refuse(Refusal{Code: NotFound, Scope: step.Scope, Key: step.Key, Listener: step.Listener, From: step.From, To: step.To, Message: what})
		return ask{}, false
	}
	s := d.spaces[step.Scope.Netns]
	if s == nil || s.scope.Cookie != step.Scope.Cookie {
		return gone("the network namespace is there no more")
	}
	if step.Kind == KindListen {
		for _, l := range s.listeners {
			if l.Cookie == step.Listener.Cookie && l.Inode == step.Listener.Inode {
				return listenAsk(s, l, step.To, d.Person), true
			}
		}
		return gone("the listener is there no more")
	}
	for _, key := range Settable() {
		if key.String() == step.Key {
			wanted := key == tcpq.Somaxconn && step.To <= d.Policy.Baseline
			a, r := d.sysctlAsk(s, key, step.To, d.Person || wanted)
			if r != nil {
				d.refuse(*r)
			}
			return a, r == nil
		}
	}
	return gone("qtune does not set this")
}
