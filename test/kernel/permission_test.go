// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernel

import (
	"errors"
	"os"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/tcpq"
	"github.com/qtune/qtune/test/lab"
)

// drop takes a capability from the calling thread.
func drop(capability uint) error {
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&head, &data[0]); err != nil {
		return err
	}
	data[0].Effective &^= 1 << capability
	data[0].Permitted &^= 1 << capability
	return unix.Capset(&head, &data[0])
}

// become makes the calling thread another user's, who keeps some capabilities. The
// other threads stay as they are.
func become(uid uintptr, keep ...uint) error {
	if err := unix.Prctl(unix.PR_SET_KEEPCAPS, 1, 0, 0, 0); err != nil {
		return err
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, uid, uid, uid); errno != 0 {
		return errno
	}
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	for _, c := range keep {
		data[0].Effective |= 1 << c
		data[0].Permitted |= 1 << c
	}
	return unix.Capset(&head, &data[0])
}

// filter puts a seccomp filter around the calling thread that answers pidfd_getfd(2)
// with an error.
func filter(errno unix.Errno) error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}, // the number of the call
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: unix.SYS_PIDFD_GETFD},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(errno)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	p := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&p)), 0, 0)
	runtime.KeepAlive(&p)
	return err
}

// readOnly shows /proc/sys to the calling thread as a container sees it.
func readOnly() error {
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	const sys = "/proc/sys"
	if err := unix.Mount(sys, sys, "", unix.MS_BIND, ""); err != nil {
		return err
	}
	return unix.Mount("", sys, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, "")
}

// TestKernelResizeNotPermitted proves that an error names what forbids to fetch a
// socket. The visiting thread alone is hindered, and ends with the visit.
func TestKernelResizeNotPermitted(t *testing.T) {
	lab.NeedRoot(t)
	tests := []struct {
		name   string
		hinder func() error
		want   error
		text   string
	}{
		{"nothing", func() error { return nil }, nil, ""},
		{"no CAP_SYS_PTRACE", func() error { return drop(unix.CAP_SYS_PTRACE) }, host.ErrPermission, "needs CAP_SYS_PTRACE"},
		{"a filter that forbids the call", func() error { return filter(unix.EPERM) }, host.ErrPermission, "seccomp filter"},
		{"a filter that does not know the call", func() error { return filter(unix.ENOSYS) }, host.ErrUnsupported, "seccomp filter"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := lab.NewNamespace(t)
			c := n.Start(lab.Process{Listen: []lab.Socket{{Addr: loopback4, Port: 80, Backlog: 8}}})
			h := c.Listeners[0]
			visit(t, n, func(in host.Changeable) {
				if err := tt.hinder(); err != nil {
					t.Errorf("hinder the thread: %v", err)
				}
				for _, err := range []error{in.MayFetch(socketOf(c, h)), in.Relisten(socketOf(c, h), 8, 64)} {
					if !errors.Is(err, tt.want) || err != nil && !strings.Contains(err.Error(), tt.text) {
						t.Errorf("error = %v, want %v with %q", err, tt.want, tt.text)
					}
				}
			})
			want := uint32(64)
			if tt.want != nil {
				want = 8
			}
			if got := limitOf(h); got != want {
				t.Errorf("the limit is %d, want %d", got, want)
			}
		})
	}
}

// TestKernelSetNotPermitted is the same of a sysctl.
func TestKernelSetNotPermitted(t *testing.T) {
	lab.NeedRoot(t)
	const somebody, home = 65534, unix.CAP_SYS_ADMIN // to come back from the visit
	tests := []struct {
		name   string
		hinder func() error
		want   error
		text   string
	}{
		{"nothing", func() error { return nil }, nil, ""},
		{"root without CAP_NET_ADMIN", func() error { return drop(unix.CAP_NET_ADMIN) }, nil, ""},
		{"another user", func() error { return become(somebody, home) }, host.ErrPermission, "needs root, or CAP_NET_ADMIN"},
		{"another user with CAP_NET_ADMIN", func() error { return become(somebody, home, unix.CAP_NET_ADMIN) }, nil, ""},
		{"a read-only /proc/sys", readOnly, host.ErrPermission, "mounted read-only here"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := lab.NewNamespace(t)
			n.SetSysctl(maxConn, "100")
			visit(t, n, func(in host.Changeable) {
				if err := tt.hinder(); err != nil {
					t.Errorf("hinder the thread: %v", err)
				}
				for _, err := range []error{in.MaySet(tcpq.Somaxconn), in.SetSysctl(tcpq.Somaxconn, "200")} {
					if !errors.Is(err, tt.want) || err != nil && !strings.Contains(err.Error(), tt.text) {
						t.Errorf("error = %v, want %v with %q", err, tt.want, tt.text)
					}
				}
			})
			want := "200"
			if tt.want != nil {
				want = "100"
			}
			if got, _ := n.Sysctl(maxConn); got != want {
				t.Errorf("somaxconn is %s, want %s", got, want)
			}
		})
	}
	if os.Geteuid() != 0 {
		t.Fatal("the test itself has become another user")
	}
}
