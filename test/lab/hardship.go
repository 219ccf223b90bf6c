// SPDX-License-Identifier: Apache-2.0

//go:build linux

package lab

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Stop stops the child by a signal.
func (c *Child) Stop() {
	c.t.Helper()
	must(c.t, "stop a child", unix.Kill(c.PID, unix.SIGSTOP))
}

// Hurry lets the threads that the child has so far, and those they start, have the
// CPU before all ordinary ones.
func (c *Child) Hurry() {
	c.t.Helper()
	const most = -20
	threads, err := os.ReadDir("/proc/" + strconv.Itoa(c.PID) + "/task")
	must(c.t, "list the threads of a child", err)
	for _, thread := range threads {
		tid, err := strconv.Atoi(thread.Name())
		must(c.t, "read the number of a thread", err)
		must(c.t, "set a priority", unix.Setpriority(unix.PRIO_PROCESS, tid, most))
	}
}

// Freeze puts the child into a cgroup of its own and freezes that.
func (c *Child) Freeze() {
	c.t.Helper()
	mount := cgroupMount()
	if mount == "" {
		c.t.Skip("cgroup v2 is not mounted")
	}
	dir := c.join(mount)
	must(c.t, "freeze a cgroup", os.WriteFile(filepath.Join(dir, "cgroup.freeze"), []byte("1"), 0))
	Wait(c.t, "the cgroup to be frozen", func() bool {
		b, err := os.ReadFile(filepath.Join(dir, "cgroup.events"))
		must(c.t, "read a cgroup", err)
		return bytes.Contains(b, []byte("frozen 1"))
	})
}

// Throttle puts the child into a cgroup that may use so much CPU time in every
// tenth of a second.
func (c *Child) Throttle(quota time.Duration) {
	c.t.Helper()
	const period = 100 * time.Millisecond
	if mount := cgroupMount(); mount != "" {
		dir := c.join(mount)
		limit := fmt.Sprintf("%d %d", quota.Microseconds(), period.Microseconds())
		if err := os.WriteFile(filepath.Join(dir, "cpu.max"), []byte(limit), 0); err == nil {
			return
		}
	}
	const mount = "/sys/fs/cgroup/cpu" // version 1
	if _, err := os.Stat(mount); err != nil {
		c.t.Skip("no cgroup here has the cpu controller")
	}
	dir := c.join(mount)
	for file, d := range map[string]time.Duration{"cpu.cfs_period_us": period, "cpu.cfs_quota_us": quota} {
		must(c.t, "set a quota", os.WriteFile(filepath.Join(dir, file), []byte(strconv.FormatInt(d.Microseconds(), 10)), 0))
	}
}

// join puts the child into a new cgroup below mount, which is removed after it.
func (c *Child) join(mount string) (dir string) {
	c.t.Helper()
	dir = filepath.Join(mount, fmt.Sprintf("qtune-lab-%d", c.PID))
	if err := os.Mkdir(dir, 0o755); err != nil {
		c.t.Skipf("cgroups cannot be made here: %v", err)
	}
	c.t.Cleanup(func() {
		c.Kill()
		var err error
		if !Within(patience, func() bool { err = os.Remove(dir); return err == nil }) {
			c.t.Errorf("lab: remove a cgroup: %v", err)
		}
	})
	must(c.t, "join a cgroup", os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(c.PID)), 0))
	return dir
}
