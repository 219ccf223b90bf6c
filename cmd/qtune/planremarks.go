// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"fmt"
	"time"

	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/tuner"
)

// cost says what a plan may take, a line each.
func (s *screen) cost(c tuner.Cost) {
	var lines [][2]string
	if c.IdleBytes > 0 {
		lines = append(lines, [2]string{inspection.BytesText(c.IdleBytes), "of kernel memory, when the longer queues are full"})
	}
	if c.WorstBytes > 0 {
		lines = append(lines, [2]string{inspection.BytesText(c.WorstBytes), "when every client there has sent all it may before accept(2)"})
	}
	if c.WorstWaitSecond > 0 {
		lines = append(lines, [2]string{secondsText(c.WorstWaitSecond), "longer at most the last of a full queue waits for accept(2)"})
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
