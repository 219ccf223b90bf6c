// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/qtune/qtune/tuner"
)

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

// hostAmong reports whether the host's namespace is one of several: who asks for all
// may have meant the pods'.
func hostAmong(groups [][]*tuner.Step) bool {
	return len(groups) > 1 && slices.ContainsFunc(groups, func(g []*tuner.Step) bool { return g[0].Scope.Host })
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
		return l.Name()
	}
	return l.Name() + " " + l.Comm
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
