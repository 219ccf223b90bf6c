// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package policy holds what the people who run a host wish: the bounds within
// which a queue may be made longer, and what a connection may be made to wait.
package policy

import (
	"errors"
	"fmt"
	"time"
)

// A Range bounds a value, both ends included.
type Range struct {
	Min, Max int64
}

// Clamp returns the value of r that is nearest to n.
func (r Range) Clamp(n int64) int64 { return min(max(n, r.Min), r.Max) }

// A Policy says what may be recommended and changed.
type Policy struct {
	Backlog       Range // of a listener's limit, and so of what its program is told to ask for
	Somaxconn     Range
	MaxSynBacklog Range

	// LatencyBudget is how long a connection may wait for accept(2) at most.
	// Past the first repetition of a SYN, one second, waiting is no better
	// than being refused.
	LatencyBudget time.Duration

	// Headroom is what is added to the longest queue that was needed, in per
	// cent of it.
	Headroom int
}

// kernelDefault is net.core.somaxconn of a new namespace since Linux 5.4: a queue
// up to it needs no leave.
const kernelDefault = 4096

// Default returns the policy of those who wish nothing in particular.
func Default() Policy {
	return Policy{
		Backlog:       Range{128, 65535},
		Somaxconn:     Range{128, 65535},
		MaxSynBacklog: Range{128, 262144},
		LatencyBudget: time.Second,
		Headroom:      50,
	}
}

// maxLatencyBudget is where waiting stops to be a service: by then a SYN has been
// repeated twice or more, and most clients have given up.
const maxLatencyBudget = 3 * time.Second

// ceiling is the highest bound anyone may ask for.
const ceiling = 1 << 20

// Validate says what is wrong with p, all of it.
func (p *Policy) Validate() error {
	var all []error
	for _, r := range []struct {
		name string
		Range
	}{{"backlog", p.Backlog}, {"somaxconn", p.Somaxconn}, {"tcpMaxSynBacklog", p.MaxSynBacklog}} {
		switch {
		case r.Min < 1:
			all = append(all, fmt.Errorf("%s.min is %d: must be 1 or more", r.name, r.Min))
		case r.Max > ceiling:
			all = append(all, fmt.Errorf("%s.max is %d: must be %d or less", r.name, r.Max, ceiling))
		case r.Min > r.Max:
			all = append(all, fmt.Errorf("%s.min is %d, more than its max, %d", r.name, r.Min, r.Max))
		}
	}
	if p.LatencyBudget <= 0 || p.LatencyBudget > maxLatencyBudget {
		all = append(all, fmt.Errorf("latencyBudget is %v: must be more than 0 and at most %v", p.LatencyBudget, maxLatencyBudget))
	}
	if p.Headroom < 0 || p.Headroom > 400 {
		all = append(all, fmt.Errorf("headroomPercent is %d: must be from 0 to 400", p.Headroom))
	}
	return errors.Join(all...)
}

// Limit returns the limit to recommend for a listener that needed a queue of
// this length: with headroom, the next power of two, within the bounds. A fleet
// then shows few distinct values, and asking again mostly gives the same answer.
//
// Accepts is how many connections the program accepts in a second, 0 when that
// is not known: above the kernel's own default the queue may be no longer than
// what the program works off within the latency budget.
func (p *Policy) Limit(need uint64, accepts float64) int64 {
	limit := p.roomy(need)
	if accepts > 0 {
		for limit > kernelDefault && float64(limit) > accepts*p.LatencyBudget.Seconds() {
			limit /= 2
		}
	}
	return p.Backlog.Clamp(limit)
}

// SynBacklog returns the tcp_max_syn_backlog to recommend where it has to be this
// large.
func (p *Policy) SynBacklog(need uint64) int64 { return p.MaxSynBacklog.Clamp(p.roomy(need)) }

// roomy returns need with headroom, rounded up to a power of two.
func (p *Policy) roomy(need uint64) int64 {
	want := int64(min(need, ceiling)) * int64(100+p.Headroom) / 100
	roomy := int64(1)
	for roomy < want {
		roomy *= 2
	}
	return roomy
}
