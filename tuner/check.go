// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tuner

import (
	"slices"

	"github.com/qtune/qtune/tcpq"
)

// Check says what of a plan is refused now: one that was saved may have been
// changed, and the host has.
func (p *Planner) Check(plan *Plan) []Refusal {
	d := newDraft(p)
	var asks []ask
	for i := range plan.Steps {
		if a, ok := d.askOf(&plan.Steps[i]); ok {
			asks = append(asks, a)
		}
	}
	for i := range asks {
		if ok, why := d.covered(asks[i].space); !ok {
			d.refuse(*asks[i].refusal(ByPolicy, "the policy does not cover this namespace: "+why))
		}
		if r := d.mayResize(&asks[i]); r != nil {
			d.refuse(*r)
		}
		if r := leavesOut(&asks[i], asks); r != nil {
			d.refuse(*r)
		}
	}
	if r := d.broken(asks); r != nil {
		d.refuse(*r)
	}
	return d.plan.Refusals
}

// leavesOut refuses an ask that is of a part of a reuse-port group: of one that has
// grown since. All members are resized, or none.
func leavesOut(a *ask, all []ask) *Refusal {
	if a.kind != KindListen {
		return nil
	}
	for _, m := range a.space.together(a.listener) {
		other := *a
		other.listener = m
		if int64(m.AcceptQueue.Limit) < a.to && !slices.ContainsFunc(all, func(b ask) bool { return b.same(&other) }) {
			return a.refusal(NotFound, "its reuse-port group has a member that is not in the plan: all are resized or none, so make another plan")
		}
	}
	return nil
}

// askOf returns what a step of a plan that was saved would change. It refuses a
// step whose namespace or listener is not there.
func (d *draft) askOf(step *Step) (ask, bool) {
	gone := func(what string) (ask, bool) {
		d.refuse(Refusal{Code: NotFound, Scope: step.Scope, Key: step.Key, Listener: step.Listener, From: step.From, To: step.To, Message: what})
		return ask{}, false
	}
	s := d.spaces[step.Scope.Netns]
	if s == nil || s.scope.Cookie != step.Scope.Cookie {
		return gone("the network namespace is there no more")
	}
	if step.Kind == KindListen {
		for _, l := range s.listeners {
			if l.Cookie == step.Listener.Cookie && l.Inode == step.Listener.Inode {
				return listenAsk(s, l, step.To, d.Person), true
			}
		}
		return gone("the listener is there no more")
	}
	key, err := sysctlOf(step.Key)
	if err != nil {
		return gone(err.Error())
	}
	wanted := key == tcpq.Somaxconn && step.To <= d.Policy.Baseline
	a, r := d.sysctlAsk(s, key, step.To, d.Person || wanted)
	if r != nil {
		d.refuse(*r)
	}
	return a, r == nil
}
