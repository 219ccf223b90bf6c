// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/qtune/qtune/test/vm/guest"
)

// A result is what came of a kernel.
type result struct {
	kernel   kernel
	console  string
	booted   time.Duration // until its init reported, by this machine's clock
	took     time.Duration
	attempts int
	release  string
	problems []string
	steps    []*stepResult
	err      error // of the machine
}

// A stepResult is what came of a step; ended is nil while it runs, and when the
// guest has not lived to its end.
type stepResult struct {
	name    string
	tests   bool // it is a program of tests
	lenient bool // it may have none that fits
	output  strings.Builder
	ended   *guest.Ended
}

// note takes in an event.
func (r *result) note(e guest.Event, b *binaries) {
	switch {
	case e.Ready != nil:
		r.release = e.Ready.Release
	case e.Problem != "":
		r.problems = append(r.problems, e.Problem)
	case e.Began != "":
		r.steps = append(r.steps, &stepResult{name: e.Began, tests: e.Began != selftestStep, lenient: b.run != ""})
	case e.Output != nil && len(r.steps) > 0:
		r.steps[len(r.steps)-1].output.WriteString(e.Output.Text)
	case e.Ended != nil && len(r.steps) > 0:
		r.steps[len(r.steps)-1].ended = e.Ended
	}
}

// err returns why the step has failed, nil if it has not.
func (s *stepResult) err() error {
	switch {
	case s.ended == nil:
		return errors.New("the guest did not live to its end")
	case s.ended.Code != 0:
		return fmt.Errorf("%s", s.ended.Reason)
	case s.tests && !s.lenient && len(parseTests(s.output.String()).passed) == 0:
		return errors.New("no test passed") // all were skipped, for example
	}
	return nil
}

func (r *result) failed() bool {
	if r.err != nil || len(r.problems) > 0 {
		return true
	}
	for _, s := range r.steps {
		if s.err() != nil {
			return true
		}
	}
	return false
}

// counts returns how many tests there were. What fails without a test that does,
// a machine for example, counts as one.
func (r *result) counts() (passed, failed, skipped int) {
	for _, s := range r.steps {
		t := parseTests(s.output.String())
		passed, failed, skipped = passed+len(t.passed), failed+len(t.failed), skipped+len(t.skipped)
		if !s.tests && s.err() == nil {
			passed++
		}
		if len(t.failed) == 0 && s.err() != nil {
			failed++
		}
	}
	if failed == 0 && r.failed() {
		failed++
	}
	return passed, failed, skipped
}

// print writes everything there is to say of a kernel.
func (r *result) print(out io.Writer) {
	fmt.Fprintf(out, "\n=== %s: %s, %.0f s\n", r.kernel.name, r.release, r.took.Seconds())
	fmt.Fprintf(out, "console: %s\n", r.console)
	for _, p := range r.problems {
		fmt.Fprintf(out, "FAIL  init: %s\n", p)
	}
	for _, s := range r.steps {
		s.print(out)
	}
	if r.err != nil {
		fmt.Fprintf(out, "FAIL  %v; the end of its console:\n", r.err)
		// An error means that it wrote nothing.
		b, _ := os.ReadFile(r.console)
		indent(out, lastLines(string(b)))
	}
}

// shownLines is how much is shown where it is not known what matters.
const shownLines = 40

func lastLines(text string) string {
	lines := strings.SplitAfter(text, "\n")
	return strings.Join(lines[max(0, len(lines)-shownLines):], "")
}

func indent(out io.Writer, text string) {
	for line := range strings.Lines(text) {
		fmt.Fprintf(out, "      %s\n", strings.TrimRight(line, "\r\n"))
	}
}

func (s *stepResult) print(out io.Writer) {
	seconds := 0.0
	if s.ended != nil {
		seconds = s.ended.Took.Seconds()
	}
	t := parseTests(s.output.String())
	fmt.Fprintf(out, "%s  %-14s %6.1f s", passFail(s.err()), s.name, seconds)
	if s.tests {
		fmt.Fprintf(out, "  %d passed, %d failed, %d skipped", len(t.passed), len(t.failed), len(t.skipped))
	}
	if s.err() != nil {
		fmt.Fprintf(out, "  (%v)", s.err())
	}
	fmt.Fprintln(out)
	for _, skip := range t.skips() {
		fmt.Fprintf(out, "      skipped %s\n", skip)
	}
	if s.err() == nil {
		return
	}
	text := t.failures()
	if text == "" { // it crashed, hung, or is no test
		text = lastLines(s.output.String())
	}
	indent(out, text)
}

func passFail(err error) string {
	if err != nil {
		return "FAIL"
	}
	return "PASS"
}

// printTable writes a line for each kernel, and how many tests there were.
func printTable(out io.Writer, all []*result, steps []guest.Step) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprint(w, "\nKERNEL\tRELEASE\tBOOT")
	for _, s := range steps {
		fmt.Fprint(w, "\t"+s.Name)
	}
	fmt.Fprintln(w, "\tSECONDS\tRESULT")
	var passed, failed, skipped int
	for _, r := range all {
		boot := fmt.Sprintf("%.0f s", r.booted.Seconds())
		if r.release == "" {
			boot = "FAIL"
		}
		if r.attempts > 1 {
			boot += fmt.Sprintf(" (try %d)", r.attempts)
		}
		fmt.Fprintf(w, "%s\t%s\t%s", r.kernel.name, r.release, boot)
		for i := range steps {
			cell := "-"
			if i < len(r.steps) {
				cell = passFail(r.steps[i].err())
			}
			fmt.Fprint(w, "\t"+cell)
		}
		p, f, s := r.counts()
		passed, failed, skipped = passed+p, failed+f, skipped+s
		verdict := "PASS"
		if r.failed() {
			verdict = "FAIL"
		}
		fmt.Fprintf(w, "\t%.0f\t%s\n", r.took.Seconds(), verdict)
	}
	w.Flush() //nolint:errcheck // as the rest of the output
	fmt.Fprintf(out, "\n%d passed, %d failed, %d skipped\n", passed, failed, skipped)
}
