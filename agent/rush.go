// SPDX-License-Identifier: Apache-2.0

//go:build linux

package agent

import (
	"time"

	"github.com/qtune/qtune/tcpq"
)

// A rush finds out how many packets a listener discarded within a second at most:
// what a queue has to hold is one burst, and not all bursts of a slot with what
// clients sent again.
//
// It adds them up for a second or longer, from one look to a later one, and takes
// two such sums together: whatever second is meant, it lies within two.
type rush struct {
	seen         uint32    // discards of the listener as they were read last
	since        time.Time // when the newer sum began
	older, newer uint32
}

// burstLasts is how long a burst lasts: who was refused tries again after a second
// (RFC 6298), and in the queue nobody is to wait longer either.
const burstLasts = time.Second

// count takes in what was read.
func (r *rush) count(s *tcpq.Sample, discards uint32, now time.Time) {
	more := discards - r.seen
	r.seen = discards
	r.newer += more
	s.Discards += more
	if more > 0 {
		s.Burst = max(s.Burst, r.older+r.newer)
	}
	if now.Sub(r.since) >= burstLasts {
		r.older, r.newer, r.since = r.newer, 0, now
	}
}
