// SPDX-License-Identifier: Apache-2.0

//go:build linux

package collector

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/qtune/qtune/collector/inetdiag"
	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/tcpq"
)

// A fakeHost is a machine in memory.
type fakeHost struct {
	info  host.Info
	found host.Found
	netns map[uint64]*fakeNetns

	processes []host.Process
	infos     map[int]host.ProcessInfo
	programs  map[int]host.ProgramInfo
	vitals    map[int]host.Vitals
	examined  []int // whose vitals were asked for
	fds       map[int][]host.Descriptor
	fdErr     map[int]error
	cgroups   map[uint64]string
	members   map[string][]int // of cgroups
	pods      []host.PodLog

	infoErr, findErr, processErr error

	scanned []int // processes whose descriptors were read, in the order of the first time
	seen    int   // descriptors that were handed out
	listed  int   // times the processes were listed
	inside  *fakeNetns
}

// A fakeNetns is a namespace of a fakeHost.
type fakeNetns struct {
	enterErr error
	dump     func(name host.DumpName, attempt int) ([]byte, error) // netlink messages with any sequence number
	files    map[host.File]string
	fileErr  map[host.File]error
	sysctls  map[tcpq.Sysctl]string
	sysErr   map[tcpq.Sysctl]error
	devices  map[uint32]string
	look     func()                                      // called while it is being visited
	answers  func(inetdiag.Key, uint16) *inetdiag.Socket // to lookups; nil when there are none

	requests []string // the dumps that were asked for, with their extensions
	reads    []host.File
	sysReads int
	attempts map[host.DumpName]int
	host     *fakeHost
}

func (h *fakeHost) Info() (host.Info, error) { return h.info, h.infoErr }

func (h *fakeHost) Namespaces(context.Context, host.Search) (host.Found, error) {
	return h.found, h.findErr
}

func (h *fakeHost) Visit(ctx context.Context, all []*host.Namespace, look func(*host.Namespace, host.Inside, error)) error {
	for _, ns := range all {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := h.netns[ns.Inode]
		switch {
		case n == nil:
			look(ns, nil, fmt.Errorf("open net:[%d]: %w", ns.Inode, host.ErrGone))
		case n.enterErr != nil:
			look(ns, nil, n.enterErr)
		default:
			n.host, h.inside, n.attempts = h, n, map[host.DumpName]int{}
			look(ns, n, nil)
			h.inside = nil
			if n.look != nil {
				n.look()
			}
		}
	}
	return nil
}

func (h *fakeHost) Processes(context.Context) ([]host.Process, error) {
	h.listed++
	return h.processes, h.processErr
}

func (h *fakeHost) Process(pid int) (host.ProcessInfo, error) {
	info, ok := h.infos[pid]
	if !ok {
		return info, host.ErrAbsent
	}
	return info, nil
}

func (h *fakeHost) Vitals(pid int) (host.Vitals, error) {
	h.examined = append(h.examined, pid)
	v, ok := h.vitals[pid]
	if !ok {
		return v, host.ErrGone
	}
	return v, nil
}

func (h *fakeHost) Program(pid int) host.ProgramInfo { return h.programs[pid] }

func (h *fakeHost) Descriptors(pid int, each func(host.Descriptor) (more bool)) error {
	if !slices.Contains(h.scanned, pid) {
		h.scanned = append(h.scanned, pid)
	}
	if err := h.fdErr[pid]; err != nil {
		return err
	}
	for _, fd := range h.fds[pid] {
		h.seen++
		if !each(fd) {
			return nil
		}
	}
	return nil
}

func (h *fakeHost) NamespaceOf(_ int, fd host.Descriptor) *host.Namespace {
	return &host.Namespace{Inode: fd.Inode}
}

func (h *fakeHost) CgroupPath(id uint64) (string, bool) { p, ok := h.cgroups[id]; return p, ok }
func (h *fakeHost) CgroupProcesses(path string) []int   { return h.members[path] }
func (h *fakeHost) PodLogs() []host.PodLog              { return h.pods }

// still fails when a namespace is used that nobody is in.
func (n *fakeNetns) still() {
	if n.host.inside != n {
		panic("a namespace is used after its visit")
	}
}

// Dump refuses what would walk the whole host's table by mistake.
func (n *fakeNetns) Dump(name host.DumpName, request []byte, each func([]byte) (bool, error)) error {
	n.still()
	if name == host.Lookups {
		return n.lookUp(request, each)
	}
	mask := map[host.DumpName]uint32{host.ListenDump: 1 << 10, host.SynRecvDump: 1 << 3}[name]
	if got := binary.NativeEndian.Uint32(request[16+52:]); got != mask {
		return fmt.Errorf("%s asks for the states %#x", name, got)
	}
	n.requests = append(n.requests, fmt.Sprintf("%s %#x", name, request[16+3]))
	n.attempts[name]++
	if n.dump == nil {
		_, err := each(numbered(end(0), request))
		return err
	}
	b, err := n.dump(name, n.attempts[name])
	if err != nil {
		return err
	}
	done, err := each(numbered(b, request))
	if !done && err == nil {
		return errors.New("the dump has no end")
	}
	return err
}

// lookUp answers each question of a batch in a datagram of its own.
func (n *fakeNetns) lookUp(request []byte, each func([]byte) (bool, error)) error {
	if n.answers == nil {
		return host.ErrAbsent
	}
	n.requests = append(n.requests, fmt.Sprintf("%d lookups", len(request)/72))
	for ; len(request) > 0; request = request[72:] {
		r := request[16:]
		key := inetdiag.Key{
			Family: r[0], Port: binary.BigEndian.Uint16(r[8:]), Ifindex: binary.NativeEndian.Uint32(r[44:]), Addr: [16]byte(r[12:28]),
			Cookie: uint64(binary.NativeEndian.Uint32(r[48:])) | uint64(binary.NativeEndian.Uint32(r[52:]))<<32,
		}
		var answer []byte
		if s := n.answers(key, binary.BigEndian.Uint16(r[10:])); s != nil {
			answer = wire(*s)
			answer = answer[:len(answer)-len(end(0))]
			binary.NativeEndian.PutUint16(answer[4:], 20)
		} else {
			answer = binary.NativeEndian.AppendUint32(nil, 20)
			answer = append(answer, unix.NLMSG_ERROR, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
			answer = binary.NativeEndian.AppendUint32(answer, ^uint32(unix.ENOENT)+1)
		}
		if done, err := each(numbered(answer, request)); done || err != nil {
			return err
		}
	}
	return errors.New("a question has no answer")
}

func (n *fakeNetns) Read(f host.File) ([]byte, error) {
	n.still()
	n.reads = append(n.reads, f)
	if err := n.fileErr[f]; err != nil {
		return nil, err
	}
	if text, ok := n.files[f]; ok {
		return []byte(text), nil
	}
	return nil, host.ErrAbsent
}

func (n *fakeNetns) Sysctl(s tcpq.Sysctl) (string, error) {
	n.still()
	n.sysReads++
	if err := n.sysErr[s]; err != nil {
		return "", err
	}
	if text, ok := n.sysctls[s]; ok {
		return text, nil
	}
	return "", host.ErrAbsent
}

func (n *fakeNetns) Device(index uint32) (string, error) {
	n.still()
	if name, ok := n.devices[index]; ok {
		return name, nil
	}
	return "", errors.New("no such device")
}

// numbered gives netlink messages the sequence number of a request.
func numbered(b, request []byte) []byte {
	b = bytes.Clone(b)
	for rest := b; len(rest) > 0; {
		copy(rest[8:12], request[8:12])
		rest = rest[(binary.NativeEndian.Uint32(rest)+3)&^3:]
	}
	return b
}

// end is the message that ends a dump.
func end(flags uint16) []byte {
	b := binary.NativeEndian.AppendUint32(nil, 20)
	b = binary.NativeEndian.AppendUint16(b, unix.NLMSG_DONE)
	b = binary.NativeEndian.AppendUint16(b, flags)
	return append(b, make([]byte, 12)...)
}

// wire makes the messages of sockets as the kernel does, and the end.
func wire(sockets ...inetdiag.Socket) []byte {
	var all []byte
	for _, s := range sockets {
		b := make([]byte, 16+72)
		m := b[16:]
		m[0], m[1] = s.Family, s.State
		binary.BigEndian.PutUint16(m[4:], s.Port)
		copy(m[8:], s.Addr[:])
		for at, n := range map[int]uint32{40: s.Ifindex, 44: uint32(s.Cookie), 48: uint32(s.Cookie >> 32), 56: s.RQueue, 60: s.WQueue, 64: s.UID, 68: s.Inode} {
			binary.NativeEndian.PutUint32(m[at:], n)
		}
		if s.Cgroup != 0 {
			b = append(b, 12, 0, 21, 0)
			b = binary.NativeEndian.AppendUint64(b, s.Cgroup)
		}
		if s.Has(inetdiag.HasDrops) {
			b = append(append(b, 40, 0, 7, 0), make([]byte, 32)...)
			b = binary.NativeEndian.AppendUint32(b, s.Drops)
		}
		binary.NativeEndian.PutUint32(b, uint32(len(b)))
		binary.NativeEndian.PutUint16(b[4:], 18)
		all = append(all, b...)
	}
	return append(all, end(0)...)
}

// listens makes a namespace in which these sockets listen.
func listens(sockets ...inetdiag.Socket) *fakeNetns {
	for i := range sockets {
		s := &sockets[i]
		s.Family, s.State = unix.AF_INET, inetdiag.Listen
		if s.Cookie == 0 {
			s.Cookie = uint64(s.Inode)
		}
	}
	return &fakeNetns{
		dump: func(name host.DumpName, _ int) ([]byte, error) {
			if name == host.ListenDump {
				return wire(sockets...), nil
			}
			return end(0), nil
		},
		files: map[host.File]string{
			host.Netstat: "TcpExt: ListenOverflows ListenDrops\nTcpExt: 3 5\n",
			host.Snmp:    "Tcp: PassiveOpens\nTcp: 9\n",
			host.Softnet: "00000007 00000002\n",
		},
		sysctls: map[tcpq.Sysctl]string{tcpq.Somaxconn: "4096", tcpq.TCPMaxSynBacklog: "128", tcpq.TCPSyncookies: "1"},
	}
}

func socketFD(inode uint64) host.Descriptor { return host.Descriptor{FD: int(inode), Inode: inode} }
func netnsFD(inode uint64) host.Descriptor {
	return host.Descriptor{FD: int(inode), Netns: true, Inode: inode}
}

// age is when a process was started, the larger the later.
func age(n int) time.Time { return time.Unix(1_700_000_000+int64(n), 0) }

// cluster is a host with two namespaces: 100 is the host's with process 1, a
// daemon and a kernel service; 200 is a pod's. Inode 11 is a web server's with
// two workers, 12 is socket-activated: process 1 and its service hold it.
func cluster() *fakeHost {
	const podCgroup = burstable + "/cri-containerd-" + id1 + ".scope"
	h := &fakeHost{
		info: host.Info{Kernel: tcpq.Version{Major: 6, Minor: 18}},
		netns: map[uint64]*fakeNetns{
			100: listens(
				inetdiag.Socket{Inode: 11, Port: 80, Cgroup: 5},
				inetdiag.Socket{Inode: 12, Port: 22, Cgroup: 1},
				inetdiag.Socket{Inode: 13, Port: 2049},
			),
			200: listens(inetdiag.Socket{Inode: 21, Port: 8080, Cgroup: 6}),
		},
		found: host.Found{Namespaces: []*host.Namespace{{Inode: 100, Host: true, PID: 1}, {Inode: 200, PID: 50}}},
		infos: map[int]host.ProcessInfo{
			1:  {Comm: "systemd", Started: age(0), Cgroup: []byte("0::/init.scope\n")},
			30: {Comm: "nginx", Exe: "/usr/sbin/nginx", Started: age(5), Cgroup: []byte("0::/system.slice/nginx.service\n")},
			31: {Comm: "nginx", UID: 33, Started: age(6), Cgroup: []byte("0::/system.slice/nginx.service\n")},
			40: {Comm: "sshd", Started: age(7), Cgroup: []byte("0::/system.slice/ssh.service\n")},
			50: {Comm: "app", UID: 1000, Started: age(9), Cgroup: []byte("0::" + podCgroup + "\n")},
		},
		fds: map[int][]host.Descriptor{
			1:  {socketFD(12)},
			30: {socketFD(11), socketFD(11), socketFD(999)},
			31: {socketFD(11)},
			40: {socketFD(12)},
			50: {socketFD(21)},
		},
		cgroups: map[uint64]string{1: "/", 5: "/system.slice/nginx.service", 6: podCgroup},
		members: map[string][]int{"/": {1, 30, 31, 40, 50}, "/system.slice/nginx.service": {31, 30}, podCgroup: {50}},
		pods: []host.PodLog{
			{Namespace: "shop", Name: "web-0", UID: uid1, Containers: map[string]string{id1: "app", id2: "proxy"}},
			{Namespace: "other", Name: "db-0", UID: uid2, Containers: map[string]string{"": "db"}},
		},
	}
	for _, pid := range []int{1, 30, 31, 40} {
		h.processes = append(h.processes, host.Process{PID: pid, Netns: 100})
	}
	h.processes = append(h.processes, host.Process{PID: 50, Netns: 200})
	h.found.Processes = h.processes
	return h
}

// snapshotOf reads a host once.
func snapshotOf(t *testing.T, h *fakeHost, o Options) *tcpq.Snapshot {
	t.Helper()
	s, err := New(h, o).Snapshot(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// owners returns the owners of the listeners by inode.
func owners(s *tcpq.Snapshot) map[uint32]*tcpq.Owner {
	m := map[uint32]*tcpq.Owner{}
	for i := range s.Namespaces {
		for _, l := range s.Namespaces[i].Listeners {
			m[l.Inode] = l.Owner
		}
	}
	return m
}

func TestOwners(t *testing.T) {
	h := cluster()
	got := owners(snapshotOf(t, h, Options{}))
	podPlace := tcpq.Owner{
		Container: tcpq.Container{Runtime: "containerd", ID: id1, Name: "app"},
		Pod:       tcpq.Pod{Namespace: "shop", Name: "web-0", UID: uid1, Container: "app"},
	}
	want := map[uint32]tcpq.Owner{
		11: {PIDs: []int{30, 31}, Started: age(5), Comm: "nginx", Exe: "/usr/sbin/nginx", Unit: "nginx.service"},
		13: {Unfound: tcpq.KernelSocket},
		21: {PIDs: []int{50}, Started: age(9), Comm: "app", UID: 1000, Container: podPlace.Container, Pod: podPlace.Pod},
	}
	for inode, w := range want {
		if got[inode] == nil || !reflect.DeepEqual(*got[inode], w) {
			t.Errorf("owner of socket:[%d] = %+v, want %+v", inode, got[inode], w)
		}
	}
	if o := got[12]; o == nil || len(o.PIDs) != 2 || !slices.Contains(o.PIDs, 40) {
		t.Errorf("owner of socket:[12] = %+v, want process 1 and its service 40", o)
	}
}

func TestOwnersChanged(t *testing.T) {
	tests := []struct {
		name   string
		change func(*fakeHost)
		inode  uint32
		want   func(*tcpq.Owner) bool
	}{
		{
			"the oldest comes first, whatever its number",
			func(h *fakeHost) {
				info := h.infos[31]
				info.Started = age(1)
				h.infos[31] = info
			},
			11, func(o *tcpq.Owner) bool { return slices.Equal(o.PIDs, []int{31, 30}) && o.UID == 33 },
		},
		{
			"of equally old ones the lower number comes first",
			func(h *fakeHost) {
				info := h.infos[31]
				info.Started = age(5)
				h.infos[31] = info
			},
			11, func(o *tcpq.Owner) bool { return slices.Equal(o.PIDs, []int{30, 31}) },
		},
		{
			"a process that vanished is left out",
			func(h *fakeHost) { delete(h.infos, 30) },
			11, func(o *tcpq.Owner) bool { return slices.Equal(o.PIDs, []int{31}) && o.Comm == "nginx" },
		},
		{
			"when all vanished nobody holds it, but its cgroup still tells",
			func(h *fakeHost) { delete(h.infos, 30); delete(h.infos, 31) },
			11, func(o *tcpq.Owner) bool {
				return o.PIDs == nil && o.Unfound == tcpq.NobodyHolds && o.Unit == "nginx.service"
			},
		},
		{
			"descriptors that vanished are ordinary",
			func(h *fakeHost) { h.fdErr = map[int]error{30: host.ErrAbsent, 31: host.ErrGone} },
			11, func(o *tcpq.Owner) bool { return o.PIDs == nil && o.Unfound == tcpq.NobodyHolds },
		},
		{
			"descriptors denied: the holder may be there",
			func(h *fakeHost) { h.fdErr = map[int]error{30: host.ErrPermission, 31: host.ErrPermission} },
			11, func(o *tcpq.Owner) bool {
				return o.PIDs == nil && o.Unfound == tcpq.NotPermitted && o.Unit == "nginx.service"
			},
		},
		{
			"a kernel's port may be a denied process's, too",
			func(h *fakeHost) { h.fdErr = map[int]error{40: host.ErrPermission} },
			13, func(o *tcpq.Owner) bool { return o.Unfound == tcpq.NotPermitted },
		},
		{
			"a kernel's port of another user is no kernel's",
			func(h *fakeHost) { h.netns[100] = listens(inetdiag.Socket{Inode: 13, Port: 2049, UID: 1000}) },
			13, func(o *tcpq.Owner) bool { return o.Unfound == tcpq.NobodyHolds && o.UID == 1000 },
		},
		{
			"root's other ports are no kernel's",
			func(h *fakeHost) { h.netns[100] = listens(inetdiag.Socket{Inode: 13, Port: 2050}) },
			13, func(o *tcpq.Owner) bool { return o.Unfound == tcpq.NobodyHolds },
		},
		{
			"without cgroup ids the namespace's processes are searched",
			func(h *fakeHost) { h.cgroups = nil },
			21, func(o *tcpq.Owner) bool { return slices.Equal(o.PIDs, []int{50}) && o.Pod.Name == "web-0" },
		},
		{
			"a holder in another namespace is found",
			func(h *fakeHost) { h.fds[50] = nil; h.fds[40] = append(h.fds[40], socketFD(21)) },
			21, func(o *tcpq.Owner) bool { return slices.Equal(o.PIDs, []int{40}) },
		},
		{
			"process 1 alone is a holder when nobody else is",
			func(h *fakeHost) { h.fds[40] = nil },
			12, func(o *tcpq.Owner) bool { return slices.Equal(o.PIDs, []int{1}) && o.Comm == "systemd" },
		},
		{
			"a service that was given its socket is its owner, not process 1",
			func(*fakeHost) {},
			12, func(o *tcpq.Owner) bool { return slices.Equal(o.PIDs, []int{40, 1}) && o.Comm == "sshd" && o.Inherited },
		},
		{
			"a master and its workers were given nothing",
			func(*fakeHost) {},
			11, func(o *tcpq.Owner) bool { return slices.Equal(o.PIDs, []int{30, 31}) && !o.Inherited },
		},
		{
			"a process says that it was given sockets",
			func(h *fakeHost) {
				h.fds[50] = []host.Descriptor{{FD: 3, Inode: 21}}
				h.programs = map[int]host.ProgramInfo{50: {Argv: []string{"app", "--serve"}, Build: "go", Handed: 1}}
			},
			21, func(o *tcpq.Owner) bool {
				return o.Inherited && o.Build == "go" && slices.Equal(o.Argv, []string{"app", "--serve"})
			},
		},
		{
			"and not that it was given those it made itself",
			func(h *fakeHost) {
				h.fds[50] = []host.Descriptor{{FD: 3, Inode: 99}, {FD: 4, Inode: 21}}
				h.programs = map[int]host.ProgramInfo{50: {Build: "go", Handed: 1}}
			},
			21, func(o *tcpq.Owner) bool { return !o.Inherited && o.Build == "go" && slices.Equal(o.PIDs, []int{50}) },
		},
		{
			"a pod without log folders keeps its uid",
			func(h *fakeHost) { h.pods = nil },
			21, func(o *tcpq.Owner) bool {
				return o.Pod == tcpq.Pod{UID: uid1} && o.Container.ID == id1 && o.Container.Name == ""
			},
		},
		{
			"a pod's only container needs no id in the logs",
			func(h *fakeHost) { h.pods[0].Containers = map[string]string{"": "only"} },
			21, func(o *tcpq.Owner) bool { return o.Pod.Container == "only" && o.Container.Name == "only" },
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := cluster()
			tt.change(h)
			if got := owners(snapshotOf(t, h, Options{}))[tt.inode]; got == nil || !tt.want(got) {
				t.Errorf("owner of socket:[%d] = %+v, want otherwise", tt.inode, got)
			}
		})
	}
}

// TestHandedBesideOwn proves that of one process the sockets that it was handed,
// and no others, are somebody else's to configure.
func TestHandedBesideOwn(t *testing.T) {
	h := cluster()
	h.netns[200] = listens(inetdiag.Socket{Inode: 21, Port: 8080, Cgroup: 6}, inetdiag.Socket{Inode: 22, Port: 8081, Cgroup: 6}, inetdiag.Socket{Inode: 23, Port: 8082, Cgroup: 6})
	h.fds[50] = []host.Descriptor{{FD: 2, Inode: 23}, {FD: 3, Inode: 99}, {FD: 4, Inode: 21}, {FD: 5, Inode: 22}}
	h.programs = map[int]host.ProgramInfo{50: {Argv: []string{"app"}, Handed: 2}}
	got := owners(snapshotOf(t, h, Options{}))
	for inode, want := range map[uint32]bool{21: true, 22: false, 23: false} {
		if o := got[inode]; o == nil || o.Inherited != want || !slices.Equal(o.Argv, []string{"app"}) {
			t.Errorf("owner of socket:[%d] = %+v, want it to be inherited: %t", inode, o, want)
		}
	}
}

func TestOwnersSearchOrder(t *testing.T) {
	tests := []struct {
		name    string
		change  func(*fakeHost)
		scanned []int
		left    int // processes whose descriptors were not searched
	}{
		{
			"the cgroup's processes are enough",
			func(h *fakeHost) {
				h.netns = map[uint64]*fakeNetns{100: listens(inetdiag.Socket{Inode: 11, Port: 80, Cgroup: 5}), 200: listens()}
			},
			[]int{31, 30},
			3,
		},
		{
			"a process alone in its cgroup that holds none of its sockets says nothing",
			func(h *fakeHost) {
				h.netns = map[uint64]*fakeNetns{100: listens(), 200: listens(inetdiag.Socket{Inode: 21, Port: 8080, Cgroup: 6})}
				h.fds[50], h.fds[40] = []host.Descriptor{socketFD(99)}, []host.Descriptor{socketFD(21)}
			},
			[]int{50, 1, 30, 31, 40},
			0,
		},
		{
			"the root cgroup says nothing: then the namespace's",
			func(h *fakeHost) {
				h.netns = map[uint64]*fakeNetns{100: listens(), 200: listens(inetdiag.Socket{Inode: 21, Port: 8080, Cgroup: 1})}
			},
			[]int{50},
			4,
		},
		{
			"then all others, each once",
			func(h *fakeHost) {
				h.netns = map[uint64]*fakeNetns{100: listens(), 200: listens(inetdiag.Socket{Inode: 21, Port: 8080, Cgroup: 1})}
				h.fds[50] = nil
			},
			[]int{50, 1, 30, 31, 40},
			0,
		},
		{
			"what only process 1 holds is searched for further",
			func(h *fakeHost) {
				h.netns = map[uint64]*fakeNetns{100: listens(inetdiag.Socket{Inode: 12, Port: 22, Cgroup: 7}), 200: listens()}
				h.cgroups[7] = "/init.scope"
				h.members["/init.scope"] = []int{1}
			},
			[]int{1, 30, 31, 40},
			1,
		},
		{
			"no listeners, no search",
			func(h *fakeHost) { h.netns = map[uint64]*fakeNetns{100: listens(), 200: listens()} },
			nil, 5,
		},
		{
			"a socket without an inode is not searched for",
			func(h *fakeHost) {
				h.netns = map[uint64]*fakeNetns{100: listens(inetdiag.Socket{Cookie: 1, Port: 80}), 200: listens()}
			},
			nil, 5,
		},
		{
			"a process that denies is asked once",
			func(h *fakeHost) {
				h.netns = map[uint64]*fakeNetns{100: listens(), 200: listens(inetdiag.Socket{Inode: 21, Port: 8080, Cgroup: 6})}
				h.fdErr = map[int]error{50: host.ErrPermission}
			},
			[]int{50, 1, 30, 31, 40},
			0,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := cluster()
			tt.change(h)
			s := snapshotOf(t, h, Options{})
			if !slices.Equal(h.scanned, tt.scanned) {
				t.Errorf("descriptors were read of %v, want %v", h.scanned, tt.scanned)
			}
			if got := s.Coverage.DescriptorsLeft; got != tt.left {
				t.Errorf("DescriptorsLeft = %d, want %d", got, tt.left)
			}
			if got := s.Coverage.DescriptorsDenied; got != len(h.fdErr) {
				t.Errorf("DescriptorsDenied = %d, want %d", got, len(h.fdErr))
			}
		})
	}
}

// TestOwnersOfManyListeners proves that a process which is alone in the cgroup
// of ten thousand listeners is not looked through.
func TestOwnersOfManyListeners(t *testing.T) {
	h := cluster()
	h.fds[50] = nil
	var sockets []inetdiag.Socket
	for inode := uint32(10000); inode < 20000; inode++ {
		sockets = append(sockets, inetdiag.Socket{Inode: inode, Port: uint16(inode), Cgroup: 6})
		h.fds[50] = append(h.fds[50], socketFD(uint64(inode)))
	}
	h.netns = map[uint64]*fakeNetns{100: listens(), 200: listens(sockets...)}
	got := owners(snapshotOf(t, h, Options{}))
	for inode := uint32(10000); inode < 20000; inode++ {
		if o := got[inode]; o != got[10000] || o == nil || !slices.Equal(o.PIDs, []int{50}) {
			t.Fatalf("owner of socket:[%d] = %+v, want process 50 as of all", inode, o)
		}
	}
	if h.seen > 1000 {
		t.Errorf("%d descriptors were read, want a few", h.seen)
	}
}

func TestOwnersAreShared(t *testing.T) {
	h := cluster()
	h.netns[100] = listens(
		inetdiag.Socket{Inode: 11, Port: 80, Cgroup: 5}, inetdiag.Socket{Inode: 14, Port: 443, Cgroup: 5},
		inetdiag.Socket{Inode: 15, Port: 90}, inetdiag.Socket{Inode: 16, Port: 90}, inetdiag.Socket{Inode: 17, Port: 91},
	)
	h.fds[30] = append(h.fds[30], socketFD(14))
	h.fds[31] = append(h.fds[31], socketFD(14))
	got := owners(snapshotOf(t, h, Options{}))
	if got[11] != got[14] {
		t.Errorf("two listeners of the same processes = %p, %p, want one owner", got[11], got[14])
	}
	if got[11] == got[21] || got[15] == got[17] {
		t.Error("listeners of different owners share one, want two")
	}
	for inode, o := range got {
		if o == nil {
			t.Errorf("owner of socket:[%d] = nil, want one, if only with why", inode)
		}
	}
}

func TestOwnersOfOneNamespace(t *testing.T) {
	h := cluster()
	h.found.Namespaces = h.found.Namespaces[1:]
	h.found.Processes = nil // the search did not need them
	s := snapshotOf(t, h, Options{Search: host.Search{Inode: 200}})
	if h.listed != 0 || len(h.scanned) != 1 {
		t.Errorf("the processes were listed %d times and %v scanned, want the cgroup alone", h.listed, h.scanned)
	}
	if o := owners(s)[21]; o == nil || !slices.Equal(o.PIDs, []int{50}) {
		t.Errorf("owner = %+v, want process 50", o)
	}

	h = cluster()
	h.found.Namespaces, h.found.Processes, h.cgroups = h.found.Namespaces[1:], nil, nil
	s = snapshotOf(t, h, Options{Search: host.Search{Inode: 200}})
	if o := owners(s)[21]; h.listed != 1 || o == nil || !slices.Equal(o.PIDs, []int{50}) {
		t.Errorf("the processes were listed %d times, owner = %+v, want once and process 50", h.listed, o)
	}

	h = cluster()
	h.found.Namespaces, h.found.Processes, h.cgroups = h.found.Namespaces[1:], nil, nil
	h.processErr = errors.New("no /proc")
	s = snapshotOf(t, h, Options{Search: host.Search{Inode: 200}})
	if want := (tcpq.Error{Stage: "owners", Message: "no /proc"}); !slices.Contains(s.Errors, want) {
		t.Errorf("Errors = %+v, want %+v", s.Errors, want)
	}
	if o := owners(s)[21]; o == nil || o.PIDs != nil {
		t.Errorf("owner = %+v, want one without processes", o)
	}
}

func TestStrayNamespaces(t *testing.T) {
	tests := []struct {
		name   string
		search host.Search
		change func(*fakeHost)
		want   []uint64 // namespaces in the snapshot
	}{
		{"a descriptor leads to a namespace", host.Search{}, func(*fakeHost) {}, []uint64{100, 200, 300}},
		{"a namespace that is known is not visited again", host.Search{}, func(h *fakeHost) { h.fds[40] = []host.Descriptor{netnsFD(200), netnsFD(100)} }, []uint64{100, 200}},
		{"two descriptors of one lead there once", host.Search{}, func(h *fakeHost) { h.fds[30] = append(h.fds[30], netnsFD(300)) }, []uint64{100, 200, 300}},
		{"one that ended meanwhile is ordinary", host.Search{}, func(h *fakeHost) { delete(h.netns, 300) }, []uint64{100, 200}},
		{"a process in there leads to the next", host.Search{}, func(h *fakeHost) {
			h.netns[400] = listens()
			h.processes = append(h.processes, host.Process{PID: 60, Netns: 300})
			h.found.Processes = h.processes
			h.fds[60] = []host.Descriptor{netnsFD(400), socketFD(31)}
			h.infos[60] = host.ProcessInfo{Comm: "inner"}
		}, []uint64{100, 200, 300, 400}},
		{"not when one namespace was asked for", host.Search{Inode: 100}, func(*fakeHost) {}, []uint64{100, 200}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := cluster()
			h.netns[300] = listens(inetdiag.Socket{Inode: 31, Port: 9000})
			h.fds[40] = append(h.fds[40], netnsFD(300))
			tt.change(h)
			s := snapshotOf(t, h, Options{Search: tt.search})
			var got []uint64
			for i := range s.Namespaces {
				got = append(got, s.Namespaces[i].ID.Inode)
				for _, l := range s.Namespaces[i].Listeners {
					if l.Owner == nil {
						t.Errorf("socket:[%d] of net:[%d] has no owner, want one, if only with why", l.Inode, s.Namespaces[i].ID.Inode)
					}
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("namespaces = %v, want %v", got, tt.want)
			}
			if len(s.Errors) > 0 {
				t.Errorf("Errors = %+v, want none", s.Errors)
			}
		})
	}
}

func TestOwnersEndWithTheContext(t *testing.T) {
	h := cluster()
	ctx, cancel := context.WithCancel(t.Context())
	h.netns[200].look = cancel
	h.cgroups = nil
	if _, err := New(h, Options{}).Snapshot(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Snapshot = %v, want %v", err, context.Canceled)
	}
}

func TestKernelServicesAreNamed(t *testing.T) {
	for port, name := range kernelServices {
		if port == 0 || strings.TrimSpace(name) == "" {
			t.Errorf("kernelServices[%d] = %q, want a port and a name", port, name)
		}
	}
}
