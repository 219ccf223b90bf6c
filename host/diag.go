// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// diagBuffer is the size of one read: the kernel batches a dump up to 32 KiB.
const diagBuffer = 32 << 10

// errNoAnswer says that the kernel has answered less than it was asked. It puts
// its answers into the socket while a request is written or an answer is read,
// so there is nothing to wait for.
var errNoAnswer = errors.New("it ended early")

// A Diag is a sock_diag socket of one network namespace.
//
// It is a bare one. A visit is short, and mdlayher/netlink registers each socket
// with the runtime's poller: opening and closing takes 26 us and 27 allocations
// by it, 6 us and none so [measured on 6.18], of the 12 us that a dump takes.
type Diag struct {
	fd  int
	buf []byte
}

// DialDiag opens a sock_diag socket in the network namespace of the calling
// thread. It stays in that namespace, and keeps it alive, until it is closed.
// buf, of 32 KiB, may be nil.
func DialDiag(buf []byte) (*Diag, error) {
	if buf == nil {
		buf = make([]byte, diagBuffer)
	}
	d := &Diag{buf: buf}
	return d, d.dial()
}

func (d *Diag) dial() (err error) {
	d.fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return fmt.Errorf("open a sock_diag socket: %w", err)
	}
	return nil
}

// Dump sends a request, or several in one datagram, and hands each datagram of
// the answer to each, until that says it was the last or fails.
func (d *Diag) Dump(request []byte, each func(datagram []byte) (done bool, err error)) error {
	if _, err := d.again(unix.Write, request); err != nil {
		return fmt.Errorf("send a sock_diag request: %w", err)
	}
	for {
		n, err := d.again(unix.Read, d.buf)
		if errors.Is(err, unix.EAGAIN) || err == nil && n == 0 {
			err = errNoAnswer
		}
		if err != nil {
			return fmt.Errorf("read a sock_diag answer: %w", err)
		}
		if done, err := each(d.buf[:n]); done || err != nil {
			return err
		}
	}
}

// again makes a system call until no signal interrupts it.
func (d *Diag) again(call func(int, []byte) (int, error), b []byte) (int, error) {
	for {
		n, err := call(d.fd, b)
		if err != unix.EINTR { //nolint:errorlint // a bare errno
			return n, err
		}
	}
}

// Netns returns the cookie of the socket's namespace, 0 before Linux 5.14.
func (d *Diag) Netns() (cookie uint64) {
	cookie, _ = unix.GetsockoptUint64(d.fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	return cookie
}

// Close closes the socket.
func (d *Diag) Close() { unix.Close(d.fd) }
