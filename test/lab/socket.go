// SPDX-License-Identifier: Apache-2.0

//go:build linux

package lab

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// A Socket says what listener is wanted.
type Socket struct {
	Addr    string // "127.0.0.1", "::"
	Port    uint16 // 0 lets the kernel choose
	Backlog int    // handed to listen(2) as it is: 0 and -1 too

	V6Only      bool // otherwise an IPv6 socket is dual-stack
	ReusePort   bool
	MPTCP       bool
	Device      string // SO_BINDTODEVICE
	DeferAccept int    // TCP_DEFER_ACCEPT, in seconds
	FastOpen    int    // TCP_FASTOPEN: the limit of its queue
	Transparent bool   // IP_TRANSPARENT
}

// A Listener is a listening socket of this process.
type Listener struct {
	Socket // with the port it got
	Inode  uint32
	Cookie uint64 // SO_COOKIE; of an MPTCP socket, not of its TCP half

	t  testing.TB
	fd int
}

// Listen opens a listener inside the namespace; it is closed with the test.
func (n *Namespace) Listen(s Socket) *Listener {
	n.t.Helper()
	return n.ListenAll(s)[0]
}

// ListenAll is [Namespace.Listen] for many.
func (n *Namespace) ListenAll(all ...Socket) []*Listener {
	n.t.Helper()
	var listeners []*Listener
	n.Do(func() {
		for _, s := range all {
			l := &Listener{Socket: s, t: n.t}
			var err error
			l.fd, l.Port, err = open(s)
			must(n.t, fmt.Sprintf("listen on %s port %d", s.Addr, s.Port), err)
			n.t.Cleanup(l.Close)
			l.Inode, l.Cookie, err = identity(l.fd)
			must(n.t, "identify a socket", err)
			listeners = append(listeners, l)
		}
	})
	return listeners
}

// Close closes the listener.
func (l *Listener) Close() {
	if l.fd >= 0 {
		unix.Close(l.fd)
		l.fd = -1
	}
}

// Relisten calls listen(2) once more.
func (l *Listener) Relisten(backlog int) {
	l.t.Helper()
	must(l.t, "listen again", unix.Listen(l.fd, backlog))
}

// Queue returns the accept queue's length and limit as TCP_INFO has them.
func (l *Listener) Queue() (length, limit uint32) {
	l.t.Helper()
	info, err := unix.GetsockoptTCPInfo(l.fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	must(l.t, "TCP_INFO", err)
	return info.Unacked, info.Sacked
}

// AddrPort returns where a client finds the listener: a wildcard stands for the
// loopback address of its family.
func (s *Socket) AddrPort() netip.AddrPort {
	addr := netip.MustParseAddr(s.Addr)
	switch addr {
	case netip.IPv4Unspecified():
		addr = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	case netip.IPv6Unspecified():
		addr = netip.IPv6Loopback()
	}
	return netip.AddrPortFrom(addr, s.Port)
}

// Connect opens connections to dst which stay until the test ends. They do not
// wait: some may never be established.
func (n *Namespace) Connect(dst netip.AddrPort, count int) {
	n.t.Helper()
	n.t.Cleanup(n.CloseClients)
	n.Do(func() {
		for range count {
			fd, err := unix.Socket(familyOf(dst.Addr()), unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
			must(n.t, "socket", err)
			n.clients = append(n.clients, fd)
			if err := unix.Connect(fd, sockaddr(dst)); err != nil && !errors.Is(err, unix.EINPROGRESS) {
				must(n.t, "connect to "+dst.String(), err)
			}
		}
	})
}

// Say sends a text on every connection of [Namespace.Connect] that is established,
// as the client sees it.
func (n *Namespace) Say(text string) {
	n.t.Helper()
	for _, fd := range n.clients {
		_, err := unix.Write(fd, []byte(text))
		switch {
		case err == nil, errors.Is(err, unix.EAGAIN), errors.Is(err, unix.ENOTCONN), errors.Is(err, unix.EPIPE), errors.Is(err, unix.ECONNRESET):
		default:
			must(n.t, "write", err)
		}
	}
}

// CloseClients closes what [Namespace.Connect] opened.
func (n *Namespace) CloseClients() {
	for _, fd := range n.clients {
		unix.Close(fd)
	}
	n.clients = nil
}

// open makes a listening socket in the calling thread's namespace.
func open(s Socket) (fd int, port uint16, err error) {
	addr, err := netip.ParseAddr(s.Addr)
	if err != nil {
		return -1, 0, err
	}
	proto := 0
	if s.MPTCP {
		proto = unix.IPPROTO_MPTCP
	}
	fd, err = unix.Socket(familyOf(addr), unix.SOCK_STREAM|unix.SOCK_CLOEXEC, proto)
	if err != nil {
		return -1, 0, os.NewSyscallError("socket", err)
	}
	defer func() {
		if err != nil {
			unix.Close(fd)
			fd = -1
		}
	}()
	if err := s.setOptions(fd, addr); err != nil {
		return -1, 0, err
	}
	if err := unix.Bind(fd, sockaddr(netip.AddrPortFrom(addr, s.Port))); err != nil {
		return -1, 0, os.NewSyscallError("bind", err)
	}
	if err := unix.Listen(fd, s.Backlog); err != nil {
		return -1, 0, os.NewSyscallError("listen", err)
	}
	bound, err := unix.Getsockname(fd)
	if err != nil {
		return -1, 0, os.NewSyscallError("getsockname", err)
	}
	switch b := bound.(type) {
	case *unix.SockaddrInet4:
		port = uint16(b.Port)
	case *unix.SockaddrInet6:
		port = uint16(b.Port)
	}
	return fd, port, nil
}

func (s *Socket) setOptions(fd int, addr netip.Addr) error {
	yes := func(b bool) int {
		if b {
			return 1
		}
		return 0
	}
	for _, o := range []struct {
		name               string
		wanted             bool
		level, opt, number int
	}{
		{"SO_REUSEADDR", true, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1},
		{"IPV6_V6ONLY", addr.Is6(), unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, yes(s.V6Only)},
		{"SO_REUSEPORT", s.ReusePort, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1},
		{"TCP_DEFER_ACCEPT", s.DeferAccept > 0, unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, s.DeferAccept},
		{"TCP_FASTOPEN", s.FastOpen > 0, unix.IPPROTO_TCP, unix.TCP_FASTOPEN, s.FastOpen},
		{"IP_TRANSPARENT", s.Transparent && addr.Is4(), unix.IPPROTO_IP, unix.IP_TRANSPARENT, 1},
		{"IPV6_TRANSPARENT", s.Transparent && addr.Is6(), unix.IPPROTO_IPV6, unix.IPV6_TRANSPARENT, 1},
	} {
		if !o.wanted {
			continue
		}
		if err := unix.SetsockoptInt(fd, o.level, o.opt, o.number); err != nil {
			return fmt.Errorf("%s: %w", o.name, err)
		}
	}
	if s.Device != "" {
		if err := unix.BindToDevice(fd, s.Device); err != nil {
			return fmt.Errorf("SO_BINDTODEVICE %q: %w", s.Device, err)
		}
	}
	return nil
}

// identity returns the numbers by which the kernel shows a socket.
func identity(fd int) (inode uint32, cookie uint64, err error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return 0, 0, err
	}
	cookie, err = unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_COOKIE)
	return uint32(st.Ino), cookie, err
}

func familyOf(a netip.Addr) int {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}
