// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tuner

import (
	"cmp"
	"slices"

	"github.com/qtune/qtune/inspection"
)

// affects returns the running listeners that feel an ask, and whether they do at
// once. A larger somaxconn is felt at once by those that the plan resizes; by those
// that it cut down at their next listen(2), and by others not at all.
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
			if now := d.resizes(l); now || clamped(l, a.from) {
				add(l, now)
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
