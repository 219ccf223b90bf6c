// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// peerCommands are what people run to see listeners.
var peerCommands = [][]string{
	{"ss", "-ltnHm"},
	{"ss", "-ltnpH"},
	{"ss", "-tnHm", "state", "listening"},
}

// peers compares the dump in a running process with commands, by CPU time: for
// information, as a command also starts and prints.
func (l *lab) peers(sizes ...int) ([]row, error) {
	var rows []row
	for _, n := range sizes {
		if l.smoke {
			n = min(n, 500)
		}
		more, err := l.peersAt(n)
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
	}
	return rows, nil
}

func (l *lab) peersAt(n int) (rows []row, err error) {
	h, err := l.listeners(n, "")
	if err != nil {
		return nil, err
	}
	defer h.close()
	err = onThread(h.netns(), func() error {
		d, err := newDumper()
		if err != nil {
			return err
		}
		defer d.diag.Close()
		dump := func() (time.Duration, error) {
			begin, each := ownCPU(), dumpsEach(n)
			for range each {
				if err := d.once(); err != nil {
					return 0, err
				}
			}
			return (ownCPU() - begin) / time.Duration(each), nil
		}
		for i, command := range peerCommands {
			out, err := exec.CommandContext(l.ctx, command[0], command[1:]...).Output() // in the namespace of this thread
			if err != nil {
				return fmt.Errorf("%q: %w", command, err)
			}
			if got := bytes.Count(out, []byte("127.0.0.1:")); got != n {
				return fmt.Errorf("%q shows %d listeners, want %d", command, got, n)
			}
			c, err := l.compare(max(1, l.rounds/2), dump, cpuOf(func() (cost, error) { return l.run(h.netns(), command[0], command[1:]...) }))
			if err != nil {
				return err
			}
			name := strings.Join(command, " ")
			r := c.row(fmt.Sprintf("LISTEN dump in a running process, %d listeners / %s, CPU", n, name), 0)
			r.bar, r.missed = noBar, false
			rows = append(rows, r)
			if i == 0 {
				l.point("scan", "qtune, running", float64(n), ms(c.ours))
			}
			l.point("scan", name, float64(n), ms(c.peer))
		}
		return nil
	})
	return rows, err
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
