// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bufio"
	"io"
	"strings"

	"github.com/clipperhouse/displaywidth"
)

// A column of a table.
type column struct {
	title string
	right bool // numbers stand at the right
	least int  // when the table is too wide: how narrow the column may get; 0 for never
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
}

const (
	gap      = "  "
	styleOff = "\x1b[0m"
	styleRed = "\x1b[31m"
	styleYel = "\x1b[33m"
	styleDim = "\x1b[2m"
)

// write writes the table, no line longer than width unless that is 0.
func (t *table) write(w *bufio.Writer, width int, colour bool) {
	widths := t.widths(width)
	titles := make([]string, len(t.columns))
	for i, c := range t.columns {
		titles[i] = c.title
	}
	t.line(w, row{cells: titles, style: styleDim}, widths, colour)
	for _, r := range t.rows {
		t.line(w, r, widths, colour)
	}
}

// widths returns how wide each column is. When all together are too wide, the
// columns that may shrink do, the widest first.
func (t *table) widths(limit int) []int {
	widths := make([]int, len(t.columns))
	for i, c := range t.columns {
		widths[i] = len(c.title)
		for _, r := range t.rows {
			widths[i] = max(widths[i], textWidth(r.cells[i]))
		}
	}
	for total(widths) > limit && limit > 0 {
		widest := -1
		for i, c := range t.columns {
			if c.least > 0 && widths[i] > c.least && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			break
		}
		widths[widest]--
	}
	return widths
}

func total(widths []int) int {
	sum := (len(widths) - 1) * len(gap)
	for _, w := range widths {
		sum += w
	}
	return sum
}

// line writes one row; nothing follows its last text.
func (t *table) line(w *bufio.Writer, r row, widths []int, colour bool) {
	colour = colour && r.style != ""
	if colour {
		w.WriteString(r.style)
	}
	pad := 0 // spaces that are due before the next text
	for i, cell := range r.cells {
		width := textWidth(cell)
		if width > widths[i] {
			cell = displaywidth.TruncateString(cell, widths[i], "…")
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
		pad += fill + len(gap)
	}
	if colour {
		w.WriteString(styleOff)
	}
	w.WriteByte('\n')
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
