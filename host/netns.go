// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A Namespace is a network namespace and the ways into it. It holds nothing
// open: an open handle would keep a dead pod's namespace and devices alive.
type Namespace struct {
	Inode  uint64
	Cookie uint64 // SO_NETNS_COOKIE, 0 until the first visit and before Linux 5.14
	Host   bool   // the namespace of process 1
	Name   string // of a mount such as /run/netns/NAME, "" when it has none
	PID    int    // a process in it, 0 when none is known

	own   bool // this process's: nothing to enter
	doors []door

	before uint64 // the cookie of the one that had this number at an earlier search
}

// Recall takes over from namespaces that were visited what makes the way into the
// same ones shorter.
func (f *Found) Recall(visited []*Namespace) {
	cookies := make(map[uint64]uint64, len(visited))
	for _, ns := range visited {
		cookies[ns.Inode] = ns.known()
	}
	for _, ns := range f.Namespaces {
		ns.before = cookies[ns.Inode]
	}
}

// known returns the cookie of ns, or the one that it has if it is the namespace
// that had its number before. No cookie is given twice, and a namespace has one
// number all its life: who arrives where this cookie is has arrived in ns.
func (ns *Namespace) known() uint64 { return cmp.Or(ns.Cookie, ns.before) }

// maxDoors is how many ways into a namespace are remembered: processes end.
const maxDoors = 4

// A door is one way into a namespace; exactly one of its fields is set.
type door struct {
	path   string // a file that opens it
	id     uint64 // what listns(2) calls it
	socket socketRef
}

// A socketRef is a socket of another process that is in the namespace.
type socketRef struct{ pid, fd int }

// addDoor remembers one more way in.
func (ns *Namespace) addDoor(d door) {
	if len(ns.doors) < maxDoors {
		ns.doors = append(ns.doors, d)
	}
}

// open returns a descriptor of the namespace, through the first door that still
// leads there.
func (l *Live) open(ns *Namespace) (int, error) {
	err := error(ErrGone)
	for _, d := range ns.doors {
		fd, e := l.openDoor(d)
		if e != nil {
			err = e
			if isGone(e) {
				err = ErrGone
			}
			continue
		}
		if inode, e := inodeOf(fd); e == nil && inode == ns.Inode {
			return fd, nil
		}
		unix.Close(fd)
		err = ErrGone // the number of the process was reused
	}
	return -1, fmt.Errorf("open net:[%d]: %w", ns.Inode, meaning(err))
}

// isGone reports whether the way in ended: the process, its descriptor or mount.
func isGone(err error) bool {
	for _, gone := range []error{
		unix.ENOENT, unix.ESRCH, unix.ESTALE, // process, mount, id
		unix.EBADF, unix.ENOTTY, unix.ENOTSOCK, // descriptor closed, or something else now
	} {
		if errors.Is(err, gone) {
			return true
		}
	}
	return false
}

func (l *Live) openDoor(d door) (int, error) {
	switch {
	case d.path != "":
		return l.openNetnsFile(d.path)
	case d.id != 0:
		return openNetnsID(d.id)
	}
	return d.socket.openNetns()
}

// openNetnsFile opens a file that should be a namespace, and nothing else: whoever
// may mount, in a user namespace of his own, can put a FIFO there, which would
// make us wait, or a watchdog, which opening arms.
func (l *Live) openNetnsFile(path string) (int, error) {
	at, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0) // opens without touching
	if err != nil {
		return -1, err
	}
	defer unix.Close(at)
	var fs unix.Statfs_t
	if err := unix.Fstatfs(at, &fs); err != nil {
		return -1, err
	}
	switch {
	case fs.Type == unix.NSFS_MAGIC:
	case fs.Type == unix.PROC_SUPER_MAGIC && strings.HasSuffix(path, "/ns/net"):
		return -1, whyNoNetns() // the folder was opened instead
	default:
		return -1, errNoNamespace
	}
	fd, err := unix.Open(l.path("proc/thread-self/fd/"+strconv.Itoa(at)), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) {
		return -1, fmt.Errorf("%s is not the proc of this process", l.path("proc"))
	}
	return fd, err
}

// errNoNamespace says that a file is no namespace: another was mounted over it.
var errNoNamespace = fmt.Errorf("not a namespace: %w", ErrGone)

// openNetns opens the namespace of another process's socket: it takes a
// duplicate for the moment of the question. It needs CAP_SYS_PTRACE, and
// CAP_NET_ADMIN in that namespace.
func (s socketRef) openNetns() (int, error) {
	pidfd, err := unix.PidfdOpen(s.pid, 0)
	if err != nil {
		return -1, err
	}
	defer unix.Close(pidfd)
	dup, err := unix.PidfdGetfd(pidfd, s.fd, 0)
	if err != nil {
		return -1, err
	}
	defer unix.Close(dup)
	return unix.IoctlRetInt(dup, unix.SIOCGSKNS)
}

// inodeOfSocket returns the number of the namespace of another process's
// socket, 0 when it is one of those seen. Asking for the cookie first costs a
// third of asking for the namespace itself.
func inodeOfSocket(pidfd, fd int, seen map[uint64]bool) (uint64, error) {
	dup, err := unix.PidfdGetfd(pidfd, fd, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(dup)
	if cookie, err := unix.GetsockoptUint64(dup, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE); err == nil {
		if seen[cookie] {
			return 0, nil
		}
		seen[cookie] = true
	}
	netns, err := unix.IoctlRetInt(dup, unix.SIOCGSKNS)
	if err != nil {
		return 0, err
	}
	defer unix.Close(netns)
	return inodeOf(netns)
}

// inodeOf returns the number of the namespace behind a descriptor.
func inodeOf(fd int) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return 0, err
	}
	return st.Ino, nil
}

// ownNetns returns the number of this thread's namespace.
func (l *Live) ownNetns() (uint64, error) {
	var st unix.Stat_t
	if err := unix.Stat(l.path("proc/thread-self/ns/net"), &st); err != nil {
		return 0, meaning(&os.PathError{Op: "stat", Path: l.path("proc/thread-self/ns/net"), Err: err})
	}
	return st.Ino, nil
}
