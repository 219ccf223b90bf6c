// SPDX-License-Identifier: Apache-2.0

//go:build linux

package agent

import "time"

// A peak is the largest of the values of the last minute, or however long it is
// kept. It remembers only those that may still become the largest.
type peak struct {
	values []timed // falling, the oldest first
}

type timed struct {
	at    time.Time
	value uint32
}

// add takes in a value and forgets those before since.
func (p *peak) add(at time.Time, value uint32, since time.Time) {
	n := len(p.values)
	for n > 0 && p.values[n-1].value <= value {
		n--
	}
	p.values = append(p.values[:n], timed{at, value})
	old := 0
	for p.values[old].at.Before(since) {
		old++
	}
	p.values = append(p.values[:0], p.values[old:]...)
}

// max returns the largest.
func (p *peak) max() uint32 {
	if len(p.values) == 0 {
		return 0
	}
	return p.values[0].value
}
