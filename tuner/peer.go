// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tuner

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ServerSocket is where the privileged half of a host is asked.
const ServerSocket = "/run/qtune/tuner.sock"

// A peer is who is at the other end of a socket, as the kernel has it.
type peer struct {
	uid   uint32
	pid   int
	known bool
}

// peerKey is the key of the peer in the context of a request.
type peerKey struct{}

func peerIn(ctx context.Context) peer {
	p, _ := ctx.Value(peerKey{}).(peer)
	return p
}

// trusted reports whether it is root, of this user namespace: the kernel says so of
// no other one's.
func (p peer) trusted() bool { return p.known && p.uid == 0 }

// peerOf asks the kernel who connected.
func peerOf(c net.Conn) (p peer) {
	conn, ok := c.(syscall.Conn)
	if !ok {
		return p
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return p
	}
	err = raw.Control(func(fd uintptr) {
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			p = peer{cred.Uid, int(cred.Pid), true}
		}
	})
	if err != nil {
		return peer{}
	}
	return p
}

// ListenServer opens the socket of a [Server], in the place of one that nobody
// serves any more. Its owner alone can connect.
func ListenServer(ctx context.Context, path string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("make the folder of the socket: %w", err)
	}
	private := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		// Before it has a name, so that nobody else can connect even for a moment.
		if e := c.Control(func(fd uintptr) { err = unix.Fchmod(int(fd), 0o600) }); e != nil {
			return e
		}
		return err
	}}
	l, err := private.Listen(ctx, "unix", path)
	if errors.Is(err, unix.EADDRINUSE) {
		if err := removeDead(ctx, path); err != nil {
			return nil, fmt.Errorf("listen on %s: %w", path, err)
		}
		l, err = private.Listen(ctx, "unix", path)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	return l, nil
}

// removeDead removes a socket that nobody serves, and nothing else.
func removeDead(ctx context.Context, path string) error {
	at, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if at.Mode().Type() != fs.ModeSocket {
		return errors.New("what is there is no socket")
	}
	dialer := net.Dialer{Timeout: time.Second}
	c, err := dialer.DialContext(ctx, "unix", path)
	if err == nil {
		c.Close()
		return errors.New("another qtune tuner serves there")
	}
	if !errors.Is(err, unix.ECONNREFUSED) {
		return err
	}
	return os.Remove(path)
}
