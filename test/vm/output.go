// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// tests is what a program of tests wrote, with -test.v, sorted by test.
type tests struct {
	passed, failed, skipped []string
	wrote                   map[string]string // by test
}

var (
	current = regexp.MustCompile(`^=== (?:RUN|CONT|NAME|PAUSE)\s+(\S+)$`)
	verdict = regexp.MustCompile(`^ *--- (PASS|FAIL|SKIP): (\S+) \(`)
)

func parseTests(output string) tests {
	t := tests{wrote: map[string]string{}}
	name := ""
	for line := range strings.Lines(output) {
		text := strings.TrimRight(line, "\r\n")
		if m := current.FindStringSubmatch(text); m != nil {
			name = m[1]
			continue
		}
		m := verdict.FindStringSubmatch(text)
		if m == nil {
			t.wrote[name] += line
			continue
		}
		switch m[1] {
		case "PASS":
			t.passed = append(t.passed, m[2])
		case "FAIL":
			t.failed = append(t.failed, m[2])
		case "SKIP":
			t.skipped = append(t.skipped, m[2])
		}
		// Not the last test's, but not nobody's either: a panic comes after it.
		name = ""
	}
	return t
}

// skips returns why tests were skipped, each reason with its tests.
func (t tests) skips() []string {
	reasons := map[string][]string{}
	for _, name := range t.skipped {
		// "    truth_test.go:47: ss is not installed"
		_, reason, _ := strings.Cut(strings.TrimSpace(t.wrote[name]), ": ")
		reasons[reason] = append(reasons[reason], name)
	}
	var all []string
	for _, reason := range slices.Sorted(maps.Keys(reasons)) {
		all = append(all, strings.Join(reasons[reason], ", ")+": "+reason)
	}
	return all
}

// failures returns what the failed tests wrote.
func (t tests) failures() string {
	var b strings.Builder
	for _, name := range t.failed {
		b.WriteString("--- FAIL: " + name + "\n" + t.wrote[name])
	}
	return b.String()
}

// tail keeps the end of what is written.
type tail string

const tailSize = 8 << 10

func (t *tail) Write(b []byte) (int, error) {
	all := string(*t) + string(b)
	*t = tail(all[max(0, len(all)-tailSize):])
	return len(b), nil
}
