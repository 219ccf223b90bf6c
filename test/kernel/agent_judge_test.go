// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernel

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/test/lab"
)

// judged are scenarios of the table that an agent is to judge as inspect does.
var judged = []string{
	"a busy server that keeps up needs no finding",
	"bursts of 60 % of the limit are no finding",
	"bursts that fill nine tenths without loss come near the limit",
	"bursts over the limit that are drained again overflow a queue that is too short",
	"a single burst far over the limit overflows, too",
	"a queue that stands while connections come and go is a slow application",
	"a queue that stands at its limit and loses is a slow application",
	"a server that never accepts is stuck",
	"a flood that cookies answer is a flood",
	"a server that never accepts is stuck before its queue is full",
	"an old loss of a listener that is quiet now is of the past",
}

// TestKernelAgentJudges lets one agent watch several loads side by side and wants of
// each the finding that inspect wants of it, once it has gone on for as long as the
// agent calls recent; and in the end of no server that keeps up any.
func TestKernelAgentJudges(t *testing.T) {
	lab.NeedRoot(t)
	lab.NeedRealTime(t)
	rows := slices.DeleteFunc(slices.Concat(loadRows(), slowRows(), stuckRows(), synRows(), pastRows()), func(r row) bool {
		return !slices.Contains(judged, r.name)
	})
	if len(rows) != len(judged) {
		t.Fatalf("%d scenarios of these names, want %d", len(rows), len(judged))
	}
	plays := make([]*play, len(rows))
	for i, r := range rows {
		plays[i] = newPlay(t)
		r.set(plays[i])
	}
	a := lab.StartAgent(t, "--step", "170ms") // of which waves of 200 ms are no multiple
	stop := make(chan struct{})
	var loads sync.WaitGroup
	defer loads.Wait()
	defer sync.OnceFunc(func() { close(stop) })()
	for _, p := range plays {
		loads.Go(func() {
			going := make(chan struct{})
			close(going)
			p.ns.Do(func() {
				p.load(going, func() bool {
					select {
					case <-stop:
						return true
					default:
						return false
					}
				})
			})
		})
	}
	began := time.Now()
	var wrong []string
	right := 0
	var last time.Time
	lab.Within(12*time.Second, func() bool {
		if time.Since(began) < 4*time.Second { // longer than what is recent
			return false
		}
		in := a.Inspection()
		if in.Time.Equal(last) {
			return false
		}
		last = in.Time
		wrong = wrong[:0]
		for i, p := range plays {
			if got, want := p.loud(in), p.wanted(); !slices.Equal(got, want) {
				wrong = append(wrong, rows[i].name+": found "+strings.Join(got, " ")+", want "+strings.Join(want, " "))
			}
		}
		right++
		if len(wrong) > 0 {
			right = 0
		}
		return right >= 3
	})
	for _, w := range wrong {
		t.Error(w)
	}
}

// loud returns the critical and warning findings of the play's namespace.
func (p *play) loud(in *inspection.Inspection) (codes []string) {
	for _, f := range in.Findings {
		if f.Netns == p.ns.Inode && f.Severity != "info" {
			codes = append(codes, f.Code)
		}
	}
	slices.Sort(codes)
	return codes
}

func (p *play) wanted() (codes []string) {
	for _, v := range p.verdicts {
		codes = append(codes, v.code)
	}
	slices.Sort(codes)
	return codes
}
