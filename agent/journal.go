// SPDX-License-Identifier: Apache-2.0

//go:build linux

package agent

import (
	"cmp"
	"context"

	"github.com/qtune/qtune/tuner"
)

// start ends what an agent before this one left, and remembers what it tried.
func (e *enforcer) start(ctx context.Context) {
	now, err := e.present()
	if err == nil {
		err = e.takeOver(ctx, now)
	}
	e.troubles.tell(takingOver, err)
}

const takingOver = "look after earlier changes"

func (e *enforcer) takeOver(ctx context.Context, now tuner.Now) error {
	recovered, err := e.effects.Recover(ctx, now, false)
	for _, tx := range recovered {
		e.log.Info("recovered", "transaction", tx.ID, "state", tx.State, "reason", tx.Reason)
	}
	journal, historyErr := e.effects.History(ctx)
	e.tookOver = journal != nil || historyErr == nil // else a tuner is not there yet
	for _, tx := range journal {
		if ours(tx) && tx.State.Open() {
			e.abandon(ctx, now, tx, "the agent was started again, and knows nothing of before")
		}
	}
	e.loop.memory.recall(now, journal)
	return cmp.Or(err, historyErr) // the next look reads it again, and tells
}

// abandon rolls a trial back that nobody can judge.
func (e *enforcer) abandon(ctx context.Context, now tuner.Now, tx *tuner.Transaction, why string) {
	if _, err := e.effects.Rollback(ctx, now, tx.ID, string(stopped)+": "+why); err != nil {
		e.log.Warn("roll back", "transaction", tx.ID, "why", why, "error", err)
		return
	}
	e.log.Info("rolled back", "transaction", tx.ID, "why", why)
}

// readJournal learns what others did: a person may have begun a transaction, or ended
// one of ours.
func (e *enforcer) readJournal(ctx context.Context, now tuner.Now) {
	journal, err := e.effects.History(ctx)
	e.troubles.tell("read the journal", err)
	if err != nil {
		return
	}
	e.loop.other = ""
	t := e.loop.trial
	for _, tx := range journal {
		switch {
		case t != nil && t.tx.ID == tx.ID:
			if !tx.State.Open() {
				d := t.about
				d.Action, d.Rule, d.Inputs, d.Actual = actRollback, "somebody else ended it: "+tx.Reason, t.evidence(), t.effect()
				if tx.State == tuner.Confirmed {
					d.Action = actConfirm
				}
				e.loop.ended(now, &act{entry: d}, endingOf(tx, endingIn(tx.Reason)))
				e.troubles.tell(endingTrial, nil)
			}
		case tx.State == tuner.Applied && ours(tx) && tx.Actor.PID == e.actor.PID: // its answer never came
			e.abandon(ctx, now, tx, "it was not known to have been applied")
		case tx.State.Open():
			e.loop.other = tx.ID
		}
	}
	e.loop.memory.overrule(now, journal)
}

// endingOf returns how a transaction ended that was to end so.
func endingOf(tx *tuner.Transaction, wanted ending) ending {
	switch tx.State {
	case tuner.Conflict:
		return conflict
	case tuner.Gone:
		return gone
	case tuner.Confirmed:
		return confirmed
	case tuner.RolledBack, tuner.Failed, tuner.Superseded, tuner.Prepared, tuner.Applied:
	}
	if wanted == confirmed { // it was undone before it could be
		return inconclusive
	}
	return wanted
}
