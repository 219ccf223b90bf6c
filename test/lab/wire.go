// SPDX-License-Identifier: Apache-2.0

//go:build linux

package lab

import (
	"net"
	"net/netip"

	"github.com/qtune/qtune/selftest"
)

// The addresses of a Wire's near end.
var (
	Near4      = netip.MustParseAddr("192.0.2.1")
	OtherNear4 = netip.MustParseAddr("192.0.2.2")
	Near6      = netip.MustParseAddr("fd00:2::1")
)

// A Wire is a veth pair inside a namespace. Its near end has addresses to listen
// on; from its far end come forged segments of peers in 10.0.0.0/8 and
// fd00:10::/32, and what the kernel answers to them gets lost there.
type Wire struct {
	Device string // the near end

	ns     *Namespace
	far    int // the number of its other end
	forger *selftest.Forger
	peers  uint32
}

// NewWire makes a veth pair whose near end has this name.
func (n *Namespace) NewWire(device string) *Wire {
	n.t.Helper()
	NeedProgram(n.t, "ip")
	const far = "far"
	for _, args := range [][]string{
		{"link", "add", device, "type", "veth", "peer", "name", far},
		{"link", "set", device, "arp", "off", "up"},
		{"link", "set", far, "arp", "off", "up"},
		{"addr", "add", Near4.String() + "/24", "dev", device},
		{"addr", "add", OtherNear4.String() + "/24", "dev", device},
		{"-6", "addr", "add", Near6.String() + "/64", "dev", device, "nodad"},
		{"route", "add", "10.0.0.0/8", "dev", device},
		{"-6", "route", "add", "fd00:10::/32", "dev", device},
	} {
		n.Run("ip", args...)
	}
	for _, name := range []string{"all", device} {
		n.SetSysctl("net.ipv4.conf."+name+".rp_filter", "0")
	}
	w := &Wire{Device: device, ns: n}
	n.Do(func() {
		nearIf, err := net.InterfaceByName(device)
		must(n.t, "find the near end", err)
		farIf, err := net.InterfaceByName(far)
		must(n.t, "find the far end", err)
		w.far = farIf.Index
		w.forger, err = selftest.NewForger(farIf.Index, nearIf.HardwareAddr)
		must(n.t, "forge", err)
	})
	n.t.Cleanup(w.forger.Close)
	return w
}

// A Segment is a kind of forged TCP segment: the flags of its header.
type Segment = selftest.Flags

// Segments.
const (
	NULL Segment = 0
	FIN          = selftest.FIN
	SYN          = selftest.SYN
	RST          = selftest.RST
	ACK          = selftest.ACK
)

// Send sends one segment from each of count new peers.
func (w *Wire) Send(dst netip.AddrPort, kind Segment, count int) {
	w.ns.t.Helper()
	for range count {
		w.peers++
		w.send(dst, kind, 0, "")
	}
}

// SendData is Send with data in the segment: a SYN with data is a Fast Open.
func (w *Wire) SendData(dst netip.AddrPort, kind Segment, count int) {
	w.ns.t.Helper()
	for range count {
		w.peers++
		w.send(dst, kind, 0, "hello")
	}
}

// HealthCheck lets count new peers send SYN and then RST, as half-open health
// checks and SYN scans do.
func (w *Wire) HealthCheck(dst netip.AddrPort, count int) {
	w.ns.t.Helper()
	for range count {
		w.peers++
		w.send(dst, SYN, 0, "")
		w.send(dst, RST, 1, "")
	}
}

// forgedSeq is where the sequence numbers of forged peers begin.
const forgedSeq = 1000

// send sends a segment of the newest peer.
func (w *Wire) send(dst netip.AddrPort, kind Segment, offset uint32, data string) {
	w.ns.t.Helper()
	w.forge(selftest.Segment{
		From: selftest.PeerAddr(w.peers, dst.Addr().Is4()), To: dst,
		Flags: kind, Seq: forgedSeq + offset, Data: []byte(data),
	})
}

func (w *Wire) forge(s selftest.Segment) {
	w.ns.t.Helper()
	must(w.ns.t, "forge", w.forger.Send(s))
}

// OnCable returns where forged peers find a listener of all addresses.
func OnCable(l *Held) netip.AddrPort { return netip.AddrPortFrom(Near4, l.Port) }
