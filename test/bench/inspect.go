// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/qtune/qtune/collector"
	"github.com/qtune/qtune/collector/inetdiag"
	"github.com/qtune/qtune/host"
)

// oneshotWall compares the time that people wait on a small host.
func (l *lab) oneshotWall(n int, bar float64) ([]row, error) {
	var c comparison
	err := l.oneshot(n, newCgroup(), func(qtune, ss func() (cost, error)) error {
		var err error
		c, err = l.compare(5*l.rounds, wallOf(qtune), wallOf(ss)) // each takes only a few milliseconds
		return err
	})
	return []row{c.row(fmt.Sprintf("inspect --for 0, %d listeners / ss -ltnpHm, wall", n), bar)}, err
}

// oneshotCPU compares the CPU on a large host, with and without cgroups that
// lead to the owners.
func (l *lab) oneshotCPU(n int, bar, barWithout float64) ([]row, error) {
	if l.smoke {
		n = 500
	}
	var rows []row
	measure := func(cgroup, how string, bar float64) error {
		return l.oneshot(n, cgroup, func(qtune, ss func() (cost, error)) error {
			c, err := l.compare(l.rounds, cpuOf(qtune), cpuOf(ss))
			rows = append(rows, c.row(fmt.Sprintf("inspect --for 0, %d listeners, %s / ss -ltnpHm, CPU", n, how), bar))
			return err
		})
	}
	if cgroup := newCgroup(); cgroup != "" {
		if err := measure(cgroup, "cgroup v2", bar); err != nil {
			return rows, err
		}
	} else {
		rows = append(rows, row{what: "inspect --for 0 with cgroup v2: none can be made here", ours: "-", peer: "-", ratio: "-", bar: noBar})
	}
	return rows, measure("", "root cgroup", barWithout)
}

// oneshot makes n listeners and hands over the two commands to compare. It
// removes the cgroup afterwards.
func (l *lab) oneshot(n int, cgroup string, compare func(qtune, ss func() (cost, error)) error) error {
	if cgroup != "" {
		defer os.Remove(cgroup) //nolint:errcheck // runs last, when no process is in it
	}
	h, err := l.listeners(n, cgroup)
	if err != nil {
		return err
	}
	defer h.close()
	if err := l.ownersFound(h, n); err != nil {
		return err
	}
	return compare(
		func() (cost, error) { return l.run("", l.qtune, "inspect", "--netns", h.netns(), "--for", "0") },
		func() (cost, error) { return l.run(h.netns(), "ss", "-ltnpHm") },
	)
}

// ownersFound checks that the work that is measured gets done.
func (l *lab) ownersFound(h *holder, n int) error {
	out, err := exec.CommandContext(l.ctx, l.qtune, "inspect", "--netns", h.netns(), "--for", "0").Output()
	if err != nil {
		return fmt.Errorf("qtune inspect: %w", err)
	}
	owner := fmt.Appendf(nil, "[%d]", h.cmd.Process.Pid)
	if got := bytes.Count(out, owner); got != n {
		return fmt.Errorf("qtune inspect named the owner of %d listeners, want %d", got, n)
	}
	return nil
}

func wallOf(f func() (cost, error)) func() (time.Duration, error) {
	return func() (time.Duration, error) {
		c, err := f()
		return c.wall, err
	}
}

func cpuOf(f func() (cost, error)) func() (time.Duration, error) {
	return func() (time.Duration, error) {
		c, err := f()
		return c.cpu, err
	}
}

// namespaces compares one inspect of n namespaces with five listeners each with
// ss in each of them. It does the same in this process, once as much as inspect
// (a snapshot: counters, sysctls and owners, too) and once as much as ss: to
// find the namespaces, enter them and dump. The bars, in times less CPU, are what
// was reached. The wish was 50 times; where ss takes 2.8 ms, as on the machine of
// docs/benchmarks.md, the kernel's part of the dumps alone takes a 68th of it.
func (l *lab) namespaces(n int, whole, dumps float64) ([]row, error) {
	if l.smoke {
		n = 20
	}
	var holders []*holder
	defer func() { closeAll(holders) }()
	for range n {
		h, err := l.listeners(5, "")
		if err != nil {
			return nil, err
		}
		holders = append(holders, h)
	}
	eachBySS := func() (time.Duration, error) {
		var sum time.Duration
		for _, h := range holders {
			c, err := l.run("", "nsenter", "-t", strconv.Itoa(h.cmd.Process.Pid), "-n", "ss", "-ltnH")
			if err != nil {
				return 0, err
			}
			sum += c.cpu
		}
		return sum, nil
	}
	inspect := cpuOf(func() (cost, error) { return l.run("", l.qtune, "inspect", "--for", "0") })
	var rows []row
	for _, side := range []struct {
		what  string
		ours  func() (time.Duration, error)
		times float64 // how much less CPU it is to take; 0 for no bar
	}{
		{"inspect --for 0", inspect, whole},
		{"a snapshot in a running process", func() (time.Duration, error) { return l.scan(5*n, l.snapshot) }, 0},
		{"LISTEN dumps in a running process", func() (time.Duration, error) { return l.scan(5*n, l.dumpAll) }, dumps},
	} {
		c, err := l.compare((l.rounds+2)/3, side.ours, eachBySS) // the peer takes a second or more
		if err != nil {
			return rows, err
		}
		r := c.row(fmt.Sprintf("%s, %d namespaces / nsenter + ss -ltnH each, CPU", side.what, n), 1/side.times)
		if side.times == 0 {
			r.bar, r.missed = noBar, false
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// scan returns the CPU that this process takes to find listeners, of which there
// are at least want.
func (l *lab) scan(want int, find func(*host.Live) (listeners int, err error)) (took time.Duration, err error) {
	err = onThread("", func() error {
		begin := ownCPU()
		live, err := host.NewLive("/")
		if err != nil {
			return err
		}
		got, err := find(live)
		took = ownCPU() - begin
		if err == nil && got < want {
			err = fmt.Errorf("found %d listeners, want at least %d", got, want)
		}
		return err
	})
	return took, err
}

func (l *lab) snapshot(live *host.Live) (listeners int, err error) {
	s, err := collector.New(live, collector.Options{Syn: collector.SynAuto}).Snapshot(l.ctx, nil)
	if err != nil {
		return 0, err
	}
	for i := range s.Namespaces {
		listeners += len(s.Namespaces[i].Listeners)
	}
	return listeners, nil
}

func (l *lab) dumpAll(live *host.Live) (listeners int, err error) {
	found, err := live.Namespaces(l.ctx, host.Search{})
	if err != nil {
		return 0, err
	}
	var d inetdiag.Dump
	var seq uint32
	var failed error
	err = live.Visit(l.ctx, found.Namespaces, func(_ *host.Namespace, in host.Inside, err error) {
		if err == nil {
			seq++
			d.Reset(seq)
			err = in.Dump(host.ListenDump, inetdiag.Request(seq, inetdiag.ExtSkMemInfo, inetdiag.Listen), d.Add)
			listeners += len(d.Sockets)
		}
		if err != nil && !errors.Is(err, host.ErrGone) {
			failed = err
		}
	})
	return listeners, errors.Join(err, failed)
}

// textTables proves with strace that the kernel's text tables of sockets, whose
// price is the whole established table, are never opened.
func (l *lab) textTables() ([]row, error) {
	what := row{what: "opens of /proc/net/tcp and tcp6, by strace", ours: "-", peer: "-", ratio: "-", bar: "<= 0"}
	strace, err := exec.LookPath("strace")
	if err != nil {
		what.what, what.bar = "opens of /proc/net/tcp: strace is missing", noBar
		return []row{what}, nil
	}
	trace := filepath.Join(l.dir, "trace")
	cmd := exec.CommandContext(l.ctx, strace, "-f", "-qq", "-e", "trace=open,openat,openat2", "-o", trace,
		l.qtune, "inspect", "--for", "500ms", "--syn", "all", "--deep")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("strace qtune inspect: %w\n%s", err, out)
	}
	opened, err := os.ReadFile(trace)
	if err != nil {
		return nil, err
	}
	if !bytes.Contains(opened, []byte("net/netstat")) {
		return nil, errors.New("strace did not see qtune read net/netstat, so it sees nothing")
	}
	n := bytes.Count(opened, []byte(`net/tcp"`)) + bytes.Count(opened, []byte(`net/tcp6"`))
	what.ours, what.missed = strconv.Itoa(n), n > 0
	return []row{what}, nil
}
