// SPDX-License-Identifier: Apache-2.0

//go:build linux

package exporter

import (
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/qtune/qtune/inspection"
)

// A ledger remembers between two steps what a counter must not forget: how far
// each identity has counted, and which part of it was told under another name.
// A namespace is its cookie, a listener its own; a successor with the same inode
// number or address begins anew.
type ledger struct {
	step      uint64
	accounts  map[identity]*account
	listeners map[identity]*entry
}

// An identity is a namespace's inode and its own cookie or that of a listener in it.
type identity struct {
	netns  uint64
	cookie string
}

// An account is what is kept of a namespace.
type account struct {
	step     uint64 // when it was last seen
	kept     bool   // has series of its own
	netns    *dto.LabelPair
	counters map[string]uint64 // the highest seen

	other      counts // of the listeners without series of their own, while they had none
	otherPairs []*dto.LabelPair

	// Of this step.
	of     *inspection.Namespace
	living bool
	rest   rest
}

// A rest is what the listeners without series of their own have in common.
type rest struct {
	length, limit uint64
	inUse         int // listeners with series of their own
}

// An entry is what is kept of a listener.
type entry struct {
	step      uint64
	kept      bool
	account   *account // nil when its namespace was never seen
	group     bool     // its name has the inode, and keeps it
	name      string
	succeeded bool   // ended, and another had its name since: told again, its counts would count twice
	namespace string // of its pod
	pod       string
	pairs     []*dto.LabelPair // listenerLabels
	last      counts           // how far it has counted
	ceded     counts           // of that, what was told as listener="other"
	active    time.Time        // when it last lost, filled or had a finding

	// Of this step.
	of     *inspection.Listener
	living bool
	rank   float64
}

// counts are the counters of a listener.
type counts struct{ discards, refused uint64 }

func (c counts) plus(d counts) counts { return counts{c.discards + d.discards, c.refused + d.refused} }

func (c counts) minus(d counts) counts { return counts{c.discards - d.discards, c.refused - d.refused} }
func (c counts) behind(d counts) bool  { return c.discards < d.discards || c.refused < d.refused }

// countsOf prefers the agent's totals: the kernel's own count wraps.
func countsOf(l *inspection.Listener) counts {
	if t := l.Totals; t != nil {
		return counts{t.Discards, t.RefusedMax}
	}
	if d := l.Discards.Total; d != nil {
		return counts{discards: uint64(*d)}
	}
	return counts{}
}

func newLedger() ledger {
	return ledger{accounts: map[identity]*account{}, listeners: map[identity]*entry{}}
}

// enter takes a step's Inspection in and returns what is to be shown of it.
func (b *ledger) enter(in *inspection.Inspection, o *Options) *view {
	b.step++
	accounts := b.enterNamespaces(in)
	entries := b.enterListeners(in, accounts)
	v := &view{}
	v.dropped = keepAccounts(accounts, o.MaxNamespaces) + keepEntries(entries, in.Time, o)
	b.settle(entries)
	v.fill(b, in, accounts, entries)
	for id, a := range b.accounts {
		if a.step != b.step {
			delete(b.accounts, id)
		}
	}
	for id, e := range b.listeners {
		if e.step != b.step {
			delete(b.listeners, id)
		}
	}
	return v
}

// enterNamespaces returns the accounts of this step, one for an inode: the living
// one, else the one that ended last.
func (b *ledger) enterNamespaces(in *inspection.Inspection) []*account {
	accounts := make([]*account, 0, len(in.Namespaces))
	inodes := make(map[uint64]bool, len(in.Namespaces))
	enter := func(n *inspection.Namespace, living bool) {
		if inodes[n.Inode] {
			return
		}
		inodes[n.Inode] = true
		a := b.account(n)
		a.step, a.of, a.living, a.rest = b.step, n, living, rest{}
		for name, count := range n.Counters {
			a.counters[name] = max(a.counters[name], count)
		}
		accounts = append(accounts, a)
	}
	for i := range in.Namespaces {
		enter(&in.Namespaces[i], true)
	}
	if in.Gone != nil {
		for i := len(in.Gone.Namespaces) - 1; i >= 0; i-- {
			enter(&in.Gone.Namespaces[i], false)
		}
	}
	return accounts
}

// account finds the account of a namespace or opens one. Without a cookie, before
// Linux 5.14, a successor with the same inode number is known by counting far less:
// the kernel's sums step back by a few only.
func (b *ledger) account(n *inspection.Namespace) *account {
	id := identity{n.Inode, n.Cookie}
	a := b.accounts[id]
	if a != nil && n.Cookie == "" {
		for name, count := range n.Counters {
			if count < a.counters[name]/2 {
				a = nil
				break
			}
		}
	}
	if a == nil {
		a = &account{netns: label("netns", netnsName(n.Inode)), counters: make(map[string]uint64, len(n.Counters))}
		b.accounts[id] = a
	}
	return a
}

// enterListeners returns the entries of this step that may have series: the living
// ones, and those that ended having counted something and whose name is free.
func (b *ledger) enterListeners(in *inspection.Inspection, accounts []*account) []*entry {
	byInode := make(map[uint64]*account, len(accounts))
	for _, a := range accounts {
		byInode[a.of.Inode] = a
	}
	entries := make([]*entry, 0, len(in.Listeners))
	taken := make(map[identity]bool, len(in.Listeners)) // by name
	for i := range in.Listeners {
		l := &in.Listeners[i]
		e := b.entry(l, byInode[l.Netns], true)
		if name := (identity{l.Netns, e.name}); taken[name] && !e.group {
			e.group = true // whatever the reason: two of one name would make the scrape fail
			e.rename()
		}
		name := identity{l.Netns, e.name}
		if taken[name] {
			e.kept = false
			continue
		}
		taken[name] = true
		entries = append(entries, e)
	}
	if in.Gone == nil {
		return entries
	}
	for i := len(in.Gone.Listeners) - 1; i >= 0; i-- {
		l := &in.Gone.Listeners[i]
		if countsOf(l) == (counts{}) {
			continue
		}
		if e := b.listeners[identity{l.Netns, l.Cookie}]; e != nil && e.step == b.step {
			continue // still there
		}
		e := b.entry(l, byInode[l.Netns], false)
		name := identity{l.Netns, e.name}
		e.succeeded = e.succeeded || taken[name]
		if e.succeeded {
			e.kept = false
			continue
		}
		taken[name] = true
		entries = append(entries, e)
	}
	return entries
}

// entry finds the entry of a listener or opens one. Totals never go backwards:
// if they do, it is a successor.
func (b *ledger) entry(l *inspection.Listener, a *account, living bool) *entry {
	id := identity{l.Netns, l.Cookie}
	e := b.listeners[id]
	if e == nil || countsOf(l).behind(e.last) {
		e = &entry{account: a, last: countsOf(l)}
		b.listeners[id] = e
	}
	if living {
		e.account = a // what is gone stays with its own namespace, not a successor
	}
	e.step, e.of, e.living = b.step, l, living
	e.identify()
	return e
}

// identify names an entry. A pod once known stays: a runtime that answers late does
// not end a series, nor does a reuse-port group of which one member is left.
func (e *entry) identify() {
	namespace, pod := podOf(e.of.Owner)
	if namespace == "" && pod == "" {
		namespace, pod = e.namespace, e.pod
	}
	group := e.group || e.of.SynQueue.Members > 1
	if e.pairs == nil || group != e.group || namespace != e.namespace || pod != e.pod {
		e.group, e.namespace, e.pod = group, namespace, pod
		e.rename()
	}
}

func (e *entry) rename() {
	netns := label("netns", netnsName(e.of.Netns))
	if e.account != nil {
		netns = e.account.netns
	}
	e.name = listenerName(e.of, e.group)
	e.pairs = []*dto.LabelPair{label("listener", e.name), label("namespace", e.namespace), netns, label("pod", e.pod)}
}

// settle brings the counts up to date. What a listener counts while it has no series
// of its own goes to its namespace's "other", and is taken off its own series for
// good: so neither ever runs backwards, and no packet is counted twice.
func (b *ledger) settle(entries []*entry) {
	for _, e := range entries {
		now := countsOf(e.of)
		more := now.minus(e.last)
		e.last = now
		a := e.account
		if a == nil {
			continue
		}
		if e.kept {
			a.rest.inUse++
			continue
		}
		if a.otherPairs == nil {
			a.otherPairs = []*dto.LabelPair{label("listener", "other"), label("namespace", ""), a.netns, label("pod", "")}
		}
		e.ceded = e.ceded.plus(more)
		a.other = a.other.plus(more)
		if e.living {
			a.rest.length += uint64(e.of.AcceptQueue.Length)
			a.rest.limit += uint64(e.of.AcceptQueue.Limit)
		}
	}
}
