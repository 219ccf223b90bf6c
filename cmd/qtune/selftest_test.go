// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"strings"
	"testing"

	"github.com/qtune/qtune/selftest"
)

// TestSelftestScreen has a rule of each kind.
func TestSelftestScreen(t *testing.T) {
	facts := []selftest.Fact{{Name: "SYN queue", Predicted: 4, Observed: 5}, {Name: "ListenDrops", Predicted: 1, Observed: 1}}
	report := selftest.NewReport("6.0", []selftest.Result{
		{Rule: "three-quarters", Case: "limit 4", Outcome: selftest.Mismatch, Facts: facts},
		{Rule: "three-quarters", Case: "limit 5", Outcome: selftest.Pass, Facts: facts[1:]},
		{Rule: "mptcp-one-queue", Case: "a", Outcome: selftest.Skipped, Why: "no MPTCP"},
		{Rule: "mptcp-one-queue", Case: "b", Outcome: selftest.Skipped, Why: "no MPTCP"},
		{Rule: "somaxconn-4096", Case: "new", Outcome: selftest.Pass, Facts: facts[1:]},
		{Rule: "fastopen-own-limit", Case: "c", Outcome: selftest.Broken, Why: "it broke"},
	})
	var b strings.Builder
	o := selftestOptions{Output: "table", Out: &b}
	if err := o.write(report); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"NO      three-quarters          2  limit 4      SYN queue 4    SYN queue 5\n",
		"ok      somaxconn-4096          1  new          ListenDrops 1  ListenDrops 1\n",
		"broken  fastopen-own-limit      1  c            -              -\n",
		"  limit 4: predicted SYN queue 4; observed SYN queue 5\n",
		"\nskipped: mptcp-one-queue: no MPTCP\n",
		"\nbroken: fastopen-own-limit: c: it broke\n",
		"1 of 3 rules hold on Linux 6.0; 1 skipped\n",
	} {
		if strings.Count(b.String(), want) != 1 {
			t.Errorf("not once %q in\n%s", want, b.String())
		}
	}
	b.Reset()
	o.Output = "wide"
	if err := o.write(report); err != nil {
		t.Fatal(err)
	}
	if want := "limit 4  SYN queue 4, ListenDrops 1  SYN queue 5, ListenDrops 1\n"; !strings.Contains(b.String(), want) {
		t.Errorf("no %q in\n%s", want, b.String())
	}
}
