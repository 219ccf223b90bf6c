// SPDX-License-Identifier: Apache-2.0

//go:build linux

package agent

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/policy"
	"github.com/qtune/qtune/tuner"
)

// bursts returns the load of a healthy server: a few connections all the time, and
// every minute so many at once, which are worked off.
func bursts(height uint32) func(*server, time.Duration) slotLoad {
	return func(_ *server, now time.Duration) slotLoad {
		load := slotLoad{calm: 50}
		if now%time.Minute == 0 {
			load.burst = height
		}
		return load
	}
}

// TestLoopTunesBursts proves that a healthy server whose queue is too short for its
// bursts gets a longer one, and keeps it because that helped.
func TestLoopTunesBursts(t *testing.T) {
	w := newWorld(t)
	s := w.serve(bursts(300))
	w.until(time.Hour, "applied", func() bool { return len(w.begins) == 1 })
	if s.limit <= 300 || s.somaxconn != 4096 {
		t.Errorf("on trial with limit %d and somaxconn %d, want more than 300 and 4096", s.limit, s.somaxconn)
	}
	w.until(31*time.Minute, "confirmed", func() bool { return w.journal[0].State == tuner.Confirmed })
	if age := w.now - w.begins[0]; age < w.policy.Trial.Duration {
		t.Errorf("confirmed after %v, want no sooner than %v", age, w.policy.Trial.Duration)
	}
	w.run(10 * time.Hour)
	if got := w.outcomes(); len(got) != 1 || got[0] != tuner.Confirmed {
		t.Errorf("the transactions of a day are %v, want one that is confirmed", got)
	}
	d := w.enforcer.loop.register.last(decisionsMost)
	i := slices.IndexFunc(d, func(d inspection.Decision) bool { return d.Action == actConfirm })
	if i < 0 || d[i].Transaction != w.journal[0].ID || !strings.Contains(d[i].Actual, "0 of ") || d[i].Expected == "" {
		t.Errorf("no decision explains it:\n%s", w.story(10))
	}
}

// TestLoopNeverTunes proves whom the loop leaves alone, whatever they lose.
func TestLoopNeverTunes(t *testing.T) {
	tests := []struct {
		name    string
		behaves func(*server, time.Duration) slotLoad
		prepare func(*world, *server)
		action  string
		rail    string
	}{
		{"a program that accepts too slowly", func(s *server, _ time.Duration) slotLoad {
			return slotLoad{burst: 100, stays: s.limit / 2}
		}, nil, actExplain, railTooSlow},
		{"one that is stuck", func(*server, time.Duration) slotLoad { return slotLoad{burst: 40, stays: 1 << 20} }, nil, actExplain, railTooSlow},
		{"a flood of SYNs", func(*server, time.Duration) slotLoad { return slotLoad{flood: 50000, scan: 100} }, nil, actWatch, ""},
		{"a flood on top of bursts", func(s *server, now time.Duration) slotLoad {
			load := bursts(300)(s, now)
			load.flood = 50000
			return load
		}, nil, actWatch, ""},
		{"a queue that is not worked off after two bursts of five", func(s *server, now time.Duration) slotLoad {
			if now%(10*time.Minute) < 4*time.Minute {
				return slotLoad{burst: 200, stays: 100}
			}
			return bursts(300)(s, now)
		}, nil, actWatch, ""},
		{"a handful of packets", func(_ *server, now time.Duration) slotLoad {
			if now%(5*time.Minute) == 0 {
				return slotLoad{burst: 130}
			}
			return slotLoad{calm: 50}
		}, nil, actWatch, ""},
		{"a burst every half a day", func(_ *server, now time.Duration) slotLoad {
			if now%(12*time.Hour) == 0 {
				return slotLoad{burst: 1000}
			}
			return slotLoad{calm: 50}
		}, nil, actWait, railHyster},
		{"listeners of one namespace that are busy alike", func(s *server, now time.Duration) slotLoad {
			load := bursts(300)(s, now)
			load.other = 100
			return load
		}, func(_ *world, s *server) { s.idle = 1000 }, actRecommend, railShared},
		{"an excluded program", bursts(300), func(_ *world, s *server) { s.comm = "haproxy" }, actRecommend, railExcluded},
		{"a policy that only advises", bursts(300), func(w *world, _ *server) { w.policy.Mode = policy.Advise }, actRecommend, railMode},
		{"while somebody has a transaction open", bursts(300), func(w *world, _ *server) {
			w.journal = []*tuner.Transaction{{ID: "theirs", State: tuner.Applied, Actor: tuner.Actor{Comm: "qtune"}}}
		}, actWait, railOpen},
		{"a somaxconn that somebody changes all the time", func(s *server, now time.Duration) slotLoad {
			s.somaxconn = 4096 + int64(now/(5*time.Minute))%2
			return bursts(300)(s, now)
		}, nil, actWait, railConfound},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			s := w.serve(tt.behaves)
			if tt.prepare != nil {
				tt.prepare(w, s)
			}
			w.run(13 * time.Hour)
			if len(w.begins) > 0 || s.limit != 128 {
				t.Errorf("begun at %v, limit %d, want never and 128", w.begins, s.limit)
			}
			if !w.decided(tt.action, tt.rail) {
				t.Errorf("nobody decided to %s because of %q:\n%s", tt.action, tt.rail, w.story(5))
			}
		})
	}
}

// TestLoopBacksOff proves that what failed is tried again after 1, 4 and 24 hours,
// across restarts of the server and of the agent.
func TestLoopBacksOff(t *testing.T) {
	w := newWorld(t)
	s := w.serve(func(s *server, now time.Duration) slotLoad { return bursts(s.limit+150)(s, now) })
	for i := range 4 {
		w.until(26*time.Hour, "applied once more", func() bool { return len(w.begins) == i+1 })
		w.until(61*time.Minute, "ended", func() bool { return !w.journal[0].State.Open() })
		switch i {
		case 1:
			w.restart(s)
		case 2:
			w.restartAgent()
		}
	}
	for i, want := range []time.Duration{time.Hour, 4 * time.Hour, 24 * time.Hour} {
		ended := w.journal[len(w.journal)-1-i].Closed.Sub(time.Unix(0, 0))
		if got := w.begins[i+1] - ended; got < want || got > want+30*time.Minute {
			t.Errorf("after failure %d it waited %v, want %v", i+1, got, want)
		}
	}
}

// TestLoopOneFails proves that what failed for one server does not keep its twin in
// another namespace from being tuned.
func TestLoopOneFails(t *testing.T) {
	w := newWorld(t)
	w.policy.Trial = policy.Trial{Duration: 10 * time.Minute, Max: 10 * time.Minute}
	for i := range 2 {
		s := w.serve(func(s *server, now time.Duration) slotLoad { return bursts(s.limit+150)(s, now) })
		s.comm = "nginx"
		w.until(45*time.Minute, "tried, too", func() bool { return len(w.begins) == i+1 })
	}
}

// TestLoopRestartedServer proves that a server that is started again, and so has its
// old limit, is tuned again.
func TestLoopRestartedServer(t *testing.T) {
	w := newWorld(t)
	s := w.serve(bursts(300))
	for i := range 3 {
		w.until(90*time.Minute, "applied", func() bool { return len(w.begins) == i+1 })
		w.until(31*time.Minute, "confirmed", func() bool { return w.journal[0].State == tuner.Confirmed })
		w.restart(s)
		if s.limit != 128 {
			t.Fatalf("limit %d after a restart, want 128", s.limit)
		}
	}
}

// TestLoopOneAtATime proves that of many that need it one is tried at a time, and no
// more than the policy allows in an hour.
func TestLoopOneAtATime(t *testing.T) {
	w := newWorld(t)
	w.policy.Trial = policy.Trial{Duration: 2 * time.Minute, Max: 4 * time.Minute}
	w.policy.MaxPerHour = 3
	for range 8 {
		w.serve(bursts(300))
	}
	w.run(6 * time.Hour) // Apply refuses a second open one
	if len(w.begins) != 8 {
		t.Errorf("%d were tuned in 6 h, want 8:\n%s", len(w.begins), w.story(3))
	}
	for i := range w.begins {
		if i >= 3 && w.begins[i]-w.begins[i-3] < time.Hour {
			t.Errorf("four within %v", w.begins[i]-w.begins[i-3])
		}
	}
	if !w.decided(actWait, railPerHour) || !w.decided(actWait, railOpen) {
		t.Errorf("nobody was told to wait")
	}
	if w.decided(actFail, railOpen) {
		t.Error("a second transaction was tried while one was open")
	}
}

// TestLoopShows proves that what an agent tells that has decided nothing has lists, and
// each outcome from the start.
func TestLoopShows(t *testing.T) {
	got, err := json.Marshal(newWorld(t).enforcer.describe())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"decisions":[]`, `"counts":[]`, `"drifted":[]`, `"troubles":[]`, `{"outcome":"no-benefit","count":0}`} {
		if !strings.Contains(string(got), want) {
			t.Errorf("%s: no %s", got, want)
		}
	}
}
