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

// add ends a slot. The window of earlier looks stays as it is.
func (s *sliding) add(cur *tcpq.Snapshot) {
	deltas := s.window.Deltas
	deltas = deltas[max(0, len(deltas)-topSlots+1):]
	s.window = tcpq.Window{Deltas: append(make([]tcpq.Delta, 0, topSlots), deltas...)}
	s.window.Extend(s.last, cur)
	s.last = cur
}

// look judges what was read.
func (s *sliding) look(from string, live bool) look {
	cur, window := s.last, &s.window
	if len(window.Deltas) == 0 {
		window = nil
	}
	p := policy.Default()
	return look{
		in: inspection.From(cur, window, advisor.Advise(cur, window, &p)), from: from, live: live,
		history: func(id listenerID) (*inspection.History, error) {
			w := window
			if w == nil {
				w = &tcpq.Window{}
			}
			h, ok := inspection.HistoryOf(cur, w, id.netns, id.cookie)
			if !ok {
				return nil, errNoHistory
			}
			return h, nil
		},
	}
}
