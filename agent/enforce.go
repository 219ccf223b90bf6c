// SPDX-License-Identifier: Apache-2.0

//go:build linux

package agent

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/policy"
	"github.com/qtune/qtune/tcpq"
	"github.com/qtune/qtune/tuner"
)

// Effects change the host: a [tuner.Tuner].
type Effects interface {
	Apply(context.Context, tuner.Now, *tuner.Plan, tuner.ApplyOptions) (*tuner.Transaction, error)
	Confirm(ctx context.Context, now tuner.Now, id string) (*tuner.Transaction, error)
	Rollback(ctx context.Context, now tuner.Now, id, reason string) (*tuner.Transaction, error)
	Recover(ctx context.Context, now tuner.Now, orphaned bool) ([]*tuner.Transaction, error)
	Drift(context.Context, tuner.Now) ([]tuner.Drift, error)
	History(context.Context) ([]*tuner.Transaction, error)
}

// An Enforcement is what mode enforce needs beside the others.
type Enforcement struct {
	Tuner Effects
	Actor tuner.Actor // in whose name: its user and process
}

// An enforcer does what the loop decides, and looks after what was done before.
type enforcer struct {
	effects Effects
	present func() (tuner.Now, error)
	memory  func() (host.Memory, error)
	witness func(netns uint64) (pid int, ticks uint64, err error) // nil when nobody looks
	actor   tuner.Actor
	log     *slog.Logger

	loop          *loop
	policy        *policy.Policy
	decide, guard activity
	took          time.Duration // CPU time in the last step
	bootID        string
	pressed       bool // TCP takes more memory than the middle of tcp_mem
	host          host.Memory
	troubles      troubles
	tookOver      bool // what an agent before this one left
	sysctlsRead   bool // since the last decision
	drift         drift
}

func newEnforcer(o *Options, do func(string, time.Duration) activity, present func() (tuner.Now, error), memory func() (host.Memory, error)) *enforcer {
	slot := stepsPerSlot * o.Step
	e := &enforcer{
		effects: o.Enforce.Tuner, present: present, memory: memory, policy: &o.Policy, actor: o.Enforce.Actor, log: o.Log,
		decide: do("decide", slot), guard: do("guard", stepsPerSysctl*o.Step),
		drift:    drift{known: map[drifted]bool{}, again: map[drifted]string{}},
		troubles: troubles{log: o.Log, told: map[string]string{}},
	}
	e.actor.Comm = actorName
	e.loop = newLoop(slot, e.plan)
	return e
}

// plan plans what the findings of an inspection recommend.
func (e *enforcer) plan(in *inspection.Inspection, p *policy.Policy) *tuner.Plan {
	return (&tuner.Planner{Inspection: in, Policy: p, Memory: e.host, BootID: e.bootID, Witness: e.witness, LiveResize: true}).Advised()
}

// stopEvery is how often an agent that ends tries to undo its trial.
const stopEvery = 50 * time.Millisecond

// stop undoes a trial: nobody would judge it. What was confirmed stays. Another
// process may hold the lock for the moment of a change, so it tries for a while.
func (e *enforcer) stop() {
	if e.loop.trial == nil {
		return
	}
	const patience = 5 * time.Second // systemd and kubelets have more
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	now, err := e.present()
	if err != nil {
		e.log.Error("roll back a trial", "transaction", e.loop.trial.tx.ID, "error", err)
		return
	}
	d := e.loop.trial.about
	d.Action, d.Rule, d.Inputs, d.Actual = actRollback, "the agent ends", e.loop.trial.evidence(), e.loop.trial.effect()
	a := act{action: actRollback, tx: e.loop.trial.tx.ID, ending: stopped, reason: string(stopped) + ": the agent ends", entry: d}
	again := time.NewTicker(stopEvery)
	defer again.Stop()
	for e.finish(ctx, now, &a); e.loop.trial != nil; e.finish(ctx, now, &a) {
		select {
		case <-again.C:
		case <-ctx.Done():
			return // finish said why; the deadline stands behind
		}
	}
}

// step takes in what was seen, and does one thing at most.
func (e *enforcer) step(ctx context.Context, at time.Time, d *tcpq.Delta, k *look) {
	e.policy = k.policy
	if d != nil {
		e.loop.watch(d)
	}
	e.sysctlsRead = e.sysctlsRead || k.sysctlsRead
	e.took = 0
	if !e.decide.isDue(at) && !e.guard.isDue(at) {
		return
	}
	now, err := e.present()
	if err != nil {
		e.log.Error("tell the time", "error", err)
		return
	}
	if e.guard.isDue(at) {
		cpu := host.CPUTime()
		e.look(ctx, now)
		spent := host.CPUTime() - cpu
		e.guard.done(at, spent)
		e.took += spent
	}
	if e.decide.isDue(at) {
		cpu := host.CPUTime()
		k.sysctlsRead, e.sysctlsRead = e.sysctlsRead, false
		k.pressure, e.bootID = e.pressed, now.BootID
		if a := e.loop.decide(now, k); a != nil {
			e.do(ctx, now, a, k)
		}
		spent := host.CPUTime() - cpu
		e.decide.done(at, spent)
		e.took += spent
	}
}

// look reads what the loop goes by beside the queues: memory, the journal, drift.
func (e *enforcer) look(ctx context.Context, now tuner.Now) {
	m, err := e.memory()
	e.troubles.tell("read how much memory TCP takes", err)
	e.host, e.pressed = m, m.TCPPages[1] > 0 && m.TCPUsed > m.TCPPages[1]
	if !e.tookOver && e.loop.trial == nil {
		e.troubles.tell(takingOver, e.takeOver(ctx, now))
	}
	recovered, err := e.effects.Recover(ctx, now, false)
	if !errors.Is(err, tuner.ErrBusy) {
		e.troubles.tell("look after open transactions", err)
	}
	for _, tx := range recovered {
		e.log.Info("recovered", "transaction", tx.ID, "state", tx.State, "reason", tx.Reason)
	}
	e.readJournal(ctx, now)
	e.lookForDrift(ctx, now)
}

// do does one thing.
func (e *enforcer) do(ctx context.Context, now tuner.Now, a *act, k *look) {
	if a.action != actApply {
		e.finish(ctx, now, a)
		return
	}
	e.actor.Policy = k.policy.Revision()
	tx, err := e.effects.Apply(ctx, now, a.plan, tuner.ApplyOptions{
		Trial:    a.trial.Max + e.loop.window, // the deadline is for when nobody judges it
		Guardian: tuner.ByAgent, Actor: e.actor,
		Why: a.entry.Rule + "; expected: " + a.entry.Expected,
	})
	if err != nil {
		rail, momentary := whyNotApplied(err)
		e.loop.failed(now, a, rail, err.Error(), momentary)
		e.log.Warn("not applied", "netns", a.entry.Netns, "listener", a.entry.Listener, "rail", rail, "error", err)
		return
	}
	e.loop.began(now, a, tx, k)
	e.log.Info("applied on trial", "transaction", tx.ID, "netns", a.entry.Netns, "listener", a.entry.Listener,
		"from", e.loop.trial.from, "to", e.loop.trial.to, "why", a.entry.Rule)
}

// finish confirms or rolls back the trial. What cannot be done now is tried again at
// the next decision; the deadline stands behind.
func (e *enforcer) finish(ctx context.Context, now tuner.Now, a *act) {
	if e.readJournal(ctx, now); e.loop.trial == nil {
		return // somebody was faster
	}
	var tx *tuner.Transaction
	var err error
	how := a.ending
	if a.action == actConfirm {
		tx, err = e.effects.Confirm(ctx, now, a.tx)
	} else {
		tx, err = e.effects.Rollback(ctx, now, a.tx, a.reason)
	}
	switch {
	case errors.Is(err, tuner.ErrIncomplete):
		how = incomplete
	case errors.Is(err, tuner.ErrUnknown): // somebody removed the journal
		how = incomplete
	case tx == nil || tx.State.Open():
		e.troubles.tell(endingTrial, cmp.Or(err, errOpen))
		e.loop.trial.next = 0
		return
	default:
		how = endingOf(tx, how)
	}
	e.troubles.tell(endingTrial, nil)
	if how != confirmed {
		a.entry.Action = actRollback
	}
	e.loop.ended(now, a, how)
	log := e.log.With("transaction", a.tx, "outcome", how, "why", a.reason, "effect", a.entry.Actual)
	if err != nil { // a value that is somebody else's, or could not be put back
		log.Warn("trial ended", "error", err)
		return
	}
	log.Info("trial ended")
}

const endingTrial = "end the trial"

// errOpen says that a transaction is still open after it was decided.
var errOpen = errors.New("it is still open")

// whyNotApplied names what a tuner's error comes to, and says whether it may be
// otherwise in a moment.
func whyNotApplied(err error) (rail string, momentary bool) {
	for _, row := range []struct {
		is        error
		rail      string
		momentary bool
	}{
		{tuner.ErrBusy, "lock", true},
		{tuner.ErrOpen, railOpen, true},
		{tuner.ErrStale, "stale", true},
		{tuner.ErrSatisfied, "satisfied", true},
		{tuner.ErrRail, "guard-rail", false},
		{tuner.ErrConflict, "conflict", false},
		{tuner.ErrIncomplete, "incomplete", false},
		{tuner.ErrVerify, "not-verified", false},
		{host.ErrPermission, "permission", false},
		{host.ErrUnsupported, "unsupported", false},
	} {
		if errors.Is(err, row.is) {
			return row.rail, row.momentary
		}
	}
	return "error", false
}

// describe says what is shown of all this.
func (e *enforcer) describe() *inspection.Tuning {
	t := &inspection.Tuning{
		Mode: string(e.policy.Mode), Open: e.loop.trial != nil || e.loop.other != "", Transactions: []inspection.OutcomeCount{},
		Counts: []inspection.DecisionCount{}, Drifted: e.drift.shown(), Troubles: e.troubles.shown(),
	}
	if tr := e.loop.trial; tr != nil {
		t.Trial = &inspection.Trial{
			Transaction: tr.tx.ID, Netns: tr.about.Netns, Listener: tr.about.Listener, From: int64(tr.from), To: int64(tr.to),
			Started: tr.about.Time, JudgedAfter: tr.length.Duration.Seconds(), EndsAfter: tr.length.Max.Seconds(),
		}
	}
	e.loop.register.show(t)
	return t
}
