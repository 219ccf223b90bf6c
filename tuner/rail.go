// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tuner

import (
	"strconv"
	"strings"
	"time"

	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/policy"
	"github.com/qtune/qtune/tcpq"
)

// freeLimit is net.core.somaxconn of a new namespace since Linux 5.4. The rails
// that guard memory and waiting never refuse a limit up to it, and count only what
// is above: who has the kernel's own default is not to be told off for it.
const freeLimit = 4096

// youngest is how old a namespace has to be before the loop changes anything: a
// program that starts calls listen(2) more than once, and is slow for a while.
const youngest = time.Minute

// A rail is a bound that nothing in a plan may pass.
type rail struct {
	name string
	unit string

	// check returns whether an ask, one of all that are made together, passes
	// the rail, and both numbers.
	check func(d *draft, a *ask, all []ask) (limit, actual float64, broken bool)

	says string // with {limit} and {actual}
	ways []string
}

// rails is the table; one row is one rail. Of several that are broken the first is
// told.
var rails = []rail{
	{
		name: "increase-only", unit: "connections",
		check: func(d *draft, a *ask, _ []ask) (limit, actual float64, broken bool) {
			lower := a.to < a.from && (a.kind == KindListen || a.key != tcpq.TCPSyncookies)
			return float64(a.from), float64(a.to), lower && !(d.AllowDecrease && d.Person)
		},
		says: "the value would fall from {limit} to {actual}, and is only ever raised",
		ways: []string{"--allow-decrease, of a person"},
	},
	{
		name: "bounds", unit: "connections",
		check: func(d *draft, a *ask, _ []ask) (limit, actual float64, broken bool) {
			r, bounded := d.bounds(a)
			switch {
			case bounded && a.to > r.Max:
				return float64(r.Max), float64(a.to), true
			case bounded && a.to < r.Min && (a.to < a.from || a.to < 1): // towards them is always right
				return float64(r.Min), float64(a.to), true
			}
			return 0, 0, false
		},
		says: "{actual} is outside the bounds of the policy, which end at {limit}",
		ways: []string{"other bounds in a policy file: spec.bounds"},
	},
	{
		name: "cookies-on",
		check: func(_ *draft, a *ask, _ []ask) (limit, actual float64, broken bool) {
			return 1, float64(a.to), a.sets(tcpq.TCPSyncookies) && (a.from != 0 || a.to != 1)
		},
		says: "net.ipv4.tcp_syncookies is only ever changed from 0 to {limit}, not to {actual}: turning protection off does not make a queue longer",
		ways: []string{"sysctl -w, by hand"},
	},
	{
		name: "cookies-off-for-syn-backlog",
		check: func(d *draft, a *ask, all []ask) (limit, actual float64, broken bool) {
			cookies, known := d.value(a.space, tcpq.TCPSyncookies)
			for i := range all {
				if all[i].space == a.space && all[i].sets(tcpq.TCPSyncookies) {
					cookies = all[i].to
				}
			}
			return 0, float64(cookies), a.sets(tcpq.TCPMaxSynBacklog) && (!known || cookies != 0)
		},
		says: "net.ipv4.tcp_max_syn_backlog is not looked at unless net.ipv4.tcp_syncookies is {limit}, and it is {actual}: nothing would change",
		ways: []string{"a longer backlog of the listener, which bounds its SYN queue"},
	},
	{
		name: "step", unit: "connections",
		check: func(_ *draft, a *ask, _ []ask) (limit, actual float64, broken bool) {
			most := max(4*a.from, freeLimit)
			return float64(most), float64(a.to), !a.named && a.to > most
		},
		says: "{actual} is more than four times as much at once: at most {limit}",
		ways: []string{"ask again when this proved to help", "name the value: KEY=N or --listener ADDR:PORT=N"},
	},
	{
		name: "age", unit: "s",
		check: func(d *draft, a *ask, _ []ask) (limit, actual float64, broken bool) {
			age, named := d.Ages[a.space.ns.Inode]
			return youngest.Seconds(), age.Seconds(), !d.Person && named && age < youngest
		},
		says: "the namespace has been there for {actual}, and the loop lets a program start for {limit}",
		ways: []string{"wait"},
	},
	{
		// What was computed from a finding is within the budget already: the
		// policy's own rule knows how fast the program is when it is busy.
		name: "worst-wait", unit: "s",
		check: func(d *draft, a *ask, _ []ask) (limit, actual float64, broken bool) {
			budget := d.Policy.LatencyBudget.Seconds()
			if a.kind != KindListen || !a.named || a.to <= freeLimit || a.to <= a.from {
				return 0, 0, false
			}
			rate, known := d.acceptRate(a.space, a.listener)
			if !known {
				return 0, 0, false
			}
			return budget, float64(a.to) / rate, float64(a.to)/rate > budget
		},
		says: "at the rate at which the program was seen to accept, the last of a full queue would wait {actual}, and the policy allows {limit}",
		ways: []string{
			"a faster program", "watch while it is busy: what was seen is no more than what came",
			"a larger spec.latencyBudget of the policy",
		},
	},
	{
		name: "memory-known",
		check: func(d *draft, a *ask, _ []ask) (limit, actual float64, broken bool) {
			m := &d.Memory
			known := m.Total > 0 && m.PageSize > 0 && m.TCPPages[1] > 0
			return 1, 0, !known && d.adds(a) > 0
		},
		says: "how much memory the host has, and of it for TCP, could not be read",
		ways: []string{"a limit of 4096 or less"},
	},
	{
		name: "memory-pressure", unit: "bytes",
		check: func(d *draft, a *ask, _ []ask) (limit, actual float64, broken bool) {
			m := &d.Memory
			return float64(m.TCPPages[0] * m.PageSize), float64(m.TCPUsed * m.PageSize), m.TCPUsed > m.TCPPages[0] && d.adds(a) > 0
		},
		says: "TCP takes {actual} now; above {limit}, the first value of net.ipv4.tcp_mem, no queue is made longer than 4096",
		ways: []string{"wait until TCP takes less", "a larger net.ipv4.tcp_mem", "a limit of 4096 or less"},
	},
	{
		name: "idle-memory", unit: "bytes",
		check: func(d *draft, a *ask, all []ask) (limit, actual float64, broken bool) {
			return d.overMemory(a, all, idleBytes, d.Memory.Total, d.Policy.Memory.Idle)
		},
		says: "what is above 4096 of all longer queues would take {actual} when they are full, and the policy allows {limit} of the host's memory",
		ways: []string{"a larger spec.memory.idlePercent of the policy", "a faster program", "a limit of 4096 or less"},
	},
	{
		name: "worst-memory", unit: "bytes",
		check: func(d *draft, a *ask, all []ask) (limit, actual float64, broken bool) {
			return d.overMemory(a, all, d.worstBytes(), d.Memory.TCPPages[1]*d.Memory.PageSize, d.Policy.Memory.Worst)
		},
		says: "what is above 4096 of all longer queues would take {actual} when each peer has sent all it may before accept(2), " +
			"charged to no cgroup, and the policy allows {limit} of TCP's memory",
		ways: []string{
			"a larger spec.memory.worstPercent of the policy; a smaller second value of net.ipv4.tcp_rmem in that namespace, " +
				"which qtune does not read, makes that safe",
			"a faster program", "a limit of 4096 or less",
		},
	},
}

// sets reports whether the ask is for this setting.
func (a *ask) sets(key tcpq.Sysctl) bool { return a.kind == KindSysctl && a.key == key }

// bounds returns those of the policy for what is asked.
func (d *draft) bounds(a *ask) (policy.Range, bool) {
	switch {
	case a.kind == KindListen:
		return d.Policy.Backlog, true
	case a.key == tcpq.Somaxconn:
		return d.Policy.Somaxconn, true
	case a.key == tcpq.TCPMaxSynBacklog:
		return d.Policy.MaxSynBacklog, true
	}
	return policy.Range{}, false
}

// broken returns the refusal of the first rail that asks made together break, nil
// when all hold.
func (d *draft) broken(all []ask) *Refusal {
	for i := range all {
		a := &all[i]
		for j := range rails {
			limit, actual, broken := rails[j].check(d, a, all)
			if !broken {
				continue
			}
			r := a.refusal(ByRail, "")
			rails[j].tell(r, limit, actual)
			return r
		}
	}
	return nil
}

func (r *rail) tell(to *Refusal, limit, actual float64) {
	to.Rail, to.Limit, to.Actual, to.Unit, to.WaysOut = r.name, limit, actual, r.unit, r.ways
	to.Message = strings.NewReplacer("{limit}", r.text(limit), "{actual}", r.text(actual)).Replace(r.says)
}

// text writes a number of the rail with its unit.
func (r *rail) text(n float64) string {
	switch r.unit {
	case "bytes":
		return inspection.BytesText(uint64(n))
	case "s":
		return strconv.FormatFloat(n, 'f', 1, 64) + " s"
	}
	return strconv.FormatFloat(n, 'f', -1, 64)
}
