// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host

import (
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/qtune/qtune/tcpq"
)

// TestKernelRelisten proves that a listener of any kind gets its limit, up and down,
// from a thread that comes from another namespace.
func TestKernelRelisten(t *testing.T) {
	tests := []struct {
		name     string
		domain   int
		protocol int
		addr     string
	}{
		{"IPv4", unix.AF_INET, 0, "127.0.0.1"},
		{"IPv4 wildcard", unix.AF_INET, unix.IPPROTO_TCP, "0.0.0.0"},
		{"IPv6", unix.AF_INET6, 0, "::1"},
		{"IPv6 wildcard", unix.AF_INET6, 0, "::"},
		{"IPv4 address on an IPv6 socket", unix.AF_INET6, 0, "::ffff:127.0.0.1"},
		{"MPTCP", unix.AF_INET, unix.IPPROTO_MPTCP, "127.0.0.1"},
		{"MPTCP over IPv6", unix.AF_INET6, unix.IPPROTO_MPTCP, "::1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(t)
			p := s.socket(tt.domain, unix.SOCK_STREAM, tt.protocol, tt.addr)
			p.must(unix.Listen(p.fd, 8))
			s.needFetch(p)
			s.change(func(c Changeable) {
				for _, step := range [][2]uint32{{8, 64}, {64, 8}, {8, 0}, {0, 100}} {
					if err := c.Relisten(p.Socket, step[0], step[1]); err != nil || p.limit() != int(step[1]) {
						t.Errorf("Relisten from %d to %d = %v, the limit is %d", step[0], step[1], err, p.limit())
					}
				}
			})
		})
	}
}

// TestKernelRelistenAtSomaxconn proves that somaxconn itself may be asked for.
func TestKernelRelistenAtSomaxconn(t *testing.T) {
	s := newStage(t)
	p := s.tcp(8)
	p.must(s.SetSysctl(tcpq.Somaxconn, 64))
	s.change(func(c Changeable) {
		if err := c.Relisten(p.Socket, 8, 64); err != nil || p.limit() != 64 {
			t.Errorf("Relisten = %v, the limit is %d, want 64", err, p.limit())
		}
	})
}

// TestKernelRelistenInItsNamespace proves that the somaxconn that counts is that of
// the visited namespace, and that a socket of another is not touched.
func TestKernelRelistenInItsNamespace(t *testing.T) {
	s, other := newStage(t), newStage(t)
	p, q := s.tcp(8), other.tcp(8)
	p.must(other.SetSysctl(tcpq.Somaxconn, 16))
	other.change(func(c Changeable) {
		if err := c.Relisten(p.Socket, 8, 12); !errors.Is(err, ErrGone) || !strings.Contains(err.Error(), "namespace") || p.limit() != 8 {
			t.Errorf("Relisten in another namespace = %v, the limit is %d, want %v and 8", err, p.limit(), ErrGone)
		}
		if err := c.Relisten(q.Socket, 8, 64); !errors.Is(err, ErrShrinks) || q.limit() != 8 {
			t.Errorf("Relisten above its somaxconn = %v, the limit is %d, want %v and 8", err, q.limit(), ErrShrinks)
		}
	})
	s.change(func(c Changeable) {
		if err := c.Relisten(p.Socket, 8, 64); err != nil || p.limit() != 64 {
			t.Errorf("Relisten in its namespace = %v, the limit is %d, want 64", err, p.limit())
		}
	})
}

// TestKernelRelistenOfAReusedNumber proves that a descriptor whose number is another
// socket's by the time it is fetched is left alone.
func TestKernelRelistenOfAReusedNumber(t *testing.T) {
	s := newStage(t)
	p, q := s.tcp(8), s.tcp(8)
	s.change(func(c Changeable) {
		in := c.(*inside)
		r, err := in.prepare(p.Socket)
		if err != nil {
			t.Error(err)
			return
		}
		defer unix.Close(r.somaxconn)
		r.listen, r.from, r.to = true, 8, 64
		fd, err := in.live.descriptorOf(os.Getpid(), p.Inode)
		if err != nil || fd != p.fd {
			t.Errorf("descriptorOf = %d, %v, want %d", fd, err, p.fd)
		}
		if err := unix.Dup3(q.fd, p.fd, unix.O_CLOEXEC); err != nil { // between finding and fetching
			t.Error(err)
		}
		pidfd, err := unix.PidfdOpen(os.Getpid(), 0)
		if err != nil {
			t.Error(err)
			return
		}
		defer unix.Close(pidfd)
		if err := r.run(pidfd, fd); !errors.Is(err, ErrGone) || r.other != "inode" {
			t.Errorf("run = %v by its %s, want %v by its inode", err, r.other, ErrGone)
		}
	})
	if q.limit() != 8 {
		t.Errorf("the limit of the other socket is %d, want 8", q.limit())
	}
}

// TestKernelRelistenMeanwhile proves that what happens between the look and
// listen(2) is seen.
func TestKernelRelistenMeanwhile(t *testing.T) {
	tests := []struct {
		name      string
		meanwhile func(*stage, *prop) error
		want      error
		text      string
		limit     int
	}{
		{"nothing", func(*stage, *prop) error { return nil }, nil, "", 64},
		{"it was shut down", func(_ *stage, p *prop) error { return unix.Shutdown(p.fd, unix.SHUT_RDWR) }, ErrGone, "does not listen", -1},
		{"somaxconn was lowered", func(s *stage, _ *prop) error { return s.SetSysctl(tcpq.Somaxconn, 32) }, ErrVerify, "the limit is 32", 32},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(t)
			p := s.tcp(8)
			s.change(func(c Changeable) {
				r, err := c.(*inside).prepare(p.Socket)
				if err != nil {
					t.Error(err)
					return
				}
				defer unix.Close(r.somaxconn)
				r.listen, r.from, r.to = true, 8, 64
				if err := errors.Join(r.look(p.fd), tt.meanwhile(s, p)); err != nil {
					t.Error(err)
				}
				err = r.set(p.fd)
				if err != nil {
					err = r.explain(err)
				}
				if !errors.Is(err, tt.want) || err != nil && !strings.Contains(err.Error(), tt.text) {
					t.Errorf("set = %v, want %v with %q", err, tt.want, tt.text)
				}
			})
			if got := p.limit(); got != tt.limit {
				t.Errorf("the limit is %d, want %d", got, tt.limit)
			}
		})
	}
}

// TestKernelRelistenOfAMember proves that of a reuse-port group one member is resized.
func TestKernelRelistenOfAMember(t *testing.T) {
	s := newStage(t)
	p := s.tcp(8)
	q := s.socket(unix.AF_INET, unix.SOCK_STREAM, 0, "")
	q.must(unix.SetsockoptInt(q.fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1))
	q.must(unix.Bind(q.fd, &unix.SockaddrInet4{Port: int(p.Port), Addr: p.Addr.As4()}))
	q.must(unix.Listen(q.fd, 8))
	q.describe()
	s.change(func(c Changeable) {
		if err := c.Relisten(q.Socket, 8, 64); err != nil || q.limit() != 64 || p.limit() != 8 {
			t.Errorf("Relisten = %v, the limits are %d and %d, want 64 and 8", err, q.limit(), p.limit())
		}
	})
}

// TestKernelRelistenAllocatesNothing proves that nothing is allocated, and no
// descriptor left, while the duplicate of a socket is held.
func TestKernelRelistenAllocatesNothing(t *testing.T) {
	s := newStage(t)
	p := s.tcp(8)
	before := len(descriptors(t, s.live))
	s.change(func(c Changeable) {
		in := c.(*inside)
		r, err := in.prepare(p.Socket)
		if err != nil {
			t.Error(err)
			return
		}
		defer unix.Close(r.somaxconn)
		pidfd, err := unix.PidfdOpen(os.Getpid(), 0)
		if err != nil {
			t.Error(err)
			return
		}
		defer unix.Close(pidfd)
		r.listen, r.from, r.to = true, 8, 64
		n := testing.AllocsPerRun(100, func() {
			if err := r.run(pidfd, p.fd); err != nil {
				t.Error(err)
			}
			r.from, r.to = r.to, r.from
		})
		if n != 0 {
			t.Errorf("a resize allocates %v times, want never", n)
		}
	})
	if now := len(descriptors(t, s.live)); now != before {
		t.Errorf("%d sockets are open after, want %d", now, before)
	}
}

// TestKernelRelistenOfAnEndedProcess proves that a pidfd does not lead to the process
// that has the number now.
func TestKernelRelistenOfAnEndedProcess(t *testing.T) {
	s := newStage(t)
	p := s.tcp(8)
	child := exec.CommandContext(t.Context(), "/proc/self/exe")
	child.Env = append(os.Environ(), holdVar+"=1")
	in, err := child.StdinPipe()
	p.must(err)
	p.must(child.Start())
	pidfd, err := unix.PidfdOpen(child.Process.Pid, 0)
	p.must(err)
	defer unix.Close(pidfd)
	in.Close()
	p.must(child.Wait())
	r := &resize{socket: p.Socket}
	if err := s.live.whyNotFetched(r.run(pidfd, p.fd), pidfdGetfdSince); !errors.Is(err, ErrGone) {
		t.Errorf("run = %v, want %v", err, ErrGone)
	}
}

// BenchmarkRelisten measures how long the duplicate of a socket is held.
func BenchmarkRelisten(b *testing.B) {
	s := newStage(b)
	p := s.tcp(8)
	var took []time.Duration
	s.change(func(c Changeable) {
		r, err := c.(*inside).prepare(p.Socket)
		if err != nil {
			b.Error(err)
			return
		}
		defer unix.Close(r.somaxconn)
		pidfd, err := unix.PidfdOpen(os.Getpid(), 0)
		if err != nil {
			b.Error(err)
			return
		}
		defer unix.Close(pidfd)
		r.listen, r.from, r.to = true, 8, 64
		took = make([]time.Duration, b.N)
		for i := range took {
			began := time.Now()
			err := r.run(pidfd, p.fd)
			took[i] = time.Since(began)
			if err != nil {
				b.Error(err)
				return
			}
			r.from, r.to = r.to, r.from
		}
	})
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds()), "p50-ns")
	b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds()), "p99-ns")
}
