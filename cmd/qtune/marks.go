// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"slices"

	"github.com/qtune/qtune/inspection"
)

// A mark points at a listener that needs a look.
type mark struct{ sign, style, legend string }

// The marks, the worst first.
var (
	markLoss = mark{"!", styleRed, "lost new connections while it was watched (packets: a client that tries again counts again)"}
	markMay  = mark{"?", styleRed, "may have lost new connections while it was watched: other listeners come into question, too"}
	markFull = mark{"#", styleRed, "a queue is full"}
	markNear = mark{"+", styleYel, "a queue is over three quarters full, or was while it was watched"}
	markNone = mark{}
	allMarks = []mark{markLoss, markMay, markFull, markNear}
)

// rank returns the place of a mark, the worst first.
func (m mark) rank() int {
	if m == markNone {
		return len(allMarks)
	}
	return slices.Index(allMarks, m)
}

func markOf(l *inspection.Listener) mark {
	accept, syn := &l.AcceptQueue, &l.SynQueue
	longest := uint64(max(accept.Length, value(accept.Peak)))
	synKnown := syn.Length != nil && syn.Limit != nil && *syn.Limit > 0
	switch {
	case loss(l) > 0 && l.Refused.Min > 0:
		return markLoss
	case loss(l) > 0:
		return markMay
	case accept.Length > accept.Limit, synKnown && *syn.Length >= *syn.Limit:
		return markFull
	case 4*longest > 3*accept.Capacity, synKnown && 4*uint64(*syn.Length) > 3*uint64(*syn.Limit):
		return markNear
	}
	return markNone
}
