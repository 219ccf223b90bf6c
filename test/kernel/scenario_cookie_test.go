// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernel

import "github.com/qtune/qtune/test/lab"

// cookieRows: cookies, as they help and as they do not.
func cookieRows() []row {
	return []row{
		{"cookies that honest peers bring back are only told", func(p *play) {
			l := p.listen(lab.Socket{Addr: any4, Port: 80, Backlog: 20})
			l.Serve(lab.Serve{})
			p.late(l, 10)
			p.untilMoved("SyncookiesRecv")
			p.moved("SyncookiesSent", 30)
			p.moved("SyncookiesRecv", 30)
			p.still("ListenDrops")
			p.info("syncookies-sent")
			p.allow("past-loss") // what a busy machine loses at the start
		}},
		{"a healthy server that answers all by cookie needs no finding", func(p *play) {
			p.ns.SetSysctl(cookies, "2")
			l := p.listen(lab.Socket{Addr: any4, Port: 80, Backlog: 128})
			l.Serve(lab.Serve{})
			c := p.clients(l)
			p.every(10*ms, func() { c.Come(5) })
			p.moved("SyncookiesRecv", 30)
			p.still("ListenDrops")
			p.allow("syncookies-sent", "syncookies-always")
		}},
		{"cookies that come back to a full queue are zombies", func(p *play) {
			l := p.listen(lab.Socket{Addr: any4, Port: 80, Backlog: 10})
			p.zombies(l)
			p.want("cookie-zombies", l.Inode)
			p.allow("syncookies-sent", "limit-below-somaxconn")
		}},
		{"cookies for all that come back to a full queue are zombies", func(p *play) {
			p.ns.SetSysctl(cookies, "2")
			l := p.listen(lab.Socket{Addr: any4, Port: 80, Backlog: 10})
			p.zombies(l)
			p.want("cookie-zombies", l.Inode)
			p.allow("syncookies-sent", "syncookies-always", "limit-below-somaxconn")
		}},
		{"a stuck server with cookies for all is stuck", func(p *play) {
			p.ns.SetSysctl(cookies, "2")
			c := p.server(lab.Process{Listen: []lab.Socket{{Addr: any4, Port: 80, Backlog: 10}}})
			p.keepFull(c, 1, 1)
			p.stuck(c)
			p.allow("syncookies-sent", "syncookies-always")
		}},
		{"bursts overflow a listener with cookies for all", func(p *play) {
			p.ns.SetSysctl(cookies, "2")
			l := p.listen(lab.Socket{Addr: loopback4, Port: 80, Backlog: 16})
			l.Serve(drains)
			c := p.clients(l)
			p.every(210*ms, func() { c.Come(40) })
			p.untilMoved("ListenOverflows")
			p.moved("ListenOverflows", 20)
			p.want("accept-queue-overflow", l.Inode, longerQueue(40), noChange(cookies, synBack))
			p.allow("syncookies-sent", "syncookies-always", "limit-below-somaxconn")
		}},
	}
}

// zombies lets thirty peers at a time come to an empty queue of eleven, and bring
// their cookies back before it is emptied: no SYN meets a full queue.
func (p *play) zombies(l *lab.Held) {
	peers := p.cable().NewPeers(lab.OnCable(l))
	come := false
	p.every(80*ms, func() {
		if come = !come; come {
			l.Accept(0)
			peers.Knock(30)
		} else {
			peers.Answer(0)
		}
	})
	p.untilMoved("ListenOverflows")
	p.moved("SyncookiesRecv", 60)
	p.moved("ListenOverflows", 60)
}
