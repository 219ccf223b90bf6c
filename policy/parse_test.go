// SPDX-License-Identifier: Apache-2.0

//go:build linux

package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// head is what every policy begins with: four lines.
const head = `apiVersion: qtune.dev/v1alpha1
kind: ListenQueuePolicy
metadata:
  name: web
`

func TestParseEverything(t *testing.T) {
	got, err := Parse("policy.yaml", []byte(head+`  generation: 7
spec:
  mode: enforce
  scopes: [host, pod]
  namespaces: [host, "pod:shop/*"]
  bounds:
    somaxconn: {min: 8192, max: 32768}
    tcpMaxSynBacklog: {min: 256, max: 4096}
    backlog: {min: 512, max: 16384}
  latencyBudget: 500ms
  headroomPercent: 100
  memory: {idlePercent: 2, worstPercent: 50}
  trial: {duration: 10m, max: 50m}
  maxPerHour: 3
  onDrift: reapplyOnce
  exclude:
    commands: [db]
    namespaces: ["pod:kube-system/*"]
  liveResize:
    namespaces: [blue]
`))
	if err != nil {
		t.Fatal(err)
	}
	want := &Policy{
		Name: "web", Generation: 7, Hash: got.Hash,
		Mode: Enforce, Scopes: []string{"host", "pod"}, Namespaces: []string{"host", "pod:shop/*"},
		Somaxconn: Range{8192, 32768}, MaxSynBacklog: Range{256, 4096}, Backlog: Range{512, 16384}, Baseline: 8192,
		LatencyBudget: 500 * time.Millisecond, Headroom: 100,
		Memory: Memory{Idle: 2, Worst: 50}, Trial: Trial{Duration: 10 * time.Minute, Max: 50 * time.Minute},
		MaxPerHour: 3, OnDrift: ReapplyOnce,
		Exclude:    Exclude{Commands: []string{"db"}, Namespaces: []string{"pod:kube-system/*"}},
		LiveResize: LiveResize{Namespaces: []string{"blue"}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Parse = %+v, want %+v", got, want)
	}

	// A field that is added to the table is to be tried here, too.
	untouched := Default()
	for _, f := range fields {
		if f.at != nil && reflect.DeepEqual(f.at(got), f.at(&untouched)) {
			t.Errorf("%s is as by default: set it to something else in this test", f.path)
		}
	}
}

func TestParseNothingInParticular(t *testing.T) {
	text := []byte(head + "spec: {}\n")
	got, err := Parse("policy.yaml", text)
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Name, want.Hash = "web", got.Hash
	if !reflect.DeepEqual(got, &want) {
		t.Errorf("Parse = %+v, want the default, %+v", got, &want)
	}
	if got.Revision() != "web@"+got.Hash || len(got.Hash) != 12 {
		t.Errorf("Revision = %q, want web@ and 12 digits", got.Revision())
	}
	other, err := Parse("policy.yaml", append(text, '#'))
	if err != nil || other.Hash == got.Hash {
		t.Errorf("Hash of another file = %q, %v, want another one", other.Hash, err)
	}
	if def := Default(); def.Revision() != "default" {
		t.Errorf("Revision of the default policy = %q", def.Revision())
	}
}

func TestParseFaults(t *testing.T) {
	tests := []struct {
		name string
		text string
		want string // the whole error, a line a fault
	}{
		{
			"nothing", "# not yet\n",
			"f:1: is empty: a policy begins with apiVersion: qtune.dev/v1alpha1",
		},
		{
			"no mapping", "- a\n",
			"f:1: want fields (apiVersion, kind, metadata, spec), got a list\n" +
				"f:1: apiVersion: is missing\nf:1: kind: is missing\nf:1: metadata.name: is missing\nf:1: spec: is missing",
		},
		{
			"no YAML", head + "spec:\n\tmode: observe\n",
			"f:6: no YAML: found character that cannot start any token",
		},
		{
			"a second document", head + "spec: {}\n---\na: 1\n",
			"f:6: a second document: want one policy in a file",
		},
		{
			"a second document that is no YAML", head + "spec: {}\n---\n\ta: 1\n",
			"f:7: no YAML: found character that cannot start any token",
		},
		{
			"another version", strings.Replace(head, "v1alpha1", "v1", 1) + "spec: {}\n",
			`f:1: apiVersion: want qtune.dev/v1alpha1, got the text "qtune.dev/v1"`,
		},
		{
			"no name", strings.Replace(head, "name: web", "generation: 1", 1) + "spec: {}\n",
			"f:3: metadata.name: is missing",
		},
		{
			"a name in capitals", strings.Replace(head, "web", "Web", 1) + "spec: {}\n",
			`f:4: metadata.name: "Web" is no name: want 1 to 63 small letters, digits, dots and dashes, a letter or digit at both ends`,
		},
		{
			"no spec", head,
			"f:1: spec: is missing",
		},
		{
			"a misspelt field", head + "spec:\n  bounds:\n    somaxcon: {max: 1}\n",
			"f:7: spec.bounds.somaxcon: unknown field; did you mean somaxconn?",
		},
		{
			"a field in capitals", head + "spec: {Mode: observe}\n",
			"f:5: spec.Mode: unknown field; did you mean mode?",
		},
		{
			"a field in the wrong place", head + "spec:\n  somaxconn: {max: 4096}\n",
			"f:6: spec.somaxconn: unknown field; did you mean spec.bounds.somaxconn?",
		},
		{
			"a field of something else", head + "spec:\n  trial:\n    waves: 3\n",
			"f:7: spec.trial.waves: unknown field; there are duration, max",
		},
		{
			"a field that a terminal would obey", head + "spec: {\"\\e[2J\": 1}\n",
			`f:5: spec."\x1b[2J": unknown field; there are mode, scopes, namespaces, bounds, latencyBudget, headroomPercent, memory, trial, maxPerHour, onDrift, exclude, liveResize`,
		},
		{
			"a field that is no name", head + "spec: {[a]: 1}\n",
			`f:5: spec."": unknown field; there are mode, scopes, namespaces, bounds, latencyBudget, headroomPercent, memory, trial, maxPerHour, onDrift, exclude, liveResize`,
		},
		{
			"a field with a dot", head + "spec.mode: observe\nspec: {}\n",
			`f:5: spec.mode: unknown field; there are apiVersion, kind, metadata, spec`,
		},
		{
			"a field twice", head + "spec:\n  mode: observe\n  maxPerHour: 1\n  mode: advise\n",
			"f:8: spec.mode: is there twice, first in line 6",
		},
		{
			"a section twice", head + "spec: {}\nspec: {}\n",
			"f:6: spec: is there twice, first in line 5",
		},
		{
			"text for a number", head + "spec: {maxPerHour: many}\n",
			`f:5: spec.maxPerHour: want a whole number such as 4096, got the text "many"`,
		},
		{
			"a number in quotes", head + "spec: {maxPerHour: \"6\"}\n",
			`f:5: spec.maxPerHour: want a whole number such as 4096, got the text "6"`,
		},
		{
			"an octal number", head + "spec: {maxPerHour: 010}\n",
			`f:5: spec.maxPerHour: want a whole number such as 4096, got the number 010`,
		},
		{
			"a fraction", head + "spec: {maxPerHour: 1.5}\n",
			`f:5: spec.maxPerHour: want a whole number such as 4096, got the number 1.5`,
		},
		{
			"a number past 64 bits", head + "spec: {maxPerHour: 18446744073709551615}\n",
			`f:5: spec.maxPerHour: want a whole number such as 4096, got the number 18446744073709551615`,
		},
		{
			"no number", head + "spec:\n  maxPerHour:\n",
			`f:6: spec.maxPerHour: want a whole number such as 4096, got nothing`,
		},
		{
			"an empty section", head + "spec:\n  bounds:\n    # somaxconn:\n",
			"f:6: spec.bounds: want fields (somaxconn, tcpMaxSynBacklog, backlog), got nothing",
		},
		{
			"a time without its unit", head + "spec: {latencyBudget: 1}\n",
			"f:5: spec.latencyBudget: want a time with its unit, such as 3s (ms, s, m, h), got the number 1",
		},
		{
			"a time in another unit", head + "spec: {trial: {duration: 1d}}\n",
			`f:5: spec.trial.duration: want a time with its unit, such as 1h (ms, s, m, h), got the text "1d"`,
		},
		{
			"a time in microseconds", head + "spec: {latencyBudget: 500000us}\n",
			`f:5: spec.latencyBudget: want a time with its unit, such as 3s (ms, s, m, h), got the text "500000us"`,
		},
		{
			"a truth value", head + "spec: {mode: true}\n",
			`f:5: spec.mode: want text, got "true", which YAML takes for !!bool`,
		},
		{
			"text for a list", head + "spec: {scopes: pod}\n",
			`f:5: spec.scopes: want a list such as [a, b], got the text "pod"`,
		},
		{
			"a number in a list", head + "spec:\n  exclude:\n    commands:\n    - db\n    - 9\n",
			"f:9: spec.exclude.commands: want texts in the list, got the number 9",
		},
		{
			"an alias", head + "spec: &a\n  bounds: *a\n",
			"f:6: spec.bounds: want fields (somaxconn, tcpMaxSynBacklog, backlog), got an alias: write the value out",
		},
		{
			"a mode of the cluster's names", head + "spec: {mode: Recommend}\n",
			`f:5: spec.mode: "Recommend": want observe or advise or enforce`,
		},
		{
			"a mode in capitals", head + "spec: {mode: Enforce}\n",
			`f:5: spec.mode: "Enforce": want observe or advise or enforce; did you mean enforce?`,
		},
		{
			"enforce without bounds", head + "spec:\n\n  mode: enforce\n",
			"f:7: spec.mode: enforce needs spec.bounds.somaxconn.max: say how far it may go",
		},
		{
			"past the ceiling", head + "spec:\n  bounds:\n    somaxconn:\n      max: 1048577\n",
			"f:8: spec.bounds.somaxconn.max: is 1048577: must be from 1 to 1048576 connections",
		},
		{
			"more than the default maximum", head + "spec:\n  bounds:\n    somaxconn:\n      min: 65536\n",
			"f:8: spec.bounds.somaxconn.min: is 65536, more than its max, 65535",
		},
		{
			"less than the default minimum", head + "spec:\n  bounds:\n    somaxconn:\n      max: 64\n",
			"f:7: spec.bounds.somaxconn.min: is 128, more than its max, 64",
		},
		{
			"several faults, in the order of their lines", head + "spec:\n  mode: 1\n  trial: [a]\n  scope: [pod]\n  onDrift: fight\n",
			"f:6: spec.mode: want text, got the number 1\n" +
				"f:7: spec.trial: want fields (duration, max), got a list\n" +
				"f:8: spec.scope: unknown field; did you mean scopes?",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := Parse("f", []byte(tt.text))
			if err == nil || err.Error() != tt.want || p != nil {
				t.Errorf("Parse = %v\n%v\nwant\n%s", p, err, tt.want)
			}
		})
	}
}

func TestParseTellsOnlySoManyFaults(t *testing.T) {
	var text strings.Builder
	text.WriteString(head + "spec:\n")
	for i := range maxFaults + 2 {
		fmt.Fprintf(&text, "  x%d: 1\n", i)
	}
	_, err := Parse("f", []byte(text.String()))
	lines := strings.Split(fmt.Sprint(err), "\n")
	if len(lines) != maxFaults+1 || lines[maxFaults] != "f: and 2 more faults" {
		t.Errorf("Parse of %d faults has %d lines, the last %q", maxFaults+2, len(lines), lines[len(lines)-1])
	}
}

func TestRead(t *testing.T) {
	text := []byte(head + "spec: {}\n#")
	text = append(text, bytes.Repeat([]byte{'x'}, maxSize-len(text))...)
	if _, err := Read("f", bytes.NewReader(text)); err != nil {
		t.Errorf("Read of a file of the largest size = %v", err)
	}
	text = append(text, 'x')
	if _, err := Read("f", bytes.NewReader(text)); err == nil || err.Error() != "f: larger than 1048576 bytes: a policy is not" {
		t.Errorf("Read of a file one byte too large = %v", err)
	}
	if _, err := Read("f", iotest.ErrReader(io.ErrUnexpectedEOF)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("Read of a file that cannot be read = %v", err)
	}
}

// FuzzParse looks for texts that end the program, for errors that a terminal would
// obey, and for policies that Parse lets pass and Validate, or the schema, does not.
func FuzzParse(f *testing.F) {
	f.Add([]byte(head + "spec: {mode: observe, scopes: [host], bounds: {somaxconn: {min: 1}}}\n"))
	f.Add([]byte(head + "spec: &a {trial: {duration: 1m30s}, exclude: {namespaces: ['pod:a/*']}}\n"))
	f.Add([]byte("{\"a\": [1, ~, !!x y, *z]}\n---\n"))
	validate := validator(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := Parse("f", text)
		if err != nil {
			for line := range strings.Lines(err.Error()) {
				if !strings.HasPrefix(line, "f:") {
					t.Errorf("Parse = %q, without the file's name", line)
				}
				if strings.ContainsFunc(strings.TrimSuffix(line, "\n"), func(c rune) bool { return c < ' ' || c == 0x7f }) {
					t.Errorf("Parse = %q, which a terminal would obey", line)
				}
			}
			return
		}
		if err := p.Validate(); err != nil || p.Name == "" {
			t.Errorf("Parse let %+v pass: %v", p, err)
		}
		if err := validate(string(text)); err != nil {
			t.Errorf("the schema refuses what Parse lets pass: %v", err)
		}
	})
}
