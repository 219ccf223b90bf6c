// SPDX-License-Identifier: Apache-2.0

//go:build linux

package agent

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/policy"
	"github.com/qtune/qtune/tcpq"
	"github.com/qtune/qtune/tuner"
)

// A world is a host that lives in virtual time, slot by slot. Its numbers go through
// the real window, advisor and inspection; only kernel and tuner are models.
type world struct {
	t       testing.TB
	now     time.Duration // since boot
	pace    time.Duration // of a slot
	servers []*server
	cookies uint64

	course   course
	enforcer *enforcer
	policy   policy.Policy
	memory   host.Memory

	journal []*tuner.Transaction // the newest first
	begins  []time.Duration      // of the transactions
	down    error                // what every change ends with, when not nil
	busy    int                  // how many rollbacks find the lock held by another
	lost    bool                 // and it is done, but nobody hears of it
	silent  error                // what the journal is answered with, when not nil
}

// A server has a namespace of its own with one listener in it.
type server struct {
	inode, cookie uint64
	comm          string
	asks          uint32 // backlog
	limit         uint32
	somaxconn     int64
	idle          uint64 // cookie of another listener in its namespace, 0 for none

	// behaves says what happens in a slot that begins at this time.
	behaves func(s *server, now time.Duration) slotLoad

	counters tcpq.Counters
	length   uint32 // of the queue, at the end of the slot
	peak     uint32
	emptied  bool
	full     bool
	discards uint32
	otherQ   uint32 // longest queue of the idle one
}

// A slotLoad is what happens in a slot.
type slotLoad struct {
	calm  uint64 // connections that come one by one
	burst uint32 // and at once
	stays uint32 // of them, those that still wait at its end
	scan  uint32 // packets that are discarded and harmless
	flood uint64 // SYNs that get a cookie and do not answer
	other uint32 // burst at the other listener of the namespace
}

// newWorld returns a world whose slots are as long as those of an agent.
func newWorld(t testing.TB) *world { return newWorldAt(t, stepsPerSlot*DefaultStep) }

func newWorldAt(t testing.TB, pace time.Duration) *world {
	w := &world{t: t, now: time.Hour, pace: pace, policy: policy.Default()}
	w.policy.Mode, w.policy.Name, w.policy.Hash = policy.Enforce, "test", "0123456789ab"
	w.restartAgent()
	return w
}

// restartAgent starts an agent that knows what the journal knows.
func (w *world) restartAgent() {
	o := &Options{Step: w.pace / stepsPerSlot, CPUShare: 1e6, Log: slog.New(slog.DiscardHandler), Enforce: &Enforcement{Tuner: w}}
	w.course = course{slot: w.pace}
	do := func(name string, period time.Duration) activity {
		return activity{name: name, period: period, share: o.CPUShare}
	}
	w.enforcer = newEnforcer(o, do, w.Now, func() (host.Memory, error) { return w.memory, nil })
	w.enforcer.loop.plan = w.planned
	w.enforcer.start(w.t.Context())
}

// serve adds a server.
func (w *world) serve(behaves func(s *server, now time.Duration) slotLoad) *server {
	s := &server{inode: uint64(4026532000 + len(w.servers)), comm: "server" + strconv.Itoa(len(w.servers)), asks: 128, somaxconn: 4096, behaves: behaves}
	w.servers = append(w.servers, s)
	w.restart(s)
	return s
}

// restart has a server listen anew.
func (w *world) restart(s *server) {
	w.cookies++
	s.cookie, s.limit = w.cookies, uint32(min(int64(s.asks), s.somaxconn))
	s.length, s.discards = 0, 0
}

// run lets time pass.
func (w *world) run(d time.Duration) {
	for end := w.now + d; w.now < end; {
		w.slot()
	}
}

// until lets time pass until something is so, for a while at most.
func (w *world) until(most time.Duration, what string, is func() bool) {
	w.t.Helper()
	for end := w.now + most; !is(); {
		if w.now >= end {
			w.t.Fatalf("%s: not within %v; the last decisions:\n%s", what, most, w.story(5))
		}
		w.slot()
	}
}

func (w *world) slot() {
	for _, s := range w.servers {
		s.live(w.now)
	}
	w.now += w.pace
	s, samples := w.snapshot()
	delta := w.course.add(s, samples)
	win := w.course.window
	in := inspection.From(s, &win, judge(s, &win, &w.policy))
	w.enforcer.step(w.t.Context(), s.Time, delta, &look{in: in, snapshot: s, window: &win, policy: &w.policy, sysctlsRead: true})
}

// live lets a slot happen: the queue holds limit + 1, whoever is refused asks three
// times more.
func (s *server) live(now time.Duration) {
	load := s.behaves(s, now)
	count := func(c tcpq.Counter, n uint64) { s.counters.Set(c, s.counters.Value(c)+n) }
	room := s.limit + 1 - min(s.length, s.limit+1)
	enter := min(load.burst, room)
	refused := load.burst - enter
	s.peak, s.full = s.length+enter, s.length+enter > s.limit
	s.length = min(s.length+enter, load.stays)
	s.emptied = s.length == 0
	count(tcpq.PassiveOpens, load.calm+uint64(enter))
	if s.length == 0 {
		count(tcpq.PassiveOpens, uint64(refused)) // at last
	}
	count(tcpq.ListenOverflows, 3*uint64(refused))
	count(tcpq.ListenDrops, 3*uint64(refused))
	s.discards += 3*refused + load.scan
	count(tcpq.TCPReqQFullDoCookies, load.flood)
	count(tcpq.SyncookiesSent, load.flood)
	count(tcpq.PassiveOpens, uint64(load.other))
	s.otherQ = load.other
}

func (w *world) snapshot() (*tcpq.Snapshot, map[tcpq.ListenerID]tcpq.Sample) {
	kernel, err := tcpq.ParseVersion("6.18.0", "")
	if err != nil {
		w.t.Fatal(err)
	}
	out := &tcpq.Snapshot{Time: time.Unix(0, 0).Add(w.now), Hostname: "world", Kernel: kernel}
	samples := map[tcpq.ListenerID]tcpq.Sample{}
	for i, s := range w.servers {
		n := tcpq.Namespace{ID: tcpq.NetnsID{Inode: s.inode, Cookie: s.inode}, PID: 1000 + i, Listed: true, Counters: s.counters}
		n.Sysctls.Set(tcpq.Somaxconn, s.somaxconn)
		n.Sysctls.Set(tcpq.TCPSyncookies, 1)
		n.Sysctls.Set(tcpq.TCPMaxSynBacklog, 2048)
		owner := &tcpq.Owner{PIDs: []int{int(s.cookie)}, Comm: s.comm}
		n.Listeners = []tcpq.Listener{{
			Addr: netip.MustParseAddr("0.0.0.0"), Port: 80, Cookie: s.cookie, Inode: uint32(s.cookie), Owner: owner,
			Accept: tcpq.Queue{Len: s.length, Max: s.limit}, Discards: s.discards, DiscardsKnown: true,
		}}
		samples[tcpq.ListenerID{Netns: n.ID, Cookie: s.cookie}] = tcpq.Sample{Peak: s.peak, Full: s.full, Emptied: s.emptied}
		if s.idle != 0 {
			n.Listeners = append(n.Listeners, tcpq.Listener{
				Addr: netip.MustParseAddr("0.0.0.0"), Port: 81, Cookie: s.idle, Inode: uint32(s.idle), Owner: owner,
				Accept: tcpq.Queue{Max: 128}, DiscardsKnown: true,
			})
			samples[tcpq.ListenerID{Netns: n.ID, Cookie: s.idle}] = tcpq.Sample{Peak: s.otherQ}
		}
		out.Namespaces = append(out.Namespaces, n)
	}
	return out, samples
}

// planned is a planner without rails of its own.
func (w *world) planned(in *inspection.Inspection, _ *policy.Policy) *tuner.Plan {
	p := &tuner.Plan{}
	for _, f := range in.Findings {
		s := w.at(f.Netns)
		if f.Limit == 0 || f.Listener == nil {
			continue
		}
		scope := tuner.Scope{Netns: s.inode, Cookie: strconv.FormatUint(s.inode, 16)}
		if s.somaxconn < f.Limit {
			p.Steps = append(p.Steps, tuner.Step{Kind: tuner.KindSysctl, Scope: scope, Key: "net.core.somaxconn", From: s.somaxconn, To: f.Limit})
		}
		i := slices.IndexFunc(in.Listeners, func(l inspection.Listener) bool { return l.Cookie == f.Listener.Cookie })
		from := int64(in.Listeners[i].AcceptQueue.Limit)
		p.Steps = append(p.Steps, tuner.Step{Kind: tuner.KindListen, Scope: scope, From: from, To: f.Limit, Listener: &tuner.Socket{
			Address: f.Listener.Address, Port: f.Listener.Port, Cookie: f.Listener.Cookie, Comm: s.comm,
		}})
	}
	return p
}

func (w *world) at(netns uint64) *server {
	for _, s := range w.servers {
		if s.inode == netns {
			return s
		}
	}
	w.t.Fatalf("no server in %d", netns)
	return nil
}

// outcomes returns the states of all transactions, the oldest first.
func (w *world) outcomes() (all []tuner.State) {
	for _, tx := range slices.Backward(w.journal) {
		all = append(all, tx.State)
	}
	return all
}

// story returns the last decisions in words.
func (w *world) story(n int) (text string) {
	for _, d := range slices.Backward(w.enforcer.loop.register.last(n)) {
		text += fmt.Sprintf("at %v\n%s\n", d.Time.Sub(time.Unix(0, 0)), d.Text())
	}
	return text
}

// decided reports whether a decision with this action and rail was registered.
func (w *world) decided(action, rail string) bool {
	return slices.ContainsFunc(w.enforcer.loop.register.last(decisionsMost), func(d inspection.Decision) bool { return d.Action == action && d.Rail == rail })
}

var errDown = errors.New("the disk is full")
