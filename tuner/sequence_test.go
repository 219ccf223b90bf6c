// SPDX-License-Identifier: Apache-2.0

package tuner

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/qtune/qtune/test/lab"
)

var seedFlag = flag.Uint64("tuner.seed", 0, "play only the sequence of this seed")

const spaces = 2 // namespaces in a playground

// TestSequences plays random sequences of everything that can happen to a host and
// compares each value and each transaction with the model.
func TestSequences(t *testing.T) {
	dir := memoryDir(t)
	for _, seed := range seeds(2000) {
		play(t, newFakeWorld(), dir, seed)
	}
}

// TestKernelSequences does so with the real kernel.
func TestKernelSequences(t *testing.T) {
	w := newRealWorld(t)
	dir := memoryDir(t)
	for _, seed := range seeds(200) {
		w.reset()
		play(t, w, dir, seed)
	}
}

// seeds returns those of so many new sequences, of a tenth of them where the CPU is
// emulated, or the one that is asked for.
func seeds(n int) []uint64 {
	if *seedFlag != 0 {
		return []uint64{*seedFlag}
	}
	if lab.Emulated() {
		n /= 10
	}
	all := make([]uint64, n)
	for i := range all {
		all[i] = rand.Uint64()
	}
	return all
}

// memoryDir returns a folder where fsync(2) costs nothing: nobody pulls the plug.
func memoryDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "qtune-tuner-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) }) //nolint:errcheck // it is in memory
	return dir
}

// A player plays one sequence.
type player struct {
	t     *testing.T
	rnd   *rand.Rand
	world playground
	tuner *Tuner
	model *model
	ids   map[*modelTx]string
	wall  time.Time
	lives [spaces]int
	runs  [spaces]int // of the servers
	log   []string    // what happened

	kill   int // at which fault from now on; 0: at none
	faults []fault
}

// killed is the panic of a process that is killed.
type killed struct{}

func play(t *testing.T, w playground, dir string, seed uint64) {
	t.Helper()
	p := &player{
		t: t, rnd: rand.New(rand.NewPCG(seed, 0)), world: w, ids: map[*modelTx]string{},
		model: &model{readOnly: map[int]bool{}, clock: time.Hour}, wall: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}
	own := filepath.Join(dir, fmt.Sprint(seed))
	defer os.RemoveAll(own) //nolint:errcheck // it is in memory
	p.tuner = &Tuner{
		kernel: &mortalKernel{w.kernel()},
		opts:   Options{Dir: own, Lock: filepath.Join(own, "lock"), Root: own, Log: slog.New(slog.DiscardHandler)},
	}
	p.tuner.fault = func(f fault) {
		p.faults = append(p.faults, f)
		if p.kill == len(p.faults) {
			panic(killed{})
		}
	}
	p.refresh()
	for range 12 {
		p.act()
		p.check()
		if t.Failed() {
			t.Fatalf("to see it again: -tuner.seed=%d\n%s", seed, strings.Join(p.log, "\n"))
		}
	}
}

// mortalKernel lets a panic in a visit be one of its caller.
type mortalKernel struct{ kernel }

func (k *mortalKernel) visit(ctx context.Context, all []Scope, look func(int, place, error)) error {
	var cause any
	err := k.kernel.visit(ctx, all, func(i int, p place, err error) {
		if cause != nil {
			return
		}
		defer func() { cause = recover() }()
		look(i, p, err)
	})
	if cause != nil {
		panic(cause)
	}
	return err
}
