// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"fmt"
	"time"

	"github.com/qtune/qtune/collector"
	"github.com/qtune/qtune/collector/inetdiag"
	"github.com/qtune/qtune/host"
)

// spread starts as many processes, each with so many listeners in a namespace of
// its own.
func (l *lab) spread(namespaces, each int) ([]*holder, error) {
	var holders []*holder
	for range namespaces {
		h, err := l.listeners(each, "")
		if err != nil {
			closeAll(holders)
			return nil, err
		}
		holders = append(holders, h)
	}
	return holders, nil
}

// holdingNothing compares a pass of dumps that enters every namespace anew with one
// that has a netlink socket in each: what it costs to keep no pod's network alive.
func (l *lab) holdingNothing(namespaces, each int, bar float64) ([]row, error) {
	if l.smoke {
		namespaces = 20
	}
	holders, err := l.spread(namespaces, each)
	if err != nil {
		return nil, err
	}
	defer closeAll(holders)
	scene, err := l.newScene(holders, namespaces*each)
	if err != nil {
		return nil, err
	}
	kept, err := newKept(holders)
	if err != nil {
		return nil, err
	}
	defer kept.close()
	const passes = 20
	c, err := l.compare(l.rounds,
		func() (time.Duration, error) { return scene.dumps(l.ctx, passes) },
		func() (time.Duration, error) { return kept.passes(passes) })
	return []row{c.row(fmt.Sprintf("a pass of dumps over %d namespaces, nothing held / sockets kept, p10", namespaces), bar)}, err
}

// lookups compares a pass that looks up the known listeners with one that dumps all.
func (l *lab) lookups(namespaces, each int, times float64) ([]row, error) {
	if l.smoke {
		namespaces = 20
	}
	holders, err := l.spread(namespaces, each)
	if err != nil {
		return nil, err
	}
	defer closeAll(holders)
	scene, err := l.newScene(holders, namespaces*each)
	if err != nil {
		return nil, err
	}
	known := make([][]collector.Known, namespaces)
	for i := range known {
		known[i] = scene.knownOf(i)
	}
	const passes = 10
	crowd := collector.Crowd{Netns: each, Host: namespaces * each}
	c, err := l.compare(l.rounds,
		func() (time.Duration, error) { return scene.reads(l.ctx, known, crowd, passes) },
		func() (time.Duration, error) { return scene.dumps(l.ctx, passes) })
	return []row{c.row(fmt.Sprintf("a look at %d listeners in %d namespaces, by lookups / by dumps, p10", namespaces*each, namespaces), 1/times)}, err
}

// knownOf returns the listeners of a namespace as they were listed.
func (s *scene) knownOf(i int) []collector.Known {
	for j := range s.snapshot.Namespaces {
		if n := &s.snapshot.Namespaces[j]; n.ID.Inode == s.places[i].Inode {
			return collector.KnownOf(n.Listeners)
		}
	}
	return nil
}

// A kept has a netlink socket in each of many namespaces.
type kept struct {
	diags []*host.Diag
	dump  inetdiag.Dump
	seq   uint32
}

func newKept(holders []*holder) (*kept, error) {
	k := &kept{}
	buf := make([]byte, 32<<10) // shared, as that of a visitor is
	for _, h := range holders {
		err := onThread(h.netns(), func() error {
			d, err := host.DialDiag(buf)
			if err == nil {
				k.diags = append(k.diags, d)
			}
			return err
		})
		if err != nil {
			k.close()
			return nil, err
		}
	}
	return k, nil
}

func (k *kept) close() {
	for _, d := range k.diags {
		d.Close()
	}
}

// passes makes n passes and returns the 10th percentile of the time one takes.
func (k *kept) passes(n int) (p10 time.Duration, err error) {
	var took []time.Duration
	err = onThread("", func() error {
		for range n {
			begin := time.Now()
			for _, d := range k.diags {
				k.seq++
				k.dump.Reset(k.seq)
				if err := d.Dump(inetdiag.Request(k.seq, inetdiag.ExtSkMemInfo, inetdiag.Listen), k.dump.Add); err != nil {
					return err
				}
			}
			took = append(took, time.Since(begin))
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return tenth(took), nil
}
