// SPDX-License-Identifier: Apache-2.0

//go:build linux

package collector

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/qtune/qtune/collector/inetdiag"
	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/tcpq"
)

// answering makes a namespace that answers lookups, too: a change of the sockets
// afterwards is seen by both.
func answering(sockets ...inetdiag.Socket) (*fakeNetns, []inetdiag.Socket) {
	n := listens(sockets...)
	n.answers = func(k inetdiag.Key, _ uint16) *inetdiag.Socket {
		for i := range sockets {
			s := &sockets[i]
			if s.Cookie != 0 && s.Port == k.Port && (s.Cookie == k.Cookie || k.Cookie == inetdiag.AnyCookie) {
				return s
			}
		}
		return nil
	}
	n.dump = func(host.DumpName, int) ([]byte, error) {
		return wire(slices.DeleteFunc(slices.Clone(sockets), func(s inetdiag.Socket) bool { return s.Cookie == 0 })...), nil
	}
	return n, sockets
}

// enter visits the namespace for as long as the test takes.
func (n *fakeNetns) enter() {
	n.host, n.attempts = &fakeHost{inside: n}, map[host.DumpName]int{}
}

// counted writes the counters of a namespace anew: each is a segment that came.
func (n *fakeNetns) counted(overflows, drops, full int) {
	n.files[host.Snmp] = fmt.Sprintf("Tcp: PassiveOpens InSegs\nTcp: 9 %d\n", overflows+drops+full)
	n.files[host.Netstat] = fmt.Sprintf("TcpExt: ListenOverflows ListenDrops TCPReqQFullDrop\nTcpExt: %d %d %d\n", overflows, drops, full)
}

// TestPassAsksForLittle proves when a pass without Dump dumps, and what it reads.
func TestPassAsksForLittle(t *testing.T) {
	tests := []struct {
		name   string
		work   Work
		change func(n *fakeNetns, sockets []inetdiag.Socket)
		want   []string // requests
		length uint32   // of the first listener
		ports  []uint16
	}{
		{"nothing happened", 0, func(*fakeNetns, []inetdiag.Socket) {}, []string{"2 lookups"}, 3, []uint16{80, 81}},
		{"a queue has grown", Owners, func(_ *fakeNetns, s []inetdiag.Socket) { s[0].RQueue = 9 }, []string{"2 lookups"}, 9, []uint16{80, 81}},
		{"a dump was asked for", Dump, func(*fakeNetns, []inetdiag.Socket) {}, []string{"listen 0x40"}, 3, []uint16{80, 81}},
		{"a listener has gone", 0, func(_ *fakeNetns, s []inetdiag.Socket) { s[1].Cookie = 0 }, []string{"2 lookups", "64 lookups", "listen 0x40"}, 3, []uint16{80}},
		{"a listener was replaced", 0, func(_ *fakeNetns, s []inetdiag.Socket) { s[0].Cookie, s[0].RQueue = 99, 7 }, []string{"2 lookups", "64 lookups", "listen 0x40"}, 0, []uint16{81, 80}},
		{"packets were refused", 0, func(n *fakeNetns, _ []inetdiag.Socket) { n.counted(3, 6, 0) }, []string{"2 lookups", "listen 0x40"}, 3, []uint16{80, 81}},
		{"a SYN queue was full", 0, func(n *fakeNetns, _ []inetdiag.Socket) { n.counted(3, 5, 1) }, []string{"2 lookups", "listen 0x40"}, 3, []uint16{80, 81}},
		{"nothing can be looked up", 0, func(n *fakeNetns, _ []inetdiag.Socket) { n.answers = nil }, []string{"listen 0x40"}, 3, []uint16{80, 81}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n, sockets := answering(inetdiag.Socket{Inode: 11, Port: 80, RQueue: 3, WQueue: 8}, inetdiag.Socket{Inode: 12, Port: 81})
			n.counted(3, 5, 0)
			h := alone(n)
			c := New(h, Options{Syn: SynNever})
			first, err := c.Snapshot(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			n.requests, n.sysReads = nil, 0
			tt.change(n, sockets)
			second, err := c.Pass(t.Context(), h.found, first, tt.work)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(n.requests, tt.want) || n.sysReads != 0 {
				t.Errorf("the pass asked for %v and read %d sysctls, want %v and none", n.requests, n.sysReads, tt.want)
			}
			got := &second.Namespaces[0]
			var ports []uint16
			for i := range got.Listeners {
				ports = append(ports, got.Listeners[i].Port)
			}
			if !slices.Equal(ports, tt.ports) || got.Listeners[0].Accept.Len != tt.length || !got.Listed {
				t.Errorf("listeners = %v, the first with length %d, listed %t, want %v with %d, true", ports, got.Listeners[0].Accept.Len, got.Listed, tt.ports, tt.length)
			}
			if _, ok := got.Sysctls.Get(tcpq.Somaxconn); !ok || !got.Listeners[0].Syn.MaxKnown {
				t.Errorf("namespace = %+v, want its sysctls and limits as before", got)
			}
			if first.Namespaces[0].Listeners[0].Accept.Len != 3 {
				t.Error("the Snapshot before was changed")
			}
		})
	}
}

// TestPassReadsNetstat proves that a pass reads netstat only where a segment came or
// went, and otherwise has what it knew.
func TestPassReadsNetstat(t *testing.T) {
	tests := []struct {
		name  string
		work  Work
		drops string // in netstat, "" when it cannot be read at first
		snmp  string // then
		want  uint64
	}{
		{"no segment came", 0, "5", "Tcp: InSegs\nTcp: 7\n", 5},
		{"a segment came", 0, "5", "Tcp: InSegs\nTcp: 8\n", 6},
		{"another protocol's packet came", 0, "5", "Tcp: InSegs\nTcp: 7\nUdp: InDatagrams\nUdp: 8\n", 5},
		{"a dump is made", Dump, "5", "Tcp: InSegs\nTcp: 7\n", 6},
		{"netstat is not known yet", 0, "", "Tcp: InSegs\nTcp: 7\n", 6},
		{"snmp does not count segments", 0, "5", "Udp: InDatagrams\nUdp: 8\n", 6},
	}
	for _, tt := range tests {
		n, _ := answering(inetdiag.Socket{Inode: 11, Port: 80})
		netstat := func(drops string) { n.files[host.Netstat] = "TcpExt: ListenDrops\nTcpExt: " + drops + "\n" }
		netstat(tt.drops)
		n.files[host.Snmp] = "Tcp: InSegs\nTcp: 7\n"
		h := alone(n)
		c := New(h, Options{Syn: SynNever})
		first, err := c.Snapshot(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		netstat("6")
		n.files[host.Snmp] = tt.snmp
		second, err := c.Pass(t.Context(), h.found, first, tt.work)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := second.Namespaces[0].Counters.Get(tcpq.ListenDrops); got != tt.want || !ok {
			t.Errorf("%s: ListenDrops = %d, %t, want %d", tt.name, got, ok, tt.want)
		}
	}
}

// TestPassReadsSysctls proves that they are read when asked for, and no dump then.
func TestPassReadsSysctls(t *testing.T) {
	n, _ := answering(inetdiag.Socket{Inode: 11, Port: 80})
	h := alone(n)
	c := New(h, Options{})
	first, err := c.Snapshot(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	n.sysctls[tcpq.Somaxconn], n.requests = "1", nil
	second, err := c.Pass(t.Context(), h.found, first, Sysctls)
	if err != nil {
		t.Fatal(err)
	}
	if v, _ := second.Namespaces[0].Sysctls.Get(tcpq.Somaxconn); v != 1 || !slices.Equal(n.requests, []string{"1 lookups"}) {
		t.Errorf("somaxconn = %d after %v, want 1 after a lookup", v, n.requests)
	}
}

// TestQueuesOfOneThatHides proves that a listener which no lookup finds is read by
// dumps from then on, and not searched for again.
func TestQueuesOfOneThatHides(t *testing.T) {
	n, sockets := answering(inetdiag.Socket{Inode: 11, Port: 80}, inetdiag.Socket{Inode: 12, Port: 80})
	n.enter()
	var q Queues
	known := []Known{
		{Cookie: 11, key: inetdiag.Key{Family: unix.AF_INET, Port: 80, Cookie: 11}},
		{Cookie: 12, key: inetdiag.Key{Family: unix.AF_INET, Port: 80, Cookie: 12}},
	}
	n.answers = func(k inetdiag.Key, _ uint16) *inetdiag.Socket { // a program of sk_lookup sends all to one
		if k.Cookie == 12 {
			return nil
		}
		return &sockets[0]
	}
	read := func(want ...string) {
		t.Helper()
		n.requests = nil
		if err := q.Read(n, known, Crowd{Host: 1e6}); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(n.requests, want) {
			t.Errorf("Read asked for %v, want %v", n.requests, want)
		}
		if known[0].Gone || known[1].Gone || known[1].Accept.Len != sockets[1].RQueue {
			t.Errorf("known = %+v, want both alive and as they are", known)
		}
	}
	read("2 lookups", "64 lookups", "listen 0x40")
	sockets[1].RQueue = 5
	read("listen 0x40")
	sockets[1].Cookie = 0
	n.requests = nil
	if err := q.Read(n, known, Crowd{Host: 1e6}); err != nil || !known[1].Gone {
		t.Errorf("Read = %v with %+v, want it gone", err, known[1])
	}
	n.requests = nil
	if err := q.Read(n, known, Crowd{Host: 1e6}); err != nil || !slices.Equal(n.requests, []string{"1 lookups"}) {
		t.Errorf("Read = %v after %v, want a lookup of the other", err, n.requests)
	}
}

// TestQueuesOfABrokenDump proves that nothing is called gone that was not missed
// in a whole dump.
func TestQueuesOfABrokenDump(t *testing.T) {
	n, _ := answering(inetdiag.Socket{Inode: 11, Port: 80})
	n.enter()
	n.dump = func(host.DumpName, int) ([]byte, error) { return end(unix.NLM_F_DUMP_INTR), nil }
	known := []Known{{Cookie: 11}, {Cookie: 99}}
	var q Queues
	if err := q.Read(n, known, Crowd{}); err == nil || known[0].Gone || known[1].Gone {
		t.Errorf("Read = %v with %+v, want an error and nobody gone", err, known)
	}
}

// TestLookupsPay proves when a dump is cheaper.
func TestIndexAfter(t *testing.T) {
	known := []Known{{Cookie: 10}, {Cookie: 20}, {Cookie: 30}}
	for round, order := range [][]uint64{{20, 10, 30}, {20, 10, 30}, {30, 10, 99, 20}} {
		last := -1
		for _, cookie := range order {
			at, ok := indexAfter(known, last, cookie)
			if want := cookie != 99; ok != want || ok && known[at].Cookie != cookie {
				t.Errorf("dump %d: indexAfter(%d, %d) = %d, %t, want %t", round, last, cookie, at, ok, want)
			}
			if ok {
				last = at
			}
		}
	}
	if known[2].next != 0 || known[0].next != 1 {
		t.Errorf("known = %+v, want the order of the last dump noted", known)
	}
	if at, ok := indexAfter(known[:1], 0, 20); ok {
		t.Errorf("indexAfter of one that has gone = %d, want none", at)
	}
}

func TestLookupsPay(t *testing.T) {
	tests := []struct {
		name  string
		known []Known
		crowd Crowd
		want  bool
	}{
		{"a single one", make([]Known, 1), Crowd{1, 1}, true},
		{"all of a few", make([]Known, 10), Crowd{10, 10}, true},
		{"all of a hundred", make([]Known, 100), Crowd{100, 100}, false},
		{"all of a hundred on a host of very many", make([]Known, 100), Crowd{100, 20000}, true},
		{"a few of many", make([]Known, 20), Crowd{10000, 10000}, true},
		{"all of many", make([]Known, 10000), Crowd{10000, 10000}, false},
		{"nobody is left", []Known{{Gone: true}}, Crowd{}, true},
		{"one hides", []Known{{hidden: true}}, Crowd{1, 1e6}, false},
	}
	for _, tt := range tests {
		if got := lookupsPay(tt.known, tt.crowd); got != tt.want {
			t.Errorf("%s: lookupsPay = %t, want %t", tt.name, got, tt.want)
		}
	}
}

// TestUnfoundOwners proves that an owner that was not found is looked for at
// growing gaps, and at once when a listener comes in its cgroup.
func TestUnfoundOwners(t *testing.T) {
	n, _ := answering(inetdiag.Socket{Inode: 11, Port: 80, Cgroup: 5})
	h := alone(n)
	h.processes = []host.Process{{PID: 7, Netns: 100}}
	h.found.Processes = h.processes
	h.fds = map[int][]host.Descriptor{7: nil}
	c := New(h, Options{})
	var prev *tcpq.Snapshot
	pass := func() (searched bool) {
		t.Helper()
		h.scanned = nil
		var err error
		if prev, err = c.Pass(t.Context(), h.found, prev, Owners); err != nil {
			t.Fatal(err)
		}
		return len(h.scanned) > 0
	}
	var turns []int
	for i := range 40 {
		if pass() {
			turns = append(turns, i)
		}
		if o := prev.Namespaces[0].Listeners[0].Owner; o == nil || o.Unfound == tcpq.Found {
			t.Fatalf("owner in pass %d = %+v, want one that was not found", i, o)
		}
	}
	if want := []int{0, 1, 2, 4, 8, 16, 32}; !slices.Equal(turns, want) {
		t.Errorf("looked for in the passes %v, want %v", turns, want)
	}
	more, _ := answering(inetdiag.Socket{Inode: 11, Port: 80, Cgroup: 5}, inetdiag.Socket{Inode: 12, Port: 81, Cgroup: 5})
	h.netns[100] = more
	more.counted(4, 6, 0) // so that it is dumped
	h.fds[7] = []host.Descriptor{socketFD(11), socketFD(12)}
	h.infos = map[int]host.ProcessInfo{7: {Comm: "late"}}
	if !pass() || prev.Namespaces[0].Listeners[0].Owner.Comm != "late" {
		t.Errorf("owner when a neighbour came = %+v, want it found", prev.Namespaces[0].Listeners[0].Owner)
	}
	if pass(); len(c.unfound) != 0 {
		t.Errorf("unfound = %v, want nothing of what was found", c.unfound)
	}
}

// TestOwnersThatEnd proves that the owner of a listener that outlives it is looked
// for, once the processes were listed anew.
func TestOwnersThatEnd(t *testing.T) {
	h := cluster()
	c := New(h, Options{})
	first, err := c.Snapshot(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	h.scanned = nil
	same, err := c.Snapshot(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	if slices.Contains(h.scanned, 40) && owners(same)[12] != owners(first)[12] {
		t.Error("an owner that lives was looked for again")
	}
	h.processes = slices.DeleteFunc(h.processes, func(p host.Process) bool { return p.PID == 30 })
	h.found.Processes = h.processes
	delete(h.infos, 30)
	delete(h.fds, 30)
	h.members["/system.slice/nginx.service"] = []int{31}
	last, err := c.Snapshot(t.Context(), same)
	if err != nil {
		t.Fatal(err)
	}
	if got := owners(last)[11].PIDs; !slices.Equal(got, []int{31}) {
		t.Errorf("owner of a listener whose first holder ended = %v, want 31", got)
	}
}

// TestStraysEnd proves that a namespace met as a descriptor is forgotten when it
// ends.
func TestStraysEnd(t *testing.T) {
	h := cluster()
	h.netns[300] = listens()
	h.fds[40] = append(h.fds[40], netnsFD(300))
	c := New(h, Options{})
	first, err := c.Snapshot(t.Context(), nil)
	if err != nil || len(first.Namespaces) != 3 || len(c.strays) != 1 {
		t.Fatalf("Snapshot = %d namespaces, %d strays, %v, want 3 and 1", len(first.Namespaces), len(c.strays), err)
	}
	delete(h.netns, 300)
	h.fds[40] = []host.Descriptor{socketFD(12)}
	second, err := c.Snapshot(t.Context(), first)
	if err != nil || len(second.Namespaces) != 2 || len(c.strays) != 0 {
		t.Errorf("Snapshot = %d namespaces, %d strays, %v, want 2 and none", len(second.Namespaces), len(c.strays), err)
	}
}

// TestNothingPilesUp proves that what a Collector keeps is about what is alive.
func TestNothingPilesUp(t *testing.T) {
	n, _ := answering(inetdiag.Socket{Inode: 11, Port: 80, RQueue: 1, WQueue: 1, Cgroup: 5})
	h := alone(n)
	c := New(h, Options{})
	var prev *tcpq.Snapshot
	for i := range 50 { // each time another namespace, listener, process
		pid := 1000 + i
		inode := uint32(100 + i)
		n, _ = answering(inetdiag.Socket{Inode: inode, Port: 80, RQueue: 1, WQueue: 1, Cgroup: 5})
		h.netns = map[uint64]*fakeNetns{uint64(inode): n}
		h.found.Namespaces = []*host.Namespace{{Inode: uint64(inode), Cookie: uint64(i + 1), PID: pid}}
		h.processes = []host.Process{{PID: pid, Netns: uint64(inode)}}
		h.found.Processes = h.processes
		h.fds = map[int][]host.Descriptor{}
		h.vitals = map[int]host.Vitals{pid: {At: h.info.Time, Start: 1}}
		if i%2 == 0 { // the others have no owner
			h.fds[pid] = []host.Descriptor{socketFD(uint64(inode))}
			h.infos = map[int]host.ProcessInfo{pid: {Comm: "p"}}
		}
		for _, work := range []Work{Everything, Owners, 0} {
			found, err := c.Find(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if prev, err = c.Pass(t.Context(), found, prev, work); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(c.known) > 1 || len(c.lines) > 1 || len(c.found) > 1 || len(c.unfound) > 1 || len(c.searched) > 1 || len(c.patients) > 1 || len(c.strays) > 0 {
		t.Errorf("kept %d namespaces, %d of snmp, %d found, %d unfound, %d searched, %d patients, %d strays, want at most one each and no stray",
			len(c.known), len(c.lines), len(c.found), len(c.unfound), len(c.searched), len(c.patients), len(c.strays))
	}
}

// TestPatientsAreForgotten proves that a process for which nobody has waited for
// long is not looked at for ever, and how far back one is compared.
func TestPatientsAreForgotten(t *testing.T) {
	n, sockets := answering(inetdiag.Socket{Inode: 11, Port: 80, RQueue: 1, WQueue: 8})
	h := alone(n)
	h.processes = []host.Process{{PID: 7, Netns: 100}}
	h.found.Processes = h.processes
	h.fds = map[int][]host.Descriptor{7: {socketFD(11)}}
	h.infos = map[int]host.ProcessInfo{7: {Comm: "p"}}
	c := New(h, Options{})
	var prev *tcpq.Snapshot
	pass := func() {
		t.Helper()
		h.info.Time = h.info.Time.Add(time.Minute)
		h.vitals = map[int]host.Vitals{7: {At: h.info.Time, Start: 1}}
		var err error
		if prev, err = c.Pass(t.Context(), h.found, prev, Owners); err != nil {
			t.Fatal(err)
		}
	}
	var longest time.Duration
	for range 60 {
		pass()
		longest = max(longest, prev.Vitals[7].Over)
	}
	if over := prev.Vitals[7].Over; longest != vitalsSpan || over < vitalsSpan/2 {
		t.Errorf("compared over %v, at most %v, want between %v and %v", over, longest, vitalsSpan/2, vitalsSpan)
	}
	sockets[0].RQueue = 0
	for range 12 {
		pass()
	}
	if len(prev.Vitals) != 0 || len(c.patients) != 0 {
		t.Errorf("vitals = %v of %d patients, want none", prev.Vitals, len(c.patients))
	}
}

// TestSynBudgetComesBack proves that counting SYN queues is paid for by time.
func TestSynBudgetComesBack(t *testing.T) {
	c := New(alone(listens()), Options{})
	begin := time.Unix(1000, 0)
	c.regainSynBudget(begin)
	c.synSpent = synBudget
	c.regainSynBudget(begin.Add(20 * time.Second))
	if want := synBudget - 100*time.Millisecond; c.synSpent != want {
		t.Errorf("spent after 20 s = %v, want %v", c.synSpent, want)
	}
	if c.regainSynBudget(begin.Add(time.Hour)); c.synSpent != 0 {
		t.Errorf("spent after an hour = %v, want nothing", c.synSpent)
	}
}
