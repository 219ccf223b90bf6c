// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host

import (
	"fmt"
	"syscall"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// diagBuffer is the size of one read: the kernel batches a dump up to 32 KiB.
const diagBuffer = 32 << 10

// A Diag is a sock_diag socket of one network namespace.
type Diag struct {
	conn *netlink.Conn
	raw  syscall.RawConn
	buf  []byte

	// One read or write in flight; made once, so that a dump allocates nothing.
	request     []byte
	n           int
	err         error
	read, write func(fd uintptr) bool
}

// DialDiag opens a sock_diag socket in the network namespace of the calling
// thread. It stays in that namespace, and keeps it alive, until it is closed.
// buf, of 32 KiB, may be nil.
func DialDiag(buf []byte) (*Diag, error) {
	conn, err := netlink.Dial(unix.NETLINK_SOCK_DIAG, nil)
	if err != nil {
		return nil, fmt.Errorf("open a sock_diag socket: %w", err)
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("open a sock_diag socket: %w", err)
	}
	if buf == nil {
		buf = make([]byte, diagBuffer)
	}
	d := &Diag{conn: conn, raw: raw, buf: buf}
	d.read = func(fd uintptr) bool {
		d.n, d.err = unix.Read(int(fd), d.buf)
		return d.err != unix.EAGAIN //nolint:errorlint // a bare errno
	}
	d.write = func(fd uintptr) bool {
		_, d.err = unix.Write(int(fd), d.request)
		return d.err != unix.EAGAIN //nolint:errorlint // a bare errno
	}
	return d, nil
}

// Dump sends a request and hands each datagram of the answer to each, until
// that says it was the last or fails.
func (d *Diag) Dump(request []byte, each func(datagram []byte) (done bool, err error)) error {
	d.request = request
	if err := d.raw.Write(d.write); err != nil {
		return fmt.Errorf("send a sock_diag request: %w", err)
	}
	if d.err != nil {
		return fmt.Errorf("send a sock_diag request: %w", d.err)
	}
	for {
		if err := d.raw.Read(d.read); err != nil {
			return fmt.Errorf("read a sock_diag answer: %w", err)
		}
		switch {
		case d.err == unix.EINTR: //nolint:errorlint // a bare errno
			continue
		case d.err != nil:
			return fmt.Errorf("read a sock_diag answer: %w", d.err)
		case d.n == 0:
			return fmt.Errorf("read a sock_diag answer: it ended early")
		}
		done, err := each(d.buf[:d.n])
		if done || err != nil {
			return err
		}
	}
}

// Netns returns the cookie of the socket's namespace, 0 before Linux 5.14.
func (d *Diag) Netns() (cookie uint64) {
	d.raw.Control(func(fd uintptr) { //nolint:errcheck // only a closed socket fails
		cookie, _ = unix.GetsockoptUint64(int(fd), unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	})
	return cookie
}

// Close closes the socket.
func (d *Diag) Close() { d.conn.Close() }
