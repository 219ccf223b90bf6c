// SPDX-License-Identifier: Apache-2.0

package tuner

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/qtune/qtune/advisor"
	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/policy"
	"github.com/qtune/qtune/tcpq"
)

// pick returns one of some values.
func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// randomWorld is any host: listeners that overflow, are slow, belong to groups, to
// excluded programs or to nobody, in namespaces old and young, under any policy.
func randomWorld(r *rand.Rand) *world {
	w := newWorld()
	w.in.Namespaces = append(w.in.Namespaces, inspection.Namespace{Inode: 4026532300, Cookie: "0000000000000009"})
	for i := range w.in.Namespaces {
		w.in.Namespaces[i].Sysctls = settings(pick[int64](r, 0, 64, 128, 4096, 4096, 20000, 65535), pick[int64](r, -5, 128, 2048), pick[int64](r, 0, 1, 1, 2, 255))
		if r.IntN(20) == 0 {
			delete(w.in.Namespaces[i].Sysctls, "net.core.somaxconn")
		}
		w.in.Namespaces[i].Moved = map[string]uint64{"PassiveOpens": pick[uint64](r, 0, 10, 100000)}
		if r.IntN(4) == 0 {
			w.Ages = map[uint64]time.Duration{w.in.Namespaces[i].Inode: time.Duration(r.IntN(120)) * time.Second}
		}
	}
	for range r.IntN(8) {
		n := pick(r, w.in.Namespaces...)
		l := w.listen(n.Inode, pick(r, "0.0.0.0", "127.0.0.1"), pick[uint16](r, 80, 81), pick[uint32](r, 0, 8, 128, 128, 4096, 8192), pick(r, "nginx", "envoy", "haproxy", "kubelet"))
		peak := pick[uint32](r, 0, 100)
		l.AcceptQueue.Peak = &peak
		if int64(l.AcceptQueue.Limit) == n.Sysctls["net.core.somaxconn"] {
			l.LimitBoundBy = "somaxconn"
		}
		if r.IntN(8) == 0 {
			l.Owner = nil
		}
	}
	codes := []advisor.Code{
		advisor.AcceptQueueOverflow, advisor.AcceptQueueOverflow, advisor.AcceptQueueNearLimit, advisor.CookieZombies, advisor.BacklogZero,
		advisor.SynQueueFull, advisor.SynFloodSuspected, advisor.ApplicationSlow, advisor.ReuseportImbalance, advisor.SyncookiesAlways,
	}
	for range r.IntN(5) {
		f := w.find(pick(r, codes...), &w.in.Listeners[r.IntN(len(w.in.Listeners))], pick[int64](r, 0, 128, 1024, 4096, 16384, 65535))
		f.Changes = []inspection.Change{{Netns: f.Netns, Key: "net.ipv4.tcp_syncookies", From: 2, To: 1}}
	}
	w.Person, w.LiveResize, w.AllowDecrease = r.IntN(2) == 0, r.IntN(3) > 0, r.IntN(3) == 0
	w.Policy.Scopes = []string{policy.ScopeHost, policy.ScopePod}
	w.Policy.LiveResize.Namespaces = pick(r, nil, []string{"host", "pod:shop/*"})
	w.Policy.Baseline = pick[int64](r, 0, 1024, 16384)
	w.Memory.TCPUsed = pick[uint64](r, 100, 200000)
	w.Memory.TCPPages[1] = pick[uint64](r, 1, 250000, 1<<24)
	return w
}

func randomWishes(r *rand.Rand, w *world) []Wish {
	var all []Wish
	for range r.IntN(4) {
		wish := Wish{Netns: pick(r, w.in.Namespaces...).Inode, To: pick[int64](r, 0, 1, 2, 64, 128, 1024, 4096, 8192, 70000)}
		if r.IntN(2) == 0 {
			l := pick(r, w.in.Listeners...)
			wish.Netns, wish.Listener = l.Netns, l.Name()
		} else {
			wish.Key = pick(r, Settable()...)
		}
		all = append(all, wish)
	}
	return all
}

// plans are the ways to make a plan.
var plans = map[string]func(*world, []Wish) *Plan{
	"Advised":  func(w *world, _ []Wish) *Plan { return w.Advised() },
	"Wished":   func(w *world, wishes []Wish) *Plan { return w.Wished(wishes) },
	"Baseline": func(w *world, _ []Wish) *Plan { return w.Baseline() },
}

// apply changes the inspection as a plan changes the kernel.
func (w *world) apply(p *Plan) {
	for _, s := range p.Steps {
		for i := range w.in.Namespaces {
			if n := &w.in.Namespaces[i]; s.Kind == KindSysctl && n.Inode == s.Scope.Netns {
				n.Sysctls[s.Key] = s.To
			}
		}
		for i := range w.in.Listeners {
			if l := &w.in.Listeners[i]; s.Kind == KindListen && l.Cookie == s.Listener.Cookie {
				l.AcceptQueue.Limit = uint32(s.To)
			}
		}
	}
}

// TestAnyPlan makes plans for any host and proves of each what must never happen.
func TestAnyPlan(t *testing.T) {
	steps, refusals := 0, 0
	for seed := range uint64(4000) {
		r := rand.New(rand.NewPCG(seed, 1))
		w := randomWorld(r)
		wishes := randomWishes(r, w)
		for name, plan := range plans {
			p := plan(w, wishes)
			steps += len(p.Steps)
			refusals += len(p.Refusals)
			for _, wrong := range w.wrong(p) {
				t.Errorf("seed %d: %s: %s:\n%s", seed, name, wrong, summary(p))
			}
			if again := plan(w, wishes); !reflect.DeepEqual(p, again) {
				t.Errorf("seed %d: %s gives another plan when it is asked again:\n%s\n%s", seed, name, summary(p), summary(again))
			}
		}
		// And once more, from what the kernel has then.
		for name, plan := range plans {
			p := plan(w, wishes)
			w.apply(p)
			again := plan(w, wishes)
			// What a plan left out for its own size, the next one has room for.
			larger := slices.ContainsFunc(p.Refusals, func(r Refusal) bool { return r.Rail == "step" || strings.HasSuffix(r.Rail, "-memory") })
			if !again.Empty() && !larger {
				t.Errorf("seed %d: %s after it was applied:\n%s\nat first:\n%s", seed, name, summary(again), summary(p))
			}
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("%d steps, %d refusals", steps, refusals)
	if steps < 1000 || refusals < 1000 {
		t.Errorf("%d steps and %d refusals: too few to prove anything", steps, refusals)
	}
}

// wrong says what no plan may have.
func (w *world) wrong(p *Plan) (all []string) {
	say := func(s *Step, format string, args ...any) {
		all = append(all, fmt.Sprintf("%s %s%v %d to %d: ", s.Kind, s.Key, s.Listener, s.From, s.To)+fmt.Sprintf(format, args...))
	}
	somaxconn := map[uint64]int64{}
	for _, n := range w.in.Namespaces {
		somaxconn[n.Inode] = n.Sysctls["net.core.somaxconn"]
	}
	limits := map[string]map[int64]bool{}
	resized := map[string]int{}
	for i := range p.Steps {
		s := &p.Steps[i]
		if s.To < s.From && !(w.AllowDecrease && w.Person) {
			say(s, "a value is lowered")
		}
		switch {
		case s.Kind == KindListen:
			var l *inspection.Listener
			for i := range w.in.Listeners {
				if w.in.Listeners[i].Cookie == s.Listener.Cookie {
					l = &w.in.Listeners[i]
				}
			}
			if l.Owner == nil || w.Policy.Excluded(l.Owner.Comm) {
				say(s, "a listener of nobody, or of an excluded program, is resized")
			}
			if !w.Person && len(w.Policy.LiveResize.Namespaces) == 0 {
				say(s, "the loop resizes without the policy's leave")
			}
			if s.To > somaxconn[s.Scope.Netns] {
				say(s, "somaxconn, %d, would cut it down", somaxconn[s.Scope.Netns])
			}
			if s.To > w.Policy.Backlog.Max {
				say(s, "beyond the bounds")
			}
			group := fmt.Sprint(l.Netns, l.Name())
			if limits[group] == nil {
				limits[group] = map[int64]bool{}
			}
			limits[group][s.To] = true
			resized[group]++
			if l.SynQueue.Members > 1 && len(limits[group]) > 1 {
				say(s, "the members of its group differ")
			}
		case s.Key == tcpq.Somaxconn.String():
			somaxconn[s.Scope.Netns] = s.To
			if s.To > w.Policy.Somaxconn.Max || s.To < w.Policy.Somaxconn.Min && s.To < s.From {
				say(s, "beyond the bounds")
			}
		case s.Key == tcpq.TCPSyncookies.String():
			if s.From != 0 || s.To != 1 {
				say(s, "no other change is allowed")
			}
		case s.Key == tcpq.TCPMaxSynBacklog.String():
			for _, n := range w.in.Namespaces {
				if n.Inode == s.Scope.Netns && n.Sysctls["net.ipv4.tcp_syncookies"] != 0 {
					say(s, "it does nothing while cookies are on")
				}
			}
		}
	}
	for i := range w.in.Listeners {
		l := &w.in.Listeners[i]
		if n := resized[fmt.Sprint(l.Netns, l.Name())]; n > 0 && n != l.SynQueue.Members {
			all = append(all, fmt.Sprintf("%d of the %d members of %s are resized", n, l.SynQueue.Members, l.Name()))
		}
	}
	for _, r := range p.Refusals {
		if slices.Contains([]string{"worst-wait", "idle-memory", "worst-memory", "memory-pressure", "memory-known", "step"}, r.Rail) && r.To <= freeLimit {
			all = append(all, fmt.Sprintf("rail %s refuses %d", r.Rail, r.To))
		}
		if r.Message == "" {
			all = append(all, "a refusal says nothing")
		}
	}
	var b bytes.Buffer
	if err := WritePlan(&b, p); err != nil {
		all = append(all, err.Error())
	}
	if _, err := ReadPlan(b.Bytes()); err != nil {
		all = append(all, err.Error())
	}
	return all
}
