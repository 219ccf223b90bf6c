// SPDX-License-Identifier: Apache-2.0

//go:build linux

package selftest

import "slices"

// A Report is the results of all rules. It is what `qtune selftest -o json` prints.
type Report struct {
	APIVersion string       `json:"apiVersion"`
	Kind       string       `json:"kind"`
	Kernel     string       `json:"kernel"`
	Summary    Summary      `json:"summary"`
	Rules      []RuleReport `json:"rules"`
}

// A Summary counts rules.
type Summary struct {
	Tried   int `json:"tried"`
	Hold    int `json:"hold"` // of those tried
	Skipped int `json:"skipped"`
}

// A RuleReport is the results of one rule.
type RuleReport struct {
	Rule
	Outcome Outcome  `json:"outcome"`
	Cases   []Result `json:"cases"`

	example string // the case that says most
}

// NewReport puts results together by rule. A rule holds when at least one of its
// cases could be tried, and all that could passed.
func NewReport(kernel string, results []Result) *Report {
	r := &Report{APIVersion: "qtune.dev/v1alpha1", Kind: "SelfTest", Kernel: kernel}
	for i := range experiments {
		e := &experiments[i]
		g := RuleReport{Rule: e.about(), Outcome: Skipped, example: e.example}
		for _, c := range results {
			if c.Rule == g.ID {
				g.Cases = append(g.Cases, c)
				g.Outcome = worse(g.Outcome, c.Outcome)
			}
		}
		if len(g.Cases) == 0 {
			continue // it was not asked for
		}
		r.Rules = append(r.Rules, g)
		switch g.Outcome {
		case Skipped:
			r.Summary.Skipped++
		case Pass:
			r.Summary.Hold++
			r.Summary.Tried++
		default:
			r.Summary.Tried++
		}
	}
	return r
}

// worse returns the outcome that decides over the other.
func worse(a, b Outcome) Outcome {
	for _, o := range []Outcome{Mismatch, Broken, Pass} {
		if a == o || b == o {
			return o
		}
	}
	return Skipped
}

// Holds reports whether no rule failed.
func (r *Report) Holds() bool { return r.Summary.Hold == r.Summary.Tried }

// Example returns the case that says most; of a rule that does not hold, the first
// that did not go well.
func (g *RuleReport) Example() *Result {
	if g.Outcome == Pass {
		for i := range g.Cases {
			if c := &g.Cases[i]; c.Case == g.example && c.Outcome == Pass {
				return c
			}
		}
	}
	i := slices.IndexFunc(g.Cases, func(c Result) bool { return c.Outcome == g.Outcome })
	return &g.Cases[i]
}
