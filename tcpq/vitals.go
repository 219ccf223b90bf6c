// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tcpq

import "time"

// Vitals say why a process that holds a full listener may not be accepting. They
// are read only of the holders of listeners that have connections waiting.
type Vitals struct {
	Descriptors     int // open; 0 when unknown
	DescriptorLimit int // RLIMIT_NOFILE, soft; 0 when unknown

	Stopped bool // by a signal or a debugger: state T or t
	Frozen  bool // its cgroup is frozen

	// Over is how long the process was watched, from the first Snapshot in
	// which one of its listeners had connections waiting; what follows
	// happened in that time. 0: read once, nothing is known of it.
	Over      time.Duration
	Ran       bool    // some thread of it ran
	Busiest   float64 // share of the time in which its busiest thread ran or waited for a CPU, 0 to 1
	Threads   int
	Periods   uint64 // of CPU quota of its cgroup; 0 when it has no quota
	Throttled uint64 // of them, those in which it had to stand still
}
