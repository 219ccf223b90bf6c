// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host

import (
	"errors"
	"net/netip"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// A stage is a namespace of its own, and what this process has open there.
type stage struct {
	t    testing.TB
	live *Live
	*PrivateNamespace
}

func newStage(t testing.TB) *stage {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("not root: network namespaces cannot be made")
	}
	l := liveHost(t)
	ns, err := l.NewNamespace()
	if err != nil {
		t.Skipf("root, but namespaces cannot be made here: %v", err)
	}
	t.Cleanup(ns.Close)
	return &stage{t, l, ns}
}

// change visits the namespace.
func (s *stage) change(do func(Changeable)) {
	s.t.Helper()
	err := s.live.Change(s.t.Context(), []*Namespace{s.Namespace()}, func(_ *Namespace, c Changeable, err error) {
		if err != nil {
			s.t.Errorf("enter: %v", err)
			return
		}
		do(c)
	})
	if err != nil {
		s.t.Error(err)
	}
}

// needFetch skips the test unless this kernel lets a socket be fetched, and tells
// its limit.
func (s *stage) needFetch(p *prop) {
	s.t.Helper()
	var err error
	s.change(func(c Changeable) { err = c.MayFetch(p.Socket) })
	if errors.Is(err, ErrUnsupported) {
		s.t.Skip(err)
	}
	if err != nil {
		s.t.Errorf("MayFetch = %v", err)
	}
}

// prop is a socket of the stage.
type prop struct {
	t  testing.TB
	fd int
	*Socket
}

// socket opens one; addr may be "".
func (s *stage) socket(domain, kind, protocol int, addr string) *prop {
	s.t.Helper()
	p := &prop{t: s.t, fd: -1, Socket: &Socket{PIDs: []int{os.Getpid()}, MPTCP: protocol == unix.IPPROTO_MPTCP}}
	err := s.Do(func() (err error) {
		if p.fd, err = unix.Socket(domain, kind|unix.SOCK_CLOEXEC, protocol); err != nil {
			return err
		}
		if addr == "" {
			return nil
		}
		if err := unix.SetsockoptInt(p.fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
			return err
		}
		var at unix.Sockaddr
		if a := netip.MustParseAddr(addr); domain == unix.AF_INET6 {
			at = &unix.SockaddrInet6{Addr: a.As16()}
		} else {
			at = &unix.SockaddrInet4{Addr: a.As4()}
		}
		return unix.Bind(p.fd, at)
	})
	if protocol == unix.IPPROTO_MPTCP && p.fd < 0 {
		s.t.Skipf("this kernel has no MPTCP: %v", err)
	}
	p.must(err)
	s.t.Cleanup(p.close)
	p.describe()
	return p
}

// tcp returns a listener on 127.0.0.1.
func (s *stage) tcp(backlog int) *prop {
	s.t.Helper()
	p := s.socket(unix.AF_INET, unix.SOCK_STREAM, 0, "127.0.0.1")
	p.must(unix.Listen(p.fd, backlog))
	return p
}

func (p *prop) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *prop) close() { unix.Close(p.fd) }

// describe says what the kernel shows of the socket.
func (p *prop) describe() {
	p.t.Helper()
	inode, err := inodeOf(p.fd)
	p.must(err)
	p.Inode = uint32(inode)
	p.Cookie, err = unix.GetsockoptUint64(p.fd, unix.SOL_SOCKET, unix.SO_COOKIE)
	p.must(err)
	name, err := unix.Getsockname(p.fd)
	p.must(err)
	switch a := name.(type) {
	case *unix.SockaddrInet4:
		p.Addr, p.Port = netip.AddrFrom4(a.Addr), uint16(a.Port)
	case *unix.SockaddrInet6:
		p.Addr, p.Port = netip.AddrFrom16(a.Addr), uint16(a.Port)
	}
}

// limit returns the limit of a listener, -1 of what is none.
func (p *prop) limit() int {
	p.t.Helper()
	info, err := unix.GetsockoptTCPInfo(p.fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil || info.State != unix.BPF_TCP_LISTEN {
		return -1
	}
	return int(info.Sacked)
}
