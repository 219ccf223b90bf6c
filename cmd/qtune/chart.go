// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/qtune/qtune/inspection"
)

// sparks are an eighth of a line to a whole one.
var sparks = []rune(" ▁▂▃▄▅▆▇█")

// A plot is the course of an accept queue with a column for each slot.
type plot struct {
	slots         []inspection.Slot
	top           uint64 // the value of the uppermost line
	limit         uint64
	lost          uint64 // packets refused in all slots, at most
	width, height int
	each          int // columns a slot has
	margin        int // for the scale at the left
	colour        bool
}

// chart draws the longest accept queue of each slot: its limit as a line, and a
// mark below the slots in which packets of new connections were refused.
func chart(h *inspection.History, width, height int, colour bool) []string {
	p := plot{limit: uint64(h.Limit), height: height, colour: colour}
	p.margin = len(strconv.FormatUint(max(p.limit+1, longestOf(h.Slots)), 10)) + 1
	p.width = max(width-p.margin, 1)
	p.each = max(1, min(p.width/topSlots, 3))
	p.slots = h.Slots[max(0, len(h.Slots)-p.width/p.each):]
	for _, s := range p.slots {
		p.lost += s.Refused
	}
	longest := longestOf(p.slots)
	p.top = max(p.limit+1, longest)
	if 8*longest < p.limit { // a queue of 3 is nothing to see below a limit of 4096
		p.top = min(p.top, max(2*longest, 8))
	}
	lines := []string{cutTo(p.title(longest), width)}
	for line := height - 1; line >= 0; line-- {
		lines = append(lines, p.line(line))
	}
	lines = append(lines, p.refused())
	return append(lines, p.axis())
}

func longestOf(slots []inspection.Slot) (longest uint64) {
	for _, s := range slots {
		longest = max(longest, uint64(s.Peak))
	}
	return longest
}

// title says what is drawn.
func (p *plot) title(longest uint64) string {
	text := fmt.Sprintf("accept queue, the longest of each slot: %d, limit %d", longest, p.limit)
	if p.lost > 0 {
		text += fmt.Sprintf("; × refused: at most %d", p.lost)
	}
	return text
}

// label returns a text at the left.
func (p *plot) label(text string) string { return fmt.Sprintf("%*s ", p.margin-1, text) }

// line draws one line, of which 0 is the lowest.
func (p *plot) line(n int) string {
	label := ""
	switch n {
	case p.height - 1:
		label = strconv.FormatUint(p.top, 10)
	case 0:
		label = "0"
	}
	limitHere := p.limit <= p.top && p.eighths(p.limit) > 8*n && p.eighths(p.limit) <= 8*(n+1)
	var b strings.Builder
	b.WriteString(p.label(label))
	style := ""
	for range p.width - len(p.slots)*p.each {
		b.WriteRune(p.ground(limitHere))
	}
	for i := range p.slots {
		r, want := p.cell(&p.slots[i], n, limitHere)
		if p.colour && want != style {
			b.WriteString(styleOff + want)
			style = want
		}
		b.WriteString(strings.Repeat(string(r), p.each))
	}
	if style != "" {
		b.WriteString(styleOff)
	}
	return strings.TrimRight(b.String(), " ")
}

// ground is what is seen where there is no queue.
func (*plot) ground(limit bool) rune {
	if limit {
		return '╌'
	}
	return ' '
}

// cell returns what a slot shows in a line, and in which colour.
func (p *plot) cell(s *inspection.Slot, n int, limit bool) (r rune, style string) {
	filled := min(p.eighths(uint64(s.Peak))-8*n, 8)
	switch {
	case uint64(s.Peak) > p.limit:
		style = styleRed
	case 4*uint64(s.Peak) > 3*(p.limit+1):
		style = styleYel
	}
	if filled <= 0 {
		return p.ground(limit), ""
	}
	return sparks[filled], style
}

// eighths returns how high a value is, in eighths of a line: something is never
// nothing.
func (p *plot) eighths(value uint64) int {
	all := uint64(8 * p.height)
	return int((value*all + p.top - 1) / p.top)
}

// refused marks the slots in which packets were refused.
func (p *plot) refused() string {
	var b strings.Builder
	b.WriteString(p.label("") + strings.Repeat(" ", p.width-len(p.slots)*p.each))
	for _, s := range p.slots {
		sign := " "
		if s.Refused > 0 {
			sign = "×"
		}
		b.WriteString(strings.Repeat(sign, p.each))
	}
	line := strings.TrimRight(b.String(), " ")
	if p.lost > 0 && p.colour {
		return styleRed + line + styleOff
	}
	return line
}

// axis says how long ago the first slot was.
func (p *plot) axis() string {
	var seconds float64
	for _, s := range p.slots {
		seconds += s.Seconds
	}
	const end = "now"
	begin := fmt.Sprintf("%.0f s ago", seconds)
	used := len(p.slots) * p.each
	left := p.margin + p.width - used
	if used < len(begin)+1+len(end) {
		return strings.Repeat(" ", max(0, p.margin+p.width-len(end))) + end
	}
	return strings.Repeat(" ", left) + begin + strings.Repeat(" ", used-len(begin)-len(end)) + end
}
