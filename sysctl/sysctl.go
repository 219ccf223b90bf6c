// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package sysctl touches one value of one network namespace safely: it has bounds
// of its own where the kernel takes any nonsense, replaces only the value that was
// expected, and reads back what it wrote.
package sysctl

import (
	"errors"

	"github.com/qtune/qtune/tcpq"
)

// An Inside is a namespace that is being visited: a host.Changeable.
type Inside interface {
	Sysctl(tcpq.Sysctl) (string, error)
	SetSysctl(tcpq.Sysctl, string) error
}

// Get returns a value.
func Get(in Inside, s tcpq.Sysctl) (int64, error) {
	_, _ = in, s
	return 0, errors.ErrUnsupported
}

// Swap sets a value from one to another. When it is no longer from it changes
// nothing and returns host.ErrChanged.
func Swap(in Inside, s tcpq.Sysctl, from, to int64) error {
	_, _, _, _ = in, s, from, to
	return errors.ErrUnsupported
}
