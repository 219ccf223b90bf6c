// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernel

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/qtune/qtune/test/lab"
)

// A row is one scenario: its name says what it proves.
type row struct {
	name string
	set  func(*play) // sets the scene and says what must come of it
}

func (r *row) run(t testing.TB) {
	p := newPlay(t)
	r.set(p)
	p.run()
}

// An attempt at a row that may fail: other rows load the machine beside it.
type attempt struct {
	*testing.T
	failed atomic.Bool
}

func (a *attempt) Fail() { a.failed.Store(true) }

func (a *attempt) FailNow() {
	a.Fail()
	a.Skip("failed beside other rows, to be tried again alone")
}

func (a *attempt) Error(args ...any) {
	a.Helper()
	a.Log(args...)
	a.Fail()
}

func (a *attempt) Errorf(format string, args ...any) {
	a.Helper()
	a.Logf(format, args...)
	a.Fail()
}

func (a *attempt) Fatal(args ...any) {
	a.Helper()
	a.Log(args...)
	a.FailNow()
}

func (a *attempt) Fatalf(format string, args ...any) {
	a.Helper()
	a.Logf(format, args...)
	a.FailNow()
}

// TestKernelScenario lets qtune watch one load after the other, and wants of each
// the one critical or warning finding it is, on the one listener it is about.
func TestKernelScenario(t *testing.T) {
	lab.NeedRoot(t)
	lab.NeedRealTime(t)
	lab.NeedProgram(t, "ip")
	lab.Binary(t)
	rows := slices.Concat(loadRows(), slowRows(), stuckRows(), synRows(), cookieRows(), memberRows(), innocentRows(), pastRows())
	alone := append(lonelyRows(), together(t, rows)...)
	for _, r := range alone {
		t.Run(r.name, func(t *testing.T) { r.run(t) })
	}
	if len(rows) < 40 {
		t.Errorf("%d rows, want at least 40", len(rows))
	}
}

// together plays rows side by side, as most of a row's time is waiting, and
// returns those that failed, of which the machine may have been the cause.
func together(t *testing.T, rows []row) (failed []row) {
	const atATime = 8
	places := make(chan struct{}, atATime)
	var all sync.WaitGroup
	var mu sync.Mutex // guards failed
	for _, r := range rows {
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			var a attempt
			t.Run(r.name, func(t *testing.T) {
				a.T = t
				r.run(&a)
			})
			if a.failed.Load() {
				mu.Lock()
				defer mu.Unlock()
				failed = append(failed, r)
			}
		})
	}
	all.Wait()
	return failed
}
