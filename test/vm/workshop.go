// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/qtune/qtune/test/vm/guest"
)

// A workshop is what all guests are made from.
type workshop struct {
	say      progress
	cache    string
	programs programs
	binaries *binaries
	apt      sync.Mutex // two kernels may come from one suite
}

func newWorkshop(ctx context.Context, say progress, cache, run string) (*workshop, error) {
	if runtime.GOARCH != "amd64" {
		return nil, fmt.Errorf("the kernels and QEMU are those of amd64, this machine is %s", runtime.GOARCH)
	}
	cache, err := filepath.Abs(cache)
	if err != nil {
		return nil, err
	}
	w := &workshop{say: say, cache: cache}
	consoles := filepath.Join(cache, "consoles")
	if err := os.MkdirAll(consoles, 0o755); err != nil {
		return nil, err
	}
	if err := lock(cache); err != nil {
		return nil, err
	}
	if err := errors.Join(os.RemoveAll(consoles), os.Mkdir(consoles, 0o755)); err != nil {
		return nil, err
	}
	if w.programs, err = fetchPrograms(ctx, say, cache); err != nil {
		return nil, err
	}
	began := time.Now()
	if w.binaries, err = build(ctx, filepath.Join(cache, "build"), run); err != nil {
		return nil, err
	}
	say.say("built %d programs of tests in %.0f s", len(w.binaries.suites), time.Since(began).Seconds())
	return w, nil
}

// lock makes sure that nobody else works in the folder until this process ends.
func lock(dir string) error {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return fmt.Errorf("another make vm works in %s: %w", dir, err)
	}
	return nil
}

// try boots a kernel, and once more when it did not reach its init, which
// happens to emulated guests.
func (w *workshop) try(ctx context.Context, k kernel) *result {
	began := time.Now()
	r := &result{kernel: k}
	for r.attempts < 2 {
		r = &result{kernel: k, attempts: r.attempts + 1}
		r.console = filepath.Join(w.cache, "consoles", fmt.Sprintf("%s-%d.log", k.name, r.attempts))
		r.err = w.boot(ctx, r)
		if !errors.Is(r.err, errNeverReady) {
			break
		}
		w.say.say("%s: %v; its console: %s", k.name, r.err, r.console)
	}
	r.took = time.Since(began)
	return r
}

func (w *workshop) boot(ctx context.Context, r *result) error {
	dir, err := w.fetch(ctx, r.kernel)
	if err != nil {
		return err
	}
	image, err := vmlinuz(dir)
	if err != nil {
		return err
	}
	m := machine{
		programs: w.programs, vmlinuz: image, console: r.console,
		initramfs: filepath.Join(w.cache, "build", r.kernel.name+".cpio"),
		limits:    map[string]time.Duration{},
	}
	for _, s := range w.binaries.steps() {
		m.limits[s.Name] = s.Limit
	}
	if err := writeInitramfs(ctx, m.initramfs, dir, w.programs, w.binaries); err != nil {
		return err
	}
	defer os.Remove(m.initramfs) //nolint:errcheck // it is written anew each time
	w.say.say("%s: %s", r.kernel.name, filepath.Base(dir))
	began := time.Now()
	m.heard = func(e guest.Event) {
		r.note(e, w.binaries)
		switch {
		case e.Ready != nil:
			r.booted = time.Since(began)
			w.say.say("%s: up after %.1f s", r.kernel.name, r.booted.Seconds())
		case e.Ended != nil:
			w.say.say("%s: %s %s, %.1f s", r.kernel.name, passFail(r.steps[len(r.steps)-1].err()), e.Ended.Step, e.Ended.Took.Seconds())
		}
	}
	return m.run(ctx)
}

func (w *workshop) fetch(ctx context.Context, k kernel) (string, error) {
	w.apt.Lock()
	defer w.apt.Unlock()
	return fetchKernel(ctx, w.say, w.cache, k)
}

// vmlinuz returns the image among a kernel's files: in boot, or from Linux 7 on
// beside the modules.
func vmlinuz(dir string) (string, error) {
	for _, pattern := range []string{"boot/vmlinuz*", "usr/lib/modules/*/vmlinuz*"} {
		if found, err := filepath.Glob(filepath.Join(dir, pattern)); err == nil && len(found) > 0 {
			return found[0], nil
		}
	}
	return "", fmt.Errorf("no vmlinuz in %s", dir)
}
