// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/tuner"
)

// Namespaces and listeners of made-up plans.
var (
	hostScope = tuner.Scope{Netns: 4026531840, Cookie: "0000000000000001", Host: true}
	podScope  = tuner.Scope{Netns: 4026532417, Cookie: "0000000000001003", Name: "cni-0b1c2d3e-4f5a-6b7c-8d9e-0f1a2b3c4d5e", Pod: "shop/cart-7d9f8b6c5d-x2x4z"}
	gunicorn  = tuner.Socket{Address: "0.0.0.0", Port: 8000, Protocol: "tcp", Inode: 77, Cookie: "0000000000000077", PIDs: []int{17}, Comm: "gunicorn"}
)

// plannedSteps has a step of each kind, with all that can be said of one.
func plannedSteps() []tuner.Step {
	return []tuner.Step{
		{
			Kind: tuner.KindSysctl, Scope: hostScope, Key: "net.ipv4.tcp_syncookies", From: 0, To: 1,
			Why:      "The SYN queue of 0.0.0.0:443 was full, and 210 SYNs were dropped in 600 s: with cookies they are answered.",
			Findings: []string{"syn-queue-full"},
			Affects:  []tuner.Affect{{Listener: "0.0.0.0:443", Comm: "nginx", Now: true}, {Listener: "[::]:22", Comm: "sshd", Now: true}},
			SetBy:    []tuner.Setter{{Where: "/etc/sysctl.d/99-hardening.conf:12", Value: "0", Wins: true}},
		},
		{
			Kind: tuner.KindSysctl, Scope: podScope, Key: "net.core.somaxconn", From: 128, To: 2048,
			Why: "A listener's limit can be no larger than this.",
			Affects: []tuner.Affect{
				{Listener: "0.0.0.0:8000", Comm: "gunicorn"},
				{Listener: "0.0.0.0:8001", Comm: "gunicorn"},
				{Listener: "127.0.0.1:9102", Comm: "statsd_exporter"},
				{Listener: "[::]:9901", Comm: "envoy"},
				{Listener: "[::]:15006", Comm: "envoy"},
				{Listener: "[::]:15021", Comm: "envoy"},
			},
			SetBy: []tuner.Setter{{Where: "securityContext.sysctls of pod shop/cart-7d9f8b6c5d-x2x4z", Value: "128"}},
		},
		{
			Kind: tuner.KindListen, Scope: podScope, Listener: &gunicorn, From: 8, To: 2048,
			Why:      "33 packets of new connections were refused in 1.0 s, and in between the queue drained: it is too short for its bursts.",
			Findings: []string{"accept-queue-overflow"},
			Affects:  []tuner.Affect{{Listener: "0.0.0.0:8000", Comm: "gunicorn", Now: true}},
		},
	}
}

// madeUpPlan has a bit of everything.
func madeUpPlan() *tuner.Plan {
	return &tuner.Plan{
		APIVersion: tuner.APIVersion, Kind: tuner.KindPlan, Created: time.Date(2026, 11, 25, 3, 0, 0, 0, time.UTC),
		Host: "web7", BootID: "6b2ff4c1-0000-4000-8000-000000000000",
		Steps: plannedSteps(),
		Cost:  tuner.Cost{IdleBytes: 5500000, WorstBytes: 273000000, WorstWaitSecond: 0.412},
		Refusals: []tuner.Refusal{{
			Code: tuner.ByRail, Rail: "worst-memory", Scope: hostScope, Key: "net.core.somaxconn", From: 4096, To: 65535,
			Limit: 393216000, Actual: 8782000000, Unit: "bytes",
			Message: "If every connection in the longer queues had sent all it may before accept(2), TCP would take 8.2 GiB more: 25 % of tcp_mem is the limit.",
			WaysOut: []string{
				"spec.memory.worstPercent in a policy (-f), when the memory is there",
				"a lower net.ipv4.tcp_rmem in that pod, which is a safe sysctl since Kubernetes 1.32",
				"accept faster: a queue this long is an application that does not keep up",
			},
		}},
		Advice: []tuner.Advice{{
			Scope: podScope, Listener: "0.0.0.0:8000", Comm: "gunicorn", Code: "limit-below-somaxconn",
			Text:    "gunicorn: the option --backlog, or backlog in its configuration, then restart; else its next restart brings the limit of 8 back.",
			Example: "--backlog 2048",
		}},
	}
}

// TestPlanScreens compares plans with golden files, at two widths.
func TestPlanScreens(t *testing.T) {
	lower := &tuner.Plan{Host: "web7", Steps: []tuner.Step{{Kind: tuner.KindSysctl, Scope: hostScope, Key: "net.core.somaxconn", From: 65535, To: 4096, Why: "Asked for by name."}}}
	many := &tuner.Plan{Host: "web7"}
	for i := range 200 {
		step := tuner.Step{Kind: tuner.KindSysctl, Scope: tuner.Scope{Netns: uint64(4026532000 + i), Name: fmt.Sprintf("cni-%03d", i)}, Key: "net.core.somaxconn", From: 4096, To: 16384, Why: "the policy wants it at least"}
		if i == 7 {
			step.Affects = []tuner.Affect{{Listener: "0.0.0.0:80", Comm: "nginx"}}
		}
		many.Steps = append(many.Steps, step)
	}
	plans := map[string]*tuner.Plan{
		"many":       many,
		"everything": madeUpPlan(),
		"lower":      lower,
		"nothing":    {Host: "web7"},
		"refused":    {Host: "web7", Refusals: madeUpPlan().Refusals},
	}
	for name, p := range plans {
		for _, width := range []int{80, 120} {
			file := fmt.Sprintf("%s-%d.txt", name, width)
			t.Run(file, func(t *testing.T) {
				var b bytes.Buffer
				s := &screen{w: newWriter(&b), style: tableStyle{Width: width}}
				s.plan(p)
				if err := s.w.Flush(); err != nil {
					t.Fatal(err)
				}
				tooWide(t, b.String(), width)
				compareGolden(t, filepath.Join("testdata", "plan", file), b.Bytes())
			})
		}
	}
}

// tooWide complains of lines that are wider than the terminal.
func tooWide(t *testing.T, text string, width int) {
	t.Helper()
	for line := range strings.Lines(text) {
		if n := textWidth(strings.TrimRight(line, "\n")); n > width {
			t.Errorf("%d columns on a screen of %d: %s", n, width, line)
		}
	}
}

// TestColourChangesNoText compares a coloured plan with a plain one.
func TestColourChangesNoText(t *testing.T) {
	var plain, coloured bytes.Buffer
	for colour, b := range map[bool]*bytes.Buffer{false: &plain, true: &coloured} {
		s := &screen{w: newWriter(b), style: tableStyle{Width: 80, Colour: colour}}
		s.plan(madeUpPlan())
		if err := s.w.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	stripped := unstyled.Replace(coloured.String())
	if stripped != plain.String() {
		t.Errorf("without its colours a plan is\n%s\nwant\n%s", stripped, plain.String())
	}
	if strings.Contains(plain.String(), "\x1b") {
		t.Errorf("a plan without colours has some:\n%q", plain.String())
	}
}

// TestSavedPlan saves plans and reads them again.
func TestSavedPlan(t *testing.T) {
	path := filepath.Join(t.TempDir(), "plan.json")
	p := madeUpPlan()
	if err := savePlan(path, p); err != nil {
		t.Fatal(err)
	}
	got, err := readPlan(path)
	if err != nil {
		t.Fatal(err)
	}
	var b [2]bytes.Buffer
	for i, p := range []*tuner.Plan{p, got} {
		if err := writeAs(&b[i], "json", p, nil); err != nil {
			t.Fatal(err)
		}
	}
	if b[0].String() != b[1].String() {
		t.Errorf("saved and read again it is\n%s\nwant\n%s", b[1].String(), b[0].String())
	}
}

func TestNoPlanIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "plan.json")
	if err := os.WriteFile(path, []byte(`{"apiVersion": "qtune.dev/v1alpha1", "kind": "Inspection"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readPlan(path); err == nil || !strings.Contains(err.Error(), path) || exitCode(err) != exitUsage {
		t.Errorf("readPlan of an inspection: %v (exit %d), want an error with %q (exit %d)", err, exitCode(err), path, exitUsage)
	}
}

// TestWishes reads values by name.
func TestWishes(t *testing.T) {
	in := &inspection.Inspection{
		Namespaces: []inspection.Namespace{{Inode: 1, Host: true}, {Inode: 2, Name: "blue"}, {Inode: 3}},
		Listeners: []inspection.Listener{
			{Netns: 1, Address: "0.0.0.0", Family: "ipv4", Port: 80},
			{Netns: 2, Address: "0.0.0.0", Family: "ipv4", Port: 80},
			{Netns: 2, Address: "::", Family: "ipv6", Port: 443},
			{Netns: 2, Address: "127.0.0.1", Family: "ipv4", Device: "lo", Port: 8084},
			{Netns: 2, Address: "::", Family: "ipv6", Device: "eth0", Port: 443},
		},
	}
	tests := []struct {
		name string
		p    planning
		want string // NETNS: WHAT=TO, or a part of the error
	}{
		{"a key is the host's", planning{Args: []string{"net.core.somaxconn=8192"}}, "1 net.core.somaxconn=8192"},
		{"or of the namespaces that were asked for", planning{Args: []string{"net.core.somaxconn=8192"}, netnsGiven: true}, "1 net.core.somaxconn=8192, 2 net.core.somaxconn=8192, 3 net.core.somaxconn=8192"},
		{"or of those where somebody listens on a port", planning{Args: []string{"net.ipv4.tcp_syncookies=1"}, Filter: filter{Port: 443}}, "2 net.ipv4.tcp_syncookies=1"},
		{"a listener says itself where", planning{Listeners: []string{"[::]:443=4096"}}, "2 [::]:443=4096"},
		{"unless two have its address", planning{Listeners: []string{"0.0.0.0:80=4096"}}, "listened on in host, blue: say which by --netns"},
		{"or none", planning{Listeners: []string{"0.0.0.0:81=4096"}}, "nobody listens on 0.0.0.0:81"},
		{"a name alone", planning{Args: []string{"net.core.somaxconn"}}, "want KEY=VALUE"},
		{"a key that is not ours", planning{Args: []string{"net.ipv4.tcp_rmem=1"}}, "sysctl(8) sets any other"},
		{"a value that is none", planning{Args: []string{"net.core.somaxconn=8k"}}, "no whole number"},
		{"a listener of one device", planning{Listeners: []string{"127.0.0.1%lo:8084=100"}}, "2 127.0.0.1%lo:8084=100"},
		{"an IPv6 one of one device", planning{Listeners: []string{"[::%eth0]:443=100"}}, "2 [::%eth0]:443=100"},
		{"a device without a name", planning{Listeners: []string{"127.0.0.1%:80=1"}}, "want ADDR:PORT=N"},
		{"a listener without a limit", planning{Listeners: []string{"0.0.0.0:80"}}, "want ADDR:PORT=N"},
		{"a listener without an address", planning{Listeners: []string{":80=1"}}, "want ADDR:PORT=N"},
		{"a negative limit", planning{Listeners: []string{"0.0.0.0:80=-1"}}, "want ADDR:PORT=N"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wishes, err := tt.p.wishes()
			if err == nil {
				wishes, err = tt.p.place(in, wishes)
			}
			if err != nil {
				if !strings.Contains(err.Error(), tt.want) || exitCode(err) != exitUsage {
					t.Errorf("%v (exit %d), want %q", err, exitCode(err), tt.want)
				}
				return
			}
			var got []string
			for _, w := range wishes {
				what := w.Listener
				if what == "" {
					what = w.Key.String()
				}
				got = append(got, fmt.Sprintf("%d %s=%d", w.Netns, what, w.To))
			}
			if text := strings.Join(got, ", "); text != tt.want {
				t.Errorf("got %s, want %s", text, tt.want)
			}
		})
	}
}
