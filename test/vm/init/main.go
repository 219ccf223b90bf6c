// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Command init is process 1 of a virtual machine of `make vm`: it mounts what a
// Linux host has, loads kernel modules, runs the steps it finds and powers the
// machine off. Package guest says where they are and what it reports.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/qtune/qtune/test/vm/guest"
)

// runSteps is the argument of the child that runs the steps.
const runSteps = "steps"

func main() {
	if len(os.Args) > 1 && os.Args[1] == runSteps {
		if err := steps(); err != nil {
			fmt.Fprintln(os.Stderr, "init:", err)
			os.Exit(1)
		}
		return
	}
	// Process 1 does nothing but this: whatever a test leaves behind becomes its
	// child and has to be waited for, which os/exec must not see.
	problems := append(mountAll(), setUp()...)
	if err := first(problems); err != nil {
		fmt.Fprintln(os.Stderr, "init:", err)
	}
	unix.Sync()
	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF); err != nil {
		fmt.Fprintln(os.Stderr, "init: power off:", err)
	}
}

// first starts the child that runs the steps, and waits for every process there
// is until that one ends.
func first(problems []error) error {
	console, err := os.OpenFile("/dev/console", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	events, err := os.OpenFile(guest.EventsDevice, os.O_WRONLY|unix.O_NOCTTY, 0)
	if err != nil {
		return err
	}
	if err := report(events, problems); err != nil {
		return err
	}
	child, err := os.StartProcess("/proc/self/exe", []string{"init", runSteps}, &os.ProcAttr{
		Env:   environment,
		Files: []*os.File{console, console, console, events},
	})
	if err != nil {
		return err
	}
	for {
		pid, err := unix.Wait4(-1, nil, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return os.NewSyscallError("wait4", err)
		case pid == child.Pid:
			return nil
		}
	}
}

var environment = []string{
	"PATH=/usr/local/bin:/bin", "HOME=/root", "TMPDIR=/tmp", "QTUNE_BINARY=/bin/qtune", "QTUNE_EMULATED=1", "QTUNE_MACHINE=1",
}

// report says that this kernel has come as far as here.
func report(to io.Writer, problems []error) error {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return os.NewSyscallError("uname", err)
	}
	var up unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &up); err != nil {
		return os.NewSyscallError("clock_gettime", err)
	}
	out := json.NewEncoder(to)
	err := out.Encode(guest.Event{Ready: &guest.Ready{
		Release: unix.ByteSliceToString(name.Release[:]), Uptime: time.Duration(up.Nano()),
	}})
	for _, p := range problems {
		err = errors.Join(err, out.Encode(guest.Event{Problem: p.Error()}))
	}
	return err
}

// steps runs the steps; descriptor 3 takes the events.
func steps() error {
	unix.CloseOnExec(3)
	out := json.NewEncoder(os.NewFile(3, guest.EventsDevice))
	b, err := os.ReadFile(guest.StepsFile)
	if err != nil {
		return err
	}
	var all []guest.Step
	if err := json.Unmarshal(b, &all); err != nil {
		return err
	}
	for _, s := range all {
		if err := out.Encode(guest.Event{Began: s.Name}); err != nil {
			return err
		}
		e := run(s, output{out})
		if err := out.Encode(guest.Event{Ended: &e}); err != nil {
			return err
		}
	}
	return out.Encode(guest.Event{Done: true})
}

// output writes to the console and into events.
type output struct{ events *json.Encoder }

func (o output) Write(b []byte) (int, error) {
	os.Stdout.Write(b) //nolint:errcheck // for people; the events count
	return len(b), o.events.Encode(guest.Event{Output: &guest.Output{Text: string(b)}})
}

// run runs a step to its end, or kills it and its children after its limit.
func run(s guest.Step, out output) guest.Ended {
	cmd := exec.Command(s.Argv[0], s.Argv[1:]...) //nolint:noctx // killed below, with its process group
	cmd.Dir = s.Dir
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// What the step left behind may hold its output open.
	cmd.WaitDelay = 5 * time.Second
	fmt.Fprintf(os.Stdout, "--- step %s\n", s.Name)
	began := time.Now()
	e := guest.Ended{Step: s.Name}
	err := cmd.Start()
	if err == nil {
		limit := time.AfterFunc(s.Limit, func() {
			unix.Kill(-cmd.Process.Pid, unix.SIGKILL) //nolint:errcheck // it may have ended just now
		})
		err = cmd.Wait()
		if !limit.Stop() {
			err = fmt.Errorf("killed after %v", s.Limit)
		}
	}
	e.Took = time.Since(began)
	if err != nil {
		e.Code, e.Reason = -1, err.Error()
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		e.Code = exit.ExitCode()
	}
	return e
}
