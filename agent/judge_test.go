// SPDX-License-Identifier: Apache-2.0

//go:build linux

package agent

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/qtune/qtune/advisor"
	"github.com/qtune/qtune/policy"
	"github.com/qtune/qtune/tcpq"
)

// A stretch is how a listener of limit 8 goes for some slots of 10 s.
type stretch struct {
	slots    int
	length   uint32 // of its queue at the end of each
	accepted uint64 // in each
	refused  uint64 // in each
}

func play(stretches []stretch) (*tcpq.Snapshot, *tcpq.Window) {
	c := course{slot: 10 * time.Second}
	var second int
	var opened, refused uint64
	step := func(length uint32) {
		s := at(second, refused, listening(length, uint32(refused)))
		s.Namespaces[0].Counters.Set(tcpq.PassiveOpens, opened)
		s.Namespaces[0].Counters.Set(tcpq.ListenOverflows, refused)
		c.add(s, nil)
		second += 10
	}
	step(0)
	for _, st := range stretches {
		for range st.slots {
			opened += st.accepted
			refused += st.refused
			step(st.length)
		}
	}
	return c.last, &c.window
}

func TestJudge(t *testing.T) {
	healthy := stretch{slots: 54, accepted: 1000}
	tests := []struct {
		name      string
		stretches []stretch
		want      []advisor.Code // critical and warning
		recent    bool           // of the last minute
	}{
		{"nothing is found when nothing happens", []stretch{healthy}, nil, false},
		{"what accepted for nine minutes and stopped is stuck", []stretch{healthy, {slots: 6, length: 9, refused: 20}}, []advisor.Code{advisor.ApplicationStuck}, true},
		{"a burst nine minutes ago is still told", []stretch{{slots: 1, accepted: 500, refused: 20}, healthy}, []advisor.Code{advisor.AcceptQueueOverflow}, false},
		{"a burst now is told once", []stretch{healthy, {slots: 1, accepted: 500, refused: 20}}, []advisor.Code{advisor.AcceptQueueOverflow}, true},
		{"what was worse before is not hidden by a warning of now", []stretch{{slots: 2, accepted: 500, refused: 20}, healthy, {slots: 3, accepted: 100, length: 7}}, []advisor.Code{advisor.AcceptQueueOverflow}, false},
		{"and is forgotten when it is older than the window", []stretch{{slots: 2, accepted: 500, refused: 20}, healthy, healthy}, nil, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, w := play(tt.stretches)
			p := policy.Default()
			var got []advisor.Code
			for _, f := range judge(s, w, &p).Findings {
				if f.Severity == advisor.Info {
					continue
				}
				got = append(got, f.Code)
				if recent := strings.Contains(f.Why, "of the last 60 s"); recent != tt.recent {
					t.Errorf("%q says that it is of the last minute: %t, want %t", f.Why, recent, tt.recent)
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("judge found %v, want %v", got, tt.want)
			}
		})
	}
}
