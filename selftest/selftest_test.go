// SPDX-License-Identifier: Apache-2.0

//go:build linux

package selftest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/tcpq"
)

// holdArg makes this test binary a process that holds a listener.
const holdArg = "hold"

func TestMain(m *testing.M) {
	runtime.LockOSThread() // no thread of a lab is ever the main one
	if len(os.Args) == 2 && os.Args[1] == holdArg {
		if err := Hold(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// tryRules tries rules on the running kernel.
func tryRules(ctx context.Context, t *testing.T, o Options) ([]Result, error) {
	t.Helper()
	live, err := host.NewLive("/")
	if err != nil {
		t.Fatal(err)
	}
	o.Holder = []string{"/proc/self/exe", holdArg}
	results, err := Run(ctx, live, o)
	if errors.Is(err, host.ErrPermission) {
		t.Skip("needs root: ", err)
	}
	return results, err
}

func mustTry(t *testing.T, o Options) []Result {
	t.Helper()
	results, err := tryRules(t.Context(), t, o)
	if err != nil {
		t.Fatal(err)
	}
	return results
}

func TestKernelSelftest(t *testing.T) {
	results := mustTry(t, Options{})
	for _, r := range results {
		switch r.Outcome {
		case Pass:
		case Skipped:
			t.Logf("%s %s: skipped: %s", r.Rule, r.Case, r.Why)
		default:
			t.Errorf("%s: %s: %s {name predicted observed} %v %s", r.Rule, r.Case, r.Outcome, r.Facts, r.Why)
		}
	}
	for i := range experiments {
		e := &experiments[i]
		named := func(r Result) bool { return r.Rule == e.about().ID && r.Case == e.example }
		tried := func(r Result) bool { return r.Rule == e.about().ID && r.Outcome == Pass }
		if e.example != "" && slices.ContainsFunc(results, tried) && !slices.ContainsFunc(results, named) {
			t.Errorf("%s has no case %q", e.about().ID, e.example)
		}
	}
}

// TestKernelSelftestFindsWrongRules predicts what other kernels would do.
func TestKernelSelftestFindsWrongRules(t *testing.T) {
	live, err := host.NewLive("/")
	if err != nil {
		t.Fatal(err)
	}
	info, err := live.Info()
	if err != nil {
		t.Fatal(err)
	}
	running := info.Kernel
	other := tcpq.SynFullAbove
	if running.Has(tcpq.SynFullAboveLimit) {
		other = tcpq.SynFullAt
	}
	otherTest := running
	otherTest.SynFull = other
	for _, tt := range []struct {
		name   string
		kernel tcpq.Version
		rule   tcpq.Rule
		wrong  string // a fact
	}{
		{"the other test of a full SYN queue", otherTest, tcpq.SynFullAboveLimit, "SYN queue"},
		{"a kernel of a smaller somaxconn", tcpq.Version{Major: 5, Minor: 3}, tcpq.SomaxconnDefault4096, "net.core.somaxconn"},
		{"a kernel that proves no peer", tcpq.Version{Major: 4, Minor: 11}, tcpq.ProvenPeersPass, "accept queue"},
		{"a kernel that counts a drop once", tcpq.Version{Major: 4, Minor: 6}, tcpq.DropCountsTwice, "sk_drops"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			results := mustTry(t, Options{Kernel: &tt.kernel, Only: []string{tt.rule.String()}, Patience: time.Millisecond})
			report := NewReport("x", results)
			if report.Holds() || len(report.Rules) != 1 || report.Rules[0].Outcome != Mismatch {
				t.Fatalf("report = %+v, want one mismatch", report)
			}
			wrong := report.Rules[0].Example().Wrong()
			if !slices.ContainsFunc(wrong, func(f Fact) bool { return f.Name == tt.wrong }) {
				t.Errorf("wrong facts = %v, want %s among them", wrong, tt.wrong)
			}
		})
	}
}

// TestKernelSelftestLeavesNothing compares this process and the host before and
// after, of a run that ends and of one that is interrupted in its midst.
func TestKernelSelftestLeavesNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	interrupt := func(doing string, _, _ int) {
		if strings.HasSuffix(doing, tcpq.ThreeQuarters.String()) {
			cancel()
		}
	}
	// The threads of labs end a little later than the labs, those of the tests
	// before this one, too.
	const patience = 10 * time.Second
	var before string
	if !within(patience, func() bool { before = traces(t); return !strings.Contains(before, "a thread in") }) {
		t.Fatalf("before it begins: %s", before)
	}
	mustTry(t, Options{Only: []string{"resize-from-outside", tcpq.RelistenSetsLimit.String()}})
	if _, err := tryRules(ctx, t, Options{Progress: interrupt}); !errors.Is(err, context.Canceled) {
		t.Errorf("Run = %v, want %v", err, context.Canceled)
	}
	var after string
	if !within(patience, func() bool { after = traces(t); return after == before }) {
		t.Fatalf("before: %s\nafter: %s", before, after)
	}
}

// within polls until ok says yes or the time is over, and reports which.
func within(d time.Duration, ok func() bool) bool {
	deadline := time.Now().Add(d)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(deadline) {
			return false
		}
		<-tick.C
	}
	return true
}

// traces says what a selftest could leave: descriptors, children, threads in other
// namespaces, changed sysctls.
func traces(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(&b, "%d descriptors;", len(fds))
	own, _ := os.Readlink("/proc/self/ns/net") // compared below
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		dir := "/proc/self/task/" + task.Name()
		if ns, err := os.Readlink(dir + "/ns/net"); err == nil && ns != own {
			fmt.Fprintf(&b, " a thread in %s;", ns)
		}
		children, _ := os.ReadFile(dir + "/children") // absent without CONFIG_PROC_CHILDREN
		b.Write(children)
	}
	for s := range tcpq.Sysctl(tcpq.NumSysctls) {
		value, _ := os.ReadFile("/proc/sys/" + strings.ReplaceAll(s.Info().Name, ".", "/")) // some kernels lack some
		fmt.Fprintf(&b, " %s %s", s, value)
	}
	return b.String()
}

func TestOnlyKnownRules(t *testing.T) {
	if _, err := choose([]string{"three-quarters", "four-quarters"}); !errors.Is(err, ErrUnknownRule) {
		t.Errorf("choose = %v, want %v", err, ErrUnknownRule)
	}
	chosen, err := choose([]string{"three-quarters"})
	if err != nil || len(chosen) != 1 || chosen[0].rule != tcpq.ThreeQuarters {
		t.Errorf("choose(three-quarters) = %v, %v", chosen, err)
	}
}

// TestEveryRuleHasAnExperiment walks both tables.
func TestEveryRuleHasAnExperiment(t *testing.T) {
	seen := map[string]bool{}
	for i := range experiments {
		e := &experiments[i]
		about := e.about()
		if seen[about.ID] {
			t.Errorf("%s is tried twice", about.ID)
		}
		seen[about.ID] = true
		if about.ID == "" || about.Says == "" || about.Range == "" || !strings.HasSuffix(about.Says, ".") {
			t.Errorf("%+v lacks a name or a sentence", about)
		}
		if (e.run == nil) == (e.notTried == "") {
			t.Errorf("%s: either it is tried or there is a reason", about.ID)
		}
	}
	for rule := range tcpq.Rule(tcpq.NumRules) {
		if !seen[rule.String()] {
			t.Errorf("%s of tcpq has no row in experiments: try it, or say why not", rule)
		}
	}
}

// TestUnknownRule proves that a rule which does not exist is refused before
// anything is tried: here nothing may be.
func TestUnknownRule(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := tryRules(ctx, t, Options{Only: []string{"no-such-rule"}}); !errors.Is(err, ErrUnknownRule) {
		t.Errorf("Run(no-such-rule) = %v, want %v", err, ErrUnknownRule)
	}
}
