// SPDX-License-Identifier: Apache-2.0

//go:build linux

package selftest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/qtune/qtune/tcpq"
)

// heldFD is the descriptor under which a holder has the listener: the first after
// the standard ones.
const heldFD = 3

// Hold keeps the descriptors of this process open until its standard input ends.
func Hold() error {
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// A holder is another process that has a listener open.
type holder struct {
	process *os.Process
	stdin   *os.File // its end is the holder's
}

// hand gives the listener to a new process and closes it here.
func (t *trial) hand(x *listener) (*holder, error) {
	command := t.runner.opts.Holder
	if len(command) == 0 {
		return nil, untried("no program is known that would hold a listener")
	}
	in, out, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer in.Close()
	// The descriptor of the listener stays ours: os.NewFile would close it.
	dup, err := unix.FcntlInt(uintptr(x.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		out.Close()
		return nil, os.NewSyscallError("fcntl", err)
	}
	listening := os.NewFile(uintptr(dup), "listener")
	defer listening.Close()
	process, err := os.StartProcess(command[0], command, &os.ProcAttr{
		Files: []*os.File{in, os.Stderr, os.Stderr, listening},
		Sys:   &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}, // should this process be killed
	})
	if err != nil {
		out.Close()
		return nil, fmt.Errorf("start a process that holds a listener: %w", err)
	}
	x.close()
	return &holder{process: process, stdin: out}, nil
}

// end ends the holder.
func (h *holder) end() {
	h.stdin.Close()
	h.process.Kill() //nolint:errcheck // it may have ended already
	h.process.Wait() //nolint:errcheck // it was killed
}

// resize calls listen(2) on the listener of another process.
func (h *holder) resize(backlog int) error {
	pidfd, err := unix.PidfdOpen(h.process.Pid, 0)
	if err != nil {
		return refusal("pidfd_open", err)
	}
	defer unix.Close(pidfd)
	fd, err := unix.PidfdGetfd(pidfd, heldFD, 0)
	if err != nil {
		return refusal("pidfd_getfd", err)
	}
	defer unix.Close(fd)
	return os.NewSyscallError("listen", unix.Listen(fd, backlog))
}

// refusal says why a listener of another process cannot be had here.
func refusal(call string, err error) error {
	switch {
	case errors.Is(err, unix.ENOSYS):
		return untried("this kernel has no %s, which came with 5.6", call)
	case errors.Is(err, os.ErrPermission):
		return untried("%s is not permitted: it needs CAP_SYS_PTRACE, and a seccomp profile or an LSM may forbid it", call)
	}
	return os.NewSyscallError(call, err)
}

// tryResize sets the limit of a listener that another process holds, from a
// thread of another namespace.
func tryResize(r *runner) {
	r.do("", func(t *trial) error {
		x, err := t.listenWith(100, 0, 0, 4)
		if err != nil {
			return err
		}
		h, err := t.hand(x)
		if err != nil {
			return err
		}
		defer h.end()
		here, err := r.live.NewNamespace()
		if err != nil {
			return err
		}
		defer here.Close()
		if err := here.SetSysctl(tcpq.Somaxconn, 4096); err != nil {
			return err
		}
		if err := t.peers.connect(x.port, 10); err != nil {
			return err
		}
		if err := t.check("somaxconn 100 there, 4096 here, listen(4), 10 clients", limitOf(x).is(4), acceptQueue(x).is(5)); err != nil {
			return err
		}
		for _, s := range []struct {
			step      string
			somaxconn int64
			backlog   int // 0: nobody listens again
			clients   int
			limit     int64
			queue     int64
			refused   int64
		}{
			{"listen(20) from here, 10 more", 100, 20, 10, 20, 15, 0},
			{"listen(2), 5 more", 100, 2, 5, 2, 15, 5},
			{"listen(5000), 2 more", 100, 5000, 2, 100, 17, 0},
			{"somaxconn 6000 there, listen(5000)", 6000, 5000, 0, 5000, 17, 0},
			{"somaxconn 100 there again", 100, 0, 0, 5000, 17, 0},
		} {
			if err := t.set(tcpq.Somaxconn, s.somaxconn); err != nil {
				return err
			}
			if s.backlog != 0 {
				if err := here.Do(func() error { return h.resize(s.backlog) }); err != nil {
					return err
				}
			}
			if err := t.peers.connect(x.port, s.clients); err != nil {
				return err
			}
			if err := t.check(s.step, limitOf(x).is(s.limit), acceptQueue(x).is(s.queue), counter(tcpq.ListenOverflows).is(s.refused)); err != nil {
				return err
			}
		}
		return nil
	})
}
