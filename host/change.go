// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host

import (
	"context"
	"errors"
	"fmt"
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

	// MaySet says whether SetSysctl would be allowed: it opens the file for
	// writing, and writes nothing.
	MaySet(s tcpq.Sysctl) error

	// Relisten gives a running listener another limit, by listen(2) on the socket
	// of another process. The limit must be from until then: otherwise nothing is
	// done, and the error is a ChangedError. It never lets listen(2) be cut down to
	// somaxconn: that is ErrShrinks. ErrVerify says that it was called, and that the
	// limit is another one all the same.
	Relisten(s *Socket, from, to uint32) error

	// MayFetch says whether Relisten would get hold of the socket: it does, looks
	// whether it is the one, and closes it again.
	MayFetch(s *Socket) error
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

// String returns ADDR:PORT.
func (s *Socket) String() string { return netip.AddrPortFrom(s.Addr, s.Port).String() }

// A ChangedError says that a value is not the one a change was planned from. It is
// an ErrChanged.
type ChangedError struct {
	Have, Planned int64
}

func (e *ChangedError) Error() string {
	return fmt.Sprintf("have %d, planned from %d", e.Have, e.Planned)
}

// Unwrap returns ErrChanged.
func (e *ChangedError) Unwrap() error { return ErrChanged }

// ErrShrinks says that listen(2) would not give the limit asked for, but a lower
// one, perhaps lower than it was: somaxconn of the socket's namespace.
var ErrShrinks = errors.New("somaxconn is lower")

// ErrVerify says that a value was set, and that another one was read back.
var ErrVerify = errors.New("read back another value")

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
