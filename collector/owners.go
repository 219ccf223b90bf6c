// SPDX-License-Identifier: Apache-2.0

//go:build linux

package collector

import (
	"context"
	"errors"
	"slices"

	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/tcpq"
)

// An ownerSearch finds the processes that hold the listeners of a pass.
//
// It looks where a holder most probably is and goes on only for what is still
// open: the only process of the cgroup a socket was made in, the processes of its
// namespace unless that is the host's, those of its cgroup, then all others.
type ownerSearch struct {
	pass    *pass
	host    Host
	open    map[uint32]bool  // inodes of listeners still without a holder
	holders map[uint32][]int // processes that hold an inode, as found
	scanned map[int]bool
	denied  bool              // the descriptors of some process may not be seen
	refused map[int]bool      // processes that refused theirs
	strays  []*host.Namespace // met as descriptors, known from no other source

	infos  map[int]*tcpq.Owner
	handed map[int]map[uint32]bool // inodes of the sockets that a process was handed
	shared map[string]*tcpq.Owner  // owners by who holds, so that equal ones are one
	places map[uint64]place        // of cgroup ids
	pods   map[string]host.PodLog
}

// findOwners fills in the Owner of every listener that has none yet. Namespaces
// that were met only as descriptors on the way are visited, too.
func (p *pass) findOwners(ctx context.Context, processes []host.Process) error {
	p.collector.forgetOwners(p.snapshot.Namespaces, processes)
	s := &ownerSearch{
		pass: p, host: p.collector.host,
		open: map[uint32]bool{}, holders: map[uint32][]int{}, scanned: map[int]bool{}, refused: map[int]bool{},
		infos: map[int]*tcpq.Owner{}, handed: map[int]map[uint32]bool{}, shared: map[string]*tcpq.Owner{}, places: map[uint64]place{},
		denied: p.snapshot.Coverage.ProcessesHidden || p.snapshot.Coverage.OwnPIDNamespace,
	}
	for first := 0; ; {
		s.want(p.snapshot.Namespaces[first:])
		all, err := s.search(ctx, processes)
		if err != nil {
			return err
		}
		processes = all
		if len(s.strays) == 0 {
			break
		}
		first = len(p.snapshot.Namespaces)
		if err := p.run(ctx, s.strays); err != nil {
			return err
		}
		p.collector.strays = append(p.collector.strays, s.strays...)
		s.strays = nil
	}
	s.nameOwners()
	s.countLeft(processes)
	return nil
}

// countLeft counts the processes whose descriptors were looked into neither now
// nor in an earlier pass, and those that may be seen but not their descriptors.
func (s *ownerSearch) countLeft(processes []host.Process) {
	searched := make(map[int]bool, len(processes))
	for _, p := range processes {
		if s.refused[p.PID] && !p.Denied {
			s.pass.snapshot.Coverage.DescriptorsDenied++
		}
		if s.scanned[p.PID] || s.pass.collector.searched[p.PID] {
			searched[p.PID] = true
		} else {
			s.pass.snapshot.Coverage.DescriptorsLeft++
		}
	}
	s.pass.collector.searched = searched
}

// want notes whose holders are looked for.
func (s *ownerSearch) want(namespaces []tcpq.Namespace) {
	for i := range namespaces {
		for j := range namespaces[i].Listeners {
			l := &namespaces[i].Listeners[j]
			if l.Inode != 0 && l.Owner == nil && len(s.holders[l.Inode]) == 0 {
				s.open[l.Inode] = true
			}
		}
	}
}

// search looks for holders until every listener has one or all processes were
// looked into. It returns the processes of the host when it had to list them.
func (s *ownerSearch) search(ctx context.Context, processes []host.Process) ([]host.Process, error) {
	if len(s.open) == 0 {
		return processes, ctx.Err()
	}
	if pid := s.pass.collector.opts.Search.PID; pid != 0 {
		s.scan(ctx, pid) // whose listeners are asked for
	}
	for _, look := range []func(){
		func() { s.scanLoneOfCgroups(ctx) },
		func() { s.scanNetns(ctx, processes, func(n *tcpq.Namespace) bool { return !n.Host }) }, // of a pod they are few
		func() { s.scanCgroups(ctx) },
	} {
		look()
		s.settle()
		if len(s.open) == 0 {
			return processes, ctx.Err()
		}
	}
	if processes == nil {
		var err error
		if processes, err = s.host.Processes(ctx); err != nil {
			s.pass.snapshot.Errors = append(s.pass.snapshot.Errors, tcpq.Error{Stage: "owners", Message: err.Error()})
			return nil, ctx.Err()
		}
	}
	s.scanNetns(ctx, processes, func(*tcpq.Namespace) bool { return true })
	s.settle()
	if len(s.open) == 0 {
		return processes, ctx.Err()
	}
	for i, p := range processes {
		if ctx.Err() != nil {
			break
		}
		if i%256 == 0 {
			s.pass.collector.opts.Progress("looking for owners", i, len(processes))
		}
		s.scan(ctx, p.PID)
	}
	return processes, ctx.Err()
}

// A maker is a cgroup that listeners were made in.
type maker struct {
	pids   []int           // its processes
	inodes map[uint32]bool // of those listeners that are still without a holder
}

// makers returns the cgroups the sockets were made in. The root cgroup says nothing.
func (s *ownerSearch) makers() []maker {
	made := map[uint64]map[uint32]bool{} // inodes of listeners, by cgroup
	s.eachListener(func(_ *tcpq.Namespace, l *tcpq.Listener) {
		if l.Cgroup == 0 || !s.open[l.Inode] {
			return
		}
		if made[l.Cgroup] == nil {
			made[l.Cgroup] = map[uint32]bool{}
		}
		made[l.Cgroup][l.Inode] = true
	})
	var all []maker
	for id, inodes := range made {
		if path, ok := s.host.CgroupPath(id); ok && path != "/" {
			all = append(all, maker{s.host.CgroupProcesses(path), inodes})
		}
	}
	return all
}

// scanLoneOfCgroups looks into the cgroups that have one process.
func (s *ownerSearch) scanLoneOfCgroups(ctx context.Context) {
	for _, m := range s.makers() {
		if len(m.pids) == 1 {
			s.scanLone(ctx, m.pids[0], m.inodes)
		}
	}
}

// scanCgroups looks into all processes of the cgroups.
func (s *ownerSearch) scanCgroups(ctx context.Context) {
	for _, m := range s.makers() {
		for _, pid := range m.pids {
			s.scan(ctx, pid)
		}
	}
}

// enoughProof is how many of the sockets made in a cgroup the only process there
// must be seen to hold, to be taken for the holder of all of them: a process of
// ten thousand listeners need not be looked through.
const enoughProof = 256

// scanLone looks for sockets in the only process of the cgroup they were made in.
// Most are met early, because listeners are opened early.
func (s *ownerSearch) scanLone(ctx context.Context, pid int, inodes map[uint32]bool) {
	met := map[uint32]bool{}
	err := s.host.Descriptors(pid, func(d host.Descriptor) (more bool) {
		if inode := uint32(d.Inode); !d.Netns && inodes[inode] {
			met[inode] = true
		}
		return len(met) < min(len(inodes), enoughProof) && ctx.Err() == nil
	})
	if errors.Is(err, host.ErrPermission) {
		s.denied, s.refused[pid] = true, true
	}
	if len(met) == enoughProof {
		met = inodes
	}
	for inode := range met {
		s.hold(inode, pid)
	}
}

// hold notes that a process holds a socket, which it may do twice.
func (s *ownerSearch) hold(inode uint32, pid int) {
	if pids := s.holders[inode]; !slices.Contains(pids, pid) {
		s.holders[inode] = append(pids, pid)
	}
}

// scanNetns looks into the processes of those namespaces that still have listeners
// without a holder.
func (s *ownerSearch) scanNetns(ctx context.Context, processes []host.Process, of func(*tcpq.Namespace) bool) {
	netns := map[uint64]bool{}
	s.eachListener(func(n *tcpq.Namespace, l *tcpq.Listener) {
		if s.open[l.Inode] && of(n) {
			netns[n.ID.Inode] = true
		}
	})
	for _, p := range processes {
		if netns[p.Netns] {
			s.scan(ctx, p.PID)
		}
	}
}

// scan looks through the descriptors of a process.
func (s *ownerSearch) scan(ctx context.Context, pid int) {
	if s.scanned[pid] {
		return
	}
	s.scanned[pid] = true
	err := s.host.Descriptors(pid, func(d host.Descriptor) bool {
		inode := uint32(d.Inode)
		switch {
		case d.Netns:
			s.stray(pid, d)
		case s.open[inode] || len(s.holders[inode]) > 0:
			s.hold(inode, pid)
		}
		return ctx.Err() == nil
	})
	if errors.Is(err, host.ErrPermission) {
		s.denied, s.refused[pid] = true, true
	}
}

// stray notes a descriptor of a namespace that no other source gave.
func (s *ownerSearch) stray(pid int, d host.Descriptor) {
	if !s.pass.collector.opts.Search.All() || s.pass.known[d.Inode] {
		return
	}
	s.pass.known[d.Inode] = true
	s.strays = append(s.strays, s.host.NamespaceOf(pid, d))
}

// settle closes what was found. A socket that only a service manager holds stays
// open: it keeps the sockets it hands to its services.
func (s *ownerSearch) settle() {
	for inode := range s.open {
		if pids := s.holders[inode]; len(pids) > 1 || len(pids) == 1 && !s.isManager(pids[0]) {
			delete(s.open, inode)
		}
	}
}

// isManager reports whether a process is a service manager: process 1, or a
// systemd of a user or a container.
func (s *ownerSearch) isManager(pid int) bool {
	if pid == 1 {
		return true
	}
	o := s.process(pid)
	return o != nil && o.Comm == "systemd"
}

func (s *ownerSearch) eachListener(f func(*tcpq.Namespace, *tcpq.Listener)) {
	eachListener(s.pass.snapshot.Namespaces, f)
}
