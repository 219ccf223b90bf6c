// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"github.com/qtune/qtune/advisor"
	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/policy"
	"github.com/qtune/qtune/tcpq"
)

// A sliding window is the last slots of what a collector read.
type sliding struct {
	window tcpq.Window
	last   *tcpq.Snapshot
}

// topSlots is how many slots a window has, as in the agent.
const topSlots = 60

// add ends a slot. Nothing that an earlier look has is written to.
func (s *sliding) add(cur *tcpq.Snapshot) {
	s.window.Deltas = s.window.Deltas[max(0, len(s.window.Deltas)-topSlots+1):]
	s.window.Extend(s.last, cur)
	s.last = cur
}

// look judges what was read.
func (s *sliding) look(from string, live bool) look {
	cur, kept := s.last, s.window // copies: the next look changes s
	window := &kept
	if len(kept.Deltas) == 0 {
		window = nil
	}
	p := policy.Default()
	return look{
		in: inspection.From(cur, window, advisor.Advise(cur, window, &p)), from: from, live: live,
		history: func(id listenerID) (*inspection.History, error) {
			h, ok := inspection.HistoryOf(cur, &kept, id.netns, id.cookie)
			if !ok {
				return nil, errNoHistory
			}
			return h, nil
		},
	}
}
