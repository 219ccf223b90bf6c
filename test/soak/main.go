// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Command soak runs `qtune agent` for a long time on a host where namespaces,
// processes and listeners come and go twenty times a second, and proves what must
// hold all the while: the table of invariants says what.
//
//	go run ./test/soak [-for 30m] [-qtune PATH]
//
// The load knows what it did, so that every count the agent tells can be checked.
// Ten scrapers look as Prometheus does. In the first half of the time the agent runs
// undisturbed, so that a leak shows; in the second it is killed now and then.
//
// It needs root and ip(8), prints a line a minute, and exits 1 with the names of the
// invariants that were broken.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/qtune/qtune/test/daemon"
)

func main() {
	// /proc/PID shows the namespaces of the main thread: nothing that enters
	// others may run on it.
	runtime.LockOSThread()
	if len(os.Args) > 1 && os.Args[1] == podCommand {
		if err := beAPod(); err != nil {
			fmt.Fprintln(os.Stderr, "soak: pod:", err)
			os.Exit(1)
		}
		return
	}
	alone, code, err := daemon.Alone()
	if alone && err == nil {
		err = run(os.Args[1:], os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		code = 1
	}
	os.Exit(code)
}

// A soak is one run.
type soak struct {
	qtune  string
	began  time.Time
	length time.Duration
	load   *load
	report report

	// life is held for reading by who asks the agent, and for writing by who
	// kills it. It guards what follows.
	life  sync.RWMutex
	agent *daemon.Daemon
	lives int

	usages usages
	steps  steps
}

func run(args []string, out io.Writer) error {
	f := flag.NewFlagSet("soak", flag.ExitOnError)
	s := &soak{}
	f.DurationVar(&s.length, "for", 30*time.Minute, "how long")
	f.StringVar(&s.qtune, "qtune", "bin/qtune", "the qtune to run")
	if err := f.Parse(args); err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return errors.New("needs root, for network namespaces of its own")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		return errors.New("ip is missing: it makes veth pairs (apt install iproute2)")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	defer stop()
	return s.run(ctx, out)
}

// scrapers is how many look at the agent.
const scrapers = 10

func (s *soak) run(ctx context.Context, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, s.length)
	defer cancel()
	s.began = time.Now()
	s.load = newLoad(&s.report)
	defer s.load.end()
	if err := s.startAgent(ctx); err != nil {
		return err
	}
	defer func() { s.agent.Kill() }()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.load.run(ctx) })
	g.Go(func() error { return s.killNowAndThen(ctx) })
	g.Go(func() error { return s.watchUsage(ctx) })
	g.Go(func() error { return s.watchSteps(ctx) })
	g.Go(func() error { return every(ctx, time.Minute, func() error { s.printLine(out); return nil }) })
	for range scrapers {
		g.Go(func() error { return newScraper(s).run(ctx) })
	}
	err := g.Wait()
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		err = nil
	}
	if err != nil {
		return err
	}
	s.usages.judge(&s.report)
	s.printLine(out)
	return s.report.summary(out)
}

// every calls f once in a period, until ctx ends or f fails.
func every(ctx context.Context, period time.Duration, f func() error) error {
	tick := time.NewTicker(period)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		if err := f(); err != nil {
			return err
		}
	}
}

// startAgent begins a life of the agent.
func (s *soak) startAgent(ctx context.Context) (err error) {
	s.agent, err = daemon.StartAgent(ctx, s.qtune)
	s.lives++
	return err
}

// killNowAndThen begins in the middle.
func (s *soak) killNowAndThen(ctx context.Context) error {
	next := s.length / 2
	for {
		wait := time.NewTimer(time.Until(s.began.Add(next)))
		select {
		case <-ctx.Done():
			wait.Stop()
			return ctx.Err()
		case <-wait.C:
		}
		s.life.Lock()
		s.agent.Kill()
		err := s.startAgent(ctx)
		s.life.Unlock()
		if err != nil {
			return err
		}
		next = time.Since(s.began) + max(20*time.Second, s.length/60) + rand.N(max(20*time.Second, s.length/30))
	}
}

// watchUsage notes what the agent holds.
func (s *soak) watchUsage(ctx context.Context) error {
	return every(ctx, 2*time.Second, func() error {
		s.life.RLock()
		defer s.life.RUnlock()
		u, err := s.agent.Usage()
		if !s.agent.Running() && ctx.Err() == nil {
			return fmt.Errorf("the agent ended by itself:\n%s", s.agent.Log())
		}
		if err == nil {
			s.usages.add(s.lives, u)
		}
		return nil
	})
}

func (s *soak) printLine(out io.Writer) {
	s.life.RLock()
	defer s.life.RUnlock()
	u, _ := s.agent.Usage() // zeroes when it has just ended
	l := s.load.counts()
	fmt.Fprintf(out, "%7s  %d pods, %d listeners, %d events (%.1f/s), %d inode numbers used again; agent %d: %d MiB, %d threads, %d descriptors; %d scrapes; %s\n",
		time.Since(s.began).Round(time.Second), l.pods, l.listeners, l.events, float64(l.events)/time.Since(s.began).Seconds(), l.shared,
		s.lives, u.RSS>>20, u.Threads, u.Handles, s.report.count("scrapes"), s.report.state())
}
