// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernel

import (
	"slices"
	"sync"
	"testing"

	"github.com/qtune/qtune/test/lab"
)

// A row is one scenario: its name says what it proves.
type row struct {
	name string
	set  func(*play) // sets the scene and says what must come of it
}

func (r *row) run(t *testing.T) {
	t.Run(r.name, func(t *testing.T) {
		p := newPlay(t)
		r.set(p)
		p.run()
	})
}

// TestKernelScenario lets qtune watch one load after the other, and wants of each
// the one critical or warning finding it is, on the one listener it is about.
func TestKernelScenario(t *testing.T) {
	lab.NeedRoot(t)
	lab.NeedRealTime(t)
	lab.NeedProgram(t, "ip")
	lab.Binary(t)
	rows := slices.Concat(loadRows(), slowRows(), stuckRows(), synRows(), cookieRows(), memberRows(), innocentRows(), pastRows())
	// Most of a row's time is waiting. More at a time would disturb each other.
	const together = 8
	places := make(chan struct{}, together)
	var all sync.WaitGroup
	for _, r := range rows {
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			r.run(t)
		})
	}
	all.Wait()
	for _, r := range lonelyRows() {
		r.run(t)
	}
	if len(rows) < 40 {
		t.Errorf("%d rows, want at least 40", len(rows))
	}
}
