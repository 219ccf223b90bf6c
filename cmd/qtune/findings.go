// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/qtune/qtune/advisor"
	"github.com/qtune/qtune/inspection"
)

// findings writes what was found: the problems with their evidence and remedy, and
// what informs in a line each.
func (s *screen) findings() {
	for i := range s.in.Findings {
		f := &s.in.Findings[i]
		if f.Problem() && !saidBefore(s.in, i) {
			alike := func(g inspection.Finding) bool { return f.SameAddress(&g) }
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

// saidBefore reports whether an earlier finding says the same as this one.
func saidBefore(in *inspection.Inspection, at int) bool {
	return slices.ContainsFunc(in.Findings[:at], func(g inspection.Finding) bool { return in.Findings[at].SameAddress(&g) })
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
		numbers = append(numbers, e.String())
	}
	s.item("seen", strings.Join(numbers, " · "))
	for _, c := range f.Changes {
		s.item("change", fmt.Sprintf("%s %d -> %d in %s (%s)", c.Key, c.From, c.To, s.names[c.Netns], c.Felt()))
	}
	for _, h := range f.Hints {
		s.item("do", h.String())
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
func (s *screen) item(label, text string) { s.field("  ", "", label, text) }

// field writes a labelled sentence behind a margin, wrapped beside its label.
func (s *screen) field(margin, style, label, text string) {
	indent := margin + strings.Repeat(" ", len("change")+2)
	width := s.style.Width
	if width == 0 {
		width = usualWidth
	}
	width = max(width-len(indent), 1)
	first := margin + s.paint(style, fmt.Sprintf("%-6s", label)) + "  "
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
			return fmt.Sprintf("%s %s %s", s.names[f.Netns], l.Name(), l.Owner.String())
		}
	}
	return s.names[f.Netns]
}

// infoCodes returns the codes of the findings that inform, in their order.
func infoCodes(in *inspection.Inspection) (codes []string) {
	for i := range in.Findings {
		if f := &in.Findings[i]; !f.Problem() && !slices.Contains(codes, f.Code) {
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
	if !s.style.Colour || style == "" {
		return text
	}
	return style + text + styleOff
}
