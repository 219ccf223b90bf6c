// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bufio"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// A cost is what a process, or a part of this one, took.
type cost struct{ wall, cpu time.Duration }

// onThread calls f on a thread of its own, in the network namespace that a file
// opens ("" for this one's), ahead of all that is less urgent. What f starts
// inherits both. The thread ends with f.
func onThread(netns string, f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()                      // never unlocked
		unix.Setpriority(unix.PRIO_PROCESS, 0, -20) //nolint:errcheck // then it is as urgent as all others
		done <- func() error {
			if netns == "" {
				return f()
			}
			fd, err := unix.Open(netns, unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				return fmt.Errorf("open %s: %w", netns, err)
			}
			defer unix.Close(fd)
			if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
				return fmt.Errorf("enter %s: %w", netns, err)
			}
			return f()
		}()
	}()
	return <-done
}

// run runs a program to its end; its output goes nowhere.
func (l *lab) run(netns, program string, args ...string) (c cost, err error) {
	err = onThread(netns, func() error {
		cmd := exec.CommandContext(l.ctx, program, args...)
		begin := time.Now()
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%s %q: %w", program, args, err)
		}
		c = cost{time.Since(begin), cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}
		return nil
	})
	return c, err
}

// ownCPU returns what this process has used until now.
func ownCPU() time.Duration {
	var u unix.Rusage
	unix.Getrusage(unix.RUSAGE_SELF, &u) //nolint:errcheck // it cannot fail
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// A comparison is the median of both sides and of their ratio, round by round.
type comparison struct {
	ours, peer time.Duration
	ratio      float64
}

// compare measures the two in turn; each begins every second round.
func (l *lab) compare(rounds int, ours, peer func() (time.Duration, error)) (comparison, error) {
	var o, p []time.Duration
	var ratios []float64
	for i := range rounds {
		both := [2]func() (time.Duration, error){ours, peer}
		var took [2]time.Duration
		for k := range both {
			who := (i + k) % 2
			var err error
			if took[who], err = both[who](); err != nil {
				return comparison{}, err
			}
			if err := l.ctx.Err(); err != nil {
				return comparison{}, err
			}
		}
		o, p = append(o, took[0]), append(p, took[1])
		ratios = append(ratios, float64(took[0])/float64(took[1]))
	}
	return comparison{median(o), median(p), median(ratios)}, nil
}

func (c comparison) row(what string, bar float64) row {
	return row{
		what: what, ours: short(c.ours), peer: short(c.peer),
		ratio: fmt.Sprintf("%.3g", c.ratio), bar: fmt.Sprintf("<= %.3g", bar), missed: c.ratio > bar,
	}
}

// inform makes a row that is for information.
func inform(what, value string) row {
	return row{what: what, ours: value, peer: noBar, ratio: noBar, bar: noBar}
}

// atMost makes a row of one value that must not be more than its bar.
func atMost(what string, value float64, unit string, bar float64) row {
	return row{
		what: what, ours: fmt.Sprintf("%.3g %s", value, unit), peer: noBar, ratio: noBar,
		bar: fmt.Sprintf("<= %g %s", bar, unit), missed: value > bar,
	}
}

// atLeast makes a row of a share of things.
func atLeast(what string, some, all int, percent float64) row {
	share := 100 * float64(some) / float64(max(1, all))
	return row{
		what: what, ours: fmt.Sprintf("%d of %d", some, all), peer: noBar, ratio: fmt.Sprintf("%.1f %%", share),
		bar: fmt.Sprintf(">= %g %%", percent), missed: share < percent,
	}
}

// short leaves out digits that nobody can measure.
func short(d time.Duration) string {
	if d < time.Millisecond {
		return d.Round(100 * time.Nanosecond).String()
	}
	return d.Round(10 * time.Microsecond).String()
}

func median[T ~int64 | ~float64](v []T) T {
	v = slices.Clone(v)
	slices.Sort(v)
	mid := len(v) / 2
	if len(v)%2 == 0 {
		return (v[mid-1] + v[mid]) / 2
	}
	return v[mid]
}

// tenth returns the 10th percentile, which a noisy machine disturbs least.
func tenth(v []time.Duration) time.Duration {
	v = slices.Clone(v)
	slices.Sort(v)
	return v[len(v)/10]
}

// A floor is the C program, waiting inside a namespace.
type floor struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	out   *bufio.Reader
}

// startFloor starts the C program in the namespace of the calling thread.
func (l *lab) startFloor() (*floor, error) {
	cmd := exec.CommandContext(l.ctx, l.floor)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the C floor: %w", err)
	}
	return &floor{cmd, stdin, bufio.NewReader(stdout)}, nil
}

// dump makes n dumps and returns the 10th percentile and the number of sockets.
func (f *floor) dump(n int) (p10 time.Duration, sockets int, err error) {
	fmt.Fprintln(f.stdin, n)
	if _, err := fmt.Fscanln(f.out, &p10, &sockets); err != nil {
		return 0, 0, fmt.Errorf("read from the C floor: %w", err)
	}
	return p10, sockets, nil
}

func (f *floor) close() {
	f.stdin.Close()
	f.cmd.Wait() //nolint:errcheck // how it ends says nothing
}
