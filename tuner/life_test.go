// SPDX-License-Identifier: Apache-2.0

package tuner

import (
	"errors"
	"testing"
	"time"

	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/test/lab"
)

// wantState fails the test unless the transaction ended so, in the journal too.
func wantState(t *testing.T, tn *Tuner, tx *Transaction, want State) {
	t.Helper()
	if tx == nil {
		t.Fatalf("no transaction, want one that is %s", want)
	}
	read, err := tn.Find(tx.ID)
	if err != nil {
		t.Fatal(err)
	}
	if tx.State != want || read.State != want {
		t.Errorf("transaction %s is %s (%s), in the journal %s, want %s", tx.ID, tx.State, tx.Reason, read.State, want)
	}
}

// TestKernelLife walks a transaction through what people do with one.
func TestKernelLife(t *testing.T) {
	const trial = 10 * time.Minute
	tests := []struct {
		name  string
		trial time.Duration
		then  func(*testing.T, *Tuner, *box, string) (*Transaction, error) // nil: nothing
		err   error
		state State
		want  []int64
	}{
		{"without a trial it stays", 0, nil, nil, Confirmed, []int64{1024, 512, 1024}},
		{"a trial is open", trial, nil, nil, Applied, []int64{1024, 512, 1024}},
		{"confirmed it stays", trial, func(t *testing.T, tn *Tuner, _ *box, id string) (*Transaction, error) {
			return tn.Confirm(t.Context(), at(trial-1), id)
		}, nil, Confirmed, []int64{1024, 512, 1024}},
		{"confirmed too late it is undone", trial, func(t *testing.T, tn *Tuner, _ *box, id string) (*Transaction, error) {
			return tn.Confirm(t.Context(), at(trial), id)
		}, ErrLate, RolledBack, []int64{128, 256, 64}},
		{"a trial that is rolled back", trial, func(t *testing.T, tn *Tuner, _ *box, id string) (*Transaction, error) {
			return tn.Rollback(t.Context(), at(1), id, "operator")
		}, nil, RolledBack, []int64{128, 256, 64}},
		{"a confirmed one that is rolled back", 0, func(t *testing.T, tn *Tuner, _ *box, id string) (*Transaction, error) {
			return tn.Rollback(t.Context(), at(1), id[:20], "operator")
		}, nil, RolledBack, []int64{128, 256, 64}},
		{"rolled back twice", 0, func(t *testing.T, tn *Tuner, _ *box, id string) (*Transaction, error) {
			if _, err := tn.Rollback(t.Context(), at(1), id, "operator"); err != nil {
				return nil, err
			}
			return tn.Rollback(t.Context(), at(1), id, "operator")
		}, ErrClosed, RolledBack, []int64{128, 256, 64}},
		{"a foreign value ends a confirmation", trial, func(t *testing.T, tn *Tuner, b *box, id string) (*Transaction, error) {
			b.ns.SetSysctl(synBacklog, "777")
			return tn.Confirm(t.Context(), at(1), id)
		}, ErrConflict, Conflict, []int64{128, 777, 64}},
		{"an old value that was put back ends a confirmation", trial, func(t *testing.T, tn *Tuner, b *box, id string) (*Transaction, error) {
			b.ns.SetSysctl(synBacklog, "256")
			return tn.Confirm(t.Context(), at(1), id)
		}, ErrConflict, Conflict, []int64{128, 256, 64}},
		{"a foreign value survives the rollback of a confirmed one", 0, func(t *testing.T, tn *Tuner, b *box, id string) (*Transaction, error) {
			b.ns.SetSysctl(synBacklog, "777")
			return tn.Rollback(t.Context(), at(1), id, "operator")
		}, ErrConflict, Conflict, []int64{128, 777, 64}},
		{"a listener is not shrunk by a foreign somaxconn", trial, func(t *testing.T, tn *Tuner, b *box, id string) (*Transaction, error) {
			b.ns.SetSysctl(somaxconn, "32")
			return tn.Rollback(t.Context(), at(1), id, "operator")
		}, ErrConflict, Conflict, []int64{32, 256, 1024}},
		{"a new server is left alone", trial, func(t *testing.T, tn *Tuner, b *box, id string) (*Transaction, error) {
			b.restart()
			return tn.Rollback(t.Context(), at(1), id, "operator")
		}, nil, RolledBack, []int64{128, 256, 64}},
		{"nobody knows it", 0, func(t *testing.T, tn *Tuner, _ *box, _ string) (*Transaction, error) {
			return tn.Rollback(t.Context(), at(1), "01", "operator")
		}, nil, RolledBack, []int64{128, 256, 64}},
		{"the deadline", trial, func(t *testing.T, tn *Tuner, _ *box, _ string) (*Transaction, error) {
			all, err := tn.Recover(t.Context(), at(trial), false)
			return all[0], err
		}, nil, RolledBack, []int64{128, 256, 64}},
		{"an orphan", trial, func(t *testing.T, tn *Tuner, _ *box, _ string) (*Transaction, error) {
			all, err := tn.Recover(t.Context(), at(1), true)
			return all[0], err
		}, nil, RolledBack, []int64{128, 256, 64}},
		{"a reboot writes nothing", trial, func(t *testing.T, tn *Tuner, _ *box, _ string) (*Transaction, error) {
			now := at(1)
			now.BootID = "another"
			all, err := tn.Recover(t.Context(), now, false)
			return all[0], err
		}, nil, RolledBack, []int64{1024, 512, 1024}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBox(t)
			tn := newTuner(t, testOptions(t))
			steps := b.three()
			tx, err := tn.Apply(t.Context(), at(0), planOf(steps...), ApplyOptions{Trial: tt.trial})
			if err != nil {
				t.Fatalf("Apply: %v", err)
			}
			if tt.then != nil {
				if tx, err = tt.then(t, tn, b, tx.ID); !errors.Is(err, tt.err) {
					t.Errorf("got %v, want %v", err, tt.err)
				}
			}
			wantState(t, tn, tx, tt.state)
			b.want("afterwards", steps, tt.want...)
			if again, err := tn.Recover(t.Context(), at(2), false); len(again) != 0 || err != nil {
				t.Errorf("Recover afterwards = %d transactions, %v, want none", len(again), err)
			}
			b.want("after recovery", steps, tt.want...)
		})
	}
}

// TestKernelApplyRefuses proves what is refused before anything is written.
func TestKernelApplyRefuses(t *testing.T) {
	tests := []struct {
		name  string
		plan  func(*box) *Plan
		err   error
		somax int64
	}{
		{"a base value that moved", func(b *box) *Plan {
			return planOf(b.sysctl(somaxconn, 100, 1024), b.sysctl(synBacklog, 256, 512))
		}, ErrStale, 128},
		{"a base value that moved, after one that did not", func(b *box) *Plan {
			return planOf(b.sysctl(somaxconn, 128, 1024), b.sysctl(synBacklog, 255, 512))
		}, ErrStale, 128},
		{"what is better already", func(b *box) *Plan {
			return planOf(b.sysctl(somaxconn, 64, 100))
		}, ErrSatisfied, 128},
		{"what is so already", func(b *box) *Plan { return planOf(b.sysctl(somaxconn, 64, 128)) }, ErrSatisfied, 128},
		{"nothing", func(*box) *Plan { return planOf() }, ErrSatisfied, 128},
		{"a listener above somaxconn", func(b *box) *Plan { return planOf(b.listen(64, 1024)) }, ErrStale, 128},
		{"a listener that is no more", func(b *box) *Plan {
			p := planOf(b.three()...)
			b.restart()
			return p
		}, ErrStale, 128},
		{"another boot", func(b *box) *Plan {
			p := planOf(b.three()...)
			p.BootID = "another"
			return p
		}, ErrStale, 128},
		{"another namespace under this number", func(b *box) *Plan {
			p := planOf(b.three()...)
			for i := range p.Steps {
				p.Steps[i].Scope.Cookie = cookieText(b.ns.Cookie + 1)
			}
			return p
		}, ErrStale, 128},
		{"a namespace that is no more", func(b *box) *Plan {
			p := planOf(b.three()...)
			for i := range p.Steps {
				p.Steps[i].Scope.Netns = 1
			}
			return p
		}, ErrStale, 128},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBox(t)
			tn := newTuner(t, testOptions(t))
			tx, err := tn.Apply(t.Context(), at(0), tt.plan(b), ApplyOptions{})
			if tx != nil || !errors.Is(err, tt.err) {
				t.Errorf("Apply = %v, %v, want %v", tx, err, tt.err)
			}
			if got := b.value(somaxconn); got != tt.somax {
				t.Errorf("afterwards somaxconn is %d, want %d", got, tt.somax)
			}
			if all, err := tn.History(t.Context()); len(all) != 0 || err != nil {
				t.Errorf("History = %d transactions, %v, want none", len(all), err)
			}
		})
	}
}

// TestKernelApplyWholeGroups proves that a reuse-port group is resized whole or not at
// all: a member may join while somebody looks at the plan.
func TestKernelApplyWholeGroups(t *testing.T) {
	const port = 8080
	tests := []struct {
		name  string
		first lab.Socket // which the plan resizes
		joins lab.Socket
		err   error
	}{
		{"a member that has joined", lab.Socket{Addr: "127.0.0.1"}, lab.Socket{Addr: "127.0.0.1", Backlog: 64}, ErrStale},
		{"a member whose limit is higher already", lab.Socket{Addr: "127.0.0.1"}, lab.Socket{Addr: "127.0.0.1", Backlog: 128}, nil},
		{"another address", lab.Socket{Addr: "127.0.0.1"}, lab.Socket{Addr: "127.0.0.2", Backlog: 64}, nil},
		{"the other family", lab.Socket{Addr: "0.0.0.0"}, lab.Socket{Addr: "::", Backlog: 64, V6Only: true}, nil},
		{"another device", lab.Socket{Addr: "0.0.0.0"}, lab.Socket{Addr: "0.0.0.0", Backlog: 64, Device: "lo"}, nil},
		{"IPv6 alone beside both", lab.Socket{Addr: "::"}, lab.Socket{Addr: "::", Backlog: 64, V6Only: true}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newEmptyBox(t)
			b.ns.SetSysctl(somaxconn, "128")
			tt.first.Port, tt.first.Backlog, tt.first.ReusePort = port, 64, true
			tt.joins.Port, tt.joins.ReusePort = port, true
			b.child = b.ns.Start(lab.Process{Listen: []lab.Socket{tt.first}})
			plan := planOf(b.listen(64, 100))
			b.ns.Start(lab.Process{Listen: []lab.Socket{tt.joins}})
			tx, err := newTuner(t, testOptions(t)).Apply(t.Context(), at(0), plan, ApplyOptions{})
			if !errors.Is(err, tt.err) || (tx == nil) != (tt.err != nil) {
				t.Errorf("Apply = %v, %v, want %v", tx, err, tt.err)
			}
			want := int64(100)
			if tt.err != nil {
				want = 64
			}
			b.want("afterwards", plan.Steps, want)
		})
	}
}

// TestKernelApplyFails proves that a step that cannot be done undoes the others.
func TestKernelApplyFails(t *testing.T) {
	b := newBox(t)
	tn := newTuner(t, testOptions(t))
	steps := []Step{b.sysctl(somaxconn, 128, 1024), b.sysctl(syncookies, 1, 255)} // out of our bounds
	tx, err := tn.Apply(t.Context(), at(0), planOf(steps...), ApplyOptions{Trial: time.Minute})
	if !errors.Is(err, ErrVerify) || errors.Is(err, host.ErrPermission) {
		t.Errorf("Apply = %v, want %v", err, ErrVerify)
	}
	wantState(t, tn, tx, Failed)
	b.want("afterwards", steps, 128, 1)
}

// TestForeignTwin proves that who writes between our look and our write is not undone,
// even when he wants the same value.
func TestForeignTwin(t *testing.T) {
	for _, key := range []string{synBacklog, ""} { // "" is the listener
		w := newFakeWorld()
		o := testOptions(t)
		before, syn := w.value(0, somaxconn), w.value(0, key)
		to := syn * 2
		tn := &Tuner{kernel: w.k, opts: o, fault: func(f fault) {
			if f == faultPrepared {
				w.foreign(0, key, to)
			}
		}}
		tx, err := tn.Apply(t.Context(), at(0), planOf(w.step(0, somaxconn, before, 2*before), w.step(0, key, syn, to)), ApplyOptions{})
		if !errors.Is(err, ErrConflict) {
			t.Errorf("%q: Apply = %v, want %v", key, err, ErrConflict)
		}
		wantState(t, tn, tx, Conflict)
		if got := w.value(0, key); got != to {
			t.Errorf("%q is %d, want the foreign %d", key, got, to)
		}
		if got := w.value(0, somaxconn); got != before {
			t.Errorf("somaxconn is %d, want the old %d", got, before)
		}
	}
}

// TestKernelOneOpen proves that a transaction that is open keeps others out.
func TestKernelOneOpen(t *testing.T) {
	b := newBox(t)
	tn := newTuner(t, testOptions(t))
	open, err := tn.Apply(t.Context(), at(0), planOf(b.three()...), ApplyOptions{Trial: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if tx, err := tn.Apply(t.Context(), at(1), planOf(b.sysctl(somaxconn, 1024, 2048)), ApplyOptions{}); tx != nil || !errors.Is(err, ErrOpen) {
		t.Errorf("Apply = %v, %v, want %v", tx, err, ErrOpen)
	}
	wantState(t, tn, open, Applied)
}

// TestKernelProbe proves that asking changes nothing, in the host's namespace
// either.
func TestKernelProbe(t *testing.T) {
	b := newBox(t)
	live, err := host.NewLive("/")
	if err != nil {
		t.Fatal(err)
	}
	found, err := live.Namespaces(t.Context(), host.Search{Host: true})
	if err != nil {
		t.Skipf("the host's namespace cannot be found: %v", err)
	}
	gone := b.sysctl(somaxconn, 128, 1024)
	gone.Scope.Netns = 1
	steps := append(b.three(),
		Step{Kind: KindSysctl, Scope: Scope{Netns: found.Namespaces[0].Inode, Host: true}, Key: somaxconn, From: 1, To: 2},
		Step{Kind: KindFile, Scope: Scope{Host: true}}, gone)
	o := testOptions(t)
	o.Root = t.TempDir() // without /etc/sysctl.d
	got, err := newTuner(t, o).Probe(t.Context(), planOf(steps...))
	if err != nil {
		t.Fatal(err)
	}
	for i, allowed := range []bool{true, true, true, true, false, false} {
		if got[i].Allowed != allowed || allowed != (got[i].Message == "") {
			t.Errorf("Probe of %s = %t, %q, want %t", &steps[i], got[i].Allowed, got[i].Message, allowed)
		}
	}
	b.want("afterwards", b.three(), 128, 256, 64)
}
