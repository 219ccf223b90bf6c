// SPDX-License-Identifier: Apache-2.0

//go:build linux && e2e

package e2e

import (
	"testing"
	"time"

	"github.com/qtune/qtune/policy"
	"github.com/qtune/qtune/test/lab"
	"github.com/qtune/qtune/tuner"
)

// shortQueue is the socket of a server whose queue is too short for 110 at once.
var shortQueue = lab.Socket{Addr: "0.0.0.0", Port: 80, Backlog: shortLimit}

const shortLimit = 64

// healthy is a server that works off whatever comes, but is not always there.
var healthy = lab.Serve{Every: 30 * time.Millisecond}

// TestLoopTunes proves that bursts to a healthy server are tuned for and that
// the change is kept by evidence; that a server which is started again, and so has its
// old limit, is tuned again; and that what was confirmed outlives the agent.
func TestLoopTunes(t *testing.T) {
	lab.NeedRoot(t)
	lab.NeedRealTime(t)
	t.Parallel()
	w := newTown(t, "bursts", shortQueue)
	w.server.Serve(healthy)
	w.busy(250*time.Millisecond, w.comes(110))
	e := enforce(t, nil, w)
	for i := range 2 {
		e.onTrial(i)
		raised := w.limit()
		if raised <= shortLimit {
			t.Errorf("on trial with limit %d, want more than %d", raised, shortLimit)
		}
		e.ended(tuner.Confirmed, "confirm")
		if i == 1 {
			e.end()
		}
		if got := w.limit(); got != raised {
			t.Errorf("limit %d after it was confirmed, want %d", got, raised)
		}
		if i == 0 {
			w.child.Kill()
			w.open()
			w.server.Serve(healthy)
			if got := w.limit(); got != shortLimit {
				t.Fatalf("limit %d after a restart, want %d", got, shortLimit)
			}
		}
	}
}

// barely lets a queue grow so little that it hardly helps, and a trial not be longer
// than it must: none here could end well.
func barely(p *policy.Policy) {
	p.Backlog = policy.Range{Min: shortLimit, Max: 96}
	p.Trial.Max = p.Trial.Duration
}

// TestLoopUndoes proves that a change is undone when traffic halves by itself
// and when nothing changes but that a scan stops; and who is left alone meanwhile: who
// accepts too slowly, who is stuck, who is flooded with SYNs and who is scanned.
func TestLoopUndoes(t *testing.T) {
	lab.NeedRoot(t)
	lab.NeedRealTime(t)
	t.Parallel()
	halves := newTown(t, "halves", shortQueue)
	halves.server.Serve(healthy)
	less := halves.comes(20) // those refused before come again, too

	scan := newTown(t, "scan", shortQueue)
	scan.server.Serve(healthy)
	bursts := scan.comes(300)
	line := scan.ns.NewWire("near")

	slow, stuck, flooded, scanned := aloneTowns(t)
	e := enforce(t, barely, halves, scan, slow, stuck, flooded, scanned)
	halves.busy(250*time.Millisecond, halves.comes(110))
	scan.busy(500*time.Millisecond, func() { line.HealthCheck(lab.OnCable(scan.server), 200); bursts() })

	for i := range 2 {
		tx := e.onTrial(i)
		switch tx.Steps[0].Scope.Netns {
		case halves.ns.Inode:
			halves.load.Store(&less)
			e.ended(tuner.RolledBack, "inconclusive")
		case scan.ns.Inode:
			scan.load.Store(&bursts)
			e.ended(tuner.RolledBack, "no-benefit")
		default:
			t.Fatalf("tuned: %s\n%s", tx.Steps[0].Scope.Name, e.story())
		}
	}
	e.until(3, "verdicts on who is slow, stuck and flooded", func() bool {
		return e.decided(slow, "AppTooSlow", "explain") && e.decided(stuck, "AppTooSlow", "explain") && e.decided(flooded, "SynPressure", "watch")
	})
	e.end()
	wantShort(t, halves, scan, slow, stuck, flooded, scanned)
}

// TestLoopYields proves that a change is undone when somebody else writes, whose
// value stays, and when the agent ends.
func TestLoopYields(t *testing.T) {
	lab.NeedRoot(t)
	lab.NeedRealTime(t)
	t.Parallel()
	foreign := newTown(t, "foreign", shortQueue)
	foreign.child.Kill()
	foreign.ns.SetSysctl("net.core.somaxconn", "64")
	foreign.socket.Backlog = 4096 // cut down to somaxconn
	foreign.open()
	foreign.server.Serve(healthy)

	last := newTown(t, "last", shortQueue)
	last.server.Serve(healthy)

	e := enforce(t, barely, foreign, last)
	foreign.busy(250*time.Millisecond, foreign.comes(110))
	tx := e.onTrial(0)
	last.busy(250*time.Millisecond, last.comes(110))
	if len(tx.Steps) != 2 || foreign.limit() <= shortLimit {
		t.Errorf("%d steps and limit %d, want somaxconn and the listener raised", len(tx.Steps), foreign.limit())
	}
	foreign.ns.SetSysctl("net.core.somaxconn", "300")
	e.ended(tuner.Conflict, "conflict")
	if got, _ := foreign.ns.Sysctl("net.core.somaxconn"); got != "300" {
		t.Errorf("somaxconn is %s, want 300, as somebody set it", got)
	}

	if tx := e.onTrial(1); tx.Steps[0].Scope.Netns != last.ns.Inode {
		t.Errorf("tuned: %s\n%s", tx.Steps[0].Scope.Name, e.story())
	}
	e.until(1, "a trial that the agent knows of", func() bool { return e.agent.Last().Agent.Tuning.Trial != nil })
	e.end()
	e.ended(tuner.RolledBack, "stopped")
	wantShort(t, foreign, last)
}

// wantShort fails the test unless the queues are as short as they were.
func wantShort(t *testing.T, towns ...*town) {
	t.Helper()
	for _, w := range towns {
		if got := w.limit(); got != shortLimit {
			t.Errorf("%s: limit %d, want %d", w.name, got, shortLimit)
		}
	}
}

// aloneTowns returns servers that no change would help.
func aloneTowns(t *testing.T) (slow, stuck, flooded, scanned *town) {
	t.Helper()
	slow = newTown(t, "slow", shortQueue)
	slow.server.Serve(lab.Serve{Every: 20 * time.Millisecond, Batch: 1})
	slow.busy(50*time.Millisecond, slow.comes(5))

	stuck = newTown(t, "stuck", shortQueue)
	stuck.busy(200*time.Millisecond, stuck.comes(5))

	flooded = newTown(t, "flooded", shortQueue)
	flooded.server.Serve(healthy)
	cable := flooded.ns.NewWire("near")
	flooded.busy(20*time.Millisecond, func() { cable.Send(lab.OnCable(flooded.server), lab.SYN, 20) })

	scanned = newTown(t, "scanned", shortQueue)
	scanned.server.Serve(healthy)
	line, calm := scanned.ns.NewWire("near"), scanned.comes(3)
	scanned.busy(20*time.Millisecond, func() { line.HealthCheck(lab.OnCable(scanned.server), 10); calm() })
	return slow, stuck, flooded, scanned
}
