// SPDX-License-Identifier: Apache-2.0

//go:build linux

package collector

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/tcpq"
)

// nameOwners gives every listener its owner.
func (s *ownerSearch) nameOwners() {
	s.eachListener(func(_ *tcpq.Namespace, l *tcpq.Listener) {
		if l.Owner != nil {
			return
		}
		pids := s.holders[l.Inode]
		key := ownerKey(pids, l)
		o := s.shared[key]
		if o == nil {
			o = s.owner(pids, l)
			s.shared[key] = o
		}
		if len(o.PIDs) > 0 && !o.Inherited && s.handed[o.PIDs[0]][l.Inode] {
			key += "handed"
			if s.shared[key] == nil {
				handed := *o
				handed.Inherited = true
				s.shared[key] = &handed
			}
			o = s.shared[key]
		}
		l.Owner = o
	})
}

// ownerKey is equal for listeners that have the same owner.
func ownerKey(pids []int, l *tcpq.Listener) string {
	var b []byte
	if len(pids) == 0 {
		return fmt.Sprint(l.Cgroup, l.UID, l.Port)
	}
	for _, pid := range pids {
		b = append(strconv.AppendInt(b, int64(pid), 10), ',')
	}
	return string(b)
}

// owner makes the Owner of a listener: of the oldest process that holds it, or
// of the cgroup it was made in when no process does.
func (s *ownerSearch) owner(pids []int, l *tcpq.Listener) *tcpq.Owner {
	var known []*tcpq.Owner
	for _, pid := range pids {
		if o := s.process(pid); o != nil {
			known = append(known, o)
		}
	}
	if len(known) == 0 {
		o := &tcpq.Owner{UID: l.UID, Unfound: tcpq.NobodyHolds}
		s.placeByCgroup(o, l.Cgroup)
		switch {
		case s.denied:
			o.Unfound = tcpq.NotPermitted
		case isKernelSocket(l):
			o.Unfound = tcpq.KernelSocket
		}
		return o
	}
	slices.SortFunc(known, func(a, b *tcpq.Owner) int {
		return cmp.Or(
			cmp.Compare(s.managerLast(a), s.managerLast(b)), a.Started.Compare(b.Started), cmp.Compare(a.PIDs[0], b.PIDs[0]))
	})
	o := *known[0]
	program := s.host.Program(o.PIDs[0])
	o.Argv, o.Build = program.Argv, program.Build
	if program.Handed > 0 {
		s.handed[o.PIDs[0]] = s.firstSockets(o.PIDs[0], program.Handed)
	}
	o.PIDs = nil
	for _, k := range known {
		o.PIDs = append(o.PIDs, k.PIDs[0])
		o.Inherited = o.Inherited || k != known[0] && s.isManager(k.PIDs[0])
	}
	return &o
}

// firstSockets returns the inodes of the sockets at the descriptors where a process
// finds the n that it was handed. One that was moved from there, as Go does, is
// known only while a service manager holds it, too.
func (s *ownerSearch) firstSockets(pid, n int) map[uint32]bool {
	const first = 3 // SD_LISTEN_FDS_START
	inodes := map[uint32]bool{}
	s.host.Descriptors(pid, func(d host.Descriptor) bool { //nolint:errcheck // what could be read
		if !d.Netns && d.FD >= first && d.FD-first < n {
			inodes[uint32(d.Inode)] = true
		}
		return true
	})
	return inodes
}

// managerLast ranks service managers behind the services they hand sockets to.
func (s *ownerSearch) managerLast(o *tcpq.Owner) int {
	if s.isManager(o.PIDs[0]) {
		return 1
	}
	return 0
}

// process returns what is known of a process, nil when it has ended.
func (s *ownerSearch) process(pid int) *tcpq.Owner {
	if o, ok := s.infos[pid]; ok {
		return o
	}
	info, err := s.host.Process(pid)
	if err != nil {
		s.infos[pid] = nil
		return nil
	}
	o := &tcpq.Owner{PIDs: []int{pid}, Started: info.Started, Comm: info.Comm, Exe: info.Exe, UID: info.UID}
	s.place(o, placeOf(cgroupPath(info.Cgroup)))
	s.infos[pid] = o
	return o
}

// placeByCgroup fills in what the path of a cgroup id tells.
func (s *ownerSearch) placeByCgroup(o *tcpq.Owner, id uint64) {
	pl, ok := s.places[id]
	if !ok {
		if path, found := s.host.CgroupPath(id); found {
			pl = placeOf(path)
		}
		s.places[id] = pl
	}
	s.place(o, pl)
}

// place fills in unit, container and pod, and the pod's names where the
// kubelet's log folders tell them.
func (s *ownerSearch) place(o *tcpq.Owner, pl place) {
	o.Unit = pl.unit
	o.Container = tcpq.Container{Runtime: pl.runtime, ID: pl.container}
	o.Pod.UID = pl.podUID
	if pl.podUID == "" {
		return
	}
	if s.pods == nil {
		s.pods = map[string]host.PodLog{}
		for _, pod := range s.host.PodLogs() {
			s.pods[pod.UID] = pod
		}
	}
	if pod, ok := s.pods[pl.podUID]; ok {
		o.Pod.Namespace, o.Pod.Name = pod.Namespace, pod.Name
		o.Pod.Container = cmp.Or(pod.Containers[pl.container], pod.Containers[""])
		o.Container.Name = o.Pod.Container
	}
}
