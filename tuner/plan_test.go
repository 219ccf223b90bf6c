// SPDX-License-Identifier: Apache-2.0

package tuner

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/qtune/qtune/advisor"
	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/policy"
	"github.com/qtune/qtune/sysctl"
	"github.com/qtune/qtune/tcpq"
)

func TestBaseline(t *testing.T) {
	tests := []struct {
		name string
		does func(*world)
		want []string
	}{
		{"a policy that wishes nothing plans nothing", func(*world) {}, nil},
		{"pods are raised to what it wants at least", func(w *world) { w.Policy.Baseline = 8192 }, []string{"set pod net.core.somaxconn 4096 to 8192"}},
		{"and the host where its scopes say so", func(w *world) {
			w.Policy.Baseline, w.Policy.Scopes = 8192, []string{policy.ScopeHost, policy.ScopePod}
		}, []string{"set host net.core.somaxconn 4096 to 8192", "set pod net.core.somaxconn 4096 to 8192"}},
		{"no namespace is lowered", func(w *world) { w.Policy.Baseline, w.AllowDecrease = 8192, true; w.limit(128, 16384) }, nil},
		{"nor bound by the step of four: a person wrote it", func(w *world) { w.Policy.Baseline, w.Person = 32768, false }, []string{"set pod net.core.somaxconn 4096 to 32768"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld()
			tt.does(w)
			check(t, "Baseline()", w.Baseline(), tt.want...)
		})
	}
}

func TestAffects(t *testing.T) {
	w := newWorld()
	w.Memory.TCPPages[1] = 1 << 21
	w.limit(511, 4096)
	cut := w.listen(podNetns, "0.0.0.0", 82, 4096, "redis")
	cut.LimitBoundBy = "somaxconn"
	w.listen(podNetns, "0.0.0.0", 81, 511, "nginx") // asked for less
	p := w.Wished([]Wish{{Netns: podNetns, Listener: "0.0.0.0:80", To: 8192}})
	want := [][]Affect{
		{{Listener: "0.0.0.0:80", Comm: "nginx", Now: true}, {Listener: "0.0.0.0:82", Comm: "redis", Now: false}},
		{{Listener: "0.0.0.0:80", Comm: "nginx", Now: true}},
	}
	got := make([][]Affect, 0, len(p.Steps))
	for _, s := range p.Steps {
		got = append(got, s.Affects)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Wished().Steps[].Affects = %v, want %v", got, want)
	}
	if !p.FeltNow() {
		t.Error("FeltNow() = false for a plan that resizes")
	}
	if p := w.Wished([]Wish{{Netns: podNetns, Key: tcpq.Somaxconn, To: 8192}}); p.Empty() || p.FeltNow() {
		t.Errorf("FeltNow() = true for a plan of somaxconn alone:\n%s", summary(p))
	}
	w.in.Namespaces[1].Sysctls["net.ipv4.tcp_syncookies"] = 0
	p = w.Wished([]Wish{{Netns: podNetns, Key: tcpq.TCPSyncookies, To: 1}})
	if all := p.Steps[0].Affects; len(all) != 3 || !p.FeltNow() {
		t.Errorf("tcp_syncookies affects %v, want all three listeners of the namespace, now", all)
	}
}

func TestWitness(t *testing.T) {
	w := newWorld()
	asked := 0
	w.Witness = func(netns uint64) (int, uint64, error) {
		asked++
		return 40, netns, nil
	}
	wishes := []Wish{{Netns: podNetns, Key: tcpq.Somaxconn, To: 8192}, {Netns: podNetns, Listener: "0.0.0.0:80", To: 1024}}
	want := func(what string, pid int, started uint64, looks int) {
		t.Helper()
		p := w.Wished(wishes)
		if len(p.Steps) != 2 {
			t.Fatalf("%d steps, want 2", len(p.Steps))
		}
		for i := range p.Steps {
			if s := &p.Steps[i].Scope; s.PID != pid || s.PIDStarted != started {
				t.Errorf("step %d in a namespace %s: witness %d, started %d, want %d, %d", i+1, what, s.PID, s.PIDStarted, pid, started)
			}
		}
		if asked != looks {
			t.Errorf("in a namespace %s somebody looked %d times, want %d", what, asked, looks)
		}
	}
	want("with a cookie", 30, 0, 0)
	w.in.Namespaces[1].Cookie = ""
	want("without", 40, podNetns, 1)
	w.in.Namespaces[1].PID = 0
	want("without, found by its path", 40, podNetns, 2)
}

func TestCost(t *testing.T) {
	const each = 320 + 2368 + 320 // one more in the accept queue, and one more half-open peer
	peak := uint32(100)
	tests := []struct {
		name string
		does func(*world) *Plan
		want Cost
	}{
		{"a resized listener costs what its queue grew by", func(w *world) *Plan {
			return w.Wished([]Wish{{Netns: podNetns, Listener: "0.0.0.0:80", To: 1128}})
		}, Cost{IdleBytes: 1000 * each, WorstBytes: 1000 * (each + 131072)}},
		{"each member of a group does", func(w *world) *Plan {
			w.listen(podNetns, "0.0.0.0", 80, 128, "nginx")
			return w.Wished([]Wish{{Netns: podNetns, Listener: "0.0.0.0:80", To: 1128}})
		}, Cost{IdleBytes: 2000 * each, WorstBytes: 2000 * (each + 131072)}},
		{"somaxconn costs what those that it cuts down will grow by", func(w *world) *Plan {
			w.limit(128, 128)
			return w.Wished([]Wish{{Netns: podNetns, Key: tcpq.Somaxconn, To: 1128}})
		}, Cost{IdleBytes: 1000 * each, WorstBytes: 1000 * (each + 131072)}},
		{"so will those that it cut down when they began to listen", func(w *world) *Plan {
			w.limit(128, 4096)
			w.web().LimitBoundBy = string(tcpq.BoundSomaxconnAtListen)
			return w.Wished([]Wish{{Netns: podNetns, Key: tcpq.Somaxconn, To: 4128}})
		}, Cost{IdleBytes: 4000 * each, WorstBytes: 4000 * (each + 131072)}},
		{"and nothing when it cuts nobody", func(w *world) *Plan {
			return w.Wished([]Wish{{Netns: podNetns, Key: tcpq.Somaxconn, To: 8192}})
		}, Cost{}},
		{"both steps of one listener are counted once", func(w *world) *Plan {
			w.limit(128, 128)
			return w.Wished([]Wish{{Netns: podNetns, Listener: "0.0.0.0:80", To: 1128}})
		}, Cost{IdleBytes: 1000 * each, WorstBytes: 1000 * (each + 131072)}},
		{"who accepts 100 a second lets the last wait 10 s longer", func(w *world) *Plan {
			w.web().AcceptQueue.Peak = &peak
			w.in.Namespaces[1].Moved = map[string]uint64{"PassiveOpens": 1000}
			return w.Wished([]Wish{{Netns: podNetns, Listener: "0.0.0.0:80", To: 1128}})
		}, Cost{IdleBytes: 1000 * each, WorstBytes: 1000 * (each + 131072), WorstWaitSecond: 10}},
		{"syncookies let the SYN queue grow from three quarters of tcp_max_syn_backlog to the limit", func(w *world) *Plan {
			w.in.Namespaces[1].Sysctls = settings(4096, 16, 0)
			return w.Wished([]Wish{{Netns: podNetns, Key: tcpq.TCPSyncookies, To: 1}})
		}, Cost{IdleBytes: (129 - 13) * 320, WorstBytes: (129 - 13) * 320}},
		{"of a host whose tcp_rmem is not known the kernel's default counts", func(w *world) *Plan {
			w.Memory.ReceiveWant = 0
			return w.Wished([]Wish{{Netns: podNetns, Listener: "0.0.0.0:80", To: 129}})
		}, Cost{IdleBytes: each, WorstBytes: each + 131072}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.does(newWorld()).Cost; got != tt.want {
				t.Errorf("Cost = %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestSetBy(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"etc/sysctl.d/10-a.conf":      "net.core.somaxconn = 1024\n",
		"etc/sysctl.d/60-qtune.conf":  "net.core.somaxconn = 8192\n",
		"usr/lib/sysctl.d/99-b.conf":  "\nnet.core.somaxconn = 2048\n",
		"etc/sysctl.conf":             "net.core.somaxconn = 512\n",
		"etc/sysctl.d/99-others.conf": "net.ipv4.tcp_syncookies = 1\n",
	} {
		if err := os.MkdirAll(filepath.Join(root, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	files, err := sysctl.Boot(root)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld()
	w.AtBoot = BootSetters(files)
	p := w.Wished([]Wish{{Netns: hostNetns, Key: tcpq.Somaxconn, To: 8192}, {Netns: podNetns, Key: tcpq.Somaxconn, To: 8192}})
	want := []Setter{
		{Where: "/etc/sysctl.d/10-a.conf:1", Value: "1024"},
		{Where: "/usr/lib/sysctl.d/99-b.conf:2", Value: "2048", Wins: true},
		{Where: "/etc/sysctl.conf:1 (read by sysctl --system, not by systemd)", Value: "512", Wins: true},
	}
	if got := p.Steps[0].SetBy; !reflect.DeepEqual(got, want) {
		t.Errorf("SetBy in the host's namespace = %+v, want %+v", got, want)
	}
	if got := p.Steps[1].SetBy; len(got) != 1 || !strings.Contains(got[0].Where, "securityContext") {
		t.Errorf("SetBy in a pod's namespace = %+v, want its securityContext", got)
	}
}

func TestCheck(t *testing.T) {
	tests := []struct {
		name string
		does func(*world, *Plan)
		want []string
	}{
		{"what was planned may be done", func(*world, *Plan) {}, nil},
		{"a value that was changed in the file is checked again", func(_ *world, p *Plan) { p.Steps[0].To = 100000 }, []string{"refused guard-rail bounds"}},
		{"so is one that goes down", func(_ *world, p *Plan) { p.Steps[0].To = 1024 }, []string{"refused guard-rail increase-only"}},
		{"the loop lowers nothing, whatever it was told", func(w *world, p *Plan) {
			w.Person, w.AllowDecrease, p.Steps = false, true, p.Steps[:1]
			p.Steps[0].To = 1024
		}, []string{"refused guard-rail increase-only"}},
		{"so is memory", func(w *world, _ *Plan) { w.Memory.TCPUsed = 188001 }, []string{"refused guard-rail memory-pressure"}},
		{"a listener that is there no more", func(w *world, _ *Plan) { w.web().Cookie = "00000000000000ff" }, []string{"refused not-found"}},
		{"a reuse-port group that has grown", func(w *world, _ *Plan) { w.listen(podNetns, "0.0.0.0", 80, 128, "nginx") }, []string{"refused not-found"}},
		{"unless the new member has as much", func(w *world, _ *Plan) { w.listen(podNetns, "0.0.0.0", 80, 8000, "nginx") }, nil},
		{"a namespace whose successor has its number", func(w *world, _ *Plan) { w.in.Namespaces[1].Cookie = "00000000000000ff" }, []string{"refused not-found", "refused not-found"}},
		{"a program that is excluded", func(w *world, _ *Plan) { w.web().Owner.Comm = "haproxy" }, []string{"refused excluded"}},
		{"a listener that the loop may not resize", func(w *world, _ *Plan) { w.Person, w.LiveResize = false, true }, []string{"refused no-consent", "refused guard-rail step"}},
		{"another step of the loop", func(w *world, _ *Plan) {
			w.Person, w.LiveResize = false, true
			w.Policy.LiveResize.Namespaces = []string{"pod:shop/*"}
			w.web().AcceptQueue.Limit = 1024
		}, []string{"refused guard-rail step"}},
		{"a setting that qtune does not set", func(_ *world, p *Plan) { p.Steps[0].Key = "net.ipv4.tcp_abort_on_overflow" }, []string{"refused not-found"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld()
			w.Memory.TCPPages[1] = 600000
			p := w.Wished([]Wish{{Netns: podNetns, Listener: "0.0.0.0:80", To: 8000}})
			tt.does(w, p)
			check(t, "Check()", &Plan{Refusals: w.Check(p)}, tt.want...)
		})
	}
}

func TestReadPlan(t *testing.T) {
	w := newWorld()
	w.Memory.TCPPages[1] = 600000
	w.find(advisor.ApplicationSlow, w.web(), 0).Hints = []inspection.Hint{{Setting: "<more> & faster", TakesEffect: "restart", Verified: true}}
	plan := w.Wished([]Wish{{Netns: podNetns, Listener: "0.0.0.0:80", To: 8000}, {Netns: hostNetns, Key: tcpq.Somaxconn, To: 70000}})
	var b bytes.Buffer
	if err := WritePlan(&b, plan); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	got, err := ReadPlan([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var again bytes.Buffer
	if err := WritePlan(&again, got); err != nil {
		t.Fatal(err)
	}
	if again.String() != text {
		t.Errorf("a plan that was read is written as\n%s\nwant\n%s", again.String(), text)
	}
	tests := []struct {
		name     string
		old, new string
		want     string // part of the error
	}{
		{"an unknown key", `"steps"`, `"stepps"`, "stepps"},
		{"another kind", `"Plan"`, `"Inspection"`, `"Inspection"`},
		{"another version", `qtune.dev/v1alpha1`, `qtune.dev/v2`, "qtune.dev/v2"},
		{"text behind it", text, text + "{}", "something follows"},
		{"a key that qtune does not set", `"key": "net.core.somaxconn"`, `"key": "kernel.panic"`, "kernel.panic"},
		{"a kind of step there is not", `"kind": "sysctl"`, `"kind": "exec"`, `"exec"`},
		{"no namespace", `"netns": 4026532181`, `"netns": 0`, "netns"},
		{"no change", `"to": 8000`, `"to": 4096`, "changes nothing"},
		{"a value beyond any bounds", `"to": 8000`, `"to": 1048577`, "1048577"},
		{"a value below any", `"to": 8000`, `"to": -1`, "-1"},
		{"no cookie", `"cookie": "00000000000000c2"`, `"cookie": ""`, "cookie"},
		{"an outcome", `"why": "asked for by name"`, `"outcome": "done"`, "outcome"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			changed := strings.Replace(text, tt.old, tt.new, 1)
			if changed == text {
				t.Fatalf("the plan has no %s", tt.old)
			}
			if _, err := ReadPlan([]byte(changed)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("ReadPlan = %v, want an error with %q", err, tt.want)
			}
		})
	}
	plan.Steps[0], plan.Steps[1] = plan.Steps[1], plan.Steps[0]
	b.Reset()
	if err := WritePlan(&b, plan); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadPlan(b.Bytes()); err == nil {
		t.Error("ReadPlan takes steps in the wrong order")
	}
}

// TestTables proves that each row of rails and of remedies is whole.
func TestTables(t *testing.T) {
	var names []string
	for _, r := range rails {
		names = append(names, r.name)
		if r.says == "" || len(r.ways) == 0 || r.check == nil {
			t.Errorf("rail %s says nothing, has no way out or no check", r.name)
		}
	}
	slices.Sort(names)
	if len(slices.Compact(names)) != len(rails) {
		t.Errorf("two rails have one name: %v", names)
	}
	pages := advisor.Pages()
	for i, r := range remedies {
		if !slices.ContainsFunc(pages, func(p advisor.Page) bool { return p.Code == r.code }) {
			t.Errorf("remedies: there is no finding %s", r.code)
		}
		if slices.ContainsFunc(remedies[:i], func(o remedy) bool { return o.code == r.code }) {
			t.Errorf("remedies: two rows for %s", r.code)
		}
		if r.never && (r.lengthens || r.cookies) || r.byLoop && !r.lengthens {
			t.Errorf("remedies: %s contradicts itself", r.code)
		}
	}
	for _, p := range pages {
		if remedyOf(string(p.Code)).code == "" && p.Severity == advisor.Critical {
			t.Errorf("remedies: no row for %s, and it is critical", p.Code)
		}
	}
	if !Tunes(advisor.AcceptQueueOverflow) || Tunes(advisor.ApplicationSlow) || !Forbids(advisor.ApplicationSlow) {
		t.Error("Tunes and Forbids do not tell an overflow from a slow application")
	}
}
