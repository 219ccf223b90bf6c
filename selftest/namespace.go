// SPDX-License-Identifier: Apache-2.0

//go:build linux

package selftest

import (
	"errors"
	"fmt"

	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/tcpq"
)

// unusual are values that no kernel starts with.
var unusual = []struct {
	sysctl tcpq.Sysctl
	value  int64
}{
	{tcpq.Somaxconn, 4097},
	{tcpq.TCPMaxSynBacklog, 2049},
	{tcpq.TCPSyncookies, 0},
	{tcpq.TCPSynackRetries, 6},
	{tcpq.TCPAbortOnOverflow, 1},
	{tcpq.TCPFastopen, 0x403},
	{tcpq.TCPMigrateReq, 1},
}

// tryDefaults makes a namespace from one whose values were changed, and compares
// it with one made elsewhere.
func tryDefaults(r *runner) {
	r.do("made by a namespace with other values", func(t *trial) error {
		for _, u := range unusual {
			if err := t.set(u.sysctl, u.value); err != nil && !errors.Is(err, host.ErrAbsent) {
				return err
			}
		}
		var wants []want
		for _, u := range unusual {
			if value, ok := t.base.Sysctls.Get(u.sysctl); ok {
				wants = append(wants, sysctl(u.sysctl).is(value))
			}
		}
		return t.inChild(func(child *trial) error { return child.check("", wants...) })
	})
}

// inChild runs f in a lab whose namespace was made by a thread of this one.
func (t *trial) inChild(f func(*trial) error) error {
	ns, err := t.ns.NewNamespace()
	if err != nil {
		return err
	}
	defer ns.Close()
	return ns.Do(func() error {
		l, err := t.runner.openLab(ns)
		if err != nil {
			return err
		}
		defer l.close()
		child := &trial{lab: l, runner: t.runner, name: t.name}
		if err := child.mark(); err != nil {
			return err
		}
		return f(child)
	})
}

// trySomaxconnDefault reads somaxconn where nobody has set it.
func trySomaxconnDefault(r *runner) {
	r.do("a new namespace", func(t *trial) error {
		return t.check("", sysctl(tcpq.Somaxconn).is(tcpq.DefaultSomaxconn(r.kernel)))
	})
}

// tryMaxSynBacklogDefault makes namespaces whose table of connections has a known
// size, which kernels can do that have tcp_child_ehash_entries.
func tryMaxSynBacklogDefault(r *runner) {
	for _, entries := range []int64{65536, 4096, 16384, 32768} {
		r.do(fmt.Sprintf("a table of %d connections", entries), func(t *trial) error {
			err := t.set(tcpq.TCPChildEhashEntries, entries)
			if errors.Is(err, host.ErrAbsent) {
				return untried("before Linux 6.1 no namespace has a table of its own")
			}
			if err != nil {
				return err
			}
			part := int64(256)
			if t.has(tcpq.MaxSynBacklogByMemory) {
				part = 128
			}
			return t.inChild(func(child *trial) error {
				return child.check("", sysctl(tcpq.TCPMaxSynBacklog).is(max(128, entries/part)))
			})
		})
	}
}
