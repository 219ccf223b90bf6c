// SPDX-License-Identifier: Apache-2.0

//go:build linux

package agent

import (
	"fmt"
	"time"

	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/policy"
	"github.com/qtune/qtune/tcpq"
	"github.com/qtune/qtune/tuner"
)

// A trial is a change that was applied and has to prove itself, or is undone.
type trial struct {
	tx  *tuner.Transaction
	id  tcpq.ListenerID
	key experiment

	about    inspection.Decision // how it began
	from, to uint32              // limit of the accept queue
	began    time.Duration
	length   policy.Trial
	budget   time.Duration // that a connection may wait

	before, after *flow
	steps, late   int  // steps seen, and of them those in which connections waited longer than the budget
	pressed       bool // TCP came under memory pressure
	next          time.Duration
	missing       int // decisions in a row at which the listener was not there
}

// goneAfter is at how many decisions in a row a listener must be missing: one may
// cease to listen for a moment.
const goneAfter = 3

// watch takes in a step.
func (t *trial) watch(d *tcpq.Delta) {
	ns := d.Namespaces[t.id.Netns]
	if ns == nil {
		return
	}
	t.after.add(d, t.id)
	t.steps++
	t.pressed = t.pressed || ns.Counters.Value(tcpq.TCPMemoryPressures) > 0
	if waited(ns, t.id.Cookie, d.End.Sub(d.Start)) > t.budget {
		t.late++
	}
}

// waited returns how long who stood in a listener's queue for the whole of a step had
// to wait for accept(2): Little's law, on the shorter of both ends, because a burst is
// no standing queue.
func waited(ns *tcpq.NamespaceDelta, cookie uint64, step time.Duration) time.Duration {
	l := ns.Listeners[cookie]
	stood := min(l.From, l.To)
	if stood == 0 || l.Emptied {
		return 0
	}
	left := float64(ns.Counters.Value(tcpq.PassiveOpens)) + float64(l.From) - float64(l.To)
	if left <= 0 {
		return step // nobody left in all of it
	}
	return time.Duration(float64(stood) / left * float64(step))
}

// A ruling is what becomes of a trial: nothing yet when the ending is empty.
type ruling struct {
	ending ending
	rule   string
}

// judge says what becomes of the trial; j is its listener, nil when it is no longer
// there. Whether it helped is asked when its time is over and once a window after
// that: who asks again and again finds what he looks for by chance.
func (t *trial) judge(now, window time.Duration, k *look, j *judged) ruling {
	age := now - t.began
	t.missing++
	switch {
	case j == nil && t.missing < goneAfter:
		return ruling{}
	case j == nil:
		return ruling{gone, "the listener ended: a program that is started again has a new one, with its old limit"}
	case k.policy.Mode != policy.Enforce:
		return ruling{stopped, "the policy no longer allows changes"}
	}
	t.missing = 0
	if what := t.foreign(k, j); what != "" {
		return ruling{conflict, what}
	}
	switch {
	case t.pressed || k.pressure:
		return ruling{regression, "TCP came under memory pressure (net.ipv4.tcp_mem)"}
	case t.late >= 3 && t.late*100 > t.steps:
		return ruling{regression, fmt.Sprintf("in %d of %d steps connections waited longer than %v for accept(2)", t.late, t.steps, t.budget)}
	case j.verdict == appTooSlow:
		return ruling{regression, "the program is too slow: " + j.rule}
	case now < t.next:
		return ruling{}
	}
	t.next = now + window
	if t.after.refused() >= leastRefused && t.after.rate() > t.before.rate() && chanceOfFewer(t.after, t.before) < significance {
		return ruling{regression, "more was refused than before"}
	}
	if age < t.length.Duration {
		t.next = min(t.next, t.began+t.length.Duration)
		return ruling{}
	}
	alike, why := t.alike()
	if alike {
		var ok bool
		if ok, why = t.proven(); ok {
			return ruling{confirmed, why}
		}
	}
	switch {
	case age < t.length.Max:
		t.next = min(t.next, t.began+t.length.Max)
		return ruling{"", why}
	case !alike:
		return ruling{inconclusive, why}
	}
	return ruling{noBenefit, why}
}

// foreign says who else wrote, "" when nobody did.
func (t *trial) foreign(k *look, j *judged) string {
	if j.l.Accept.Max != t.to {
		return fmt.Sprintf("the limit is %d and not %d: the program listened again, or somebody changed it", j.l.Accept.Max, t.to)
	}
	if !k.sysctlsRead {
		return "" // what is known is perhaps of before
	}
	for i := range t.tx.Steps {
		s := &t.tx.Steps[i]
		if s.Kind != tuner.KindSysctl {
			continue
		}
		for key := range tcpq.Sysctl(tcpq.NumSysctls) {
			if v, ok := j.ns.Sysctls.Get(key); ok && key.String() == s.Key && v != s.To {
				return fmt.Sprintf("%s is %d and not %d: somebody changed it", s.Key, v, s.To)
			}
		}
	}
	return ""
}

// alike reports whether the load after is like that before, and what it is like.
func (t *trial) alike() (bool, string) {
	before, after := t.before.offered(), t.after.offered()
	switch {
	case !t.after.attributed():
		return false, "other listeners of the namespace took a share: its counters no longer tell of this one"
	case after < before/2:
		return false, fmt.Sprintf("less than half the load came: %s connections/s, and %s before", digits(after), digits(before))
	case after > before*2:
		return false, fmt.Sprintf("more than twice the load came: %s connections/s, and %s before", digits(after), digits(before))
	}
	return true, ""
}

// proven reports whether the change helped: at most half the share is refused, that
// is no chance, and the queue was once longer than it could be before, so that
// somebody who would have been refused was not.
func (t *trial) proven() (bool, string) {
	before, after := t.before.rate(), t.after.rate()
	p := chanceOfFewer(t.before, t.after)
	switch {
	case after > before/2:
		return false, fmt.Sprintf("%s %% of the packets were refused and before %s %%: more than half", digits(after*100), digits(before*100))
	case p >= significance:
		return false, fmt.Sprintf("that less was refused may be chance: p = %s", digits(p))
	case uint64(t.after.peak) <= uint64(t.from)+1:
		return false, fmt.Sprintf("the queue was never longer than %d, which would have fit before", t.after.peak)
	}
	return true, fmt.Sprintf("%s %% of the packets were refused, before %s %% (p = %s), and the queue held up to %d, of which %d had no room before",
		digits(after*100), digits(before*100), digits(p), t.after.peak, uint64(t.after.peak)-uint64(t.from)-1)
}

// effect tells what was seen before and after.
func (t *trial) effect() string {
	say := func(f *flow) string {
		return fmt.Sprintf("%d of %d packets refused (%s %%), %s connections/s, queue up to %d, in %.0f s",
			f.refused(), f.packets(), digits(f.rate()*100), digits(f.offered()), f.peak, f.seconds)
	}
	return "before: " + say(t.before) + "; after: " + say(t.after)
}

// evidence returns the numbers an experiment is judged by.
func (t *trial) evidence() []inspection.Evidence {
	const refused, opens, load = "netstat ListenDrops, sock_diag sk_drops", "snmp PassiveOpens", "PassiveOpens + refused/4"
	return []inspection.Evidence{
		{Name: "refused before", Value: float64(t.before.refused()), Unit: "packets", Source: refused},
		{Name: "refused after", Value: float64(t.after.refused()), Unit: "packets", Source: refused},
		{Name: "accepted before", Value: float64(t.before.accepted), Unit: "connections", Source: opens},
		{Name: "accepted after", Value: float64(t.after.accepted), Unit: "connections", Source: opens},
		{Name: "load before", Value: rounded(t.before.offered()), Unit: "connections/s", Source: load},
		{Name: "load after", Value: rounded(t.after.offered()), Unit: "connections/s", Source: load},
		{Name: "longest queue before", Value: float64(t.before.peak), Unit: "connections", Source: "sock_diag"},
		{Name: "longest queue after", Value: float64(t.after.peak), Unit: "connections", Source: "sock_diag"},
		{Name: "chance that nothing changed", Value: rounded(chanceOfFewer(t.before, t.after)), Source: "binomial test"},
	}
}

// Watch has a listener looked at fast for a while although it may be quiet: whether
// its queue was longer than it could be before is what a trial is about.
func (s *Sampler) Watch(id tcpq.ListenerID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.places {
		if p.id != id.Netns {
			continue
		}
		for i := range p.known {
			if p.known[i].Cookie == id.Cookie {
				p.sampled[i].watch = time.Now().Add(watchFor)
			}
		}
	}
}
