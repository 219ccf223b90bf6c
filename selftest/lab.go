// SPDX-License-Identifier: Apache-2.0

//go:build linux

package selftest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/qtune/qtune/collector"
	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/tcpq"
)

// A lab is a network namespace of its own with a server's address, forged peers
// and our own way of reading it. Everything in it runs on one thread, which ends
// with it.
type lab struct {
	ctx       context.Context
	ns        *host.PrivateNamespace
	collector *collector.Collector
	found     host.Found
	peers     *peers

	listeners []*listener
	accepted  []int

	closing *sync.WaitGroup
}

// openLab makes the lab of the calling thread's namespace, which is ns.
func (r *runner) openLab(ns *host.PrivateNamespace) (*lab, error) {
	if err := stayOnOneCPU(); err != nil {
		return nil, err
	}
	lo, err := layStreet()
	if err != nil {
		return nil, host.Needs("CAP_NET_ADMIN", err)
	}
	p, err := openPeers(r.ctx, lo)
	if err != nil {
		return nil, host.Needs("CAP_NET_RAW and CAP_NET_ADMIN", err)
	}
	return &lab{
		ctx: r.ctx, ns: ns, peers: p, closing: &r.closing,
		collector: collector.New(r.live, collector.Options{Syn: collector.SynAll}),
		found:     host.Found{Namespaces: []*host.Namespace{ns.Namespace()}},
	}, nil
}

// stayOnOneCPU keeps the calling thread, which ends with the lab, on a CPU that
// it may use.
func stayOnOneCPU() error {
	var may unix.CPUSet
	if err := unix.SchedGetaffinity(0, &may); err != nil {
		return os.NewSyscallError("sched_getaffinity", err)
	}
	for cpu := range len(may) * 64 {
		if may.IsSet(cpu) {
			var one unix.CPUSet
			one.Set(cpu)
			return os.NewSyscallError("sched_setaffinity", unix.SchedSetaffinity(0, &one))
		}
	}
	return errors.New("this thread may use no CPU")
}

// close ends everything in the lab. What was accepted is reset: closed, it would
// wait minutes for its peer, and the namespace with it.
func (l *lab) close() {
	for _, fd := range l.accepted {
		unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}) //nolint:errcheck // it is closed all the same
		unix.Close(fd)
	}
	for _, s := range l.listeners {
		s.close()
	}
	l.closing.Go(l.peers.close)
}

// set sets a sysctl of the lab.
func (l *lab) set(s tcpq.Sysctl, value int64) error { return l.ns.SetSysctl(s, value) }

// A listener is a listening socket of the lab.
type listener struct {
	fd     int
	cookie uint64
	port   uint16
}

// A spec says what listener is wanted.
type spec struct {
	backlog     int
	mptcp       bool
	reusePort   bool
	deferAccept bool
	port        uint16 // 0: 8080
}

// listen opens a listener.
func (l *lab) listen(s spec) (*listener, error) {
	if s.port == 0 {
		s.port = 8080
	}
	proto := 0
	if s.mptcp {
		proto = unix.IPPROTO_MPTCP
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, proto)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	x := &listener{fd: fd, port: s.port}
	l.listeners = append(l.listeners, x)
	if s.reusePort {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
			return nil, os.NewSyscallError("SO_REUSEPORT", err)
		}
	}
	if s.deferAccept {
		const seconds = 60 // longer than any case lasts
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, seconds); err != nil {
			return nil, os.NewSyscallError("TCP_DEFER_ACCEPT", err)
		}
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: server.As4(), Port: int(s.port)}); err != nil {
		return nil, os.NewSyscallError("bind", err)
	}
	if x.cookie, err = unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_COOKIE); err != nil {
		return nil, os.NewSyscallError("SO_COOKIE", err)
	}
	return x, x.listen(s.backlog)
}

// listen calls listen(2), for the first time or again.
func (x *listener) listen(backlog int) error {
	return os.NewSyscallError("listen", unix.Listen(x.fd, backlog))
}

func (x *listener) close() {
	if x.fd >= 0 {
		unix.Close(x.fd)
	}
	x.fd = -1
}

// accept takes up to count connections out of the accept queue and returns how
// many it got.
func (l *lab) accept(x *listener, count int) (int, error) {
	for i := range count {
		fd, _, err := unix.Accept4(x.fd, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return i, nil
		case err != nil:
			return i, os.NewSyscallError("accept", err)
		}
		l.accepted = append(l.accepted, fd)
	}
	return count, nil
}

// read reads the namespace as qtune inspect does.
func (l *lab) read() (*view, error) {
	s, err := l.collector.Sample(l.ctx, l.found, nil)
	if err != nil {
		return nil, err
	}
	if len(s.Namespaces) != 1 {
		return nil, fmt.Errorf("read net:[%d]: %w", l.ns.Inode, host.ErrGone)
	}
	v := &view{Namespace: s.Namespaces[0], synAcks: l.peers.synAcks, resets: l.peers.resets}
	if v.Err != "" {
		return nil, fmt.Errorf("read net:[%d]: %s", l.ns.Inode, v.Err)
	}
	return v, nil
}

// A view is what was read of a lab at one instant.
type view struct {
	tcpq.Namespace
	synAcks, resets int64

	base *view // the instant that movements are counted from
}

// of returns what was read of a listener, nothing when it was not there. The TCP
// half of an MPTCP listener has a cookie of its own, and the port.
func (v *view) of(x *listener) *tcpq.Listener {
	i := slices.IndexFunc(v.Listeners, func(l tcpq.Listener) bool { return l.Cookie == x.cookie })
	if i < 0 {
		i = slices.IndexFunc(v.Listeners, func(l tcpq.Listener) bool { return l.Port == x.port })
	}
	if i < 0 {
		return &tcpq.Listener{}
	}
	return &v.Listeners[i]
}
