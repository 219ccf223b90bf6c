// SPDX-License-Identifier: Apache-2.0

//go:build linux

package advisor

import (
	"net/netip"

	"github.com/qtune/qtune/policy"
	"github.com/qtune/qtune/tcpq"
)

// A scene is one namespace as the window shows it.
type scene struct {
	snapshot *tcpq.Snapshot
	policy   *policy.Policy
	ns       *tcpq.Namespace

	slots    []slot        // in which it was seen at both ends
	moved    tcpq.Counters // in all of them
	seconds  float64       // all of them together
	subjects []subject
}

// A slot is one Delta of the scene.
type slot struct {
	*tcpq.NamespaceDelta
	seconds float64
}

func newScene(s *tcpq.Snapshot, w *tcpq.Window, p *policy.Policy, ns *tcpq.Namespace) *scene {
	sc := &scene{snapshot: s, policy: p, ns: ns}
	for _, d := range w.Deltas {
		if nd := d.Namespaces[ns.ID]; nd != nil {
			sc.slots = append(sc.slots, slot{nd, d.End.Sub(d.Start).Seconds()})
			sc.moved.Add(&nd.Counters)
			sc.seconds += d.End.Sub(d.Start).Seconds()
		}
	}
	groups := map[groupKey][]*subject{}
	sc.subjects = make([]subject, len(ns.Listeners))
	for i := range ns.Listeners {
		l := &sc.subjects[i]
		*l = subject{scene: sc, l: &ns.Listeners[i], seen: w.Listener(tcpq.ListenerID{Netns: ns.ID, Cookie: ns.Listeners[i].Cookie})}
		if l.l.Syn.Members > 1 {
			groups[groupOf(l.l)] = append(groups[groupOf(l.l)], l)
		}
	}
	for _, group := range groups {
		for _, l := range group {
			l.group = group
		}
	}
	return sc
}

// A groupKey is equal for the members of a reuse-port group.
type groupKey struct {
	addr   netip.Addr
	port   uint16
	device uint32
	v6only bool
}

func groupOf(l *tcpq.Listener) groupKey { return groupKey{l.Addr, l.Port, l.Ifindex, l.V6Only} }

// lone reports whether all that the namespace's counters tell is of one listener.
func (s *scene) lone() bool { return len(s.subjects) == 1 }

// sysctl returns a setting of the namespace, -1 when it is not known.
func (s *scene) sysctl(k tcpq.Sysctl) int64 {
	if v, ok := s.ns.Sysctls.Get(k); ok {
		return v
	}
	return -1
}

// accepted returns how many connections left accept queues of the namespace in
// a slot: those that entered, less those that are still there.
func (s slot) accepted() float64 {
	n := float64(s.Counters.Value(tcpq.PassiveOpens))
	for _, l := range s.Listeners {
		n -= float64(l.To) - float64(l.From)
	}
	return max(n, 0)
}
