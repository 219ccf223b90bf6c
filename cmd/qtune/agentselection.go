// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/inspection"
)

// searchIn leaves in an inspection the namespaces a search asks for. An agent
// reads them all; a host is searched for those alone.
func searchIn(in *inspection.Inspection, s host.Search) (*inspection.Inspection, error) {
	var want func(*inspection.Namespace) bool
	switch {
	case s.Host:
		want = func(n *inspection.Namespace) bool { return n.Host }
	case s.Name != "":
		want = func(n *inspection.Namespace) bool { return n.Name == s.Name }
	case s.Path != "":
		var st unix.Stat_t
		if err := unix.Stat(s.Path, &st); err != nil {
			return nil, fmt.Errorf("--netns %s: %w", s.Path, err)
		}
		want = func(n *inspection.Namespace) bool { return n.Inode == st.Ino }
	case s.Inode != 0:
		want = func(n *inspection.Namespace) bool { return n.Inode == s.Inode }
	default:
		return in, nil
	}
	shown := map[uint64]bool{}
	for i := range in.Namespaces {
		if want(&in.Namespaces[i]) {
			shown[in.Namespaces[i].Inode] = true
		}
	}
	if len(shown) == 0 {
		return nil, fmt.Errorf("the agent knows no such network namespace: %w", host.ErrGone)
	}
	return within(in, shown), nil
}
