// SPDX-License-Identifier: Apache-2.0

//go:build linux

package page

import (
	"fmt"

	"github.com/qtune/qtune/inspection"
)

// A tuning is what an agent in mode enforce did.
type tuning struct {
	*inspection.Tuning
	names map[uint64]string
}

// Tuning returns what the agent did, nil in other modes.
func (v *view) Tuning() *tuning {
	if v.Agent == nil || v.Agent.Tuning == nil {
		return nil
	}
	return &tuning{v.Agent.Tuning, v.NetnsNames()}
}

// State says in a sentence what it does now.
func (t *tuning) State() string {
	switch {
	case t.Trial != nil:
		return fmt.Sprintf("On trial since %s: %s of %s, limit %d to %d (transaction %s). It is judged after %s and ends after %s at the latest.",
			timeText(t.Trial.Started), t.Trial.Listener, t.Netns(t.Trial.Netns), t.Trial.From, t.Trial.To, t.Trial.Transaction,
			spanText(t.Trial.JudgedAfter), spanText(t.Trial.EndsAfter))
	case t.Open:
		return "Somebody has a transaction open; until it is decided nothing is begun."
	case t.Mode != "enforce":
		return "The policy's mode is " + t.Mode + ": nothing is changed."
	}
	return "Nothing is on trial."
}

// Netns names a namespace.
func (t *tuning) Netns(inode uint64) string {
	if name := t.names[inode]; name != "" {
		return name
	}
	return fmt.Sprintf("net:[%d]", inode)
}

// When says when something was decided.
func (t *tuning) When(d *inspection.Decision) string { return timeText(d.Time) }
