// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qtune/qtune/test/vm/guest"
)

// TestKernelsFile checks the list itself.
func TestKernelsFile(t *testing.T) {
	all, err := parseKernels(kernelsFile)
	if err != nil {
		t.Fatal(err)
	}
	if !all[0].ci || !all[len(all)-1].ci {
		t.Error("the oldest and the newest kernel are not both marked ci")
	}
}

func TestParseKernels(t *testing.T) {
	for text, want := range map[string]string{
		"6.1 bookworm linux-image-6.1*\n":               "",
		"# a comment\n\n6.1 bookworm linux-6* ci # why": "",
		"6.1 bookworm\n":                                 "want NAME SUITE PACKAGE [ci]",
		"6.1 bookworm linux-image-6.1* often\n":          "want NAME SUITE PACKAGE [ci]",
		"6.1 bookworm linux-[\n":                         "syntax error in pattern",
		"6.1 bookworm linux-6.1*\n6.1 bullseye linux-6*": "6.1 is there twice",
	} {
		_, err := parseKernels(text)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("parseKernels(%q) = %v, want %q", text, err, want)
		}
	}
}

func TestChoose(t *testing.T) {
	all := []kernel{{name: "5.10", ci: true}, {name: "6.1"}, {name: "7.x", ci: true}}
	for names, want := range map[string]string{
		"":        "5.10 6.1 7.x",
		"ci":      "5.10 7.x",
		"6.1":     "6.1",
		"6.1 ci":  "5.10 6.1 7.x",
		"7.x 6.1": "6.1 7.x",
		"6":       "no kernel 6: test/vm/kernels has 5.10, 6.1, 7.x",
	} {
		chosen, err := choose(all, strings.Fields(names))
		got := strings.Join(kernelNames(chosen), " ")
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("choose(%q) = %q, want %q", names, got, want)
		}
	}
}

func TestNewest(t *testing.T) {
	names := []string{
		"linux-image-6.1.0-9-cloud-amd64", "linux-image-6.1.0-50-cloud-amd64", "linux-image-6.1.0-50-amd64",
		"linux-image-6.1.0-51-cloud-amd64-dbg", "linux-image-6.12.9+deb12-cloud-amd64",
	}
	for pattern, want := range map[string]string{
		"linux-image-6.1.0-*-cloud-amd64":        "linux-image-6.1.0-50-cloud-amd64",
		"linux-image-6.*+deb12-cloud-amd64":      "linux-image-6.12.9+deb12-cloud-amd64",
		"linux-image-6.1.0-[0-9]-cloud-amd64":    "linux-image-6.1.0-9-cloud-amd64",
		"linux-image-5.10.0-*-cloud-amd64":       "",
		"linux-image-6.1.0-*-cloud-amd64-dbg":    "linux-image-6.1.0-51-cloud-amd64-dbg",
		"linux-image-6.1.0-*-amd64":              "linux-image-6.1.0-50-cloud-amd64",
		"linux-image-6.1.0-[0-9][0-9]-amd64":     "linux-image-6.1.0-50-amd64",
		"linux-image-[0-9]*+deb12-cloud-amd64":   "linux-image-6.12.9+deb12-cloud-amd64",
		"linux-image-6.1.0-*-cloud-amd64-dbgsym": "",
	} {
		if got := newest(names, pattern); got != want {
			t.Errorf("newest(%q) = %q, want %q", pattern, got, want)
		}
	}
}

// TestCpio reads an archive back, by the widths of the format.
func TestCpio(t *testing.T) {
	from := t.TempDir()
	for name, text := range map[string]string{"a": "1", "sub/b": "22", "sub/c": ""} {
		file := filepath.Join(from, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	var archive bytes.Buffer
	c := newCpio(&archive)
	c.directory("var/log")
	c.file("/init", []byte("12345"))
	c.tree("var/x", from)
	if err := c.close(); err != nil {
		t.Fatal(err)
	}
	want := []string{"var/", "var/log/", "init=12345", "var/x/", "var/x/a=1", "var/x/sub/", "var/x/sub/b=22", "var/x/sub/c=", "TRAILER!!!="}
	if diff := cmp.Diff(want, readCpio(t, archive.Bytes())); diff != "" {
		t.Errorf("archive (-want +got):\n%s", diff)
	}
	if c := newCpio(io.Discard); true {
		c.copy("x", filepath.Join(from, "missing"))
		if err := c.close(); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("close after a missing file = %v", err)
		}
	}
}

func readCpio(t *testing.T, b []byte) (entries []string) {
	t.Helper()
	number := func(at int) int {
		var n int
		for _, digit := range string(b[at : at+8]) {
			n = n<<4 + strings.IndexRune("0123456789abcdef", digit)
		}
		return n
	}
	for len(b) > 0 {
		if string(b[:6]) != "070701" {
			t.Fatalf("entry begins with %q", b[:6])
		}
		mode, size, name := number(14), number(54), number(94)
		text := string(b[110 : 110+name-1])
		data := (110 + name + 3) &^ 3
		if mode>>12 == 4 {
			text += "/"
		} else {
			text += "=" + string(b[data:data+size])
		}
		entries = append(entries, text)
		b = b[(data+size+3)&^3:]
	}
	return entries
}

const someTests = `=== RUN   TestA
=== RUN   TestA/one
    a_test.go:1: ss is not installed
=== RUN   TestA/two
    a_test.go:2: got 1, want 2
        and more
--- FAIL: TestA (0.01s)
    --- SKIP: TestA/one (0.00s)
    --- FAIL: TestA/two (0.00s)
=== RUN   TestB
=== PAUSE TestB
=== RUN   TestC
    c_test.go:3: ss is not installed
--- SKIP: TestC (0.00s)
=== CONT  TestB
    b_test.go:4: fine
--- PASS: TestB (1.00s)
FAIL
`

func TestParseTests(t *testing.T) {
	got := parseTests(someTests)
	if !slices.Equal(got.passed, []string{"TestB"}) || !slices.Equal(got.failed, []string{"TestA", "TestA/two"}) || !slices.Equal(got.skipped, []string{"TestA/one", "TestC"}) {
		t.Errorf("passed %q, failed %q, skipped %q", got.passed, got.failed, got.skipped)
	}
	if want := []string{"TestA/one, TestC: ss is not installed"}; !slices.Equal(got.skips(), want) {
		t.Errorf("skips = %q, want %q", got.skips(), want)
	}
	if want := "--- FAIL: TestA\n--- FAIL: TestA/two\n    a_test.go:2: got 1, want 2\n        and more\n"; got.failures() != want {
		t.Errorf("failures = %q, want %q", got.failures(), want)
	}
}

// TestStepResult checks what counts as a failure.
func TestStepResult(t *testing.T) {
	const pass = "--- PASS: TestA (0.00s)\n"
	tests := []struct {
		name   string
		step   stepResult
		output string
		failed bool
	}{
		{"tests passed", stepResult{tests: true, ended: &guest.Ended{}}, pass, false},
		{"exit code", stepResult{tests: true, ended: &guest.Ended{Code: 2, Reason: "exit status 2"}}, pass, true},
		{"killed", stepResult{tests: true, ended: &guest.Ended{Code: -1, Reason: "killed"}}, pass, true},
		{"the guest died", stepResult{tests: true}, pass, true},
		{"all were skipped", stepResult{tests: true, ended: &guest.Ended{}}, "--- SKIP: TestA (0.00s)\n", true},
		{"none was asked for", stepResult{tests: true, lenient: true, ended: &guest.Ended{}}, "", false},
		{"no program of tests", stepResult{ended: &guest.Ended{}}, "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.step.output.WriteString(tt.output)
			if failed := tt.step.err() != nil; failed != tt.failed {
				t.Errorf("err = %v", tt.step.err())
			}
		})
	}
}

// TestListen plays guests of all kinds.
func TestListen(t *testing.T) {
	ready, began, ended := guest.Event{Ready: &guest.Ready{}}, guest.Event{Began: "kernel"}, guest.Event{Ended: &guest.Ended{Step: "kernel"}}
	output, done := guest.Event{Output: &guest.Output{Text: "x"}}, guest.Event{Done: true}
	const limit = time.Minute
	tests := []struct {
		name   string
		events []guest.Event
		hangs  bool
		want   string
		after  time.Duration
	}{
		{"to the end", []guest.Event{ready, began, output, ended, done}, false, "", 0},
		{"a panic early", nil, false, errNeverReady.Error(), 0},
		{"a hang early", nil, true, errNeverReady.Error(), bootLimit},
		{"a panic during a step", []guest.Event{ready, began}, false, "the guest ended during kernel", 0},
		{"a hang during a step", []guest.Event{ready, began}, true, "the guest hung during kernel and was killed", limit + grace},
		{"a panic after a step", []guest.Event{ready, began, ended}, false, "the guest ended after kernel", 0},
		{"a hang before the first step", []guest.Event{ready}, true, "the guest hung before its first step and was killed", grace},
		{"a hang at power off", []guest.Event{ready, began, ended, done}, true, "the guest hung after kernel and was killed", grace},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, w := io.Pipe()
				defer r.Close() //nolint:errcheck // a pipe
				var killed error
				dog := &watchdog{cancel: func(cause error) {
					killed = cause
					w.Close() //nolint:errcheck // as a killed QEMU does
				}}
				defer dog.stop()
				go func() {
					out := json.NewEncoder(w)
					for _, e := range tt.events {
						if err := out.Encode(e); err != nil {
							t.Error(err)
						}
					}
					if !tt.hangs {
						w.Close() //nolint:errcheck // a pipe
					}
				}()
				start, heard := time.Now(), 0
				m := &machine{limits: map[string]time.Duration{"kernel": limit}, heard: func(guest.Event) { heard++ }}
				err := m.listen(r, dog)
				if killed != nil {
					err = killed
				}
				if got := text(err); got != tt.want || heard != len(tt.events) || time.Since(start) != tt.after {
					t.Errorf("listen = %q after %v, heard %d events; want %q after %v, %d events", got, time.Since(start), heard, tt.want, tt.after, len(tt.events))
				}
			})
		})
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
