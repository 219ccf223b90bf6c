// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package advisor judges a [tcpq.Window]: which listeners lose connections, why,
// and what to do about it. It is pure: the same values give the same report, on
// any machine.
package advisor

import (
	"slices"

	"github.com/qtune/qtune/tcpq"
)

// A Code names a kind of finding. Codes are public and never change.
type Code string

// A Severity says how urgent a finding is.
type Severity string

// The severities. Critical and warning need movement within the window, or a
// queue over its limit now.
const (
	Critical Severity = "critical" // connections are being lost
	Warning  Severity = "warning"  // they are about to be, or the application is at fault
	Info     Severity = "info"     // a setting that matters here, or something of the past
)

// Urgency orders severities: 1 for info, 2 for warning, 3 for critical.
func (s Severity) Urgency() int { return 1 + slices.Index([]Severity{Info, Warning, Critical}, s) }

// A Report is what was found, the most urgent first.
type Report struct {
	Findings []Finding
}

// A Finding is one judgement, with its evidence and its remedy.
type Finding struct {
	Code      Code
	Severity  Severity
	Namespace *tcpq.Namespace
	Listener  *tcpq.Listener // nil when it concerns the whole namespace
	Title     string         // a few words
	Why       string         // sentences with the numbers of this case
	Evidence  []Evidence
	Limit     int64 // that the listener should have; 0 when another one is no remedy
	Changes   []Change
	Hints     []Hint

	weight uint64 // of two equally severe the heavier stands first
}

// An Evidence is one number and where it came from.
type Evidence struct {
	Name   string // "accept queue, longest sample"
	Value  float64
	Unit   string // connections, packets, packets/s, s, %; "" for a setting
	Source string // "sock_diag", "netstat ListenOverflows", "/proc/sys net.core.somaxconn"
}

// A Change is a sysctl of the finding's namespace that would help.
type Change struct {
	Key          tcpq.Sysctl
	From, To     int64
	EffectiveNow bool // false: felt at the next listen(2) only
}

// A Hint is what to do in the program that listens, or with it.
type Hint struct {
	Program     string // "nginx", "Go"; "" when it is for whoever runs it
	Setting     string // what to change: "backlog= of the listen directive"
	Example     string // as it stands in the configuration, with the recommended number
	TakesEffect Effect
	Verified    bool   // false: from documentation or hearsay, say so
	Note        string // what else has to be known, a sentence; often ""
}

// An Effect says what it takes until a running program follows its setting.
type Effect string

// What it takes.
const (
	Now     Effect = "now"
	Reload  Effect = "reload"  // the listener that exists gets the new limit
	Restart Effect = "restart" // the listener has to be made anew
	Rebuild Effect = "rebuild" // a change of the source
)
