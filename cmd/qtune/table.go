// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bufio"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/clipperhouse/displaywidth"
)

// A column of a table.
type column struct {
	title   string
	right   bool // numbers stand at the right
	least   int  // when the table is too wide: how narrow the column may get; 0 for never
	keepEnd bool // cut at the front, because the end says more
}

// A table aligns rows of cells. It knows widths and nothing of their meaning.
type table struct {
	columns []column
	rows    []row
}

// A row is a line of a table.
type row struct {
	cells []string
	style string // an SGR sequence, "" for none
	whole bool   // the style reaches to the end of the line
}

// usualGap is how many columns lie between two cells; one where there is no room.
const usualGap = 2

const (
	styleOff  = "\x1b[0m"
	styleRed  = "\x1b[31m"
	styleYel  = "\x1b[33m"
	styleDim  = "\x1b[2m"
	styleBold = "\x1b[1m"
	styleRev  = "\x1b[7m"
)

// write writes the table, no line longer than width unless that is 0.
func (t *table) write(w *bufio.Writer, width int, colour bool) {
	widths, gap := t.widths(width)
	t.line(w, t.titles(), widths, gap, colour)
	for _, r := range t.rows {
		t.line(w, r, widths, gap, colour)
	}
}

// titles returns the first row.
func (t *table) titles() row {
	titles := make([]string, len(t.columns))
	for i, c := range t.columns {
		titles[i] = c.title
	}
	return row{cells: titles, style: styleDim}
}

// widths returns how wide each column is, and the gap between them.
func (t *table) widths(limit int) (widths []int, gap int) {
	return fit(t.columns, t.natural(), limit)
}

// natural returns how wide each column would like to be.
func (t *table) natural() []int {
	widths := make([]int, len(t.columns))
	for i, c := range t.columns {
		widths[i] = textWidth(c.title)
	}
	for _, r := range t.rows {
		for i, cell := range r.cells {
			widths[i] = max(widths[i], textWidth(cell))
		}
	}
	return widths
}

// fit makes columns narrower when all together are wider than limit: those that
// may shrink do, the widest first.
func fit(columns []column, widths []int, limit int) (_ []int, gap int) {
	gap = usualGap
	if total(widths, gap) > limit && limit > 0 {
		gap = 1
	}
	for total(widths, gap) > limit && limit > 0 {
		widest := -1
		for i, c := range columns {
			if c.least > 0 && widths[i] > c.least && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			break // it will not fit
		}
		widths[widest]--
	}
	return widths, gap
}

func total(widths []int, gap int) int {
	sum := (len(widths) - 1) * gap
	for _, w := range widths {
		sum += w
	}
	return sum
}

// line writes one row; nothing that can be seen follows its last text.
func (t *table) line(w *bufio.Writer, r row, widths []int, gap int, colour bool) {
	colour = colour && r.style != ""
	if colour {
		w.WriteString(r.style)
	}
	pad := 0 // spaces that are due before the next text
	for i, cell := range r.cells {
		width := textWidth(cell)
		if width > widths[i] {
			cell = cut(cell, widths[i], t.columns[i].keepEnd)
			width = textWidth(cell)
		}
		fill := widths[i] - width
		if t.columns[i].right {
			pad += fill
			fill = 0
		}
		if cell != "" {
			w.WriteString(strings.Repeat(" ", pad))
			w.WriteString(cell)
			pad = 0
		} else {
			fill += width
		}
		pad += fill + gap
	}
	if colour && r.whole {
		w.WriteString(strings.Repeat(" ", max(0, pad-gap)))
	}
	if colour {
		w.WriteString(styleOff)
	}
	w.WriteByte('\n')
}

// cut shortens a cell that is too wide.
func cut(s string, width int, keepEnd bool) string {
	const ellipsis = "…"
	if !keepEnd {
		return displaywidth.TruncateString(s, width, ellipsis)
	}
	for textWidth(s) > width-1 {
		_, size := utf8.DecodeRuneInString(s)
		s = s[size:]
	}
	return ellipsis + s
}

// unstyled takes our own colours out of a text, which take no room.
var unstyled = strings.NewReplacer(styleOff, "", styleRed, "", styleYel, "", styleDim, "", styleBold, "", styleRev, "")

// wrap breaks a sentence into lines no wider than width, unless that is 0; all
// but the first are indented.
func wrap(s string, width int) string {
	if width <= 0 {
		return s
	}
	var b strings.Builder
	at := 0
	for i, word := range strings.Fields(s) {
		size := textWidth(unstyled.Replace(word))
		switch {
		case i == 0:
		case at+1+size > width:
			b.WriteString("\n  ")
			at = 2
		default:
			b.WriteByte(' ')
			at++
		}
		b.WriteString(word)
		at += size
	}
	return b.String()
}

// textWidth returns how many columns s takes on a terminal.
func textWidth(s string) int {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return displaywidth.String(s)
		}
	}
	return len(s)
}

// newWriter returns a buffered writer for a screen of text.
func newWriter(w io.Writer) *bufio.Writer { return bufio.NewWriterSize(w, 64<<10) }
