// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package sysctl touches one value of one network namespace safely: it has bounds
// of its own where the kernel takes any nonsense, replaces only the value that was
// expected, and reads back what it wrote.
package sysctl

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/tcpq"
)

// An Inside is a namespace that is being visited: a host.Changeable.
type Inside interface {
	Sysctl(tcpq.Sysctl) (string, error)
	SetSysctl(tcpq.Sysctl, string) error
}

// ErrBounds says that a value, or a key, is not one to set.
var ErrBounds = errors.New("out of bounds")

// A Range bounds a value, both ends included.
type Range struct{ Min, Max int64 }

// Bounds returns what a key may be set to; ok is false when it may not be set. The
// kernel takes a somaxconn of 0 and of 2147483647, a negative tcp_max_syn_backlog
// and syncookies up to 255.
func Bounds(s tcpq.Sysctl) (r Range, ok bool) {
	switch s {
	case tcpq.Somaxconn, tcpq.TCPMaxSynBacklog:
		return Range{1, 1 << 20}, true
	case tcpq.TCPSyncookies:
		return Range{0, 2}, true
	}
	return Range{}, false
}

// Get returns a value.
func Get(in Inside, s tcpq.Sysctl) (int64, error) {
	text, err := in.Sysctl(s)
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", s, err)
	}
	v, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", s, err)
	}
	return v, nil
}

// Swap sets a value from one to another, which is within Bounds, and reads it
// back. When it is no longer from it changes nothing and returns a
// host.ChangedError, which is a host.ErrChanged; a value that does not read back as
// it was written is a host.ErrVerify.
//
// The kernel has no such operation: what somebody else writes between our read
// and our write is lost. That are 4 us, 28 us in one of a hundred times [measured
// on 6.18, busy: BenchmarkSwap].
func Swap(in Inside, s tcpq.Sysctl, from, to int64) error {
	switch r, ok := Bounds(s); {
	case !ok:
		return fmt.Errorf("set %s: it is none of those that may be set: %w", s, ErrBounds)
	case to < r.Min || to > r.Max:
		return fmt.Errorf("set %s to %d: must be %d to %d: %w", s, to, r.Min, r.Max, ErrBounds)
	}
	return Restore(in, s, from, to)
}

// Restore is Swap without bounds: for a value that was there before, whoever set
// it.
func Restore(in Inside, s tcpq.Sysctl, from, to int64) error {
	if _, ok := Bounds(s); !ok {
		return fmt.Errorf("set %s: it is none of those that may be set: %w", s, ErrBounds)
	}
	have, err := Get(in, s)
	switch {
	case err != nil:
		return err
	case have != from:
		return fmt.Errorf("set %s to %d: %w", s, to, &host.ChangedError{Have: have, Planned: from})
	}
	if err := in.SetSysctl(s, strconv.FormatInt(to, 10)); err != nil {
		return err
	}
	switch have, err = Get(in, s); {
	case err != nil:
		return err
	case have != to:
		return fmt.Errorf("set %s to %d: have %d: %w", s, to, have, host.ErrVerify)
	}
	return nil
}
