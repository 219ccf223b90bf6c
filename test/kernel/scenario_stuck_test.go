// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernel

import (
	"testing"

	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/test/lab"
)

// stuckRows: servers that accept nothing at all.
func stuckRows() []row {
	socket := lab.Socket{Addr: loopback4, Port: 80, Backlog: 10}
	alone := []lab.Socket{socket}
	return []row{
		{"a server that never accepts is stuck", func(p *play) {
			c := p.server(lab.Process{Listen: alone})
			p.keepFull(c, 1, 1)
			p.stuck(c)
		}},
		{"an MPTCP server that never accepts is stuck", func(p *play) {
			lab.NeedMPTCP(p.t)
			c := p.server(lab.Process{Listen: []lab.Socket{{Addr: loopback4, Port: 80, Backlog: 10, MPTCP: true}}})
			p.keepFull(c, 1, 1)
			p.stuck(c)
		}},
		{"a stuck server is no reason to raise somaxconn", func(p *play) {
			p.ns.SetSysctl(maxConn, "10")
			c := p.server(lab.Process{Listen: []lab.Socket{{Addr: loopback4, Port: 80, Backlog: 511}}})
			p.keepFull(c, 1, 1)
			p.stuck(c, noChange(maxConn))
			p.allow("limit-at-somaxconn")
		}},
		{"a server that never accepts is stuck before its queue is full", func(p *play) {
			l := p.listen(lab.Socket{Addr: loopback4, Port: 80, Backlog: 1000})
			c := lab.NewClients(p.t, l.AddrPort(), 2000)
			p.every(10*ms, func() {
				if length, _ := l.Queue(); length < 300 {
					c.Come(300)
				}
				c.Come(1)
			})
			p.peaked(l, 310, 900)
			p.still("ListenDrops")
			p.want("application-stuck", l.Inode)
			p.allow("limit-below-somaxconn")
		}},
		{"a server with a backlog of 0 that never accepts is stuck", func(p *play) {
			c := p.server(lab.Process{Listen: []lab.Socket{{Addr: loopback4, Port: 80, Backlog: 0}}})
			p.keepFull(c, 1, 1)
			p.stuck(c)
		}},
		{"a queue over its limit is a stuck server though nothing moves", func(p *play) {
			l := p.listen(socket)
			p.stand(l, 11)
			p.peaked(l, 11, 11)
			p.still("ListenDrops", "PassiveOpens")
			p.want("application-stuck", l.Inode)
			p.allow("limit-below-somaxconn")
		}},
		{"a server without descriptors is stuck for that reason", func(p *play) {
			c := p.server(lab.Process{Listen: alone, Files: 64})
			c.Listeners[0].Serve(lab.Serve{Every: 10 * ms, Keep: true})
			p.keepFull(c, 2, 1)
			p.stuck(c, tells("descriptor|RLIMIT_NOFILE"))
		}},
		{"a server that is stopped is stuck for that reason", func(p *play) {
			c := p.server(lab.Process{Listen: alone})
			c.Listeners[0].Serve(lab.Serve{})
			c.Stop()
			p.keepFull(c, 1, 1)
			p.stuck(c, tells("stopped"))
		}},
		{"a server whose cgroup is frozen is stuck for that reason", func(p *play) {
			c := p.server(lab.Process{Listen: alone})
			c.Listeners[0].Serve(lab.Serve{})
			c.Freeze()
			p.keepFull(c, 1, 1)
			p.stuck(c, tells("frozen"))
		}},
		{"a server throttled to a crawl is stuck for that reason", func(p *play) {
			c := p.server(lab.Process{Listen: alone})
			c.Listeners[0].Serve(lab.Serve{Every: 10 * ms, Work: 2000 * ms})
			c.Throttle(2 * ms)
			p.keepFull(c, 1, 1)
			p.stuck(c, tells("throttled|quota"))
		}},
		{"a stuck server is named beside one that loses by bursts", func(p *play) {
			l := p.listen(lab.Socket{Addr: loopback4, Port: 81, Backlog: 16})
			p.bursts(l, 40)
			c := p.server(lab.Process{Listen: alone})
			p.keepFull(c, 1, 60)
			p.stuck(c)
			p.want("accept-queue-overflow", l.Inode)
		}},
		{"a server that was stuck and has drained its queue is of the past", func(p *play) {
			l := p.listen(socket)
			p.lose(l, 30)
			p.info("past-loss")
		}},
	}
}

// lonelyRows: servers that take what CPU there is.
func lonelyRows() []row {
	return []row{
		{"a server whose thread spins is stuck for that reason", func(p *play) {
			c := p.server(lab.Process{Listen: []lab.Socket{{Addr: loopback4, Port: 80, Backlog: 10}}})
			c.Listeners[0].Serve(lab.Serve{Spin: true})
			p.keepFull(c, 1, 1)
			p.stuck(c, tells("thread"))
		}},
	}
}

// stuck wants that the load accepted nothing, and that the server of a child is
// called stuck.
func (p *play) stuck(c *lab.Child, checks ...check) {
	inode := c.Listeners[0].Inode
	p.seen(inode, func(t testing.TB, l inspection.Listener) {
		if l.AcceptQueue.Length <= l.AcceptQueue.Limit {
			t.Errorf("the load did not: queue %d of %d, want it full", l.AcceptQueue.Length, l.AcceptQueue.Limit)
		}
	})
	p.want("application-stuck", inode, checks...)
	p.allow("limit-below-somaxconn")
}

// lose lets a listener lose connections before qtune looks: afterwards its queue
// is empty and nobody asks again.
func (p *play) lose(l *lab.Held, clients int) {
	p.t.Helper()
	before := p.ns.Counters()["ListenOverflows"]
	c := p.clients(l)
	p.ns.Do(func() { c.Come(clients) })
	lab.Wait(p.t, "connections to be refused", func() bool { return p.ns.Counters()["ListenOverflows"] > before })
	c.Leave()
	lab.Wait(p.t, "the queue to be drained", func() bool {
		l.Accept(0)
		length, _ := l.Queue()
		return length == 0 && p.ns.HalfOpen() == 0
	})
	p.still("ListenDrops")
}
