// SPDX-License-Identifier: Apache-2.0

//go:build linux

package inspection

import (
	"fmt"
	"strings"
	"time"
)

// A Tuning says what an agent in mode enforce did, and why.
type Tuning struct {
	Mode string `json:"mode"` // what the policy allows: enforce, or less

	Trial        *Trial           `json:"trial,omitempty"` // that is open
	Open         bool             `json:"open"`            // a transaction is open, the agent's or somebody's
	Transactions []OutcomeCount   `json:"transactions"`    // since the agent began
	Counts       []DecisionCount  `json:"counts"`          // of all decisions since then
	Decisions    []Decision       `json:"decisions"`       // the newest first, only the last few
	Drifted      []DriftedSetting `json:"drifted"`         // confirmed values that somebody changed
	Troubles     []Trouble        `json:"troubles"`        // what is not possible now
}

// A Trouble is something that the agent needs in order to change anything, and cannot
// do. It tries again and again.
type Trouble struct {
	What  string `json:"what"`
	Error string `json:"error"` // what came of it the last time
}

// A Trial is a change that has yet to prove itself.
type Trial struct {
	Transaction string    `json:"transaction"`
	Netns       uint64    `json:"netns"`
	Listener    string    `json:"listener"`
	From        int64     `json:"from"` // limit of the accept queue
	To          int64     `json:"to"`
	Started     time.Time `json:"started"`
	JudgedAfter float64   `json:"judgedAfterSeconds"`
	EndsAfter   float64   `json:"endsAfterSeconds"`
}

// An OutcomeCount counts transactions by how they ended.
type OutcomeCount struct {
	Outcome string `json:"outcome"`
	Count   uint64 `json:"count"`
}

// A DecisionCount counts decisions of one kind.
type DecisionCount struct {
	Verdict string `json:"verdict"`
	Action  string `json:"action"`
	Rail    string `json:"rail"` // "" when none held it back
	Count   uint64 `json:"count"`
}

// A DriftedSetting is a confirmed value that is no longer ours.
type DriftedSetting struct {
	Transaction string `json:"transaction"`
	Netns       uint64 `json:"netns"`
	What        string `json:"what"` // a key, or ADDR:PORT
	Ours        int64  `json:"ours"`
	Found       int64  `json:"found"`
}

// A Decision is what the loop decided about a listener, and why.
type Decision struct {
	ID          string    `json:"id"`
	Time        time.Time `json:"time"`
	Netns       uint64    `json:"netns"`
	Listener    string    `json:"listener"` // ADDR[%DEV]:PORT
	Cookie      string    `json:"cookie"`
	Comm        string    `json:"comm,omitempty"`
	Transaction string    `json:"transaction,omitempty"`

	Verdict string        `json:"verdict"`
	Action  string        `json:"action"`
	Rail    string        `json:"rail,omitempty"`    // that held it back
	Rule    string        `json:"rule"`              // that fired, a sentence
	Inputs  []Evidence    `json:"inputs"`            // the numbers it looked at
	Refused []Alternative `json:"refused,omitempty"` // what was not done instead

	Expected string `json:"expected,omitempty"` // effect
	Actual   string `json:"actual,omitempty"`   // effect, once it is known
}

// An Alternative is what a decision did not do, and what kept it from that.
type Alternative struct {
	What    string  `json:"what"`
	Rail    string  `json:"rail"`
	Limit   float64 `json:"limit"`  // of the rail
	Actual  float64 `json:"actual"` // that ran into it
	Unit    string  `json:"unit,omitempty"`
	Message string  `json:"message"`
}

// Text tells the decision in a few lines.
func (d *Decision) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s in net:[%d]", d.Time.UTC().Format(time.RFC3339), d.Listener, d.Netns)
	if d.Comm != "" {
		fmt.Fprintf(&b, " (%s)", d.Comm)
	}
	fmt.Fprintf(&b, "\nverdict   %s\naction    %s", d.Verdict, d.Action)
	if d.Rail != "" {
		fmt.Fprintf(&b, ", held back by %s", d.Rail)
	}
	if d.Transaction != "" {
		fmt.Fprintf(&b, "\nof        %s", d.Transaction)
	}
	fmt.Fprintf(&b, "\nrule      %s\n", d.Rule)
	for _, e := range d.Inputs {
		fmt.Fprintf(&b, "seen      %s (%s)\n", e, e.Source)
	}
	for _, a := range d.Refused {
		fmt.Fprintf(&b, "not done  %s: %s\n", a.What, a.Message)
	}
	if d.Expected != "" {
		fmt.Fprintf(&b, "expected  %s\n", d.Expected)
	}
	if d.Actual != "" {
		fmt.Fprintf(&b, "actual    %s\n", d.Actual)
	}
	return b.String()
}

// KindDecisions is the kind of Decisions.
const KindDecisions = "Decisions"

// Decisions are what was decided, the newest first.
type Decisions struct {
	APIVersion string     `json:"apiVersion"`
	Kind       string     `json:"kind"`
	Decisions  []Decision `json:"decisions"`
}

// DecisionsOf returns the decisions of one transaction, of all with "".
func DecisionsOf(all []Decision, transaction string) []Decision {
	out := []Decision{}
	for i := range all {
		if transaction == "" || all[i].Transaction == transaction {
			out = append(out, all[i])
		}
	}
	return out
}
