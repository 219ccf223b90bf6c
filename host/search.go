// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"github.com/qtune/qtune/tcpq"
)

// hostMounts returns the mount namespace whose mounts name namespaces: that of
// process 1, or this process's where it may not be seen. Whoever has a user
// namespace can mount under any name in a mount namespace of his own.
func (l *Live) hostMounts(procs []Process) uint64 {
	for _, p := range procs {
		if p.PID == 1 && p.Mntns != 0 {
			return p.Mntns
		}
	}
	var st unix.Stat_t
	if unix.Stat(l.path("proc/thread-self/ns/mnt"), &st) != nil {
		return 0
	}
	return st.Ino
}

// searchMounts finds the namespaces that a mount keeps, in every distinct mount
// namespace: ip-netns(8), Docker and CNI plugins each have a folder of them.
func (d *discovery) searchMounts(procs []Process) {
	seen := map[uint64]bool{}
	hostMounts := d.live.hostMounts(procs)
	for _, p := range procs {
		if p.Mntns == 0 || seen[p.Mntns] {
			continue
		}
		f, err := os.Open(d.live.path("proc/" + strconv.Itoa(p.PID) + "/mountinfo"))
		if err != nil && !errors.Is(err, fs.ErrPermission) {
			continue // it ended: ask another process
		}
		seen[p.Mntns] = true
		if err != nil {
			d.found.Coverage.MountsDenied++
			continue
		}
		d.found.Coverage.MountNamespaces++
		mounts, err := mountinfo.GetMountsFromReader(f, mountinfo.FSTypeFilter("nsfs"))
		f.Close()
		if err != nil {
			d.found.Errors = append(d.found.Errors, tcpq.Error{Stage: "discover", Message: fmt.Sprintf("mounts of process %d: %v", p.PID, err)})
			continue
		}
		for _, m := range mounts {
			kind, inode, err := parseLink([]byte(m.Root))
			if err != nil || kind != "net" {
				continue
			}
			ns := d.at(inode)
			if ns.Name == "" && p.Mntns == hostMounts {
				ns.Name = filepath.Base(m.Mountpoint)
			}
			ns.addDoor(door{path: d.live.path("proc/" + strconv.Itoa(p.PID) + "/root" + m.Mountpoint)})
		}
	}
}

// searchKernel asks the kernel itself, where it can be asked. Without the
// capabilities it needs it names only some: then what it says is not all.
func (d *discovery) searchKernel() {
	ids, err := listNetns()
	if err != nil {
		return // no listns(2), or not permitted: the other sources stand
	}
	listed := map[uint64]bool{}
	for _, id := range ids {
		fd, err := openNetnsID(id)
		if err != nil {
			continue // ended meanwhile
		}
		if inode, err := inodeOf(fd); err == nil {
			listed[inode] = true
			d.at(inode).addDoor(door{id: id})
		}
		unix.Close(fd)
	}
	d.found.Coverage.Listns = len(listed) == len(d.byInode) && d.live.mayListAll()
}

// searchThreads finds namespaces that a single thread entered.
func (d *discovery) searchThreads(p Process) {
	tasks := d.live.path("proc/" + strconv.Itoa(p.PID) + "/task")
	dir, err := os.Open(tasks)
	if err != nil {
		return
	}
	defer dir.Close()
	tids, _ := dir.Readdirnames(-1)
	for _, tid := range tids {
		if inode, err := nsInode(int(dir.Fd()), tid+"/ns/net"); err == nil && inode != p.Netns {
			d.at(inode).addDoor(door{path: tasks + "/" + tid + "/ns/net"})
		}
	}
}

// searchDescriptors finds namespaces that only a descriptor or a socket holds.
func (d *discovery) searchDescriptors(p Process) {
	pidfd, err := unix.PidfdOpen(p.PID, 0)
	if err != nil {
		return
	}
	defer unix.Close(pidfd)
	seen := map[uint64]bool{}                            // cookies of namespaces this process has sockets in
	d.live.Descriptors(p.PID, func(fd Descriptor) bool { //nolint:errcheck // processes that are denied were counted already
		if fd.Netns {
			d.addDescriptor(p.PID, fd)
			return true
		}
		inode, err := inodeOfSocket(pidfd, fd.FD, seen)
		if err == nil && inode != 0 && inode != p.Netns {
			d.at(inode).addDoor(door{socket: socketRef{p.PID, fd.FD}})
		}
		return true
	})
}

func (d *discovery) addDescriptor(pid int, fd Descriptor) {
	d.at(fd.Inode).addDoor(door{path: d.live.path(fmt.Sprintf("proc/%d/fd/%d", pid, fd.FD))})
}

// NamespaceOf returns the namespace that a descriptor met on the way opens.
func (l *Live) NamespaceOf(pid int, fd Descriptor) *Namespace {
	d := discovery{live: l, byInode: map[uint64]*Namespace{}}
	d.addDescriptor(pid, fd)
	return d.byInode[fd.Inode]
}
