// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Command vm runs the tests of the real kernel, and qtune's selftest, on other
// kernels than this machine's: those of the file kernels, which Debian builds.
// Each boots in QEMU with an initial file system that holds nothing but static
// programs, a shell, ip and ss.
//
//	go run ./test/vm [-kernels '5.10 7.x'] [-run REGEXP] [-jobs 2]
//
// It needs an amd64 machine with apt, dpkg-deb, Go and a network. Nothing is
// installed: QEMU and the kernels are unpacked below bin/vm and used again. It
// exits 1 when anything failed on any kernel.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	defer stop()
	if err := vm(ctx, os.Args[1:], os.Stdout, progress{os.Stderr}); err != nil {
		fmt.Fprintln(os.Stderr, "vm:", err)
		os.Exit(1) //nolint:gocritic // nothing else is to be done
	}
}

// progress tells people what goes on.
type progress struct{ w io.Writer }

func (p progress) say(format string, args ...any) {
	fmt.Fprintf(p.w, "vm: %s\n", fmt.Sprintf(format, args...))
}

var errFailed = errors.New("there were failures")

func vm(ctx context.Context, args []string, out io.Writer, say progress) error {
	f := flag.NewFlagSet("vm", flag.ExitOnError)
	names := f.String("kernels", "", "the kernels to boot, by their names in test/vm/kernels; ci: those marked so; none: all")
	run := f.String("run", "", "only the tests whose names fit, as in go test")
	jobs := f.Int("jobs", min(2, runtime.NumCPU()), "how many guests run at a time")
	cache := f.String("cache", "bin/vm", "where QEMU, the kernels and what is built are kept")
	if err := f.Parse(args); err != nil {
		return err
	}
	all, err := parseKernels(kernelsFile)
	if err != nil {
		return err
	}
	chosen, err := choose(all, strings.Fields(*names))
	if err != nil {
		return err
	}
	w, err := newWorkshop(ctx, say, *cache, *run)
	if err != nil {
		return err
	}
	results := make([]*result, len(chosen))
	limit := make(chan struct{}, max(*jobs, 1))
	var wait sync.WaitGroup
	for i, k := range chosen {
		limit <- struct{}{}
		wait.Go(func() {
			defer func() { <-limit }()
			results[i] = w.try(ctx, k)
		})
	}
	wait.Wait()
	failed := false
	for _, r := range results {
		r.print(out)
		failed = failed || r.failed()
	}
	printTable(out, results, w.binaries.steps())
	if failed {
		return errFailed
	}
	return ctx.Err()
}
