// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package tuner changes the kernel, in transactions: a [Plan] says what and why, a
// [Transaction] applies it, verifies it, remembers how to undo it, and undoes it.
//
// Before the first write the journal holds the old and the new value of every step.
// Each step is one value, so whoever recovers learns how far it got by reading the
// kernel: a value that is neither old nor new is somebody else's, and stays. Only
// one transaction is open at a time, and a lock that dies with its holder keeps
// others out.
package tuner

import (
	"log/slog"
	"time"

	"github.com/qtune/qtune/host"
)

// Where things lie on a host.
const (
	StateDir = "/var/lib/qtune"
	LockFile = "/run/qtune/lock"
)

// Options say where a Tuner keeps what.
type Options struct {
	Dir  string // of the journal: StateDir
	Lock string // LockFile
	Root string // under which the host's /etc and /proc are seen: "/"

	// Patience is how long what decides a transaction waits for the lock: who
	// gave up would leave a trial in force. Apply does not wait.
	Patience time.Duration

	Log *slog.Logger
}

// A Tuner changes one host. Several may be at it, in one process or in many: the
// lock orders them.
type Tuner struct {
	kernel kernel
	opts   Options

	// fault is called where the machine could stop. It is nil outside tests,
	// which stop there.
	fault func(fault)
}

// New returns the tuner of this machine.
func New(live *host.Live, o Options) *Tuner {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Tuner{kernel: &liveKernel{live: live}, opts: o}
}
