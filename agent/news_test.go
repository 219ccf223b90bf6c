// SPDX-License-Identifier: Apache-2.0

//go:build linux

package agent

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

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

// TestNewsOfMany proves that a host on which everything fails does not fill the log.
func TestNewsOfMany(t *testing.T) {
	var log bytes.Buffer
	n := news{log: slog.New(slog.NewTextHandler(&log, nil))}
	lines := func(in *inspection.Inspection) int {
		log.Reset()
		n.tell(t.Context(), in)
		return strings.Count(log.String(), "\n")
	}
	many := &inspection.Inspection{}
	for i := range 1000 {
		many.Findings = append(many.Findings, inspection.Finding{Code: "a", Severity: "critical", Netns: uint64(i)})
	}
	for _, in := range []*inspection.Inspection{many, {}} {
		if got := lines(in); got != newsMost+1 || !strings.Contains(log.String(), "=900") {
			t.Errorf("of 1000 findings %d lines, want %d and how many more", got, newsMost+1)
		}
	}
	if got := lines(&inspection.Inspection{}); got != 0 {
		t.Errorf("of none %d lines", got)
	}
}

func TestNewsOfUnread(t *testing.T) {
	var log bytes.Buffer
	n := news{log: slog.New(slog.NewTextHandler(&log, nil))}
	begin := time.Date(2026, 5, 2, 3, 0, 0, 0, time.UTC)
	steps := []struct {
		name   string
		minute int
		failed string
		want   string
	}{
		{"the first step says where was not looked, and what failed", 0, "denied", `msg="not searched" what=most|msg="cannot read" stage=enter netns=7 error=denied`},
		{"and says it once", 1, "denied, too", ""},
		{"all is well", 2, "", ""},
		{"a stage that fails now and then is not told", 3, "denied", ""},
		{"and is again when it had gone well for long", 14, "denied", `msg="cannot read" stage=enter`},
	}
	for _, s := range steps {
		log.Reset()
		in := &inspection.Inspection{Time: begin.Add(time.Duration(s.minute) * time.Minute)}
		in.Coverage.NotSearched = []string{"most"}
		if s.failed != "" {
			in.Errors = []inspection.Error{{Netns: 7, Stage: "enter", Message: s.failed}}
		}
		n.tell(t.Context(), in)
		if s.want == "" && log.Len() > 0 {
			t.Errorf("%s: %q, want nothing", s.name, log.String())
		}
		for want := range strings.SplitSeq(s.want, "|") {
			if !strings.Contains(log.String(), want) {
				t.Errorf("%s: %q, want %q in it", s.name, log.String(), want)
			}
		}
	}
}
