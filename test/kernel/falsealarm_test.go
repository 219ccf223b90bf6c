// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernel

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/qtune/qtune/test/lab"
)

// TestKernelNoFalseAlarm connects as fast as this machine can while one qtune
// after the other watches. Each client waits until it was served, so that the
// queue never gets half full.
func TestKernelNoFalseAlarm(t *testing.T) {
	lab.NeedRoot(t)
	lab.NeedRealTime(t)
	lab.Binary(t)
	const enough, backlog = 50_000, 64
	ns := lab.NewNamespace(t)
	l := ns.Start(lab.Process{Plain: true, Listen: []lab.Socket{{Addr: loopback4, Port: 80, Backlog: backlog}}}).Listeners[0]
	l.Serve(lab.Serve{})
	var served atomic.Int64
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for source := range lab.Sources {
		clients.Go(func() {
			ns.Do(func() {
				if err := lab.Visit(l.AddrPort(), source, stop, &served); err != nil {
					t.Errorf("a client of address %d: %v", source, err)
				}
			})
		})
	}
	end := sync.OnceFunc(func() {
		close(stop)
		clients.Wait()
	})
	defer end()
	windows := 0
	for ; served.Load() < enough && !t.Failed(); windows++ {
		before := served.Load()
		in := lab.Inspect(t, "--netns", ns.Path(), "--for", "1s")
		if served.Load() == before {
			t.Errorf("the load did not: nobody was served in window %d", windows)
		}
		for _, got := range listenersOf(in, ns) {
			if got.AcceptQueue.Peak == nil || *got.AcceptQueue.Peak*2 >= backlog {
				t.Errorf("the load did more: peak %v of %d, want less than half", value(got.AcceptQueue.Peak), backlog)
			}
		}
		for _, f := range in.Findings {
			t.Errorf("found %s", describe(f))
		}
	}
	end()
	if drops := ns.Counters()["ListenDrops"]; drops != 0 {
		t.Errorf("the load did more: ListenDrops is %d, want 0", drops)
	}
	t.Logf("%d connections in %d windows", served.Load(), windows)
}
