// SPDX-License-Identifier: Apache-2.0

//go:build linux

package daemon

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// aloneVariable says that this process was started by [Alone].
const aloneVariable = "QTUNE_ALONE"

// Alone starts this program again where it and what it starts see no process but
// their own, and no namespace that others have mounted: what else runs on the machine
// then has no part in what is measured, but for the CPU time it takes. When the
// program ends, so does all that it started.
//
// In the program that was started it returns true. In the one that started it, it
// returns false and the exit code when that has ended.
func Alone() (alone bool, code int, err error) {
	if os.Getenv(aloneVariable) != "" {
		os.Unsetenv(aloneVariable) //nolint:errcheck // it is set
		return true, 0, ownMounts()
	}
	signal.Ignore(os.Interrupt)                           // a terminal sends it to both, and the other cleans up
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...) //nolint:noctx // lives as long as this
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), aloneVariable+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS, Pdeathsig: unix.SIGTERM}
	err = cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return false, max(1, exit.ExitCode()), nil
	}
	if err != nil {
		return false, 1, fmt.Errorf("start in a PID namespace (needs root): %w", err)
	}
	return false, 0, nil
}

// ownMounts makes /proc show the processes of this PID namespace, and takes away
// the network namespaces that are mounted.
func ownMounts() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(mounts)) {
		if f := strings.Fields(line); len(f) > 2 && f[2] == "nsfs" {
			if err := unix.Unmount(f[1], unix.MNT_DETACH); err != nil {
				return fmt.Errorf("unmount %s: %w", f[1], err)
			}
		}
	}
	return nil
}
