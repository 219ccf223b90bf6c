// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/tuner"
)

// changing says where the transactions of a host lie: the flags of every command
// that begins, decides or shows one.
type changing struct {
	Global *globalOptions

	StateDir string
	LockFile string
}

func (c *changing) bind(f *pflag.FlagSet) {
	f.StringVar(&c.StateDir, "state-dir", tuner.StateDir, "where the journal lies")
	f.StringVar(&c.LockFile, "lock-file", tuner.LockFile, "what keeps two qtunes from changing this host at once")
}

// usual reports whether the transactions lie where an agent looks for them.
func (c *changing) usual() bool {
	return c.StateDir == tuner.StateDir && c.LockFile == tuner.LockFile
}

// A hostTuner is the tuner of a host, and its clocks.
type hostTuner struct {
	*tuner.Tuner
	live *host.Live
}

func (t *hostTuner) now() (tuner.Now, error) { return tuner.Present(t.live) }

// patience is how long a confirmation or an undoing waits for another qtune, which
// holds the lock for the moment of a change.
const patience = 10 * time.Second

// tuner returns the tuner of this host.
func (c *changing) tuner() (*hostTuner, error) {
	if c.Global.Host != "" {
		return nil, usageError("--host reads a recording, and no transaction is of one")
	}
	live, err := host.NewLive(c.Global.Rootfs)
	if err != nil {
		return nil, err
	}
	t := tuner.New(live, tuner.Options{Dir: c.StateDir, Lock: c.LockFile, Root: c.Global.Rootfs, Patience: patience, Log: c.Global.Log})
	return &hostTuner{t, live}, nil
}

// opening returns the tuner and the present.
func (c *changing) opening() (*hostTuner, tuner.Now, error) {
	t, err := c.tuner()
	if err != nil {
		return nil, tuner.Now{}, err
	}
	now, err := t.now()
	return t, now, err
}

// find returns the transaction that is meant: by the start of its id, or without
// one the only one that is open.
func find(ctx context.Context, t *hostTuner, id string) (*tuner.Transaction, error) {
	if id != "" {
		tx, err := t.Find(id)
		if err == nil {
			makePrintable(tx)
		}
		return tx, err
	}
	all, err := history(ctx, t)
	for _, tx := range all {
		if tx.State.Open() { // there is only one
			return tx, nil
		}
	}
	if err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("%w: none is open (qtune history lists them)", tuner.ErrUnknown)
}

// history returns the transactions of the journal, the newest first, for people:
// nothing in them can act on a terminal.
func history(ctx context.Context, t *hostTuner) ([]*tuner.Transaction, error) {
	all, err := t.History(ctx)
	for _, tx := range all {
		makePrintable(tx)
	}
	return all, err
}
