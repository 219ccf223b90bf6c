// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tuner

import (
	"cmp"
	"slices"

	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/policy"
	"github.com/qtune/qtune/tcpq"
)

// A draft is a plan that is being made.
type draft struct {
	*Planner
	plan   *Plan
	kernel tcpq.Version
	spaces map[uint64]*space
	asked  []ask                          // what the steps of the plan do
	grown  map[*inspection.Listener]int64 // the limits that listeners may have then
	over   uint64                         // what of that is above freeLimit, of all together
}

// A space is a namespace and its listeners.
type space struct {
	ns        *inspection.Namespace
	listeners []*inspection.Listener
	scope     Scope
	place     policy.Place
	contained bool // in a container
}

func newDraft(p *Planner) *draft {
	d := &draft{
		Planner: p,
		plan: &Plan{
			APIVersion: APIVersion, Kind: KindPlan,
			Created: p.Inspection.Time, Host: p.Inspection.Host.Name, BootID: p.BootID,
			Policy: p.Policy.Revision(),
			Steps:  []Step{}, Refusals: []Refusal{}, Advice: []Advice{},
		},
		spaces: map[uint64]*space{},
		grown:  map[*inspection.Listener]int64{},
	}
	d.kernel, _ = tcpq.ParseVersion(p.Inspection.Host.Kernel, "") // the rules of SYN queues differ by 1
	for i := range p.Inspection.Namespaces {
		n := &p.Inspection.Namespaces[i]
		d.spaces[n.Inode] = &space{
			ns:    n,
			scope: Scope{Netns: n.Inode, Cookie: n.Cookie, Host: n.Host, Name: n.Name, PID: n.PID},
			place: policy.Place{Host: n.Host, Name: n.Name},
		}
	}
	for i := range p.Inspection.Listeners {
		l := &p.Inspection.Listeners[i]
		if s := d.spaces[l.Netns]; s != nil {
			s.listeners = append(s.listeners, l)
			s.settle(l.Owner)
		}
	}
	return d
}

// settle notes who lives in a namespace: all its processes are of one pod, and the
// first container that is known names it for the policy.
func (s *space) settle(o *inspection.Owner) {
	if o == nil || s.ns.Host { // those of the host's are of many
		return
	}
	if p := o.Pod; p != nil && s.scope.Pod == "" {
		s.scope.Pod = p.String()
		if p.Name != "" {
			s.place.Pod = s.scope.Pod
		}
	}
	if c := o.Container; c != nil {
		s.contained = true
		s.place.Container = cmp.Or(s.place.Container, c.Name)
	}
}

// live returns a setting of the namespace as it was read.
func (s *space) live(key tcpq.Sysctl) (int64, bool) {
	value, ok := s.ns.Sysctls[key.String()]
	return value, ok
}

// value returns a setting as it will be after the steps so far.
func (d *draft) value(s *space, key tcpq.Sysctl) (int64, bool) {
	for i := range d.asked {
		if a := &d.asked[i]; a.space == s && a.kind == KindSysctl && a.key == key {
			return a.to, true
		}
	}
	return s.live(key)
}

// take puts an ask into the plan. Of two that want one value the larger is done and
// says why; the codes of both are kept.
func (d *draft) take(a ask, why, code string) {
	i := slices.IndexFunc(d.asked, func(b ask) bool { return a.same(&b) })
	if i < 0 {
		d.witness(&a.space.scope)
		i = len(d.asked)
		d.asked = append(d.asked, a)
		d.plan.Steps = append(d.plan.Steps, a.step())
	}
	step := &d.plan.Steps[i]
	if step.Why == "" || a.to > step.To {
		step.Why = why
	}
	d.asked[i].to = max(d.asked[i].to, a.to)
	step.To = d.asked[i].to
	if code != "" && !slices.Contains(step.Findings, code) {
		step.Findings = append(step.Findings, code)
	}
	d.over = d.above([]ask{a})
	for l, limit := range a.reach() {
		d.grown[l] = max(d.grown[l], limit)
	}
}

// refuse notes a refusal, once: what is said of each member of a reuse-port group
// is said of the first.
func (d *draft) refuse(r Refusal) {
	said := func(old Refusal) bool {
		return old.Scope.Netns == r.Scope.Netns && old.Key == r.Key && old.To == r.To && old.Code == r.Code && old.Message == r.Message &&
			(old.Listener == nil) == (r.Listener == nil) && (r.Listener == nil || old.Listener.Name() == r.Listener.Name())
	}
	if !slices.ContainsFunc(d.plan.Refusals, said) {
		d.plan.Refusals = append(d.plan.Refusals, r)
	}
}

// advice notes an advice, once.
func (d *draft) advice(a Advice) {
	if !slices.Contains(d.plan.Advice, a) {
		d.plan.Advice = append(d.plan.Advice, a)
	}
}

// finish completes the plan.
func (d *draft) finish() *Plan {
	for i := range d.plan.Steps {
		d.plan.Steps[i].Affects = d.affects(&d.asked[i])
		d.plan.Steps[i].SetBy = d.setBy(&d.asked[i])
	}
	d.plan.Cost = d.cost()
	slices.SortStableFunc(d.plan.Steps, byOrder)
	return d.plan
}

// witness notes the process that identifies a namespace without a cookie.
func (d *draft) witness(s *Scope) {
	if s.Cookie != "" || s.Host || s.PIDStarted != 0 || d.Witness == nil {
		return
	}
	if pid, ticks, err := d.Witness(s.Netns); err == nil { // else the plan is stale, and says why
		s.PID, s.PIDStarted = pid, ticks
	}
}

// byOrder orders steps as they are done: settings before the listeners that need
// them, the host's namespace first.
func byOrder(a, b Step) int {
	return cmp.Or(
		cmp.Compare(a.Kind.rank(), b.Kind.rank()),
		cmp.Compare(a.Scope.rank(), b.Scope.rank()),
		cmp.Compare(a.Scope.Netns, b.Scope.Netns),
		cmp.Compare(a.Key, b.Key),
		bySocket(a.Listener, b.Listener),
	)
}

func (s *Scope) rank() int {
	if s.Host {
		return 0
	}
	return 1
}

func bySocket(a, b *Socket) int {
	if a == nil || b == nil {
		return 0
	}
	return cmp.Or(cmp.Compare(a.Port, b.Port), cmp.Compare(a.Address, b.Address), cmp.Compare(a.Device, b.Device), cmp.Compare(a.Inode, b.Inode))
}
