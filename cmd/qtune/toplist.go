// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"slices"
	"strings"

	"github.com/qtune/qtune/inspection"
)

// A topList is the table of what is shown, built when that changes; the screen
// takes the rows and columns it has room for.
type topList struct {
	in        *inspection.Inspection // what was asked for, problems or not
	names     map[uint64]string      // of namespaces
	listeners []inspection.Listener  // a row each
	table     table                  // all columns
	natural   []int                  // how wide they would like to be
	losing    int
}

// build makes the list of what is shown.
func (m *topModel) build() {
	if m.look.in == nil {
		return
	}
	l := topList{in: m.Filter.of(m.look.in), names: m.look.in.NetnsNames()}
	for i := range l.in.Listeners {
		if loss(&l.in.Listeners[i]) > 0 {
			l.losing++
		}
	}
	shown := l.in
	if m.Problems {
		shown = problemsOnly(l.in)
	}
	l.listeners = shown.Listeners // which nobody else has
	sortListeners(l.listeners, listenerOrders[m.Sort])
	l.fill(m.Sort, strings.ToLower(m.text))
	m.list = l
	m.settle()
}

// fill makes the rows of the listeners that have a text.
func (l *topList) fill(order, text string) {
	l.table.columns = make([]column, len(listenerColumns))
	for i, c := range listenerColumns {
		l.table.columns[i] = c.column
		if c.order == order {
			l.table.columns[i].title = sortedTitle(&c.column)
		}
	}
	all := l.listeners
	if text != "" {
		l.listeners = nil
	}
	l.table.rows = make([]row, 0, len(all))
	cells := make([]string, len(all)*len(listenerColumns))
	for i := range all {
		r := cells[:0:len(listenerColumns)]
		cells = cells[len(listenerColumns):]
		for _, c := range listenerColumns {
			r = append(r, c.cell(l.names, &all[i]))
		}
		if text != "" && !strings.Contains(strings.ToLower(strings.Join(append(r, all[i].Findings...), " ")), text) {
			continue
		}
		l.table.rows = append(l.table.rows, row{cells: r, style: markStyle(all[i].Mark())})
		if text != "" {
			l.listeners = append(l.listeners, all[i])
		}
	}
	l.natural = l.table.natural()
	l.natural[0] = 1 // the mark: the table stays where it is when one comes
}

// renew makes the list of a new look. Its columns get wider and never narrower: a
// table that moves every second cannot be read.
func (m *topModel) renew() {
	before := m.list.natural
	m.build()
	for i := range before {
		m.list.natural[i] = max(m.list.natural[i], before[i])
	}
}

// sortedTitle marks the column that the rows are sorted by.
func sortedTitle(c *column) string {
	const down = "▾"
	if c.right {
		return down + c.title
	}
	return c.title + down
}

// settle puts the cursor where it belongs in a new list.
func (m *topModel) settle() {
	if m.home {
		m.cursor = 0
	} else if i := slices.IndexFunc(m.list.listeners, func(l inspection.Listener) bool { return idOf(&l) == m.selected }); i >= 0 {
		m.cursor = i
	}
	m.choose()
}

// choose notes which listener the cursor is on, and keeps that on the screen.
func (m *topModel) choose() {
	last := len(m.list.listeners) - 1
	m.cursor = max(0, min(m.cursor, last))
	if last >= 0 {
		m.selected = idOf(&m.list.listeners[m.cursor])
	}
	rows := m.rowsShown()
	m.first = max(min(m.first, m.cursor, last-rows+1), m.cursor-rows+1, 0)
}

// fits returns the columns that a width has room for, and how wide they are. The
// last in rank are left out first, those of [extraRank] wherever a cell had to be
// cut for them.
func (l *topList) fits(width int) (chosen, widths []int, gap int) {
	byRank := make([]int, len(listenerColumns))
	for i := range byRank {
		byRank[i] = i
	}
	slices.SortFunc(byRank, func(a, b int) int { return listenerColumns[a].rank - listenerColumns[b].rank })
	for n := len(byRank); n > 0; n-- {
		chosen = slices.Sorted(slices.Values(byRank[:n]))
		columns := make([]column, n)
		widths = make([]int, n)
		for i, c := range chosen {
			columns[i], widths[i] = l.table.columns[c], l.natural[c]
			switch { // a name of a few letters is none
			case listenerColumns[c].order == "port":
				columns[i].least = max(columns[i].least, 2*width/5)
			case columns[i].keepEnd:
				columns[i].least = max(columns[i].least, width/5)
			}
		}
		if listenerColumns[byRank[n-1]].rank >= extraRank && total(widths, usualGap) > width {
			continue
		}
		if widths, gap = fit(columns, widths, width); total(widths, gap) <= width {
			break
		}
	}
	return chosen, widths, gap
}

// extraRank is from which rank on a column is not worth that others are cut.
const extraRank = 10
