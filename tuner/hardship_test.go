// SPDX-License-Identifier: Apache-2.0

package tuner

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/qtune/qtune/host"
)

// smallDir returns a folder on a file system of 64 KiB.
func smallDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tuner", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("no tmpfs can be mounted: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill leaves no room in the file system of a folder until the file it returns is
// removed.
func fill(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "full")
	if err := os.WriteFile(path, make([]byte, 1<<20), 0o600); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("fill a file system: %v, want %v", err, unix.ENOSPC)
	}
	return path
}

// TestKernelDiskFull proves that a full disk is noticed before the first write, and
// later on undoes what was done.
func TestKernelDiskFull(t *testing.T) {
	tests := []struct {
		name  string
		full  fault // from there on; "": before it begins
		trial time.Duration
		state State // that the journal is left with, "" for none
	}{
		{"from the beginning", "", time.Minute, ""},
		{"before it is recorded as applied", faultVerified, time.Minute, Prepared},
		{"before it is recorded as confirmed", faultVerified, 0, Prepared},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBox(t)
			o := testOptions(t)
			o.Dir = smallDir(t)
			tn := newTuner(t, o)
			steps := b.three()
			full := ""
			tn.fault = func(f fault) {
				if f == tt.full {
					full = fill(t, o.Dir)
				}
			}
			if tt.full == "" {
				full = fill(t, o.Dir)
			}
			if _, err := tn.Apply(t.Context(), at(0), planOf(steps...), ApplyOptions{Trial: tt.trial}); !errors.Is(err, unix.ENOSPC) {
				t.Errorf("Apply = %v, want %v", err, unix.ENOSPC)
			}
			b.want("afterwards", steps, 128, 256, 64)
			if err := os.Remove(full); err != nil {
				t.Fatal(err)
			}
			all, err := tn.History(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if tt.state == "" && len(all) != 0 || tt.state != "" && all[0].State != tt.state {
				t.Errorf("History = %v, want %q", all, tt.state)
			}
			if _, err := tn.Recover(t.Context(), at(0), false); err != nil {
				t.Errorf("Recover = %v", err)
			}
			tn.fault = nil
			if _, err := tn.Apply(t.Context(), at(0), planOf(steps...), ApplyOptions{}); err != nil {
				t.Errorf("Apply with room = %v", err)
			}
		})
	}
}

// TestKernelConfirmOnFullDisk proves that what could not be recorded stays on trial.
func TestKernelConfirmOnFullDisk(t *testing.T) {
	b := newBox(t)
	o := testOptions(t)
	o.Dir = smallDir(t)
	tn := newTuner(t, o)
	steps := b.three()
	tx, err := tn.Apply(t.Context(), at(0), planOf(steps...), ApplyOptions{Trial: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	full := fill(t, o.Dir)
	if tx, err = tn.Confirm(t.Context(), at(1), tx.ID); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("Confirm = %v, want %v", err, unix.ENOSPC)
	}
	wantState(t, tn, tx, Applied)
	if _, err := tn.Recover(t.Context(), at(time.Minute), false); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("Recover = %v, want %v", err, unix.ENOSPC)
	}
	b.want("undone nevertheless,", steps, 128, 256, 64)
	if err := os.Remove(full); err != nil {
		t.Fatal(err)
	}
	all, err := tn.Recover(t.Context(), at(time.Minute), false)
	if err != nil || len(all) != 1 {
		t.Fatalf("Recover with room = %d, %v, want 1", len(all), err)
	}
	wantState(t, tn, all[0], RolledBack)
}

// TestKernelFullRollback proves that a confirmed transaction whose undoing could not
// be written down is as it was, and says so.
func TestKernelFullRollback(t *testing.T) {
	b := newBox(t)
	o := testOptions(t)
	o.Dir = smallDir(t)
	tn := newTuner(t, o)
	steps := b.three()
	tx, err := tn.Apply(t.Context(), at(0), planOf(steps...), ApplyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	fill(t, o.Dir)
	if tx, err = tn.Rollback(t.Context(), at(1), tx.ID, "operator"); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("Rollback = %v, want %v", err, unix.ENOSPC)
	}
	wantState(t, tn, tx, Confirmed)
	b.want("not undone,", steps, 1024, 512, 1024)
}

// TestKernelConcurrent proves that of twenty that apply at once one does, and that
// the others say why not.
func TestKernelConcurrent(t *testing.T) {
	const many = 20
	b := newBox(t)
	o := testOptions(t)
	errs := make([]error, many)
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range many {
		tn := newTuner(t, o)
		plan := planOf(b.sysctl(somaxconn, 128, int64(1000+i)))
		all.Go(func() {
			<-start
			_, errs[i] = tn.Apply(t.Context(), at(0), plan, ApplyOptions{Trial: time.Minute})
		})
	}
	close(start)
	all.Wait()
	won := -1
	for i, err := range errs {
		switch {
		case err == nil && won < 0:
			won = i
		case err == nil:
			t.Errorf("%d and %d both applied", won, i)
		case !errors.Is(err, ErrBusy) && !errors.Is(err, ErrOpen):
			t.Errorf("%d: %v, want %v or %v", i, err, ErrBusy, ErrOpen)
		}
	}
	if won < 0 {
		t.Fatal("none applied")
	}
	if got := b.value(somaxconn); got != int64(1000+won) {
		t.Errorf("somaxconn is %d, want that of %d", got, won)
	}
	history, err := newTuner(t, o).History(t.Context())
	if err != nil || len(history) != 1 {
		t.Errorf("History = %d transactions, %v, want 1", len(history), err)
	}
}

// A limited is a process without something, that applies a plan.
type limited struct {
	Dir, Lock string
	Plan      *Plan
	ReadOnly  bool // /proc/sys is mounted read-only
}

// limitedVariable makes the test binary such a process.
const limitedVariable = "QTUNE_TUNER_LIMITED"

// A limitedResult is what became of it.
type limitedResult struct {
	State                                       State
	Error                                       string
	Permission, Incomplete, Verify, Unsupported bool
}

// limitedHere is the life of such a process.
func limitedHere(job string) error {
	var l limited
	if err := json.Unmarshal([]byte(job), &l); err != nil {
		return err
	}
	if l.ReadOnly {
		for _, flags := range []uintptr{unix.MS_BIND, unix.MS_BIND | unix.MS_REMOUNT | unix.MS_RDONLY} {
			if err := unix.Mount("/proc/sys", "/proc/sys", "", flags, ""); err != nil {
				return fmt.Errorf("mount /proc/sys read-only: %w", err)
			}
		}
	}
	live, err := host.NewLive("/")
	if err != nil {
		return err
	}
	tn := New(live, Options{Dir: l.Dir, Lock: l.Lock, Root: "/"})
	tx, err := tn.Apply(context.Background(), at(0), l.Plan, ApplyOptions{})
	r := limitedResult{
		Error: fmt.Sprint(err), Permission: errors.Is(err, host.ErrPermission), Incomplete: errors.Is(err, ErrIncomplete),
		Verify: errors.Is(err, ErrVerify), Unsupported: errors.Is(err, host.ErrUnsupported),
	}
	if tx != nil {
		r.State = tx.State
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

// run runs the process without one of root's capabilities, -1 for with all.
func (l *limited) run(t *testing.T, without int) limitedResult {
	t.Helper()
	job, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
	cmd.Env = append(os.Environ(), limitedVariable+"="+string(job))
	if l.ReadOnly {
		cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	}
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: what is dropped does not come back
		if without >= 0 {
			if err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(without), 0, 0, 0); err != nil {
				done <- err
				return
			}
		}
		done <- cmd.Run()
	}()
	if err := <-done; err != nil {
		t.Fatalf("run a limited process: %v: %s", err, &problems)
	}
	var r limitedResult
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatalf("%v: %s", err, &out)
	}
	return r
}

// told is by what a namespace is told from its successor.
type told int

const (
	byAny told = iota
	byCookie
	byWitness
)

// TestKernelLimited takes things away from qtune one by one. What it needs is said,
// nothing stays half done, and what it does not need it can do without.
func TestKernelLimited(t *testing.T) {
	tests := []struct {
		name    string
		without int
		ro      bool
		told    told
		want    limitedResult
		says    string
	}{
		{"with everything", -1, false, byAny, limitedResult{State: Confirmed}, ""},
		{"CAP_NET_ADMIN is not needed", unix.CAP_NET_ADMIN, false, byCookie, limitedResult{State: Confirmed}, ""},
		{"CAP_DAC_READ_SEARCH is not needed for a server of root's", unix.CAP_DAC_READ_SEARCH, false, byAny, limitedResult{State: Confirmed}, ""},
		{"CAP_SYS_ADMIN is needed to enter a namespace", unix.CAP_SYS_ADMIN, false, byAny, limitedResult{Permission: true}, "CAP_SYS_ADMIN"},
		{"CAP_SYS_PTRACE is needed for the listener", unix.CAP_SYS_PTRACE, false, byCookie, limitedResult{State: Failed, Permission: true}, "CAP_SYS_PTRACE"},
		{"CAP_SYS_PTRACE is needed to see a witness", unix.CAP_SYS_PTRACE, false, byWitness, limitedResult{Permission: true}, "CAP_SYS_PTRACE"},
		{"a read-only /proc/sys", -1, true, byAny, limitedResult{State: Failed, Permission: true}, "read-only"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBox(t)
			switch {
			case tt.told == byCookie && b.ns.Cookie == 0:
				t.Skip("this kernel gives namespaces no cookies, and wants CAP_NET_ADMIN")
			case tt.told == byWitness && b.witness == nil:
				b.bearWitness()
			}
			b.ns.Mount(filepath.Join(t.TempDir(), "box")) // a way in that needs no look into processes
			o := testOptions(t)
			steps := b.three()
			for i := range steps {
				steps[i].Scope.Name = "box"
			}
			l := &limited{Dir: o.Dir, Lock: o.Lock, Plan: planOf(steps...), ReadOnly: tt.ro}
			got := l.run(t, tt.without)
			text := got.Error
			if got.Error = ""; got != tt.want || !strings.Contains(text, tt.says) {
				t.Errorf("Apply = %+v, %q, want %+v and %q", got, text, tt.want, tt.says)
			}
			if tt.want.State == Confirmed {
				b.want("afterwards", steps, 1024, 512, 1024)
			} else {
				b.want("afterwards", steps, 128, 256, 64)
			}
		})
	}
}

// TestKernelUndoNotPermitted proves that what could not be undone stays open, and
// is undone by who may.
func TestKernelUndoNotPermitted(t *testing.T) {
	b := newBox(t)
	tn := newTuner(t, testOptions(t))
	steps := b.three()
	tx, err := tn.Apply(t.Context(), at(0), planOf(steps...), ApplyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	able := tn.kernel
	tn.kernel = &refusingKernel{able}
	if tx, err = tn.Rollback(t.Context(), at(1), tx.ID, "operator"); !errors.Is(err, ErrIncomplete) || !strings.Contains(err.Error(), "to go back from 1024 to 128") {
		t.Errorf("Rollback = %v, want %v and what is to be done", err, ErrIncomplete)
	}
	wantState(t, tn, tx, Prepared)
	tn.kernel = able
	all, err := tn.Recover(t.Context(), at(2), false)
	if err != nil || len(all) != 1 {
		t.Fatalf("Recover = %d, %v, want 1", len(all), err)
	}
	wantState(t, tn, all[0], RolledBack)
	if all[0].Reason != "operator" {
		t.Errorf("Reason = %q, want that of the one who asked", all[0].Reason)
	}
	b.want("afterwards", steps, 128, 256, 64)
}

// TestVerify proves that what somebody writes while a transaction is being done is
// seen before it ends, and left.
func TestVerify(t *testing.T) {
	tn, w, step := newHost(t)
	tn.fault = func(f fault) {
		if f == faultWritten && w.value(0, synBacklog) == 512 {
			w.foreign(0, somaxconn, 777)
		}
	}
	tx, err := tn.Apply(t.Context(), at(0), planOf(step(somaxconn, 128, 1024), step(synBacklog, 256, 512)), ApplyOptions{})
	if !errors.Is(err, ErrConflict) || errors.Is(err, ErrIncomplete) {
		t.Errorf("Apply = %v, want %v", err, ErrConflict)
	}
	wantState(t, tn, tx, Conflict)
	if tx.Steps[0].Outcome != Foreign || *tx.Steps[0].Seen != 777 || tx.Steps[1].Outcome != Undone {
		t.Errorf("the steps are %+v, want the first foreign and the second undone", tx.Steps)
	}
	if a, b := w.value(0, somaxconn), w.value(0, synBacklog); a != 777 || b != 256 {
		t.Errorf("the values are %d and %d, want 777 and 256", a, b)
	}
}

// TestInterrupted proves that whoever gives up in the middle leaves nothing done, and
// that an undo is not given up.
func TestInterrupted(t *testing.T) {
	tn, w, step := newHost(t)
	steps := []Step{step(somaxconn, 128, 1024), w.step(1, somaxconn, 128, 1024)}
	ctx, cancel := context.WithCancel(t.Context())
	tn.fault = func(f fault) {
		if f == faultWritten {
			cancel()
		}
	}
	tx, err := tn.Apply(ctx, at(0), planOf(steps...), ApplyOptions{})
	if !errors.Is(err, context.Canceled) || !errors.Is(err, ErrVerify) {
		t.Errorf("Apply = %v, want %v and %v", err, context.Canceled, ErrVerify)
	}
	wantState(t, tn, tx, Failed)
	for space := range spaces {
		if got := w.value(space, somaxconn); got != 128 {
			t.Errorf("somaxconn of %d is %d, want 128", space, got)
		}
	}
}
