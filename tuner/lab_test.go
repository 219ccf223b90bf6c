// SPDX-License-Identifier: Apache-2.0

package tuner

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/qtune/qtune/collector/inetdiag"
	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/test/lab"
)

func TestMain(m *testing.M) {
	for variable, life := range map[string]func(string) error{crashVariable: crashHere, limitedVariable: limitedHere} {
		if job := os.Getenv(variable); job != "" {
			if err := life(job); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			os.Exit(0)
		}
	}
	lab.Main(m)
}

const (
	somaxconn  = "net.core.somaxconn"
	synBacklog = "net.ipv4.tcp_max_syn_backlog"
	syncookies = "net.ipv4.tcp_syncookies"
)

// A box is a network namespace with one server in it.
type box struct {
	t     testing.TB
	ns    *lab.Namespace
	child *lab.Child

	witness *lab.Child // where namespaces have no cookie
}

// newBox makes a namespace whose somaxconn is 128, and in it a server that asked for
// a backlog of 64.
func newBox(t testing.TB) *box {
	t.Helper()
	b := newEmptyBox(t)
	b.ns.SetSysctl(somaxconn, "128")
	b.ns.SetSysctl(synBacklog, "256")
	b.start()
	return b
}

// newEmptyBox makes a namespace without a server.
func newEmptyBox(t testing.TB) *box {
	t.Helper()
	lab.NeedRoot(t)
	b := &box{t: t, ns: lab.NewNamespace(t)}
	if b.ns.Cookie == 0 {
		b.bearWitness()
	}
	return b
}

// start starts the server, which may be a new one.
func (b *box) start() {
	b.t.Helper()
	b.child = b.ns.Start(lab.Process{Listen: []lab.Socket{{Addr: "127.0.0.1", Port: 8080, Backlog: 64}}})
}

// restart ends the server and starts another.
func (b *box) restart() {
	b.t.Helper()
	b.child.Kill()
	b.start()
}

// bearWitness lets a process, and no cookie, tell the namespace from its successor.
func (b *box) bearWitness() {
	b.t.Helper()
	b.ns.Cookie = 0
	b.witness = b.ns.Start(lab.Process{})
}

// end ends the namespace, as far as it depends on the test.
func (b *box) end() {
	b.child.Kill()
	if b.witness != nil {
		b.witness.Kill()
	}
	b.ns.Release()
}

func (b *box) scope() Scope {
	b.t.Helper()
	if b.witness == nil {
		return Scope{Netns: b.ns.Inode, Cookie: cookieText(b.ns.Cookie), PID: b.child.PID}
	}
	live, err := host.NewLive("/")
	if err != nil {
		b.t.Fatal(err)
	}
	started, err := live.StartedTicks(b.witness.PID)
	if err != nil {
		b.t.Fatal(err)
	}
	return Scope{Netns: b.ns.Inode, PID: b.witness.PID, PIDStarted: started}
}

func cookieText(cookie uint64) string {
	if cookie == 0 {
		return ""
	}
	return fmt.Sprintf("%016x", cookie)
}

func (b *box) sysctl(key string, from, to int64) Step {
	return Step{Kind: KindSysctl, Scope: b.scope(), Key: key, From: from, To: to}
}

func (b *box) listen(from, to int64) Step {
	h := b.child.Listeners[0]
	return Step{Kind: KindListen, Scope: b.scope(), From: from, To: to, Listener: &Socket{
		Address: h.Addr, Port: h.Port, Protocol: "tcp", Inode: h.Inode, Cookie: cookieText(h.Cookie), PIDs: []int{b.child.PID},
	}}
}

// value reads a sysctl of the box.
func (b *box) value(key string) int64 {
	b.t.Helper()
	text, _ := b.ns.Sysctl(key)
	v, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		b.t.Fatal(err)
	}
	return v
}

// limit reads the limit of the server's queue.
func (b *box) limit() int64 {
	b.t.Helper()
	_, limit := b.child.Listeners[0].Queue()
	return int64(limit)
}

// live reads the value of a step of the box.
func (b *box) live(s *Step) int64 {
	b.t.Helper()
	if s.Kind == KindListen {
		return b.limit()
	}
	return b.value(s.Key)
}

// want fails the test unless the values of the steps are these.
func (b *box) want(when string, steps []Step, values ...int64) {
	b.t.Helper()
	for i := range steps {
		if got := b.live(&steps[i]); got != values[i] {
			b.t.Errorf("%s %s is %d, want %d", when, &steps[i], got, values[i])
		}
	}
}

// three are the steps most tests do.
func (b *box) three() []Step {
	return []Step{b.sysctl(somaxconn, 128, 1024), b.sysctl(synBacklog, 256, 512), b.listen(64, 1024)}
}

// testOptions keep everything of a tuner in a folder of the test.
func testOptions(t testing.TB) Options {
	t.Helper()
	dir := t.TempDir()
	return Options{Dir: dir, Lock: filepath.Join(dir, "run", "lock"), Root: "/", Log: slog.New(slog.DiscardHandler)}
}

func newTuner(t testing.TB, o Options) *Tuner {
	t.Helper()
	live, err := host.NewLive("/")
	if err != nil {
		t.Fatal(err)
	}
	return New(live, o)
}

const testBoot = "b007b007-0000-4000-8000-000000000001"

// at is a moment so long after boot.
func at(d time.Duration) Now {
	return Now{Moment: Moment{Wall: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Add(d), Boot: time.Hour + d}, BootID: testBoot}
}

func planOf(steps ...Step) *Plan {
	return &Plan{APIVersion: APIVersion, Kind: "Plan", BootID: testBoot, Steps: steps}
}

// dump returns the listeners of the box as qtune sees them.
func (b *box) dump() (all map[uint64]inetdiag.Socket) {
	b.t.Helper()
	tn := newTuner(b.t, testOptions(b.t))
	err := tn.kernel.visit(b.t.Context(), []Scope{b.scope()}, func(_ int, p place, err error) {
		if err == nil {
			all, err = dump(p.(*livePlace).in)
		}
		if err != nil {
			b.t.Errorf("list listeners: %v", err)
		}
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return all
}
