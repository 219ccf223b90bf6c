// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernel

import "github.com/qtune/qtune/test/lab"

// memberRows: reuse-port groups, of which the kernel chooses a member for each
// client without looking at the queues.
func memberRows() []row {
	return []row{
		{"a group that keeps up needs no finding", func(p *play) {
			for _, l := range p.group(4) {
				l.Serve(lab.Serve{})
			}
			p.moved("PassiveOpens", 30)
			p.still("ListenDrops")
		}},
		{"the one stuck member of a group loses its share", func(p *play) {
			group := p.group(4)
			for _, l := range group[1:] {
				l.Serve(lab.Serve{})
			}
			p.untilMoved("ListenOverflows")
			p.moved("PassiveOpens", 30)
			p.moved("ListenOverflows", 20)
			p.peaked(group[0], 21, 21)
			p.want("reuseport-imbalance", group[0].Inode, noLongerQueue)
			p.allow("limit-below-somaxconn")
		}},
		{"the stuck one of two members loses its share", func(p *play) {
			group := p.group(2)
			group[1].Serve(lab.Serve{})
			p.untilMoved("ListenOverflows")
			p.moved("PassiveOpens", 30)
			p.moved("ListenOverflows", 20)
			p.peaked(group[0], 21, 21)
			p.want("reuseport-imbalance", group[0].Inode, noLongerQueue)
			p.allow("limit-below-somaxconn")
		}},
		{"a group whose members are all stuck is not out of balance", func(p *play) {
			group := p.group(2)
			for _, l := range group {
				p.want("application-stuck", l.Inode)
				p.until(func() bool { length, limit := l.Queue(); return length > limit })
			}
			p.moved("ListenOverflows", 20)
			p.allow("limit-below-somaxconn")
		}},
	}
}

// group opens listeners of one port, to which clients come.
func (p *play) group(members int) []*lab.Held {
	all := make([]lab.Socket, members)
	for i := range all {
		all[i] = lab.Socket{Addr: loopback4, Port: 80, Backlog: 20, ReusePort: true}
	}
	group := p.server(lab.Process{Listen: all}).Listeners
	c := p.clients(group[0])
	p.every(10*ms, func() { c.Come(4) })
	return group
}
