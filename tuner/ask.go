// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tuner

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/tcpq"
)

// An ask is one value that would be changed.
type ask struct {
	space    *space
	kind     Kind
	key      tcpq.Sysctl          // of KindSysctl
	listener *inspection.Listener // of KindListen
	from, to int64
	named    bool // somebody asked for this value, it was not computed
}

// same reports whether two asks are of one value.
func (a *ask) same(b *ask) bool {
	return a.space == b.space && a.kind == b.kind && a.key == b.key && a.listener == b.listener
}

func (a *ask) step() Step {
	s := Step{Kind: a.kind, Scope: a.space.scope, From: a.from, To: a.to}
	if a.kind == KindListen {
		s.Listener = socketOf(a.listener)
	} else {
		s.Key = a.key.String()
	}
	return s
}

func socketOf(l *inspection.Listener) *Socket {
	s := &Socket{
		Address: l.Address, Port: l.Port, Device: l.Device, Protocol: l.Protocol,
		Inode: l.Inode, Cookie: l.Cookie,
	}
	if l.Owner != nil {
		s.PIDs, s.Comm = l.Owner.PIDs, l.Owner.Comm
	}
	return s
}

// sysctlAsk returns the ask for a setting, and the refusal when it cannot be.
func (d *draft) sysctlAsk(s *space, key tcpq.Sysctl, to int64, named bool) (ask, *Refusal) {
	from, known := s.live(key)
	a := ask{space: s, kind: KindSysctl, key: key, from: from, to: to, named: named}
	switch {
	case !slices.Contains(Settable(), key):
		return a, a.refusal(Unsupported, fmt.Sprintf("qtune reads %s and never sets it", key))
	case !known:
		return a, a.refusal(NotFound, fmt.Sprintf("%s could not be read in this namespace: %s", key, cmp.Or(s.ns.Error, "this kernel does not show it there")))
	case !s.ns.Host && slices.Contains(s.ns.HostWideSysctls, key.String()):
		return a, a.refusal(Unsupported, fmt.Sprintf("%s is one value for the whole host on this kernel: ask for it in the host's namespace", key))
	}
	return a, nil
}

func listenAsk(s *space, l *inspection.Listener, to int64, named bool) ask {
	return ask{space: s, kind: KindListen, listener: l, from: int64(l.AcceptQueue.Limit), to: to, named: named}
}

// refusal returns that the ask is refused.
func (a *ask) refusal(code, message string) *Refusal {
	r := &Refusal{Code: code, Scope: a.space.scope, From: a.from, To: a.to, Message: message}
	if a.kind == KindListen {
		r.Listener = socketOf(a.listener)
	} else {
		r.Key = a.key.String()
	}
	return r
}
