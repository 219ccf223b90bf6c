// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package policy holds what the people who run a host wish: the bounds within
// which a queue may be made longer, what a connection may be made to wait, and
// where anything may be changed at all. Parse reads it from a file; what a file
// may say is the table in fields.go.
package policy

import "time"

// A Range bounds a value, both ends included.
type Range struct {
	Min, Max int64
}

// Clamp returns the value of r that is nearest to n.
func (r Range) Clamp(n int64) int64 { return min(max(n, r.Min), r.Max) }

// A Mode is what the agent may do. A person who runs apply is not bound by it.
type Mode string

// The modes; each does what those before it do.
const (
	Observe Mode = "observe" // tell lengths, limits and losses
	Advise  Mode = "advise"  // say what is wrong and what to do
	Enforce Mode = "enforce" // do it
)

// OnDrift is what happens when somebody else changes a value that qtune set.
type OnDrift string

// What may happen then. Never is a value set again and again: two writers that
// do so fight for ever.
const (
	Report      OnDrift = "report"
	ReapplyOnce OnDrift = "reapplyOnce"
)

// The scopes of a policy.
const (
	ScopeHost = "host" // the namespace of process 1
	ScopePod  = "pod"  // every other one
)

// A Policy says what may be recommended and changed.
type Policy struct {
	Name       string // "" for the default policy
	Generation int64  // as the file counts itself, 0 when it does not
	Hash       string // the first 12 hex digits of the file's SHA-256

	Mode       Mode
	Scopes     []string // ScopeHost, ScopePod
	Namespaces []string // patterns (see Place); empty: all that the scopes hold

	Backlog       Range // of a listener's limit, and so of what its program is told to ask for
	Somaxconn     Range
	MaxSynBacklog Range

	// Baseline is the net.core.somaxconn below which no namespace should be:
	// bounds.somaxconn.min where a file sets it, 0 for no such wish.
	Baseline int64

	// LatencyBudget is how long a connection may wait for accept(2) at most.
	// Past the first repetition of a SYN, one second, waiting is no better
	// than being refused.
	LatencyBudget time.Duration

	// Headroom is what is added to the longest queue that was needed, in per
	// cent of it.
	Headroom int

	Memory     Memory
	Trial      Trial
	MaxPerHour int // changes applied in an hour, on the whole host
	OnDrift    OnDrift
	Exclude    Exclude
	LiveResize LiveResize
}

// Memory bounds what all that longer queues could take, together.
type Memory struct {
	Idle  int // per cent of the host's memory, for connections that wait and sent nothing
	Worst int // per cent of the middle value of tcp_mem, for those that sent all they may
}

// A Trial is how long a change has to prove itself before it is kept or undone.
type Trial struct {
	Duration time.Duration // until the first verdict
	Max      time.Duration // until the last
}

// Exclude names what is left alone whatever else a policy says.
type Exclude struct {
	Commands   []string // besides AlwaysExcluded
	Namespaces []string // patterns, see Place
}

// LiveResize says where listen(2) may be called on the socket of a running
// program. Nowhere, unless asked for.
type LiveResize struct {
	Namespaces []string // patterns, see Place
}

// Default returns the policy of those who wish nothing in particular.
func Default() Policy {
	return Policy{
		Mode:          Advise,
		Scopes:        []string{ScopePod},
		Backlog:       Range{128, 65535},
		Somaxconn:     Range{128, 65535},
		MaxSynBacklog: Range{128, 262144},
		LatencyBudget: time.Second,
		Headroom:      50,
		Memory:        Memory{Idle: 1, Worst: 25},
		Trial:         Trial{Duration: 30 * time.Minute, Max: 60 * time.Minute},
		MaxPerHour:    6,
		OnDrift:       Report,
	}
}

// Revision names the policy in a decision: its name and the hash of its file.
func (p *Policy) Revision() string {
	if p.Hash == "" {
		return "default"
	}
	return p.Name + "@" + p.Hash
}
