// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/qtune/qtune/test/vm/guest"
)

const (
	// bootLimit is how long a guest may take until its init reports.
	bootLimit = 90 * time.Second
	// grace is how much longer than its limit a step may take, by this machine's
	// clock, and what is between the steps.
	grace = 30 * time.Second
)

// A machine is a guest to start.
type machine struct {
	programs  programs
	vmlinuz   string
	initramfs string
	console   string // file that receives what it writes there
	limits    map[string]time.Duration
	heard     func(guest.Event) // called with every event
}

// errNeverReady says that a guest did not get as far as its init, which is no
// fault of what it was to run.
var errNeverReady = errors.New("the guest did not reach its init")

// run starts the machine and waits until it has powered itself off, or kills it
// when it hangs.
//
// There is no use of KVM: where CI runs, a stock kernel does not start under it,
// and a test is to see the same machine everywhere. With more than one thread, or
// another machine type than q35, emulated guests hang at random.
func (m *machine) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	cmd := m.programs.qemu(ctx,
		"-M", "q35", "-accel", "tcg,thread=single", "-cpu", "max", "-m", "1024", "-smp", "1",
		"-nodefaults", "-no-user-config", "-display", "none", "-monitor", "none", "-no-reboot", "-net", "none",
		"-kernel", m.vmlinuz, "-initrd", m.initramfs,
		"-append", "console=ttyS0 panic=-1 oops=panic loglevel=4 random.trust_cpu=on mitigations=off",
		"-serial", "file:"+m.console, "-serial", "stdio")
	var complaints tail
	cmd.Stderr = &complaints
	events, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start QEMU: %w", err)
	}
	w := &watchdog{cancel: cancel}
	defer w.stop()
	heard := m.listen(events, w)
	if heard != nil {
		cancel(heard)
	}
	err = cmd.Wait()
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if err != nil && complaints != "" {
		err = fmt.Errorf("%w; QEMU says: %s", err, strings.TrimSpace(string(complaints)))
	}
	return err
}

// listen follows the events to their end.
func (m *machine) listen(events io.Reader, w *watchdog) error {
	var ready, done bool
	doing := ""
	w.allow(bootLimit, errNeverReady)
	for in := json.NewDecoder(events); ; {
		var e guest.Event
		if err := in.Decode(&e); err != nil {
			switch {
			case done && errors.Is(err, io.EOF):
				return nil
			case !ready && errors.Is(err, io.EOF):
				return errNeverReady
			case errors.Is(err, io.EOF):
				return fmt.Errorf("the guest ended %s", doing)
			default:
				return fmt.Errorf("an event %s: %w", doing, err)
			}
		}
		limit := grace
		switch {
		case e.Ready != nil:
			ready, doing = true, "before its first step"
		case e.Began != "":
			limit, doing = m.limits[e.Began]+grace, "during "+e.Began
		case e.Ended != nil:
			doing = "after " + e.Ended.Step
		case e.Done:
			done = true
		}
		if e.Output == nil {
			w.allow(limit, fmt.Errorf("the guest hung %s and was killed", doing))
		}
		m.heard(e)
	}
}

// A watchdog ends a machine that is still busy with the same after a time.
type watchdog struct {
	cancel context.CancelCauseFunc
	timer  *time.Timer
}

func (w *watchdog) allow(d time.Duration, otherwise error) {
	w.stop()
	w.timer = time.AfterFunc(d, func() { w.cancel(otherwise) })
}

func (w *watchdog) stop() {
	if w.timer != nil {
		w.timer.Stop()
	}
}
