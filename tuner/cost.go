// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tuner

import (
	"cmp"
	"slices"

	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/tcpq"
)

// idleBytes is what one more connection in an accept queue takes.
const idleBytes = tcpq.RequestBytes + tcpq.ConnectionBytes

// worstBytes is what it takes when its peer has sent all it may.
func (d *draft) worstBytes() uint64 {
	return idleBytes + cmp.Or(d.Memory.ReceiveWant, tcpq.ReceiveBytes)
}

// reach returns the limits that listeners may have once an ask is done: the one
// that is resized at once, those that somaxconn cut down at their next listen(2).
func (a *ask) reach() map[*inspection.Listener]int64 {
	to := map[*inspection.Listener]int64{}
	switch {
	case a.kind == KindListen:
		to[a.listener] = a.to
	case a.key == tcpq.Somaxconn:
		for _, l := range a.space.listeners {
			if clamped(l, a.from) {
				to[l] = a.to
			}
		}
	}
	return to
}

// clamped reports whether a larger somaxconn is what the listener would take.
func clamped(l *inspection.Listener, somaxconn int64) bool {
	return int64(l.AcceptQueue.Limit) >= somaxconn || l.LimitBoundBy == string(tcpq.BoundSomaxconnAtListen)
}

// aboveFree returns how much of a raise of a listener the rails count.
func aboveFree(l *inspection.Listener, to int64) uint64 {
	return uint64(max(0, to-max(int64(l.AcceptQueue.Limit), freeLimit)))
}

// adds returns how many connections above freeLimit the ask lets wait.
func (d *draft) adds(a *ask) (connections uint64) {
	for l, to := range a.reach() {
		connections += aboveFree(l, to)
	}
	return connections
}

// above returns how many connections above freeLimit all steps so far and these
// asks let wait. A listener that is named twice is counted once.
func (d *draft) above(asks []ask) (connections uint64) {
	to := map[*inspection.Listener]int64{}
	for i := range asks {
		for l, limit := range asks[i].reach() {
			to[l] = max(to[l], limit)
		}
	}
	connections = d.over
	for l, limit := range to {
		connections += aboveFree(l, max(limit, d.grown[l])) - aboveFree(l, d.grown[l])
	}
	return connections
}

// overMemory compares what asks take of an amount with what the policy gives them.
func (d *draft) overMemory(a *ask, all []ask, each, of uint64, percent int) (limit, actual float64, broken bool) {
	if d.adds(a) == 0 {
		return 0, 0, false
	}
	limit = float64(of) * float64(percent) / 100
	actual = float64(d.above(all)) * float64(each)
	return limit, actual, actual > limit
}

// acceptRate returns how many connections a second the program was seen to accept.
// It is known when the namespace has no other listener, and means something when
// connections waited: else it is no more than what came.
func (d *draft) acceptRate(s *space, l *inspection.Listener) (perSecond float64, known bool) {
	opened, seconds := s.ns.Moved[tcpq.PassiveOpens.String()], d.Inspection.Window.Seconds
	waited := l.AcceptQueue.Peak != nil && *l.AcceptQueue.Peak > 0
	if len(s.listeners) != 1 || seconds == 0 || opened == 0 || !waited {
		return 0, false
	}
	return float64(opened) / seconds, true
}

// cost returns what all steps may take, in both queues of every listener they
// reach.
func (d *draft) cost() (c Cost) {
	var idle, worst int64
	for _, s := range d.changed() {
		was, is := d.queues(s.live), d.queues(func(key tcpq.Sysctl) (int64, bool) { return d.value(s, key) })
		for _, l := range s.listeners {
			limit := int64(l.AcceptQueue.Limit)
			to := max(limit, d.grown[l])
			more := is(to) - was(limit)
			idle += more
			worst += more + (to-limit)*int64(d.worstBytes()-idleBytes)
			if rate, known := d.acceptRate(s, l); known {
				c.WorstWaitSecond = max(c.WorstWaitSecond, float64(to-limit)/rate)
			}
		}
	}
	c.IdleBytes, c.WorstBytes = uint64(max(0, idle)), uint64(max(0, worst))
	return c
}

// changed returns the namespaces that some step is about.
func (d *draft) changed() (all []*space) {
	for i := range d.asked {
		if s := d.asked[i].space; !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all
}

// queues returns the function that says what both queues of a listener with a
// limit take when they are full and nobody has sent anything, under these settings.
func (d *draft) queues(setting func(tcpq.Sysctl) (int64, bool)) func(limit int64) (bytes int64) {
	synBacklog, _ := setting(tcpq.TCPMaxSynBacklog)
	cookies, _ := setting(tcpq.TCPSyncookies)
	return func(limit int64) int64 {
		e := tcpq.Explanation{Capacity: uint64(limit) + 1}
		e.Syn, _ = tcpq.SynQueueMax(d.kernel, uint32(limit), synBacklog, cookies)
		idle, _ := e.Memory()
		return int64(idle)
	}
}
