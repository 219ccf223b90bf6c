// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"github.com/qtune/qtune/tcpq"
)

// A discovery gathers namespaces by number from every source.
type discovery struct {
	live    *Live
	own     uint64
	byInode map[uint64]*Namespace
	found   Found
}

// Namespaces finds the network namespaces that s asks for.
func (l *Live) Namespaces(ctx context.Context, s Search) (Found, error) {
	own, err := l.ownNetns()
	if err != nil {
		return Found{}, err
	}
	d := &discovery{live: l, own: own, byInode: map[uint64]*Namespace{}}
	d.found.Coverage.ProcessesHidden = l.hidesProcesses()
	d.found.Coverage.OwnPIDNamespace = !l.inInitialPIDNamespace()
	switch {
	case s.Path != "":
		err = d.addPath(s.Path)
	case s.PID != 0:
		err = d.addPath(l.path("proc/" + strconv.Itoa(s.PID) + "/ns/net"))
		if errors.Is(err, ErrAbsent) {
			err = fmt.Errorf("process %d: %w", s.PID, ErrGone)
		}
	case s.Host:
		err = d.addHost()
	default:
		err = d.searchAll(ctx, s.Deep)
	}
	if err != nil {
		return Found{}, err
	}
	d.markHost()
	for _, ns := range d.byInode {
		if s.wants(ns) {
			d.found.Namespaces = append(d.found.Namespaces, ns)
		}
	}
	slices.SortFunc(d.found.Namespaces, compareNamespaces)
	return d.found, s.missing(d.found.Namespaces)
}

// compareNamespaces orders namespaces for a visit.
func compareNamespaces(a, b *Namespace) int {
	return cmp.Or(cmp.Compare(a.rank(), b.rank()), cmp.Compare(a.Inode, b.Inode))
}

// rank puts this process's own namespace first, because it is visited before the
// thread leaves it, then the host's.
func (ns *Namespace) rank() int {
	switch {
	case ns.own:
		return 0
	case ns.Host:
		return 1
	}
	return 2
}

// at returns the namespace of that number, making it when it is new.
func (d *discovery) at(inode uint64) *Namespace {
	ns := d.byInode[inode]
	if ns == nil {
		ns = &Namespace{Inode: inode, own: inode == d.own}
		d.byInode[inode] = ns
	}
	return ns
}

// addPath finds the one namespace that a file opens.
func (d *discovery) addPath(path string) error {
	fd, err := d.live.openNetnsFile(path)
	if errors.Is(err, errNoNamespace) {
		return fmt.Errorf("%s is not a network namespace", path)
	}
	if err != nil {
		return meaning(&fs.PathError{Op: "open", Path: path, Err: err})
	}
	defer unix.Close(fd)
	kind, err := unix.IoctlRetInt(fd, unix.NS_GET_NSTYPE)
	if err != nil || kind != unix.CLONE_NEWNET {
		return fmt.Errorf("%s is not a network namespace", path)
	}
	inode, err := inodeOf(fd)
	if err != nil {
		return err
	}
	ns := d.at(inode)
	ns.addDoor(door{path: path})
	if pid, ok := d.live.pidOfPath(path); ok {
		ns.PID = pid
	} else if !strings.HasPrefix(path, d.live.path("proc")+"/") {
		ns.Name = filepath.Base(path)
	}
	return nil
}

// pidOfPath reads PID from .../proc/PID/ns/net.
func (l *Live) pidOfPath(path string) (int, bool) {
	rest, ok := strings.CutPrefix(path, l.path("proc")+"/")
	if !ok {
		return 0, false
	}
	first, ok := strings.CutSuffix(rest, "/ns/net")
	pid, err := strconv.Atoi(first)
	return pid, ok && err == nil
}

// addHost finds the host's namespace alone.
func (d *discovery) addHost() error {
	err := d.addPath(d.live.path("proc/1/ns/net"))
	if err == nil || !errors.Is(err, ErrPermission) {
		return err
	}
	if !d.live.inInitialNetns() {
		return fmt.Errorf("the host's network namespace: %w (CAP_SYS_PTRACE)", err)
	}
	d.at(d.own)
	return nil
}

// markHost marks the namespace of process 1 or, where that may not be seen, this
// process's if it is the kernel's first one.
func (d *discovery) markHost() {
	fd, err := unix.Open(d.live.path("proc/1/ns/net"), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		if ns := d.byInode[d.own]; ns != nil {
			ns.Host = d.live.inInitialNetns()
		}
		return
	}
	defer unix.Close(fd)
	if inode, err := inodeOf(fd); err == nil {
		if ns := d.byInode[inode]; ns != nil {
			ns.Host = true
		}
	}
}

// searchAll looks wherever a namespace can be held.
func (d *discovery) searchAll(ctx context.Context, deep bool) error {
	procs, err := d.live.Processes(ctx)
	if err != nil {
		return fmt.Errorf("list processes: %w", err)
	}
	d.found.Processes = procs
	d.found.Coverage.Processes = len(procs)
	d.at(d.own)
	d.searchMounts(procs) // first: a mount lasts longer than a process
	for _, p := range procs {
		if p.Denied {
			d.found.Coverage.ProcessesDenied++
			continue
		}
		ns := d.at(p.Netns)
		if ns.PID == 0 {
			ns.PID = p.PID
		}
		ns.addDoor(door{path: d.live.path("proc/" + strconv.Itoa(p.PID) + "/ns/net")})
	}
	d.searchKernel()
	if deep {
		for _, p := range procs {
			if err := ctx.Err(); err != nil {
				return err
			}
			d.searchThreads(p)
			d.searchDescriptors(p)
		}
		d.found.Coverage.SocketsSearched = true
	}
	return nil
}

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
	seen := map[uint64]bool{} // cookies of namespaces this process has sockets in
	err = d.live.Descriptors(p.PID, func(fd Descriptor) bool {
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
	if errors.Is(err, ErrPermission) {
		d.found.Coverage.DescriptorsLeft++
	}
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
