// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernel

import (
	"testing"

	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/test/lab"
)

// pastRows: what was once, and what one snapshot can tell.
func pastRows() []row {
	socket := lab.Socket{Addr: any4, Port: 80, Backlog: 10}
	return []row{
		{"an old loss of a listener that is quiet now is of the past", func(p *play) {
			p.lose(p.listen(socket), 30)
			p.info("past-loss")
		}},
		{"an old loss of a listener that is busy and healthy now is of the past", func(p *play) {
			l := p.listen(socket)
			p.lose(l, 30)
			l.Serve(lab.Serve{})
			c := p.clients(l)
			p.every(20*ms, func() { c.Come(1) })
			p.moved("PassiveOpens", 30)
			p.info("past-loss")
		}},
		{"an old loss is of the past in one snapshot, too", func(p *play) {
			p.span = "0"
			p.lose(p.listen(socket), 30)
			p.info("past-loss")
		}},
		{"an old flood without cookies is of the past", func(p *play) {
			p.ns.SetSysctl(cookies, "0")
			l := p.listen(socket)
			p.cable().Send(lab.OnCable(l), lab.SYN, 50)
			lab.Wait(p.t, "SYNs to be refused", func() bool { return p.ns.Counters()["TCPReqQFullDrop"] > 30 })
			p.still("ListenDrops")
			p.info("past-loss")
			p.allow("syncookies-off")
		}},
		{"old scans are nothing", func(p *play) {
			l := p.listen(socket)
			for range 20 {
				scanAll(p.cable(), lab.OnCable(l))
			}
			p.seen(l.Inode, func(t testing.TB, got inspection.Listener) {
				if n := got.Discards.Total; n == nil || *n < 30 {
					t.Errorf("the load did not: %v packets discarded, want at least 30", value(n))
				}
			})
		}},
		{"a short queue in one snapshot is nothing", func(p *play) {
			p.span = "0"
			p.stand(p.listen(socket), 3)
		}},
		{"a queue near its limit in one snapshot is nothing yet", func(p *play) {
			p.span = "0"
			p.stand(p.listen(socket), 10)
		}},
		{"a queue over its limit in one snapshot overflows", func(p *play) {
			p.span = "0"
			l := p.listen(socket)
			p.stand(l, 11)
			p.want("accept-queue-overflow", l.Inode)
			p.allow("limit-below-somaxconn", "past-loss")
		}},
	}
}
