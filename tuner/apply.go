// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tuner

import (
	"context"
	"errors"
	"time"
)

// ApplyOptions say how a plan is applied.
type ApplyOptions struct {
	Trial    time.Duration // until it is undone unless confirmed; 0: confirmed at once
	Guardian Guardian      // of the trial
	Persist  bool          // at confirm
	Actor    Actor
	Why      string
}

// Apply does what a plan says.
func (t *Tuner) Apply(_ context.Context, _ Now, _ *Plan, _ ApplyOptions) (*Transaction, error) {
	return nil, errors.ErrUnsupported
}

// Confirm keeps what a trial changed.
func (t *Tuner) Confirm(_ context.Context, _ Now, _ string) (*Transaction, error) {
	return nil, errors.ErrUnsupported
}

// Rollback undoes a transaction, a confirmed one too.
func (t *Tuner) Rollback(_ context.Context, _ Now, _, _ string) (*Transaction, error) {
	return nil, errors.ErrUnsupported
}

// Recover decides every open transaction that has to be: those past their
// deadline, not finished or of another boot; with orphaned all of them.
func (t *Tuner) Recover(_ context.Context, _ Now, _ bool) ([]*Transaction, error) {
	return nil, errors.ErrUnsupported
}

// History returns the transactions of the journal, the newest first.
func (t *Tuner) History() ([]*Transaction, error) { return nil, errors.ErrUnsupported }

// A Drift is a confirmed step whose value is no longer ours.
type Drift struct {
	Transaction string `json:"transaction"`
	Step        Step   `json:"step"` // with the value found in Seen
}

// Drift reads back what was confirmed.
func (t *Tuner) Drift(_ context.Context, _ Now) ([]Drift, error) { return nil, errors.ErrUnsupported }

// A Permission says whether a step would be allowed, without doing it.
type Permission struct {
	Step    Step   `json:"step"`
	Allowed bool   `json:"allowed"`
	Message string `json:"message,omitempty"` // what is missing
}

// Probe asks the kernel what of a plan it would allow.
func (t *Tuner) Probe(_ context.Context, _ *Plan) ([]Permission, error) {
	return nil, errors.ErrUnsupported
}
