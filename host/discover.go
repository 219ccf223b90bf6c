// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
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
	fd, err := d.live.openNetnsFile(d.live.path("proc/1/ns/net"))
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
