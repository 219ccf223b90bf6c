// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host

import (
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"

	"github.com/qtune/qtune/tcpq"
)

// filtered reports whether a seccomp filter judges the calls of this thread.
func filtered() bool {
	mode, err := unix.PrctlRetInt(unix.PR_GET_SECCOMP, 0, 0, 0, 0)
	return err == nil && mode == unix.SECCOMP_MODE_FILTER
}

// whyNotFetched says in words why pidfd_open(2) or pidfd_getfd(2), which came with
// Linux since, gave nothing.
func (l *Live) whyNotFetched(err error, since [2]int) error {
	switch {
	case errors.Is(err, unix.ENOSYS):
		return fmt.Errorf("%w: %s: %w", ErrUnsupported, whyNoCall(since), err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: %s: %w", ErrPermission, l.whyNoPtrace(), err)
	case errors.Is(err, unix.EBADF): // the descriptor was closed
		return fmt.Errorf("%w: %w", ErrGone, err)
	}
	return meaning(err)
}

// whyNoCall says why there is no such system call.
func whyNoCall(since [2]int) string {
	var u unix.Utsname
	if err := unix.Uname(&u); err == nil {
		release := unix.ByteSliceToString(u.Release[:])
		v, err := tcpq.ParseVersion(release, unix.ByteSliceToString(u.Version[:]))
		if err == nil && !v.AtLeast(since[0], since[1]) {
			return fmt.Sprintf("it came with Linux %d.%d, this is %s", since[0], since[1], release)
		}
	}
	if filtered() {
		return "the seccomp filter around this process does not know it"
	}
	return "this kernel was built without it"
}

// whyNoPtrace says what forbids to attach to a process, which is the right that
// pidfd_getfd(2) asks for.
func (l *Live) whyNoPtrace() string {
	const forbidden = '3' // Yama: to all
	var scope [16]byte
	b, err := readFile(l.path("proc/sys/kernel/yama/ptrace_scope"), scope[:])
	switch {
	case err == nil && len(b) > 0 && b[0] == forbidden:
		return "kernel.yama.ptrace_scope is 3, which forbids it to everybody until the next boot"
	case !hasCapability(unix.CAP_SYS_PTRACE):
		return "it needs CAP_SYS_PTRACE"
	case filtered():
		return "CAP_SYS_PTRACE is there, but a seccomp filter is around this process, which may forbid it; so may AppArmor or SELinux"
	}
	return "CAP_SYS_PTRACE is there, so AppArmor or SELinux forbids it, or the process is in no child of this user namespace"
}

// explain says in words what a resize has met.
func (r *resize) explain(err error) error {
	switch {
	case errors.Is(err, errAnother):
		return fmt.Errorf("%w (by its %s)", err, r.other)
	case errors.Is(err, ErrVerify):
		return fmt.Errorf("the limit is %d after it: somebody called it, too, or lowered %s: %w", r.limit, tcpq.Somaxconn, err)
	case errors.Is(err, ErrChanged):
		return &ChangedError{Have: int64(r.limit), Planned: int64(r.from)}
	case errors.Is(err, ErrShrinks):
		return fmt.Errorf("%s of its namespace is %d, and listen(2) would cut %d down to it: %w",
			tcpq.Somaxconn, r.max, r.to, err)
	case errors.Is(err, unix.EOPNOTSUPP):
		return fmt.Errorf("%w: this kernel does not tell the limit of an MPTCP listener, as none does before 5.16: %w", ErrUnsupported, err)
	case errors.Is(err, fs.ErrPermission) && r.doing == doingListen:
		return fmt.Errorf("%w: SELinux, AppArmor or another LSM forbids it: %w", ErrPermission, err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: before Linux 5.14 it needs CAP_NET_ADMIN in the namespace of the socket: %w", ErrPermission, err)
	}
	return meaning(err)
}
