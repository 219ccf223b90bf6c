// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tuner

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"github.com/qtune/qtune/advisor"
	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/tcpq"
)

// A remedy says what may be changed because of a kind of finding.
type remedy struct {
	code advisor.Code

	lengthens bool // the listener's queue
	byLoop    bool // without a person, too: it is a burst, and nothing else

	cookies bool // net.ipv4.tcp_syncookies is turned on

	// never says that nothing is to be changed here: the queue is not at fault.
	never bool
}

// remedies is the table; one row is one code, and a code without a row changes
// nothing. Turning cookies on makes tcp_max_syn_backlog idle, so that is never
// changed on advice.
var remedies = []remedy{
	{code: advisor.AcceptQueueOverflow, lengthens: true, byLoop: true},
	{code: advisor.CookieZombies, lengthens: true},
	{code: advisor.AcceptQueueNearLimit, lengthens: true},
	{code: advisor.BacklogZero, lengthens: true, cookies: true},
	{code: advisor.SynQueueFull, cookies: true},
	{code: advisor.SynBacklogThreeQuarters, cookies: true},
	{code: advisor.SynFloodSuspected, cookies: true},
	{code: advisor.SyncookiesOff, cookies: true},
	{code: advisor.ApplicationStuck, never: true},
	{code: advisor.ApplicationSlow, never: true},
	{code: advisor.ReuseportImbalance, never: true},
}

func remedyOf(code string) remedy {
	for _, r := range remedies {
		if string(r.code) == code {
			return r
		}
	}
	return remedy{}
}

// Tunes reports whether the loop lengthens a queue because of such a finding.
func Tunes(code advisor.Code) bool { return remedyOf(string(code)).byLoop }

// Forbids reports whether such a finding says that no queue is to be lengthened.
func Forbids(code advisor.Code) bool { return remedyOf(string(code)).never }

// advise plans what one finding recommends, and tells what only people can do.
func (d *draft) advise(f *inspection.Finding) {
	s := d.spaces[f.Netns]
	if s == nil {
		return
	}
	r := remedyOf(f.Code)
	l := s.listenerOf(f)
	if ok, why := d.covered(s); !ok && (r.lengthens || r.cookies) {
		d.refuse(Refusal{Code: ByPolicy, Scope: s.scope, Message: "the policy does not cover this namespace: " + why})
		r = remedy{}
	}
	if r.never && l != nil {
		a := listenAsk(s, l, 0, false)
		d.refuse(*a.refusal(NotTheQueue, sentence(f.Title)+f.Why))
	}
	if r.cookies && d.Person {
		d.cookiesOn(s, f)
	}
	if r.lengthens && l != nil && (d.Person || r.byLoop) {
		d.lengthen(s, l, f)
	}
	d.hints(s, l, f)
}

// listenerOf returns the listener a finding is about.
func (s *space) listenerOf(f *inspection.Finding) *inspection.Listener {
	if f.Listener == nil {
		return nil
	}
	for _, l := range s.listeners {
		if l.Cookie == f.Listener.Cookie && l.Inode == f.Listener.Inode {
			return l
		}
	}
	return nil
}

// cookiesOn turns syncookies on where they are off.
func (d *draft) cookiesOn(s *space, f *inspection.Finding) {
	if cookies, known := d.value(s, tcpq.TCPSyncookies); !known || cookies != 0 {
		return
	}
	a, r := d.sysctlAsk(s, tcpq.TCPSyncookies, 1, false)
	if r != nil {
		d.refuse(*r)
		return
	}
	d.take(a, f.Why, f.Code)
}

// lengthen raises somaxconn as far as the listener needs it, and resizes the
// listener with its reuse-port group where that is allowed.
func (d *draft) lengthen(s *space, l *inspection.Listener, f *inspection.Finding) {
	limit := int64(l.AcceptQueue.Limit)
	wanted := listenAsk(s, l, f.Limit, false)
	members := s.together(l)
	switch {
	case f.Limit == 0: // the finding says why
		d.refuse(*wanted.refusal(NotTheQueue, f.Why))
		return
	case f.Limit <= limit:
		return
	case slices.ContainsFunc(members, atFault):
		return // refused because of that finding
	case !d.Person && slices.ContainsFunc(members, func(m *inspection.Listener) bool { return d.excluded(m.Owner) }):
		d.refuse(*wanted.refusal(Excluded, "this program is left alone"))
		return
	}
	refused := d.mayResizeAll(s, members, f.Limit, false)
	if refused != nil {
		d.refuse(*refused)
		members = nil
	}
	if _, r := d.sysctlAsk(s, tcpq.Somaxconn, f.Limit, false); r != nil {
		d.refuse(*r)
		return
	}
	asks := func(to int64) []ask { return d.asksFor(s, members, to, false) }
	to, broken := d.fit(f.Limit, limit, asks)
	if broken != nil {
		d.refuse(*broken)
	}
	if to == 0 {
		return
	}
	for _, a := range asks(to) {
		d.take(a, f.Why, f.Code)
	}
}

// atFault reports whether something was found at a listener that says that its
// queue is not at fault.
func atFault(l *inspection.Listener) bool {
	return slices.ContainsFunc(l.Findings, func(code string) bool { return remedyOf(code).never })
}

// asksFor returns what gives these listeners a limit: somaxconn first where it
// would cut the limit down.
func (d *draft) asksFor(s *space, members []*inspection.Listener, to int64, named bool) []ask {
	var all []ask
	if somaxconn, _ := d.value(s, tcpq.Somaxconn); somaxconn < to {
		a, _ := d.sysctlAsk(s, tcpq.Somaxconn, to, named)
		all = append(all, a)
	}
	for _, m := range members {
		all = append(all, listenAsk(s, m, to, named))
	}
	return all
}

// fit returns the largest limit that no rail forbids, of the one that is wanted
// and the powers of two below it, and what refused the one above it. What is not a
// quarter longer than the limit now makes no difference: then it is 0.
func (d *draft) fit(want, limit int64, asks func(int64) []ask) (to int64, refused *Refusal) {
	for to = want; to > 0 && to*4 >= limit*5; to = powerBelow(to) {
		r := d.broken(asks(to))
		switch {
		case r == nil && refused == nil:
			return to, nil
		case r == nil:
			refused.Code = Capped
			refused.Message += fmt.Sprintf("; %d is planned instead", to)
			return to, refused
		}
		refused = r
		refused.To = want
	}
	return 0, refused
}

// powerBelow returns the largest power of two below n, 0 for 1.
func powerBelow(n int64) int64 { return 1 << bits.Len64(uint64(n-1)) / 2 }

// hints notes what the owner of the program has to do himself.
func (d *draft) hints(s *space, l *inspection.Listener, f *inspection.Finding) {
	a := Advice{Scope: s.scope, Code: f.Code}
	if l != nil {
		a.Listener = l.Name()
		if l.Owner != nil {
			a.Comm = l.Owner.Comm
		}
	}
	for _, h := range f.Hints {
		a.Text, a.Example = h.String(), h.Example
		if h.Note != "" {
			a.Text += ". " + h.Note
		}
		d.advice(a)
	}
	for _, c := range f.Changes {
		if !slices.ContainsFunc(d.asked, func(b ask) bool { return b.space == s && b.key.String() == c.Key }) && !d.settles(s, c) {
			a.Text, a.Example = fmt.Sprintf("set %s from %d to %d in this namespace", c.Key, c.From, c.To), fmt.Sprintf("sysctl -w %s=%d", c.Key, c.To)
			d.advice(a)
		}
	}
}

// settles reports whether a change needs no advice: it was refused with its reason,
// or is idle with the cookies that the plan turns on.
func (d *draft) settles(s *space, c inspection.Change) bool {
	cookies, _ := d.value(s, tcpq.TCPSyncookies)
	return c.Key == tcpq.Somaxconn.String() && c.To > c.From || c.Key == tcpq.TCPMaxSynBacklog.String() && cookies != 0
}

// sentence makes a title one.
func sentence(title string) string {
	if title == "" {
		return ""
	}
	return strings.ToUpper(title[:1]) + title[1:] + ". "
}
