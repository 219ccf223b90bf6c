// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host

import "testing"

func TestClocks(t *testing.T) {
	thread, process, now := ThreadCPUTime(), CPUTime(), Monotonic()
	if thread <= 0 || process < thread || Monotonic() < now {
		t.Errorf("ThreadCPUTime() = %v, CPUTime() = %v, Monotonic() = %v and then %v", thread, process, now, Monotonic())
	}
}
