// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/tcpq"
	"github.com/qtune/qtune/tuner"
)

// A written is a sysctl with the value that is there before a plan, and after it.
type written struct {
	key      tcpq.Sysctl
	from, to int64
}

var writtens = []written{{tcpq.Somaxconn, 128, 1024}, {tcpq.TCPMaxSynBacklog, 256, 512}, {tcpq.TCPSyncookies, 0, 1}}

// applying compares a transaction, with its journal and all it reads before and
// after, with nothing but the writes.
func (l *lab) applying(namespaces int, times float64, extra time.Duration) ([]row, error) {
	if l.smoke {
		namespaces = 20
	}
	holders, err := l.spread(namespaces, 0)
	if err != nil {
		return nil, err
	}
	defer closeAll(holders)
	live, err := host.NewLive("/")
	if err != nil {
		return nil, err
	}
	now, err := tuner.Present(live)
	if err != nil {
		return nil, err
	}
	plan, err := planOf(now, holders)
	if err != nil {
		return nil, err
	}
	c, err := l.compare(l.rounds,
		func() (time.Duration, error) {
			if _, err := writeBare(holders); err != nil {
				return 0, err
			}
			dir, err := os.MkdirTemp(l.dir, "journal-")
			if err != nil {
				return 0, err
			}
			t := tuner.New(live, tuner.Options{Dir: dir, Lock: filepath.Join(dir, "lock"), Root: dir})
			begin := time.Now()
			_, err = t.Apply(l.ctx, now, plan, tuner.ApplyOptions{})
			return time.Since(begin), err
		},
		func() (time.Duration, error) { return writeBare(holders) })
	bound := time.Duration(times*float64(c.peer)) + extra
	return []row{{
		what: fmt.Sprintf("%d sysctl steps in %d namespaces, with journal / bare writes", len(plan.Steps), namespaces),
		ours: short(c.ours), peer: short(c.peer), ratio: fmt.Sprintf("%.3g", c.ratio),
		bar: fmt.Sprintf("<= %g and %v", times, extra), missed: c.ours > bound,
	}}, err
}

// planOf plans all values in all namespaces.
func planOf(now tuner.Now, holders []*holder) (*tuner.Plan, error) {
	p := &tuner.Plan{BootID: now.BootID}
	for _, h := range holders {
		scope := tuner.Scope{PID: h.cmd.Process.Pid}
		err := onThread(h.netns(), func() error {
			var st unix.Stat_t
			if err := unix.Stat(h.netns(), &st); err != nil {
				return err
			}
			scope.Netns = st.Ino
			d, err := host.DialDiag(nil)
			if err != nil {
				return err
			}
			defer d.Close()
			scope.Cookie = fmt.Sprintf("%016x", d.Netns())
			return nil
		})
		if err != nil {
			return nil, err
		}
		for _, w := range writtens {
			p.Steps = append(p.Steps, tuner.Step{Kind: tuner.KindSysctl, Scope: scope, Key: w.key.String(), From: w.from, To: w.to})
		}
	}
	return p, nil
}

// writeBare writes the values that are there before into every namespace.
func writeBare(holders []*holder) (took time.Duration, err error) {
	err = onThread("", func() error {
		begin := time.Now()
		for _, h := range holders {
			fd, err := unix.Open(h.netns(), unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				return err
			}
			err = unix.Setns(fd, unix.CLONE_NEWNET)
			unix.Close(fd)
			if err != nil {
				return err
			}
			for _, w := range writtens {
				path := "/proc/sys/" + strings.ReplaceAll(w.key.String(), ".", "/")
				if err := os.WriteFile(path, strconv.AppendInt(nil, w.from, 10), 0); err != nil {
					return err
				}
			}
		}
		took = time.Since(begin)
		return nil
	})
	return took, err
}
