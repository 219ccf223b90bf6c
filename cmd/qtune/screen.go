// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bufio"
	"fmt"
	"io"
	"slices"

	"github.com/qtune/qtune/advisor"
	"github.com/qtune/qtune/inspection"
)

// A tableStyle says how a screen looks.
type tableStyle struct {
	Wide   bool
	Width  int // of the terminal, 0 for no limit
	Colour bool

	Brief    bool // three sentences
	Recorded bool // a recording is shown: it cannot be watched longer
	Filtered bool // not everything was asked for
	Problems bool // only what is wrong was
	Of       int  // how many listeners there are, shown or not
	Hidden   int  // problems of namespaces that the filter left out
}

// A screen writes an Inspection for people.
type screen struct {
	in    *inspection.Inspection
	w     *bufio.Writer
	style tableStyle
	names map[uint64]string // of namespaces
}

// writeTable writes the table of listeners and what there is to say about it.
func writeTable(w io.Writer, in *inspection.Inspection, style tableStyle) error {
	s := screen{in: in, w: newWriter(w), style: style, names: in.NetnsNames()}
	if style.Wide {
		s.style.Width = 0
	}
	if style.Brief {
		s.brief()
		return s.w.Flush()
	}
	s.head()
	if len(in.Listeners) > 0 {
		s.listeners()
	}
	fmt.Fprintln(s.w)
	if s.unmatched() {
		return s.w.Flush()
	}
	s.findings()
	s.window()
	s.elsewhere()
	s.missing()
	return s.w.Flush()
}

// unmatched says so when the filter fits no listener. The one that was asked for
// may have been closed, and may be the one that no problem could be named for.
func (s *screen) unmatched() bool {
	if !s.style.Filtered || s.style.Of > 0 {
		return false
	}
	s.say("No listener matches what was asked for.")
	if s.style.Hidden > 0 {
		s.say("Not shown: %s that no listener could be named for. Without the filter it is.", count(s.style.Hidden, "problem"))
	}
	return true
}

// say writes a sentence, wrapped to the terminal.
func (s *screen) say(format string, args ...any) {
	fmt.Fprintln(s.w, wrap(fmt.Sprintf(format, args...), s.style.Width))
}

func (s *screen) head() {
	when := fmt.Sprintf("watched for %.1f s", s.in.Window.Seconds)
	switch s.in.Window.Source {
	case inspection.SourceAgent:
		when = fmt.Sprintf("watched by its agent for %.0f s until %s", s.in.Window.Seconds, s.in.Time.UTC().Format("15:04:05 MST"))
	case inspection.SourceNone:
		when = "one snapshot"
	}
	listeners := count(len(s.in.Listeners), "listener")
	if s.style.Problems {
		listeners = fmt.Sprintf("%d of %s with a problem", len(s.in.Listeners), count(s.style.Of, "listener"))
	}
	s.say("%s, Linux %s: %s in %s, %s", s.in.Host.Name, s.in.Host.Kernel,
		listeners, count(len(s.in.Namespaces), "network namespace"), when)
}

func (s *screen) listeners() {
	var t table
	for _, c := range listenerColumns {
		if c.inspect(s.style.Wide) {
			t.columns = append(t.columns, c.column)
		}
	}
	cells := make([]string, len(s.in.Listeners)*len(t.columns))
	t.rows = make([]row, len(s.in.Listeners))
	marks := map[string]bool{}
	for i := range s.in.Listeners {
		l := &s.in.Listeners[i]
		r := cells[:0:len(t.columns)]
		cells = cells[len(t.columns):]
		for _, c := range listenerColumns {
			if c.inspect(s.style.Wide) {
				r = append(r, c.cell(s.names, l))
			}
		}
		m := l.Mark()
		marks[m.Sign] = true
		t.rows[i] = row{cells: r, style: markStyle(m)}
	}
	fmt.Fprintln(s.w)
	t.write(s.w, s.style.Width, s.style.Colour)
	delete(marks, inspection.MarkNone.Sign)
	if len(marks) > 0 {
		fmt.Fprintln(s.w)
	}
	for _, m := range inspection.Marks() {
		if marks[m.Sign] {
			s.say("%s %s", m.Sign, m.Legend)
		}
	}
}

// window says what the watching showed, and what it does not prove.
func (s *screen) window() {
	var moved, total uint64
	unknown := 0
	for _, n := range s.in.Namespaces {
		drops, known := n.Counters["ListenDrops"]
		if !known {
			unknown++
		}
		total += drops
		moved += n.Moved["ListenDrops"]
		if n.Moved["ListenDrops"] > 0 {
			s.say("%s: %s of new connections refused in %.1f s (ListenDrops), %d of them by a full accept queue (ListenOverflows)",
				s.names[n.Inode], count(int(n.Moved["ListenDrops"]), "packet"), s.in.Window.Seconds, n.Moved["ListenOverflows"])
		}
	}
	watched := s.in.Window.Source != inspection.SourceNone
	switch {
	case !watched:
		s.say("One snapshot tells no rates: whether connections are being lost needs a window%s.", s.hint(" (--for 10s)"))
	case moved == 0 && unknown == 0:
		s.say("Nothing was refused in %.1f s. That says nothing about a busier moment%s.", s.in.Window.Seconds, s.hint(" (--for 60s)"))
	}
	if unknown > 0 && watched {
		s.say("In %s it is not known whether anything was refused.", count(unknown, "namespace"))
	}
	if total > moved && !s.style.Problems && !slices.Contains(infoCodes(s.in), string(advisor.PastLoss)) {
		s.say("Before that, since these namespaces were made, %s of new connections were refused; which listener it was, only a window tells.",
			count(int(total-moved), "packet"))
	}
	if s.in.Coverage.SynSkipped > 0 && len(s.in.Listeners) > 0 {
		s.say("SYN queues were not counted in %s, where no counter asked for it%s.", count(s.in.Coverage.SynSkipped, "namespace"), s.hint(" (--syn all)"))
	}
}

// hint returns what could be done, which with a recording it cannot.
func (s *screen) hint(what string) string {
	if s.style.Recorded {
		return ""
	}
	return what
}

// elsewhere lists trouble that is not a listen queue's.
func (s *screen) elsewhere() {
	for _, e := range s.in.Elsewhere {
		s.say("not a listen queue: %s: %s +%d: %s", s.names[e.Netns], e.Counter, e.Moved, e.Meaning)
	}
}

// missing lists what was not searched and what could not be read.
func (s *screen) missing() {
	for _, line := range s.in.Coverage.NotSearched {
		s.say("not searched: %s", line)
	}
	for _, e := range s.in.Errors {
		where := ""
		if e.Netns != 0 {
			where = fmt.Sprintf("net:[%d]: ", e.Netns)
		}
		s.say("not read: %s%s: %s", where, e.Stage, e.Message)
	}
}
