// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/qtune/qtune/tcpq"
)

// SetSysctl writes a file of /proc/sys, which follows the thread that opens it.
func (in *inside) SetSysctl(s tcpq.Sysctl, text string) error {
	fd, err := in.openToSet(s)
	if err == nil {
		err = setSysctl(fd, text)
	}
	if err != nil {
		return fmt.Errorf("set %s to %s: %w", s, text, err)
	}
	return nil
}

// MaySet opens a file of /proc/sys for writing.
func (in *inside) MaySet(s tcpq.Sysctl) error {
	fd, err := in.openToSet(s)
	if err != nil {
		return fmt.Errorf("set %s: %w", s, err)
	}
	unix.Close(fd)
	return nil
}

func (in *inside) openToSet(s tcpq.Sysctl) (int, error) {
	dir, file := path.Split(sysctlFile(s))
	at, err := in.sysctls.open(in.live.path("proc/sys/" + dir))
	if err != nil {
		return -1, whyNotSet(err)
	}
	return openSysctl(at, file)
}

// sysctlFile returns the file of a sysctl, relative to /proc/sys.
func sysctlFile(s tcpq.Sysctl) string { return strings.ReplaceAll(s.Info().Name, ".", "/") }

// openSysctl opens a file for writing. It is never made: it must be there.
func openSysctl(at int, file string) (int, error) {
	fd, err := unix.Openat(at, file, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, whyNotSet(err)
	}
	return fd, nil
}

// setSysctl writes a text in one piece, as the kernel wants it, and closes the
// file. It stores the first number of "80 90", and only a short write tells.
func setSysctl(fd int, text string) error {
	n, err := unix.Write(fd, []byte(text))
	if e := unix.Close(fd); err == nil {
		err = e
	}
	switch {
	case err != nil:
		return whyNotSet(err)
	case n < len(text):
		return fmt.Errorf("the kernel took %q of %q, and left the rest", strings.TrimSpace(text[:n]), text)
	}
	return nil
}

// whyNotSet says in words why a sysctl could not be set.
func whyNotSet(err error) error {
	switch {
	case errors.Is(err, unix.EROFS):
		return fmt.Errorf("%w: /proc/sys is mounted read-only here, as in most containers; "+
			"with --rootfs qtune writes through the host's: %w", ErrPermission, err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: %s: %w", ErrPermission, whyMayNotSet(), err)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: this kernel does not have it, or hides it in a namespace that belongs to "+
			"a child user namespace, as Linux before 6.6 does somaxconn: %w", ErrUnsupported, meaning(err))
	case errors.Is(err, unix.EINVAL):
		return fmt.Errorf("it is outside what the kernel takes: %w", err)
	}
	return err
}

// whyMayNotSet says what is missing. The kernel asks for the owner of the file,
// the uid 0 of the initial user namespace, or for CAP_NET_ADMIN in the user
// namespace that the network namespace belongs to (net_ctl_permissions).
func whyMayNotSet() string {
	if os.Geteuid() != 0 && !hasCapability(unix.CAP_NET_ADMIN) {
		return "it needs root, or CAP_NET_ADMIN in the user namespace that the network namespace belongs to"
	}
	return "root and CAP_NET_ADMIN of a child user namespace do not suffice, and AppArmor or SELinux may forbid it to root"
}
