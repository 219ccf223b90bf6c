// SPDX-License-Identifier: Apache-2.0

//go:build linux

package inspection

import (
	"encoding/json"
	"math"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/qtune/qtune/advisor"
	"github.com/qtune/qtune/tcpq"
)

var (
	blue  = tcpq.NetnsID{Inode: 4026532001, Cookie: 0x0123456789abcdef}
	start = time.Date(2026, 5, 2, 3, 0, 0, 0, time.FixedZone("CEST", 2*60*60))
)

// keys marshals v and returns it as JSON has it.
func keys(t *testing.T, v any) map[string]any {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// full is a snapshot in which everything is known, and the window before it.
func full() (*tcpq.Snapshot, *tcpq.Window) {
	owner := &tcpq.Owner{
		PIDs: []int{30, 31}, Started: start, Comm: "nginx", Exe: "/usr/sbin/nginx", UID: 33, Unit: "nginx.service",
		Container: tcpq.Container{Runtime: "containerd", ID: "4f79", Name: "app"},
		Pod:       tcpq.Pod{Namespace: "shop", Name: "web-0", UID: "a5c1", Container: "app"},
	}
	n := tcpq.Namespace{ID: blue, Host: true, Name: "blue", PID: 30, SynWalked: true, UnattributedSyn: 2, Err: "netstat: boom"}
	n.Sysctls.Set(tcpq.Somaxconn, 4096)
	n.Sysctls.SetHostWide(tcpq.NetdevMaxBacklog, 1000)
	n.Counters.Set(tcpq.ListenDrops, 10)
	n.Counters.Set(tcpq.ListenOverflows, 0)
	n.Listeners = []tcpq.Listener{{
		Addr: netip.MustParseAddr("::"), Port: 8080, Device: "eth0", Ifindex: 3, MPTCP: true,
		Inode: 4711, Cookie: 0xfedcba9876543210, UID: 33,
		Accept:   tcpq.Queue{Len: 7, Max: 4096},
		Syn:      tcpq.SynQueue{Queue: tcpq.Queue{Len: 5, Max: 97}, Counted: true, MaxKnown: true, BoundBy: tcpq.SynBoundMaxSynBacklog, Members: 2},
		Discards: 20, DiscardsKnown: true, Owner: owner,
	}}
	s := &tcpq.Snapshot{
		Time: start.Add(2 * time.Second), Hostname: "node-1", Kernel: tcpq.Version{Major: 6, Minor: 18, Patch: 44, Release: "6.18.44-x"},
		Namespaces: []tcpq.Namespace{n},
		Coverage:   tcpq.Coverage{SynWalked: 1, SynQuiet: 2, SynOverBudget: 3},
		Errors:     []tcpq.Error{{Netns: blue.Inode, Stage: "counters", Message: "netstat: boom"}, {Stage: "owners", Message: "no /proc"}},
	}

	was := n
	was.Counters = tcpq.Counters{}
	was.Counters.Set(tcpq.ListenDrops, 4)
	was.Counters.Set(tcpq.ListenOverflows, 0)
	was.Listeners = slices.Clone(n.Listeners)
	was.Listeners[0].Accept.Len = 50
	was.Listeners[0].Discards = 11
	before := &tcpq.Snapshot{Time: start, Namespaces: []tcpq.Namespace{was}}
	w := &tcpq.Window{}
	w.Extend(before, s)
	return s, w
}

func TestFromMapsEverything(t *testing.T) {
	s, w := full()
	got := From(s, w, advisor.Report{})
	var (
		no               = false
		peak, syn, limit = uint32(50), uint32(5), uint32(97)
		total, left      = uint32(20), uint32(2)
		discards         = uint64(9)
	)
	want := &Inspection{
		APIVersion: "qtune.dev/v1alpha1", Kind: "Inspection",
		Time:   time.Date(2026, 5, 2, 1, 0, 2, 0, time.UTC),
		Window: Window{Seconds: 2, Source: "watched"},
		Host:   Host{Name: "node-1", Kernel: "6.18.44-x"},
		Namespaces: []Namespace{{
			Inode: 4026532001, Cookie: "0123456789abcdef", Host: true, Name: "blue", PID: 30,
			Sysctls:         map[string]int64{"net.core.somaxconn": 4096, "net.core.netdev_max_backlog": 1000},
			HostWideSysctls: []string{"net.core.netdev_max_backlog"},
			Counters:        map[string]uint64{"ListenDrops": 10, "ListenOverflows": 0},
			Moved:           map[string]uint64{"ListenDrops": 6},
			UnattributedSyn: &left, Error: "netstat: boom",
		}},
		Listeners: []Listener{{
			Netns: 4026532001, Address: "::", Port: 8080, Family: "ipv6", Protocol: "mptcp", V6Only: &no, Device: "eth0",
			Inode: 4711, Cookie: "fedcba9876543210",
			AcceptQueue:  AcceptQueue{Length: 7, Limit: 4096, Capacity: 4097, Peak: &peak},
			SynQueue:     SynQueue{Length: &syn, Limit: &limit, BoundBy: "tcp_max_syn_backlog", Members: 2},
			Discards:     Discards{Total: &total, Window: &discards},
			Refused:      &Refused{Min: 6, Max: 6},
			LimitBoundBy: "somaxconn",
			Owner: &Owner{
				PID: 30, PIDs: []int{30, 31}, Comm: "nginx", Exe: "/usr/sbin/nginx", UID: 33, Unit: "nginx.service",
				Container: &Container{Runtime: "containerd", ID: "4f79", Name: "app"},
				Pod:       &Pod{Namespace: "shop", Name: "web-0", UID: "a5c1", Container: "app"},
			},
			Findings: []string{},
		}},
		Findings: []Finding{},
		Coverage: Coverage{NotSearched: got.Coverage.NotSearched, SynWalked: 1, SynSkipped: 5},
		Errors:   []Error{{Netns: 4026532001, Stage: "counters", Message: "netstat: boom"}, {Stage: "owners", Message: "no /proc"}},
	}
	if !reflect.DeepEqual(got, want) {
		g, _ := json.MarshalIndent(got, "", " ")
		w, _ := json.MarshalIndent(want, "", " ")
		t.Errorf("From = %s, want %s", g, w)
	}
}

// TestFromUnknownIsAbsent proves that JSON has no key for what is not known,
// never a 0.
func TestFromUnknownIsAbsent(t *testing.T) {
	s := &tcpq.Snapshot{
		Time: start,
		Namespaces: []tcpq.Namespace{{
			ID: tcpq.NetnsID{Inode: 7},
			Listeners: []tcpq.Listener{{
				Addr: netip.MustParseAddr("0.0.0.0"), Port: 80, Inode: 1, Cookie: 1, Syn: tcpq.SynQueue{Members: 1},
			}},
		}},
	}
	const want = `{"apiVersion":"qtune.dev/v1alpha1","kind":"Inspection","time":"2026-05-02T01:00:00Z",` +
		`"window":{"seconds":0,"source":"none"},"host":{"name":"","kernel":""},` +
		`"namespaces":[{"inode":7,"host":false,"sysctls":{},"counters":{}}],` +
		`"listeners":[{"netns":7,"address":"0.0.0.0","port":80,"family":"ipv4","protocol":"tcp","inode":1,"cookie":"0000000000000001",` +
		`"acceptQueue":{"length":0,"limit":0,"capacity":1},"synQueue":{"members":1},"discards":{},"limitBoundBy":"unknown","findings":[]}],` +
		`"findings":[],"coverage":{"notSearched":[],"synWalked":0,"synSkipped":0},"errors":[]}`
	b, err := json.Marshal(From(s, nil, advisor.Report{}))
	if err != nil || string(b) != want {
		t.Errorf("From of the unknown = %s, %v, want %s", b, err, want)
	}

	// A window that never saw the namespace twice knows nothing either.
	b, err = json.Marshal(From(s, &tcpq.Window{}, advisor.Report{}))
	if want := strings.Replace(want, `"source":"none"`, `"source":"watched"`, 1); err != nil || string(b) != want {
		t.Errorf("From with an empty window = %s, %v, want %s", b, err, want)
	}
}

// TestFromZeroIsThere proves that a 0 which was read is not left out.
func TestFromZeroIsThere(t *testing.T) {
	n := tcpq.Namespace{ID: blue, SynWalked: true}
	n.Sysctls.Set(tcpq.TCPSyncookies, 0)
	n.Counters.Set(tcpq.ListenDrops, 0)
	n.Listeners = []tcpq.Listener{{
		Addr: netip.MustParseAddr("::1"), Port: 80, Cookie: 1, DiscardsKnown: true,
		Syn: tcpq.SynQueue{Counted: true, MaxKnown: true, BoundBy: tcpq.SynBoundSyncookies, Members: 1},
	}}
	s := &tcpq.Snapshot{Time: start, Namespaces: []tcpq.Namespace{n}}
	w := &tcpq.Window{}
	w.Extend(s, s)
	in := From(s, w, advisor.Report{})

	l := keys(t, in.Listeners[0])
	for path, part := range map[string]any{
		"v6Only": l["v6Only"], "acceptQueue.peak": l["acceptQueue"].(map[string]any)["peak"],
		"synQueue.length": l["synQueue"].(map[string]any)["length"], "synQueue.limit": l["synQueue"].(map[string]any)["limit"],
		"discards.total": l["discards"].(map[string]any)["total"], "discards.window": l["discards"].(map[string]any)["window"],
	} {
		if part == nil {
			t.Errorf("%s is absent, want 0 or false: it was read", path)
		}
	}
	if r, ok := l["refused"].(map[string]any); !ok || r["min"] != 0.0 || r["max"] != 0.0 {
		t.Errorf("refused = %v, want min 0 and max 0", l["refused"])
	}
	ns := keys(t, in.Namespaces[0])
	if ns["unattributedSyn"] != 0.0 || ns["counters"].(map[string]any)["ListenDrops"] != 0.0 || ns["sysctls"].(map[string]any)["net.ipv4.tcp_syncookies"] != 0.0 {
		t.Errorf("namespace = %v, want unattributedSyn, ListenDrops and tcp_syncookies 0", ns)
	}
	if _, ok := ns["moved"]; ok {
		t.Errorf("moved = %v, want it absent: nothing moved", ns["moved"])
	}
}

func TestFromListener(t *testing.T) {
	tests := []struct {
		name   string
		change func(*tcpq.Namespace, *tcpq.Listener)
		key    string // path in the listener's JSON
		want   any    // nil: absent
	}{
		{"the largest cookie has 16 digits", func(_ *tcpq.Namespace, l *tcpq.Listener) { l.Cookie = math.MaxUint64 }, "cookie", "ffffffffffffffff"},
		{"a cookie that a number could not hold", func(_ *tcpq.Namespace, l *tcpq.Listener) { l.Cookie = 1<<53 + 1 }, "cookie", "0020000000000001"},
		{"an IPv4 listener has no v6Only", func(_ *tcpq.Namespace, l *tcpq.Listener) { l.Addr = netip.MustParseAddr("10.0.0.1") }, "v6Only", nil},
		{"an IPv6 one that takes no IPv4 peers", func(_ *tcpq.Namespace, l *tcpq.Listener) { l.V6Only = true }, "v6Only", true},
		{"a mapped address stays one", func(_ *tcpq.Namespace, l *tcpq.Listener) { l.Addr = netip.MustParseAddr("::ffff:10.0.0.1") }, "address", "::ffff:10.0.0.1"},
		{"no device", func(_ *tcpq.Namespace, l *tcpq.Listener) { l.Device = "" }, "device", nil},
		{"plain tcp", func(_ *tcpq.Namespace, l *tcpq.Listener) { l.MPTCP = false }, "protocol", "tcp"},
		{"a SYN queue that was not counted has no length", func(_ *tcpq.Namespace, l *tcpq.Listener) { l.Syn.Counted = false }, "synQueue.length", nil},
		{"a SYN queue that was not counted keeps its limit", func(_ *tcpq.Namespace, l *tcpq.Listener) { l.Syn.Counted = false }, "synQueue.limit", 97.0},
		{"a SYN queue of unknown limit", func(_ *tcpq.Namespace, l *tcpq.Listener) { l.Syn.MaxKnown, l.Syn.BoundBy = false, "" }, "synQueue.limit", nil},
		{"a SYN queue of unknown limit is bound by nothing", func(_ *tcpq.Namespace, l *tcpq.Listener) { l.Syn.MaxKnown, l.Syn.BoundBy = false, "" }, "synQueue.boundBy", nil},
		{"discards the kernel does not show", func(_ *tcpq.Namespace, l *tcpq.Listener) { l.DiscardsKnown = false }, "discards.total", nil},
		{"nor in the window", func(_ *tcpq.Namespace, l *tcpq.Listener) { l.DiscardsKnown = false }, "discards.window", nil},
		{"the peak is at least what it is now", func(_ *tcpq.Namespace, l *tcpq.Listener) { l.Accept.Len = 60 }, "acceptQueue.peak", 60.0},
		{"capacity is one more than the limit", func(_ *tcpq.Namespace, l *tcpq.Listener) { l.Accept.Max = math.MaxUint32 }, "acceptQueue.capacity", 4294967296.0},
		{"below somaxconn the application asked for it", func(_ *tcpq.Namespace, l *tcpq.Listener) { l.Accept.Max = 128 }, "limitBoundBy", "application"},
		{"nobody knows without somaxconn", func(n *tcpq.Namespace, _ *tcpq.Listener) { n.Sysctls = tcpq.Sysctls{} }, "limitBoundBy", "unknown"},
		{"nobody looked for an owner", func(_ *tcpq.Namespace, l *tcpq.Listener) { l.Owner = nil }, "owner", nil},
		{"an owner without a process has no pid", func(_ *tcpq.Namespace, l *tcpq.Listener) { l.Owner = &tcpq.Owner{Unfound: tcpq.NobodyHolds} }, "owner.pid", nil},
		{"an owner without a process says why", func(_ *tcpq.Namespace, l *tcpq.Listener) { l.Owner = &tcpq.Owner{Unfound: tcpq.NotPermitted} }, "owner.unfound", "not-permitted"},
		{"an owner that was found does not", func(*tcpq.Namespace, *tcpq.Listener) {}, "owner.unfound", nil},
		{"root is uid 0", func(_ *tcpq.Namespace, l *tcpq.Listener) { l.Owner = &tcpq.Owner{PIDs: []int{1}} }, "owner.uid", 0.0},
		{"no container", func(_ *tcpq.Namespace, l *tcpq.Listener) { l.Owner = &tcpq.Owner{PIDs: []int{1}} }, "owner.container", nil},
		{"no pod", func(_ *tcpq.Namespace, l *tcpq.Listener) { l.Owner = &tcpq.Owner{PIDs: []int{1}} }, "owner.pod", nil},
		{"a pod known by its uid alone", func(_ *tcpq.Namespace, l *tcpq.Listener) {
			l.Owner = &tcpq.Owner{PIDs: []int{1}, Pod: tcpq.Pod{UID: "a5c1"}}
		}, "owner.pod.name", nil},
		{"a container whose runtime is unknown", func(_ *tcpq.Namespace, l *tcpq.Listener) {
			l.Owner = &tcpq.Owner{PIDs: []int{1}, Container: tcpq.Container{ID: "4f79"}}
		}, "owner.container.runtime", nil},
		{"a hostile name is escaped", func(_ *tcpq.Namespace, l *tcpq.Listener) {
			l.Owner = &tcpq.Owner{PIDs: []int{1}, Comm: "a\x1b[31m\n\u202e"}
		}, "owner.comm", `a\x1b[31m\n\u202e`},
		{"a hostile device is escaped", func(_ *tcpq.Namespace, l *tcpq.Listener) { l.Device = "e\x07" }, "device", `e\a`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, w := full()
			tt.change(&s.Namespaces[0], &s.Namespaces[0].Listeners[0])
			var got any = keys(t, From(s, w, advisor.Report{}).Listeners[0])
			for part := range strings.SplitSeq(tt.key, ".") {
				m, ok := got.(map[string]any)
				if !ok {
					t.Fatalf("%s has no %s", tt.key, part)
				}
				got = m[part]
			}
			if got != tt.want {
				t.Errorf("%s = %v, want %v", tt.key, got, tt.want)
			}
		})
	}
}

// TestFromHostileTexts puts an escape sequence wherever a text comes from
// outside and looks for it in the result.
func TestFromHostileTexts(t *testing.T) {
	const evil = "\x1b]0;pwned\x07\u009b31m\n\u202e\xff"
	s, w := full()
	s.Hostname, s.Kernel.Release = evil, evil
	s.Errors = []tcpq.Error{{Stage: "owners", Message: evil}}
	n := &s.Namespaces[0]
	n.Name, n.Err = evil, evil
	l := &n.Listeners[0]
	l.Device = evil
	l.Owner = &tcpq.Owner{
		PIDs: []int{1}, Comm: evil, Exe: evil, Unit: evil,
		Container: tcpq.Container{ID: evil, Name: evil},
		Pod:       tcpq.Pod{Namespace: evil, Name: evil, UID: evil, Container: evil},
	}
	var walk func(path string, v reflect.Value)
	walk = func(path string, v reflect.Value) {
		switch v.Kind() {
		case reflect.String:
			if Text(v.String()) != v.String() {
				t.Errorf("%s = %q, want it escaped", path, v.String())
			}
		case reflect.Pointer:
			if !v.IsNil() {
				walk(path, v.Elem())
			}
		case reflect.Struct:
			if v.Type() == reflect.TypeFor[time.Time]() {
				return
			}
			for i := range v.NumField() {
				walk(path+"."+v.Type().Field(i).Name, v.Field(i))
			}
		case reflect.Slice:
			for i := range v.Len() {
				walk(path, v.Index(i))
			}
		case reflect.Map:
			for _, k := range v.MapKeys() {
				walk(path, k)
				walk(path, v.MapIndex(k))
			}
		}
	}
	walk("Inspection", reflect.ValueOf(From(s, w, advisor.Report{})))
}

func TestFromSharesOwners(t *testing.T) {
	s, _ := full()
	n := &s.Namespaces[0]
	n.Listeners = append(n.Listeners, n.Listeners[0], tcpq.Listener{Addr: netip.IPv4Unspecified(), Owner: &tcpq.Owner{}})
	got := From(s, nil, advisor.Report{}).Listeners
	if got[0].Owner != got[1].Owner || got[0].Owner == got[2].Owner {
		t.Errorf("owners = %p, %p, %p, want the first two to be one", got[0].Owner, got[1].Owner, got[2].Owner)
	}
}

func TestFromElsewhere(t *testing.T) {
	tests := []struct {
		name  string
		moved map[tcpq.Counter]uint64
		want  []string
	}{
		{"nothing moved", nil, nil},
		{"a full connection tracking table", map[tcpq.Counter]uint64{tcpq.ConntrackDrop: 3}, []string{"ConntrackDrop"}},
		{"several, in the table's order", map[tcpq.Counter]uint64{tcpq.TCPRcvQDrop: 1, tcpq.OutRsts: 2, tcpq.SoftnetDropped: 3}, []string{"OutRsts", "SoftnetDropped", "TCPRcvQDrop"}},
		{"not where the listen queues are to blame", map[tcpq.Counter]uint64{tcpq.ConntrackDrop: 3, tcpq.ListenDrops: 1}, nil},
		{"what is of a listen queue is not elsewhere", map[tcpq.Counter]uint64{tcpq.SyncookiesSent: 3, tcpq.TCPDeferAcceptDrop: 1}, nil},
	}
	byName := map[string]tcpq.Counter{}
	for c := range tcpq.Counter(tcpq.NumCounters) {
		byName[c.String()] = c
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			was, now := tcpq.Namespace{ID: blue}, tcpq.Namespace{ID: blue}
			for c := range tcpq.Counter(tcpq.NumCounters) {
				was.Counters.Set(c, 100)
				now.Counters.Set(c, 100+tt.moved[c])
			}
			s := &tcpq.Snapshot{Namespaces: []tcpq.Namespace{now}}
			w := &tcpq.Window{}
			w.Extend(&tcpq.Snapshot{Namespaces: []tcpq.Namespace{was}}, s)
			in := From(s, w, advisor.Report{})
			var got []string
			for _, e := range in.Elsewhere {
				got = append(got, e.Counter)
				c := byName[e.Counter]
				if e.Netns != blue.Inode || e.Moved != tt.moved[c] || e.Meaning != c.Info().Elsewhere || e.Meaning == "" {
					t.Errorf("elsewhere %+v, want how far it moved and what it means", e)
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("elsewhere = %v, want %v", got, tt.want)
			}
			if len(in.Namespaces[0].Moved) != len(tt.moved) {
				t.Errorf("moved = %v, want %d counters", in.Namespaces[0].Moved, len(tt.moved))
			}
		})
	}
}

func TestCoverage(t *testing.T) {
	tests := []struct {
		name string
		c    tcpq.Coverage
		want []string // a part of each sentence, in order
	}{
		{"one namespace was asked for: nothing was searched", tcpq.Coverage{DescriptorsLeft: 5}, nil},
		{"all was searched", tcpq.Coverage{Processes: 10, SocketsSearched: true, SynWalked: 3}, nil},
		{"quiet SYN queues are no gap", tcpq.Coverage{Processes: 10, SocketsSearched: true, SynQuiet: 3}, nil},
		{"without --deep, where the kernel lists namespaces", tcpq.Coverage{Processes: 10, Listns: true, DescriptorsLeft: 5}, []string{"only a socket holds (--deep)"}},
		{"without --deep and listns", tcpq.Coverage{Processes: 10}, []string{"only a socket or a single thread holds (--deep)"}},
		{"descriptors that owners did not need", tcpq.Coverage{Processes: 10, DescriptorsLeft: 5}, []string{"5 of 10 processes", "only a socket or a single thread"}},
		{"hidden processes", tcpq.Coverage{Processes: 10, SocketsSearched: true, ProcessesHidden: true}, []string{"hidepid"}},
		{"a container's processes only", tcpq.Coverage{Processes: 10, SocketsSearched: true, OwnPIDNamespace: true}, []string{"hostPID"}},
		{"denied descriptors", tcpq.Coverage{Processes: 10, DescriptorsDenied: 3, SocketsSearched: true}, []string{"the descriptors of 3 of 10 processes, and so whose sockets they are (CAP_DAC_READ_SEARCH)"}},
		{"denied processes", tcpq.Coverage{Processes: 10, ProcessesDenied: 3, SocketsSearched: true}, []string{"3 of 10 processes may not be looked into (CAP_SYS_PTRACE)"}},
		{"denied mounts", tcpq.Coverage{Processes: 10, SocketsSearched: true, MountNamespaces: 5, MountsDenied: 2}, []string{"2 mount namespaces"}},
		{"no time for SYN queues", tcpq.Coverage{SynOverBudget: 4}, []string{"SYN queues of 4 namespaces: the time for counting them was used up (--syn all)"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := coverageOf(&tt.c)
			if len(got.NotSearched) != len(tt.want) || got.NotSearched == nil {
				t.Fatalf("coverageOf(%+v) = %q, want %d sentences", tt.c, got.NotSearched, len(tt.want))
			}
			for i, part := range tt.want {
				if !strings.Contains(got.NotSearched[i], part) {
					t.Errorf("coverageOf(%+v) = %q, want %q in sentence %d", tt.c, got.NotSearched, part, i+1)
				}
			}
			if got.SynWalked != tt.c.SynWalked || got.SynSkipped != tt.c.SynQuiet+tt.c.SynOverBudget {
				t.Errorf("coverageOf(%+v) = %d walked, %d skipped, want %d, %d", tt.c, got.SynWalked, got.SynSkipped, tt.c.SynWalked, tt.c.SynQuiet+tt.c.SynOverBudget)
			}
		})
	}
}

var textTests = []struct{ name, s, want string }{
	{"plain", "nginx: worker", "nginx: worker"},
	{"empty", "", ""},
	{"newline, tab and return", "a\nb\tc\rd", `a\nb\tc\rd`},
	{"escape", "\x1b[31m", `\x1b[31m`},
	{"a C1 control", "\u009b31m", `\u009b31m`},
	{"delete", "a\x7fb", `a\x7fb`},
	{"NUL", "a\x00b", `a\x00b`},
	{"a bell", "\a", `\a`},
	{"bidi override", "\u202egpj.exe", `\u202egpj.exe`},
	{"bidi isolate", "\u2066x\u2069", `\u2066x\u2069`},
	{"a zero-width space", "a\u200bb", `a\u200bb`},
	{"line and paragraph separators", "\u2028\u2029", `\u2028\u2029`},
	{"a byte order mark", "\ufeffx", `\ufeffx`},
	{"tag characters", "\U000e0041", `\U000e0041`},
	{"a private use character", "\ue000", `\ue000`},
	{"a no-break space looks like another", "a\u00a0b", `a\u00a0b`},
	{"bytes that are not UTF-8", "a\xff\xfeb", `a\xff\xfeb`},
	{"a rune cut off", "\xe2\x82", `\xe2\x82`},
	{"a surrogate", "\xed\xa0\x80", `\xed\xa0\x80`},
	{"the replacement character itself stays", "a\ufffdb", "a\ufffdb"},
	{"the replacement character beside a bad byte", "\ufffd\xff", "\ufffd" + `\xff`},
	{"umlauts", "Größe", "Größe"},
	{"other scripts", "日本語 العربية עברית ไทย", "日本語 العربية עברית ไทย"},
	{"emoji", "🚀", "🚀"},
	{"combining marks", "e\u0301", "e\u0301"},
	{"backslashes and quotes stay", `C:\n "x" 'y'`, `C:\n "x" 'y'`},
}

func TestText(t *testing.T) {
	for _, tt := range textTests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Text(tt.s); got != tt.want {
				t.Errorf("Text(%q) = %q, want %q", tt.s, got, tt.want)
			}
		})
	}
}

func FuzzText(f *testing.F) {
	for _, tt := range textTests {
		f.Add(tt.s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := Text(s)
		if !utf8.ValidString(got) {
			t.Errorf("Text(%q) = %q, want valid UTF-8", s, got)
		}
		for _, r := range got {
			if !unicode.IsPrint(r) {
				t.Errorf("Text(%q) = %q, want %U escaped", s, got, r)
			}
		}
		if again := Text(got); again != got {
			t.Errorf("Text(%q) = %q, want it unchanged the second time", got, again)
		}
	})
}
