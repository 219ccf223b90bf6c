// SPDX-License-Identifier: Apache-2.0

package tuner

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/test/lab"
)

// TestKernelClockSteps proves that a trial ends when its time is over, whatever is
// done to the clock on the wall meanwhile.
func TestKernelClockSteps(t *testing.T) {
	lab.NeedMachine(t)
	const trial = 15 * time.Second
	b := newBox(t)
	tn := newTuner(t, testOptions(t))
	live, err := host.NewLive("/")
	if err != nil {
		t.Fatal(err)
	}
	present := func() Now {
		now, err := Present(live)
		if err != nil {
			t.Fatal(err)
		}
		return now
	}
	plan := planOf(b.sysctl(somaxconn, 128, 1024), b.sysctl(synBacklog, 256, 512))
	plan.BootID = present().BootID
	tx, err := tn.Apply(t.Context(), present(), plan, ApplyOptions{Trial: trial})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []time.Duration{24 * time.Hour, -48 * time.Hour, 24 * time.Hour} {
		stepWallClock(t, step)
		now := present()
		recovered, err := tn.Recover(t.Context(), now, false)
		if now.Boot >= tx.Deadline.Boot {
			t.Fatalf("the trial of %v was over before the clock was stepped", trial)
		}
		if err != nil || len(recovered) != 0 {
			t.Errorf("stepped by %v: recovered %v, %v, want nothing", step, recovered, err)
		}
		b.want("after the step", plan.Steps, 1024, 512)
	}
	var recovered []*Transaction
	var now Now
	lab.Within(2*trial, func() bool {
		now = present()
		recovered, err = tn.Recover(t.Context(), now, false)
		return err != nil || len(recovered) > 0
	})
	if err != nil || len(recovered) != 1 || now.Boot < tx.Deadline.Boot {
		t.Fatalf("at %v recovered %v, %v, want the trial after %v", now.Boot, recovered, err, tx.Deadline.Boot)
	}
	wantState(t, tn, recovered[0], RolledBack)
	b.want("after the deadline", plan.Steps, 128, 256)
}

// stepWallClock sets the clock of this machine.
func stepWallClock(t *testing.T, by time.Duration) {
	t.Helper()
	ts := unix.NsecToTimespec(time.Now().Add(by).UnixNano())
	if err := unix.ClockSettime(unix.CLOCK_REALTIME, &ts); err != nil {
		t.Fatal(err)
	}
}
