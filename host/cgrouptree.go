// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// A cgroupTree finds a cgroup v2 by its id, which is the inode number of its
// directory and what a socket carries.
type cgroupTree struct {
	searched bool
	mount    string            // where the v2 hierarchy is mounted; "" when it is not
	walked   map[uint64]string // ids to paths, once handles were refused
}

// CgroupPath returns the path of a cgroup v2 below its root, "/" for the root.
func (l *Live) CgroupPath(id uint64) (path string, ok bool) {
	t := &l.cgroups
	if l.cgroupRoot() == "" || id == 0 {
		return "", false
	}
	if t.walked == nil {
		path, err := cgroupByHandle(t.mount, id)
		if err == nil {
			return path, true
		}
		if err != unix.EPERM { //nolint:errorlint // a bare errno, from one system call
			return "", false // ESTALE: the cgroup is gone
		}
		t.walked = walkCgroups(t.mount)
	}
	path, ok = t.walked[id]
	return path, ok
}

// cgroupRoot returns where the v2 hierarchy is mounted, "" when it is not.
func (l *Live) cgroupRoot() string {
	if !l.cgroups.searched {
		l.cgroups.searched = true
		l.cgroups.mount = l.cgroupMount()
	}
	return l.cgroups.mount
}

// CgroupProcesses returns the processes of a cgroup v2, without its children's.
func (l *Live) CgroupProcesses(path string) []int {
	content, err := os.ReadFile(filepath.Join(l.cgroupRoot(), path, "cgroup.procs"))
	if err != nil {
		return nil // gone meanwhile
	}
	var pids []int
	for line := range bytes.Lines(content) {
		if pid, err := strconv.Atoi(string(bytes.TrimSpace(line))); err == nil && pid > 0 {
			pids = append(pids, pid)
		}
	}
	return pids
}

// cgroupMount returns where the v2 hierarchy is mounted on the host.
func (l *Live) cgroupMount() string {
	who := "self"
	if l.root != "/" {
		who = "1" // the host's own mounts, not those of this container
	}
	f, err := os.Open(l.path("proc/" + who + "/mountinfo"))
	if err != nil {
		return ""
	}
	defer f.Close()
	mounts, err := mountinfo.GetMountsFromReader(f, mountinfo.FSTypeFilter("cgroup2"))
	if err != nil || len(mounts) == 0 {
		return ""
	}
	return l.path(mounts[0].Mountpoint)
}

// fileidKernfs is the type of a kernfs file handle, which is the 64-bit id.
const fileidKernfs = 0xfe

// cgroupByHandle asks the kernel for the directory with this id.
// It needs CAP_DAC_READ_SEARCH.
func cgroupByHandle(mount string, id uint64) (string, error) {
	at, err := unix.Open(mount, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	defer unix.Close(at)
	handle := unix.NewFileHandle(fileidKernfs, binary.NativeEndian.AppendUint64(nil, id))
	fd, err := unix.OpenByHandleAt(at, handle, unix.O_PATH|unix.O_CLOEXEC)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	full, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
	if err != nil {
		return "", err
	}
	return "/" + strings.TrimPrefix(strings.TrimPrefix(full, mount), "/"), nil
}

// walkCgroups reads the id of every directory of the hierarchy.
func walkCgroups(mount string) map[uint64]string {
	ids := map[uint64]string{}
	filepath.WalkDir(mount, func(path string, d os.DirEntry, err error) error { //nolint:errcheck // what cannot be read is skipped
		if err != nil || !d.IsDir() {
			return nil
		}
		var st unix.Stat_t
		if unix.Lstat(path, &st) == nil {
			ids[st.Ino] = "/" + strings.TrimPrefix(strings.TrimPrefix(path, mount), "/")
		}
		return nil
	})
	return ids
}
