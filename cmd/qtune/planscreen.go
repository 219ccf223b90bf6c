// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/qtune/qtune/tcpq"
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
		s.say("%s: %s in %s", p.Host, s.paint(styleBold, count(len(p.Steps), "change")), count(len(groups), "network namespace"))
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

// byScope groups steps by namespace, in the order in which they come.
func byScope(steps []tuner.Step) (groups [][]*tuner.Step) {
	place := map[uint64]int{}
	for i := range steps {
		at, ok := place[steps[i].Scope.Netns]
		if !ok {
			at = len(groups)
			place[steps[i].Scope.Netns] = at
			groups = append(groups, nil)
		}
		groups[at] = append(groups[at], &steps[i])
	}
	return groups
}

// sameSteps puts together the namespaces in which the same is to be done: a policy
// may cover hundreds.
func sameSteps(groups [][]*tuner.Step) (all [][][]*tuner.Step) {
	place := map[string]int{}
	for _, g := range groups {
		var said strings.Builder
		for _, step := range g {
			fmt.Fprintln(&said, stepName(step), step.From, step.To, step.Why, step.Findings, step.Affects, step.SetBy)
		}
		at, ok := place[said.String()]
		if !ok {
			at = len(all)
			place[said.String()] = at
			all = append(all, nil)
		}
		all[at] = append(all[at], g)
	}
	return all
}

// placesText names the namespaces of steps that are the same.
func placesText(places [][]*tuner.Step) string {
	names := make([]string, len(places))
	for i, g := range places {
		names[i] = scopeText(&g[0].Scope)
	}
	if len(names) == 1 {
		return names[0]
	}
	return listed(names) + ", each"
}

// alike reports whether two steps do the same to two sockets of a reuse-port group.
func alike(a, b *tuner.Step) bool {
	return a.Listener != nil && b.Listener != nil && socketText(a.Listener) == socketText(b.Listener) &&
		a.Scope.Netns == b.Scope.Netns && a.From == b.From && a.To == b.To && a.Why == b.Why
}

// members counts the first steps that are alike.
func members(steps []*tuner.Step) int {
	n := 1
	for n < len(steps) && alike(steps[0], steps[n]) {
		n++
	}
	return n
}

// scopeText names a namespace, and whose it is.
func scopeText(sc *tuner.Scope) string {
	if sc.Pod != "" {
		return netnsText(sc) + " (pod " + sc.Pod + ")"
	}
	return netnsText(sc)
}

// netnsText names a namespace.
func netnsText(sc *tuner.Scope) string {
	switch {
	case sc.Host:
		return "host"
	case sc.Name != "":
		return sc.Name
	}
	return fmt.Sprintf("net:[%d]", sc.Netns)
}

// stepName says what a step changes.
func stepName(step *tuner.Step) string {
	switch step.Kind {
	case tuner.KindListen:
		return "limit of " + socketText(step.Listener)
	case tuner.KindSysctl, tuner.KindFile:
	}
	return step.Key
}

// socketText returns ADDR[%DEV]:PORT and the program.
func socketText(l *tuner.Socket) string {
	if l == nil {
		return "a listener"
	}
	if l.Comm == "" {
		return listenerText(l)
	}
	return listenerText(l) + " " + l.Comm
}

// listenerText returns ADDR[%DEV]:PORT.
func listenerText(l *tuner.Socket) string {
	return tcpq.ListenerName(l.Address, strings.Contains(l.Address, ":"), l.Device, l.Port)
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

// setterText says who else sets a key, and to what.
func setterText(by tuner.Setter) string {
	text := by.Where
	if by.Value != "" {
		text += ", to " + by.Value
	}
	if by.Wins {
		text += "; at boot that wins"
	}
	return text
}

// withCodes adds the codes of findings to a sentence that does not name them.
func withCodes(text string, codes []string) string {
	var missing []string
	for _, code := range codes {
		if !strings.Contains(text, code) {
			missing = append(missing, code)
		}
	}
	if len(missing) == 0 {
		return text
	}
	return fmt.Sprintf("%s (%s)", text, strings.Join(missing, ", "))
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

// cost says what a plan may take, a line each.
func (s *screen) cost(c tuner.Cost) {
	var lines [][2]string
	if c.IdleBytes > 0 {
		lines = append(lines, [2]string{bytesText(c.IdleBytes), "of kernel memory, when the longer queues are full"})
	}
	if c.WorstBytes > 0 {
		lines = append(lines, [2]string{bytesText(c.WorstBytes), "when every client there has sent all it may before accept(2)"})
	}
	if c.WorstWaitSecond > 0 {
		lines = append(lines, [2]string{secondsText(c.WorstWaitSecond), "longer the last one of a full queue waits for accept(2)"})
	}
	label := "cost"
	for i, line := range lines {
		if i == 0 {
			fmt.Fprintln(s.w)
		}
		s.field("", styleDim, label, fmt.Sprintf("%10s  %s", line[0], line[1]))
		label = ""
	}
}

// secondsText writes a time by two or three digits.
func secondsText(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d < time.Second:
		return fmt.Sprintf("%.0f ms", seconds*1000)
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", seconds)
	}
	return fmt.Sprintf("%.0f s", seconds)
}

// refusals lists what was wanted and is not done, and the ways out.
func (s *screen) refusals(all []tuner.Refusal) {
	if len(all) == 0 {
		return
	}
	fmt.Fprintln(s.w)
	fmt.Fprintln(s.w, s.paint(styleYel, "Not done:"))
	for i := range all {
		r := &all[i]
		what := r.Key
		if r.Listener != nil {
			what = "limit of " + socketText(r.Listener)
		}
		parts := []string{scopeText(&r.Scope)}
		if what != "" {
			parts = append(parts, what)
		}
		if r.Code != tuner.NotTheQueue && r.Code != tuner.NotFound && what != "" {
			parts = append(parts, fmt.Sprintf("%d -> %d", r.From, r.To))
		}
		s.subject(parts...)
		if r.Rail != "" {
			s.detail("rail", r.Rail)
		}
		s.detail("why", r.Message)
		for j, way := range r.WaysOut {
			label := "try"
			if j > 0 {
				label = "or"
			}
			s.detail(label, way)
		}
	}
}

// advice lists what the owner of a listener has to do himself.
func (s *screen) advice(all []tuner.Advice) {
	if len(all) == 0 {
		return
	}
	fmt.Fprintln(s.w)
	fmt.Fprintln(s.w, s.paint(styleBold, "Only the application can:"))
	for i := range all {
		a := &all[i]
		name := a.Listener
		if a.Comm != "" {
			name += " " + a.Comm
		}
		s.subject(scopeText(&a.Scope), name)
		s.detail("do", withCodes(a.Text, []string{a.Code}))
		if a.Example != "" {
			s.detail("", "    "+a.Example)
		}
	}
}
