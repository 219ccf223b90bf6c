// SPDX-License-Identifier: Apache-2.0

//go:build linux

package exporter

import (
	"context"
	"net"
	"sync"
)

// conns are the connections of a server, at most so many. When one more comes, it
// is let in and another is closed: the one that has waited longest without asking
// anything, else the one that has been served longest. So clients that dribble their
// headers, or do not read their answers, lose their own connections and hold up
// nobody: whoever asks at once is served at once.
type conns struct {
	most int

	// mu guards what follows, and the fields of each conn.
	mu   sync.Mutex
	turn uint64
	open map[*conn]struct{}
}

// A conn is one connection.
type conn struct {
	net.Conn
	of      *conns
	since   uint64 // the turn at which serving last changed
	serving int    // requests that are being answered
}

func newConns(most int) *conns { return &conns{most: most, open: map[*conn]struct{}{}} }

// listener is a net.Listener whose connections are counted.
type listener struct {
	net.Listener
	conns *conns
}

// Accept implements net.Listener.
func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.conns.admit(c), nil
}

func (s *conns) admit(c net.Conn) *conn {
	s.mu.Lock()
	var victim *conn
	if len(s.open) >= s.most {
		for c := range s.open {
			if victim == nil || before(c, victim) {
				victim = c
			}
		}
		delete(s.open, victim)
	}
	s.turn++
	admitted := &conn{Conn: c, of: s, since: s.turn}
	s.open[admitted] = struct{}{}
	s.mu.Unlock()
	if victim != nil {
		victim.Conn.Close()
	}
	return admitted
}

// before reports whether a is to be closed rather than b.
func before(a, b *conn) bool {
	if (a.serving > 0) != (b.serving > 0) {
		return b.serving > 0
	}
	return a.since < b.since
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.of.mu.Lock()
	delete(c.of.open, c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}

func (c *conn) note(more int) {
	c.of.mu.Lock()
	c.of.turn++
	c.serving += more
	c.since = c.of.turn
	c.of.mu.Unlock()
}

type connKey struct{}

// withConn puts a server's connection into the context of its requests; it is an
// http.Server's ConnContext.
func withConn(ctx context.Context, c net.Conn) context.Context {
	if secured, ok := c.(interface{ NetConn() net.Conn }); ok { // TLS
		c = secured.NetConn()
	}
	return context.WithValue(ctx, connKey{}, c)
}

// serving notes that a request is being answered, until the function it returns is
// called.
func serving(ctx context.Context) (done func()) {
	c, ok := ctx.Value(connKey{}).(*conn)
	if !ok {
		return func() {}
	}
	c.note(1)
	return func() { c.note(-1) }
}
