// SPDX-License-Identifier: Apache-2.0

//go:build linux

package page

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/qtune/qtune/advisor"
	"github.com/qtune/qtune/inspection"
)

// A row is a listener in the table.
type row struct {
	*inspection.Listener
	Netns  string // its name
	ID     string // of the element, and the end of its page's address
	Mark   inspection.Mark
	Level  string // bad, warn or empty: a class of the style
	Accept bar
	Syn    bar
	Trend  string // of refusals, a path; empty when there were none
	Found  []badge
	rank   int // of what was found, 0 for the worst
}

// A badge is a finding's code.
type badge struct{ Code, Severity string }

// rowsOf returns the rows, the worst first.
func (s *site) rowsOf(in *inspection.Inspection, names map[uint64]string) []row {
	severities := map[string]string{}
	for i := range in.Findings {
		severities[in.Findings[i].Code] = in.Findings[i].Severity
	}
	place := map[uint64]int{} // of a namespace: the host's is the first
	for i := range in.Namespaces {
		place[in.Namespaces[i].Inode] = i
	}
	rows := make([]row, len(in.Listeners))
	for i := range in.Listeners {
		l := &in.Listeners[i]
		r := row{Listener: l, Netns: names[l.Netns], ID: idOf(l.Netns, l.Cookie)}
		r.judge(severities)
		if lossOf(l) > 0 {
			if h, ok := s.source.History(l.Netns, l.Cookie); ok {
				r.Trend = trendOf(h)
			}
		}
		rows[i] = r
	}
	slices.SortStableFunc(rows, func(a, b row) int {
		return cmp.Or(
			cmp.Compare(a.rank, b.rank), cmp.Compare(lossOf(b.Listener), lossOf(a.Listener)), cmp.Compare(b.Accept.Key, a.Accept.Key),
			cmp.Compare(place[a.Listener.Netns], place[b.Listener.Netns]), cmp.Compare(a.Port, b.Port), cmp.Compare(a.Address, b.Address),
		)
	})
	return rows
}

// judge fills in what follows from the numbers and what was found.
func (r *row) judge(severities map[string]string) {
	l := r.Listener
	r.Mark = l.Mark()
	r.Accept = acceptBar(&l.AcceptQueue)
	r.Syn = synBar(&l.SynQueue)
	order := slices.Index(inspection.Marks(), r.Mark)
	if order < 0 {
		order = len(inspection.Marks())
	}
	r.rank = order + 10 // what was found counts more than what the numbers say
	for _, code := range l.Findings {
		severity := severities[code]
		r.Found = append(r.Found, badge{code, severity})
		switch advisor.Severity(severity) {
		case advisor.Critical:
			r.rank = min(r.rank, order)
			r.Level = "bad"
		case advisor.Warning:
			r.rank = min(r.rank, order+5)
			r.Level = cmp.Or(r.Level, "warn")
		}
	}
	switch r.Mark {
	case inspection.MarkNone:
	case inspection.MarkNear:
		r.Level = cmp.Or(r.Level, "warn")
	default:
		r.Level = "bad"
	}
}

// Problem reports whether the row is shown when only problems are asked for.
func (r row) Problem() bool { return r.Level != "" }

// Discarded returns the total of discarded packets, or -.
func (r row) Discarded() string {
	if r.Discards.Total == nil {
		return "-"
	}
	return strconv.FormatUint(uint64(*r.Discards.Total), 10)
}

// MoreDiscarded returns those within the window.
func (r row) MoreDiscarded() uint64 {
	if r.Discards.Window == nil {
		return 0
	}
	return *r.Discards.Window
}

// RefusedKey orders refusals, unknown ones last.
func (r row) RefusedKey() int64 {
	if r.Refused == nil {
		return -1
	}
	return int64(r.Refused.Max) //nolint:gosec // packets of a window
}

// LimitWhy says what a limit's origin means.
func (r row) LimitWhy() string { return limitWhy[r.LimitBoundBy] }

// limitWhy are the values of limitBoundBy, in a sentence.
var limitWhy = map[string]string{
	"application":         "The program probably asked listen(2) for this limit. Raising somaxconn changes nothing.",
	"somaxconn":           "The program probably asked for more, and net.core.somaxconn of its namespace cut it down.",
	"somaxconn-at-listen": "It was cut down when it listened, to a somaxconn that has changed since. It must listen again.",
	"unknown":             "The kernel does not keep the backlog that was asked for.",
}

func lossOf(l *inspection.Listener) uint64 {
	if l.Refused == nil {
		return 0
	}
	return l.Refused.Max
}

func idOf(netns uint64, cookie string) string {
	return strconv.FormatUint(netns, 10) + "/" + cookie
}
