// SPDX-License-Identifier: Apache-2.0

package tuner

import (
	"fmt"
	"testing"
	"time"

	"github.com/qtune/qtune/test/lab"
)

// TestKernelReplaced proves that the successor of a namespace is left alone.
func TestKernelReplaced(t *testing.T) {
	b := newBox(t)
	tn := newTuner(t, testOptions(t))
	tx, err := tn.Apply(t.Context(), at(0), planOf(b.three()...), ApplyOptions{Trial: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	b.end()
	inode := b.ns.Inode
	for range 1000 { // until the kernel gives the number out again, mostly at once
		b.ns = lab.NewNamespace(t)
		if b.ns.Inode == inode {
			break
		}
		b.ns.Release()
	}
	if b.ns.Inode != inode {
		t.Skipf("the kernel does not give net:[%d] out again", inode)
	}
	b.ns.SetSysctl(somaxconn, "1024") // as if it were ours
	b.start()                         // so that it is found
	all, err := tn.Recover(t.Context(), at(time.Minute), false)
	if err != nil || len(all) != 1 || all[0].ID != tx.ID {
		t.Fatalf("Recover = %v, %v, want one", all, err)
	}
	wantState(t, tn, all[0], Gone)
	if got := b.value(somaxconn); got != 1024 {
		t.Errorf("somaxconn of the successor is %d, want 1024", got)
	}
}

// TestKernelSuccessor proves that another cookie under the same number is another
// namespace, however it was found.
func TestKernelSuccessor(t *testing.T) {
	for _, known := range []bool{true, false} {
		t.Run(fmt.Sprintf("by its process %t", known), func(t *testing.T) {
			b := newBox(t)
			if b.ns.Cookie == 0 {
				t.Skip("this kernel gives namespaces no cookies")
			}
			tn := newTuner(t, testOptions(t))
			steps := b.three()
			tx, err := tn.Apply(t.Context(), at(0), planOf(steps...), ApplyOptions{Trial: time.Minute})
			if err != nil {
				t.Fatal(err)
			}
			for i := range tx.Steps {
				s := &tx.Steps[i].Scope
				s.Cookie = cookieText(b.ns.Cookie + 1)
				if !known {
					s.PID, s.Name = 0, "box"
				}
			}
			if err := tn.journal().write(tx); err != nil {
				t.Fatal(err)
			}
			all, err := tn.Recover(t.Context(), at(time.Minute), false)
			if err != nil || len(all) != 1 {
				t.Fatalf("Recover = %d, %v, want 1", len(all), err)
			}
			wantState(t, tn, all[0], Gone)
			b.want("afterwards", steps, 1024, 512, 1024)
		})
	}
}

// TestKernelWitness proves that a process that was in a namespace tells it from its
// successor where there are no cookies.
func TestKernelWitness(t *testing.T) {
	tests := []struct {
		name   string
		happen func(*box, *Scope)
		state  State
		want   []int64
	}{
		{"it is there", func(*box, *Scope) {}, RolledBack, []int64{128, 256}},
		{"it has ended", func(b *box, _ *Scope) { b.witness.Kill() }, Gone, []int64{1024, 512}},
		{"another has its number", func(_ *box, s *Scope) { s.PIDStarted-- }, Gone, []int64{1024, 512}},
		{"there never was one", func(_ *box, s *Scope) { s.PID = 0 }, Gone, []int64{1024, 512}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBox(t)
			if b.witness == nil {
				b.bearWitness()
			}
			tn := newTuner(t, testOptions(t))
			steps := b.three()[:2]
			tx, err := tn.Apply(t.Context(), at(0), planOf(steps...), ApplyOptions{Trial: time.Minute})
			if err != nil {
				t.Fatal(err)
			}
			for i := range tx.Steps {
				tt.happen(b, &tx.Steps[i].Scope)
			}
			if err := tn.journal().write(tx); err != nil {
				t.Fatal(err)
			}
			all, err := tn.Recover(t.Context(), at(time.Minute), false)
			if err != nil || len(all) != 1 {
				t.Fatalf("Recover = %d, %v, want 1", len(all), err)
			}
			wantState(t, tn, all[0], tt.state)
			b.want("afterwards", steps, tt.want...)
		})
	}
}
