// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernel

import (
	"net/netip"
	"time"

	"github.com/qtune/qtune/test/lab"
)

// synRows: floods, and honest peers that take their time for the handshake.
func synRows() []row {
	return []row{
		{"a flood without cookies is a flood, and cookies help at once", func(p *play) {
			p.ns.SetSysctl(cookies, "0")
			l := p.listen(lab.Socket{Addr: any4, Port: 80, Backlog: 50})
			p.flood(lab.OnCable(l))
			p.untilMoved("TCPReqQFullDrop")
			p.moved("TCPReqQFullDrop", 30)
			p.want("syn-flood-suspected", l.Inode, changeTo(cookies, 0, 1), noChange(synBack, maxConn), tells("peers|SYN"))
			p.info("syncookies-off")
			p.allow("limit-below-somaxconn")
		}},
		{"a flood that meets the 3/4 rule is a flood, and no reason for a longer SYN queue", func(p *play) {
			p.ns.SetSysctl(cookies, "0")
			p.ns.SetSysctl(synBack, "16")
			l := p.listen(lab.Socket{Addr: any4, Port: 80, Backlog: 500})
			p.flood(lab.OnCable(l))
			p.untilMoved("ListenDrops")
			p.moved("ListenDrops", 15)
			p.still("TCPReqQFullDrop", "ListenOverflows")
			p.want("syn-flood-suspected", l.Inode, changeTo(cookies, 0, 1), noChange(synBack, maxConn))
			p.info("syncookies-off")
			p.allow("limit-below-somaxconn")
		}},
		{"a flood that cookies answer is a flood", func(p *play) {
			l := p.listen(lab.Socket{Addr: any4, Port: 80, Backlog: 50})
			p.flood(lab.OnCable(l))
			p.untilMoved("SyncookiesSent")
			p.moved("SyncookiesSent", 30)
			p.still("ListenDrops")
			p.want("syn-flood-suspected", l.Inode, noChange(synBack, maxConn, cookies))
			p.allow("syncookies-sent", "limit-below-somaxconn")
		}},
		{"a flood of a listener that answers all by cookie is a flood", func(p *play) {
			p.ns.SetSysctl(cookies, "2")
			l := p.listen(lab.Socket{Addr: any4, Port: 80, Backlog: 50})
			p.flood(lab.OnCable(l))
			p.untilMoved("SyncookiesSent")
			p.moved("SyncookiesSent", 30)
			p.still("ListenDrops")
			p.want("syn-flood-suspected", l.Inode, noChange(synBack, maxConn, cookies))
			p.allow("syncookies-sent", "syncookies-always", "limit-below-somaxconn")
		}},
		{"a flood over IPv6 is a flood", func(p *play) {
			p.ns.SetSysctl(cookies, "0")
			l := p.listen(lab.Socket{Addr: any6, Port: 80, Backlog: 50})
			p.flood(netip.AddrPortFrom(lab.Near6, l.Port))
			p.untilMoved("TCPReqQFullDrop")
			p.moved("TCPReqQFullDrop", 30)
			p.want("syn-flood-suspected", l.Inode, changeTo(cookies, 0, 1))
			p.info("syncookies-off")
			p.allow("limit-below-somaxconn")
		}},
		{"a flood of a busy listener is a flood", func(p *play) {
			l := p.listen(lab.Socket{Addr: any4, Port: 80, Backlog: 50})
			l.Serve(lab.Serve{})
			c := p.clients(l)
			p.every(10*ms, func() { c.Come(2) })
			p.flood(lab.OnCable(l))
			p.untilMoved("SyncookiesSent")
			p.moved("SyncookiesSent", 30)
			p.moved("SyncookiesRecv", 30)
			p.still("ListenDrops")
			p.want("syn-flood-suspected", l.Inode, noChange(synBack, maxConn, cookies))
			p.allow("syncookies-sent", "limit-below-somaxconn")
		}},
		{"a flood of a busy listener without cookies is a flood", func(p *play) {
			p.ns.SetSysctl(cookies, "0")
			l := p.listen(lab.Socket{Addr: any4, Port: 80, Backlog: 50})
			l.Serve(lab.Serve{})
			c := p.clients(l)
			p.every(10*ms, func() { c.Come(2) })
			p.flood(lab.OnCable(l))
			p.untilMoved("TCPReqQFullDrop")
			p.moved("TCPReqQFullDrop", 30)
			p.want("syn-flood-suspected", l.Inode, changeTo(cookies, 0, 1), noChange(synBack, maxConn))
			p.info("syncookies-off")
			p.allow("limit-below-somaxconn")
		}},
		{"a flood is no finding at the busy listener beside it", func(p *play) {
			p.ns.SetSysctl(cookies, "0")
			l := p.listen(lab.Socket{Addr: any4, Port: 80, Backlog: 50})
			busy := p.listen(lab.Socket{Addr: any4, Port: 81, Backlog: 100})
			busy.Serve(lab.Serve{})
			c := p.clients(busy)
			p.every(10*ms, func() { c.Come(2) })
			p.flood(lab.OnCable(l))
			p.untilMoved("TCPReqQFullDrop")
			p.moved("TCPReqQFullDrop", 30)
			p.moved("PassiveOpens", 30)
			p.want("syn-flood-suspected", l.Inode)
			p.info("syncookies-off")
			p.allow("limit-below-somaxconn")
		}},
		{"honest peers that answer late fill a SYN queue without cookies", func(p *play) {
			p.ns.SetSysctl(cookies, "0")
			l := p.listen(lab.Socket{Addr: any4, Port: 80, Backlog: 20})
			l.Serve(lab.Serve{})
			p.late(l, 10)
			p.untilMoved("TCPReqQFullDrop")
			p.moved("TCPReqQFullDrop", 30)
			p.moved("PassiveOpens", 30)
			p.still("ListenOverflows")
			p.want("syn-queue-full", l.Inode, noChange(synBack))
			p.info("syncookies-off")
			p.allow("limit-below-somaxconn")
		}},
		{"honest peers that answer after most of a second fill a SYN queue without cookies", func(p *play) {
			p.ns.SetSysctl(cookies, "0")
			p.span = "3s"
			l := p.listen(lab.Socket{Addr: any4, Port: 80, Backlog: 20})
			l.Serve(lab.Serve{})
			p.later(l, 5, 700*ms)
			p.untilMoved("PassiveOpens")
			p.moved("TCPReqQFullDrop", 30)
			p.moved("PassiveOpens", 30)
			p.still("ListenOverflows")
			p.want("syn-queue-full", l.Inode, noChange(synBack))
			p.info("syncookies-off")
			p.allow("limit-below-somaxconn")
		}},
		{"a flood of one listener and bursts at another are two findings", func(p *play) {
			p.ns.SetSysctl(cookies, "0")
			flooded := p.listen(lab.Socket{Addr: any4, Port: 80, Backlog: 50})
			p.flood(lab.OnCable(flooded))
			l := p.listen(lab.Socket{Addr: loopback4, Port: 81, Backlog: 16})
			p.bursts(l, 40)
			p.untilMoved("TCPReqQFullDrop")
			p.want("syn-flood-suspected", flooded.Inode, changeTo(cookies, 0, 1))
			p.want("accept-queue-overflow", l.Inode, longerQueue(40))
			p.info("syncookies-off")
			p.allow("limit-below-somaxconn")
		}},
		{"honest peers that answer late meet the 3/4 rule", func(p *play) {
			p.ns.SetSysctl(cookies, "0")
			p.ns.SetSysctl(synBack, "16")
			l := p.listen(lab.Socket{Addr: any4, Port: 80, Backlog: 500})
			l.Serve(lab.Serve{})
			p.late(l, 10)
			p.untilMoved("ListenDrops")
			p.moved("ListenDrops", 15)
			p.moved("PassiveOpens", 20)
			p.still("ListenOverflows", "TCPReqQFullDrop")
			p.want("syn-backlog-three-quarters", l.Inode, change(true, synBack, cookies), noChange(maxConn))
			p.info("syncookies-off")
			p.allow("limit-below-somaxconn")
		}},
		{"honest peers that answer late in time need no finding", func(p *play) {
			p.ns.SetSysctl(cookies, "0")
			l := p.listen(lab.Socket{Addr: any4, Port: 80, Backlog: 500})
			l.Serve(lab.Serve{})
			p.late(l, 5)
			p.untilMoved("PassiveOpens")
			p.moved("PassiveOpens", 30)
			p.still("ListenDrops")
		}},
		{"deferred accepts without loss are only told", func(p *play) {
			l := p.listen(lab.Socket{Addr: any4, Port: 80, Backlog: 100, DeferAccept: 30})
			l.Serve(lab.Serve{})
			p.silence(l, 40)
			p.moved("TCPDeferAcceptDrop", 30)
			p.discarded(l, 30)
			p.still("ListenDrops")
			p.info("deferred-accepts")
		}},
		{"deferred accepts of silent clients fill a SYN queue", func(p *play) {
			p.ns.SetSysctl(cookies, "0")
			l := p.listen(lab.Socket{Addr: any4, Port: 80, Backlog: 10, DeferAccept: 30})
			l.Serve(lab.Serve{})
			p.silence(l, 40)
			p.untilMoved("TCPReqQFullDrop")
			p.moved("TCPReqQFullDrop", 20)
			p.moved("TCPDeferAcceptDrop", 10)
			p.want("syn-queue-full", l.Inode)
			p.info("deferred-accepts", "syncookies-off")
			p.allow("limit-below-somaxconn")
		}},
		{"Fast Opens beyond the limit fall back to handshakes", func(p *play) {
			p.ns.SetSysctl(fastOpen, "515") // 0x203: server, no cookie required
			l := p.listen(lab.Socket{Addr: any4, Port: 80, Backlog: 200, FastOpen: 2})
			l.Serve(lab.Serve{})
			p.late(l, 4).Data = []byte("hello")
			p.untilMoved("TCPFastOpenListenOverflow")
			p.moved("TCPFastOpenListenOverflow", 3)
			p.moved("PassiveOpens", 20)
			p.still("ListenDrops")
			p.want("fastopen-overflow", l.Inode, noChange(maxConn, synBack, cookies))
		}},
	}
}

// flood sends SYNs of peers that never answer, a thousand a second.
func (p *play) flood(to netip.AddrPort) {
	w := p.cable()
	p.every(10*ms, func() { w.Send(to, lab.SYN, 10) })
}

// late lets so many peers come each 50 ms that answer a SYN-ACK after 300 ms, and
// ask again when none came.
func (p *play) late(l *lab.Held, each int) *lab.Peers {
	return p.later(l, each, 300*ms)
}

func (p *play) later(l *lab.Held, each int, answer time.Duration) *lab.Peers {
	peers := p.cable().NewPeers(lab.OnCable(l))
	p.every(50*ms, func() { peers.Knock(each) })
	p.every(10*ms, func() { peers.Answer(answer) })
	return peers
}

// silence lets clients come that say nothing and hang up when this many others
// have come.
func (p *play) silence(l *lab.Held, most int) {
	c := lab.NewClients(p.t, l.AddrPort(), most)
	p.every(20*ms, func() { c.Come(2) })
	p.untilMoved("TCPDeferAcceptDrop")
}
