// SPDX-License-Identifier: Apache-2.0

package tuner

import (
	"errors"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/qtune/qtune/sysctl"
)

// newHost returns a tuner of a host in memory, whose /etc is in a folder of the
// test, and what makes steps of its namespace.
func newHost(t *testing.T) (tn *Tuner, w fakeWorld, step func(key string, from, to int64) Step) {
	t.Helper()
	w = newFakeWorld()
	o := testOptions(t)
	o.Root = t.TempDir()
	if err := os.MkdirAll(filepath.Join(o.Root, "etc/sysctl.d"), 0o755); err != nil {
		t.Fatal(err)
	}
	return &Tuner{kernel: &mortalKernel{w.k}, opts: o}, w, func(key string, from, to int64) Step {
		s := w.step(0, key, from, to)
		s.Scope.Host = true
		return s
	}
}

// wantBoot fails the test unless the boot file sets these values, none for no file.
func wantBoot(t *testing.T, tn *Tuner, when string, want map[string]int64) {
	t.Helper()
	got, err := sysctl.ReadPersisted(tn.opts.Root)
	if err != nil {
		t.Errorf("%s: %v", when, err)
	}
	if got == nil && len(want) > 0 || got != nil && !maps.Equal(got.Values, want) {
		t.Errorf("%s boot sets %+v, want %v", when, got, want)
	}
}

// TestPersist walks the boot file through two transactions.
func TestPersist(t *testing.T) {
	tn, _, step := newHost(t)
	persist := ApplyOptions{Persist: true}
	first, err := tn.Apply(t.Context(), at(0), planOf(step(somaxconn, 128, 1024)), ApplyOptions{Persist: true, Trial: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	wantBoot(t, tn, "during a trial", nil)
	if _, err := tn.Confirm(t.Context(), at(1), first.ID); err != nil {
		t.Fatal(err)
	}
	wantBoot(t, tn, "confirmed", map[string]int64{somaxconn: 1024})
	second, err := tn.Apply(t.Context(), at(2), planOf(step(synBacklog, 256, 512)), persist)
	if err != nil {
		t.Fatal(err)
	}
	wantBoot(t, tn, "after another", map[string]int64{somaxconn: 1024, synBacklog: 512})
	if tx, err := tn.Rollback(t.Context(), at(3), first.ID, "operator"); err != nil || tx.State != RolledBack {
		t.Errorf("Rollback = %v, want success", err)
	}
	wantBoot(t, tn, "without the first", map[string]int64{synBacklog: 512})
	if tx, err := tn.Rollback(t.Context(), at(4), second.ID, "operator"); err != nil || tx.State != RolledBack {
		t.Errorf("Rollback = %v, want success", err)
	}
	wantBoot(t, tn, "without both", nil)
}

// TestPersistOfOthers proves that only the host's sysctls are written down, and that
// a transaction without them has no file.
func TestPersistOfOthers(t *testing.T) {
	tn, w, step := newHost(t)
	listener := step("", 64, 100)
	tx, err := tn.Apply(t.Context(), at(0), planOf(listener, w.step(1, somaxconn, 128, 1024)), ApplyOptions{Persist: true})
	if err != nil || tx.Boot != nil || len(tx.Steps) != 2 {
		t.Errorf("Apply = %+v, %v, want no boot file", tx, err)
	}
	wantBoot(t, tn, "afterwards", nil)
}

// TestPersistConflicts proves that a file of somebody else's is left.
func TestPersistConflicts(t *testing.T) {
	const theirs = "net.core.somaxconn = 7\n"
	edit := func(t *testing.T, tn *Tuner) string {
		path := filepath.Join(tn.opts.Root, "etc/sysctl.d", sysctl.PersistName)
		if err := os.WriteFile(path, []byte(theirs), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	t.Run("before", func(t *testing.T) {
		tn, w, step := newHost(t)
		edit(t, tn)
		if tx, err := tn.Apply(t.Context(), at(0), planOf(step(somaxconn, 128, 1024)), ApplyOptions{Persist: true}); tx != nil || !errors.Is(err, ErrConflict) {
			t.Errorf("Apply = %v, %v, want %v", tx, err, ErrConflict)
		}
		if got := w.value(0, somaxconn); got != 128 {
			t.Errorf("somaxconn is %d, want 128", got)
		}
	})
	t.Run("during the trial", func(t *testing.T) {
		tn, w, step := newHost(t)
		tx, err := tn.Apply(t.Context(), at(0), planOf(step(somaxconn, 128, 1024)), ApplyOptions{Persist: true, Trial: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		path := edit(t, tn)
		tx, err = tn.Confirm(t.Context(), at(1), tx.ID)
		if !errors.Is(err, ErrConflict) || tx.State != Confirmed || tx.bootStep().Outcome != Foreign {
			t.Errorf("Confirm = %+v, %v, want it confirmed and %v", tx, err, ErrConflict)
		}
		if b, err := os.ReadFile(path); string(b) != theirs {
			t.Errorf("the file is %q, %v, want %q", b, err, theirs)
		}
		if got := w.value(0, somaxconn); got != 1024 {
			t.Errorf("somaxconn is %d, want 1024", got)
		}
	})
}

// TestPersistCrash kills a confirmation around the boot file: who recovers writes it.
func TestPersistCrash(t *testing.T) {
	for _, f := range []fault{faultConfirmed, faultPersisted} {
		t.Run(string(f), func(t *testing.T) {
			tn, _, step := newHost(t)
			tn.opts.Log = slog.New(slog.DiscardHandler)
			tn.fault = func(at fault) {
				if at == f {
					panic(killed{})
				}
			}
			func() {
				defer func() {
					if cause := recover(); cause != (killed{}) {
						t.Errorf("not killed, but %v", cause)
					}
				}()
				tn.Apply(t.Context(), at(0), planOf(step(somaxconn, 128, 1024)), ApplyOptions{Persist: true}) //nolint:errcheck // it is killed
			}()
			tn.fault = nil
			all, err := tn.Recover(t.Context(), at(1), false)
			if err != nil || len(all) != 1 || all[0].State != Confirmed || all[0].bootStep().Outcome != Done {
				t.Errorf("Recover = %v, %v, want the one that is confirmed", all, err)
			}
			wantBoot(t, tn, "recovered", map[string]int64{somaxconn: 1024})
			if all, err := tn.Recover(t.Context(), at(1), true); err != nil || len(all) != 0 {
				t.Errorf("Recover again = %v, %v, want nothing", all, err)
			}
		})
	}
}

// TestPersistReboot proves that after a reboot only the file is there to be undone.
func TestPersistReboot(t *testing.T) {
	tn, w, step := newHost(t)
	tx, err := tn.Apply(t.Context(), at(0), planOf(step(somaxconn, 128, 1024)), ApplyOptions{Persist: true})
	if err != nil {
		t.Fatal(err)
	}
	later := at(1)
	later.BootID = "another"
	if tx, err = tn.Rollback(t.Context(), later, tx.ID, "operator"); err != nil || tx.State != RolledBack || tx.Reason != reasonReboot {
		t.Errorf("Rollback = %+v, %v, want it rolled back by the reboot", tx, err)
	}
	wantBoot(t, tn, "afterwards", nil)
	if got := w.value(0, somaxconn); got != 1024 { // set by nobody, as in this test nothing booted
		t.Errorf("somaxconn is %d, want it left", got)
	}
}
