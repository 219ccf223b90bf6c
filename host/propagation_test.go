// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host

import (
	"strings"
	"testing"
)

func TestPropagates(t *testing.T) {
	tests := []struct {
		name   string
		mounts string
		ok     bool
	}{
		{"a mount that follows the host's", "30 20 0:26 / /host/run/netns rw master:5 - tmpfs tmpfs rw\n", true},
		{"one that is shared with it", "30 20 0:26 / /host rw shared:5 - ext4 /dev/sda rw\n", true},
		{"a private one", "30 20 0:26 / /host/run/netns rw - tmpfs tmpfs rw\n", false},
		{"a private one below one that follows", "30 20 0:26 / /host rw master:5 - ext4 /dev/sda rw\n31 30 0:27 / /host/run rw - tmpfs tmpfs rw\n", false},
		{"file systems of the kernel", "30 20 0:4 / /host/proc rw - proc proc rw\n31 20 0:5 / /host/sys rw - sysfs sysfs rw\n", true},
		{"mounts elsewhere", "30 20 0:26 / /data rw - ext4 /dev/sdb rw\n", true},
		{"a folder whose name begins alike", "30 20 0:26 / /hosts rw - ext4 /dev/sdb rw\n", true},
	}
	for _, tt := range tests {
		if err := propagates(strings.NewReader(tt.mounts), "/host"); (err == nil) != tt.ok {
			t.Errorf("%s: %v, want ok %t", tt.name, err, tt.ok)
		}
	}
	if err := propagates(strings.NewReader("nonsense\n"), "/host"); err == nil {
		t.Error("nonsense was understood")
	}
}
