// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/qtune/qtune/tcpq"
)

// A PrivateNamespace is a network namespace that this process made for itself.
// It ends when it is closed and nothing else is in it.
type PrivateNamespace struct {
	Inode  uint64
	Cookie uint64 // SO_NETNS_COOKIE, 0 before Linux 5.14

	live *Live
	file *os.File
}

// NewNamespace makes a network namespace whose lo is up. It needs CAP_SYS_ADMIN
// and CAP_NET_ADMIN.
func (l *Live) NewNamespace() (*PrivateNamespace, error) { return l.newNamespace(nil) }

// NewNamespace makes a network namespace from a thread inside this one.
func (n *PrivateNamespace) NewNamespace() (*PrivateNamespace, error) { return n.live.newNamespace(n) }

func (l *Live) newNamespace(from *PrivateNamespace) (*PrivateNamespace, error) {
	n := &PrivateNamespace{live: l}
	err := inOwnThread(func() error {
		if from != nil {
			if err := from.enter(); err != nil {
				return err
			}
		}
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return Needs("CAP_SYS_ADMIN", os.NewSyscallError("unshare", err))
		}
		return n.open()
	})
	if err != nil {
		n.Close()
		return nil, fmt.Errorf("make a network namespace: %w", err)
	}
	return n, nil
}

// open makes n the namespace the calling thread is in, and sets its lo up.
func (n *PrivateNamespace) open() (err error) {
	n.file, err = os.Open(n.live.path("proc/thread-self/ns/net"))
	if err != nil {
		return meaning(err)
	}
	if n.Inode, err = inodeOf(int(n.file.Fd())); err != nil {
		return err
	}
	diag, err := DialDiag(nil)
	if err != nil {
		return meaning(err)
	}
	n.Cookie = diag.Netns()
	diag.Close()
	if err := LoopbackUp(); err != nil {
		return fmt.Errorf("set lo up: %w", Needs("CAP_NET_ADMIN", err))
	}
	return nil
}

// Needs says of what is not permitted which capability it needs.
func Needs(capability string, err error) error {
	if errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("%w, it needs %s: %w", ErrPermission, capability, err)
	}
	return meaning(err)
}

// Close lets the namespace go.
func (n *PrivateNamespace) Close() {
	if n.file != nil {
		n.file.Close()
	}
}

// File is what holds the namespace open.
func (n *PrivateNamespace) File() *os.File { return n.file }

// Namespace returns the namespace as a search would find it.
func (n *PrivateNamespace) Namespace() *Namespace {
	path := n.live.path("proc/self/fd/" + strconv.Itoa(int(n.file.Fd())))
	return &Namespace{Inode: n.Inode, Cookie: n.Cookie, doors: []door{{path: path}}}
}

// Do runs f on a thread inside the namespace, which ends with f.
func (n *PrivateNamespace) Do(f func() error) error {
	return inOwnThread(func() error {
		if err := n.enter(); err != nil {
			return err
		}
		return f()
	})
}

func (n *PrivateNamespace) enter() error {
	if err := unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter net:[%d]: %w", n.Inode, meaning(err))
	}
	return nil
}

// SetSysctl sets a sysctl of the namespace.
func (n *PrivateNamespace) SetSysctl(s tcpq.Sysctl, value int64) error {
	return n.Do(func() error {
		fd, err := openSysctl(unix.AT_FDCWD, n.live.path("proc/sys/"+sysctlFile(s)))
		if err == nil {
			err = setSysctl(fd, strconv.FormatInt(value, 10))
		}
		if err != nil {
			return fmt.Errorf("set %s to %d: %w", s, value, err)
		}
		return nil
	})
}

// inOwnThread waits for f, which runs on a thread that ends with it.
func inOwnThread(f func() error) error {
	done := make(chan error, 1)
	go onOwnThread(func() { done <- f() })
	return <-done
}

// LoopbackUp sets lo of the calling thread's namespace up.
func LoopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	ifr.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr)
}
