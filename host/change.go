// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host

import (
	"context"
	"net/netip"

	"github.com/qtune/qtune/tcpq"
)

// A Changeable is a network namespace while it is being visited by who may change
// it.
type Changeable interface {
	Inside

	// SetSysctl writes the text of a sysctl. The kernel takes a part of some
	// texts and says so only by a short write: that is an error here.
	SetSysctl(s tcpq.Sysctl, text string) error

	// Relisten calls listen(2) on the socket of another process.
	Relisten(s *Socket, from, to uint32) error
}

// A Socket is a listener of another process, and all that tells it from any other.
type Socket struct {
	PIDs   []int // processes that hold it
	Inode  uint32
	Cookie uint64 // of the dump: for MPTCP that of its TCP half
	Addr   netip.Addr
	Port   uint16
	MPTCP  bool
}

// Change enters each namespace in turn and lets change work there; err says why a
// namespace could not be entered. One whose Cookie is known is never mistaken for
// its successor under the same number.
func (l *Live) Change(ctx context.Context, all []*Namespace, change func(*Namespace, Changeable, error)) error {
	return l.Stay(func(v *Visitor) error {
		return v.Visit(ctx, all, func(ns *Namespace, _ Inside, err error) {
			if err != nil {
				change(ns, nil, err)
				return
			}
			change(ns, &v.inside, nil)
		})
	})
}
