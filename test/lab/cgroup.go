// SPDX-License-Identifier: Apache-2.0

//go:build linux

package lab

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// cgroupMount returns where cgroup v2 is mounted, "" when it is not.
func cgroupMount() string {
	b, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 2 && f[2] == "cgroup2" {
			return f[1]
		}
	}
	return ""
}

// NewCgroup makes a cgroup v2 of this path, below the root, and removes it, and
// the parents it made, with the test. Start the processes in it afterwards, so
// that they end before.
func NewCgroup(t testing.TB, path string) {
	t.Helper()
	mount := cgroupMount()
	if mount == "" {
		t.Skip("cgroup v2 is not mounted")
	}
	dir := mount
	for name := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		dir = filepath.Join(dir, name)
		switch err := os.Mkdir(dir, 0o755); {
		case os.IsExist(err):
			continue
		case err != nil:
			t.Skipf("cgroups cannot be made here: %v", err)
		}
		made := dir
		t.Cleanup(func() {
			if err := os.Remove(made); err != nil {
				t.Errorf("lab: remove a cgroup: %v", err)
			}
		})
	}
}
