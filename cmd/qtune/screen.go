// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

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
	s := screen{in: in, w: newWriter(w), style: style, names: netnsNames(in)}
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

// netnsNames returns what people call each namespace: host, its name or its number.
func netnsNames(in *inspection.Inspection) map[uint64]string {
	names := make(map[uint64]string, len(in.Namespaces))
	taken := map[string]bool{}
	for _, n := range in.Namespaces {
		switch {
		case n.Host:
			names[n.Inode] = hostName
		case n.Name != "" && !misleading(n.Name) && !taken[n.Name]:
			names[n.Inode] = n.Name
			taken[n.Name] = true
		default:
			names[n.Inode] = strconv.FormatUint(n.Inode, 10)
		}
	}
	return names
}

// hostName is what the host's namespace is called.
const hostName = "host"

// misleading reports whether a name looks like what it is not: whoever may mount
// gives namespaces their names.
func misleading(name string) bool {
	return name == hostName || strings.Trim(name, "0123456789") == ""
}

// say writes a sentence, wrapped to the terminal.
func (s *screen) say(format string, args ...any) {
	fmt.Fprintln(s.w, wrap(fmt.Sprintf(format, args...), s.style.Width))
}

func (s *screen) head() {
	when := fmt.Sprintf("watched for %.1f s", s.in.Window.Seconds)
	if s.in.Window.Source == inspection.SourceNone {
		when = "one snapshot"
	}
	listeners := count(len(s.in.Listeners), "listener")
	if s.style.Problems {
		listeners = fmt.Sprintf("%d of %s with a problem", len(s.in.Listeners), count(s.style.Of, "listener"))
	}
	s.say("%s, Linux %s: %s in %s, %s", s.in.Host.Name, s.in.Host.Kernel,
		listeners, count(len(s.in.Namespaces), "network namespace"), when)
}

// listenerColumns are the columns, each with what stands in it.
var listenerColumns = []struct {
	column
	wide bool // in the wide table only
	cell func(*screen, *inspection.Listener) string
}{
	{column{title: "", least: 0}, false, func(_ *screen, l *inspection.Listener) string { return markOf(l).sign }},
	{column{title: "NETNS", least: 8, keepEnd: true}, false, func(s *screen, l *inspection.Listener) string { return s.names[l.Netns] }},
	{column{title: "LISTENER", least: 12, keepEnd: true}, false, func(_ *screen, l *inspection.Listener) string { return listenerText(l) }},
	{column{title: "OWNER", least: 9, keepEnd: true}, false, func(_ *screen, l *inspection.Listener) string { return ownerText(l.Owner) }},
	{column{title: "ACCEPT", right: true}, false, func(_ *screen, l *inspection.Listener) string {
		return queueText(&l.AcceptQueue.Length, &l.AcceptQueue.Limit)
	}},
	{column{title: "PEAK", right: true}, true, func(_ *screen, l *inspection.Listener) string { return optional(l.AcceptQueue.Peak) }},
	{column{title: "SYN", right: true}, false, func(_ *screen, l *inspection.Listener) string {
		return queueText(l.SynQueue.Length, l.SynQueue.Limit)
	}},
	{column{title: "DISCARDS", right: true}, false, func(_ *screen, l *inspection.Listener) string { return discardsText(l) }},
	{column{title: "REFUSED", right: true}, false, func(_ *screen, l *inspection.Listener) string { return refusedText(l.Refused) }},
	{column{title: "LIMIT BY", least: 9}, false, func(_ *screen, l *inspection.Listener) string { return l.LimitBoundBy }},
	{column{title: "SYN BOUND BY"}, true, func(_ *screen, l *inspection.Listener) string { return l.SynQueue.BoundBy }},
	{column{title: "KIND"}, true, func(_ *screen, l *inspection.Listener) string { return kindText(l) }},
	{column{title: "UID", right: true}, true, func(_ *screen, l *inspection.Listener) string { return uidText(l.Owner) }},
	{column{title: "UNIT"}, true, func(_ *screen, l *inspection.Listener) string { return unitText(l.Owner) }},
	{column{title: "CONTAINER"}, true, func(_ *screen, l *inspection.Listener) string { return containerText(l.Owner) }},
	{column{title: "INODE", right: true}, true, func(_ *screen, l *inspection.Listener) string { return strconv.FormatUint(uint64(l.Inode), 10) }},
	{column{title: "EXE"}, true, func(_ *screen, l *inspection.Listener) string { return exeText(l.Owner) }},
}

func (s *screen) listeners() {
	var t table
	for _, c := range listenerColumns {
		if s.style.Wide || !c.wide {
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
			if s.style.Wide || !c.wide {
				r = append(r, c.cell(s, l))
			}
		}
		m := markOf(l)
		marks[m.sign] = true
		t.rows[i] = row{cells: r, style: m.style}
	}
	fmt.Fprintln(s.w)
	t.write(s.w, s.style.Width, s.style.Colour)
	delete(marks, markNone.sign)
	if len(marks) > 0 {
		fmt.Fprintln(s.w)
	}
	for _, m := range allMarks {
		if marks[m.sign] {
			s.say("%s %s", m.sign, m.legend)
		}
	}
}

// A mark points at a listener that needs a look.
type mark struct{ sign, style, legend string }

// The marks, the worst first.
var (
	markLoss = mark{"!", styleRed, "lost new connections while it was watched (packets: a client that tries again counts again)"}
	markMay  = mark{"?", styleRed, "may have lost new connections while it was watched: other listeners come into question, too"}
	markFull = mark{"#", styleRed, "a queue is full"}
	markNear = mark{"+", styleYel, "a queue is over three quarters full, or was while it was watched"}
	markNone = mark{}
	allMarks = []mark{markLoss, markMay, markFull, markNear}
)

func markOf(l *inspection.Listener) mark {
	accept, syn := &l.AcceptQueue, &l.SynQueue
	longest := uint64(max(accept.Length, value(accept.Peak)))
	synKnown := syn.Length != nil && syn.Limit != nil && *syn.Limit > 0
	switch {
	case loss(l) > 0 && l.Refused.Min > 0:
		return markLoss
	case loss(l) > 0:
		return markMay
	case accept.Length > accept.Limit, synKnown && *syn.Length >= *syn.Limit:
		return markFull
	case 4*longest > 3*accept.Capacity, synKnown && 4*uint64(*syn.Length) > 3*uint64(*syn.Limit):
		return markNear
	}
	return markNone
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
