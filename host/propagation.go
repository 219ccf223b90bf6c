// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/moby/sys/mountinfo"
)

// Propagates returns an error when this process runs in a container into which the
// host's mounts were copied once and for all: its copies of namespace mounts would
// keep dead pods' namespaces alive, and new ones would never be seen.
func (l *Live) Propagates() error {
	if l.root == "/" {
		return nil
	}
	f, err := os.Open(l.path("proc/thread-self/mountinfo"))
	if err != nil {
		return fmt.Errorf("read the mounts of this process: %w", meaning(err))
	}
	defer f.Close()
	return propagates(f, l.root)
}

// propagates looks at the mounts from root down. Kernel file systems show no
// mounts of others.
func propagates(mounts io.Reader, root string) error {
	all, err := mountinfo.GetMountsFromReader(mounts, mountinfo.PrefixFilter(root))
	if err != nil {
		return fmt.Errorf("read the mounts of this process: %w", err)
	}
	for _, m := range all {
		switch m.FSType {
		case "proc", "sysfs", "cgroup", "cgroup2", "nsfs", "mqueue", "devpts":
			continue
		}
		if !strings.Contains(m.Optional, "master:") && !strings.Contains(m.Optional, "shared:") {
			return fmt.Errorf("%s does not follow the mounts of the host: mount it with mountPropagation: HostToContainer (Docker: bind-propagation=rslave)", m.Mountpoint)
		}
	}
	return nil
}
