// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernel

import (
	"net/netip"
	"testing"

	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/test/lab"
)

// innocentRows: what raises a listener's discards, or a namespace's drops, and is
// no loss of a listen queue.
func innocentRows() []row {
	rows := []row{
		{"SYNs that a socket filter refuses are no finding", func(p *play) {
			l := p.scanned(func(w *lab.Wire, to netip.AddrPort) { w.Send(to, lab.SYN, 2) })
			l.Filter()
			p.still("ListenDrops")
		}},
		{"stray ACKs are no finding", func(p *play) {
			l := p.listen(lab.Socket{Addr: any4, Port: 80, Backlog: 100})
			w := p.cable()
			p.every(10*ms, func() { w.SendAck(lab.OnCable(l), 2) })
			p.moved("OutRsts", 30)
			p.still("ListenDrops")
		}},
		{"SYNs with a wrong checksum are no finding", func(p *play) {
			l := p.listen(lab.Socket{Addr: any4, Port: 80, Backlog: 100})
			w := p.cable()
			p.every(10*ms, func() { w.SendBroken(lab.OnCable(l), 2) })
			p.still("ListenDrops")
		}},
		{"SYNs to a closed port are no finding", func(p *play) {
			p.listen(lab.Socket{Addr: any4, Port: 80, Backlog: 100})
			w := p.cable()
			p.every(10*ms, func() { w.Send(netip.AddrPortFrom(lab.Near4, 81), lab.SYN, 2) })
			p.moved("OutRsts", 30)
			p.still("ListenDrops")
		}},
		{"SYNs to which no route leads back are no fault of a queue", unanswerable("1")},
		{"SYNs to which no route leads back are no fault of a queue without cookies", unanswerable("0")},
		{"a victim is named and not the scanned listener beside it", func(p *play) {
			l := p.scanned(scanAll)
			victim := p.listen(lab.Socket{Addr: loopback4, Port: 81, Backlog: 16})
			p.bursts(victim, 40)
			p.discarded(l, 30)
			p.want("accept-queue-overflow", victim.Inode, longerQueue(40))
			p.allow("limit-below-somaxconn")
		}},
		{"a stuck victim is named and not the scanned listener beside it", func(p *play) {
			p.scanned(scanAll)
			c := p.server(lab.Process{Listen: []lab.Socket{{Addr: loopback4, Port: 81, Backlog: 16}}})
			p.keepFull(c, 1, 1)
			p.stuck(c)
		}},
		{"two victims at once are both named", func(p *play) {
			for port := uint16(80); port < 82; port++ {
				l := p.listen(lab.Socket{Addr: loopback4, Port: port, Backlog: 16})
				p.bursts(l, 40)
				p.want("accept-queue-overflow", l.Inode, longerQueue(40))
			}
			p.allow("limit-below-somaxconn")
		}},
		{"two victims that are scanned, too, share the suspicion, and it says so", func(p *play) {
			for port := uint16(80); port < 82; port++ {
				l := p.listen(lab.Socket{Addr: any4, Port: port, Backlog: 16})
				w := p.cable()
				p.every(10*ms, func() { w.Send(lab.OnCable(l), lab.RST, 5) })
				p.bursts(l, 40)
				p.want("accept-queue-overflow", l.Inode, longerQueue(40), tells("shared|suspect|other listener|others"))
			}
			p.allow("limit-below-somaxconn")
		}},
		{"a scanned listener of another namespace is not blamed", func(p *play) {
			p.netns = "all"
			other := lab.NewNamespace(p.t)
			p.also = append(p.also, other)
			innocent := other.Start(lab.Process{Plain: true, Listen: []lab.Socket{{Addr: any4, Port: 80, Backlog: 16}}}).Listeners[0]
			w := other.NewWire("near")
			p.every(10*ms, func() { scanAll(w, lab.OnCable(innocent)) })
			victim := p.listen(lab.Socket{Addr: loopback4, Port: 80, Backlog: 16})
			p.bursts(victim, 40)
			p.discarded(innocent, 30)
			p.want("accept-queue-overflow", victim.Inode, longerQueue(40))
			p.allow("limit-below-somaxconn")
		}},
		{"the loss of a listener that closed is not blamed on a scanned one", func(p *play) {
			p.scanned(scanAll)
			victim := p.listen(lab.Socket{Addr: loopback4, Port: 81, Backlog: 4})
			c := p.clients(victim)
			p.every(20*ms, func() { c.Come(2) })
			p.untilMoved("ListenOverflows")
			p.after(500*ms, victim.Close)
			p.moved("ListenOverflows", 10)
			p.came = append(p.came, func(t testing.TB, in *inspection.Inspection) {
				if n := len(listenersOf(in, p.ns)); n != 1 {
					t.Errorf("the load did not: %d listeners at the end, want 1", n)
				}
			})
		}},
	}
	for name, scan := range map[string]func(*lab.Wire, netip.AddrPort){
		"half-open health checks are no finding": func(w *lab.Wire, to netip.AddrPort) { w.HealthCheck(to, 2) },
		"a FIN scan is no finding":               func(w *lab.Wire, to netip.AddrPort) { w.Send(to, lab.FIN, 2) },
		"a NULL scan is no finding":              func(w *lab.Wire, to netip.AddrPort) { w.Send(to, lab.NULL, 2) },
		"an RST scan is no finding":              func(w *lab.Wire, to netip.AddrPort) { w.Send(to, lab.RST, 2) },
		"all scans together are no finding":      scanAll,
	} {
		rows = append(rows, row{name, func(p *play) {
			p.scanned(scan)
			p.still("ListenDrops")
		}})
	}
	return rows
}

// scanAll sends one of each kind that is discarded.
func scanAll(w *lab.Wire, to netip.AddrPort) {
	w.HealthCheck(to, 1)
	for _, kind := range []lab.Segment{lab.FIN, lab.NULL, lab.RST} {
		w.Send(to, kind, 1)
	}
	w.SendAck(to, 1)
}

// scanned opens a listener that is scanned every 10 ms.
func (p *play) scanned(scan func(*lab.Wire, netip.AddrPort)) *lab.Held {
	l := p.listen(lab.Socket{Addr: any4, Port: 80, Backlog: 100})
	w := p.cable()
	p.every(10*ms, func() { scan(w, lab.OnCable(l)) })
	p.discarded(l, 30)
	return l
}

// unanswerable sends SYNs that the kernel drops since it knows no route back. It
// counts them in ListenDrops, as it does what a full queue drops.
func unanswerable(setting string) func(*play) {
	return func(p *play) {
		p.ns.SetSysctl(cookies, setting)
		l := p.listen(lab.Socket{Addr: any4, Port: 80, Backlog: 100})
		w := p.cable()
		var n uint16
		p.every(10*ms, func() {
			n++
			w.SendFrom(netip.AddrPortFrom(netip.MustParseAddr("172.16.0.1"), 1024+n), lab.OnCable(l))
		})
		p.moved("ListenDrops", 15)
		p.still("ListenOverflows", "TCPReqQFullDrop")
	}
}
