// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/qtune/qtune/inspection"
)

// troubled is a host of two listeners: 80 loses connections, 81 has a remark. In
// their namespace some queue was full besides, and nobody can tell which.
func troubled() *inspection.Inspection {
	at := func(port uint16, cookie string) *inspection.FindingListener {
		return &inspection.FindingListener{Netns: 7, Address: "10.0.0.1", Port: port, Cookie: cookie}
	}
	finding := func(severity, code, title string, l *inspection.FindingListener) inspection.Finding {
		return inspection.Finding{Code: code, Severity: severity, Netns: 7, Listener: l, Title: title, Why: "It was seen."}
	}
	return &inspection.Inspection{
		Window:     inspection.Window{Seconds: 10, Source: inspection.SourceWatched},
		Namespaces: []inspection.Namespace{{Inode: 7, Name: "blue", Counters: map[string]uint64{"ListenDrops": 9}}},
		Listeners: []inspection.Listener{
			{Netns: 7, Address: "10.0.0.1", Port: 80, Cookie: "a", Findings: []string{"accept-queue-overflow", "limit-below-somaxconn"}, Owner: &inspection.Owner{PIDs: []int{9}}},
			{Netns: 7, Address: "10.0.0.1", Port: 81, Cookie: "b", Findings: []string{"past-loss"}},
		},
		Findings: []inspection.Finding{
			finding("critical", "accept-queue-overflow", "the accept queue overflows", at(80, "a")),
			finding("critical", "syn-queue-full", "the SYN queue is full", nil),
			finding("info", "limit-below-somaxconn", "the limit is below somaxconn", at(80, "a")),
			finding("info", "past-loss", "packets were refused in the past", at(81, "b")),
		},
	}
}

// screenOf returns what inspect shows of an inspection with these options.
func screenOf(t *testing.T, in *inspection.Inspection, o inspectOptions) string {
	t.Helper()
	var b strings.Builder
	o.Global, o.Out, o.Sort = &globalOptions{}, &b, "netns"
	if o.Output == "" {
		o.Output = "table"
	}
	if err := o.show(in); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestProblemsOnly proves what --problems leaves of listeners and of their codes.
func TestProblemsOnly(t *testing.T) {
	in := troubled()
	out := problemsOnly(in)
	if len(out.Listeners) != 1 || out.Listeners[0].Port != 80 || !slices.Equal(out.Listeners[0].Findings, []string{"accept-queue-overflow"}) {
		t.Errorf("problemsOnly leaves listeners %+v, want that of port 80 with the code that is shown", out.Listeners)
	}
	if len(out.Findings) != 2 {
		t.Errorf("problemsOnly leaves %d findings, want 2", len(out.Findings))
	}
	if len(in.Listeners[0].Findings) != 2 || len(in.Listeners) != 2 || len(in.Findings) != 4 {
		t.Errorf("problemsOnly changed the inspection itself: %+v", in)
	}
}

// TestNoProblemsInJSON proves that what is empty is a list all the same.
func TestNoProblemsInJSON(t *testing.T) {
	in := troubled()
	in.Findings = []inspection.Finding{}
	var got map[string]json.RawMessage
	if err := json.Unmarshal([]byte(screenOf(t, in, inspectOptions{selection: selection{Problems: true}, Output: "json"})), &got); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"listeners", "findings"} {
		if string(got[key]) != "[]" {
			t.Errorf("%s = %s, want []", key, got[key])
		}
	}
}

// TestWhatIsLeftOut proves that a filter hides what was not asked for, and no
// problem of what was.
func TestWhatIsLeftOut(t *testing.T) {
	const unmatched = "No listener matches what was asked for."
	tests := []struct {
		name      string
		o         inspectOptions
		want, not []string
	}{
		{
			"a listener without a problem, in a namespace that has one",
			inspectOptions{selection: selection{Problems: true, Filter: filter{Port: 81}}},
			[]string{"0 of 1 listener with a problem", "CRITICAL: the SYN queue is full", "blue"},
			[]string{unmatched, "overflows", "info:", "Before that"},
		},
		{
			"no listener on that port, and it may have been the one that was full",
			inspectOptions{selection: selection{Problems: true, Filter: filter{Port: 82}}},
			[]string{unmatched, "Not shown: 1 problem that no listener could be named for."},
			[]string{"CRITICAL", "in the past"},
		},
		{
			"the same in a ticket",
			inspectOptions{selection: selection{Filter: filter{Port: 82}}, Brief: true},
			[]string{unmatched, "Not shown: 1 problem"},
			[]string{"Nothing in", "overflows"},
		},
		{
			"nothing is hidden where something matches",
			inspectOptions{selection: selection{Filter: filter{PID: 9}}},
			[]string{"CRITICAL: the accept queue overflows", "CRITICAL: the SYN queue is full", "info:"},
			[]string{unmatched, "Not shown", "in the past"},
		},
		{
			"in a ticket, all",
			inspectOptions{Brief: true},
			[]string{"The accept queue overflows at", "(and 1 other problem)"},
			[]string{unmatched},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out := screenOf(t, troubled(), tt.o)
			for _, want := range tt.want {
				if !strings.Contains(out, want) {
					t.Errorf("want %q in\n%s", want, out)
				}
			}
			for _, not := range tt.not {
				if strings.Contains(out, not) {
					t.Errorf("want no %q in\n%s", not, out)
				}
			}
		})
	}
}

// TestBriefCountsWhatIsShown proves that members of a reuse-port group which have
// the same problem are one, as on the screen.
func TestBriefCountsWhatIsShown(t *testing.T) {
	in := troubled()
	member := in.Findings[0]
	member.Listener = &inspection.FindingListener{Netns: 7, Address: "10.0.0.1", Port: 80, Cookie: "c"}
	in.Findings = []inspection.Finding{in.Findings[0], member}
	if out := screenOf(t, in, inspectOptions{Brief: true}); strings.Contains(out, "other problem") {
		t.Errorf("want one problem in\n%s", out)
	}
	in.Findings = append(in.Findings, troubled().Findings[1])
	if out := screenOf(t, in, inspectOptions{Brief: true}); !strings.Contains(out, "(and 1 other problem)") {
		t.Errorf("want two problems in\n%s", out)
	}
}

// TestBriefWithoutAProblem proves that a ticket says what is not known, and what
// was refused though no queue is to blame.
func TestBriefWithoutAProblem(t *testing.T) {
	tests := []struct {
		name string
		ns   inspection.Namespace
		once bool
		want string
	}{
		{"nothing was refused", inspection.Namespace{Counters: map[string]uint64{"ListenDrops": 9}}, false, "Nothing in 10.0 s."},
		{"one look", inspection.Namespace{Counters: map[string]uint64{"ListenDrops": 9}}, true, "Nothing is over its limit at this instant"},
		{
			"something was",
			inspection.Namespace{Counters: map[string]uint64{"ListenDrops": 9}, Moved: map[string]uint64{"ListenDrops": 3}},
			false, "No problem in 10.0 s: what was refused (3 packets, ListenDrops)",
		},
		{"nobody knows", inspection.Namespace{}, false, "No problem in 10.0 s; in 1 namespace it is not known whether anything was refused."},
	}
	for _, tt := range tests {
		in := troubled()
		in.Findings, in.Namespaces = nil, []inspection.Namespace{tt.ns}
		if tt.once {
			in.Window = inspection.Window{Source: inspection.SourceNone}
		}
		if out := screenOf(t, in, inspectOptions{Brief: true}); !strings.Contains(out, tt.want) {
			t.Errorf("%s: want %q in\n%s", tt.name, tt.want, out)
		}
	}
}
