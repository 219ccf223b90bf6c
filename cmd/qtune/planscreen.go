// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/qtune/qtune/tuner"
)

// The margins of a plan: of what is changed, and of what is said of it.
const (
	planMargin   = "  "
	detailMargin = "    "
)

// plan writes a plan for people: what is changed, namespace by namespace, what it
// costs, what is refused, and what only the application can do.
func (s *screen) plan(p *tuner.Plan) {
	groups := byScope(p.Steps)
	if len(p.Steps) == 0 {
		s.say("%s: %s", p.Host, s.paint(styleBold, "nothing to change"))
	} else {
		places := count(len(groups), "network namespace")
		if hostAmong(groups) {
			places += ", the host's own among them"
		}
		s.say("%s: %s in %s", p.Host, s.paint(styleBold, count(len(p.Steps), "change")), places)
	}
	names := 0
	for i := range p.Steps {
		names = max(names, textWidth(stepName(&p.Steps[i])))
	}
	for _, places := range sameSteps(groups) {
		g := places[0]
		fmt.Fprintln(s.w)
		s.say("%s", s.paint(styleBold, placesText(places)))
		for i, step := range g {
			switch {
			case i > 0 && alike(g[i-1], step):
				continue // the first of a reuse-port group spoke for it
			case i > 0:
				fmt.Fprintln(s.w)
			}
			s.step(step, names)
			if n := members(g[i:]); n > 1 {
				s.detail("group", fmt.Sprintf("%d sockets of one reuse-port group, each of them", n))
			}
		}
	}
	s.cost(p.Cost)
	s.refusals(p.Refusals)
	s.advice(p.Advice)
	fmt.Fprintln(s.w)
}

// step writes one change and what is to be known of it.
func (s *screen) step(step *tuner.Step, names int) {
	name := stepName(step)
	pad := strings.Repeat(" ", max(0, min(names, s.style.Width-len(planMargin)-26)-textWidth(name)))
	to := s.paint(styleBold, strconv.FormatInt(step.To, 10))
	if step.To < step.From {
		to = s.paint(styleYel, strconv.FormatInt(step.To, 10)+" (smaller)")
	}
	if step.Kind == tuner.KindFile {
		fmt.Fprintf(s.w, "%s%s\n", planMargin, name)
	} else {
		fmt.Fprintf(s.w, "%s%s%s  %d -> %s\n", planMargin, name, pad, step.From, to)
	}
	if step.Why != "" {
		s.detail("why", withCodes(step.Why, step.Findings))
	}
	s.affects(step)
	for _, by := range step.SetBy {
		s.detail("set by", setterText(by))
	}
}

// subject says in a line what the following is about, or in several where one is
// too narrow.
func (s *screen) subject(parts ...string) {
	line := planMargin + strings.Join(parts, partGap)
	if textWidth(line) > s.style.Width {
		line = planMargin + parts[0] + "\n" + planMargin + strings.Join(parts[1:], partGap)
	}
	fmt.Fprintln(s.w, line)
}

// affects says which running listeners feel a step, and when.
func (s *screen) affects(step *tuner.Step) {
	var now, later []string
	for _, a := range step.Affects {
		name := a.Listener
		if a.Comm != "" {
			name += " " + a.Comm
		}
		if a.Now {
			now = append(now, name)
		} else {
			later = append(later, name)
		}
	}
	switch {
	case step.Kind == tuner.KindFile:
		s.detail("now", "nothing: it is written when the change is confirmed, and read at boot")
		return
	case step.Kind == tuner.KindListen:
		s.detail("now", "this listener, under the running program; its next listen(2), so a restart, loses it")
		return
	case len(now) > 0:
		s.detail("now", listed(now))
	default:
		s.detail("now", "no running listener: each took its limit inside listen(2)")
	}
	if len(later) > 0 {
		s.detail("later", listed(later)+": when the program listens again, by a reload or a restart")
	}
}

func (s *screen) detail(label, text string) { s.field(detailMargin, styleDim, label, text) }
