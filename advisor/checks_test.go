// SPDX-License-Identifier: Apache-2.0

//go:build linux

package advisor

import (
	"slices"
	"strings"
	"testing"
	"unicode"
)

// closedList are the codes of the design, by severity.
var closedList = map[Severity][]Code{
	Critical: {"accept-queue-overflow", "application-stuck", "syn-queue-full", "syn-backlog-three-quarters", "backlog-zero"},
	Warning: {
		"application-slow", "accept-queue-near-limit", "reuseport-imbalance", "syn-flood-suspected", "cookie-zombies",
		"fastopen-overflow", "backlog-truncated",
	},
	Info: {
		"limit-at-somaxconn", "limit-below-somaxconn", "namespace-at-defaults", "syncookies-sent", "syncookies-off",
		"syncookies-always", "abort-on-overflow", "deferred-accepts", "past-loss",
	},
}

func TestChecksAreComplete(t *testing.T) {
	have := map[Severity][]Code{}
	known := map[Code]bool{}
	for _, c := range checks {
		if known[c.Code] {
			t.Errorf("%s has two rows", c.Code)
		}
		known[c.Code] = true
		have[c.Severity] = append(have[c.Severity], c.Code)
	}
	for severity, want := range closedList {
		got := slices.Sorted(slices.Values(have[severity]))
		if want := slices.Sorted(slices.Values(want)); !slices.Equal(got, want) {
			t.Errorf("%s codes = %v, want %v", severity, got, want)
		}
	}
	for i, c := range checks {
		if c.listener == nil && c.whole == nil {
			t.Errorf("%s looks for nothing", c.Code)
		}
		for _, silent := range c.silences {
			j := slices.IndexFunc(checks, func(s check) bool { return s.Code == silent })
			if j <= i {
				t.Errorf("%s silences %s, which is no check after it", c.Code, silent)
			}
			if j >= 0 && slices.Contains(checks[j].silences, c.Code) {
				t.Errorf("%s and %s silence each other", c.Code, silent)
			}
		}
		for _, code := range c.beside {
			if !known[code] || c.Severity != Info {
				t.Errorf("%s (%s) matters beside %s, want an informing check and a known code", c.Code, c.Severity, code)
			}
		}
	}
}

func TestPages(t *testing.T) {
	for _, p := range Pages() {
		if unicode.IsUpper(rune(p.Title[0])) && !strings.HasPrefix(p.Title, "Fast Open") || strings.HasSuffix(p.Title, ".") {
			t.Errorf("%s has title %q, want a few words in lower case", p.Code, p.Title)
		}
		for _, text := range []string{p.Means, p.Confirm, p.Do, p.Avoid} {
			if !strings.HasSuffix(text, ".") || strings.Contains(text, "  ") {
				t.Errorf("%s says %q, want sentences", p.Code, text)
			}
		}
		if !strings.Contains(p.Confirm, "`") {
			t.Errorf("%s has no command to confirm it with: %q", p.Code, p.Confirm)
		}
	}
}
