// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/qtune/qtune/tcpq"
)

// Live is the machine qtune runs on.
type Live struct {
	probed      bool // the trial of ProbeSynFull was made
	synFullTest tcpq.SynFullTest

	root string    // where the host's /proc, /sys and /var/log are seen: "/" or --rootfs
	boot time.Time // when it booted, for the age of processes

	cgroups cgroupTree
}

// NewLive returns the machine whose /proc, /sys and /var/log lie under root.
func NewLive(root string) (*Live, error) {
	root, err := filepath.EvalSymlinks(root)
	if err != nil {
		return nil, err
	}
	l := &Live{root: root}
	if _, err := os.Stat(l.path("proc/thread-self")); err != nil {
		return nil, fmt.Errorf("%s is not a mounted proc of this process: %w", l.path("proc"), err)
	}
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		return nil, fmt.Errorf("read the boot clock: %w", err)
	}
	l.boot = time.Now().Add(-time.Duration(now.Nano()))
	return l, nil
}

// path returns where name, relative to the host's root, is seen from here.
func (l *Live) path(name string) string { return filepath.Join(l.root, name) }

// Info says which machine this is.
func (l *Live) Info() (Info, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return Info{}, fmt.Errorf("uname: %w", err)
	}
	line := unix.ByteSliceToString(u.Version[:])
	v, err := tcpq.ParseVersion(unix.ByteSliceToString(u.Release[:]), line)
	if err == nil {
		v.SynFull = l.synFull(v)
	}
	return Info{Name: unix.ByteSliceToString(u.Nodename[:]), Kernel: v, KernelLine: line, Time: time.Now()}, err
}

// meaning turns an error of a system call into one of ours, keeping its text.
func meaning(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.ESRCH), errors.Is(err, unix.ESTALE): // a process, a handle
		return fmt.Errorf("%w: %w", ErrGone, err)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: %w", ErrAbsent, err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: %w", ErrPermission, err)
	}
	return err
}
