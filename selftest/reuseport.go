// SPDX-License-Identifier: Apache-2.0

//go:build linux

package selftest

import (
	"errors"
	"fmt"

	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/tcpq"
)

// A group is the members of a reuse-port group.
type group []*listener

// listenGroup opens members that share a port.
func (t *trial) listenGroup(members, backlog int) (group, error) {
	g := make(group, members)
	for i := range g {
		var err error
		if g[i], err = t.listen(spec{backlog: backlog, reusePort: true}); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// others are the accept queues of all members but the first, together.
func (g group) others() quantity {
	return quantity{"accept queue of the others", func(v *view) (sum int64) {
		for _, x := range g[1:] {
			sum += int64(v.of(x).Accept.Len)
		}
		return sum
	}}
}

// tryReusePort fills the members of a group, and one of them alone.
func tryReusePort(r *runner) {
	const members, backlog, full = 4, 2, 3
	r.do(fmt.Sprintf("one of %d members stuck", members), func(t *trial) error {
		g, err := t.listenGroup(members, backlog)
		if err != nil {
			return err
		}
		stuck := g[0]
		// The kernel chooses the member by the peer's address and port: of so
		// many peers all members get some.
		const peers = 200
		for range peers {
			if err := t.peers.connect(stuck.port, 1); err != nil {
				return err
			}
			if err := t.drainAll(g[1:]); err != nil {
				return err
			}
		}
		if err := t.check(fmt.Sprintf("limit %d, %d clients", backlog, peers), acceptQueue(stuck).of("the stuck").is(full), g.others().is(0)); err != nil {
			return err
		}
		if _, err := t.peers.syn(stuck.port, peers); err != nil {
			return err
		}
		return t.check(fmt.Sprintf("%d more SYNs", peers), someRefused().is(1), refusedElsewhere(stuck).is(0), g.others().is(0))
	})
	r.do(fmt.Sprintf("%d members with limit %d, 200 clients", members, backlog), func(t *trial) error {
		g, err := t.listenGroup(members, backlog)
		if err != nil {
			return err
		}
		if err := t.mark(); err != nil {
			return err
		}
		const clients = 200
		if err := t.peers.connect(g[0].port, clients); err != nil {
			return err
		}
		return t.check("", acceptQueue(g[0]).of("the first").is(full), g.others().is((members-1)*full),
			counter(tcpq.ListenOverflows).is(clients-members*full))
	})
}

// drainAll accepts all that waits at these members.
func (t *trial) drainAll(g group) error {
	for _, x := range g {
		if _, err := t.accept(x, 100); err != nil {
			return err
		}
	}
	return nil
}

// refusedElsewhere is how many of the refused packets the listener did not count.
func refusedElsewhere(x *listener) quantity {
	refused := counter(tcpq.ListenOverflows)
	return quantity{"refused by others", func(v *view) int64 { return refused.read(v) - drops(x).read(v) }}
}

// someRefused is 1 when packets were refused.
func someRefused() quantity {
	refused := counter(tcpq.ListenOverflows)
	return quantity{"refused at all", func(v *view) int64 { return min(refused.read(v), 1) }}
}

// tryMigrate closes one member of a pair.
func tryMigrate(r *runner) {
	const each = 20
	// 5.10.188 and later have the sysctl, and nothing that looks at it.
	can := r.kernel.AtLeast(5, 14)
	for _, migrate := range []int64{1, 0} {
		r.do(fmt.Sprintf("tcp_migrate_req %d, one of two is closed, %d clients", migrate, each), func(t *trial) error {
			err := t.set(tcpq.TCPMigrateReq, migrate)
			if errors.Is(err, host.ErrAbsent) {
				return untried("this kernel has no tcp_migrate_req, which came with 5.14")
			}
			if err != nil {
				return err
			}
			g, err := t.listenGroup(2, 64)
			if err != nil {
				return err
			}
			if err := t.peers.connect(g[0].port, each); err != nil {
				return err
			}
			halfOpen, err := t.peers.syn(g[0].port, each)
			if err != nil {
				return err
			}
			if err := t.mark(); err != nil {
				return err
			}
			gone := int64(t.base.of(g[0]).Accept.Len)
			g[0].close()
			if err := t.peers.settle(); err != nil {
				return err
			}
			if can && migrate == 1 {
				gone = 0
			}
			if err := t.check("", acceptQueue(g[1]).of("the other").is(each-gone), resets.is(gone)); err != nil {
				return err
			}
			if !can || migrate == 0 {
				return nil
			}
			if err := t.peers.each(halfOpen, ACK, ""); err != nil {
				return err
			}
			return t.check(fmt.Sprintf("%d half-open peers answer", each), acceptQueue(g[1]).of("the other").is(2*each), resets.is(0))
		})
	}
}
