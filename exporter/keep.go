// SPDX-License-Identifier: Apache-2.0

//go:build linux

package exporter

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/qtune/qtune/tcpq"
)

// activeFor is how long a listener counts as active after it lost, filled or had a
// finding.
const activeFor = time.Hour

// staying is what a listener with series is ahead of one without: 6 points of fill,
// or 16 doublings of discards. Series do not come and go with every packet.
const staying = 1.0 / 16

// keepEntries decides which listeners have series of their own, and returns how many
// have none because of a cap.
func keepEntries(entries []*entry, now time.Time, o *Options) (dropped int) {
	candidates := make([]*entry, 0, len(entries))
	perNetns := map[*account]int{}
	for _, e := range entries {
		e.judge(now)
		if o.Series == SeriesActive && (e.active.IsZero() || now.Sub(e.active) > activeFor) {
			e.kept = false
			continue
		}
		candidates = append(candidates, e)
		perNetns[e.account]++
	}
	fits := len(candidates) <= o.MaxListeners
	for _, n := range perNetns {
		fits = fits && n <= o.MaxListenersPerNetns
	}
	if !fits {
		slices.SortFunc(candidates, func(a, b *entry) int {
			return cmp.Or(cmp.Compare(b.rank, a.rank), strings.Compare(a.of.Cookie, b.of.Cookie))
		})
	}
	kept := 0
	clear(perNetns)
	for _, e := range candidates {
		e.kept = kept < o.MaxListeners && perNetns[e.account] < o.MaxListenersPerNetns
		if !e.kept {
			dropped++
			continue
		}
		kept++
		perNetns[e.account]++
	}
	return dropped
}

// judge ranks a listener: those with loss in the window come first, then the fuller
// ones, then those that discarded more, which alone is worth an eighth of a queue at
// most.
func (e *entry) judge(now time.Time) {
	q := &e.of.AcceptQueue
	peak := q.Length
	for _, p := range []*uint32{q.Peak, q.RecentPeak} {
		if p != nil {
			peak = max(peak, *p)
		}
	}
	fill := min(1, float64(peak)/(float64(q.Limit)+1))
	loss := e.of.Refused != nil && e.of.Refused.Max > 0
	if e.living && (loss || fill > 0.25 || len(e.of.Findings) > 0) {
		e.active = now
	}
	e.rank = fill + math.Log2(1+float64(countsOf(e.of).discards))/256
	if loss {
		e.rank += 2
	}
	if e.kept {
		e.rank += staying
	}
}

// keepAccounts decides which namespaces have series, and returns how many have none:
// the host comes first, then the living, then those that refused anything.
func keepAccounts(accounts []*account, most int) (dropped int) {
	if len(accounts) > most {
		accounts = slices.Clone(accounts)
		rank := func(a *account) (rank float64) {
			for i, ahead := range []bool{a.kept, a.counters[tcpq.ListenDrops.String()] > 0, a.of.Moved[tcpq.ListenDrops.String()] > 0, a.living, a.of.Host} {
				if ahead {
					rank += float64(int(1) << i)
				}
			}
			return rank
		}
		slices.SortStableFunc(accounts, func(a, b *account) int { return cmp.Compare(rank(b), rank(a)) })
	}
	for i, a := range accounts {
		a.kept = i < most
	}
	return max(0, len(accounts)-most)
}
