// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/qtune/qtune/inspection"
)

// TestFreshened has what an agent knows of a host that has moved on.
func TestFreshened(t *testing.T) {
	peak := uint32(9)
	listener := func(cookie string, limit uint32) inspection.Listener {
		return inspection.Listener{Netns: 7, Cookie: cookie, AcceptQueue: inspection.AcceptQueue{Limit: limit}}
	}
	known := &inspection.Inspection{
		Window:     inspection.Window{Seconds: 600, Source: inspection.SourceAgent},
		Namespaces: []inspection.Namespace{{Inode: 7, Cookie: "a", Sysctls: map[string]int64{"net.core.somaxconn": 128}, Moved: map[string]uint64{"ListenDrops": 3}}, {Inode: 8, Cookie: "b", Moved: map[string]uint64{"ListenDrops": 4}}},
		Listeners:  []inspection.Listener{listener("1", 8), listener("2", 8)},
		Findings: []inspection.Finding{
			{Code: "of a listener", Netns: 7, Listener: &inspection.FindingListener{Netns: 7, Cookie: "1"}},
			{Code: "of one that is gone", Netns: 7, Listener: &inspection.FindingListener{Netns: 7, Cookie: "2"}},
			{Code: "of a namespace", Netns: 7},
			{Code: "of one whose number another has", Netns: 8},
		},
	}
	known.Listeners[0].AcceptQueue.Peak, known.Listeners[0].Findings = &peak, []string{"of a listener"}
	now := &inspection.Inspection{
		Namespaces: []inspection.Namespace{{Inode: 7, Cookie: "a", Sysctls: map[string]int64{"net.core.somaxconn": 4096}}, {Inode: 8, Cookie: "c"}},
		Listeners:  []inspection.Listener{listener("1", 64), listener("3", 16)},
	}
	got := freshened(known, now)
	want := &inspection.Inspection{
		Window:     known.Window,
		Namespaces: []inspection.Namespace{{Inode: 7, Cookie: "a", Sysctls: map[string]int64{"net.core.somaxconn": 4096}, Moved: map[string]uint64{"ListenDrops": 3}}, {Inode: 8, Cookie: "c"}},
		Listeners:  []inspection.Listener{listener("1", 64), listener("3", 16)},
		Findings:   []inspection.Finding{known.Findings[0], known.Findings[2]},
	}
	want.Listeners[0].AcceptQueue.Peak, want.Listeners[0].Findings = &peak, []string{"of a listener"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("freshened (-want +got):\n%s", diff)
	}
}
