// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package agent watches a host without end: it samples the queues, steps through
// the namespaces every few seconds, keeps the last ten minutes, judges them, and
// publishes one immutable [inspection.Inspection] after the other.
//
// One goroutine steps, another samples on a thread of its own. Every activity has a
// budget of CPU time beside its period, so that the agent stays small on any host.
// Nothing is held open between two looks, and what is remembered is bounded.
package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/qtune/qtune/advisor"
	"github.com/qtune/qtune/collector"
	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/policy"
	"github.com/qtune/qtune/tcpq"
	"github.com/qtune/qtune/tuner"
)

// DefaultStep is the time between two steps. What else the agent does follows it.
const DefaultStep = 5 * time.Second

// How often what is done at most, in steps. A dump finds listeners that came; those
// that are known are looked up.
const (
	samplesPerStep = 5
	stepsPerDump   = 3
	stepsPerSysctl = 6
	stepsPerSlot   = 2
)

// StaleAfter is after how many periods without a step the agent is not ready, and
// what it tells is stale.
const StaleAfter = 3

// Options say how an agent works.
type Options struct {
	Version string
	Mode    policy.Mode // what it does with what it sees; in enforce the policy has to allow it, too

	Step        time.Duration // between two steps
	MaxSampleHz int           // of the listeners that fill
	CPUShare    float64       // that each activity may take of a CPU: 0.01
	PeakWindow  time.Duration // over which the recent peak of a listener is kept

	Syn    collector.SynMode
	Policy policy.Policy
	Log    *slog.Logger

	Reload  Reload       // of the policy
	Enforce *Enforcement // in mode enforce

	// Serving, when not nil, is closed when what the agent tells can be asked
	// for: no sooner systemd hears that it is ready.
	Serving <-chan struct{}

	// Publish is given every Inspection and what the step took, before the
	// next step.
	Publish func(in *inspection.Inspection, took time.Duration)
}

// An Agent watches one host.
type Agent struct {
	opts      Options
	live      *host.Live
	collector *collector.Collector
	sampler   *Sampler
	started   time.Time

	step, dump, sysctls, owners activity
	course                      course
	ledger                      *ledger
	news                        news
	enforcer                    *enforcer // in mode enforce
	policyError                 string    // why the file that is there now is not followed

	published atomic.Pointer[state]
	fresh     atomic.Pointer[time.Time] // until when what was published is
}

// A state is what others see of the agent.
type state struct {
	inspection *inspection.Inspection
	snapshot   *tcpq.Snapshot
	window     *tcpq.Window
}

// New returns an agent of this machine.
func New(live *host.Live, o Options) *Agent {
	all := &budget{share: together * o.CPUShare}
	do := func(name string, period time.Duration) activity {
		return activity{name: name, period: period, share: o.CPUShare, budget: all}
	}
	sampler := NewSampler(live, o.Step/samplesPerStep, o.MaxSampleHz, o.CPUShare)
	sampler.all.budget, sampler.fast.budget = all, all
	a := &Agent{
		opts: o, live: live,
		collector: collector.New(live, collector.Options{Syn: o.Syn, Log: o.Log}),
		sampler:   sampler,
		step:      do("step", o.Step), dump: do("dump", stepsPerDump*o.Step), sysctls: do("sysctls", stepsPerSysctl*o.Step), owners: do("owners", o.Step),
		course: course{slot: stepsPerSlot * o.Step},
		ledger: newLedger(o.PeakWindow), news: news{log: o.Log},
	}
	if o.Enforce != nil {
		a.enforcer = newEnforcer(&o, do, func() (tuner.Now, error) { return tuner.Present(live) }, live.Memory)
		a.enforcer.witness = live.Witness
	}
	return a
}

// Run steps until ctx ends. A step that fails is logged, and the next one starts
// fresh.
func (a *Agent) Run(ctx context.Context) error {
	a.started = time.Now()
	var sampling sync.WaitGroup
	defer sampling.Wait()
	sampling.Go(func() { a.sample(ctx) })
	if a.enforcer != nil {
		a.enforcer.start(ctx)
		defer a.enforcer.stop()
	}
	systemd := &notifier{log: a.opts.Log}
	defer systemd.stopping()
	var alive <-chan time.Time
	if interval := systemd.watchdog(); interval > 0 {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		alive = ticker.C
	}
	serving := a.opts.Serving
	a.step.due = a.started
	next := time.NewTimer(0)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-alive: // a step that hangs in the kernel lets the watchdog bite
			systemd.alive()
			continue
		case <-a.opts.Reload.Signal:
			a.reload()
			continue
		case <-serving:
			serving = nil // which is never ready
			if a.Last() != nil {
				systemd.isReady()
			}
			continue
		case <-next.C:
		}
		switch err := a.doStep(ctx, time.Now()); {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			a.opts.Log.Error("step", "error", err)
		case serving == nil:
			systemd.isReady()
		}
		next.Reset(time.Until(a.step.due))
	}
}

// sample samples until ctx ends. When it fails it begins anew, on another thread.
func (a *Agent) sample(ctx context.Context) {
	for {
		err := a.sampler.Run(ctx)
		if ctx.Err() != nil {
			return
		}
		a.opts.Log.Error("sampling", "error", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(a.opts.Step):
		}
	}
}

// doStep looks at the host once and publishes what it saw.
func (a *Agent) doStep(ctx context.Context, now time.Time) error {
	cpu := host.CPUTime()
	var work collector.Work
	var extra []*activity
	if a.dump.isDue(now) {
		work |= collector.Dump
		extra = append(extra, &a.dump)
	}
	if a.sysctls.isDue(now) {
		work |= collector.Sysctls
		extra = append(extra, &a.sysctls)
	}
	if a.owners.isDue(now) {
		work |= collector.Owners
	}
	first := a.Last() == nil
	err := a.look(ctx, now, work)
	spent := host.CPUTime() - cpu
	if a.enforcer != nil {
		spent -= a.enforcer.took
	}
	if work&collector.Owners != 0 {
		took := a.collector.OwnersTook()
		spent -= took
		if first {
			took = 0
		}
		a.owners.done(now, took)
	}
	if first {
		spent = 0 // all that is there had to be found, once
	}
	more := max(0, spent-a.step.cost) // than a step that does nothing else
	for _, act := range extra {
		act.done(now, more/time.Duration(len(extra)))
	}
	if len(extra) > 0 {
		spent -= more
	}
	a.step.done(now, (3*a.step.cost+spent)/4) // one that was dear does not put off the next
	if err == nil {
		fresh := now.Add(StaleAfter * a.step.gap())
		a.fresh.Store(&fresh)
	}
	return err
}

// look reads the host, judges what it saw and publishes that.
func (a *Agent) look(ctx context.Context, began time.Time, work collector.Work) error {
	found, err := a.collector.Find(ctx)
	if err != nil {
		return err
	}
	s, err := a.collector.Pass(ctx, found, a.course.last, work)
	if err != nil {
		return err
	}
	samples := a.sampler.Take()
	delta := a.course.add(s, samples)
	w := a.course.window
	var report advisor.Report
	if a.opts.Mode != policy.Observe {
		report = judge(s, &w, &a.opts.Policy)
	}
	in := inspection.From(s, &w, report)
	in.Window.Source = inspection.SourceAgent
	a.ledger.enter(s, delta, samples, in)
	a.sampler.Follow(found.Namespaces, s, in)
	if a.enforcer != nil {
		a.enforcer.step(ctx, began, delta, &look{
			in: in, snapshot: s, window: &w, policy: &a.opts.Policy, sysctlsRead: work&collector.Sysctls != 0,
		})
		if t := a.enforcer.loop.trial; t != nil {
			a.sampler.Watch(t.id)
		}
	}
	in.Agent = a.describe()
	a.news.tell(ctx, in)
	a.published.Store(&state{in, s, &w})
	a.opts.Publish(in, time.Since(began))
	return nil
}

func (a *Agent) describe() *inspection.Agent {
	sampling, activities := a.sampler.Describe()
	for _, act := range []*activity{&a.step, &a.dump, &a.sysctls, &a.owners} {
		activities = append(activities, act.shown())
	}
	out := &inspection.Agent{
		Version: a.opts.Version, Mode: string(a.opts.Mode), Started: a.started.UTC(), Policy: a.opts.Policy.Revision(),
		PolicyError: a.policyError, Sampling: sampling,
	}
	if e := a.enforcer; e != nil {
		out.Tuning = e.describe()
		activities = append(activities, e.decide.shown(), e.guard.shown())
	}
	out.Activities = activities
	return out
}

// Last returns the newest Inspection, nil before the first step.
func (a *Agent) Last() *inspection.Inspection {
	if st := a.published.Load(); st != nil {
		return st.inspection
	}
	return nil
}

// History returns the course of one listener.
func (a *Agent) History(netns uint64, cookie string) (*inspection.History, bool) {
	st := a.published.Load()
	if st == nil {
		return nil, false
	}
	return inspection.HistoryOf(st.snapshot, st.window, netns, cookie)
}

// errNoStep says that the agent has only begun.
var errNoStep = errors.New("the first step is not done yet")

// Ready returns nil when what the agent tells is fresh and it can see what comes,
// else why not.
func (a *Agent) Ready() error {
	fresh := a.fresh.Load()
	if fresh == nil {
		return errNoStep
	}
	if time.Since(*fresh) > 0 {
		return fmt.Errorf("the last step was %.0f s ago", time.Since(a.Last().Time).Seconds())
	}
	return a.live.Propagates()
}
