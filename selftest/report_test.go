// SPDX-License-Identifier: Apache-2.0

//go:build linux

package selftest

import (
	"testing"

	"github.com/qtune/qtune/tcpq"
)

func TestReport(t *testing.T) {
	results := func(outcomes ...Outcome) []Result {
		var all []Result
		for _, o := range outcomes {
			all = append(all, Result{Rule: tcpq.ThreeQuarters.String(), Outcome: o})
		}
		return all
	}
	tests := []struct {
		name    string
		results []Result
		want    Outcome
		summary Summary
		example int
	}{
		{"all pass", results(Pass, Pass), Pass, Summary{Tried: 1, Hold: 1}, 0},
		{"what was skipped does not count beside what passed", results(Skipped, Pass), Pass, Summary{Tried: 1, Hold: 1}, 1},
		{"nothing but skipped is no pass", results(Skipped, Skipped), Skipped, Summary{Skipped: 1}, 0},
		{"one mismatch is enough", results(Pass, Mismatch, Broken), Mismatch, Summary{Tried: 1}, 1},
		{"what could not be carried out proves nothing", results(Pass, Skipped, Broken), Broken, Summary{Tried: 1}, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := NewReport("x", tt.results)
			if len(r.Rules) != 1 || r.Rules[0].Outcome != tt.want || r.Summary != tt.summary {
				t.Errorf("report = %+v, want %s and %+v", r, tt.want, tt.summary)
			}
			if got := r.Rules[0].Example(); got != &r.Rules[0].Cases[tt.example] {
				t.Errorf("example = %+v, want case %d", got, tt.example)
			}
			if want := tt.want == Pass || tt.want == Skipped; r.Holds() != want {
				t.Errorf("Holds = %t, want %t", r.Holds(), want)
			}
		})
	}
}
