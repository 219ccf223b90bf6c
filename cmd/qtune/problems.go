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

// problemsOnly leaves in an inspection what is critical or a warning, and the
// listeners that are concerned.
func problemsOnly(in *inspection.Inspection) *inspection.Inspection {
	out := *in
	out.Findings = slices.DeleteFunc(slices.Clone(in.Findings), func(f inspection.Finding) bool { return !f.Problem() })
	codes := map[listenerID][]string{}
	for _, f := range out.Findings {
		if f.Listener != nil {
			l := listenerID{f.Listener.Netns, f.Listener.Cookie}
			codes[l] = append(codes[l], f.Code)
		}
	}
	out.Listeners = []inspection.Listener{}
	for _, l := range in.Listeners {
		if l.Findings = codes[idOf(&l)]; len(l.Findings) > 0 {
			out.Listeners = append(out.Listeners, l)
		}
	}
	return &out
}

// hasCritical reports whether connections are being lost.
func hasCritical(in *inspection.Inspection) bool {
	return slices.ContainsFunc(in.Findings, func(f inspection.Finding) bool { return f.Severity == string(advisor.Critical) })
}

// brief says in three sentences what a ticket needs: what was looked at, the
// worst that was found, and what to do.
func (s *screen) brief() {
	s.head()
	if s.unmatched() {
		return
	}
	worst := slices.IndexFunc(s.in.Findings, func(f inspection.Finding) bool { return f.Problem() })
	if worst < 0 {
		s.noProblem()
		return
	}
	f := &s.in.Findings[worst]
	others := ""
	if n := problems(s.in) - 1; n > 0 {
		others = fmt.Sprintf(" (and %s)", count(n, "other problem"))
	}
	s.say("%s at %s: %s%s", upperFirst(f.Title), s.where(f), f.Why, others)
	var todo []string
	for _, c := range f.Changes {
		todo = append(todo, fmt.Sprintf("set %s to %d in %s", c.Key, c.To, s.names[c.Netns]))
	}
	for _, h := range f.Hints {
		text := h.String()
		if h.Example != "" {
			text += ": " + h.Example
		}
		todo = append(todo, text)
	}
	if len(todo) > 0 {
		s.say("Remedy: %s.", strings.Join(todo, "; "))
	}
}

// noProblem says what that is worth.
func (s *screen) noProblem() {
	moved, unknown := uint64(0), 0
	for _, n := range s.in.Namespaces {
		moved += n.Moved["ListenDrops"]
		if _, known := n.Counters["ListenDrops"]; !known {
			unknown++
		}
	}
	switch {
	case s.in.Window.Source == inspection.SourceNone:
		s.say("Nothing is over its limit at this instant; a window would tell more.")
	case moved > 0:
		s.say("No problem in %.1f s: what was refused (%s, ListenDrops) was so by no queue that is still there, or for another reason.",
			s.in.Window.Seconds, count(int(moved), "packet"))
	case unknown > 0:
		s.say("No problem in %.1f s; in %s it is not known whether anything was refused.", s.in.Window.Seconds, count(unknown, "namespace"))
	default:
		s.say("Nothing in %.1f s.", s.in.Window.Seconds)
	}
}

// wholeProblems counts the problems of namespaces as a whole.
func wholeProblems(in *inspection.Inspection) (n int) {
	for i := range in.Findings {
		if in.Findings[i].Listener == nil && in.Findings[i].Problem() {
			n++
		}
	}
	return n
}

// problems counts the problems, those that members of a group share once.
func problems(in *inspection.Inspection) (n int) {
	for i := range in.Findings {
		if in.Findings[i].Problem() && !saidBefore(in, i) {
			n++
		}
	}
	return n
}

func upperFirst(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
