// SPDX-License-Identifier: Apache-2.0

//go:build linux

package collector

import (
	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/tcpq"
)

// maxGap is how many passes are left out, at most, before a listener whose owner
// was not found is looked for again.
const maxGap = 64

// An again says when an owner that was not found is looked for again.
type again struct {
	gap  int // passes between the last search and the next
	left int // of them
}

// forgetOwners takes away the owners that are to be looked for: those that ended,
// and those that were not found, when it is their turn or a listener has come in
// the same cgroup. Each time the next turn is twice as far away.
func (c *Collector) forgetOwners(namespaces []tcpq.Namespace, processes []host.Process) {
	alive := make(map[int]bool, len(processes))
	for _, p := range processes {
		alive[p.PID] = true
	}
	asks := map[uint64]bool{} // cgroups in which a listener has come
	eachListener(namespaces, func(_ *tcpq.Namespace, l *tcpq.Listener) {
		if c.listed && l.Owner != nil && len(l.Owner.PIDs) > 0 && !alive[l.Owner.PIDs[0]] {
			l.Owner = nil
		}
		if l.Owner == nil {
			asks[l.Cgroup] = true
		}
	})
	c.listed = false // from now on an owner may be younger than the list
	unfound := map[uint64]again{}
	eachListener(namespaces, func(_ *tcpq.Namespace, l *tcpq.Listener) {
		if l.Owner == nil || l.Owner.Unfound == tcpq.Found {
			return
		}
		turn := c.unfound[l.Cookie]
		turn.left--
		if turn.left <= 0 || l.Cgroup != 0 && asks[l.Cgroup] {
			l.Owner = nil
			turn.gap = min(max(1, 2*turn.gap), maxGap)
			turn.left = turn.gap
		}
		unfound[l.Cookie] = turn
	})
	c.unfound = unfound
}

func eachListener(namespaces []tcpq.Namespace, f func(*tcpq.Namespace, *tcpq.Listener)) {
	for i := range namespaces {
		n := &namespaces[i]
		for j := range n.Listeners {
			f(n, &n.Listeners[j])
		}
	}
}
