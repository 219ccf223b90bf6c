// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host

import (
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/qtune/qtune/tcpq"
)

// TestKernelRelistenRefuses proves that nothing but the listener that was seen is
// ever resized. In each row all is right but one thing.
func TestKernelRelistenRefuses(t *testing.T) {
	tests := []struct {
		name string
		make func(*stage) *prop // what is to have a limit of 8
		want error
		text string // a part of it
	}{
		{"no known process", func(s *stage) *prop {
			p := s.tcp(8)
			p.PIDs = nil
			return p
		}, ErrAbsent, "no process that holds it is known"},
		{"a process that ended", func(s *stage) *prop {
			p := s.tcp(8)
			p.PIDs = []int{noProcess}
			return p
		}, ErrGone, "pidfd_open"},
		{"a process that has not got it", func(s *stage) *prop {
			p := s.tcp(8)
			p.PIDs = []int{os.Getppid()}
			return p
		}, ErrGone, "holds socket"},
		{"a socket that was closed", func(s *stage) *prop {
			p := s.tcp(8)
			unix.Close(p.fd)
			p.fd = -1
			return p
		}, ErrGone, "holds socket"},
		{"the successor under the same inode", func(s *stage) *prop {
			p := s.tcp(8)
			p.Cookie++
			return p
		}, ErrGone, "SO_COOKIE"},
		{"an MPTCP socket for a TCP one", func(s *stage) *prop {
			p := s.socket(unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_MPTCP, "127.0.0.1")
			p.must(unix.Listen(p.fd, 8))
			p.MPTCP = false
			return p
		}, ErrGone, "SO_PROTOCOL"},
		{"a TCP socket for an MPTCP one", func(s *stage) *prop {
			p := s.tcp(8)
			p.MPTCP = true
			return p
		}, ErrGone, "SO_PROTOCOL"},
		{"another port", func(s *stage) *prop {
			p := s.tcp(8)
			p.Port++
			return p
		}, ErrGone, "address"},
		{"another address", func(s *stage) *prop {
			p := s.tcp(8)
			p.Addr = netip.MustParseAddr("127.0.0.2")
			return p
		}, ErrGone, "address"},
		{"AF_UNIX", func(s *stage) *prop {
			p := s.socket(unix.AF_UNIX, unix.SOCK_STREAM, 0, "")
			p.must(unix.Bind(p.fd, &unix.SockaddrUnix{Name: "@qtune-relisten-test"}))
			p.must(unix.Listen(p.fd, 8))
			p.Addr = netip.IPv4Unspecified()
			return p
		}, ErrGone, "SO_DOMAIN"},
		{"UDP", func(s *stage) *prop {
			return s.socket(unix.AF_INET, unix.SOCK_DGRAM, 0, "127.0.0.1")
		}, ErrGone, "SO_TYPE"},
		{"no TCP, though of its type", func(s *stage) *prop {
			const sctp = unix.IPPROTO_SCTP
			p := s.tcp(8)
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, sctp)
			if err != nil {
				s.t.Skipf("this kernel has no SCTP: %v", err)
			}
			unix.Close(p.fd)
			p.fd = fd
			p.describe()
			return p
		}, ErrGone, "SO_PROTOCOL"},
		{"a bound socket", func(s *stage) *prop {
			return s.socket(unix.AF_INET, unix.SOCK_STREAM, 0, "127.0.0.1")
		}, ErrGone, "does not listen"},
		{"an unbound socket", func(s *stage) *prop {
			return s.socket(unix.AF_INET, unix.SOCK_STREAM, 0, "")
		}, ErrGone, "does not listen"},
		{"a connected socket", func(s *stage) *prop {
			to := s.tcp(8)
			p := s.socket(unix.AF_INET, unix.SOCK_STREAM, 0, "")
			p.must(unix.Connect(p.fd, &unix.SockaddrInet4{Port: int(to.Port), Addr: to.Addr.As4()}))
			p.describe()
			return p
		}, ErrGone, "does not listen"},
		{"a listener that was shut down", func(s *stage) *prop {
			p := s.tcp(8)
			p.must(unix.Shutdown(p.fd, unix.SHUT_RDWR))
			return p
		}, ErrGone, "does not listen"},
		{"an MPTCP listener that was shut down", func(s *stage) *prop {
			p := s.socket(unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_MPTCP, "127.0.0.1")
			p.must(unix.Listen(p.fd, 8))
			s.needFetch(p)
			p.must(unix.Shutdown(p.fd, unix.SHUT_RDWR))
			return p
		}, ErrGone, "does not listen"},
		{"a limit that the application changed", func(s *stage) *prop { return s.tcp(9) }, ErrChanged, "have 9, planned from 8"},
		{"a somaxconn below the limit asked for", func(s *stage) *prop {
			p := s.tcp(8)
			p.must(s.SetSysctl(tcpq.Somaxconn, 63))
			return p
		}, ErrShrinks, "is 63, and listen(2) would cut 64"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(t)
			p := tt.make(s)
			before := p.limit()
			s.change(func(c Changeable) {
				err := c.Relisten(p.Socket, 8, 64)
				if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) {
					t.Errorf("Relisten = %v, want %v with %q", err, tt.want, tt.text)
				}
			})
			if now := p.limit(); now != before {
				t.Errorf("the limit is %d, want %d as before", now, before)
			}
		})
	}
}

// TestWhyNoPtrace proves that Yama is named only where it forbids all.
func TestWhyNoPtrace(t *testing.T) {
	for _, tt := range []struct {
		scope string
		want  bool
	}{{"3\n", true}, {"2\n", false}, {"0\n", false}, {"", false}} {
		l := &Live{root: t.TempDir()}
		yama := l.path("proc/sys/kernel/yama")
		if err := os.MkdirAll(yama, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(yama+"/ptrace_scope", []byte(tt.scope), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := l.whyNoPtrace(); strings.Contains(got, "ptrace_scope") != tt.want {
			t.Errorf("whyNoPtrace() with scope %q = %q, want Yama in it: %t", tt.scope, got, tt.want)
		}
	}
}
