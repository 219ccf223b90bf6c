// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"slices"
	"strings"
	"time"
	"unicode"

	tea "charm.land/bubbletea/v2"

	"github.com/qtune/qtune/inspection"
)

// A topModel is the state of the full screen: a value that Update turns into the
// next, and View into text. What it waits for comes as messages, time included.
type topModel struct {
	selection      // as asked for; Problems and Sort change
	colour    bool // the terminal has it, and nobody minds
	next      tea.Cmd

	width, height int
	now           time.Time

	look    look // what is shown
	newest  look // what there is, while paused
	paused  bool
	trouble error // why the last look failed
	fatal   error // and the first

	text   string // only listeners with this in their row
	typing bool   // of it

	list     topList
	cursor   int        // a row of the list
	first    int        // the row at the top of the screen
	selected listenerID // the cursor stays on it, unless it is at home
	home     bool       // the cursor stays on the first row

	page   topPage
	scroll int
	opened openListener
}

// A topPage is what fills the screen.
type topPage int

const (
	listPage topPage = iota
	listenerPage
	helpPage
)

// An openListener is the one that is shown alone.
type openListener struct {
	inspection.Listener
	gone    bool // it is no more: what is shown is what was
	history *inspection.History
	trouble error // why there is no history
}

// The messages, beside those of the terminal.
type (
	lookMsg struct {
		look
		err error
	}
	historyMsg struct {
		id      listenerID
		history *inspection.History
		err     error
	}
	tickMsg time.Time
)

func newTopModel(s selection, colour bool, next tea.Cmd) topModel {
	return topModel{selection: s, colour: colour, next: next, home: true}
}

// Init begins to look.
func (m topModel) Init() tea.Cmd { return tea.Batch(m.next, tick()) }

func tick() tea.Cmd {
	return tea.Every(time.Second, func(t time.Time) tea.Msg { return tickMsg(t) })
}

// Update returns the state after a message, and what to wait for.
func (m topModel) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	cmd := m.handle(msg)
	return m, cmd
}

func (m *topModel) handle(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
		m.settle()
	case tickMsg:
		m.now = time.Time(msg)
		return tick()
	case lookMsg:
		return m.looked(msg)
	case historyMsg:
		if msg.id == idOf(&m.opened.Listener) {
			m.opened.history, m.opened.trouble = msg.history, msg.err
		}
	case tea.PasteMsg:
		if m.typing {
			m.filter(m.text + msg.Content)
		}
	case tea.KeyPressMsg:
		if m.typing {
			return m.typeKey(msg)
		}
		return m.press(msg.String())
	}
	return nil
}

// looked takes in a look, or that there was none.
func (m *topModel) looked(msg lookMsg) tea.Cmd {
	if m.trouble = msg.err; msg.err != nil {
		if m.look.in == nil {
			m.fatal = msg.err
			return tea.Quit
		}
		return m.next
	}
	m.newest = msg.look
	if m.paused {
		return m.next
	}
	return tea.Batch(m.next, m.show())
}

// show shows the newest look.
func (m *topModel) show() tea.Cmd {
	m.look = m.newest
	m.renew()
	if m.page != listenerPage {
		return nil
	}
	id := idOf(&m.opened.Listener)
	all := m.look.in.Listeners
	i := slices.IndexFunc(all, func(l inspection.Listener) bool { return idOf(&l) == id })
	if m.opened.gone = i < 0; m.opened.gone {
		return nil
	}
	m.opened.Listener = all[i]
	return m.course(id)
}

// course asks for the history of a listener.
func (m *topModel) course(id listenerID) tea.Cmd {
	ask := m.look.history
	return func() tea.Msg {
		h, err := ask(id)
		return historyMsg{id, h, err}
	}
}

// typeKey changes the text that rows must have.
func (m *topModel) typeKey(key tea.KeyPressMsg) tea.Cmd {
	switch key.String() {
	case "ctrl+c":
		return tea.Quit
	case "enter":
		m.typing = false
	case "esc":
		m.typing = false
		m.filter("")
	case "ctrl+u":
		m.filter("")
	case "backspace":
		if r := []rune(m.text); len(r) > 0 {
			m.filter(string(r[:len(r)-1]))
		}
	default:
		m.filter(m.text + key.Text)
	}
	return nil
}

// filter leaves the rows with a text.
func (m *topModel) filter(text string) {
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, text)
	if text != m.text {
		m.text = text
		m.build()
	}
}
