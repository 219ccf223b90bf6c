// SPDX-License-Identifier: Apache-2.0

//go:build linux

package agent

import (
	"testing"
	"time"

	"github.com/qtune/qtune/policy"
	"github.com/qtune/qtune/tuner"
)

// TestLoopCannot proves that what cannot be done is said, and not tried every ten
// seconds; and that a trial that cannot be ended is ended later.
func TestLoopCannot(t *testing.T) {
	w := newWorld(t)
	s := w.serve(bursts(300))
	w.down = errDown
	w.run(30 * time.Minute)
	if !w.decided(actFail, "error") || len(w.enforcer.loop.memory.failed) != 1 {
		t.Errorf("no failure was noted:\n%s", w.story(3))
	}
	w.down = nil
	w.until(2*time.Hour, "applied", func() bool { return len(w.begins) == 1 })
	s.behaves = bursts(10)
	w.down = errDown
	w.run(70 * time.Minute)
	if w.enforcer.loop.trial == nil {
		t.Fatal("a trial that was not ended is forgotten")
	}
	w.down = nil
	w.until(time.Minute, "ended", func() bool { return !w.journal[0].State.Open() })
}

// TestLoopLostAnswer proves that a change is undone whose answer got lost.
func TestLoopLostAnswer(t *testing.T) {
	w := newWorld(t)
	s := w.serve(bursts(300))
	w.lost = true
	w.until(time.Hour, "applied", func() bool { return len(w.begins) == 1 })
	w.lost = false
	w.until(2*time.Minute, "undone", func() bool { return w.journal[0].State == tuner.RolledBack })
	if s.limit != 128 {
		t.Errorf("limit %d, want 128", s.limit)
	}
}

// TestLoopDrift proves that what somebody else changes is told, and set once more
// where the policy says so.
func TestLoopDrift(t *testing.T) {
	for _, onDrift := range []policy.OnDrift{policy.Report, policy.ReapplyOnce} {
		t.Run(string(onDrift), func(t *testing.T) {
			w := newWorld(t)
			w.policy.OnDrift = onDrift
			s := w.serve(bursts(300))
			w.until(2*time.Hour, "confirmed", func() bool { return len(w.journal) > 0 && w.journal[0].State == tuner.Confirmed })
			ours := s.limit
			s.behaves = bursts(10)
			w.run(20 * time.Minute)
			for i := range 2 {
				s.limit = 200
				w.run(5 * time.Minute)
				if again := s.limit == ours; again != (onDrift == policy.ReapplyOnce && i == 0) {
					t.Errorf("the %d. time somebody set it to 200 it is %d after that, ours is %d", i+1, s.limit, ours)
				}
			}
			if got := w.enforcer.describe().Drifted; len(got) != 1 || got[0].Found != 200 || got[0].Ours != int64(ours) {
				t.Errorf("drifted: %+v, want 200 for %d", got, ours)
			}
			if !w.decided("report", "") {
				t.Error("nobody was told")
			}
		})
	}
}

// TestLoopOverruled proves that what a person decides about the loop's transactions
// stands: what was kept early is kept, and what was rolled back is not tried again at
// once.
func TestLoopOverruled(t *testing.T) {
	w := newWorld(t)
	s := w.serve(bursts(300))
	w.until(time.Hour, "applied", func() bool { return len(w.begins) == 1 })
	now, _ := w.Now()
	if _, err := w.Confirm(t.Context(), now, "tx0"); err != nil {
		t.Fatal(err)
	}
	s.behaves = bursts(20) // nothing would be proven
	w.run(2 * time.Hour)
	if w.journal[0].State != tuner.Confirmed || s.limit == 128 {
		t.Fatalf("%s, limit %d, want confirmed", w.journal[0].State, s.limit)
	}
	w.journal[0].State = tuner.Applied // as Rollback does with a confirmed one
	if _, err := w.Rollback(t.Context(), now, "tx0", "operator"); err != nil {
		t.Fatal(err)
	}
	rolledBack := w.now
	w.journal[0].Closed = time.Unix(0, 0).Add(w.now)
	s.behaves = bursts(300)
	w.until(3*time.Hour, "applied once more", func() bool { return len(w.begins) == 2 })
	if got := w.begins[1] - rolledBack; got < time.Hour {
		t.Errorf("tried again %v after a person rolled it back, want an hour at least", got)
	}
}
