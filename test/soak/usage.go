// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/qtune/qtune/test/daemon"
)

// Usages are what the agent held, again and again, life by life.
type usages struct {
	mu    sync.Mutex // guards lives
	lives map[int][]timedUsage
}

type timedUsage struct {
	at time.Time
	daemon.Usage
}

func (u *usages) add(life int, usage daemon.Usage) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.lives == nil {
		u.lives = map[int][]timedUsage{}
	}
	u.lives[life] = append(u.lives[life], timedUsage{time.Now(), usage})
}

// What may grow from one quarter of a life to another. The agent remembers ten
// minutes, so its memory is judged after those only; until then it has a bar.
const (
	judgedAfter    = 45 * time.Second
	remembered     = 11 * time.Minute
	moreHandles    = 8 // connections of scrapers come and go
	moreThreads    = 4
	moreMemory     = 0.15
	moreMemoryAlso = 3 << 20
	memoryBar      = 128 << 20
)

// judge compares the quarters of each life.
func (u *usages) judge(r *report) {
	for life, all := range u.lives {
		for _, one := range all {
			r.check("flat", one.RSS <= memoryBar, "life %d: %d MiB resident", life, one.RSS>>20)
		}
		long := all[len(all)-1].at.Sub(all[0].at)
		if long < judgedAfter {
			continue
		}
		second, last := quarter(all, 1), quarter(all, 3)
		handles := func(t timedUsage) int64 { return int64(t.Handles) }
		threads := func(t timedUsage) int64 { return int64(t.Threads) }
		memory := func(t timedUsage) int64 { return t.RSS }
		was, is := middle(second, handles), middle(last, handles)
		r.check("flat", is <= was+moreHandles, "life %d: %d descriptors in its second quarter, %d in its last", life, was, is)
		was, is = middle(second, threads), middle(last, threads)
		r.check("flat", is <= was+moreThreads, "life %d: %d threads in its second quarter, %d in its last", life, was, is)
		if old := slices.IndexFunc(all, func(t timedUsage) bool { return t.at.Sub(all[0].at) > remembered }); old > 0 && long > remembered+2*time.Minute {
			rest := all[old:]
			was, is = middle(quarter(rest, 0), memory), middle(quarter(rest, 3), memory)
			r.check("flat", float64(is) <= float64(was)*(1+moreMemory)+moreMemoryAlso,
				"life %d: %.1f MiB after %v, %.1f MiB at its end", life, float64(was)/(1<<20), remembered, float64(is)/(1<<20))
		}
	}
}

// quarter returns one of the four quarters of a life.
func quarter(all []timedUsage, i int) []timedUsage {
	n := len(all)
	return all[i*n/4 : max((i+1)*n/4, i*n/4+1)]
}

// middle returns the median of something.
func middle(all []timedUsage, of func(timedUsage) int64) int64 {
	sorted := slices.SortedFunc(slices.Values(all), func(a, b timedUsage) int { return cmp.Compare(of(a), of(b)) })
	return of(sorted[len(sorted)/2])
}
