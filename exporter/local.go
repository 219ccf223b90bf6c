// SPDX-License-Identifier: Apache-2.0

//go:build linux

package exporter

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// maxSocketPath is how long the path of a unix socket may be: sun_path less its
// final zero.
const maxSocketPath = len(unix.RawSockaddrUnix{}.Path) - 1

// ServeLocal serves on a unix socket for inspect and top of this host, until the
// context ends. Only its owner may use it: others see no more than they may by
// looking themselves.
func (e *Exporter) ServeLocal(ctx context.Context, path string) error {
	l, err := listenLocal(ctx, path)
	if err != nil {
		return fmt.Errorf("serve on %s: %w", path, err)
	}
	defer removeOurs(path)()
	server := e.server(e.Handler())
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		err := server.Serve(listener{l, newConns(e.o.Limits.Connections)})
		if errors.Is(err, http.ErrServerClosed) {
			return nil
		}
		return fmt.Errorf("serve on %s: %w", path, err)
	})
	group.Go(func() error {
		<-ctx.Done()
		return server.Close()
	})
	return group.Wait()
}

// removeOurs returns what removes the socket that is there now, but not one that
// another agent made in its place.
func removeOurs(path string) func() {
	ours, err := os.Lstat(path)
	return func() {
		if now, e := os.Lstat(path); err == nil && e == nil && os.SameFile(ours, now) {
			os.Remove(path) //nolint:errcheck // the next agent to start does it, too
		}
	}
}

// listenLocal opens the socket, in the place of one that nobody serves any more.
func listenLocal(ctx context.Context, path string) (net.Listener, error) {
	if len(path) > maxSocketPath {
		return nil, fmt.Errorf("the path of a unix socket has at most %d bytes, this one %d: choose another --socket", maxSocketPath, len(path))
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, explainLocal(err)
	}
	if err := makeWay(ctx, path); err != nil {
		return nil, explainLocal(err)
	}
	private := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		// Before it has a name, so that nobody else can connect even for a moment.
		if e := c.Control(func(fd uintptr) { err = unix.Fchmod(int(fd), 0o600) }); e != nil {
			return e
		}
		return err
	}}
	l, err := private.Listen(ctx, "unix", path)
	if err != nil {
		return nil, explainLocal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // it may be another's by then
	return l, nil
}

// makeWay removes a socket that nobody serves any more, and nothing else.
func makeWay(ctx context.Context, path string) error {
	switch at, err := os.Lstat(path); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case at.Mode().Type() != fs.ModeSocket:
		return errors.New("what is there is no socket: choose another --socket")
	}
	dialer := net.Dialer{Timeout: time.Second}
	switch c, err := dialer.DialContext(ctx, "unix", path); {
	case err == nil:
		c.Close()
		return errors.New("another agent serves there: end it, or choose another --socket")
	case errors.Is(err, unix.ECONNREFUSED):
		return os.Remove(path)
	case errors.Is(err, fs.ErrNotExist):
		return nil
	default:
		return err
	}
}

// explainLocal says what an ordinary user can do.
func explainLocal(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w: choose another --socket, or none by --socket ''", err)
	}
	return err
}
