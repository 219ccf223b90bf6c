// SPDX-License-Identifier: Apache-2.0

//go:build linux

package agent

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/qtune/qtune/inspection"
)

func TestNews(t *testing.T) {
	var log bytes.Buffer
	n := news{log: slog.New(slog.NewTextHandler(&log, nil))}
	found := func(codes ...string) *inspection.Inspection {
		in := &inspection.Inspection{}
		for _, code := range codes {
			in.Findings = append(in.Findings, inspection.Finding{
				Code: code, Severity: "critical", Netns: 40, Why: "because",
				Listener: &inspection.FindingListener{Netns: 40, Address: "::1", Port: 80, Cookie: "ab"},
			})
		}
		return in
	}
	steps := []struct {
		name string
		in   *inspection.Inspection
		want []string // a piece of each line
	}{
		{"a new one is told", found("a"), []string{"msg=finding code=a"}},
		{"once", found("a"), nil},
		{"another beside it", found("a", "b"), []string{"msg=finding code=b severity=critical netns=40 listener=[::1]:80 why=because"}},
		{"that one ended", found("b"), []string{`msg="finding ended" code=a severity=critical netns=40 listener=[::1]:80`}},
		{"and is told when it comes again", found("a", "b"), []string{"msg=finding code=a"}},
	}
	for _, s := range steps {
		log.Reset()
		n.tell(t.Context(), s.in)
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		if log.Len() == 0 {
			lines = nil
		}
		if len(lines) != len(s.want) {
			t.Fatalf("%s: %q, want %d lines", s.name, lines, len(s.want))
		}
		for i, want := range s.want {
			if !strings.Contains(lines[i], want) {
				t.Errorf("%s: %q, want %q in it", s.name, lines[i], want)
			}
		}
	}
}
