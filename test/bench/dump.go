// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/qtune/qtune/collector/inetdiag"
	"github.com/qtune/qtune/host"
)

// maxAllocs is how often one dump may allocate: the request and the method value.
const maxAllocs = 2

// A dumper makes LISTEN dumps as the collector does, into memory it has.
type dumper struct {
	diag *host.Diag
	dump inetdiag.Dump
	seq  uint32
	took []time.Duration
}

// newDumper opens the socket in the namespace of the calling thread.
func newDumper() (*dumper, error) {
	diag, err := host.DialDiag(nil)
	return &dumper{diag: diag}, err
}

func (d *dumper) once() error {
	d.seq++
	d.dump.Reset(d.seq)
	return d.diag.Dump(inetdiag.Request(d.seq, inetdiag.ExtSkMemInfo, inetdiag.Listen), d.dump.Add)
}

// times makes n dumps and returns the 10th percentile.
func (d *dumper) times(n int) (time.Duration, error) {
	d.took = d.took[:0]
	for range n {
		begin := time.Now()
		if err := d.once(); err != nil {
			return 0, err
		}
		d.took = append(d.took, time.Since(begin))
	}
	return tenth(d.took), nil
}

// listen compares the dump of n listeners with the C floor's.
func (l *lab) listen(n int, bar float64) ([]row, error) {
	if l.smoke {
		n = min(n, 500)
	}
	h, err := l.listeners(n, "")
	if err != nil {
		return nil, err
	}
	defer h.close()
	var c comparison
	var allocs float64
	err = onThread(h.netns(), func() error {
		var err error
		c, allocs, err = l.compareDumps(n)
		return err
	})
	return []row{
		c.row(fmt.Sprintf("LISTEN dump, %d listeners / C floor, p10", n), bar),
		{
			what: fmt.Sprintf("LISTEN dump, %d listeners, allocations", n), ours: fmt.Sprint(allocs), peer: "-",
			ratio: "-", bar: fmt.Sprintf("<= %d", maxAllocs), missed: allocs > maxAllocs,
		},
	}, err
}

// compareDumps runs in the namespace.
func (l *lab) compareDumps(n int) (c comparison, allocs float64, err error) {
	d, err := newDumper()
	if err != nil {
		return c, 0, err
	}
	defer d.diag.Close()
	f, err := l.startFloor()
	if err != nil {
		return c, 0, err
	}
	defer f.close()
	if err := d.once(); err != nil {
		return c, 0, err
	}
	_, sockets, err := f.dump(1)
	if err != nil {
		return c, 0, err
	}
	if sockets != n || len(d.dump.Sockets) != n {
		return c, 0, fmt.Errorf("qtune dumped %d listeners and the C floor %d, want %d", len(d.dump.Sockets), sockets, n)
	}
	each := dumpsEach(n)
	c, err = l.compare(l.rounds,
		func() (time.Duration, error) { return d.times(each) },
		func() (time.Duration, error) {
			p10, _, err := f.dump(each)
			return p10, err
		})
	if err != nil {
		return c, 0, err
	}
	allocs = testing.AllocsPerRun(each, func() {
		if e := d.once(); e != nil {
			err = e
		}
	})
	return c, allocs, err
}

// dumpsEach is how many dumps of n listeners make a round of some 50 ms.
func dumpsEach(n int) int { return min(max(300000/n, 30), 1000) }

// connections compares the dump beside that many connections in the namespace
// with the same dump without, before and after.
func (l *lab) connections(n int, bar float64) ([]row, error) {
	if l.smoke {
		n = 2000
	}
	const listeners = 1000
	h, err := l.listeners(listeners, "")
	if err != nil {
		return nil, err
	}
	defer h.close()
	var c comparison
	err = onThread(h.netns(), func() error {
		d, err := newDumper()
		if err != nil {
			return err
		}
		defer d.diag.Close()
		c, err = l.besideConnections(d, n)
		return err
	})
	return []row{c.row(fmt.Sprintf("LISTEN dump, %d listeners beside %d connections / without, p10", listeners, n), bar)}, err
}

// besideConnections runs in the namespace.
func (l *lab) besideConnections(d *dumper, n int) (c comparison, err error) {
	var without, beside []time.Duration
	measure := func(into *[]time.Duration) error {
		for range l.rounds {
			if err := l.ctx.Err(); err != nil {
				return err
			}
			p10, err := d.times(dumpsEach(1000))
			if err != nil {
				return err
			}
			*into = append(*into, p10)
		}
		return nil
	}
	if err := measure(&without); err != nil {
		return c, err
	}
	var holders []*holder
	defer func() { closeAll(holders) }()
	for each := connectionsEach(); n > 0; n -= each {
		h, err := l.hold("connect", min(n, each), &syscall.SysProcAttr{})
		if err != nil {
			return c, err
		}
		holders = append(holders, h)
	}
	if err := measure(&beside); err != nil {
		return c, err
	}
	closeAll(holders)
	holders = nil
	if err := measure(&without); err != nil {
		return c, err
	}
	c = comparison{ours: median(beside), peer: median(without)}
	c.ratio = float64(c.ours) / float64(c.peer)
	return c, nil
}
