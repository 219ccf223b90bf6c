// SPDX-License-Identifier: Apache-2.0

//go:build linux

package collector_test

import (
	"context"
	"fmt"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/qtune/qtune/collector"
	"github.com/qtune/qtune/collector/inetdiag"
	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/tcpq"
	"github.com/qtune/qtune/test/lab"
)

// A crowded host is some namespaces, each with a process and some listeners.
type crowded struct {
	b     *testing.B
	live  *host.Live
	found host.Found
	known [][]collector.Known // by place in found.Namespaces
	first *tcpq.Snapshot
	col   *collector.Collector
}

// crowd makes namespaces with listeners.
func crowd(b *testing.B, namespaces, listeners int) *crowded {
	lab.NeedRoot(b)
	ours := map[uint64]bool{}
	for range namespaces {
		p := exec.CommandContext(context.WithoutCancel(b.Context()), "sleep", "inf")
		p.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
		if err := p.Start(); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() {
			p.Process.Kill() //nolint:errcheck // it may have ended
			p.Wait()         //nolint:errcheck // how it ends says nothing
		})
		n := lab.NamespaceOf(b, p.Process.Pid)
		ours[n.Inode] = true
		var all []lab.Socket
		for i := range listeners {
			all = append(all, lab.Socket{Addr: "0.0.0.0", Port: uint16(10000 + i), Backlog: 128})
		}
		n.ListenAll(all...)
	}
	live, err := host.NewLive("/")
	if err != nil {
		b.Fatal(err)
	}
	c := &crowded{b: b, live: live, col: collector.New(live, collector.Options{})}
	found, err := c.col.Find(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	c.found = found
	c.found.Namespaces = nil
	for _, ns := range found.Namespaces {
		if ours[ns.Inode] {
			c.found.Namespaces = append(c.found.Namespaces, ns)
		}
	}
	if c.first, err = c.col.Pass(b.Context(), c.found, nil, collector.Dump); err != nil {
		b.Fatal(err)
	}
	for i := range c.first.Namespaces {
		c.known = append(c.known, collector.KnownOf(c.first.Namespaces[i].Listeners))
	}
	if len(c.known) != namespaces || len(c.known[0]) != listeners {
		b.Fatalf("%d namespaces with %d listeners, want %d and %d", len(c.known), len(c.known[0]), namespaces, listeners)
	}
	return c
}

// visits measures a round through all namespaces, on one thread.
func (c *crowded) visits(name string, look func(i int, in host.Inside) error) {
	c.b.Run(name, func(b *testing.B) {
		err := c.live.Stay(func(v *host.Visitor) error {
			b.ReportAllocs()
			began := host.CPUTime()
			for b.Loop() {
				i := 0
				err := v.Visit(b.Context(), c.found.Namespaces, func(_ *host.Namespace, in host.Inside, err error) {
					if err == nil {
						err = look(i, in)
					}
					if err != nil {
						b.Error(err)
					}
					i++
				})
				if err != nil {
					return err
				}
			}
			c.report(b, began)
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	})
}

// report reports the CPU that each visit took.
func (c *crowded) report(b *testing.B, began time.Duration) {
	b.ReportMetric(float64(host.CPUTime()-began)/float64(b.N*len(c.found.Namespaces)), "cpu-ns/netns")
}

// Crowds that leave no choice.
var (
	lonely = collector.Crowd{Host: -1e6}
	packed = collector.Crowd{Host: 1e6}
)

// BenchmarkKernelQueues compares the ways to read the queues of all listeners.
func BenchmarkKernelQueues(b *testing.B) {
	for _, namespaces := range []int{200, 500} {
		b.Run(fmt.Sprintf("%d namespaces of 10", namespaces), func(b *testing.B) {
			c := crowd(b, namespaces, 10)
			var q collector.Queues
			c.visits("visit", func(int, host.Inside) error { return nil })
			c.visits("lookups", func(i int, in host.Inside) error { return q.Read(in, c.known[i], packed) })
			c.visits("dumps", func(i int, in host.Inside) error { return q.Read(in, c.known[i], lonely) })
			c.kept()
			c.passes("pass by lookups", 0)
			c.passes("pass by dumps", collector.Dump)
			c.passes("pass by dumps, with sysctls", collector.Dump|collector.Sysctls)
		})
	}
}

// BenchmarkKernelWatched compares 20 watched listeners of 10 000 with all of them.
func BenchmarkKernelWatched(b *testing.B) {
	c := crowd(b, 1, 10000)
	var q collector.Queues
	few := c.known[0][:20:20]
	c.visits("20", func(_ int, in host.Inside) error { return q.Read(in, few, packed) })
	c.visits("all", func(_ int, in host.Inside) error { return q.Read(in, c.known[0], lonely) })
	c.visits("all by lookups", func(_ int, in host.Inside) error { return q.Read(in, c.known[0], packed) })
}

// kept measures dumps by sockets that stay open in their namespaces.
func (c *crowded) kept() {
	var sockets []*host.Diag
	err := c.live.Visit(c.b.Context(), c.found.Namespaces, func(_ *host.Namespace, _ host.Inside, err error) {
		if err != nil {
			c.b.Fatal(err)
		}
		d, err := host.DialDiag(nil)
		if err != nil {
			c.b.Fatal(err)
		}
		sockets = append(sockets, d)
	})
	if err != nil {
		c.b.Fatal(err)
	}
	var dump inetdiag.Dump
	c.b.Run("dumps by kept sockets", func(b *testing.B) {
		request := inetdiag.Request(1, inetdiag.ExtSkMemInfo, inetdiag.Listen)
		add := dump.Add
		began := host.CPUTime()
		for b.Loop() {
			for _, d := range sockets {
				dump.Reset(1)
				if err := d.Dump(request, add); err != nil {
					b.Fatal(err)
				}
			}
		}
		c.report(b, began)
	})
	for _, d := range sockets {
		d.Close()
	}
}

// passes measures whole passes.
func (c *crowded) passes(name string, work collector.Work) {
	c.b.Run(name, func(b *testing.B) {
		b.ReportAllocs()
		prev := c.first
		began := host.CPUTime()
		for b.Loop() {
			var err error
			if prev, err = c.col.Pass(b.Context(), c.found, prev, work); err != nil {
				b.Fatal(err)
			}
		}
		c.report(b, began)
	})
}
