// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernel

import (
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/qtune/qtune/advisor"
	"github.com/qtune/qtune/collector"
	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/tcpq"
	"github.com/qtune/qtune/test/lab"
)

// live returns this machine as qtune reads it.
func live(t *testing.T) *host.Live {
	t.Helper()
	h, err := host.NewLive("/")
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// snapshot reads this machine once.
func snapshot(t *testing.T, c *collector.Collector, prev *tcpq.Snapshot) *tcpq.Snapshot {
	t.Helper()
	s, err := c.Snapshot(t.Context(), prev)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// generation is how many namespaces end together in the tests below.
const generation = 8

// makeSome makes namespaces and returns them and their numbers.
func makeSome(t *testing.T, count int) (all []*lab.Namespace, numbers []uint64) {
	t.Helper()
	for range count {
		n := lab.NewNamespace(t)
		if n.Cookie == 0 {
			t.Skip("this kernel gives namespaces no cookies")
		}
		all, numbers = append(all, n), append(numbers, n.Inode)
	}
	return all, numbers
}

func release(all []*lab.Namespace) {
	for _, n := range all {
		n.Release()
	}
}

// tries calls try a bounded number of times, until it says yes. Between two of
// them the kernel has time to end namespaces, which it does in batches.
func tries(t *testing.T, try func() bool) {
	t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for range 60 {
		if try() {
			return
		}
		<-tick.C
	}
	t.Skip("no number of a namespace was used again: too much comes and goes on this machine")
}

// first makes the namespaces of which one is to have a successor. Numbers are
// used again in a foreseeable way only when nothing else is about to end: the
// files of each /proc/net take numbers of the same kind.
func first(t *testing.T) []*lab.Namespace {
	t.Helper()
	var all []*lab.Namespace
	var before []uint64
	tries(t, func() bool {
		var now []uint64
		all, now = makeSome(t, generation)
		if slices.Equal(now, before) {
			return true
		}
		release(all)
		before = now
		return false
	})
	return all
}

// successor makes namespaces until one has the number of one that has been let
// go, and says whose.
func successor(t *testing.T, gone []*lab.Namespace) (next *lab.Namespace, of int) {
	t.Helper()
	tries(t, func() bool {
		all, numbers := makeSome(t, 2*generation)
		for i, n := range gone {
			if j := slices.Index(numbers, n.Inode); j >= 0 {
				next, of = all[j], i
				all = slices.Delete(all, j, j+1)
				break
			}
		}
		release(all)
		return next != nil
	})
	return next, of
}

// TestKernelIdentity lets a namespace follow another under the same number: what
// belonged to the first must not be said of the second.
func TestKernelIdentity(t *testing.T) {
	lab.NeedRoot(t)
	socket := lab.Socket{Addr: "0.0.0.0", Port: 8080, Backlog: 2}
	c := collector.New(live(t), collector.Options{Syn: collector.SynAll})

	olds := first(t)
	var children []*lab.Child
	for _, n := range olds {
		children = append(children, n.Start(lab.Process{Comm: []byte("first"), UID: 1001, Listen: []lab.Socket{socket}}))
		n.Connect(to4(socket.Port), 10)
		lab.Wait(t, "refused connections", func() bool { return n.Counters()["ListenDrops"] > 0 })
	}
	one := snapshot(t, c, nil)
	for i, n := range olds {
		children[i].Kill()
		n.CloseClients()
		n.Release()
	}

	second, i := successor(t, olds)
	was := find(one, olds[i].Inode)
	if was == nil || len(was.Listeners) != 1 || was.Listeners[0].Discards == 0 || was.Listeners[0].Owner.Comm != "first" {
		t.Fatalf("first namespace = %+v, want its overflowing listener", was)
	}
	b := second.Start(lab.Process{Comm: []byte("second"), UID: 1002, Listen: []lab.Socket{socket}})
	two := snapshot(t, c, one)
	now := find(two, second.Inode)
	if now == nil || len(now.Listeners) != 1 {
		t.Fatalf("second namespace = %+v, want its listener", now)
	}

	l := now.Listeners[0]
	if now.ID.Cookie != second.Cookie || now.ID == was.ID {
		t.Errorf("identity = %+v after %+v, want cookie %x", now.ID, was.ID, second.Cookie)
	}
	if l.Cookie != b.Listeners[0].Cookie || l.Cookie == was.Listeners[0].Cookie {
		t.Errorf("listener's cookie = %x, want %x", l.Cookie, b.Listeners[0].Cookie)
	}
	if o := l.Owner; o.Comm != "second" || o.UID != 1002 || len(o.PIDs) != 1 || o.PIDs[0] != b.PID {
		t.Errorf("owner = %+v, want the second process", o)
	}
	if l.Discards != 0 || l.Accept.Len != 0 || now.Counters.Value(tcpq.ListenDrops) != 0 {
		t.Errorf("discards %d, length %d, ListenDrops %d: want none of the first's",
			l.Discards, l.Accept.Len, now.Counters.Value(tcpq.ListenDrops))
	}

	d := tcpq.Diff(one, two)
	for id := range d.Namespaces {
		if id.Inode == second.Inode {
			t.Errorf("a delta of %+v: nothing was there at both ends", id)
		}
	}
	in := inspection.From(two, &tcpq.Window{Deltas: []tcpq.Delta{d}}, advisor.Report{})
	for _, l := range listenersOf(in, second) {
		if l.Refused != nil || l.AcceptQueue.Peak != nil || l.Discards.Window != nil {
			t.Errorf("refused %v, peak %v, discards %v within the window: want none",
				value(l.Refused), value(l.AcceptQueue.Peak), value(l.Discards.Window))
		}
	}
	if n := second.In(in); n.Moved != nil {
		t.Errorf("moved = %v, want nothing", n.Moved)
	}
}

// TestKernelIdentityOfPath lets another namespace of the same number be mounted
// where the first was: a visit must not take one for the other.
func TestKernelIdentityOfPath(t *testing.T) {
	lab.NeedRoot(t)
	h := live(t)
	visit := func(found host.Found) error {
		var got error
		err := h.Visit(t.Context(), found.Namespaces, func(_ *host.Namespace, _ host.Inside, err error) { got = err })
		if err != nil {
			t.Fatal(err)
		}
		return got
	}

	olds := first(t)
	var founds []host.Found
	var paths []string
	for _, n := range olds {
		path := filepath.Join(t.TempDir(), "blue")
		unmount := n.Mount(path)
		found, err := h.Namespaces(t.Context(), host.Search{Path: path})
		if err == nil {
			err = visit(found)
		}
		if err != nil {
			t.Fatalf("visit the first: %v", err)
		}
		unmount()
		n.Release()
		founds, paths = append(founds, found), append(paths, path)
	}
	second, i := successor(t, olds)
	second.Mount(paths[i])
	if err := visit(founds[i]); !errors.Is(err, host.ErrGone) {
		t.Errorf("visit of the first's successor = %v, want %v", err, host.ErrGone)
	}
}

func find(s *tcpq.Snapshot, inode uint64) *tcpq.Namespace {
	for i := range s.Namespaces {
		if s.Namespaces[i].ID.Inode == inode {
			return &s.Namespaces[i]
		}
	}
	return nil
}
