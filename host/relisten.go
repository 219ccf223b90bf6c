// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/qtune/qtune/tcpq"
)

// The kernels that brought the calls.
var (
	pidfdOpenSince  = [2]int{5, 3}
	pidfdGetfdSince = [2]int{5, 6}
)

// Relisten resizes a running listener.
func (in *inside) Relisten(s *Socket, from, to uint32) error {
	err := in.fetch(s, func(r *resize) { r.listen, r.from, r.to = true, from, to })
	if err != nil {
		return fmt.Errorf("resize %v from %d to %d: %w", s, from, to, err)
	}
	return nil
}

// MayFetch tries all of Relisten but listen(2). No cheaper question has the same
// answer: kcmp(2) asks for less, and filters and LSMs look at pidfd_getfd(2).
func (in *inside) MayFetch(s *Socket) error {
	if err := in.fetch(s, func(*resize) {}); err != nil {
		return fmt.Errorf("fetch %v: %w", s, err)
	}
	return nil
}

// fetch lets a resize get hold of the socket through one of the processes that
// hold it. A process that ended, or gave the socket away, does not decide.
func (in *inside) fetch(s *Socket, order func(*resize)) error {
	r, err := in.prepare(s)
	if err != nil {
		return err
	}
	defer unix.Close(r.somaxconn)
	order(r)
	err = fmt.Errorf("no process that holds it is known: %w", ErrAbsent)
	for i, pid := range s.PIDs {
		e := in.fetchFrom(pid, r)
		if !errors.Is(e, ErrGone) && !errors.Is(e, ErrPermission) {
			return e
		}
		if i == 0 || errors.Is(err, ErrGone) { // what may not be seen tells more
			err = e
		}
	}
	return err
}

// prepare makes ready what a resize needs of the visited namespace. The file of
// somaxconn stays that of this namespace, and is read when the socket is there.
func (in *inside) prepare(s *Socket) (r *resize, err error) {
	r = &resize{socket: s, addr: s.Addr.Unmap().WithZone(""), netns: in.diag.Netns()}
	if r.netns == 0 {
		if r.netnsInode, err = in.live.ownNetns(); err != nil {
			return nil, err
		}
	}
	at, err := in.sysctls.open(in.live.path("proc/sys/net/core/"))
	if err == nil {
		r.somaxconn, err = unix.Openat(at, "somaxconn", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	}
	if errors.Is(err, unix.ENOENT) {
		return nil, fmt.Errorf("%w: %s of its namespace is hidden, as in child user namespaces before Linux 6.6, "+
			"and without it listen(2) might shrink the queue: %w", ErrUnsupported, tcpq.Somaxconn, err)
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", tcpq.Somaxconn, meaning(err))
	}
	return r, nil
}

// fetchFrom lets r get hold of the socket through one process.
//
// The pidfd is opened before the process's descriptors are listed. So if the
// number of the process is reused meanwhile, the descriptor found is one of
// another process: it is not there in the one that ended.
func (in *inside) fetchFrom(pid int, r *resize) error {
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return fmt.Errorf("pidfd_open %d: %w", pid, in.live.whyNotFetched(err, pidfdOpenSince))
	}
	defer unix.Close(pidfd)
	fd, err := in.live.descriptorOf(pid, r.socket.Inode)
	if err != nil {
		return err
	}
	err = r.run(pidfd, fd)
	switch {
	case err == nil:
		return nil
	case r.doing == doingFetch:
		err = in.live.whyNotFetched(err, pidfdGetfdSince)
	default:
		err = r.explain(err)
	}
	return fmt.Errorf("%s descriptor %d of process %d: %w", r.doing, fd, pid, err)
}

// descriptorOf returns the number by which a process has a socket.
func (l *Live) descriptorOf(pid int, inode uint32) (int, error) {
	fd := -1
	err := l.Descriptors(pid, func(d Descriptor) bool {
		if !d.Netns && d.Inode == uint64(inode) {
			fd = d.FD
		}
		return fd < 0
	})
	switch {
	case errors.Is(err, ErrPermission):
		return -1, fmt.Errorf("list the descriptors of process %d, which needs CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH: %w", pid, err)
	case errors.Is(err, ErrAbsent):
		return -1, fmt.Errorf("process %d: %w", pid, ErrGone)
	case err != nil:
		return -1, fmt.Errorf("list the descriptors of process %d: %w", pid, err)
	case fd < 0:
		return -1, fmt.Errorf("process %d holds socket:[%d] no more: %w", pid, inode, ErrGone)
	}
	return fd, nil
}
