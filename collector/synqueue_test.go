// SPDX-License-Identifier: Apache-2.0

//go:build linux

package collector

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/qtune/qtune/collector/inetdiag"
	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/tcpq"
)

// at makes a listener of "ADDR:PORT" with a limit of 128.
func at(addr string, change ...func(*tcpq.Listener)) tcpq.Listener {
	ap := netip.MustParseAddrPort(addr)
	l := tcpq.Listener{Addr: ap.Addr(), Port: ap.Port(), Accept: tcpq.Queue{Max: 128}}
	for _, c := range change {
		c(&l)
	}
	return l
}

func on(ifindex uint32) func(*tcpq.Listener) { return func(l *tcpq.Listener) { l.Ifindex = ifindex } }
func v6only(l *tcpq.Listener)                { l.V6Only = true }
func transparent(l *tcpq.Listener)           { l.Transparent = true }

// half makes a request socket as the kernel shows it to "ADDR:PORT".
func half(addr string, change ...func(*inetdiag.Socket)) inetdiag.Socket {
	ap := netip.MustParseAddrPort(addr)
	s := inetdiag.Socket{Family: unix.AF_INET6, State: inetdiag.SynRecv, Port: ap.Port()}
	if ap.Addr().Is4() {
		s.Family = unix.AF_INET
		a := ap.Addr().As4()
		copy(s.Addr[:], a[:])
	} else {
		s.Addr = ap.Addr().As16()
	}
	for _, c := range change {
		c(&s)
	}
	return s
}

func through(ifindex uint32) func(*inetdiag.Socket) {
	return func(s *inetdiag.Socket) { s.Ifindex = ifindex }
}
func fastOpen(s *inetdiag.Socket)    { s.Flags |= inetdiag.FullSocket }
func established(s *inetdiag.Socket) { s.State = 1 }

func TestSynQueuesCount(t *testing.T) {
	const absent = -1
	tests := []struct {
		name         string
		listeners    []tcpq.Listener
		requests     []inetdiag.Socket
		want         []int // lengths by listener; absent: not to be called counted
		unattributed uint32
	}{
		{
			"none is 0, not absent",
			[]tcpq.Listener{at("0.0.0.0:80")},
			nil,
			[]int{0},
			0,
		},
		{
			"by port",
			[]tcpq.Listener{at("0.0.0.0:80"), at("0.0.0.0:81")},
			[]inetdiag.Socket{half("10.0.0.1:80"), half("10.0.0.2:80"), half("10.0.0.1:81")},
			[]int{2, 1},
			0,
		},
		{
			"the exact address before the wildcard",
			[]tcpq.Listener{at("0.0.0.0:80"), at("10.0.0.1:80")},
			[]inetdiag.Socket{half("10.0.0.1:80"), half("10.0.0.1:80"), half("10.0.0.2:80")},
			[]int{1, 2},
			0,
		},
		{
			"a device before none",
			[]tcpq.Listener{at("0.0.0.0:80"), at("0.0.0.0:80", on(3))},
			[]inetdiag.Socket{half("10.0.0.1:80", through(3)), half("10.0.0.1:80")},
			[]int{1, 1},
			0,
		},
		{
			"another device is not this device's",
			[]tcpq.Listener{at("0.0.0.0:80", on(3)), at("0.0.0.0:80", on(4))},
			[]inetdiag.Socket{half("10.0.0.1:80", through(4)), half("10.0.0.1:80", through(4))},
			[]int{0, 2},
			0,
		},
		{
			"the exact address before the device",
			[]tcpq.Listener{at("0.0.0.0:80", on(3)), at("10.0.0.1:80")},
			[]inetdiag.Socket{half("10.0.0.1:80", through(3))},
			[]int{0, 1},
			0,
		},
		{
			"exact address and device before both",
			[]tcpq.Listener{at("10.0.0.1:80"), at("0.0.0.0:80", on(3)), at("10.0.0.1:80", on(3))},
			[]inetdiag.Socket{half("10.0.0.1:80", through(3))},
			[]int{0, 0, 1},
			0,
		},
		{
			"a link-local peer's device belongs to no listener: the unbound one's",
			[]tcpq.Listener{at("[::]:80")},
			[]inetdiag.Socket{half("[fe80::1]:80", through(2))},
			[]int{1},
			0,
		},
		{
			"an IPv4 peer of a dual-stack listener carries mapped addresses",
			[]tcpq.Listener{at("[::]:80")},
			[]inetdiag.Socket{half("[::ffff:10.0.0.1]:80"), half("[fd00::1]:80")},
			[]int{2},
			0,
		},
		{
			"both wildcards of one port: the family decides",
			[]tcpq.Listener{at("0.0.0.0:80"), at("[::]:80", v6only)},
			[]inetdiag.Socket{half("10.0.0.1:80"), half("10.0.0.2:80"), half("[fd00::1]:80")},
			[]int{2, 1},
			0,
		},
		{
			"a v6only listener beside a dual-stack one: the other family's peers are the dual-stack one's",
			[]tcpq.Listener{at("[::]:80", v6only), at("[::]:80")},
			[]inetdiag.Socket{half("[::ffff:10.0.0.1]:80"), half("[::ffff:10.0.0.1]:80")},
			[]int{0, 2},
			0,
		},
		{
			"a v6only listener beside a dual-stack one: nothing says whose an IPv6 peer is",
			[]tcpq.Listener{at("[::]:80", v6only), at("[::]:80")},
			[]inetdiag.Socket{half("[fd00::1]:80"), half("[::ffff:10.0.0.1]:80")},
			[]int{absent, 1},
			1,
		},
		{
			"a listener of a mapped address",
			[]tcpq.Listener{at("[::ffff:10.0.0.1]:80"), at("[::]:80")},
			[]inetdiag.Socket{half("[::ffff:10.0.0.1]:80"), half("[::ffff:10.0.0.2]:80")},
			[]int{1, 1},
			0,
		},
		{
			"a reuse-port group has one queue between its members",
			[]tcpq.Listener{at("0.0.0.0:80"), at("0.0.0.0:80"), at("0.0.0.0:81")},
			[]inetdiag.Socket{half("10.0.0.1:80"), half("10.0.0.1:80"), half("10.0.0.1:80"), half("10.0.0.1:81")},
			[]int{3, 3, 1},
			0,
		},
		{
			"a Fast Open child is in the accept queue already",
			[]tcpq.Listener{at("0.0.0.0:80")},
			[]inetdiag.Socket{half("10.0.0.1:80", fastOpen), half("10.0.0.1:80")},
			[]int{1},
			0,
		},
		{
			"a Fast Open child that matches nobody is no half-open peer either",
			[]tcpq.Listener{at("0.0.0.0:80")},
			[]inetdiag.Socket{half("10.0.0.1:99", fastOpen)},
			[]int{0},
			0,
		},
		{
			"other states do not count",
			[]tcpq.Listener{at("0.0.0.0:80")},
			[]inetdiag.Socket{half("10.0.0.1:80", established)},
			[]int{0},
			0,
		},
		{
			"a peer of no listener: nobody's queue can be called empty",
			[]tcpq.Listener{at("0.0.0.0:80"), at("0.0.0.0:81")},
			[]inetdiag.Socket{half("10.0.0.1:99"), half("10.0.0.1:98"), half("10.0.0.1:80")},
			[]int{1, absent},
			2,
		},
		{
			"the other family's listener is none",
			[]tcpq.Listener{at("[::]:80", v6only)},
			[]inetdiag.Socket{half("10.0.0.1:80")},
			[]int{absent},
			1,
		},
		{
			"another address of the port is none",
			[]tcpq.Listener{at("10.0.0.1:80")},
			[]inetdiag.Socket{half("10.0.0.2:80")},
			[]int{absent},
			1,
		},
		{
			"one transparent listener takes them",
			[]tcpq.Listener{at("0.0.0.0:80"), at("0.0.0.0:8443", transparent)},
			[]inetdiag.Socket{half("203.0.113.1:443"), half("203.0.113.2:443"), half("10.0.0.1:8443"), half("10.0.0.1:80")},
			[]int{1, 3},
			0,
		},
		{
			"two transparent listeners: nobody knows whose",
			[]tcpq.Listener{at("0.0.0.0:80"), at("0.0.0.0:8443", transparent), at("0.0.0.0:8444", transparent)},
			[]inetdiag.Socket{half("203.0.113.1:443"), half("10.0.0.1:8443")},
			[]int{absent, 1, absent},
			1,
		},
		{
			"three transparent listeners: nobody knows whose",
			[]tcpq.Listener{at("0.0.0.0:1", transparent), at("0.0.0.0:2", transparent), at("0.0.0.0:3", transparent)},
			[]inetdiag.Socket{half("203.0.113.1:443")},
			[]int{absent, absent, absent},
			1,
		},
		{
			"a transparent listener with nothing to take",
			[]tcpq.Listener{at("0.0.0.0:8443", transparent)},
			nil,
			[]int{0},
			0,
		},
		{
			"no listener at all",
			nil,
			[]inetdiag.Socket{half("10.0.0.1:80")},
			nil, 1,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := newSynQueues(tt.listeners).count(tt.requests)
			if got != tt.unattributed {
				t.Errorf("count = %d unattributed, want %d", got, tt.unattributed)
			}
			for i, want := range tt.want {
				l := tt.listeners[i]
				if l.Syn.Counted != (want != absent) || l.Syn.Counted && int(l.Syn.Len) != want {
					t.Errorf("count: listener %d %s = %d, counted %t, want %d", i, l.Name(), l.Syn.Len, l.Syn.Counted, want)
				}
			}
		})
	}
}

// TestSynQueuesCountAll proves that every half-open peer is counted once: at one
// listener, in one group, or as nobody's.
func TestSynQueuesCountAll(t *testing.T) {
	addrs := []string{"10.0.0.1", "10.0.0.2", "[::ffff:10.0.0.1]", "[fd00::1]"}
	wild := []string{"0.0.0.0", "[::]"}
	var listeners []tcpq.Listener
	for i, a := range slices.Concat(addrs, wild) {
		listeners = append(listeners, at(a+":80", on(uint32(i%2))), at(a+":81"), at(a+":81"))
	}
	var requests []inetdiag.Socket
	for i, a := range addrs {
		for port := 79; port < 83; port++ {
			for dev := range uint32(3) {
				r := half(fmt.Sprintf("%s:%d", a, port), through(dev))
				requests = append(requests, slices.Repeat([]inetdiag.Socket{r}, i+1)...)
			}
		}
	}
	left := newSynQueues(listeners).count(requests)
	sum := int(left)
	for key, group := range newSynQueues(listeners).byKey {
		sum += int(listeners[group[0]].Syn.Len)
		for _, i := range group {
			if listeners[i].Syn.Len != listeners[group[0]].Syn.Len {
				t.Errorf("members of %v = %d and %d, want the group's", key, listeners[i].Syn.Len, listeners[group[0]].Syn.Len)
			}
		}
	}
	if sum != len(requests) {
		t.Errorf("count gave away %d, %d of them to nobody, want %d", sum, left, len(requests))
	}
}

func TestSynQueuesSetLimits(t *testing.T) {
	v6_18, v5_10 := tcpq.Version{Major: 6, Minor: 18}, tcpq.Version{Major: 5, Minor: 10}
	limit := func(n uint32) func(*tcpq.Listener) { return func(l *tcpq.Listener) { l.Accept.Max = n } }
	type want struct {
		max     uint32
		members int
		by      tcpq.SynBound
	}
	tests := []struct {
		name      string
		version   tcpq.Version
		maxSyn    int64
		cookies   int64
		listeners []tcpq.Listener
		want      []want
	}{
		{"each its own", v6_18, 128, 1, []tcpq.Listener{at("0.0.0.0:80", limit(10)), at("0.0.0.0:81", limit(500))}, []want{{11, 1, tcpq.SynBoundListener}, {501, 1, tcpq.SynBoundListener}}},
		{"of an older kernel", v5_10, 128, 1, []tcpq.Listener{at("0.0.0.0:80", limit(10))}, []want{{10, 1, tcpq.SynBoundListener}}},
		{"three quarters", v6_18, 128, 0, []tcpq.Listener{at("0.0.0.0:80", limit(10)), at("0.0.0.0:81", limit(500))}, []want{{11, 1, tcpq.SynBoundListener}, {97, 1, tcpq.SynBoundMaxSynBacklog}}},
		{"always cookies", v6_18, 128, 2, []tcpq.Listener{at("0.0.0.0:80")}, []want{{0, 1, tcpq.SynBoundSyncookies}}},
		{"a group's is the sum", v6_18, 128, 1, []tcpq.Listener{at("0.0.0.0:80", limit(10)), at("0.0.0.0:80", limit(20)), at("0.0.0.0:80", limit(30))}, []want{{63, 3, tcpq.SynBoundListener}, {63, 3, tcpq.SynBoundListener}, {63, 3, tcpq.SynBoundListener}}},
		{"another device is another group", v6_18, 128, 1, []tcpq.Listener{at("0.0.0.0:80", limit(10)), at("0.0.0.0:80", limit(20), on(3))}, []want{{11, 1, tcpq.SynBoundListener}, {21, 1, tcpq.SynBoundListener}}},
		{"another address is another group", v6_18, 128, 1, []tcpq.Listener{at("0.0.0.0:80", limit(10)), at("[::]:80", limit(20))}, []want{{11, 1, tcpq.SynBoundListener}, {21, 1, tcpq.SynBoundListener}}},
		{"a v6only one is not of a dual-stack one's group", v6_18, 128, 1, []tcpq.Listener{at("[::]:80", limit(10), v6only), at("[::]:80", limit(20))}, []want{{11, 1, tcpq.SynBoundListener}, {21, 1, tcpq.SynBoundListener}}},
		{"a sum too large does not wrap", v6_18, 128, 1, []tcpq.Listener{at("0.0.0.0:80", limit(math.MaxInt32)), at("0.0.0.0:80", limit(math.MaxInt32))}, []want{{math.MaxUint32, 2, tcpq.SynBoundListener}, {math.MaxUint32, 2, tcpq.SynBoundListener}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var s tcpq.Sysctls
			s.Set(tcpq.TCPMaxSynBacklog, tt.maxSyn)
			s.Set(tcpq.TCPSyncookies, tt.cookies)
			newSynQueues(tt.listeners).setLimits(tt.version, &s)
			for i, w := range tt.want {
				got := tt.listeners[i].Syn
				if want := (tcpq.SynQueue{Queue: tcpq.Queue{Max: w.max}, MaxKnown: true, BoundBy: w.by, Members: w.members}); got != want {
					t.Errorf("setLimits: listener %d = %+v, want %+v", i, got, want)
				}
			}
		})
	}

	for _, missing := range []tcpq.Sysctl{tcpq.TCPMaxSynBacklog, tcpq.TCPSyncookies} {
		var s tcpq.Sysctls
		s.Set(tcpq.TCPMaxSynBacklog+tcpq.TCPSyncookies-missing, 1)
		l := []tcpq.Listener{at("0.0.0.0:80")}
		newSynQueues(l).setLimits(v6_18, &s)
		if got, want := l[0].Syn, (tcpq.SynQueue{Members: 1}); got != want {
			t.Errorf("setLimits without %v = %+v, want %+v", missing, got, want)
		}
	}
}

func TestSynWanted(t *testing.T) {
	id := tcpq.NetnsID{Inode: 1, Cookie: 2}
	before := map[tcpq.Counter]uint64{
		tcpq.ListenDrops: 10, tcpq.ListenOverflows: 10, tcpq.TCPReqQFullDrop: 10,
		tcpq.TCPReqQFullDoCookies: 10, tcpq.SyncookiesSent: 10, tcpq.SyncookiesRecv: 10, tcpq.EmbryonicRsts: 10,
	}
	type moves = map[tcpq.Counter]uint64
	tests := []struct {
		name  string
		mode  SynMode
		moved moves
		first bool // no snapshot before
		wide  bool // walked before
		empty bool // no listener
		spent float64
		work  Work
		want  synChoice
	}{
		{name: "never, whatever moved", mode: SynNever, moved: moves{tcpq.TCPReqQFullDrop: 5}, wide: true, want: synQuiet},
		{name: "all, though nothing moved", mode: SynAll, want: synCount},
		{name: "all, though the time is used up", mode: SynAll, spent: 9, want: synCount},
		{name: "all, also the first time", mode: SynAll, first: true, want: synCount},
		{name: "all, also without a listener: peers outlive theirs", mode: SynAll, empty: true, want: synCount},
		{name: "auto, nothing moved", mode: SynAuto, want: synQuiet},
		{name: "auto, the first time nothing can have moved", mode: SynAuto, first: true, moved: moves{tcpq.TCPReqQFullDrop: 5}, want: synQuiet},
		{name: "auto, no listener", mode: SynAuto, empty: true, moved: moves{tcpq.TCPReqQFullDrop: 5}, want: synQuiet},
		{name: "auto, SYN queue full", mode: SynAuto, moved: moves{tcpq.TCPReqQFullDrop: 1, tcpq.ListenDrops: 1}, want: synCount},
		{name: "auto, SYN queue full, answered by cookie", mode: SynAuto, moved: moves{tcpq.TCPReqQFullDoCookies: 1}, want: synCount},
		{name: "auto, cookies sent", mode: SynAuto, moved: moves{tcpq.SyncookiesSent: 1}, want: synCount},
		{name: "auto, drops that nothing explains: the 3/4 rule", mode: SynAuto, moved: moves{tcpq.ListenDrops: 5, tcpq.ListenOverflows: 4}, want: synCount},
		{name: "auto, drops that the accept queue explains", mode: SynAuto, moved: moves{tcpq.ListenDrops: 5, tcpq.ListenOverflows: 5}, want: synQuiet},
		{name: "auto, counters that say nothing of SYN queues", mode: SynAuto, moved: moves{tcpq.SyncookiesRecv: 5, tcpq.EmbryonicRsts: 5}, want: synQuiet},
		{name: "auto, walked before: it goes on", mode: SynAuto, wide: true, want: synCount},
		{name: "auto, half of the time is for the last pass", mode: SynAuto, wide: true, spent: 0.5, want: synOverBudget},
		{name: "auto, before half of the time", mode: SynAuto, wide: true, spent: 0.499, want: synCount},
		{name: "auto, the last pass has the rest", mode: SynAuto, wide: true, spent: 0.5, work: Owners, want: synCount},
		{name: "auto, the time is used up", mode: SynAuto, wide: true, spent: 1, work: Owners, want: synOverBudget},
		{name: "auto, quiet though the time is used up", mode: SynAuto, spent: 1, work: Owners, want: synQuiet},
		{name: "auto is what nobody chose", moved: moves{tcpq.TCPReqQFullDrop: 1}, want: synCount},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := New(&fakeHost{}, Options{Syn: tt.mode})
			c.synSpent = time.Duration(tt.spent * float64(synBudget))
			p := &pass{collector: c, work: tt.work, before: map[tcpq.NetnsID]*tcpq.Namespace{}}
			n := &tcpq.Namespace{ID: id, Counters: counts(before), Listeners: []tcpq.Listener{at("0.0.0.0:80")}}
			if tt.empty {
				n.Listeners = nil
			}
			if !tt.first {
				p.before[id] = &tcpq.Namespace{ID: id, Counters: counts(before), SynWalked: tt.wide}
			}
			for counter, by := range tt.moved {
				n.Counters.Set(counter, before[counter]+by)
			}
			if got := p.synWanted(n); got != tt.want {
				t.Errorf("synWanted = %d, want %d", got, tt.want)
			}
		})
	}
}

func TestReadSynQueues(t *testing.T) {
	peers := []inetdiag.Socket{half("10.0.0.1:80"), half("10.0.0.2:80"), half("10.0.0.1:99")}
	for i := range peers {
		peers[i].Cookie = uint64(100 + i)
	}
	tests := []struct {
		name    string
		mode    SynMode
		dump    func() ([]byte, error)
		walked  bool
		cov     tcpq.Coverage
		message string // of the one error, "" for none
	}{
		{name: "counted", mode: SynAll, dump: func() ([]byte, error) { return wire(peers...), nil }, walked: true, cov: tcpq.Coverage{SynWalked: 1}},
		{name: "not counted", mode: SynNever, cov: tcpq.Coverage{SynQuiet: 1}},
		{name: "a recording without it", mode: SynAll, dump: func() ([]byte, error) { return nil, host.ErrAbsent }, cov: tcpq.Coverage{SynQuiet: 1}},
		{name: "refused", mode: SynAll, dump: func() ([]byte, error) { return nil, unix.EPERM }, message: "operation not permitted"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := cluster()
			n := listens(inetdiag.Socket{Inode: 11, Port: 80})
			listen := n.dump
			n.dump = func(name host.DumpName, attempt int) ([]byte, error) {
				if name == host.SynRecvDump {
					return tt.dump()
				}
				return listen(name, attempt)
			}
			h.netns = map[uint64]*fakeNetns{100: n}
			h.found.Namespaces = h.found.Namespaces[:1]
			s := snapshotOf(t, h, Options{Syn: tt.mode})
			got := &s.Namespaces[0]
			syn := got.Listeners[0].Syn
			if got.SynWalked != tt.walked || syn.Counted != tt.walked || tt.walked && (syn.Len != 2 || got.UnattributedSyn != 1) {
				t.Errorf("namespace walked %t, unattributed %d, queue %+v, want walked %t with 2 and 1", got.SynWalked, got.UnattributedSyn, syn, tt.walked)
			}
			if !syn.MaxKnown || syn.Members != 1 {
				t.Errorf("queue = %+v, want its limit known even when it is not counted", syn)
			}
			if c := s.Coverage; c.SynWalked != tt.cov.SynWalked || c.SynQuiet != tt.cov.SynQuiet || c.SynOverBudget != tt.cov.SynOverBudget {
				t.Errorf("Coverage = %+v, want %+v", c, tt.cov)
			}
			if tt.message == "" && len(s.Errors) != 0 || tt.message != "" && (len(s.Errors) != 1 || !strings.Contains(s.Errors[0].Message, tt.message) || s.Errors[0].Stage != "synrecv") {
				t.Errorf("Errors = %+v, want one with %q", s.Errors, tt.message)
			}
		})
	}
}

// TestSynBudget proves that one namespace which costs all the time leaves the
// others uncounted, and says so.
func TestSynBudget(t *testing.T) {
	h := cluster()
	c := New(h, Options{Syn: SynAuto})
	prev, err := c.Snapshot(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := prev.Coverage; got.SynQuiet != 2 || got.SynWalked != 0 {
		t.Errorf("first: Coverage = %+v, want 2 quiet", got)
	}
	for _, n := range h.netns {
		n.files[host.Netstat] = "TcpExt: TCPReqQFullDrop ListenOverflows ListenDrops\nTcpExt: 9 3 5\n"
	}
	// What was not shown before has not moved.
	if prev, err = c.Snapshot(t.Context(), prev); err != nil || prev.Coverage.SynWalked != 0 {
		t.Fatalf("second: Coverage = %+v, %v, want none walked", prev.Coverage, err)
	}
	for _, n := range h.netns {
		n.files[host.Netstat] = "TcpExt: TCPReqQFullDrop ListenOverflows ListenDrops\nTcpExt: 10 3 6\n"
	}
	dump := h.netns[100].dump
	h.netns[100].dump = func(name host.DumpName, attempt int) ([]byte, error) {
		if name == host.SynRecvDump {
			c.synSpent += synBudget
		}
		return dump(name, attempt)
	}
	s, err := c.Snapshot(t.Context(), prev)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Coverage; got.SynWalked != 1 || got.SynOverBudget != 1 {
		t.Errorf("third: Coverage = %+v, want 1 walked and 1 over budget", got)
	}
	if s.Namespaces[0].ID.Inode != 100 || !s.Namespaces[0].SynWalked || s.Namespaces[1].SynWalked {
		t.Errorf("walked %t and %t, want the host's namespace first", s.Namespaces[0].SynWalked, s.Namespaces[1].SynWalked)
	}
}
