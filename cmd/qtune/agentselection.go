// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/inspection"
)

// searchIn leaves in an inspection the namespaces a search asks for. An agent
// reads them all; a host is searched for those alone.
func searchIn(in *inspection.Inspection, s host.Search) (*inspection.Inspection, error) {
	want := func(*inspection.Namespace) bool { return true }
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
	out := *in
	out.Namespaces = slices.DeleteFunc(slices.Clone(in.Namespaces), func(n inspection.Namespace) bool {
		shown[n.Inode] = want(&n)
		return !shown[n.Inode]
	})
	out.Listeners = slices.DeleteFunc(slices.Clone(in.Listeners), func(l inspection.Listener) bool { return !shown[l.Netns] })
	out.Findings = slices.DeleteFunc(slices.Clone(in.Findings), func(f inspection.Finding) bool { return !shown[f.Netns] })
	out.Elsewhere = slices.DeleteFunc(slices.Clone(in.Elsewhere), func(e inspection.Elsewhere) bool { return !shown[e.Netns] })
	if len(out.Namespaces) == 0 {
		return nil, fmt.Errorf("the agent knows no such network namespace: %w", host.ErrGone)
	}
	return &out, nil
}
