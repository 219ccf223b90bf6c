// SPDX-License-Identifier: Apache-2.0

//go:build linux

package agent

import (
	"strings"
	"testing"
	"time"

	"github.com/qtune/qtune/policy"
	"github.com/qtune/qtune/tuner"
)

// TestLoopTrialEnds proves how a trial ends that does not prove anything.
func TestLoopTrialEnds(t *testing.T) {
	tests := []struct {
		name   string
		during func(w *world, s *server) // happens when the trial has begun
		state  tuner.State
		ending ending
		within time.Duration
		limit  uint32
	}{
		{"traffic that halves by itself", func(_ *world, s *server) {
			s.behaves = func(s *server, now time.Duration) slotLoad {
				load := bursts(150)(s, now)
				load.calm /= 2
				return load
			}
		}, tuner.RolledBack, inconclusive, 61 * time.Minute, 128},
		{"traffic that trebles", func(_ *world, s *server) {
			s.behaves = func(_ *server, now time.Duration) slotLoad {
				load := bursts(300)(s, now)
				load.calm *= 4
				return load
			}
		}, tuner.RolledBack, inconclusive, 61 * time.Minute, 128},
		{"bursts that become lower than the old limit", func(_ *world, s *server) {
			s.behaves = func(s *server, now time.Duration) slotLoad {
				load := bursts(100)(s, now)
				load.calm = 70
				return load
			}
		}, tuner.RolledBack, noBenefit, 61 * time.Minute, 128},
		{"as much refused as before", func(_ *world, s *server) {
			s.behaves = func(s *server, now time.Duration) slotLoad {
				load := bursts(s.limit+140)(s, now)
				load.calm = 5
				return load
			}
		}, tuner.RolledBack, noBenefit, 61 * time.Minute, 128},
		{"more refused than before", func(_ *world, s *server) {
			s.behaves = func(s *server, now time.Duration) slotLoad {
				return bursts(s.limit+600)(s, now)
			}
		}, tuner.RolledBack, regression, 11 * time.Minute, 128},
		{"TCP under memory pressure", func(w *world, _ *server) {
			w.memory.TCPPages, w.memory.TCPUsed = [3]uint64{10, 20, 30}, 21
		}, tuner.RolledBack, regression, time.Minute, 128},
		{"a program that becomes slow", func(_ *world, s *server) {
			s.behaves = func(s *server, _ time.Duration) slotLoad { return slotLoad{burst: 60, stays: s.limit / 2} }
		}, tuner.RolledBack, regression, 10 * time.Minute, 128},
		{"a program that keeps up, and lets everybody wait nearly a second", func(_ *world, s *server) {
			s.behaves = func(*server, time.Duration) slotLoad { return slotLoad{calm: 3000, burst: 300, stays: 250} }
		}, tuner.RolledBack, regression, 10 * time.Minute, 128},
		{"a program that lets some wait for long", func(_ *world, s *server) {
			s.behaves = func(s *server, now time.Duration) slotLoad {
				if now%(10*time.Minute) < 30*time.Second {
					return slotLoad{burst: 100, stays: 100}
				}
				return bursts(300)(s, now)
			}
		}, tuner.RolledBack, regression, 29 * time.Minute, 128},
		{"a limit that somebody else sets", func(_ *world, s *server) { s.limit = 200 }, tuner.Conflict, conflict, time.Minute, 200},
		{"a program that listens again", func(_ *world, s *server) { s.limit = 128 }, tuner.RolledBack, conflict, time.Minute, 128},
		{"a server that is started again", func(w *world, s *server) { w.restart(s) }, tuner.Gone, gone, time.Minute, 128},
		{"a policy that no longer allows it", func(w *world, _ *server) { w.policy.Mode = policy.Advise }, tuner.RolledBack, stopped, time.Minute, 128},
		{"an agent that ends", func(w *world, _ *server) { w.enforcer.stop() }, tuner.RolledBack, stopped, time.Minute, 128},
		{"an agent that ends while another process holds the lock", func(w *world, _ *server) {
			w.busy = 2
			w.enforcer.stop()
		}, tuner.RolledBack, stopped, time.Minute, 128},
		{"an agent that is killed, and the next", func(w *world, _ *server) { w.restartAgent() }, tuner.RolledBack, stopped, time.Minute, 128},
		{"one that is there before the tuner is", func(w *world, _ *server) {
			w.silent = errDown
			w.restartAgent()
			w.enforcer.actor.PID++
			w.silent = nil
		}, tuner.RolledBack, stopped, time.Minute, 128},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			s := w.serve(bursts(300))
			w.until(time.Hour, "applied", func() bool { return len(w.begins) == 1 })
			tt.during(w, s)
			w.until(tt.within, "ended", func() bool { return !w.journal[0].State.Open() })
			if got := w.journal[0]; got.State != tt.state || s.limit != tt.limit {
				t.Errorf("%s (%s), limit %d, want %s, %d", got.State, got.Reason, s.limit, tt.state, tt.limit)
			}
			if got := w.journal[0].Reason; !strings.HasPrefix(got, string(tt.ending)+": ") {
				t.Errorf("reason %q, want %s:", got, tt.ending)
			}
		})
	}
}

// TestLoopForeignSomaxconn proves that a somaxconn which somebody sets during a trial
// stays, and that the listener gets its old limit back.
func TestLoopForeignSomaxconn(t *testing.T) {
	w := newWorld(t)
	s := w.serve(bursts(300))
	s.asks, s.somaxconn = 4096, 128
	w.restart(s)
	w.until(time.Hour, "applied", func() bool { return len(w.begins) == 1 })
	if s.somaxconn <= 128 {
		t.Fatalf("somaxconn %d on trial, want more than 128", s.somaxconn)
	}
	s.somaxconn = 5000
	w.until(time.Minute, "ended", func() bool { return !w.journal[0].State.Open() })
	if got := w.journal[0].State; got != tuner.Conflict || s.somaxconn != 5000 || s.limit != 128 {
		t.Errorf("%s, somaxconn %d, limit %d, want conflict, 5000, 128", got, s.somaxconn, s.limit)
	}
}

// TestLoopScan proves that a scan which starts or stops changes nothing: neither
// does it make a listener look bad, nor does its end prove anything.
func TestLoopScan(t *testing.T) {
	scans := func(from, to time.Duration) func(*server, time.Duration) slotLoad {
		return func(s *server, now time.Duration) slotLoad {
			load := bursts(s.limit+60)(s, now) // as much is lost whatever the limit is
			load.calm = 300
			if now >= from && now < to {
				load.scan = 10000
			}
			return load
		}
	}
	for name, behaves := range map[string]func(*server, time.Duration) slotLoad{
		"one that stops":  scans(0, 90*time.Minute),
		"one that starts": scans(100*time.Minute, 1000*time.Hour),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.serve(behaves)
			w.until(2*time.Hour, "applied", func() bool { return len(w.begins) == 1 })
			w.until(2*time.Hour, "ended", func() bool { return !w.journal[0].State.Open() })
			if got := w.journal[0]; got.State != tuner.RolledBack || !strings.HasPrefix(got.Reason, string(noBenefit)) {
				t.Errorf("%s: %s, want rolled back for no benefit", got.State, got.Reason)
			}
		})
	}
	w := newWorld(t)
	w.serve(func(*server, time.Duration) slotLoad { return slotLoad{calm: 50, scan: 10000} })
	w.run(10 * time.Hour)
	if len(w.begins) > 0 {
		t.Errorf("a scan alone was tuned for")
	}
}
