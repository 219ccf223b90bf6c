// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bufio"
	"fmt"
	"strconv"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/qtune/qtune/advisor"
	"github.com/qtune/qtune/inspection"
)

// roomy is from which height on there are empty lines, and small below which only
// the head and the rows are left.
const (
	roomy = 16
	small = 8
)

// View returns the screen.
func (m topModel) View() tea.View {
	v := tea.NewView(m.screen())
	v.AltScreen = true
	v.WindowTitle = "qtune top"
	return v
}

// screen returns the lines of the screen, none wider and not more than there is
// room for.
func (m *topModel) screen() string {
	if m.width <= 0 || m.height <= 0 {
		return ""
	}
	if m.look.in == nil {
		return fitParts(m.width, []part{{text: "qtune looks …"}}, false)
	}
	lines := m.head()
	if m.page == listPage {
		lines = append(lines, m.rows()...)
	} else {
		lines = append(lines, m.pageShown(m.pageLines())...)
	}
	feet := m.feet()
	for len(lines)+len(feet) < m.height {
		lines = append(lines, "")
	}
	return strings.Join(append(lines, feet...)[:m.height], "\n")
}

// head says what is looked at, by whom and when.
func (m *topModel) head() []string {
	in := m.list.in
	first := []part{
		{text: in.Host.Name, rank: 1},
		{text: "Linux " + in.Host.Kernel, rank: 4},
		{text: count(len(in.Listeners), "listener"), rank: 2},
		{text: count(len(in.Namespaces), "network namespace"), rank: 3},
	}
	switch {
	case in.Window.Source == inspection.SourceNone: // it is not known
	case m.list.losing == 0:
		first = append(first, part{text: "0 losing"})
	default:
		first = append(first, part{text: strconv.Itoa(m.list.losing) + " losing", style: styleRed})
	}
	second := []part{{text: m.look.from, rank: 1}, {text: windowText(in.Window), rank: 3}}
	if age := m.age(); age != "" {
		second = append(second, part{text: age, rank: 2})
	}
	second = append(second, part{text: "by " + m.Sort, rank: 4})
	if m.Problems {
		second = append(second, part{text: "problems only"})
	}
	if m.text != "" && !m.typing {
		second = append(second, part{text: fmt.Sprintf("with %q", m.text)})
	}
	if m.paused {
		second = append(second, part{text: "paused", style: styleYel})
	}
	lines := []string{fitParts(m.width, first, m.colour)}
	if m.height >= small {
		lines = append(lines, fitParts(m.width, second, m.colour))
	}
	if m.height >= roomy {
		lines = append(lines, "")
	}
	return lines
}

// windowText says over what time changes are counted.
func windowText(w inspection.Window) string {
	if w.Source == inspection.SourceNone {
		return "no window yet"
	}
	if w.Seconds < 10 {
		return fmt.Sprintf("the last %.1f s", w.Seconds)
	}
	return fmt.Sprintf("the last %.0f s", w.Seconds)
}

// age says how old what is shown is, and when it was: of a recording, only that.
func (m *topModel) age() string {
	at := m.look.in.Time.UTC()
	if !m.look.live {
		return at.Format("2006-01-02 15:04:05 UTC")
	}
	text := at.Format("15:04:05 UTC")
	if m.now.IsZero() {
		return text
	}
	return fmt.Sprintf("%s, %.0f s ago", text, max(0, m.now.Sub(at)).Truncate(time.Second).Seconds())
}

// rowsShown returns how many listeners the screen has room for.
func (m *topModel) rowsShown() int { return max(m.textShown()-1, 1) }

// rows returns the table, as much of it as there is room for.
func (m *topModel) rows() []string {
	if len(m.list.listeners) == 0 {
		return []string{cut(m.nothing(), m.width, false)}
	}
	chosen, widths, gap := m.list.fits(m.width - 1) // the cursor has the first column
	t := table{columns: make([]column, len(chosen))}
	for i, c := range chosen {
		t.columns[i] = m.list.table.columns[c]
	}
	var b strings.Builder
	w := bufio.NewWriter(&b)
	w.WriteByte(' ')
	t.line(w, t.titles(), widths, gap, m.colour)
	last := min(m.first+m.rowsShown(), len(m.list.table.rows))
	for i := m.first; i < last; i++ {
		all := m.list.table.rows[i]
		r := row{cells: make([]string, len(chosen)), style: all.style}
		for j, c := range chosen {
			r.cells[j] = all.cells[c]
		}
		if i == m.cursor {
			w.WriteByte('>')
			r.style, r.whole = r.style+styleRev, true
		} else {
			w.WriteByte(' ')
		}
		t.line(w, r, widths, gap, m.colour)
	}
	w.Flush() //nolint:errcheck // a Builder takes everything
	return strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
}

// nothing says why there is no row.
func (m *topModel) nothing() string {
	switch {
	case m.text != "":
		return fmt.Sprintf("No row has %q in it.", m.text)
	case m.Problems && len(m.list.in.Listeners) > 0:
		return "No problem in the window. That says nothing about a busier moment; ! shows all listeners."
	case m.Filter != filter{}:
		return "No listener matches what was asked for."
	}
	return "There is no listener."
}

// feet are the last lines: what is at the cursor, and the keys.
func (m *topModel) feet() (lines []string) {
	if m.height < small {
		return nil
	}
	if m.height >= roomy {
		lines = append(lines, "")
	}
	lines = append(lines, m.status())
	var keys []part
	for _, k := range topKeys {
		if k.short != "" {
			keys = append(keys, part{text: k.shown + " " + k.short, rank: k.rank, style: styleDim})
		}
	}
	if m.page != listPage {
		keys = []part{{text: "Esc back", style: styleDim}, {text: "↑↓ scroll", rank: 1, style: styleDim}, {text: "p pause", rank: 2, style: styleDim}, {text: "q quit", style: styleDim}}
	}
	return append(lines, fitParts(m.width, keys, m.colour))
}

// status is one line: what is being typed, what went wrong, or what there is to say
// of the listener at the cursor.
func (m *topModel) status() string {
	paint := screen{style: tableStyle{Colour: m.colour}}
	switch {
	case m.typing:
		return cut("/"+m.text+"_", m.width, true)
	case m.trouble != nil:
		return paint.paint(styleYel, cut("not read: "+inspection.Text(m.trouble.Error()), m.width, false))
	case m.page != listPage:
		if left := len(m.pageLines()) - m.scroll - m.textShown(); left > 0 {
			return cut(count(left, "more line")+" below", m.width, false)
		}
		return ""
	case m.cursor >= len(m.list.listeners):
		return ""
	}
	l := &m.list.listeners[m.cursor]
	for i := range m.list.in.Findings {
		f := &m.list.in.Findings[i]
		if f.Listener == nil || (listenerID{f.Netns, f.Listener.Cookie}) != idOf(l) || !f.Problem() {
			continue
		}
		style := styleRed
		if f.Severity == string(advisor.Warning) {
			style = styleYel
		}
		text := strings.ToUpper(f.Severity) + ": " + f.Title
		if len(f.Hints) > 0 {
			text += ". " + f.Hints[0].String()
		}
		return paint.paint(style, cut(text, m.width, false))
	}
	if mark := l.Mark(); mark != inspection.MarkNone {
		return paint.paint(markStyle(mark), cut(mark.Sign+" "+mark.Legend, m.width, false))
	}
	return ""
}
