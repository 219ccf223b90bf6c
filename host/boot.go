// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Boottime returns the time since the host booted, suspend included: the clock
// that nobody can set.
func Boottime() time.Duration { return clock(unix.CLOCK_BOOTTIME) }

// BootID returns what the kernel calls this boot; another boot has another one.
func (l *Live) BootID() (string, error) {
	var buf [64]byte
	b, err := readFile(l.path("proc/sys/kernel/random/boot_id"), buf[:])
	if err != nil {
		return "", fmt.Errorf("read the id of this boot: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}

// Witness returns a process that is in a network namespace, the one of the lowest
// number, and when it was started: while it is there, so is the namespace.
func (l *Live) Witness(netns uint64) (pid int, ticks uint64, err error) {
	all, err := l.Processes(context.Background()) // 10 us each [measured on 6.18, busy]
	if err != nil {
		return 0, 0, fmt.Errorf("list processes: %w", err)
	}
	for _, p := range all {
		if p.Netns == netns && (pid == 0 || p.PID < pid) {
			pid = p.PID
		}
	}
	if pid == 0 {
		return 0, 0, fmt.Errorf("a process in net:[%d]: %w", netns, ErrGone)
	}
	ticks, err = l.StartedTicks(pid)
	return pid, ticks, err
}

// StartedTicks returns when a process was started, in clock ticks after boot: who
// has the number of another that ended has another start.
func (l *Live) StartedTicks(pid int) (uint64, error) {
	var buf [1024]byte
	file := l.path("proc/" + strconv.Itoa(pid) + "/stat")
	b, err := readFile(file, buf[:])
	if errors.Is(err, ErrAbsent) {
		return 0, fmt.Errorf("process %d: %w", pid, ErrGone)
	}
	if err != nil {
		return 0, err
	}
	_, ticks, err := parseStat(b)
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", file, err)
	}
	return ticks, nil
}
