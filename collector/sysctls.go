// SPDX-License-Identifier: Apache-2.0

//go:build linux

package collector

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/tcpq"
)

// readSysctls reads the sysctl table.
func (p *pass) readSysctls(n *tcpq.Namespace, in host.Inside) {
	for s := range tcpq.Sysctl(tcpq.NumSysctls) {
		if s.HostWide(p.snapshot.Kernel) && !n.Host {
			continue // shown in the host's namespace only
		}
		text, err := in.Sysctl(s)
		if err == nil {
			var value int64
			if value, err = strconv.ParseInt(text, 10, 64); err == nil {
				n.Sysctls.Set(s, value)
				continue
			}
		}
		if !errors.Is(err, host.ErrAbsent) {
			p.fail(n, "sysctls", fmt.Errorf("%s: %w", s, err))
		} else if s == tcpq.Somaxconn {
			p.fail(n, "sysctls", fmt.Errorf("%s is hidden here: before Linux 6.6 a namespace of a child user namespace does not show it", s))
		}
	}
	if n.Host {
		p.hostSys = &n.Sysctls
	}
}

// fillHostWide gives namespaces the host's value of what this kernel has one of
// for all, marked so.
func (p *pass) fillHostWide() {
	if p.hostSys == nil {
		return
	}
	for i := range p.snapshot.Namespaces {
		n := &p.snapshot.Namespaces[i]
		for s := range tcpq.Sysctl(tcpq.NumSysctls) {
			value, ok := p.hostSys.Get(s)
			if ok && s.HostWide(p.snapshot.Kernel) {
				n.Sysctls.SetHostWide(s, value)
			}
		}
	}
}
