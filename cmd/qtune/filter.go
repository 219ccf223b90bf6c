// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"cmp"
	"slices"
	"strings"

	"github.com/qtune/qtune/inspection"
)

// A listenerID is the identity of a listener in an inspection.
type listenerID struct {
	netns  uint64
	cookie string
}

func idOf(l *inspection.Listener) listenerID { return listenerID{l.Netns, l.Cookie} }

// A filter says which listeners are shown.
type filter struct {
	PID       int
	Port      uint16
	Container string
	Pod       string
}

// of returns what of an inspection is wanted: some listeners and the namespaces
// they are in. Nothing asked for is everything. The inspection stays as it was.
func (f filter) of(in *inspection.Inspection) *inspection.Inspection {
	if f == (filter{}) {
		out := *in
		out.Listeners = slices.Clone(in.Listeners) // the caller sorts them
		return &out
	}
	used, shown := map[uint64]bool{}, map[listenerID]bool{}
	for i := range in.Listeners {
		if l := &in.Listeners[i]; f.wants(l) {
			used[l.Netns], shown[idOf(l)] = true, true
		}
	}
	out := within(in, used)
	out.Listeners = slices.DeleteFunc(out.Listeners, func(l inspection.Listener) bool { return !shown[idOf(&l)] })
	out.Findings = slices.DeleteFunc(out.Findings, func(f inspection.Finding) bool {
		return f.Listener != nil && !shown[listenerID{f.Netns, f.Listener.Cookie}]
	})
	return out
}

// within returns what of an inspection is in these namespaces. It stays as it was.
func within(in *inspection.Inspection, netns map[uint64]bool) *inspection.Inspection {
	out := *in
	out.Namespaces = slices.DeleteFunc(slices.Clone(in.Namespaces), func(n inspection.Namespace) bool { return !netns[n.Inode] })
	out.Listeners = slices.DeleteFunc(slices.Clone(in.Listeners), func(l inspection.Listener) bool { return !netns[l.Netns] })
	out.Findings = slices.DeleteFunc(slices.Clone(in.Findings), func(f inspection.Finding) bool { return !netns[f.Netns] })
	out.Elsewhere = slices.DeleteFunc(slices.Clone(in.Elsewhere), func(e inspection.Elsewhere) bool { return !netns[e.Netns] })
	return &out
}

func (f filter) wants(l *inspection.Listener) bool {
	owner := l.Owner
	if owner == nil {
		owner = &inspection.Owner{}
	}
	return (f.Port == 0 || l.Port == f.Port) &&
		(f.PID == 0 || slices.Contains(owner.PIDs, f.PID)) &&
		(f.Container == "" || wantsContainer(f.Container, owner)) &&
		(f.Pod == "" || wantsPod(f.Pod, owner))
}

func wantsContainer(want string, o *inspection.Owner) bool {
	return o.Container != nil && (strings.HasPrefix(o.Container.ID, want) || o.Container.Name == want) ||
		o.Pod != nil && o.Pod.Container == want
}

func wantsPod(want string, o *inspection.Owner) bool {
	if o.Pod == nil {
		return false
	}
	namespace, name, ok := strings.Cut(want, "/")
	return ok && o.Pod.Namespace == namespace && o.Pod.Name == name || o.Pod.UID == want
}

// A listenerOrder compares two listeners.
type listenerOrder func(a, b *inspection.Listener) int

// listenerOrders are what --sort knows; each compares what a reader wants first.
var listenerOrders = map[string]listenerOrder{
	"netns": func(*inspection.Listener, *inspection.Listener) int { return 0 },
	"port":  func(a, b *inspection.Listener) int { return cmp.Compare(a.Port, b.Port) },
	"owner": func(a, b *inspection.Listener) int { return cmp.Compare(a.Owner.String(), b.Owner.String()) },
	"loss": func(a, b *inspection.Listener) int {
		return cmp.Or(cmp.Compare(loss(b), loss(a)), cmp.Compare(markRank(a.Mark()), markRank(b.Mark())))
	},
	"accept": func(a, b *inspection.Listener) int { return cmp.Compare(fill(b), fill(a)) },
	"syn": func(a, b *inspection.Listener) int {
		return cmp.Compare(value(b.SynQueue.Length), value(a.SynQueue.Length))
	},
	"discards": func(a, b *inspection.Listener) int {
		return cmp.Compare(value(b.Discards.Total), value(a.Discards.Total))
	},
}

// sortListeners puts listeners in the order asked for; those that are equal in
// it stay by namespace (the host's first), port and address.
func sortListeners(all []inspection.Listener, order listenerOrder) {
	place := map[uint64]int{} // namespaces in the order they come in
	type placed struct {      // small, so that sorting moves little
		*inspection.Listener
		place int
	}
	sorted := make([]placed, len(all))
	for i := range all {
		if _, ok := place[all[i].Netns]; !ok {
			place[all[i].Netns] = len(place)
		}
		sorted[i] = placed{&all[i], place[all[i].Netns]}
	}
	slices.SortFunc(sorted, func(a, b placed) int {
		if c := cmp.Or(order(a.Listener, b.Listener), cmp.Compare(a.place, b.place), cmp.Compare(a.Port, b.Port)); c != 0 {
			return c
		}
		return cmp.Or(cmp.Compare(a.Address, b.Address), cmp.Compare(a.Device, b.Device), cmp.Compare(a.Cookie, b.Cookie))
	})
	out := make([]inspection.Listener, len(all))
	for i := range sorted {
		out[i] = *sorted[i].Listener
	}
	copy(all, out)
}

func loss(l *inspection.Listener) uint64 {
	if l.Refused == nil {
		return 0
	}
	return l.Refused.Max
}

// fill returns how full the accept queue is, 1 for full.
func fill(l *inspection.Listener) float64 {
	return float64(l.AcceptQueue.Length) / float64(l.AcceptQueue.Capacity)
}

func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
