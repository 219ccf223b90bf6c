// SPDX-License-Identifier: Apache-2.0

//go:build linux

package page

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/qtune/qtune/inspection"
)

// A bar shows how full a queue is, from 0 to 100.
type bar struct {
	Text  string // LENGTH/LIMIT
	Known bool   // the length is
	Fill  int
	Peak  int     // where the mark is, -1 for none
	Level string  // near or full: a class of the style
	Key   float64 // to sort by: percent of what fits
	Says  string  // in a sentence
}

func acceptBar(q *inspection.AcceptQueue) bar {
	capacity := max(q.Capacity, 1)
	b := bar{
		Text: fmt.Sprintf("%d/%d", q.Length, q.Limit), Known: true,
		Fill: percent(uint64(q.Length), capacity), Peak: -1,
		Says: fmt.Sprintf("%s wait for accept(2); %d fit", counted(int(q.Length), "connection"), capacity),
	}
	longest := q.Length
	if q.Peak != nil {
		longest = max(longest, *q.Peak)
		b.Says += fmt.Sprintf("; at most %d waited while it was watched", longest)
		if longest > 0 {
			b.Peak = min(percent(uint64(longest), capacity), 97) // it is 3 wide
		}
	}
	b.Key = round(100 * float64(longest) / float64(capacity)) // percent
	b.Level = levelOf(q.Length > q.Limit, 4*uint64(longest) > 3*capacity)
	return b
}

func synBar(q *inspection.SynQueue) bar {
	b := bar{Peak: -1, Key: -1}
	limit := "-"
	if q.Limit != nil {
		limit = strconv.FormatUint(uint64(*q.Limit), 10)
	}
	if q.Length == nil {
		b.Text = "not counted"
		b.Says = "Its limit is " + limit + ". Half-open peers are counted where counters ask for it: one count walks all connections of the host."
		return b
	}
	b.Known = true
	b.Text = fmt.Sprintf("%d/%s", *q.Length, limit)
	b.Says = counted(int(*q.Length), "half-open peer")
	if q.Members > 1 {
		b.Says += fmt.Sprintf(" of all %d members of its reuse-port group", q.Members)
	}
	if q.Limit != nil && *q.Limit > 0 {
		b.Fill = percent(uint64(*q.Length), uint64(*q.Limit))
		b.Key = round(100 * float64(*q.Length) / float64(*q.Limit))
		b.Level = levelOf(*q.Length >= *q.Limit, 4*uint64(*q.Length) > 3*uint64(*q.Limit))
	}
	return b
}

func levelOf(full, near bool) string {
	switch {
	case full:
		return "full"
	case near:
		return "near"
	}
	return ""
}

// percent returns a part of a whole from 0 to 100. What is there at all is seen.
func percent(part, whole uint64) int {
	if part == 0 {
		return 0
	}
	return int(min(max(100*part/whole, 2), 100)) //nolint:gosec // at most 100
}

// trendOf draws the refusals of each slot as a path, 60 wide and 16 high.
func trendOf(h *inspection.History) string {
	most := uint64(0)
	for _, slot := range h.Slots {
		most = max(most, slot.Refused)
	}
	if most == 0 {
		return ""
	}
	var b strings.Builder
	width := 60 / float64(len(h.Slots))
	for i, slot := range h.Slots {
		if slot.Refused > 0 {
			high := 2 + 14*float64(slot.Refused)/float64(most)
			fmt.Fprintf(&b, "M%.1f 16v-%.1fh%.1fV16z", float64(i)*width, high, max(width-0.3, 0.7))
		}
	}
	return b.String()
}
