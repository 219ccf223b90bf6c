// SPDX-License-Identifier: Apache-2.0

//go:build linux

package agent

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/policy"
	"github.com/qtune/qtune/tcpq"
	"github.com/qtune/qtune/tuner"
)

// A loop decides what is changed. It does nothing itself: it is told what was seen
// and when, returns what to do, and is told what came of it.
//
// All its times but those of the policy are counted in windows, ten minutes each.
type loop struct {
	window time.Duration // of the agent
	plan   func(*inspection.Inspection, *policy.Policy) *tuner.Plan

	tracks   map[tcpq.ListenerID]*track
	told     map[tcpq.ListenerID]telling
	memory   memory
	register *register

	trial *trial
	other string // a transaction of somebody else that is open, "" for none
}

func newLoop(slot time.Duration, plan func(*inspection.Inspection, *policy.Policy) *tuner.Plan) *loop {
	window := windowSlots * slot
	return &loop{
		window: window, plan: plan,
		tracks: map[tcpq.ListenerID]*track{}, told: map[tcpq.ListenerID]telling{},
		memory: newMemory(window), register: newRegister(),
	}
}

// A look is what the loop is told of a step.
type look struct {
	in       *inspection.Inspection
	snapshot *tcpq.Snapshot
	window   *tcpq.Window
	policy   *policy.Policy

	sysctlsRead bool // in this step, not carried over
	pressure    bool // TCP takes more memory than the middle of net.ipv4.tcp_mem
}

// An act is one thing to do: apply a plan, confirm or roll back a transaction.
type act struct {
	action  string
	plan    *tuner.Plan
	trial   policy.Trial
	tx      string
	ending  ending // of a rollback
	reason  string
	subject *judged
	entry   inspection.Decision // that tells of it
}

// watch takes in a step.
func (l *loop) watch(d *tcpq.Delta) {
	if l.trial != nil {
		l.trial.watch(d)
	}
}

// decide returns what to do now, nil for nothing.
func (l *loop) decide(now tuner.Now, k *look) *act {
	l.memory.forget(now.Boot)
	all := l.judge(k)
	var do *act
	if l.trial != nil {
		do = l.rule(now, k, all)
	}
	for _, j := range all {
		if l.trial != nil && l.trial.id == j.id {
			continue
		}
		if a := l.consider(now, k, j, do == nil); a != nil {
			do = a
		}
	}
	return do
}

// judge returns the listeners that there is anything to say of, those that lost most
// first, and forgets those that are gone.
func (l *loop) judge(k *look) []*judged {
	type place struct {
		netns  uint64
		cookie string
	}
	found := map[place][]*inspection.Finding{}
	for i := range k.in.Findings {
		f := &k.in.Findings[i]
		where := place{netns: f.Netns}
		if f.Listener != nil {
			where.cookie = f.Listener.Cookie
		}
		found[where] = append(found[where], f)
	}
	var all []*judged
	shown := k.in.Listeners // in the order of the Snapshot
	there := map[tcpq.ListenerID]bool{}
	for i := range k.snapshot.Namespaces {
		ns := &k.snapshot.Namespaces[i]
		for n := range ns.Listeners {
			id := tcpq.ListenerID{Netns: ns.ID, Cookie: ns.Listeners[n].Cookie}
			mine := found[place{ns.ID.Inode, shown[n].Cookie}]
			if len(mine) == 0 && !l.knows(id) {
				continue // most of thousands
			}
			there[id] = true
			j := &judged{id: id, ns: ns, l: &ns.Listeners[n], shown: &shown[n]}
			j.classify(k.window, slices.Concat(mine, found[place{netns: ns.ID.Inode}]))
			all = append(all, j)
		}
		shown = shown[len(ns.Listeners):]
	}
	maps.DeleteFunc(l.tracks, func(id tcpq.ListenerID, _ *track) bool { return !there[id] })
	maps.DeleteFunc(l.told, func(id tcpq.ListenerID, _ telling) bool { return !there[id] })
	slices.SortStableFunc(all, func(a, b *judged) int { return cmp.Compare(b.seen.Refused.Max, a.seen.Refused.Max) })
	return all
}

// knows reports whether there is anything to remember of a listener.
func (l *loop) knows(id tcpq.ListenerID) bool {
	_, told := l.told[id]
	return told || l.tracks[id] != nil || l.trial != nil && l.trial.id == id
}

// rule decides about the open trial.
func (l *loop) rule(now tuner.Now, k *look, all []*judged) *act {
	t := l.trial
	var mine *judged
	for _, j := range all {
		if j.id == t.id {
			mine = j
		}
	}
	if mine == nil && slices.ContainsFunc(k.snapshot.Namespaces, func(n tcpq.Namespace) bool { return n.ID == t.id.Netns && !n.Listed }) {
		return nil // nobody knows
	}
	if mine != nil {
		l.track(now, mine)
	}
	r := t.judge(now.Boot, l.window, k, mine)
	if r.rule == "" {
		return nil
	}
	d := t.about
	d.Rule, d.Inputs, d.Refused, d.Rail = r.rule, t.evidence(), nil, ""
	d.Actual = t.effect()
	if mine != nil {
		d.Verdict = string(mine.verdict)
	}
	switch r.ending {
	case "":
		d.Action = actExtend
		l.register.enter(now, d)
		return nil
	case confirmed:
		d.Action = actConfirm
	default:
		d.Action, d.Rail = actRollback, string(r.ending)
	}
	return &act{action: d.Action, tx: t.tx.ID, ending: r.ending, reason: string(r.ending) + ": " + r.rule, entry: d}
}

// track takes in the verdict of a listener, and returns its track, nil when there is
// nothing to remember.
func (l *loop) track(now tuner.Now, j *judged) *track {
	t := l.tracks[j.id]
	if t == nil {
		if j.verdict != burstOverflow {
			return nil
		}
		t = &track{}
		l.tracks[j.id] = t
	}
	t.look(now.Boot, j)
	t.step(now.Boot, l.window, j.verdict == burstOverflow)
	if t.over() {
		delete(l.tracks, j.id)
	}
	return t
}

// began is told that an act was done: a transaction is on trial.
func (l *loop) began(now tuner.Now, a *act, tx *tuner.Transaction, k *look) {
	j := a.subject
	to, _ := promises(a.plan, j)
	a.entry.Transaction = tx.ID
	d := l.register.enter(now, a.entry)
	l.told[j.id] = tellingOf(&d)
	l.memory.begun(now.Boot)
	l.trial = &trial{
		tx: tx, id: j.id, key: keyOf(j), about: d, from: j.l.Accept.Max, to: uint32(to),
		began: now.Boot, length: a.trial, budget: k.policy.LatencyBudget,
		before: flowOf(k.window, j.id), after: &flow{}, next: now.Boot + min(l.window, a.trial.Duration),
	}
}

// failed is told that an act could not be begun. What was merely not the moment is
// tried again at the next decision.
func (l *loop) failed(now tuner.Now, a *act, rail, why string, momentary bool) {
	d := a.entry
	d.Action, d.Rail = actFail, rail
	d.Refused = []inspection.Alternative{{What: a.reason, Rail: rail, Message: why}}
	l.tell(now, a.subject.id, d)
	if !momentary {
		l.register.end(notApplied)
		l.memory.ended(now.Boot, "", a.subject.id, keyOf(a.subject), notApplied)
	}
}

// ended is told that the trial ended.
func (l *loop) ended(now tuner.Now, a *act, how ending) {
	a.entry.Rail = ""
	if how != confirmed {
		a.entry.Rail = string(how)
	}
	d := l.register.enter(now, a.entry)
	l.told[l.trial.id] = tellingOf(&d)
	l.register.end(how)
	l.memory.ended(now.Boot, l.trial.tx.ID, l.trial.id, l.trial.key, how)
	l.trial = nil
}

// keyOf returns what is not tried again at once when it failed.
func keyOf(j *judged) experiment {
	pod := ""
	if o := j.shown.Owner; o != nil && o.Pod != nil {
		pod = o.Pod.String()
	}
	return experiment{placeOf(j.ns.Host, pod, j.ns.Name, j.ns.ID.Inode), j.comm(), j.name(), int64(j.l.Accept.Max)}
}
