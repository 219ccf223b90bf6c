// SPDX-License-Identifier: Apache-2.0

//go:build linux

package exporter

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/qtune/qtune/inspection"
)

// ports returns which listeners have series of their own, "other" included.
func ports(t *testing.T, e *Exporter) []string {
	t.Helper()
	var got []string
	for name := range only(told(t, e), "listener_accept_queue_length") {
		_, listener, _ := strings.Cut(name, "listener=")
		listener, _, _ = strings.Cut(listener, ",")
		got = append(got, strings.TrimPrefix(listener, "[::]:"))
	}
	slices.Sort(got)
	return got
}

// filled is a listener of which so many of 99 places were taken at its peak.
func filled(netns uint64, port uint16, peak uint32) inspection.Listener {
	l := aListener(netns, port, fmt.Sprint(port), 0)
	l.AcceptQueue = inspection.AcceptQueue{Length: 1, Limit: 98, RecentPeak: &peak}
	return l
}

func TestWhoIsKept(t *testing.T) {
	type listeners = []inspection.Listener
	lost := func(l inspection.Listener) inspection.Listener {
		l.Refused = &inspection.Refused{Max: 1}
		return l
	}
	discarded := func(l inspection.Listener, n uint64) inspection.Listener {
		l.Totals = &inspection.Totals{Discards: n}
		return l
	}
	found := func(l inspection.Listener) inspection.Listener {
		l.Findings = []string{"past-loss"}
		return l
	}
	two := Options{MaxListeners: 2}
	active := Options{Series: SeriesActive}
	tests := []struct {
		name  string
		o     Options
		steps []listeners
		after time.Duration // between two steps
		want  []string
	}{
		{"all that fit", two, []listeners{{filled(1, 1, 0), filled(1, 2, 0)}}, 0, []string{"1", "2"}},
		{"those with loss before fuller ones", two, []listeners{{filled(1, 1, 99), filled(1, 2, 50), lost(filled(1, 3, 0))}}, 0, []string{"1", "3", "other"}},
		{"fuller ones before those that discarded", two, []listeners{{discarded(filled(1, 1, 0), 9999), filled(1, 2, 50), filled(1, 3, 60)}}, 0, []string{"2", "3", "other"}},
		{"of equals, those that discarded more", two, []listeners{{filled(1, 1, 0), discarded(filled(1, 2, 0), 5), discarded(filled(1, 3, 0), 50)}}, 0, []string{"2", "3", "other"}},
		{"of equals, the older", two, []listeners{{filled(1, 3, 0), filled(1, 2, 0), filled(1, 1, 0)}}, 0, []string{"1", "2", "other"}},
		{"who was kept stays when another is a little fuller", two, []listeners{
			{filled(1, 1, 20), filled(1, 2, 20), filled(1, 3, 10)},
			{filled(1, 1, 20), filled(1, 2, 20), filled(1, 3, 24)},
		}, 0, []string{"1", "2", "other"}},
		{"and goes when another is much fuller", two, []listeners{
			{filled(1, 1, 20), filled(1, 2, 21), filled(1, 3, 10)},
			{filled(1, 1, 20), filled(1, 2, 21), filled(1, 3, 40)},
		}, 0, []string{"2", "3", "other"}},
		{"and does not come back for a little", two, []listeners{
			{filled(1, 1, 20), filled(1, 2, 21), filled(1, 3, 10)},
			{filled(1, 1, 20), filled(1, 2, 21), filled(1, 3, 40)},
			{filled(1, 1, 41), filled(1, 2, 42), filled(1, 3, 40)},
		}, 0, []string{"2", "3", "other"}},
		{"so many of a namespace", Options{MaxListenersPerNetns: 1}, []listeners{{filled(1, 1, 1), filled(1, 2, 9), filled(2, 3, 0)}}, 0, []string{"2", "3", "other"}},
		{"only active ones, when asked", active, []listeners{{filled(1, 1, 24), filled(1, 2, 25), found(filled(1, 3, 0)), lost(filled(1, 4, 0))}}, 0, []string{"2", "3", "4", "other"}},
		{"active for an hour", active, []listeners{{filled(1, 2, 25)}, {filled(1, 2, 0)}}, time.Hour, []string{"2"}},
		{"and not longer", active, []listeners{{filled(1, 2, 25)}, {filled(1, 2, 0)}}, time.Hour + 1, []string{"other"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := newExporter(t, &aSource{}, tt.o)
			at := time.Now()
			for _, ls := range tt.steps {
				e.Publish(&inspection.Inspection{Time: at, Listeners: ls, Namespaces: []inspection.Namespace{aNetns(1, "a", 0), aNetns(2, "b", 0)}})
				at = at.Add(tt.after)
			}
			if diff := cmp.Diff(tt.want, ports(t, e)); diff != "" {
				t.Errorf("kept (-want +got):\n%s", diff)
			}
		})
	}
}

// TestOther moves a listener out of its own series and back.
func TestOther(t *testing.T) {
	e := newExporter(t, &aSource{}, Options{MaxListeners: 1})
	const own, other = "listener_discarded_packets_total{listener=[::]:1,netns=1}", "listener_discarded_packets_total{listener=other,netns=1}"
	for i, step := range []struct {
		peak     uint32 // of :1; that of :2 is 50
		discards uint64 // of :1
		want     map[string]float64
	}{
		{90, 100, map[string]float64{own: 100, other: 0}}, // what came before the agent is of nobody
		{90, 110, map[string]float64{own: 110, other: 0}},
		{0, 125, map[string]float64{other: 15}},
		{0, 126, map[string]float64{other: 16}},
		{99, 130, map[string]float64{own: 114, other: 16}}, // what the others were told is not told again
	} {
		l := filled(1, 1, step.peak)
		l.Totals = &inspection.Totals{Discards: step.discards}
		e.Publish(&inspection.Inspection{Listeners: []inspection.Listener{l, filled(1, 2, 50)}, Namespaces: []inspection.Namespace{aNetns(1, "a", 0)}})
		if diff := cmp.Diff(step.want, only(told(t, e), own, other)); diff != "" {
			t.Errorf("step %d (-want +got):\n%s", i, diff)
		}
	}
	if got, want := testutil.ToFloat64(e.self.dropped), 5.0; got != want {
		t.Errorf("qtune_series_dropped_total = %v, want %v", got, want)
	}
	got := only(told(t, e), "listener_accept_queue_l")
	want := map[string]float64{
		"listener_accept_queue_length{listener=[::]:1,netns=1}": 1, "listener_accept_queue_length{listener=other,netns=1}": 1,
		"listener_accept_queue_limit{listener=[::]:1,netns=1}": 98, "listener_accept_queue_limit{listener=other,netns=1}": 98,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lengths and limits (-want +got):\n%s", diff)
	}
}

// TestFindingsOfOthers: a flood of listeners is no flood of findings.
func TestFindingsOfOthers(t *testing.T) {
	e := newExporter(t, &aSource{}, Options{MaxListeners: 1})
	in := &inspection.Inspection{Namespaces: []inspection.Namespace{aNetns(1, "a", 0)}}
	for port := range uint16(100) {
		l := filled(1, port, 0)
		in.Listeners = append(in.Listeners, l)
		in.Findings = append(in.Findings, inspection.Finding{
			Code: "past-loss", Severity: "info", Netns: 1, Listener: &inspection.FindingListener{Netns: 1, Cookie: l.Cookie},
		})
	}
	e.Publish(in)
	want := map[string]float64{
		"finding{code=past-loss,listener=[::]:0,netns=1,severity=info}": 1,
		"finding{code=past-loss,listener=other,netns=1,severity=info}":  1,
	}
	if diff := cmp.Diff(want, only(told(t, e), "finding")); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}

// TestNamespacesAreCapped: the host first, then the living, and who has series stays.
func TestNamespacesAreCapped(t *testing.T) {
	e := newExporter(t, &aSource{}, Options{MaxNamespaces: 2})
	host := inspection.Namespace{Inode: 9, Cookie: "h", Host: true}
	e.Publish(&inspection.Inspection{
		Namespaces: []inspection.Namespace{aNetns(1, "a", 0), host},
		Gone:       &inspection.Gone{Namespaces: []inspection.Namespace{aNetns(2, "b", 7)}},
	})
	if diff := cmp.Diff(map[string]float64{"netns_info{netns=1}": 1, "netns_info{netns=9}": 1}, only(told(t, e), "netns_info")); diff != "" {
		t.Errorf("first step (-want +got):\n%s", diff)
	}
	e.Publish(&inspection.Inspection{Namespaces: []inspection.Namespace{aNetns(3, "c", 0), aNetns(1, "a", 0), host}})
	if diff := cmp.Diff(map[string]float64{"netns_info{netns=1}": 1, "netns_info{netns=9}": 1}, only(told(t, e), "netns_info")); diff != "" {
		t.Errorf("second step (-want +got):\n%s", diff)
	}
}

// TestChurn plays a thousand steps in which listeners and namespaces come, count, end
// and are followed by others of the same name. No series of one identity ever runs
// backwards, none is told twice, none grows by more than its listeners counted, and
// the caps hold.
func TestChurn(t *testing.T) {
	c := churn{rng: rand.New(rand.NewPCG(1, 2)), in: &inspection.Inspection{Time: time.Now(), Gone: &inspection.Gone{}}}
	o := Options{MaxListeners: 12, MaxListenersPerNetns: 5}
	e := newExporter(t, &aSource{}, o)
	last := map[string]float64{} // by series and identity, whenever it was told
	others := 0
	for step := range 1000 {
		counted := c.step() // by listener, and together by namespace
		e.Publish(c.in)
		got := only(told(t, e), "listener_discarded_packets_total")
		if len(got) > o.MaxListeners+namespaces {
			t.Fatalf("step %d: %d series, want at most %d and one for the others of each namespace", step, len(got), o.MaxListeners)
		}
		for _, s := range e.seriesIn(got) {
			before, ok := last[s.name+s.identity]
			switch {
			case ok && s.value < before:
				t.Fatalf("step %d: %s ran backwards, from %v to %v", step, s.name, before, s.value)
			case ok && s.value-before > float64(counted[s.identity]):
				t.Fatalf("step %d: %s grew by %v, want at most %d", step, s.name, s.value-before, counted[s.identity])
			case ok && s.value > before && strings.Contains(s.name, "other"):
				others++
			}
			last[s.name+s.identity] = s.value
		}
	}
	if others == 0 {
		t.Error("the others counted nothing in a thousand steps")
	}
	if n := len(e.ledger.listeners); n > 60 {
		t.Errorf("the ledger holds %d listeners, want those that are or were within ten minutes", n)
	}
	if n := len(e.ledger.accounts); n != namespaces {
		t.Errorf("the ledger holds %d namespaces, want %d", n, namespaces)
	}
}

// namespaces is how many there are at a time in TestChurn.
const namespaces = 4

// A toldSeries is a series of a scrape and whose it is: the cookie of a listener, or
// of a namespace for the others.
type toldSeries struct {
	name, identity string
	value          float64
}

func (e *Exporter) seriesIn(got map[string]float64) (all []toldSeries) {
	add := func(listener string, netns uint64, identity string) {
		name := fmt.Sprintf("listener_discarded_packets_total{listener=%s,netns=%d}", listener, netns)
		if value, ok := got[name]; ok {
			all = append(all, toldSeries{name, identity, value})
		}
	}
	for id, entry := range e.ledger.listeners {
		if entry.kept {
			add(entry.name, id.netns, id.cookie)
		}
	}
	for id := range e.ledger.accounts {
		add("other", id.netns, id.cookie)
	}
	return all
}

// churn is a host on which much comes and goes.
type churn struct {
	rng     *rand.Rand
	in      *inspection.Inspection
	cookies int
}

func (c *churn) cookie() string { c.cookies++; return fmt.Sprintf("%016x", c.cookies) }

// step makes the next Inspection and returns what was counted meanwhile.
func (c *churn) step() map[string]uint64 {
	next := &inspection.Inspection{
		Time: c.in.Time.Add(5 * time.Second),
		Gone: &inspection.Gone{Listeners: slices.Clone(c.in.Gone.Listeners)},
	}
	of := map[uint64]string{}
	for inode := range uint64(namespaces) {
		if i := int(inode); i < len(c.in.Namespaces) && c.rng.IntN(100) > 0 {
			next.Namespaces = append(next.Namespaces, c.in.Namespaces[i])
			of[inode] = c.in.Namespaces[i].Cookie
			continue
		}
		next.Namespaces = append(next.Namespaces, aNetns(inode, c.cookie(), 0))
	}
	counted := map[string]uint64{}
	for _, l := range c.in.Listeners {
		more := c.rng.Uint64N(9)
		l.Totals = &inspection.Totals{Discards: l.Totals.Discards + more}
		peak := c.rng.Uint32N(100)
		l.AcceptQueue.RecentPeak = &peak
		counted[l.Cookie] += more
		if c.rng.IntN(40) == 0 || of[l.Netns] == "" {
			next.Gone.Listeners = append(next.Gone.Listeners, l)
		} else {
			next.Listeners = append(next.Listeners, l)
		}
		counted[of[l.Netns]] += more
	}
	l := filled(c.rng.Uint64N(namespaces), uint16(c.rng.IntN(20)), 0)
	l.Cookie, l.Totals = c.cookie(), &inspection.Totals{Discards: c.rng.Uint64N(1000)}
	if !slices.ContainsFunc(next.Listeners, func(o inspection.Listener) bool { return o.Netns == l.Netns && o.Port == l.Port }) {
		next.Listeners = append(next.Listeners, l)
	}
	next.Gone.Listeners = next.Gone.Listeners[max(0, len(next.Gone.Listeners)-10):]
	c.in = next
	return counted
}
