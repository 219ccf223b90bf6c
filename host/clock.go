// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host

import (
	"time"

	"golang.org/x/sys/unix"
)

// CPUTime returns the CPU time that this process has used.
func CPUTime() time.Duration { return clock(unix.CLOCK_PROCESS_CPUTIME_ID) }

// ThreadCPUTime returns the CPU time that the calling thread has used.
func ThreadCPUTime() time.Duration { return clock(unix.CLOCK_THREAD_CPUTIME_ID) }

// Monotonic returns what the clock shows that clock_nanosleep(2) waits by.
func Monotonic() time.Duration { return clock(unix.CLOCK_MONOTONIC) }

func clock(id int32) time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(id, &t); err != nil {
		return 0 // none of these can fail
	}
	return time.Duration(t.Nano())
}
