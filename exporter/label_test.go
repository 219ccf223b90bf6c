// SPDX-License-Identifier: Apache-2.0

//go:build linux

package exporter

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/qtune/qtune/inspection"
)

// FuzzLabelValue: whatever a name is, its label is printable and not too long.
func FuzzLabelValue(f *testing.F) {
	for _, s := range []string{"nginx", "\x00\xff", "aaa\u202e", strings.Repeat("é", 40), "\\x0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := labelValue(s, maxName)
		if len(got) > maxName || !utf8.ValidString(got) || got != inspection.Text(got) {
			t.Errorf("labelValue(%q, %d) = %q", s, maxName, got)
		}
	})
}

// FuzzAcceptsGzip: a client that does not say gzip does not get it.
func FuzzAcceptsGzip(f *testing.F) {
	for _, s := range []string{"gzip", "gzip;q=0", "br, GZIP ; q=0.5", "gzip;q=x", ";,;", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if acceptsGzip([]string{s}) && !strings.Contains(strings.ToLower(s), "gzip") {
			t.Errorf("acceptsGzip(%q) = true", s)
		}
	})
}
