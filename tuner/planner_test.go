// SPDX-License-Identifier: Apache-2.0

package tuner

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/qtune/qtune/advisor"
	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/policy"
	"github.com/qtune/qtune/tcpq"
)

const (
	hostNetns = 4026531840
	podNetns  = 4026532181
)

// A world is an inspection of a host and one pod that a test changes before it
// plans.
type world struct {
	Planner
	in *inspection.Inspection
}

// newWorld is a host with sshd and a pod with a web server whose limit is 128, and
// a person who plans with the default policy.
func newWorld() *world {
	p := policy.Default()
	in := &inspection.Inspection{
		Time:   time.Date(2026, 5, 2, 1, 0, 0, 0, time.UTC),
		Window: inspection.Window{Seconds: 10, Source: inspection.SourceWatched},
		Host:   inspection.Host{Name: "node-1", Kernel: "6.18.44"},
		Namespaces: []inspection.Namespace{
			{Inode: hostNetns, Cookie: "0000000000000001", Host: true, PID: 1, Sysctls: settings(4096, 2048, 1)},
			{Inode: podNetns, Cookie: "0000000000000007", PID: 30, Sysctls: settings(4096, 2048, 1)},
		},
	}
	w := &world{in: in, Planner: Planner{
		Inspection: in, Policy: &p, Person: true, BootID: "a-boot",
		Memory: host.Memory{Total: 16 << 30, TCPPages: [3]uint64{188000, 250000, 376000}, TCPUsed: 100, PageSize: 4096, ReceiveWant: 131072},
	}}
	w.listen(hostNetns, "0.0.0.0", 22, 128, "sshd")
	w.listen(podNetns, "0.0.0.0", 80, 128, "nginx")
	return w
}

func settings(somaxconn, synBacklog, cookies int64) map[string]int64 {
	return map[string]int64{"net.core.somaxconn": somaxconn, "net.ipv4.tcp_max_syn_backlog": synBacklog, "net.ipv4.tcp_syncookies": cookies}
}

// listen adds a listener; one of the same address makes a group of both.
func (w *world) listen(netns uint64, addr string, port uint16, limit uint32, comm string) *inspection.Listener {
	n := len(w.in.Listeners) + 1
	l := inspection.Listener{
		Netns: netns, Address: addr, Port: port, Family: "ipv4", Protocol: "tcp",
		Inode: uint32(1000 + n), Cookie: fmt.Sprintf("%016x", 0xc0+n),
		AcceptQueue: inspection.AcceptQueue{Limit: limit, Capacity: uint64(limit) + 1},
		SynQueue:    inspection.SynQueue{Members: 1},
		Owner:       &inspection.Owner{PID: 29 + n, PIDs: []int{29 + n}, Comm: comm, Exe: "/usr/sbin/" + comm},
		Findings:    []string{}, LimitBoundBy: "application",
	}
	if netns == podNetns {
		l.Owner.Pod = &inspection.Pod{Namespace: "shop", Name: "web-0", UID: "a5c1"}
	}
	for i := range w.in.Listeners {
		if m := &w.in.Listeners[i]; m.Netns == netns && m.Name() == l.Name() {
			m.SynQueue.Members++
			l.SynQueue.Members = m.SynQueue.Members
		}
	}
	w.in.Listeners = append(w.in.Listeners, l)
	return &w.in.Listeners[n-1]
}

func (w *world) web() *inspection.Listener { return &w.in.Listeners[1] }

// limit gives the pod's listener and its somaxconn other values.
func (w *world) limit(limit uint32, somaxconn int64) {
	w.web().AcceptQueue.Limit = limit
	w.in.Namespaces[1].Sysctls["net.core.somaxconn"] = somaxconn
	if int64(limit) >= somaxconn {
		w.web().LimitBoundBy = "somaxconn"
	}
}

// find adds a finding about a listener that should have this limit.
func (w *world) find(code advisor.Code, l *inspection.Listener, limit int64) *inspection.Finding {
	f := inspection.Finding{Code: string(code), Severity: "critical", Netns: l.Netns, Title: strings.ReplaceAll(string(code), "-", " "), Why: "Because.", Limit: limit}
	f.Listener = &inspection.FindingListener{Netns: l.Netns, Address: l.Address, Port: l.Port, Inode: l.Inode, Cookie: l.Cookie}
	l.Findings = append(l.Findings, f.Code)
	w.in.Findings = append(w.in.Findings, f)
	return &w.in.Findings[len(w.in.Findings)-1]
}

// summary returns a plan as lines: "set KEY 1 to 2", "listen NAME 1 to 2",
// "refused CODE RAIL", "advice TEXT".
func summary(p *Plan) string {
	var lines []string
	for _, s := range p.Steps {
		switch s.Kind {
		case KindSysctl:
			where := "pod"
			if s.Scope.Host {
				where = "host"
			}
			lines = append(lines, fmt.Sprintf("set %s %s %d to %d", where, s.Key, s.From, s.To))
		default:
			lines = append(lines, fmt.Sprintf("listen %s#%d %d to %d", tcpq.ListenerName(s.Listener.Address, false, "", s.Listener.Port), s.Listener.Inode, s.From, s.To))
		}
	}
	for _, r := range p.Refusals {
		lines = append(lines, strings.TrimSpace("refused "+r.Code+" "+r.Rail))
	}
	for _, a := range p.Advice {
		lines = append(lines, "advice "+a.Text)
	}
	return strings.Join(lines, "\n")
}

func check(t *testing.T, what string, got *Plan, want ...string) {
	t.Helper()
	if text := summary(got); text != strings.Join(want, "\n") {
		t.Errorf("%s =\n%s\nwant\n%s", what, text, strings.Join(want, "\n"))
	}
}

func TestAdvised(t *testing.T) {
	tests := []struct {
		name string
		does func(*world)
		want []string
	}{
		{"nothing found, nothing planned", func(*world) {}, nil},
		{
			"without live resize the program has to listen again",
			func(w *world) { w.find(advisor.AcceptQueueOverflow, w.web(), 1024) },
			[]string{"refused no-consent"},
		},
		{
			"with it the listener is resized",
			func(w *world) { w.LiveResize = true; w.find(advisor.AcceptQueueOverflow, w.web(), 1024) },
			[]string{"listen 0.0.0.0:80#1002 128 to 1024"},
		},
		{
			"somaxconn rises first when it would cut the limit down",
			func(w *world) {
				w.LiveResize = true
				w.limit(128, 128)
				w.find(advisor.AcceptQueueOverflow, w.web(), 1024)
			},
			[]string{"set pod net.core.somaxconn 128 to 1024", "listen 0.0.0.0:80#1002 128 to 1024"},
		},
		{
			"somaxconn rises without live resize, too, for the next listen(2)",
			func(w *world) { w.limit(128, 128); w.find(advisor.AcceptQueueOverflow, w.web(), 1024) },
			[]string{"set pod net.core.somaxconn 128 to 1024", "refused no-consent"},
		},
		{
			"two findings that want one value get the larger",
			func(w *world) {
				w.limit(128, 128)
				other := w.listen(podNetns, "0.0.0.0", 81, 128, "nginx")
				w.find(advisor.AcceptQueueOverflow, w.web(), 1024)
				w.find(advisor.AcceptQueueNearLimit, other, 512)
			},
			[]string{"set pod net.core.somaxconn 128 to 1024", "refused no-consent", "refused no-consent"},
		},
		{
			"a reuse-port group is resized whole, to the larger limit",
			func(w *world) {
				w.LiveResize = true
				other := w.listen(podNetns, "0.0.0.0", 80, 128, "nginx")
				w.find(advisor.AcceptQueueOverflow, w.web(), 512)
				w.find(advisor.AcceptQueueOverflow, other, 1024)
			},
			[]string{"listen 0.0.0.0:80#1002 128 to 1024", "listen 0.0.0.0:80#1003 128 to 1024"},
		},
		{
			"what is refused to a group is told once",
			func(w *world) {
				other := w.listen(podNetns, "0.0.0.0", 80, 128, "nginx")
				w.find(advisor.AcceptQueueOverflow, w.web(), 1024)
				w.find(advisor.AcceptQueueOverflow, other, 1024)
			},
			[]string{"refused no-consent"},
		},
		{
			"a person need not wait until a namespace is a minute old",
			func(w *world) {
				w.LiveResize = true
				w.Ages = map[uint64]time.Duration{podNetns: time.Second}
				w.find(advisor.AcceptQueueOverflow, w.web(), 1024)
			},
			[]string{"listen 0.0.0.0:80#1002 128 to 1024"},
		},
		{
			"or not at all, when its members differ",
			func(w *world) {
				w.LiveResize = true
				w.listen(podNetns, "0.0.0.0", 80, 256, "nginx")
				w.find(advisor.AcceptQueueOverflow, w.web(), 1024)
			},
			[]string{"refused unsupported"},
		},
		{
			"or when one member is not known",
			func(w *world) {
				w.LiveResize = true
				w.web().SynQueue.Members = 2
				w.find(advisor.AcceptQueueOverflow, w.web(), 1024)
			},
			[]string{"refused unsupported"},
		},
		{
			"or when one member is stuck",
			func(w *world) {
				w.LiveResize = true
				other := w.listen(podNetns, "0.0.0.0", 80, 128, "nginx")
				w.find(advisor.ReuseportImbalance, w.web(), 0)
				w.find(advisor.AcceptQueueOverflow, other, 1024)
			},
			[]string{"refused not-the-queue"},
		},
		{
			"a slow application gets no longer queue, whatever else was found",
			func(w *world) {
				w.LiveResize = true
				w.find(advisor.AcceptQueueOverflow, w.web(), 1024)
				w.find(advisor.ApplicationSlow, w.web(), 0)
			},
			[]string{"refused not-the-queue"},
		},
		{
			"an overflow that asks for no limit says why",
			func(w *world) { w.LiveResize = true; w.find(advisor.AcceptQueueOverflow, w.web(), 0) },
			[]string{"refused not-the-queue"},
		},
		{
			"an excluded program is not resized",
			func(w *world) { w.LiveResize = true; w.find(advisor.AcceptQueueOverflow, &w.in.Listeners[0], 1024) },
			[]string{"refused excluded"},
		},
		{
			"even when it changed its name",
			func(w *world) {
				w.LiveResize = true
				w.in.Listeners[0].Owner.Comm = "worker"
				w.find(advisor.AcceptQueueOverflow, &w.in.Listeners[0], 1024)
			},
			[]string{"refused excluded"},
		},
		{
			"a listener that no process holds is not resized",
			func(w *world) {
				w.LiveResize = true
				w.web().Owner = &inspection.Owner{Unfound: "kernel"}
				w.find(advisor.AcceptQueueOverflow, w.web(), 1024)
			},
			[]string{"refused unsupported"},
		},
		{
			"a step is no more than four times as much",
			func(w *world) {
				w.LiveResize = true
				w.Memory.TCPPages[1] = 600000
				w.limit(2048, 65535)
				w.find(advisor.AcceptQueueOverflow, w.web(), 32768)
			},
			[]string{"listen 0.0.0.0:80#1002 2048 to 8192", "refused capped step"},
		},
		{
			"but up to 4096 is one step",
			func(w *world) { w.LiveResize = true; w.find(advisor.AcceptQueueOverflow, w.web(), 4096) },
			[]string{"listen 0.0.0.0:80#1002 128 to 4096"},
		},
		{
			"what is not a quarter longer makes no difference",
			func(w *world) {
				w.LiveResize = true
				w.Memory.TCPPages[1] = 600000
				w.limit(4096, 65535)
				w.find(advisor.AcceptQueueOverflow, w.web(), 5119)
			},
			nil,
		},
		{
			"and a quarter does",
			func(w *world) {
				w.LiveResize = true
				w.Memory.TCPPages[1] = 600000
				w.limit(4096, 65535)
				w.find(advisor.AcceptQueueOverflow, w.web(), 5120)
			},
			[]string{"listen 0.0.0.0:80#1002 4096 to 5120"},
		},
		{
			"who has the limit by now needs nobody's consent",
			func(w *world) { w.limit(1024, 4096); w.find(advisor.AcceptQueueOverflow, w.web(), 1024) },
			nil,
		},
		{
			"memory caps a target",
			func(w *world) {
				w.LiveResize = true
				w.limit(4096, 65535)
				w.find(advisor.AcceptQueueOverflow, w.web(), 16384)
				w.Memory.TCPPages = [3]uint64{188000, 600000, 900000} // 25 % are 614 MB, 4596 connections
			},
			[]string{"listen 0.0.0.0:80#1002 4096 to 8192", "refused capped worst-memory"},
		},
		{
			"down to one that makes no difference",
			func(w *world) {
				w.LiveResize = true
				w.limit(4096, 65535)
				w.find(advisor.AcceptQueueOverflow, w.web(), 16384)
			},
			[]string{"refused guard-rail worst-memory"},
		},
		{
			"two queues share the memory",
			func(w *world) {
				w.LiveResize = true
				w.limit(4096, 65535)
				other := w.listen(podNetns, "0.0.0.0", 81, 4096, "nginx")
				w.find(advisor.AcceptQueueOverflow, w.web(), 8192)
				w.find(advisor.AcceptQueueOverflow, other, 8192)
				w.Memory.TCPPages = [3]uint64{188000, 600000, 900000}
			},
			[]string{"listen 0.0.0.0:80#1002 4096 to 8192", "refused guard-rail worst-memory"},
		},
		{
			"as many as it is enough for",
			func(w *world) {
				w.LiveResize = true
				w.limit(4096, 65535)
				w.listen(podNetns, "0.0.0.0", 81, 4096, "nginx")
				w.listen(podNetns, "0.0.0.0", 82, 4096, "nginx")
				for i := range 3 {
					w.find(advisor.AcceptQueueOverflow, &w.in.Listeners[1+i], 8192)
				}
				w.Memory.TCPPages[1] = 3 * 536000
			},
			[]string{"listen 0.0.0.0:80#1002 4096 to 8192", "listen 0.0.0.0:81#1003 4096 to 8192", "listen 0.0.0.0:82#1004 4096 to 8192"},
		},
		{
			"cookies are turned on where they are off, and tcp_max_syn_backlog is then idle",
			func(w *world) {
				w.in.Namespaces[1].Sysctls = settings(4096, 16, 0)
				f := w.find(advisor.SynBacklogThreeQuarters, w.web(), 1024)
				f.Changes = []inspection.Change{
					{Netns: podNetns, Key: "net.ipv4.tcp_syncookies", From: 0, To: 1, EffectiveNow: true},
					{Netns: podNetns, Key: "net.ipv4.tcp_max_syn_backlog", From: 16, To: 1024, EffectiveNow: true},
				}
			},
			[]string{"set pod net.ipv4.tcp_syncookies 0 to 1"},
		},
		{
			"a flood lengthens nothing",
			func(w *world) { w.LiveResize = true; w.find(advisor.SynFloodSuspected, w.web(), 4096) },
			nil,
		},
		{
			"what qtune never sets is advice",
			func(w *world) {
				f := w.find(advisor.AbortOnOverflow, w.web(), 0)
				f.Changes = []inspection.Change{{Netns: podNetns, Key: "net.ipv4.tcp_abort_on_overflow", From: 1, To: 0, EffectiveNow: true}}
			},
			[]string{"advice set net.ipv4.tcp_abort_on_overflow from 1 to 0 in this namespace"},
		},
		{
			"tcp_syncookies 2 is left to people",
			func(w *world) {
				w.in.Namespaces[1].Sysctls = settings(4096, 16, 2)
				f := w.find(advisor.SyncookiesAlways, w.web(), 0)
				f.Changes = []inspection.Change{{Netns: podNetns, Key: "net.ipv4.tcp_syncookies", From: 2, To: 1, EffectiveNow: true}}
			},
			[]string{"advice set net.ipv4.tcp_syncookies from 2 to 1 in this namespace"},
		},
		{
			"the program's own setting is advice",
			func(w *world) {
				f := w.find(advisor.AcceptQueueOverflow, w.web(), 1024)
				f.Hints = []inspection.Hint{{Program: "nginx", Setting: "backlog= of listen", Example: "listen 80 backlog=1024;", TakesEffect: "reload", Verified: true, Note: "Each listen has its own."}}
			},
			[]string{"refused no-consent", "advice nginx: backlog= of listen, then reload. Each listen has its own."},
		},
		{
			"a policy file that leaves a namespace out binds a person, too",
			func(w *world) {
				w.LiveResize = true
				w.Policy.Hash, w.Policy.Scopes = "0123456789ab", []string{policy.ScopeHost}
				w.find(advisor.AcceptQueueOverflow, w.web(), 1024)
			},
			[]string{"refused policy"},
		},
		{
			"a value that cannot be read is not changed",
			func(w *world) {
				w.LiveResize = true
				delete(w.in.Namespaces[1].Sysctls, "net.core.somaxconn")
				w.find(advisor.AcceptQueueOverflow, w.web(), 1024)
			},
			[]string{"refused not-found"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld()
			tt.does(w)
			check(t, "Advised()", w.Advised(), tt.want...)
		})
	}
}

func TestAdvisedToTheLoop(t *testing.T) {
	tests := []struct {
		name string
		does func(*world)
		want []string
	}{
		{"it needs the policy's leave to resize", func(w *world) { w.Policy.LiveResize.Namespaces = nil }, []string{"refused no-consent"}},
		{"and has it here", func(*world) {}, []string{"listen 0.0.0.0:80#1002 128 to 1024"}},
		{"the host's namespace must be in the policy's scopes", func(w *world) { w.in.Namespaces[1].Host = true }, []string{"refused policy"}},
		{"a program of the policy's list is left alone", func(w *world) {
			w.Policy.Exclude.Commands = []string{"nginx"}
			w.limit(128, 128)
		}, []string{"refused excluded"}},
		{"a young namespace is left alone", func(w *world) { w.Ages = map[uint64]time.Duration{podNetns: 59 * time.Second} }, []string{"refused guard-rail age"}},
		{"and is young for a minute", func(w *world) { w.Ages = map[uint64]time.Duration{podNetns: time.Minute} }, []string{"listen 0.0.0.0:80#1002 128 to 1024"}},
		{"a queue that was nearly full is for people to judge", func(w *world) { w.in.Findings[0].Code = string(advisor.AcceptQueueNearLimit) }, nil},
		{"so are cookies", func(w *world) {
			w.in.Namespaces[1].Sysctls = settings(4096, 16, 0)
			w.in.Findings[0].Code = string(advisor.SynQueueFull)
			w.in.Findings[0].Changes = []inspection.Change{{Netns: podNetns, Key: "net.ipv4.tcp_syncookies", From: 0, To: 1, EffectiveNow: true}}
		}, []string{"advice set net.ipv4.tcp_syncookies from 0 to 1 in this namespace"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld()
			w.Person, w.LiveResize = false, true
			w.Policy.LiveResize.Namespaces = []string{"pod:shop/*"}
			w.find(advisor.AcceptQueueOverflow, w.web(), 1024)
			tt.does(w)
			check(t, "Advised()", w.Advised(), tt.want...)
		})
	}
}

func TestWished(t *testing.T) {
	somaxconn := func(n int64) Wish { return Wish{Netns: podNetns, Key: tcpq.Somaxconn, To: n} }
	synBacklog := Wish{Netns: podNetns, Key: tcpq.TCPMaxSynBacklog, To: 8192}
	cookies := func(n int64) Wish { return Wish{Netns: podNetns, Key: tcpq.TCPSyncookies, To: n} }
	web := func(n int64) Wish { return Wish{Netns: podNetns, Listener: "0.0.0.0:80", To: n} }
	tests := []struct {
		name   string
		does   func(*world)
		wishes []Wish
		want   []string
	}{
		{"a value is no step when it is there", nil, []Wish{somaxconn(4096)}, nil},
		{"nor when a better one is", nil, []Wish{somaxconn(1024)}, nil},
		{"a person may lower one", func(w *world) { w.AllowDecrease = true }, []Wish{somaxconn(1024)}, []string{"set pod net.core.somaxconn 4096 to 1024"}},
		{"the loop may not", func(w *world) { w.AllowDecrease, w.Person = true, false }, []Wish{somaxconn(1024)}, nil},
		{"not below the bounds", func(w *world) { w.AllowDecrease = true }, []Wish{somaxconn(127)}, []string{"refused guard-rail bounds"}},
		{"up to the bounds", nil, []Wish{somaxconn(65535)}, []string{"set pod net.core.somaxconn 4096 to 65535"}},
		{"and not one past", nil, []Wish{somaxconn(65536)}, []string{"refused guard-rail bounds"}},
		{"a person is not bound by the step of four", nil, []Wish{somaxconn(65535)}, []string{"set pod net.core.somaxconn 4096 to 65535"}},
		{"the loop is", func(w *world) { w.Person = false; w.limit(128, 2048) }, []Wish{somaxconn(8193)}, []string{"set pod net.core.somaxconn 2048 to 8193"}},
		{"of two the larger", nil, []Wish{somaxconn(8192), somaxconn(16384), somaxconn(8192)}, []string{"set pod net.core.somaxconn 4096 to 16384"}},
		{"a named listener is resized", nil, []Wish{web(1024)}, []string{"listen 0.0.0.0:80#1002 128 to 1024"}},
		{"below the bounds, too: it is nearer to them", func(w *world) { w.limit(8, 4096) }, []Wish{web(64)}, []string{"listen 0.0.0.0:80#1002 8 to 64"}},
		{"0 is no value", func(w *world) { w.in.Namespaces[1].Sysctls = settings(4096, -5, 0) }, []Wish{{Netns: podNetns, Key: tcpq.TCPMaxSynBacklog, To: 0}}, []string{"refused guard-rail bounds"}},
		{"with somaxconn before it", nil, []Wish{web(8192)}, []string{"refused guard-rail worst-memory"}},
		{
			"when there is memory", func(w *world) { w.Memory.TCPPages[1] = 600000 },
			[]Wish{web(8192)},
			[]string{"set pod net.core.somaxconn 4096 to 8192", "listen 0.0.0.0:80#1002 128 to 8192"},
		},
		{
			"somaxconn is not lowered below what a listener needs", func(w *world) { w.AllowDecrease = true },
			[]Wish{somaxconn(512), web(1024)},
			[]string{"set pod net.core.somaxconn 4096 to 1024", "listen 0.0.0.0:80#1002 128 to 1024"},
		},
		{"a limit is lowered by a person only", nil, []Wish{web(64)}, nil},
		{"who is excluded is not resized by name", nil, []Wish{{Netns: hostNetns, Listener: "0.0.0.0:22", To: 1024}}, []string{"refused excluded"}},
		{"nobody listens there", nil, []Wish{{Netns: podNetns, Listener: "0.0.0.0:8080", To: 1024}}, []string{"refused not-found"}},
		{"no such namespace", nil, []Wish{{Netns: 1, Key: tcpq.Somaxconn, To: 8192}}, []string{"refused not-found"}},
		{"cookies are on", nil, []Wish{cookies(1)}, nil},
		{"any value but 0 and 2 is on", func(w *world) { w.in.Namespaces[1].Sysctls = settings(4096, 16, 255) }, []Wish{cookies(1)}, nil},
		{"they are turned on", func(w *world) { w.in.Namespaces[1].Sysctls = settings(4096, 16, 0) }, []Wish{cookies(1)}, []string{"set pod net.ipv4.tcp_syncookies 0 to 1"}},
		{"never off", func(w *world) { w.AllowDecrease = true }, []Wish{cookies(0)}, []string{"refused guard-rail cookies-on"}},
		{"never always", nil, []Wish{cookies(2)}, []string{"refused guard-rail cookies-on"}},
		{
			"nor back from always", func(w *world) { w.in.Namespaces[1].Sysctls = settings(4096, 16, 2) },
			[]Wish{cookies(1)},
			[]string{"refused guard-rail cookies-on"},
		},
		{"tcp_max_syn_backlog does nothing while cookies are on", nil, []Wish{synBacklog}, []string{"refused guard-rail cookies-off-for-syn-backlog"}},
		{
			"and something while they are off", func(w *world) { w.in.Namespaces[1].Sysctls = settings(4096, 2048, 0) },
			[]Wish{synBacklog},
			[]string{"set pod net.ipv4.tcp_max_syn_backlog 2048 to 8192"},
		},
		{
			"and nothing when the same plan turns them on", func(w *world) { w.in.Namespaces[1].Sysctls = settings(4096, 2048, 0) },
			[]Wish{synBacklog, cookies(1)},
			[]string{"set pod net.ipv4.tcp_syncookies 0 to 1", "refused guard-rail cookies-off-for-syn-backlog"},
		},
		{"other settings are never set", nil, []Wish{{Netns: podNetns, Key: tcpq.TCPAbortOnOverflow, To: 1}}, []string{"refused unsupported"}},
		{
			"one value of the whole host is not set from a pod",
			func(w *world) { w.in.Namespaces[1].HostWideSysctls = []string{"net.core.somaxconn"} },
			[]Wish{somaxconn(8192)},
			[]string{"refused unsupported"},
		},
		{
			"a queue too long for the program makes its last wait too long",
			func(w *world) {
				peak := uint32(100)
				w.web().AcceptQueue.Peak = &peak
				w.in.Namespaces[1].Moved = map[string]uint64{"PassiveOpens": 50000} // 5000 a second
			},
			[]Wish{web(5001)},
			[]string{"refused guard-rail worst-wait"},
		},
		{
			"and one as long as the budget does not",
			func(w *world) {
				peak := uint32(100)
				w.web().AcceptQueue.Peak = &peak
				w.in.Namespaces[1].Moved = map[string]uint64{"PassiveOpens": 50000}
			},
			[]Wish{web(5000)},
			[]string{"set pod net.core.somaxconn 4096 to 5000", "listen 0.0.0.0:80#1002 128 to 5000"},
		},
		{
			"up to 4096 is never refused, neither for waiting nor for memory",
			func(w *world) {
				peak := uint32(100)
				w.web().AcceptQueue.Peak = &peak
				w.in.Namespaces[1].Moved = map[string]uint64{"PassiveOpens": 50}
				w.Memory = host.Memory{Total: 1 << 20, TCPPages: [3]uint64{1, 2, 3}, TCPUsed: 10, PageSize: 4096}
			},
			[]Wish{web(4096)},
			[]string{"listen 0.0.0.0:80#1002 128 to 4096"},
		},
		{"memory that is not known allows no more than that", func(w *world) { w.Memory = host.Memory{} }, []Wish{web(4097)}, []string{"refused guard-rail memory-known"}},
		{
			"a person may lengthen the queue of a slow application, and is told", func(w *world) { w.find(advisor.ApplicationSlow, w.web(), 0) },
			[]Wish{web(1024)},
			[]string{"listen 0.0.0.0:80#1002 128 to 1024", "advice Application slow. Because."},
		},
		{
			"a listener that two steps lengthen takes its memory once",
			func(w *world) { w.Memory.TCPPages[1] = 536000; w.limit(4096, 4096) }, // 25 % are 4096 connections
			[]Wish{somaxconn(8192), web(8192)},
			[]string{"set pod net.core.somaxconn 4096 to 8192", "listen 0.0.0.0:80#1002 4096 to 8192"},
		},
		{"TCP under pressure allows no more than that", func(w *world) { w.Memory.TCPUsed = 188001 }, []Wish{web(4097)}, []string{"refused guard-rail memory-pressure"}},
		{"at the pressure's edge it does", func(w *world) { w.Memory.TCPUsed = 188000 }, []Wish{web(4097)}, []string{"set pod net.core.somaxconn 4096 to 4097", "listen 0.0.0.0:80#1002 128 to 4097"}},
		{
			"idle connections take memory, too", func(w *world) { w.Memory.Total = 1 << 27; w.Memory.TCPPages[1] = 1 << 30 },
			[]Wish{web(8192)},
			[]string{"refused guard-rail idle-memory"},
		},
		{
			"somaxconn alone takes none while nobody is cut down", nil,
			[]Wish{somaxconn(65535)},
			[]string{"set pod net.core.somaxconn 4096 to 65535"},
		},
		{
			"and takes what those that are would take", func(w *world) { w.limit(4096, 4096) },
			[]Wish{somaxconn(65535)},
			[]string{"refused guard-rail worst-memory"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld()
			if tt.does != nil {
				tt.does(w)
			}
			check(t, "Wished()", w.Wished(tt.wishes), tt.want...)
		})
	}
}
