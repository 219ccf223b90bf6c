// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bufio"
	"fmt"
	"slices"
	"strings"

	"github.com/qtune/qtune/inspection"
)

// textShown returns how many lines there are between head and feet.
func (m *topModel) textShown() int {
	around := 6
	switch {
	case m.height < small:
		around = 1
	case m.height < roomy:
		around = 4
	}
	return max(m.height-around, 1)
}

// pageShown returns the part of a page that is on the screen.
func (m *topModel) pageShown(lines []string) []string {
	from := max(0, min(m.scroll, len(lines)-m.textShown()))
	shown := slices.Clone(lines[from:min(from+m.textShown(), len(lines))])
	for i, line := range shown {
		if !strings.Contains(line, "\x1b") { // what is painted was made to fit
			shown[i] = cutTo(line, m.width)
		}
	}
	return shown
}

// pageLines returns the page that is open.
func (m *topModel) pageLines() []string {
	switch m.page {
	case listenerPage:
		return m.listenerLines()
	case helpPage:
		return m.helpLines()
	}
	return nil
}

// helpLines explains keys and marks.
func (m *topModel) helpLines() []string {
	lines := []string{"Keys", ""}
	for _, k := range topKeys {
		lines = append(lines, fmt.Sprintf("  %-7s %s", k.shown, k.long))
	}
	lines = append(lines, "", "Marks", "")
	for _, mark := range inspection.Marks() {
		lines = append(lines, m.sentence(fmt.Sprintf("  %-7s %s", mark.Sign, mark.Legend))...)
	}
	lines = append(lines, "")
	return append(lines, m.sentence("DISCARDS are not lost connections: port scans and health checks count, too. "+
		"REFUSED are packets of new connections, retries included; two numbers are the bounds. "+
		"The columns are those of qtune inspect; qtune explain CODE tells more of a finding.")...)
}

// sentence wraps a sentence to the screen; what it begins with in spaces stays.
func (m *topModel) sentence(text string) []string {
	body := strings.TrimLeft(text, " ")
	lead := text[:len(text)-len(body)]
	lines := strings.Split(wrap(body, max(m.width-len(lead), 1)), "\n")
	for i := range lines {
		lines[i] = lead + lines[i]
	}
	return lines
}

// cutTo cuts a line that is too wide.
func cutTo(line string, width int) string {
	if textWidth(line) <= width {
		return line
	}
	return cut(line, width, false)
}

// listenerLines says all there is to say of one listener.
func (m *topModel) listenerLines() []string {
	l := &m.opened.Listener
	paint := screen{style: tableStyle{Colour: m.colour}}
	title := fmt.Sprintf("%s %s %s", m.list.names[l.Netns], l.Name(), l.Owner.String())
	lines := []string{paint.paint(styleBold, cutTo(title, m.width))}
	if m.opened.gone {
		lines = append(lines, paint.paint(styleYel, cutTo("It is gone. What follows is what was seen last.", m.width)))
	}
	lines = append(lines, flowParts(m.width, m.fields(l), m.colour)...)
	lines = append(lines, "")
	lines = append(lines, m.courseLines()...)
	return append(lines, m.findingLines(l)...)
}

// fields are the cells of all columns that the title does not show.
func (m *topModel) fields(l *inspection.Listener) (parts []part) {
	for i := range listenerColumns {
		c := &listenerColumns[i]
		switch c.title {
		case "", "NETNS", "LISTENER", "OWNER":
			continue
		}
		if c.shown != topOnly {
			text := c.cell(m.list.names, l)
			if text == "" {
				text = "-"
			}
			parts = append(parts, part{text: c.title + " " + text})
		}
	}
	if p := l.AcceptQueue.RecentPeak; p != nil {
		parts = append(parts, part{text: "RECENT PEAK " + optional(p)})
	}
	if t := l.Totals; t != nil {
		parts = append(parts, part{text: fmt.Sprintf("REFUSED SINCE THE AGENT BEGAN at most %d", t.RefusedMax)})
	}
	return parts
}

// courseLines is the course of the accept queue.
func (m *topModel) courseLines() []string {
	switch h := m.opened.history; {
	case m.opened.trouble != nil:
		return []string{"No history: " + inspection.Text(m.opened.trouble.Error()), ""}
	case h == nil || len(h.Slots) == 0:
		return []string{"No history yet.", ""}
	default:
		height := 4
		if m.height >= 30 {
			height = 8
		}
		return append(chart(h, m.width, height, m.colour), "")
	}
}

// findingLines is what was found at a listener, and in its namespace as a whole.
func (m *topModel) findingLines(l *inspection.Listener) []string {
	var b strings.Builder
	about := *m.list.in
	about.Findings = nil
	for _, f := range m.list.in.Findings {
		if f.Netns == l.Netns && (f.Listener == nil || f.Listener.Cookie == l.Cookie) {
			about.Findings = append(about.Findings, f)
		}
	}
	s := screen{in: &about, w: bufio.NewWriter(&b), style: tableStyle{Width: m.width, Colour: m.colour}, names: m.list.names}
	s.findings()
	if len(about.Findings) == 0 {
		s.say("Nothing was found in %.0f s. That says nothing about a busier moment.", about.Window.Seconds)
	}
	s.w.Flush() //nolint:errcheck // a Builder takes everything
	return strings.Split(strings.TrimRight(b.String(), "\n"), "\n")
}
