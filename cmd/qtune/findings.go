// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/qtune/qtune/advisor"
	"github.com/qtune/qtune/inspection"
)

// findings writes what was found: the problems with their evidence and remedy, and
// what informs in a line each.
func (s *screen) findings() {
	for i := range s.in.Findings {
		f := &s.in.Findings[i]
		if isProblem(f) && !saidBefore(s.in, i) {
			alike := func(g inspection.Finding) bool { return sameAddress(f, &g) }
			s.problem(f, slices.ContainsFunc(s.in.Findings[i+1:], alike))
		}
	}
	for _, code := range infoCodes(s.in) {
		s.remark(code)
	}
	if len(s.in.Findings) > 0 {
		fmt.Fprintln(s.w)
	}
}

// isProblem reports whether something is wrong, or about to be.
func isProblem(f *inspection.Finding) bool { return f.Severity != string(advisor.Info) }

// sameAddress reports whether two findings say the same of members of one
// reuse-port group.
func sameAddress(a, b *inspection.Finding) bool {
	if a.Code != b.Code || a.Netns != b.Netns || a.Listener == nil || b.Listener == nil {
		return false
	}
	return a.Listener.Address == b.Listener.Address && a.Listener.Port == b.Listener.Port && a.Listener.Device == b.Listener.Device
}

// saidBefore reports whether an earlier finding says the same as this one.
func saidBefore(in *inspection.Inspection, at int) bool {
	return slices.ContainsFunc(in.Findings[:at], func(g inspection.Finding) bool { return sameAddress(&in.Findings[at], &g) })
}

// problem writes a critical finding or a warning; shared says that other members
// of the reuse-port group have it, too.
func (s *screen) problem(f *inspection.Finding, shared bool) {
	style := styleRed
	if f.Severity == string(advisor.Warning) {
		style = styleYel
	}
	s.say("%s", s.paint(style, fmt.Sprintf("%s: %s (%s)", strings.ToUpper(f.Severity), f.Title, f.Code)))
	s.item("where", s.where(f))
	if shared {
		s.item("", "and other members of its reuse-port group; the numbers are of this one")
	}
	s.item("why", f.Why)
	var numbers []string
	for _, e := range f.Evidence {
		numbers = append(numbers, evidenceText(e))
	}
	s.item("seen", strings.Join(numbers, " · "))
	for _, c := range f.Changes {
		s.item("change", fmt.Sprintf("%s %d -> %d in %s (%s)", c.Key, c.From, c.To, s.names[c.Netns], changeEffect(c)))
	}
	for _, h := range f.Hints {
		s.item("do", hintText(h))
		if h.Example != "" {
			s.item("", "    "+h.Example)
		}
		if h.Note != "" {
			s.item("", h.Note)
		}
	}
	s.item("more", "qtune explain "+f.Code)
	fmt.Fprintln(s.w)
}

// usualWidth is how wide sentences are where no terminal says.
const usualWidth = 100

// item writes a labelled sentence below a finding, wrapped beside its label.
func (s *screen) item(label, text string) {
	const margin = "  %-6s  "
	indent := strings.Repeat(" ", len(fmt.Sprintf(margin, "")))
	width := s.style.Width
	if width == 0 {
		width = usualWidth
	}
	width = max(width-len(indent), 1)
	first := fmt.Sprintf(margin, label)
	lead := text[:len(text)-len(strings.TrimLeft(text, " "))]
	for line := range strings.SplitSeq(wrap(strings.TrimLeft(text, " "), width), "\n") {
		fmt.Fprintln(s.w, first+lead+strings.TrimLeft(line, " "))
		first = indent
	}
}

// where says which listener a finding is about, and whose it is.
func (s *screen) where(f *inspection.Finding) string {
	if f.Listener == nil {
		return s.names[f.Netns] + ", the namespace as a whole"
	}
	for i := range s.in.Listeners {
		if l := &s.in.Listeners[i]; l.Cookie == f.Listener.Cookie && l.Netns == f.Listener.Netns {
			return fmt.Sprintf("%s %s %s", s.names[f.Netns], listenerText(l), ownerText(l.Owner))
		}
	}
	return s.names[f.Netns]
}

// evidenceText writes a number with its unit. Counts of connections and packets
// need none here; where the numbers come from stands in -o json.
func evidenceText(e inspection.Evidence) string {
	text := e.Name + " " + strconv.FormatFloat(e.Value, 'f', -1, 64)
	switch e.Unit {
	case "", "connections", "packets", "peers", "listeners", "descriptors":
		return text
	}
	return text + " " + e.Unit
}

func changeEffect(c inspection.Change) string {
	if c.EffectiveNow {
		return "at once"
	}
	return "felt when the program listens again"
}

// hintText says what to do; what was not tried is said to be hearsay.
func hintText(h inspection.Hint) string {
	text := h.Setting
	if h.Program != "" {
		text = h.Program + ": " + text
	}
	switch advisor.Effect(h.TakesEffect) {
	case advisor.Reload:
		text += ", then reload"
	case advisor.Restart:
		text += ", then restart"
	case advisor.Rebuild:
		text += ", then build and restart"
	}
	if !h.Verified {
		text += " (from its documentation, not tried)"
	}
	return text
}

// infoCodes returns the codes of the findings that inform, in their order.
func infoCodes(in *inspection.Inspection) (codes []string) {
	for i := range in.Findings {
		if f := &in.Findings[i]; !isProblem(f) && !slices.Contains(codes, f.Code) {
			codes = append(codes, f.Code)
		}
	}
	return codes
}

// remark writes the informing findings of one code; of many only how many.
func (s *screen) remark(code string) {
	const few = 3
	var all []*inspection.Finding
	for i := range s.in.Findings {
		if s.in.Findings[i].Code == code {
			all = append(all, &s.in.Findings[i])
		}
	}
	if len(all) > few {
		s.say("info: %s: %d times, see -o json (%s)", all[0].Title, len(all), code)
		return
	}
	for _, f := range all {
		s.say("info: %s: %s (%s)", s.where(f), f.Why, code)
	}
}

// paint colours a text on a terminal that wants it.
func (s *screen) paint(style, text string) string {
	if !s.style.Colour {
		return text
	}
	return style + text + styleOff
}
