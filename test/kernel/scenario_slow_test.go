// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernel

import "github.com/qtune/qtune/test/lab"

// slowRows: servers that accept less than there comes. A longer queue would only
// let their clients wait longer.
func slowRows() []row {
	return []row{
		{"a queue that stands while connections come and go is a slow application", func(p *play) {
			l := p.listen(lab.Socket{Addr: loopback4, Port: 80, Backlog: 100})
			l.Serve(lab.Serve{Every: 20 * ms, Batch: 2})
			p.keep(l, 5*ms, 50, 0)
			p.peaked(l, 30, 70)
			p.moved("PassiveOpens", 20)
			p.still("ListenDrops")
			p.want("application-slow", l.Inode, rateAndWait)
			p.allow("limit-below-somaxconn")
		}},
		{"a queue that stands at its limit and loses is a slow application", func(p *play) {
			l := p.listen(lab.Socket{Addr: loopback4, Port: 80, Backlog: 20})
			l.Serve(lab.Serve{Every: 20 * ms, Batch: 1})
			p.keep(l, 10*ms, 21, 2)
			p.peaked(l, 20, 22)
			p.moved("PassiveOpens", 10)
			p.moved("ListenOverflows", 20)
			p.want("application-slow", l.Inode, rateAndWait)
			p.allow("limit-below-somaxconn", "syncookies-sent")
		}},
		{"a slow application is no reason to raise somaxconn", func(p *play) {
			p.ns.SetSysctl(maxConn, "20")
			l := p.listen(lab.Socket{Addr: loopback4, Port: 80, Backlog: 511})
			l.Serve(lab.Serve{Every: 20 * ms, Batch: 1})
			p.keep(l, 10*ms, 21, 2)
			p.moved("PassiveOpens", 10)
			p.moved("ListenOverflows", 20)
			p.want("application-slow", l.Inode, rateAndWait, noChange(maxConn))
			p.allow("limit-at-somaxconn", "syncookies-sent")
		}},
		{"a slow application is named beside a busy one that keeps up", func(p *play) {
			slow := p.listen(lab.Socket{Addr: loopback4, Port: 80, Backlog: 100})
			busy := p.listen(lab.Socket{Addr: loopback4, Port: 81, Backlog: 400})
			slow.Serve(lab.Serve{Every: 20 * ms, Batch: 2})
			busy.Serve(lab.Serve{})
			p.keep(slow, 5*ms, 50, 0)
			c := p.clients(busy)
			p.every(10*ms, func() { c.Come(20) })
			p.moved("PassiveOpens", 30)
			p.want("application-slow", slow.Inode, rateUpTo(110))
			p.allow("limit-below-somaxconn")
		}},
		{"a server whose cgroup is throttled is a slow application and says why", func(p *play) {
			c := p.server(lab.Process{Listen: []lab.Socket{{Addr: loopback4, Port: 80, Backlog: 20}}})
			c.Listeners[0].Serve(lab.Serve{Every: 5 * ms, Work: 2 * ms})
			c.Throttle(4 * ms)
			p.keepFull(c, 1, 50)
			p.moved("PassiveOpens", 3)
			p.want("application-slow", c.Listeners[0].Inode, tells("throttled|quota"))
			p.allow("limit-below-somaxconn")
		}},
	}
}

// keepFull lets clients come to the listener of a child, this many each 10 ms,
// until qtune has ended; it begins when so many have been refused.
func (p *play) keepFull(c *lab.Child, each int, refused uint64) {
	clients := lab.NewClients(p.t, c.Listeners[0].AddrPort(), 1000)
	p.every(10*ms, func() { clients.Come(each) })
	p.until(func() bool { return p.ns.Counters()["ListenOverflows"] >= refused })
	p.moved("ListenOverflows", 20)
}
