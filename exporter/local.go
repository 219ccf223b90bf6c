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
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// ServeLocal serves on a unix socket for inspect and top of this host, until the
// context ends. Only its owner may use it: others see no more than they may by
// looking themselves.
func (e *Exporter) ServeLocal(ctx context.Context, path string) error {
	l, err := listenLocal(ctx, path)
	if err != nil {
		return fmt.Errorf("serve on %s: %w", path, err)
	}
	defer os.Remove(path) //nolint:errcheck // the next one to start does it, too
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

// listenLocal opens the socket, in the place of one that nobody serves any more.
func listenLocal(ctx context.Context, path string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	dialer := net.Dialer{Timeout: time.Second}
	switch c, err := dialer.DialContext(ctx, "unix", path); {
	case err == nil:
		c.Close()
		return nil, errors.New("another agent serves there: end it, or choose another --socket")
	case errors.Is(err, unix.ECONNREFUSED):
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}
