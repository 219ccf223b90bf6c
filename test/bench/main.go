// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Command bench measures qtune beside its peers: a C program that does the same
// dump with as little as it takes, ss(8), ss in each namespace by nsenter(1), and
// node_exporter. A speed is a ratio of two things measured in turn in one run;
// absolute times belong to the machine.
//
//	go run ./test/bench [-smoke] [-only NAME] [-rounds 9] [-qtune PATH] [-plots DIR] [-markdown]
//
// It needs root, gcc, ss and nsenter, and node_exporter to compare with that. It and
// what it starts see no other process of the machine, nor does qtune. Its listeners and connections live in
// network namespaces of their own. It exits 1 when a bar is missed twice: what
// is missed is measured once more by itself.
package main

import (
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"

	"github.com/qtune/qtune/test/daemon"
)

//go:embed floor.c
var floorSource []byte

// A lab is what the measurements share.
type lab struct {
	ctx    context.Context
	dir    string // temporary
	floor  string // the C program
	qtune  string
	rounds int
	smoke  bool

	markdown bool // what is printed, for docs/benchmarks.md

	costs  map[size]agentCost // of hosts that were measured in this run
	values []value            // for the charts
}

// A row is a line of the result.
type row struct {
	what, ours, peer, ratio, bar string

	missed bool
}

// noBar stands in rows that are for information.
const noBar = "-"

// A measurement makes rows that need the same fixture.
type measurement struct {
	name string
	run  func(*lab) ([]row, error)
}

var measurements = []measurement{
	{"listen-100", func(l *lab) ([]row, error) { return l.listen(100, 1.15) }},
	{"listen-1000", func(l *lab) ([]row, error) { return l.listen(1000, 1.15) }},
	{"listen-10000", func(l *lab) ([]row, error) { return l.listen(10000, 1.25) }},
	{"connections", func(l *lab) ([]row, error) { return l.connections(100000, 1.1) }},
	{"oneshot-100", func(l *lab) ([]row, error) { return l.oneshotWall(100, 3) }},
	{"oneshot-10000", func(l *lab) ([]row, error) { return l.oneshotCPU(10000, 0.6, 0.8) }},
	{"namespaces", func(l *lab) ([]row, error) { return l.namespaces(200, 5, 20) }},
	{"peers", func(l *lab) ([]row, error) { return l.peers(100, 1000, 10000) }},
	{"text-tables", (*lab).textTables},
	{"holding", func(l *lab) ([]row, error) { return l.holdingNothing(200, 10, 1.3) }},
	{"lookups", func(l *lab) ([]row, error) { return l.lookups(500, 10, 4) }},
	{"sampling", func(l *lab) ([]row, error) { return l.sampling(100, 100, 3, 2) }},
	{"watched", func(l *lab) ([]row, error) { return l.few(20, 10000, 1.0/20) }},
	{"bursts", func(l *lab) ([]row, error) { return l.bursts(500) }},
	{"node-exporter", func(l *lab) ([]row, error) { return l.besideNodeExporter(100, 100000, 30) }},
	{"agent-100", func(l *lab) ([]row, error) { return l.agent(smallHost, agentBars{percent: 0.5, mib: 32}) }},
	{"agent-1000", func(l *lab) ([]row, error) { return l.agent(wide, agentBars{2, 48, 40 * time.Millisecond}) }},
	{"agent-5000", func(l *lab) ([]row, error) { return l.agent(manyPods, agentBars{percent: 2}) }},
	{"apply", func(l *lab) ([]row, error) { return l.applying(334, 3, 100*time.Millisecond) }},
	{"growth", (*lab).growth},
}

func main() {
	runtime.LockOSThread() // /proc/self follows the main thread, which stays where it is
	if len(os.Args) > 1 && os.Args[1] == "fixture" {
		fixture(os.Args[2:])
		return
	}
	alone, code, err := daemon.Alone()
	if alone && err == nil {
		err = bench(os.Args[1:], os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		code = 1
	}
	os.Exit(code)
}

func bench(args []string, out io.Writer) error {
	f := flag.NewFlagSet("bench", flag.ExitOnError)
	smoke := f.Bool("smoke", false, "small and quick: proves that the bench works, no bar can be missed")
	only := f.String("only", "", "only the measurement of this name, or those that begin so: "+names(measurements))
	rounds := f.Int("rounds", 9, "how often each pair is measured in turn")
	plots := f.String("plots", "", "a folder for pictures of what was measured, docs/images")
	markdown := f.Bool("markdown", false, "print the table as docs/benchmarks.md has it")
	binary := f.String("qtune", "", "the qtune to measure; built when not given")
	if err := f.Parse(args); err != nil {
		return err
	}
	chosen := choose(*only)
	if len(chosen) == 0 {
		return fmt.Errorf("-only %s: there are %s", *only, names(measurements))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM, unix.SIGPIPE)
	defer stop()
	l, err := newLab(ctx, *binary)
	if err != nil {
		return err
	}
	defer os.RemoveAll(l.dir) //nolint:errcheck // nothing to be done about it
	l.smoke, l.rounds, l.markdown = *smoke, max(*rounds, 1), *markdown
	if l.smoke {
		l.rounds = 2
	}
	fmt.Fprintln(out, l.machine())
	missed, err := l.runAll(chosen, out)
	if *plots != "" && err == nil {
		err = l.plot(*plots)
	}
	if err != nil || len(missed) == 0 || l.smoke {
		return err
	}
	fmt.Fprintf(out, "\nOnce more by itself: %s\n", names(missed))
	missed, err = l.runAll(missed, out)
	if err == nil && len(missed) > 0 {
		err = fmt.Errorf("missed twice: %s", names(missed))
	}
	return err
}

// choose returns the measurement of that name, else those that begin so.
func choose(prefix string) (chosen []measurement) {
	for _, m := range measurements {
		if m.name == prefix {
			return []measurement{m}
		}
		if strings.HasPrefix(m.name, prefix) {
			chosen = append(chosen, m)
		}
	}
	return chosen
}

func names(all []measurement) string {
	var s []string
	for _, m := range all {
		s = append(s, m.name)
	}
	return strings.Join(s, ", ")
}

// newLab checks what is needed and builds the two programs.
func newLab(ctx context.Context, binary string) (*lab, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("needs root, for network namespaces of its own")
	}
	for tool, why := range map[string]string{
		"gcc": "compiles the C floor (apt install gcc libc6-dev)", "ss": "is a peer (apt install iproute2)",
		"nsenter": "takes ss into namespaces (apt install util-linux)",
	} {
		if _, err := exec.LookPath(tool); err != nil {
			return nil, fmt.Errorf("%s is missing: it %s", tool, why)
		}
	}
	dir, err := os.MkdirTemp("", "qtune-bench-")
	if err != nil {
		return nil, err
	}
	l := &lab{ctx: ctx, dir: dir, floor: filepath.Join(dir, "floor"), qtune: binary, costs: map[size]agentCost{}}
	if err := l.build(); err != nil {
		os.RemoveAll(dir) //nolint:errcheck // the other error says more
		return nil, err
	}
	return l, nil
}

func (l *lab) build() error {
	source := l.floor + ".c"
	if err := os.WriteFile(source, floorSource, 0o600); err != nil {
		return err
	}
	if out, err := exec.CommandContext(l.ctx, "gcc", "-O2", "-Wall", "-o", l.floor, source).CombinedOutput(); err != nil {
		return fmt.Errorf("gcc floor.c: %w\n%s", err, out)
	}
	if l.qtune != "" {
		return nil
	}
	l.qtune = filepath.Join(l.dir, "qtune")
	cmd := exec.CommandContext(l.ctx, "go", "build", "-trimpath", "-buildvcs=false", "-o", l.qtune, "github.com/qtune/qtune/cmd/qtune")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build ./cmd/qtune: %w\n%s", err, out)
	}
	return nil
}

// machine says where the absolute times come from.
func (l *lab) machine() string {
	var u unix.Utsname
	unix.Uname(&u) //nolint:errcheck // it cannot fail
	load, _ := os.ReadFile("/proc/loadavg")
	return fmt.Sprintf("Linux %s, %d CPUs, %s, load %.14s, %d rounds",
		unix.ByteSliceToString(u.Release[:]), runtime.NumCPU(), runtime.Version(), load, l.rounds)
}

// runAll prints the rows of each measurement and returns those with a miss.
func (l *lab) runAll(all []measurement, out io.Writer) (missed []measurement, err error) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	head, line := "\nWHAT\tQTUNE\tPEER\tRATIO\tBAR\t\n", "%s\t%s\t%s\t%s\t%s\t%s\n"
	if l.markdown {
		head, line = "\n| what | qtune | peer | ratio | bar | |\n|---|---|---|---|---|---|\n", "| %s | %s | %s | %s | %s | %s |\n"
	}
	fmt.Fprint(w, head)
	for _, m := range all {
		rows, err := m.run(l)
		if err != nil {
			return nil, errors.Join(w.Flush(), fmt.Errorf("%s: %w", m.name, err))
		}
		miss := false
		for _, r := range rows {
			fmt.Fprintf(w, line, r.what, r.ours, r.peer, r.ratio, r.bar, l.verdict(r))
			miss = miss || r.missed
		}
		if miss {
			missed = append(missed, m)
		}
	}
	return missed, w.Flush()
}

func (l *lab) verdict(r row) string {
	switch {
	case r.bar == noBar:
		return ""
	case l.smoke: // too short to judge
		return "ran"
	case r.missed:
		return "MISSED"
	}
	return "ok"
}
