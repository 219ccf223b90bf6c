// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"maps"
	"slices"

	tea "charm.land/bubbletea/v2"
)

// A topKey is what a key does.
type topKey struct {
	keys  []string // as the terminal names them
	shown string   // as people do
	short string   // what it does, in the last line; "" for in the help only
	rank  int      // in the last line the highest is left out first
	long  string
	do    func(*topModel) tea.Cmd
}

// topKeys are the keys of the list, in the order of the help.
var topKeys = []topKey{
	{[]string{"up", "k"}, "↑ k", "", 0, "the listener above", func(m *topModel) tea.Cmd { return m.move(-1) }},
	{[]string{"down", "j"}, "↓ j", "", 0, "the listener below", func(m *topModel) tea.Cmd { return m.move(1) }},
	{[]string{"pgup", "ctrl+b"}, "PgUp", "", 0, "a screen up", func(m *topModel) tea.Cmd { return m.move(-m.rowsShown()) }},
	{[]string{"pgdown", "ctrl+f"}, "PgDn", "", 0, "a screen down", func(m *topModel) tea.Cmd { return m.move(m.rowsShown()) }},
	{[]string{"home", "g"}, "Home g", "", 0, "the first, and stay there whatever comes first", (*topModel).goHome},
	{[]string{"end", "G"}, "End G", "", 0, "the last", func(m *topModel) tea.Cmd { return m.move(len(m.list.listeners)) }},
	{[]string{"enter", "right", "l"}, "Enter", "open", 2, "all there is to say of the listener; Esc goes back", (*topModel).open},
	{[]string{"/"}, "/", "filter", 4, "only rows with a text, as it is typed; Esc shows all again", (*topModel).startTyping},
	{[]string{"s"}, "s", "sort", 3, "sort by the next column", func(m *topModel) tea.Cmd { return m.resort(1) }},
	{[]string{"S"}, "S", "", 0, "sort by the column before", func(m *topModel) tea.Cmd { return m.resort(-1) }},
	{[]string{"!"}, "!", "problems", 6, "only what is critical or a warning, or everything again", (*topModel).toggleProblems},
	{[]string{"p", "space"}, "p", "pause", 5, "pause and go on, as Space does; the watching goes on unseen", (*topModel).pause},
	{[]string{"?", "h", "f1"}, "?", "help", 1, "this page", (*topModel).help},
	{[]string{"ctrl+z"}, "Ctrl-Z", "", 0, "back to the shell; fg returns", func(*topModel) tea.Cmd { return tea.Suspend }},
	{[]string{"esc"}, "Esc", "", 0, "back: from a page, from a filter, and at last to the shell", (*topModel).back},
	{[]string{"q", "ctrl+c"}, "q", "quit", 0, "quit, as Ctrl-C does", func(*topModel) tea.Cmd { return tea.Quit }},
}

// press does what a key stands for.
func (m *topModel) press(key string) tea.Cmd {
	if m.page != listPage && m.leaf(key) {
		return nil
	}
	for _, k := range topKeys {
		if slices.Contains(k.keys, key) {
			return k.do(m)
		}
	}
	return nil
}

// leaf does what some keys stand for on a page of text, and reports whether it was
// one of them.
func (m *topModel) leaf(key string) bool {
	switch key {
	case "esc", "backspace", "left", "enter":
		m.page, m.scroll = listPage, 0
	case "up", "k":
		m.scroll--
	case "down", "j":
		m.scroll++
	case "pgup", "ctrl+b":
		m.scroll -= m.textShown()
	case "pgdown", "ctrl+f":
		m.scroll += m.textShown()
	case "home", "g":
		m.scroll = 0
	case "end", "G":
		m.scroll = len(m.pageLines())
	case "?", "h", "f1":
		if m.page != helpPage {
			return false
		}
		m.page, m.scroll = listPage, 0
	case "p", "space", "q", "ctrl+c", "ctrl+z":
		return false
	default:
		return true // it would change the list, unseen
	}
	m.scroll = max(0, min(m.scroll, len(m.pageLines())-m.textShown()))
	return true
}

// move moves the cursor by so many rows.
func (m *topModel) move(by int) tea.Cmd {
	m.home = false
	m.cursor += by
	m.choose()
	return nil
}

func (m *topModel) goHome() tea.Cmd {
	m.home = true
	m.settle()
	return nil
}

// open shows one listener alone.
func (m *topModel) open() tea.Cmd {
	if m.cursor >= len(m.list.listeners) {
		return nil
	}
	m.page, m.scroll = listenerPage, 0
	m.opened = openListener{Listener: m.list.listeners[m.cursor]}
	return m.course(idOf(&m.opened.Listener))
}

// back undoes the filter, or quits.
func (m *topModel) back() tea.Cmd {
	if m.text == "" {
		return tea.Quit
	}
	m.filter("")
	return nil
}

func (m *topModel) help() tea.Cmd {
	m.page, m.scroll = helpPage, 0
	return nil
}

func (m *topModel) startTyping() tea.Cmd {
	m.typing = true
	return nil
}

// resort takes the next order, those of the table's columns from left to right.
func (m *topModel) resort(by int) tea.Cmd {
	orders := columnOrders()
	i := slices.Index(orders, m.Sort) + by
	m.Sort = orders[(i+len(orders))%len(orders)]
	m.build()
	return nil
}

// columnOrders returns the orders in the order of their columns.
func columnOrders() (orders []string) {
	known := slices.Collect(maps.Keys(listenerOrders))
	for _, c := range listenerColumns {
		if slices.Contains(known, c.order) {
			orders = append(orders, c.order)
		}
	}
	return orders
}

func (m *topModel) toggleProblems() tea.Cmd {
	m.Problems = !m.Problems
	m.build()
	return nil
}

func (m *topModel) pause() tea.Cmd {
	if m.paused = !m.paused; m.paused || m.newest.in == nil {
		return nil
	}
	return m.show()
}
