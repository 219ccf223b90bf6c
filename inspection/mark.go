// SPDX-License-Identifier: Apache-2.0

//go:build linux

package inspection

// A Mark points at a listener that needs a look.
type Mark struct {
	Sign   string // one character
	Legend string
}

// The marks, the worst first. MarkNone is the zero Mark.
var (
	MarkLoss = Mark{"!", "lost new connections while it was watched (packets: a client that tries again counts again)"}
	MarkMay  = Mark{"?", "may have lost new connections while it was watched: other listeners come into question, too"}
	MarkFull = Mark{"#", "a queue is full"}
	MarkNear = Mark{"+", "a queue is over three quarters full, or was while it was watched"}
	MarkNone = Mark{}
)

// Marks returns all marks but MarkNone, the worst first.
func Marks() []Mark { return []Mark{MarkLoss, MarkMay, MarkFull, MarkNear} }

// Mark returns the worst that the numbers of a listener say, whatever was found.
func (l *Listener) Mark() Mark {
	accept, syn := &l.AcceptQueue, &l.SynQueue
	longest := uint64(accept.Length)
	if accept.Peak != nil {
		longest = max(longest, uint64(*accept.Peak))
	}
	synKnown := syn.Length != nil && syn.Limit != nil && *syn.Limit > 0
	switch {
	case l.Refused != nil && l.Refused.Min > 0:
		return MarkLoss
	case l.Refused != nil && l.Refused.Max > 0:
		return MarkMay
	case accept.Length > accept.Limit, synKnown && *syn.Length >= *syn.Limit:
		return MarkFull
	case 4*longest > 3*accept.Capacity, synKnown && 4*uint64(*syn.Length) > 3*uint64(*syn.Limit):
		return MarkNear
	}
	return MarkNone
}
