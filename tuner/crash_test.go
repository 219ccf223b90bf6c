// SPDX-License-Identifier: Apache-2.0

package tuner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/test/lab"
)

// crashVariable makes the test binary a process that is killed.
const crashVariable = "QTUNE_TUNER_CRASH"

// A crash is what such a process does until it is killed.
type crash struct {
	Dir, Lock string
	Op        string
	Plan      *Plan
	Kill      int // at which fault, counted from 1
}

const crashTrial = 10 * time.Minute

// An operation is what is interrupted; before makes ready for it.
type operation struct {
	name   string
	before func(context.Context, *Tuner, *Plan) error
	run    func(context.Context, *Tuner, *Plan) error
}

func operations() []operation {
	apply := func(trial time.Duration) func(context.Context, *Tuner, *Plan) error {
		return func(ctx context.Context, tn *Tuner, p *Plan) error {
			_, err := tn.Apply(ctx, at(0), p, ApplyOptions{Trial: trial})
			return err
		}
	}
	onNewest := func(do func(context.Context, *Tuner, string) error) func(context.Context, *Tuner, *Plan) error {
		return func(ctx context.Context, tn *Tuner, _ *Plan) error {
			all, err := tn.History(ctx)
			if err != nil {
				return err
			}
			return do(ctx, tn, all[0].ID)
		}
	}
	rollback := onNewest(func(ctx context.Context, tn *Tuner, id string) error {
		_, err := tn.Rollback(ctx, at(1), id, "operator")
		return err
	})
	return []operation{
		{"apply on trial", nil, apply(crashTrial)},
		{"apply", nil, apply(0)},
		{"apply in vain", nil, func(ctx context.Context, tn *Tuner, p *Plan) error {
			failing := *p
			last := p.Steps[len(p.Steps)-1]
			failing.Steps = append(failing.Steps[:len(p.Steps):len(p.Steps)],
				Step{Kind: KindSysctl, Scope: last.Scope, Key: syncookies, From: 1, To: 255}) // out of our bounds
			if err := apply(0)(ctx, tn, &failing); !errors.Is(err, ErrVerify) {
				return fmt.Errorf("it succeeded: %w", err)
			}
			return nil
		}},
		{"confirm", apply(crashTrial), onNewest(func(ctx context.Context, tn *Tuner, id string) error {
			_, err := tn.Confirm(ctx, at(1), id)
			return err
		})},
		{"roll a trial back", apply(crashTrial), rollback},
		{"roll a confirmed one back", apply(0), rollback},
		{"recover", apply(crashTrial), func(ctx context.Context, tn *Tuner, _ *Plan) error {
			_, err := tn.Recover(ctx, at(crashTrial), false)
			return err
		}},
	}
}

// crashHere is the life of a process that is killed.
func crashHere(job string) error {
	var c crash
	if err := json.Unmarshal([]byte(job), &c); err != nil {
		return err
	}
	live, err := host.NewLive("/")
	if err != nil {
		return err
	}
	tn := New(live, Options{Dir: c.Dir, Lock: c.Lock, Root: "/"})
	tn.fault = func(fault) {
		if c.Kill--; c.Kill == 0 {
			unix.Kill(unix.Getpid(), unix.SIGKILL) //nolint:errcheck // of itself
			select {}
		}
	}
	for _, op := range operations() {
		if op.name == c.Op {
			return errors.Join(op.run(context.Background(), tn, c.Plan), errors.New("it was not killed"))
		}
	}
	return fmt.Errorf("no operation %q", c.Op)
}

// run starts the process and waits until it was killed.
func (c *crash) run(t *testing.T) {
	t.Helper()
	job, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
	cmd.Env = append(os.Environ(), crashVariable+"="+string(job))
	out, err := cmd.CombinedOutput()
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() || status.Signal() != syscall.SIGKILL {
		t.Fatalf("a process was to be killed: %v: %s", err, out)
	}
}

const bothKinds = "a sysctl and a listener"

// crashPlans are the plans that are interrupted, by their number of steps.
func crashPlans(b *box) map[string][]Step {
	return map[string][]Step{
		"one sysctl":   {b.sysctl(somaxconn, 128, 1024)},
		"one listener": {b.listen(64, 100)},
		bothKinds:      {b.sysctl(somaxconn, 128, 1024), b.listen(64, 1024)},
		"three":        b.three(),
	}
}

// TestKernelCrash kills qtune at every fault point of every operation, and lets
// somebody else write before it recovers, or not. Then every value is the old one or
// the foreign one, or the new one if the journal says confirmed; and recovering
// again does nothing. Where the CPU is emulated it is one plan of both kinds of steps,
// and somebody else writes every other time.
func TestKernelCrash(t *testing.T) {
	var cases atomic.Int32
	t.Run("matrix", func(t *testing.T) {
		for name := range crashPlans(newBox(t)) {
			if lab.Emulated() && name != bothKinds {
				continue
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				b := newBox(t)
				for _, op := range operations() {
					steps := crashPlans(b)[name]
					points := faultsOf(t, b, op, steps)
					for kill, point := range points {
						for _, foreign := range []bool{false, true} {
							if lab.Emulated() && foreign != (kill%2 == 1) {
								continue
							}
							title := fmt.Sprintf("%s, killed at %d %s, foreign %t", op.name, kill+1, point, foreign)
							crashOnce(t, b, op, steps, kill+1, foreign, title)
							cases.Add(1)
						}
					}
				}
			})
		}
	})
	t.Logf("%d cases", cases.Load())
}

// faultsOf returns the fault points that an operation meets.
func faultsOf(t *testing.T, b *box, op operation, steps []Step) []fault {
	t.Helper()
	tn := newTuner(t, testOptions(t))
	plan := planOf(steps...)
	if op.before != nil {
		if err := op.before(t.Context(), tn, plan); err != nil {
			t.Fatalf("%s, before: %v", op.name, err)
		}
	}
	var points []fault
	tn.fault = func(f fault) { points = append(points, f) }
	if err := op.run(t.Context(), tn, plan); err != nil {
		t.Fatalf("%s: %v", op.name, err)
	}
	b.reset(steps)
	return points
}

// reset gives the values of the steps their old ones back.
func (b *box) reset(steps []Step) {
	b.t.Helper()
	for i := range steps {
		s := &steps[len(steps)-1-i]
		b.foreign(s, s.From)
	}
}

// foreign writes as somebody else would.
func (b *box) foreign(s *Step, v int64) {
	b.t.Helper()
	if s.Kind != KindListen {
		b.ns.SetSysctl(s.Key, strconv.FormatInt(v, 10))
		return
	}
	if b.limit() == v {
		return
	}
	before := b.value(somaxconn)
	b.ns.SetSysctl(somaxconn, "4096")
	other := newTuner(b.t, testOptions(b.t))
	err := other.kernel.visit(b.t.Context(), []Scope{s.Scope}, func(_ int, p place, err error) {
		if err == nil {
			err = p.write(s, b.limit(), v)
		}
		if err != nil {
			b.t.Errorf("resize as somebody else: %v", err)
		}
	})
	if err != nil {
		b.t.Error(err)
	}
	b.ns.SetSysctl(somaxconn, strconv.FormatInt(before, 10))
}

const foreignValue = 77

func crashOnce(t *testing.T, b *box, op operation, steps []Step, kill int, foreign bool, title string) {
	t.Helper()
	o := testOptions(t)
	o.Dir = memoryDir(t) // no plug is pulled
	tn := newTuner(t, o)
	plan := planOf(steps...)
	if op.before != nil {
		if err := op.before(t.Context(), tn, plan); err != nil {
			t.Fatalf("%s, before: %v", title, err)
		}
	}
	(&crash{Dir: o.Dir, Lock: o.Lock, Op: op.name, Plan: plan, Kill: kill}).run(t)
	last := &steps[len(steps)-1]
	if foreign {
		b.foreign(last, foreignValue)
	}
	for i, now := range []Now{at(2), at(crashTrial), at(crashTrial)} {
		decided, err := tn.Recover(t.Context(), now, false)
		switch {
		case err != nil && !(foreign && errors.Is(err, ErrConflict)):
			t.Errorf("%s: Recover %d = %v", title, i+1, err)
		case i == 2 && len(decided) > 0:
			t.Errorf("%s: the last Recover decided %d, want none", title, len(decided))
		}
		checkCrash(t, b, tn, steps, foreign, title)
	}
	all, err := tn.History(t.Context())
	if err != nil {
		t.Errorf("%s: History: %v", title, err)
	}
	for _, tx := range all {
		if tx.State.Open() {
			t.Errorf("%s: transaction is %s at the end, want a decision", title, tx.State)
		}
	}
	b.reset(steps)
}

// checkCrash checks the values after a recovery.
func checkCrash(t *testing.T, b *box, tn *Tuner, steps []Step, foreign bool, title string) {
	t.Helper()
	all, err := tn.History(t.Context())
	if err != nil {
		t.Errorf("%s: History: %v", title, err)
	}
	kept := len(all) > 0 && (all[0].State == Confirmed || all[0].State == Applied)
	for i := range steps {
		s := &steps[i]
		want := s.From
		switch {
		case foreign && i == len(steps)-1:
			want = foreignValue
		case kept:
			want = s.To
		}
		if got := b.live(s); got != want {
			t.Errorf("%s: %s is %d, want %d", title, s, got, want)
		}
	}
}
