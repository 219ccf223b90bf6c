// SPDX-License-Identifier: Apache-2.0

//go:build linux && e2e

package e2e

import (
	"context"
	"log/slog"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/qtune/qtune/agent"
	"github.com/qtune/qtune/collector"
	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/policy"
	"github.com/qtune/qtune/test/lab"
	"github.com/qtune/qtune/tuner"
)

// A town is a namespace that a policy can name, with a server and a load that may be
// changed while it goes on.
type town struct {
	t      *testing.T
	ns     *lab.Namespace
	name   string
	socket lab.Socket
	child  *lab.Child
	server *lab.Held
	load   atomic.Pointer[func()]
}

// newTown starts a server in a namespace of its own.
func newTown(t *testing.T, name string, s lab.Socket) *town {
	t.Helper()
	w := &town{t: t, ns: lab.NewNamespace(t), name: name, socket: s}
	w.ns.Mount(filepath.Join(t.TempDir(), name))
	w.open()
	return w
}

// open starts the server, which is as slow as it is told to be and not as slow as
// this machine is.
func (w *town) open() {
	w.t.Helper()
	w.child = w.ns.Start(lab.Process{Listen: []lab.Socket{w.socket}, Plain: true})
	w.child.Hurry()
	w.server = w.child.Listeners[0]
}

// limit returns the limit that the kernel has for the server now.
func (w *town) limit() uint32 {
	w.t.Helper()
	_, limit := w.server.Queue()
	return limit
}

// busy has the load happen again and again until the test ends.
func (w *town) busy(period time.Duration, load func()) {
	w.load.Store(&load)
	again(w.t, w.ns, period, func() { (*w.load.Load())() })
}

// again does something in a namespace once in a period until the test ends.
func again(t *testing.T, ns *lab.Namespace, period time.Duration, do func()) {
	stop, gone := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(stop); <-gone })
	go func() {
		defer close(gone)
		ns.Do(func() {
			tick := time.NewTicker(period)
			defer tick.Stop()
			for {
				select {
				case <-stop:
					return
				case <-tick.C:
					do()
				}
			}
		})
	}()
}

// comes returns a load of so many clients at once.
func (w *town) comes(count int) func() {
	c := lab.NewClients(w.t, w.server.AddrPort(), 1000)
	return func() { c.Come(count) }
}

// The steps of an agent of these tests follow each other 125 times faster than
// usual, so its window has 4.8 seconds, and all its times but the policy's, too.
const (
	loopStep   = 40 * time.Millisecond
	loopWindow = 120 * loopStep
	loopTrial  = loopWindow
)

// An enforcing is an agent of this process in mode enforce.
type enforcing struct {
	t       *testing.T
	agent   *agent.Agent
	journal *tuner.Tuner
	towns   []*town
	end     func() // as SIGTERM does
}

// enforce starts an agent that may change these namespaces only.
func enforce(t *testing.T, adjust func(*policy.Policy), towns ...*town) *enforcing {
	t.Helper()
	return enforceBy(t, func(_ *host.Live, t *tuner.Tuner, _ policy.Policy) agent.Effects { return t }, adjust, towns...)
}

// enforceBy is enforce through something between the agent and the tuner.
func enforceBy(t *testing.T, by func(*host.Live, *tuner.Tuner, policy.Policy) agent.Effects, adjust func(*policy.Policy), towns ...*town) *enforcing {
	t.Helper()
	live, err := host.NewLive("/")
	if err != nil {
		t.Fatal(err)
	}
	p := policy.Default()
	p.Name, p.Hash, p.Mode = "test", "0123456789ab", policy.Enforce
	for _, w := range towns {
		p.Namespaces = append(p.Namespaces, w.name)
	}
	p.LiveResize.Namespaces = p.Namespaces
	p.Trial = policy.Trial{Duration: loopTrial, Max: 2 * loopTrial}
	if adjust != nil {
		adjust(&p)
	}
	dir := t.TempDir()
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	e := &enforcing{t: t, towns: towns, journal: tuner.New(live, tuner.Options{Dir: filepath.Join(dir, "journal"), Lock: filepath.Join(dir, "lock"), Root: "/", Log: log})}
	e.agent = agent.New(live, agent.Options{
		Version: "test", Mode: policy.Enforce, Step: loopStep, MaxSampleHz: 50, CPUShare: 0.5, PeakWindow: time.Minute, Syn: collector.SynAuto,
		Policy: p, Log: log, Enforce: &agent.Enforcement{Tuner: by(live, e.journal, p)}, Publish: func(*inspection.Inspection, time.Duration) {},
	})
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- e.agent.Run(ctx) }()
	e.end = func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the agent ended: %v", err)
		}
		ended <- nil
	}
	t.Cleanup(e.end)
	return e
}

// history returns the transactions, the newest first.
func (e *enforcing) history() []*tuner.Transaction {
	e.t.Helper()
	all, err := e.journal.History(e.t.Context())
	if err != nil {
		e.t.Fatal(err)
	}
	return all
}

// until waits until something is so, for some windows at most; on a busy machine these
// are longer than they should be.
func (e *enforcing) until(windows int, what string, is func() bool) {
	e.t.Helper()
	const busy = 4
	if !lab.Within(busy*time.Duration(windows)*loopWindow, is) {
		e.t.Fatalf("not within %d windows: %s; the last decisions:\n%s", windows, what, e.story())
	}
}

// story returns the last decisions about each town in words.
func (e *enforcing) story() (text string) {
	told := map[uint64]int{}
	for _, d := range e.agent.Decisions("") {
		if told[d.Netns]++; told[d.Netns] <= 3 && slices.ContainsFunc(e.towns, func(w *town) bool { return w.ns.Inode == d.Netns }) {
			text = d.Text() + "\n" + text
		}
	}
	return text
}

// onTrial waits until another change is on trial than was before, and returns it.
func (e *enforcing) onTrial(before int) *tuner.Transaction {
	e.t.Helper()
	e.until(6, "a change on trial", func() bool {
		all := e.history()
		return len(all) > before && (all[0].State == tuner.Applied || !all[0].State.Open())
	})
	return e.history()[0]
}

// ended waits until the newest transaction is decided, and checks how.
func (e *enforcing) ended(state tuner.State, outcome string) {
	e.t.Helper()
	e.until(4, "the end of the trial", func() bool { return !e.history()[0].State.Open() })
	tx := e.history()[0]
	told := func() bool {
		all := e.agent.Decisions(tx.ID)
		return len(all) > 0 && (all[0].Rail == outcome || all[0].Action == outcome)
	}
	if !lab.Within(loopWindow, told) || tx.State != state {
		e.t.Errorf("%s (%s), want %s, %s:\n%s", tx.State, tx.Reason, state, outcome, e.story())
	}
}

// decided reports whether there was a decision like this about a listener of a town.
func (e *enforcing) decided(w *town, verdict, action string) bool {
	return slices.ContainsFunc(e.agent.Decisions(""), func(d inspection.Decision) bool {
		return d.Netns == w.ns.Inode && d.Verdict == verdict && d.Action == action
	})
}
