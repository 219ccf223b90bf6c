// SPDX-License-Identifier: Apache-2.0

//go:build linux

package collector

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/qtune/qtune/collector/inetdiag"
	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/tcpq"
)

// recorded reads netlink messages that Linux 6.18.44 sent.
func recorded(t *testing.T, name string) (b []byte) {
	t.Helper()
	content, err := os.ReadFile("inetdiag/testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(content) {
		if line[0] == '#' {
			continue
		}
		m, err := hex.DecodeString(string(bytes.TrimSpace(line)))
		if err != nil {
			t.Fatal(err)
		}
		b = append(b, m...)
	}
	return b
}

// alone is a host with nothing but the host's namespace.
func alone(n *fakeNetns) *fakeHost {
	return &fakeHost{
		info: host.Info{
			Name: "node-1", Kernel: tcpq.Version{Major: 6, Minor: 18, Patch: 44, Release: "6.18.44"},
			Time: time.Date(2026, 5, 2, 3, 0, 0, 0, time.UTC),
		},
		found: host.Found{
			Namespaces: []*host.Namespace{{Inode: 100, Cookie: 1, Host: true, Name: "", PID: 1}},
			Coverage:   tcpq.Coverage{Processes: 7},
		},
		netns: map[uint64]*fakeNetns{100: n},
	}
}

// TestSnapshotOfLinux reads what Linux 6.18.44 said: the scene is described in
// inetdiag/testdata.
func TestSnapshotOfLinux(t *testing.T) {
	listen, syn := recorded(t, "listen-6.18.hex"), recorded(t, "synrecv-6.18.hex")
	h := alone(&fakeNetns{
		dump: func(name host.DumpName, _ int) ([]byte, error) {
			return map[host.DumpName][]byte{host.ListenDump: listen, host.SynRecvDump: syn}[name], nil
		},
		files: map[host.File]string{
			host.Netstat: string(read(t, "netstat-6.18")), host.Snmp: string(read(t, "snmp-6.18")),
			host.Softnet: "00000007 00000002\n",
		},
		sysctls: map[tcpq.Sysctl]string{
			tcpq.Somaxconn: "2147483647", tcpq.TCPMaxSynBacklog: "128", tcpq.TCPSyncookies: "1",
			tcpq.NetdevMaxBacklog: "1000", tcpq.TCPFastopen: "1539",
		},
		devices: map[uint32]string{3: "d0"},
	})
	s := snapshotOf(t, h, Options{Syn: SynAll})
	if len(s.Errors) != 0 || len(s.Namespaces) != 1 {
		t.Fatalf("Snapshot = %d namespaces, errors %+v, want 1 and none", len(s.Namespaces), s.Errors)
	}
	if s.Hostname != "node-1" || s.Kernel != h.info.Kernel || s.Time != h.info.Time || s.Coverage.Processes != 7 || s.Coverage.SynWalked != 1 {
		t.Errorf("Snapshot = %q, %v, %v, %+v, want the host's", s.Hostname, s.Kernel, s.Time, s.Coverage)
	}
	n := &s.Namespaces[0]
	if want := (tcpq.NetnsID{Inode: 100, Cookie: 1}); n.ID != want || !n.Host || n.PID != 1 || n.Err != "" {
		t.Errorf("namespace = %+v, want the host's %+v", n.ID, want)
	}
	if !slices.IsSortedFunc(n.Listeners, func(a, b tcpq.Listener) int { return int(a.Cookie) - int(b.Cookie) }) {
		t.Error("listeners are not sorted by cookie")
	}
	type row struct {
		name          string
		accept        tcpq.Queue
		syn, synMax   uint32
		discards, uid uint32
		v6only        bool
		mptcp         bool
		transparent   bool
	}
	want := map[uint16]row{
		8001: {name: "127.0.0.1:8001", accept: tcpq.Queue{Len: 3, Max: 7}, synMax: 8},
		8002: {name: "[::]:8002", accept: tcpq.Queue{Max: 2}, syn: 3, synMax: 3, discards: 3},
		8003: {name: "[::1]:8003", accept: tcpq.Queue{Max: 1<<31 - 1}, synMax: 1 << 31, v6only: true},
		8004: {name: "0.0.0.0%d0:8004", accept: tcpq.Queue{Max: 128}, syn: 2, synMax: 129, uid: 1000},
		8005: {name: "0.0.0.0:8005", accept: tcpq.Queue{Len: 1, Max: 128}, synMax: 129, transparent: true},
		8006: {name: "127.0.0.1:8006", accept: tcpq.Queue{Max: 79}, synMax: 80, mptcp: true},
		8007: {name: "[::ffff:127.0.0.1]:8007", accept: tcpq.Queue{Max: 5}, synMax: 6},
	}
	if len(n.Listeners) != len(want) {
		t.Errorf("%d listeners, want %d", len(n.Listeners), len(want))
	}
	for i := range n.Listeners {
		l := &n.Listeners[i]
		got := row{l.Name(), l.Accept, l.Syn.Len, l.Syn.Max, l.Discards, l.UID, l.V6Only, l.MPTCP, l.Transparent}
		if got != want[l.Port] {
			t.Errorf("port %d = %+v, want %+v", l.Port, got, want[l.Port])
		}
		if !l.Syn.Counted || !l.DiscardsKnown || l.Cgroup != 1 || l.Inode == 0 {
			t.Errorf("port %d = %+v, want its queue counted, discards, cgroup and inode known", l.Port, l)
		}
	}
	if n.UnattributedSyn != 0 {
		t.Errorf("UnattributedSyn = %d, want 0", n.UnattributedSyn)
	}
	if got := n.Counters.Value(tcpq.SyncookiesSent); got != 2 {
		t.Errorf("SyncookiesSent = %d, want 2", got)
	}
	if got, ok := n.Sysctls.Get(tcpq.TCPFastopen); got != 1539 || !ok || n.Sysctls.HostWide(tcpq.TCPFastopen) {
		t.Errorf("tcp_fastopen = %d, %t, want 1539 of its own", got, ok)
	}
	if !n.Sysctls.HostWide(tcpq.NetdevMaxBacklog) {
		t.Error("netdev_max_backlog is not marked host-wide")
	}
}

// TestReadErrors proves that each thing that cannot be read is one line, and
// that the rest is read all the same.
func TestReadErrors(t *testing.T) {
	boom := errors.New("boom")
	tests := []struct {
		name   string
		change func(*fakeNetns)
		want   []tcpq.Error
	}{
		{"nothing is wrong", func(*fakeNetns) {}, nil},
		{"the dump", func(n *fakeNetns) {
			n.dump = func(host.DumpName, int) ([]byte, error) { return nil, boom }
		}, []tcpq.Error{{Netns: 100, Stage: "listen", Message: "boom"}}},
		{"a file", func(n *fakeNetns) { n.fileErr = map[host.File]error{host.Netstat: boom} }, []tcpq.Error{{Netns: 100, Stage: "counters", Message: "netstat: boom"}}},
		{"a file of garbage", func(n *fakeNetns) { n.files[host.Snmp] = "garbage" }, []tcpq.Error{{Netns: 100, Stage: "counters", Message: `snmp: line "garbage" is not followed by its values`}}},
		{"all files", func(n *fakeNetns) {
			n.fileErr = map[host.File]error{host.Netstat: boom, host.Snmp: boom, host.Conntrack: boom, host.Softnet: boom}
		}, []tcpq.Error{{Netns: 100, Stage: "counters", Message: "snmp: boom"}, {Netns: 100, Stage: "counters", Message: "netstat: boom"}, {Netns: 100, Stage: "counters", Message: "stat/nf_conntrack: boom"}, {Netns: 100, Stage: "counters", Message: "softnet_stat: boom"}}},
		{"no connection tracking is ordinary", func(n *fakeNetns) { delete(n.files, host.Conntrack) }, nil},
		{"no netstat is not", func(n *fakeNetns) { delete(n.files, host.Netstat) }, []tcpq.Error{{Netns: 100, Stage: "counters", Message: "netstat: not there"}}},
		{"a sysctl this kernel lacks is ordinary", func(n *fakeNetns) { delete(n.sysctls, tcpq.TCPSyncookies) }, nil},
		{"a sysctl that may not be read is not", func(n *fakeNetns) {
			n.sysErr = map[tcpq.Sysctl]error{tcpq.TCPSyncookies: host.ErrPermission}
		}, []tcpq.Error{{Netns: 100, Stage: "sysctls", Message: "net.ipv4.tcp_syncookies: not permitted"}}},
		{"a sysctl that is no number", func(n *fakeNetns) { n.sysctls[tcpq.TCPSyncookies] = "on" }, []tcpq.Error{{Netns: 100, Stage: "sysctls", Message: `net.ipv4.tcp_syncookies: strconv.ParseInt: parsing "on": invalid syntax`}}},
		{"an empty sysctl", func(n *fakeNetns) { n.sysctls[tcpq.TCPSyncookies] = "" }, []tcpq.Error{{Netns: 100, Stage: "sysctls", Message: `net.ipv4.tcp_syncookies: strconv.ParseInt: parsing "": invalid syntax`}}},
		{"somaxconn is hidden in a namespace of a child user namespace", func(n *fakeNetns) { delete(n.sysctls, tcpq.Somaxconn) }, []tcpq.Error{{Netns: 100, Stage: "sysctls", Message: "net.core.somaxconn is hidden here: before Linux 6.6 a namespace of a child user namespace does not show it"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := listens(inetdiag.Socket{Inode: 11, Port: 80})
			tt.change(n)
			s := snapshotOf(t, alone(n), Options{})
			if !reflect.DeepEqual(s.Errors, tt.want) && len(s.Errors)+len(tt.want) > 0 {
				t.Errorf("Errors = %+v, want %+v", s.Errors, tt.want)
			}
			got := &s.Namespaces[0]
			if len(tt.want) > 0 && got.Err != tt.want[0].Message || len(tt.want) == 0 && got.Err != "" {
				t.Errorf("namespace's Err = %q, want the first of %+v", got.Err, tt.want)
			}
			if len(tt.want) == 1 {
				_, passive := got.Counters.Get(tcpq.PassiveOpens)
				_, drops := got.Counters.Get(tcpq.ListenDrops)
				_, backlog := got.Sysctls.Get(tcpq.TCPMaxSynBacklog)
				if !passive && !drops || !backlog || len(got.Listeners) == 0 && tt.want[0].Stage != "listen" {
					t.Errorf("namespace = %+v, want the rest read", got)
				}
			}
			for _, e := range s.Errors {
				if strings.ContainsAny(e.Message, "\n\r") {
					t.Errorf("error %q has more than one line", e.Message)
				}
			}
		})
	}
}

func TestDumpAttempts(t *testing.T) {
	socket := wire(inetdiag.Socket{Family: unix.AF_INET, State: inetdiag.Listen, Port: 80, Cookie: 9, Inode: 9})
	interrupted := append(bytes.Clone(socket[:len(socket)-len(end(0))]), end(unix.NLM_F_DUMP_INTR)...)
	type answer struct {
		b   []byte
		err error
	}
	again := []answer{{b: interrupted}, {b: interrupted}, {b: interrupted}, {b: socket}}
	tests := []struct {
		name      string
		answers   []answer
		attempts  int
		listeners int
		message   string // part of the error, "" for none
	}{
		{"good at once", []answer{{b: socket}}, 1, 1, ""},
		{"interrupted once", again[2:], 2, 1, ""},
		{"interrupted twice", again[1:], 3, 1, ""},
		{"interrupted three times: what there is, and said", again, 3, 1, "after 3 attempts sockets may be missing: dump interrupted"},
		{"the socket's buffer was too small once", []answer{{err: unix.ENOBUFS}, {b: socket}}, 2, 1, ""},
		{"the buffer was too small each time", []answer{{err: unix.ENOBUFS}, {err: unix.ENOBUFS}, {err: unix.ENOBUFS}}, 3, 0, "after 3 attempts sockets may be missing: no buffer space available"},
		{"no module is no reason to ask again", []answer{{err: unix.EOPNOTSUPP}}, 1, 0, "modprobe tcp_diag"},
		{"no module, as other kernels say it", []answer{{err: unix.ENOENT}}, 1, 0, "modprobe tcp_diag"},
		{"no netlink protocol", []answer{{err: unix.EPROTONOSUPPORT}}, 1, 0, "modprobe tcp_diag"},
		{"any other error is no reason either", []answer{{err: unix.EPERM}}, 1, 0, "operation not permitted"},
		{"a recording's missing file is not the kernel's", []answer{{err: fmt.Errorf("%w: %w", host.ErrAbsent, &os.PathError{Op: "open", Path: "listen.hex", Err: unix.ENOENT})}}, 1, 0, "not there: open listen.hex"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := listens()
			n.dump = func(_ host.DumpName, attempt int) ([]byte, error) {
				a := tt.answers[attempt-1]
				return a.b, a.err
			}
			s := snapshotOf(t, alone(n), Options{})
			if n.attempts[host.ListenDump] != tt.attempts {
				t.Errorf("%d attempts, want %d", n.attempts[host.ListenDump], tt.attempts)
			}
			if got := len(s.Namespaces[0].Listeners); got != tt.listeners {
				t.Errorf("%d listeners, want %d", got, tt.listeners)
			}
			if tt.message == "" {
				if len(s.Errors) != 0 {
					t.Errorf("Errors = %+v, want none", s.Errors)
				}
			} else if len(s.Errors) != 1 || !strings.Contains(s.Errors[0].Message, tt.message) || s.Errors[0].Stage != "listen" {
				t.Errorf("Errors = %+v, want one with %q", s.Errors, tt.message)
			} else if strings.HasPrefix(tt.message, "not there") && strings.Contains(s.Errors[0].Message, "modprobe") {
				t.Errorf("Errors = %+v, want no advice about this kernel", s.Errors)
			}
		})
	}
}

func TestListenersAreDistinct(t *testing.T) {
	n := listens(
		inetdiag.Socket{Inode: 12, Cookie: 2, Port: 81}, inetdiag.Socket{Inode: 11, Cookie: 1, Port: 80},
		inetdiag.Socket{Inode: 12, Cookie: 2, Port: 81}, // seen twice while the table changed
	)
	s := snapshotOf(t, alone(n), Options{})
	var got []uint64
	for _, l := range s.Namespaces[0].Listeners {
		got = append(got, l.Cookie)
	}
	if want := []uint64{1, 2}; !slices.Equal(got, want) {
		t.Errorf("cookies = %v, want %v", got, want)
	}

	n.dump = func(host.DumpName, int) ([]byte, error) {
		return wire(inetdiag.Socket{Family: unix.AF_INET, State: 1, Cookie: 1}, inetdiag.Socket{Family: unix.AF_INET, State: inetdiag.Listen, Cookie: 2}), nil
	}
	s = snapshotOf(t, alone(n), Options{})
	if got := s.Namespaces[0].Listeners; len(got) != 1 || got[0].Cookie != 2 {
		t.Errorf("listeners = %+v, want the one in LISTEN", got)
	}
}

func TestDeviceNames(t *testing.T) {
	n := listens(
		inetdiag.Socket{Inode: 11, Port: 80}, inetdiag.Socket{Inode: 12, Port: 80, Ifindex: 3},
		inetdiag.Socket{Inode: 13, Port: 81, Ifindex: 3}, inetdiag.Socket{Inode: 14, Port: 80, Ifindex: 9},
	)
	n.devices = map[uint32]string{3: "eth0"}
	s := snapshotOf(t, alone(n), Options{})
	var got []string
	for _, l := range s.Namespaces[0].Listeners {
		got = append(got, l.Name())
	}
	if want := []string{"0.0.0.0:80", "0.0.0.0%eth0:80", "0.0.0.0%eth0:81", "0.0.0.0%9:80"}; !slices.Equal(got, want) {
		t.Errorf("names = %v, want %v: the number when the device has gone", got, want)
	}
	if len(s.Errors) != 0 {
		t.Errorf("Errors = %+v, want none", s.Errors)
	}
}

// TestHostWideSysctls reads Linux 3.10, where only somaxconn is a namespace's
// own: the files of the others are missing in all but the host's.
func TestHostWideSysctls(t *testing.T) {
	h := cluster()
	h.info.Kernel = tcpq.Version{Major: 3, Minor: 10}
	h.netns[100].sysctls = map[tcpq.Sysctl]string{
		tcpq.Somaxconn: "128", tcpq.NetdevMaxBacklog: "1000", tcpq.TCPMaxSynBacklog: "512",
		tcpq.TCPSyncookies: "1", tcpq.TCPSynackRetries: "5", tcpq.TCPAbortOnOverflow: "0",
	}
	h.netns[200].sysctls = map[tcpq.Sysctl]string{tcpq.Somaxconn: "64"}
	h.found.Namespaces = []*host.Namespace{h.found.Namespaces[1], h.found.Namespaces[0]} // the host's is read last
	s := snapshotOf(t, h, Options{})
	if len(s.Errors) != 0 {
		t.Errorf("Errors = %+v, want none", s.Errors)
	}
	for _, tt := range []struct {
		sysctl   tcpq.Sysctl
		netns    int
		value    int64
		known    bool
		hostWide bool
	}{
		{tcpq.Somaxconn, 0, 128, true, false},
		{tcpq.Somaxconn, 1, 64, true, false},
		{tcpq.TCPMaxSynBacklog, 0, 512, true, true},
		{tcpq.TCPMaxSynBacklog, 1, 512, true, true},
		{tcpq.TCPSyncookies, 1, 1, true, true},
		{tcpq.TCPAbortOnOverflow, 1, 0, true, true},
		{tcpq.NetdevMaxBacklog, 1, 1000, true, true},
		{tcpq.TCPFastopen, 0, 0, false, false},
		{tcpq.TCPFastopen, 1, 0, false, false},
	} {
		n := &s.Namespaces[tt.netns]
		value, known := n.Sysctls.Get(tt.sysctl)
		if value != tt.value || known != tt.known || n.Sysctls.HostWide(tt.sysctl) != tt.hostWide {
			t.Errorf("%v of net:[%d] = %d, %t, host-wide %t, want %d, %t, %t", tt.sysctl, n.ID.Inode, value, known, n.Sysctls.HostWide(tt.sysctl), tt.value, tt.known, tt.hostWide)
		}
	}

	if got := h.netns[200].sysReads; got != 3 {
		t.Errorf("%d sysctls were read in a namespace that shows only somaxconn, want 3: those that never were the host's", got)
	}

	h.info.Kernel = tcpq.Version{Major: 6, Minor: 18}
	h.netns[200].sysctls[tcpq.TCPMaxSynBacklog] = "64"
	s = snapshotOf(t, h, Options{})
	if v, ok := s.Namespaces[1].Sysctls.Get(tcpq.TCPMaxSynBacklog); v != 64 || !ok || s.Namespaces[1].Sysctls.HostWide(tcpq.TCPMaxSynBacklog) {
		t.Errorf("tcp_max_syn_backlog on 6.18 = %d, %t, want 64 of its own", v, ok)
	}
	if _, ok := s.Namespaces[1].Sysctls.Get(tcpq.TCPSyncookies); ok {
		t.Error("tcp_syncookies on 6.18 is known though its file is missing, want unknown")
	}

	h.found.Namespaces = h.found.Namespaces[:1] // the host's own was not asked for
	s = snapshotOf(t, h, Options{})
	if _, ok := s.Namespaces[0].Sysctls.Get(tcpq.NetdevMaxBacklog); ok {
		t.Error("netdev_max_backlog is known without the host's namespace, want unknown")
	}
}

func TestNamespacesNotEntered(t *testing.T) {
	denied := fmt.Errorf("enter net:[1]: %w", host.ErrPermission)
	tests := []struct {
		name   string
		errs   []error
		errors int // lines
		first  string
		netns  int // namespaces in the snapshot
		denied int // of them, without a look inside
	}{
		{"all entered", []error{nil, nil}, 0, "", 2, 0},
		{"gone meanwhile is ordinary", []error{nil, host.ErrGone, host.ErrAbsent}, 0, "", 1, 0},
		{"one denied is named", []error{nil, denied}, 1, "CAP_SYS_ADMIN", 2, 1},
		{"many denied are one line", slices.Repeat([]error{denied}, 50), 1, "50 network namespaces: ", 50, 50},
		{"many that fail otherwise alike are one line, too", slices.Repeat([]error{errors.New("boom")}, 50), 1, "50 network namespaces: boom", 50, 50},
		{"different failures are different lines", []error{errors.New("boom"), denied, errors.New("bang"), nil}, 3, "boom", 4, 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := &fakeHost{netns: map[uint64]*fakeNetns{}}
			for i, err := range tt.errs {
				n := listens(inetdiag.Socket{Inode: uint32(i + 1), Port: 80})
				n.enterErr = err
				h.netns[uint64(i+1)] = n
				h.found.Namespaces = append(h.found.Namespaces, &host.Namespace{Inode: uint64(i + 1)})
			}
			s := snapshotOf(t, h, Options{})
			if len(s.Errors) != tt.errors || tt.errors > 0 && !strings.Contains(s.Errors[0].Message, tt.first) {
				t.Errorf("Errors = %+v, want %d, the first with %q", s.Errors, tt.errors, tt.first)
			}
			for _, e := range s.Errors {
				if e.Stage != "enter" {
					t.Errorf("error %+v, want the stage enter", e)
				}
			}
			got := 0
			for i := range s.Namespaces {
				n := &s.Namespaces[i]
				if n.Denied != nil {
					got++
				}
				if (n.Denied != nil) != (n.Err != "") || (n.Denied != nil) != (n.Listeners == nil) {
					t.Errorf("net:[%d] denied %v, %q, %d listeners, want denied with why and nothing read", n.ID.Inode, n.Denied, n.Err, len(n.Listeners))
				}
			}
			if len(s.Namespaces) != tt.netns || got != tt.denied {
				t.Errorf("%d namespaces, %d denied, want %d, %d", len(s.Namespaces), got, tt.netns, tt.denied)
			}
		})
	}
}

func TestJoinErrors(t *testing.T) {
	line := func(netns uint64, stage, message string) tcpq.Error {
		return tcpq.Error{Netns: netns, Stage: stage, Message: message}
	}
	tests := []struct {
		name      string
		all, want []tcpq.Error
	}{
		{"none", nil, nil},
		{"three alike stay", []tcpq.Error{line(1, "a", "x"), line(2, "a", "x"), line(3, "a", "x")}, []tcpq.Error{line(1, "a", "x"), line(2, "a", "x"), line(3, "a", "x")}},
		{"four alike are one, where the first stood", []tcpq.Error{line(9, "b", "y"), line(1, "a", "x"), line(2, "a", "x"), line(9, "c", "z"), line(3, "a", "x"), line(4, "a", "x")}, []tcpq.Error{line(9, "b", "y"), line(0, "a", "4 network namespaces: x"), line(9, "c", "z")}},
		{"the same words of another stage are others", []tcpq.Error{line(1, "a", "x"), line(2, "a", "x"), line(3, "b", "x"), line(4, "b", "x")}, []tcpq.Error{line(1, "a", "x"), line(2, "a", "x"), line(3, "b", "x"), line(4, "b", "x")}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := joinErrors(slices.Clone(tt.all)); !slices.Equal(got, tt.want) {
				t.Errorf("joinErrors(%+v) = %+v, want %+v", tt.all, got, tt.want)
			}
		})
	}
}

func TestOrderOfNamespaces(t *testing.T) {
	h := &fakeHost{netns: map[uint64]*fakeNetns{}}
	for _, inode := range []uint64{300, 100, 200} {
		h.netns[inode] = listens()
		h.found.Namespaces = append(h.found.Namespaces, &host.Namespace{Inode: inode, Host: inode == 200})
	}
	s := snapshotOf(t, h, Options{})
	var got []uint64
	for i := range s.Namespaces {
		got = append(got, s.Namespaces[i].ID.Inode)
	}
	if want := []uint64{200, 100, 300}; !slices.Equal(got, want) {
		t.Errorf("namespaces = %v, want %v: the host's first", got, want)
	}
	for _, n := range h.netns {
		if want := n == h.netns[200]; slices.Contains(n.reads, host.Softnet) != want {
			t.Errorf("softnet_stat was read = %t, want %t: it counts for the whole host", !want, want)
		}
	}
}

func TestSnapshotFails(t *testing.T) {
	boom := errors.New("boom")
	tests := []struct {
		name   string
		change func(*fakeHost)
	}{
		{"what host this is", func(h *fakeHost) { h.infoErr = boom }},
		{"which namespaces there are", func(h *fakeHost) { h.findErr = boom }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := alone(listens())
			tt.change(h)
			if s, err := New(h, Options{}).Snapshot(t.Context(), nil); s != nil || !errors.Is(err, boom) {
				t.Errorf("Snapshot = %v, %v, want %v", s, err, boom)
			}
			if _, _, err := New(h, Options{}).Watch(t.Context(), time.Second, 10); !errors.Is(err, boom) {
				t.Errorf("Watch = %v, want %v", err, boom)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if s, err := New(alone(listens()), Options{}).Snapshot(ctx, nil); s != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("Snapshot of a context that ended = %v, %v, want %v", s, err, context.Canceled)
	}
}

func TestErrorsOfTheSearchStay(t *testing.T) {
	h := alone(listens())
	one := tcpq.Error{Stage: "discover", Message: "mounts of process 7: boom"}
	h.found.Errors = append(slices.Repeat([]tcpq.Error{{Stage: "discover", Message: "boom"}}, 5), one)
	want := []tcpq.Error{{Stage: "discover", Message: "5 times: boom"}, one}
	c := New(h, Options{})
	for range 2 { // a pass does not write into what was found
		s, err := c.Snapshot(t.Context(), nil)
		if err != nil || !slices.Equal(s.Errors, want) {
			t.Errorf("Errors = %+v, %v, want %+v", s.Errors, err, want)
		}
	}
}

// TestSample proves what a sample between two full passes leaves out: sysctls,
// owners and the marks that never change.
func TestSample(t *testing.T) {
	n := listens(inetdiag.Socket{Inode: 11, Port: 80, RQueue: 3})
	h := alone(n)
	c := New(h, Options{})
	first, err := c.Snapshot(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	full := n.sysReads
	if full != tcpq.NumSysctls || !slices.Equal(n.requests, []string{"listen 0x42"}) {
		t.Errorf("a full pass read %d sysctls and asked for %v, want all and INFO with SKMEMINFO", full, n.requests)
	}
	n.sysctls[tcpq.Somaxconn] = "1"
	second, err := c.Sample(t.Context(), h.found, first)
	if err != nil {
		t.Fatal(err)
	}
	if n.sysReads != full || !slices.Equal(n.requests[1:], []string{"listen 0x40"}) {
		t.Errorf("a sample read %d sysctls and asked for %v, want none and SKMEMINFO alone", n.sysReads-full, n.requests[1:])
	}
	if v, ok := second.Namespaces[0].Sysctls.Get(tcpq.Somaxconn); v != 4096 || !ok {
		t.Errorf("somaxconn of a sample = %d, %t, want 4096 as before", v, ok)
	}
	if got := second.Namespaces[0].Listeners[0].Accept.Len; got != 3 {
		t.Errorf("length of a sample = %d, want 3", got)
	}
	if got := second.Namespaces[0].Listeners[0].Syn; !got.MaxKnown || got.Max == 0 {
		t.Errorf("SYN queue of a sample = %+v, want its limit known", got)
	}

	// The full pass after it reads them anew.
	third, err := c.Snapshot(t.Context(), second)
	if err != nil {
		t.Fatal(err)
	}
	if v, ok := third.Namespaces[0].Sysctls.Get(tcpq.Somaxconn); v != 1 || !ok {
		t.Errorf("somaxconn of a full pass = %d, %t, want 1 as it is now", v, ok)
	}
	full = n.sysReads / 2

	// A namespace that is new has all of it read.
	h.found.Namespaces[0].Cookie++
	if _, err := c.Sample(t.Context(), h.found, third); err != nil || n.sysReads != 3*full {
		t.Errorf("a sample of a new namespace read %d sysctls, %v, want all", n.sysReads-2*full, err)
	}
}

func TestCarryOver(t *testing.T) {
	found := &tcpq.Owner{PIDs: []int{7}}
	nobody := &tcpq.Owner{Unfound: tcpq.NotPermitted}
	was := []tcpq.Listener{{Cookie: 1, MPTCP: true, Owner: found}, {Cookie: 3, Owner: nobody}, {Cookie: 5, Owner: found}, {Cookie: 9, MPTCP: true}}
	now := []tcpq.Listener{{Cookie: 1}, {Cookie: 2}, {Cookie: 3}, {Cookie: 4, MPTCP: true}, {Cookie: 5}, {Cookie: 9}, {Cookie: 10}}
	want := []tcpq.Listener{{Cookie: 1, MPTCP: true, Owner: found}, {Cookie: 2}, {Cookie: 3, Owner: nobody}, {Cookie: 4, MPTCP: true}, {Cookie: 5, Owner: found}, {Cookie: 9, MPTCP: true}, {Cookie: 10}}
	carryOver(was, now)
	if !reflect.DeepEqual(now, want) {
		t.Errorf("carryOver = %+v, want %+v: nothing crosses to another cookie", now, want)
	}
	carryOver(nil, now)
	carryOver(was, nil)
	if !reflect.DeepEqual(now, want) {
		t.Errorf("carryOver of nothing = %+v, want %+v", now, want)
	}
}

func TestListenerOf(t *testing.T) {
	s := inetdiag.Socket{
		Family: unix.AF_INET, State: inetdiag.Listen, Port: 80, Ifindex: 3, Addr: [16]byte{127, 0, 0, 1},
		Flags:  inetdiag.HasDrops | inetdiag.MPTCP | inetdiag.Transparent | inetdiag.V6Only,
		RQueue: 4, WQueue: 5, UID: 6, Inode: 7, Drops: 8, Cookie: 9, Cgroup: 10,
	}
	want := tcpq.Listener{
		Addr: netip.MustParseAddr("127.0.0.1"), Port: 80, Ifindex: 3, V6Only: true, MPTCP: true, Transparent: true,
		Accept: tcpq.Queue{Len: 4, Max: 5}, UID: 6, Inode: 7, Discards: 8, DiscardsKnown: true, Cookie: 9, Cgroup: 10,
	}
	if got := listenerOf(&s); got != want {
		t.Errorf("listenerOf(%+v) = %+v, want %+v", s, got, want)
	}
	s.Flags = 0
	if got := listenerOf(&s); got.DiscardsKnown || got.V6Only || got.MPTCP || got.Transparent {
		t.Errorf("listenerOf without flags = %+v, want none set", got)
	}
}

func TestWatch(t *testing.T) {
	tests := []struct {
		name  string
		cost  time.Duration // of a pass
		slots int           // that the window has
	}{
		{"a fast host has every slot", time.Millisecond, 10},
		{"a pass of a third of a slot leaves time for each", 33 * time.Millisecond, 10},
		{"a pass longer than half a slot skips every other", 70 * time.Millisecond, 5},
		{"a pass as long as a slot", 99 * time.Millisecond, 5},
		{"a pass as long as the span has one slot", time.Second, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := listens(inetdiag.Socket{Inode: 11, Port: 80})
				passes := 0
				n.look = func() {
					passes++
					n.files[host.Netstat] = fmt.Sprintf("TcpExt: ListenOverflows ListenDrops\nTcpExt: %d %d\n", passes, passes)
					time.Sleep(tt.cost) //nolint:forbidigo // synctest: the cost of a pass
				}
				h := alone(n)
				started := time.Now()
				var said []string
				s, w, err := New(h, Options{Progress: func(doing string, done, of int) {
					said = append(said, fmt.Sprint(doing, " ", done, "/", of))
				}}).Watch(t.Context(), time.Second, 10)
				if err != nil {
					t.Fatal(err)
				}
				if len(w.Deltas) != tt.slots || passes != tt.slots+1 {
					t.Errorf("Watch = %d slots of %d passes, want %d", len(w.Deltas), passes, tt.slots)
				}
				if took := time.Since(started); took < time.Second || took > 3*time.Second {
					t.Errorf("Watch took %v, want 1s and the last pass", took)
				}
				moved, ok := w.Counters(s.Namespaces[0].ID)
				// The first pass reads 5, the next the number of passes.
				if want := uint64(passes - 2); !ok || tt.slots > 1 && moved.Value(tcpq.ListenDrops) != want {
					t.Errorf("ListenDrops moved by %d, %t, want %d", moved.Value(tcpq.ListenDrops), ok, want)
				}
				if s.Namespaces[0].Listeners[0].Owner == nil {
					t.Error("the last snapshot has no owners, want them")
				}
				if !slices.ContainsFunc(said, func(s string) bool { return strings.HasPrefix(s, "looking for") }) {
					t.Errorf("Progress was told %v, want what is being done", said)
				}
			})
		})
	}
}

func TestWatchOfNoTime(t *testing.T) {
	defer func() {
		if r := recover(); r != nil {
			t.Errorf("Watch panics: %v", r)
		}
	}()
	for _, span := range []time.Duration{11, 10, 9, 1} { // a slot of nothing
		s, w, err := New(alone(listens()), Options{}).Watch(t.Context(), span, 10)
		if err != nil || s == nil || w == nil {
			t.Errorf("Watch(%v, 10) = %v, %v, %v, want a snapshot and a window", span, s, w, err)
		}
	}
}

func TestWatchEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 350*time.Millisecond)
		defer cancel()
		n := listens()
		n.look = func() { time.Sleep(time.Millisecond) } //nolint:forbidigo // synctest: the cost of a pass
		started := time.Now()
		s, w, err := New(alone(n), Options{}).Watch(ctx, time.Hour, 10)
		if err != nil || s == nil || len(w.Deltas) != 1 || time.Since(started) > time.Second {
			t.Errorf("Watch = %v, %v, %v after %v, want at once what there was", s, w, err, time.Since(started))
		}
	})
}
