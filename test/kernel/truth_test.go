// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernel

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/tcpq"
	"github.com/qtune/qtune/test/lab"
)

// Names of what sets a limit.
const (
	application = "application"
	somaxconn   = "somaxconn"
	unknown     = "unknown"
)

// Sysctls of the table below.
const (
	maxConn   = "net.core.somaxconn"
	cookies   = "net.ipv4.tcp_syncookies"
	synBack   = "net.ipv4.tcp_max_syn_backlog"
	fastOpen  = "net.ipv4.tcp_fastopen"
	loopback4 = "127.0.0.1"
	any4      = "0.0.0.0"
	any6      = "::"
)

func to4(port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr(loopback4), port)
}

// TestKernelTruth compares what qtune says of every listener of a namespace with
// what the test did, with ss(8) and with /proc.
func TestKernelTruth(t *testing.T) {
	lab.NeedRoot(t)
	lab.NeedProgram(t, "ss", "ip")
	tests := []struct {
		name string
		make func(*scene)
	}{
		{"a namespace without listeners", func(*scene) {}},
		{"an empty listener keeps the backlog it asked for", func(s *scene) {
			s.listen(lab.Socket{Addr: loopback4, Backlog: 5}, 5, application)
		}},
		{"a backlog of 0 holds one connection", func(s *scene) {
			s.fill(s.listen(lab.Socket{Addr: any4, Backlog: 0}, 0, application), 1)
		}},
		{"a backlog of 1 that overflows", func(s *scene) {
			s.overflow(s.listen(lab.Socket{Addr: any4, Backlog: 1}, 1, application), 4)
		}},
		{"a backlog of 5 part full", func(s *scene) {
			s.fill(s.listen(lab.Socket{Addr: loopback4, Backlog: 5}, 5, application), 3)
		}},
		{"a backlog of 5 at its limit, one before full", func(s *scene) {
			s.fill(s.listen(lab.Socket{Addr: loopback4, Backlog: 5}, 5, application), 5)
		}},
		{"a backlog of 128 exactly full", func(s *scene) {
			s.fill(s.listen(lab.Socket{Addr: any4, Backlog: 128}, 128, application), 129)
		}},
		{"a backlog of 128 that overflows", func(s *scene) {
			s.overflow(s.listen(lab.Socket{Addr: any4, Backlog: 128}, 128, application), 7)
		}},
		{"a backlog of 4096 meets somaxconn", func(s *scene) {
			s.sysctl(maxConn, "4096")
			s.fill(s.listen(lab.Socket{Addr: any4, Backlog: 4096}, 4096, somaxconn), 100)
		}},
		{"a backlog of 4096 below somaxconn", func(s *scene) {
			s.sysctl(maxConn, "70000")
			s.listen(lab.Socket{Addr: any4, Backlog: 4096}, 4096, application)
		}},
		{"a backlog of 4096 is cut to a small somaxconn", func(s *scene) {
			s.sysctl(maxConn, "10")
			s.overflow(s.listen(lab.Socket{Addr: any4, Backlog: 4096}, 10, somaxconn), 3)
		}},
		{"a backlog of -1 is somaxconn", func(s *scene) {
			s.sysctl(maxConn, "50")
			s.fill(s.listen(lab.Socket{Addr: any4, Backlog: -1}, 50, somaxconn), 2)
		}},
		{"a backlog of -1 under the largest somaxconn", func(s *scene) {
			s.sysctl(maxConn, "2147483647")
			s.listen(lab.Socket{Addr: any4, Backlog: -1}, 2147483647, somaxconn)
		}},
		{"a somaxconn of 0 leaves room for one", func(s *scene) {
			s.sysctl(maxConn, "0")
			s.overflow(s.listen(lab.Socket{Addr: any4, Backlog: 128}, 0, somaxconn), 1)
		}},
		{"a somaxconn raised after listen does not reach the listener", func(s *scene) {
			s.sysctl(maxConn, "10")
			s.listen(lab.Socket{Addr: any4, Backlog: 100}, 10, application)
			s.sysctl(maxConn, "200")
		}},
		{"a somaxconn lowered after listen does not reach it either", func(s *scene) {
			s.listen(lab.Socket{Addr: any4, Backlog: 100}, 100, unknown)
			s.sysctl(maxConn, "10")
		}},
		{"a second listen takes the new somaxconn", func(s *scene) {
			s.sysctl(maxConn, "10")
			w := s.listen(lab.Socket{Addr: any4, Backlog: 100}, 60, somaxconn)
			s.sysctl(maxConn, "60")
			w.queue.Relisten(100)
			s.fill(w, 20)
		}},
		{"a queue longer than its limit after it shrank", func(s *scene) {
			w := s.listen(lab.Socket{Addr: any4, Backlog: 20}, 3, application)
			s.fill(w, 15)
			w.queue.Relisten(3)
		}},
		{"an IPv6 listener with IPv6 clients", func(s *scene) {
			s.fill(s.listen(lab.Socket{Addr: "::1", Backlog: 5}, 5, application), 4)
		}},
		{"an IPv6 listener that overflows", func(s *scene) {
			s.overflow(s.listen(lab.Socket{Addr: any6, Backlog: 1, V6Only: true}, 1, application), 3)
		}},
		{"a dual-stack listener with clients of both families", func(s *scene) {
			w := s.listen(lab.Socket{Addr: any6, Backlog: 9}, 9, application)
			s.fill(w, 4)
			s.connect(to4(w.Port), 3, 3, w)
		}},
		{"a dual-stack listener filled by one family refuses the other", func(s *scene) {
			w := s.listen(lab.Socket{Addr: any6, Backlog: 2}, 2, application)
			s.fill(w, 3)
			s.connect(to4(w.Port), 2, 0, w)
		}},
		{"a v6only listener beside an IPv4 one on one port", func(s *scene) {
			six := s.listen(lab.Socket{Addr: any6, Port: 80, Backlog: 5, V6Only: true}, 5, application)
			four := s.listen(lab.Socket{Addr: any4, Port: 80, Backlog: 7}, 7, application)
			s.fill(six, 2)
			s.fill(four, 3)
		}},
		{"an IPv4-mapped address, as Java binds it", func(s *scene) {
			w := s.listen(lab.Socket{Addr: mapped(netip.MustParseAddr(loopback4)), Backlog: 5}, 5, application)
			s.connect(to4(w.Port), 2, 2, w)
		}},
		{"a specific address beside the wildcard on one port", func(s *scene) {
			one := s.listen(lab.Socket{Addr: loopback4, Port: 80, Backlog: 5, ReusePort: true}, 5, application)
			all := s.listen(lab.Socket{Addr: any4, Port: 80, Backlog: 9, ReusePort: true}, 9, application)
			s.fill(one, 2)
			s.connect(netip.MustParseAddrPort("127.0.0.2:80"), 3, 3, all)
		}},
		{"half-open peers of a specific address beside the wildcard", func(s *scene) {
			s.cable()
			one := s.listen(lab.Socket{Addr: lab.Near4.String(), Port: 80, Backlog: 50, ReusePort: true}, 50, application)
			all := s.listen(lab.Socket{Addr: any4, Port: 80, Backlog: 60, ReusePort: true}, 60, application)
			s.halfOpen(one, lab.Near4, 4, 4)
			s.halfOpen(all, lab.OtherNear4, 6, 6)
		}},
		{"half-open IPv4 peers", func(s *scene) {
			s.halfOpen(s.listen(lab.Socket{Addr: any4, Backlog: 50}, 50, application), lab.Near4, 9, 9)
		}},
		{"half-open IPv6 peers", func(s *scene) {
			s.halfOpen(s.listen(lab.Socket{Addr: any6, Backlog: 50, V6Only: true}, 50, application), lab.Near6, 9, 9)
		}},
		{"half-open peers of both families at a dual-stack listener", func(s *scene) {
			w := s.listen(lab.Socket{Addr: any6, Backlog: 50}, 50, application)
			s.halfOpen(w, lab.Near4, 3, 3)
			s.halfOpen(w, lab.Near6, 5, 5)
		}},
		{"half-open peers of a v6only listener beside an IPv4 one", func(s *scene) {
			six := s.listen(lab.Socket{Addr: any6, Port: 80, Backlog: 50, V6Only: true}, 50, application)
			four := s.listen(lab.Socket{Addr: any4, Port: 80, Backlog: 60}, 60, application)
			s.halfOpen(six, lab.Near6, 3, 3)
			s.halfOpen(four, lab.Near4, 5, 5)
		}},
		{"half-open peers of a dual-stack listener beside an IPv4 one", func(s *scene) {
			six := s.listen(lab.Socket{Addr: any6, Port: 80, Backlog: 50, ReusePort: true}, 50, application)
			four := s.listen(lab.Socket{Addr: any4, Port: 80, Backlog: 60, ReusePort: true}, 60, application)
			s.halfOpen(six, lab.Near6, 3, 3)
			s.halfOpen(four, lab.Near4, 5, 5)
		}},
		{"half-open peers of an IPv4-mapped address", func(s *scene) {
			s.cable()
			w := s.listen(lab.Socket{Addr: mapped(lab.Near4), Backlog: 50}, 50, application)
			s.halfOpen(w, lab.Near4, 4, 4)
		}},
		{"half-open peers on several ports", func(s *scene) {
			for i, peers := range []int{2, 0, 7} {
				w := s.listen(lab.Socket{Addr: any4, Port: uint16(80 + i), Backlog: 50}, 50, application)
				s.halfOpen(w, lab.Near4, peers, uint32(peers))
			}
		}},
		{"silent clients of a deferring IPv4 listener are half-open", func(s *scene) {
			w := s.listen(lab.Socket{Addr: loopback4, Backlog: 50, DeferAccept: 30}, 50, application)
			s.silent(w, w.queue.AddrPort(), 6)
		}},
		{"silent clients of a deferring dual-stack listener", func(s *scene) {
			w := s.listen(lab.Socket{Addr: any6, Backlog: 50, DeferAccept: 30}, 50, application)
			s.silent(w, w.queue.AddrPort(), 2)
			s.silent(w, to4(w.Port), 3)
		}},
		{"a full SYN queue without syncookies is bound by the listener", func(s *scene) {
			s.sysctl(cookies, "0")
			w := s.listen(lab.Socket{Addr: any4, Backlog: 5}, 5, application)
			s.halfOpen(w, lab.Near4, 20, 5+synBeyond(s.t))
		}},
		{"a full SYN queue without syncookies is bound by tcp_max_syn_backlog", func(s *scene) {
			s.sysctl(cookies, "0")
			s.sysctl(synBack, "16")
			w := s.listen(lab.Socket{Addr: any4, Backlog: 500}, 500, application)
			s.halfOpen(w, lab.Near4, 40, 13)
		}},
		{"a tcp_max_syn_backlog of 5 holds 5", func(s *scene) {
			s.sysctl(cookies, "0")
			s.sysctl(synBack, "5")
			w := s.listen(lab.Socket{Addr: any6, Backlog: 500, V6Only: true}, 500, application)
			s.halfOpen(w, lab.Near6, 20, 5)
		}},
		{"a tcp_max_syn_backlog of -1 holds one", func(s *scene) {
			s.sysctl(cookies, "0")
			s.sysctl(synBack, "-1")
			w := s.listen(lab.Socket{Addr: any4, Backlog: 500}, 500, application)
			s.halfOpen(w, lab.Near4, 5, 1)
		}},
		{"with syncookies a small tcp_max_syn_backlog does not matter", func(s *scene) {
			s.sysctl(synBack, "16")
			w := s.listen(lab.Socket{Addr: any4, Backlog: 500}, 500, application)
			s.halfOpen(w, lab.Near4, 60, 60)
		}},
		{"with syncookies a SYN queue ends at the listener's limit", func(s *scene) {
			w := s.listen(lab.Socket{Addr: any4, Backlog: 10}, 10, application)
			s.halfOpen(w, lab.Near4, 30, 10+synBeyond(s.t))
		}},
		{"with syncookies always nothing is stored", func(s *scene) {
			s.sysctl(cookies, "2")
			w := s.listen(lab.Socket{Addr: any4, Backlog: 50}, 50, application)
			s.halfOpen(w, lab.Near4, 20, 0)
			s.fill(w, 3)
		}},
		{"syncookies of 7 are as 1", func(s *scene) {
			s.sysctl(cookies, "7")
			w := s.listen(lab.Socket{Addr: any4, Backlog: 10}, 10, application)
			s.halfOpen(w, lab.Near4, 30, 10+synBeyond(s.t))
		}},
		{"both queues at once", func(s *scene) {
			w := s.listen(lab.Socket{Addr: any4, Backlog: 20}, 20, application)
			s.halfOpen(w, lab.Near4, 7, 7)
			s.fill(w, 11)
		}},
		{"a reuse-port group of two, empty", func(s *scene) {
			a := s.listen(lab.Socket{Addr: any4, Port: 80, Backlog: 5, ReusePort: true}, 5, application)
			b := s.listen(lab.Socket{Addr: any4, Port: 80, Backlog: 9, ReusePort: true}, 9, application)
			s.group(a, b)
		}},
		{"a reuse-port group of three with clients and half-open peers", func(s *scene) {
			var all []*want
			for range 3 {
				all = append(all, s.listen(lab.Socket{Addr: any4, Port: 80, Backlog: 60, ReusePort: true}, 60, application))
			}
			s.group(all...)
			s.connect(to4(80), 30, 30, all...)
			s.halfOpen(all[0], lab.Near4, 20, 20)
		}},
		{"a dual-stack reuse-port group of four with half-open peers of both families", func(s *scene) {
			var all []*want
			for range 4 {
				all = append(all, s.listen(lab.Socket{Addr: any6, Port: 80, Backlog: 60, ReusePort: true}, 60, application))
			}
			s.group(all...)
			s.halfOpen(all[0], lab.Near4, 8, 8)
			s.halfOpen(all[0], lab.Near6, 9, 9)
		}},
		{"a v6only reuse-port member is not of the dual-stack one's group", func(s *scene) {
			s.listen(lab.Socket{Addr: any6, Port: 80, Backlog: 5, ReusePort: true}, 5, application)
			s.listen(lab.Socket{Addr: any6, Port: 80, Backlog: 6, ReusePort: true, V6Only: true}, 6, application)
		}},
		{"an MPTCP listener with TCP clients", func(s *scene) {
			lab.NeedMPTCP(s.t)
			s.fill(s.listen(lab.Socket{Addr: any4, Backlog: 5, MPTCP: true}, 5, application), 3)
		}},
		{"a dual-stack MPTCP listener that overflows", func(s *scene) {
			lab.NeedMPTCP(s.t)
			s.overflow(s.listen(lab.Socket{Addr: any6, Backlog: 2, MPTCP: true}, 2, application), 3)
		}},
		{"an MPTCP listener with half-open peers beside a TCP one", func(s *scene) {
			lab.NeedMPTCP(s.t)
			m := s.listen(lab.Socket{Addr: any4, Port: 80, Backlog: 50, MPTCP: true}, 50, application)
			s.listen(lab.Socket{Addr: any4, Port: 81, Backlog: 50}, 50, application)
			s.halfOpen(m, lab.Near4, 4, 4)
		}},
		{"a listener bound to lo beside an unbound one", func(s *scene) {
			bound := s.listen(lab.Socket{Addr: any4, Port: 80, Backlog: 5, Device: "lo"}, 5, application)
			s.listen(lab.Socket{Addr: any4, Port: 81, Backlog: 6}, 6, application)
			s.fill(bound, 2)
		}},
		{"a listener bound to a veth beside an unbound one on one port, with half-open peers", func(s *scene) {
			dev := s.cable().Device
			// The kernel asks the youngest first, and takes a reuse-port one
			// without looking for one that fits better.
			free := s.listen(lab.Socket{Addr: any4, Port: 80, Backlog: 60, ReusePort: true}, 60, application)
			bound := s.listen(lab.Socket{Addr: any4, Port: 80, Backlog: 50, Device: dev, ReusePort: true}, 50, application)
			s.halfOpen(bound, lab.Near4, 5, 5)
			s.fill(free, 3)
		}},
		{"an IPv6 listener bound to a veth, with half-open peers", func(s *scene) {
			dev := s.cable().Device
			bound := s.listen(lab.Socket{Addr: any6, Port: 80, Backlog: 50, Device: dev}, 50, application)
			s.halfOpen(bound, lab.Near6, 5, 5)
		}},
		{"listeners bound to lo and to a veth on one port", func(s *scene) {
			dev := s.cable().Device
			veth := s.listen(lab.Socket{Addr: any4, Port: 80, Backlog: 50, Device: dev}, 50, application)
			lo := s.listen(lab.Socket{Addr: any4, Port: 80, Backlog: 60, Device: "lo"}, 60, application)
			s.halfOpen(veth, lab.Near4, 3, 3)
			s.fill(lo, 4)
		}},
		{"a Fast Open listener, nothing happening", func(s *scene) {
			s.sysctl(fastOpen, "3")
			s.listen(lab.Socket{Addr: any4, Backlog: 20, FastOpen: 7}, 20, application)
		}},
		{"a Fast Open child is in the accept queue and not half-open", func(s *scene) {
			s.sysctl(fastOpen, "515") // 0x203: server, no cookie required
			w := s.listen(lab.Socket{Addr: any4, Backlog: 20, FastOpen: 7}, 20, application)
			s.cable().SendData(netip.AddrPortFrom(lab.Near4, w.Port), lab.SYN, 3)
			s.settle(3, w)
			s.halfOpen(w, lab.Near4, 4, 4)
		}},
		{"scans and health checks only raise the discards", func(s *scene) {
			w := s.listen(lab.Socket{Addr: any4, Backlog: 20}, 20, application)
			to := netip.AddrPortFrom(lab.Near4, w.Port)
			for _, kind := range []lab.Segment{lab.RST, lab.FIN, lab.NULL} {
				s.cable().Send(to, kind, 5)
			}
			s.wire.HealthCheck(to, 5)
			lab.Wait(s.t, "the segments to be discarded", func() bool { return s.ns.SS()[w.cookie].Drops == 20 })
		}},
		{"a transparent listener owns the peers of foreign addresses", func(s *scene) {
			w := s.listen(lab.Socket{Addr: any4, Backlog: 20, Transparent: true}, 20, application)
			s.halfOpen(w, lab.Near4, 2, 2)
		}},
		{"two hundred listeners, each with a limit of its own", func(s *scene) {
			for i := range 200 {
				s.listen(lab.Socket{Addr: loopback4, Port: uint16(1000 + i), Backlog: i}, uint32(i), application)
			}
		}},
		{"a process of another user and name", func(s *scene) {
			s.child(lab.Process{Comm: []byte("front (1) end"), UID: 1234, Listen: []lab.Socket{{Addr: any4, Port: 8080, Backlog: 11}}},
				owner{comm: "front (1) end", uid: 1234}, 11, application)
		}},
		{"a process in a unit's cgroup", func(s *scene) {
			lab.NewCgroup(s.t, "qtune.slice/qtune-lab.service")
			s.child(lab.Process{Cgroup: "qtune.slice/qtune-lab.service", Listen: []lab.Socket{{Addr: any6, Port: 80, Backlog: 11}}},
				owner{comm: "exe", unit: "qtune-lab.service"}, 11, application)
		}},
		{"a process in a container's cgroup", func(s *scene) {
			id := strings.Repeat("0123456789abcdef", 4)
			path := "qtune.slice/docker-" + id + ".scope"
			lab.NewCgroup(s.t, path)
			s.child(lab.Process{Cgroup: path, Comm: []byte("web"), Listen: []lab.Socket{{Addr: any4, Port: 80, Backlog: 11}}},
				owner{comm: "web", contains: id}, 11, application)
		}},
		{"watched while nothing happens", func(s *scene) {
			s.span, s.quiet = "300ms", true
			w := s.listen(lab.Socket{Addr: any4, Backlog: 20}, 20, application)
			s.listen(lab.Socket{Addr: any6, Backlog: 30}, 30, application)
			s.fill(w, 5)
		}},
		{"watched with both queues in use", func(s *scene) {
			s.span = "300ms"
			w := s.listen(lab.Socket{Addr: any6, Backlog: 20}, 20, application)
			s.fill(w, 5)
			s.halfOpen(w, lab.Near4, 4, 4)
		}},
		{"watched while clients are refused", func(s *scene) {
			s.span = "1500ms"
			s.overflow(s.listen(lab.Socket{Addr: any4, Backlog: 2}, 2, application), 5)
		}},
		{"watched, an MPTCP listener keeps its protocol", func(s *scene) {
			lab.NeedMPTCP(s.t)
			s.span, s.quiet = "300ms", true
			s.listen(lab.Socket{Addr: any4, Backlog: 5, MPTCP: true}, 5, application)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newScene(t)
			tt.make(s)
			s.check()
		})
	}
}

// A reading is what the kernel showed, not through qtune.
type reading struct {
	ss       map[uint64]lab.SSListener
	counters map[string]uint64
	halfOpen int
}

func (s *scene) read() reading {
	s.t.Helper()
	return reading{s.ns.SS(), s.ns.Counters(), s.ns.HalfOpen()}
}

// check runs qtune between two readings of the kernel and compares.
func (s *scene) check() {
	s.t.Helper()
	before := s.read()
	in := lab.Inspect(s.t, "--netns", s.ns.Path(), "--for", s.span, "--syn", "all")
	after := s.read()

	if len(in.Errors) > 0 {
		s.t.Errorf("errors = %v, want none", in.Errors)
	}
	if len(in.Namespaces) != 1 {
		s.t.Fatalf("%d namespaces, want the one asked for", len(in.Namespaces))
	}
	s.checkNamespace(in, before, after)
	s.checkWindow(in)
	if len(before.ss) != len(s.want) || len(after.ss) != len(s.want) {
		s.t.Errorf("ss shows %d and %d listeners, the test made %d", len(before.ss), len(after.ss), len(s.want))
	}
	rest := slices.Clone(in.Listeners)
	for _, w := range s.want {
		i := slices.IndexFunc(rest, func(l inspection.Listener) bool { return l.Inode == w.inode })
		if i < 0 {
			s.t.Errorf("%s port %d is missing", w.Addr, w.Port)
			continue
		}
		s.checkListener(rest[i], w)
		s.checkSS(rest[i], before.ss, after.ss)
		rest = slices.Delete(rest, i, i+1)
	}
	for _, l := range rest {
		s.t.Errorf("%s port %d, inode %d: nobody made that listener", l.Address, l.Port, l.Inode)
	}
}

// same reports a difference.
func (s *scene) same(where, what string, got, want any) {
	s.t.Helper()
	if got != want {
		s.t.Errorf("%s: %s = %v, want %v", where, what, got, want)
	}
}

// checkListener compares with what the test did.
func (s *scene) checkListener(l inspection.Listener, w *want) {
	s.t.Helper()
	at := fmt.Sprintf("%s port %d", w.Addr, w.Port)
	addr := netip.MustParseAddr(w.Addr)
	family, protocol := "ipv6", "tcp"
	if addr.Is4() {
		family = "ipv4"
	}
	if w.MPTCP {
		protocol = "mptcp"
	}
	s.same(at, "netns", l.Netns, s.ns.Inode)
	s.same(at, "address", l.Address, w.Addr)
	s.same(at, "port", l.Port, w.Port)
	s.same(at, "family", l.Family, family)
	s.same(at, "protocol", l.Protocol, protocol)
	s.same(at, "device", l.Device, w.Device)
	s.same(at, "inode", l.Inode, w.inode)
	if w.cookie != 0 {
		s.same(at, "cookie", l.Cookie, cookieText(w.cookie))
	}
	if addr.Is4() {
		s.same(at, "v6Only", value(l.V6Only), "absent")
	} else {
		// bind(2) to one IPv6 address sets it (__inet6_bind).
		s.same(at, "v6Only", value(l.V6Only), w.V6Only || !addr.IsUnspecified() && !addr.Is4In6())
	}
	s.same(at, "acceptQueue.length", l.AcceptQueue.Length, w.length)
	s.same(at, "acceptQueue.limit", l.AcceptQueue.Limit, w.limit)
	s.same(at, "acceptQueue.capacity", l.AcceptQueue.Capacity, uint64(w.limit)+1)
	s.same(at, "limitBoundBy", l.LimitBoundBy, w.by)

	var most uint32
	var by string
	for _, m := range w.syn.members {
		one, b := s.synLimit(m.limit)
		most, by = most+one, b
	}
	s.same(at, "synQueue.members", l.SynQueue.Members, len(w.syn.members))
	s.same(at, "synQueue.length", value(l.SynQueue.Length), w.syn.length)
	s.same(at, "synQueue.limit", value(l.SynQueue.Limit), most)
	s.same(at, "synQueue.boundBy", l.SynQueue.BoundBy, by)
	s.checkOwner(at, l, w.owner)
}

func (s *scene) checkOwner(at string, l inspection.Listener, w *owner) {
	s.t.Helper()
	o := l.Owner
	if o == nil {
		s.t.Errorf("%s: no owner", at)
		return
	}
	s.same(at, "owner.pid", o.PID, w.pid)
	s.same(at, "owner.pids", fmt.Sprint(o.PIDs), fmt.Sprint([]int{w.pid}))
	s.same(at, "owner.comm", o.Comm, w.comm)
	s.same(at, "owner.exe", o.Exe, w.exe)
	s.same(at, "owner.uid", o.UID, w.uid)
	s.same(at, "owner.unfound", o.Unfound, "")
	if w.unit != "" {
		s.same(at, "owner.unit", o.Unit, w.unit)
	}
	if w.contains != "" {
		if o.Container == nil {
			s.t.Errorf("%s: no container", at)
			return
		}
		s.same(at, "owner.container.id", o.Container.ID, w.contains)
		s.same(at, "owner.container.runtime", o.Container.Runtime, "docker")
	}
}

// checkSS compares with ss before and after.
func (s *scene) checkSS(l inspection.Listener, before, after map[uint64]lab.SSListener) {
	s.t.Helper()
	at := fmt.Sprintf("%s port %d beside ss", l.Address, l.Port)
	cookie, err := strconv.ParseUint(l.Cookie, 16, 64)
	if err != nil || len(l.Cookie) != 16 {
		s.t.Errorf("%s: cookie = %q, want 16 hex digits", at, l.Cookie)
	}
	b, ok := before[cookie]
	a, ok2 := after[cookie]
	if !ok || !ok2 {
		s.t.Errorf("%s: ss knows no cookie %x", at, cookie)
		return
	}
	address := a.Address
	if address == "*" {
		address = "::"
	}
	s.same(at, "length", l.AcceptQueue.Length, a.RecvQ)
	s.same(at, "limit", l.AcceptQueue.Limit, a.SendQ)
	s.same(at, "address", l.Address, address)
	s.same(at, "device", l.Device, a.Device)
	s.same(at, "port", l.Port, a.Port)
	s.same(at, "inode", l.Inode, a.Inode)
	if a.HasV6Only {
		s.same(at, "v6Only", value(l.V6Only), a.V6Only)
	} else {
		s.same(at, "v6Only", value(l.V6Only), "absent")
	}
	if l.Owner != nil {
		s.same(at, "uid", l.Owner.UID, a.UID)
		if l.Owner.Unit != "" {
			s.same(at, "unit", strings.HasSuffix(a.Cgroup, "/"+l.Owner.Unit), true)
		}
		if c := l.Owner.Container; c != nil {
			s.same(at, "container", strings.Contains(a.Cgroup, c.ID), true)
		}
	}
	if l.Discards.Total == nil || *l.Discards.Total < b.Drops || *l.Discards.Total > a.Drops {
		s.t.Errorf("%s: discards.total = %v, want %d to %d", at, value(l.Discards.Total), b.Drops, a.Drops)
	}
	if l.Discards.Window != nil && *l.Discards.Window > uint64(a.Drops-b.Drops) {
		s.t.Errorf("%s: discards.window = %d, want at most %d", at, *l.Discards.Window, a.Drops-b.Drops)
	}
	if l.Refused != nil && (l.Refused.Min > l.Refused.Max || l.Refused.Max > uint64(a.Drops-b.Drops)) {
		s.t.Errorf("%s: refused = %+v with %d discards", at, *l.Refused, a.Drops-b.Drops)
	}
}

// checkNamespace compares with /proc.
func (s *scene) checkNamespace(in *inspection.Inspection, before, after reading) {
	s.t.Helper()
	n := in.Namespaces[0]
	s.same("namespace", "inode", n.Inode, s.ns.Inode)
	s.same("namespace", "cookie", n.Cookie, netnsCookie(s.ns))
	s.same("namespace", "host", n.Host, false)
	s.same("namespace", "error", n.Error, "")
	s.same("namespace", "unattributedSyn", value(n.UnattributedSyn), uint32(0))
	s.same("coverage", "synWalked", in.Coverage.SynWalked, 1)

	for c := range tcpq.Counter(tcpq.NumCounters) {
		got, ok := n.Counters[c.String()]
		b, known := before.counters[c.String()]
		a := after.counters[c.String()]
		switch group := c.Info().Group; {
		case group != "TcpExt" && group != "Tcp":
			continue // of the host, or of a table that is not in use
		case ok != known:
			s.t.Errorf("counter %s: known to qtune %v, in /proc %v", c, ok, known)
		case got < b || got > a:
			s.t.Errorf("counter %s = %d, want %d to %d", c, got, b, a)
		case n.Moved[c.String()] > a-b:
			s.t.Errorf("moved %s = %d, want at most %d", c, n.Moved[c.String()], a-b)
		}
	}
	for c := range tcpq.Sysctl(tcpq.NumSysctls) {
		text, known := s.ns.Sysctl(c.String())
		got, ok := n.Sysctls[c.String()]
		switch {
		case slices.Contains(n.HostWideSysctls, c.String()):
			text, known = hostSysctl(s.t, c.String()), true
		}
		if ok != known || known && strconv.FormatInt(got, 10) != text {
			s.t.Errorf("sysctl %s = %d (known: %v), want %q (known: %v)", c, got, ok, text, known)
		}
	}
}

func hostSysctl(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile("/proc/sys/" + strings.ReplaceAll(name, ".", "/"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

// checkWindow looks at what only a window tells.
func (s *scene) checkWindow(in *inspection.Inspection) {
	s.t.Helper()
	if s.span == "0" {
		s.same("window", "source", in.Window.Source, inspection.SourceNone)
		s.same("window", "seconds", in.Window.Seconds, 0.0)
		s.same("window", "moved", len(in.Namespaces[0].Moved), 0)
	} else {
		s.same("window", "source", in.Window.Source, inspection.SourceWatched)
		if in.Window.Seconds <= 0 {
			s.t.Errorf("window of %v s", in.Window.Seconds)
		}
	}
	for _, l := range in.Listeners {
		at := fmt.Sprintf("%s port %d, window", l.Address, l.Port)
		if s.span == "0" {
			s.same(at, "refused", l.Refused == nil, true)
			s.same(at, "peak", value(l.AcceptQueue.Peak), "absent")
			s.same(at, "discards", value(l.Discards.Window), "absent")
			continue
		}
		// No row lets its queue change while it is watched.
		s.same(at, "peak", value(l.AcceptQueue.Peak), l.AcceptQueue.Length)
		if l.Refused == nil {
			s.t.Errorf("%s: no refused", at)
		}
		if s.quiet {
			s.same(at, "refused", *l.Refused, inspection.Refused{})
			s.same(at, "discards", value(l.Discards.Window), uint64(0))
			s.same("namespace", "moved", len(in.Namespaces[0].Moved), 0)
		}
	}
}
