// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/qtune/qtune/tuner"
)

// A transactionDocument is a transaction as -o json prints it.
type transactionDocument struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	*tuner.Transaction
}

func documentOf(tx *tuner.Transaction) transactionDocument {
	return transactionDocument{tuner.APIVersion, "Transaction", tx}
}

// transaction writes all there is to say of a transaction.
func (s *screen) transaction(tx *tuner.Transaction, now tuner.Now) {
	s.say("%s: %s", tx.ID, s.paint(stateStyle(tx.State), stateText(tx)))
	s.field(planMargin, styleDim, "says", stateMeaning(tx))
	s.field(planMargin, styleDim, "began", fmt.Sprintf("%s, by %s", timeText(tx.Created.Wall), actorText(&tx.Actor)))
	if tx.Why != "" {
		s.field(planMargin, styleDim, "why", tx.Why)
	}
	if left, ok := untilDeadline(tx, now); ok {
		s.field(planMargin, styleDim, "trial", trialText(tx, left))
	}
	if !tx.Closed.IsZero() {
		s.field(planMargin, styleDim, "ended", timeText(tx.Closed))
	}
	if tx.Persist {
		s.field(planMargin, styleDim, "boot", "kept over a reboot when confirmed (--persist)")
	}
	for _, g := range byScope(tx.Steps) {
		fmt.Fprintln(s.w)
		fmt.Fprintln(s.w, s.paint(styleBold, scopeText(&g[0].Scope)))
		for i, step := range g {
			if i > 0 {
				fmt.Fprintln(s.w)
			}
			s.step(step, 0)
			s.outcome(step)
		}
	}
}

// decided writes in a line or two what became of a transaction.
func (s *screen) decided(tx *tuner.Transaction) {
	s.say("%s: %s. %s", tx.ID, s.paint(stateStyle(tx.State), stateText(tx)), stateMeaning(tx))
	const few = 8
	fine := 0
	for i := range tx.Steps {
		step := &tx.Steps[i]
		if o := step.Outcome; len(tx.Steps) > few && (o == tuner.Done || o == tuner.Undone) {
			fine++
			continue
		}
		parts := []string{scopeText(&step.Scope), stepName(step)}
		if step.Kind != tuner.KindFile {
			parts = append(parts, fmt.Sprintf("%d -> %d", step.From, step.To))
		}
		s.subject(parts...)
		s.outcome(step)
	}
	if fine > 0 {
		s.say("%s done or undone, and read back (qtune explain %s)", count(fine, "step"), tx.ID)
	}
}

// outcome writes what became of a step.
func (s *screen) outcome(step *tuner.Step) {
	if step.Outcome == "" {
		return
	}
	text := stepOutcomes[step.Outcome]
	if text == "" {
		text = string(step.Outcome)
	}
	if step.Seen != nil {
		text += fmt.Sprintf("; found %d", *step.Seen)
	}
	if step.Message != "" && step.Outcome != tuner.Foreign { // which says the same
		text += "; " + step.Message
	}
	s.detail("result", text)
	if step.Outcome == tuner.Unknown {
		s.detail("then", byHand(step))
	}
}

// byHand says how a person undoes a step that qtune could not.
func byHand(step *tuner.Step) string {
	enter := ""
	if !step.Scope.Host {
		enter = "nsenter --net=/run/netns/" + step.Scope.Name + " "
		if step.Scope.Name == "" {
			enter = "nsenter --net=/proc/PID/ns/net " // of a process of net:[N]
			if step.Scope.PID != 0 {
				enter = fmt.Sprintf("nsenter --net=/proc/%d/ns/net ", step.Scope.PID)
			}
		}
	}
	switch step.Kind {
	case tuner.KindListen:
		return fmt.Sprintf("restart the program, or let it be: the limit is %d and was %d, and only memory speaks against a larger one", step.To, step.From)
	case tuner.KindFile:
		return "look into " + step.Key + ": what this transaction put there has to go"
	case tuner.KindSysctl:
	}
	return fmt.Sprintf("%ssysctl -w %s=%d, if it still says %d", enter, step.Key, step.From, step.To)
}

// stepOutcomes say what became of a step.
var stepOutcomes = map[tuner.Outcome]string{
	tuner.Done:     "done, and read back",
	tuner.NotDone:  "not done: the old value was found",
	tuner.Undone:   "undone, and read back",
	tuner.Foreign:  "somebody else's value was found, and left",
	tuner.LeftHigh: "left as it is: listen(2) would have made the limit lower than it ever was, because somaxconn is lower now",
	tuner.Vanished: "the namespace or the listener is there no more",
	tuner.Unknown:  "not undone: look at it by hand",
}

// stateText names a state, and the reason for it.
func stateText(tx *tuner.Transaction) string {
	text := strings.ReplaceAll(string(tx.State), "-", " ")
	if tx.State == tuner.Applied {
		text = "on trial"
	}
	if tx.Reason != "" {
		text += " (" + tx.Reason + ")"
	}
	return text
}

// stateMeaning says in a sentence what a state is.
func stateMeaning(tx *tuner.Transaction) string {
	switch tx.State {
	case tuner.Prepared:
		unknown := func(s tuner.Step) bool { return s.Outcome == tuner.Unknown }
		if slices.ContainsFunc(tx.Steps, unknown) {
			return "Not all of it could be undone. qtune recover tries again; what to do by hand is said below."
		}
		return "It was written down and then perhaps done in part: whoever did it did not finish. qtune recover undoes it."
	case tuner.Applied:
		return "It is in force, and is undone at its deadline unless somebody confirms it."
	case tuner.Confirmed:
		return "It is in force and stays, until the host reboots or a namespace or listener ends. qtune rollback undoes it."
	case tuner.RolledBack:
		return "Every value is what it was before."
	case tuner.Failed:
		return "A step could not be done, and those before it were undone."
	case tuner.Conflict:
		return "Somebody else wrote one of the values meanwhile. Theirs was left, the others were undone."
	case tuner.Gone:
		return "What it changed is there no more."
	case tuner.Superseded:
		return "A later transaction changed the same values."
	}
	return string(tx.State)
}

func stateStyle(state tuner.State) string {
	switch state {
	case tuner.Applied, tuner.Prepared, tuner.Conflict, tuner.Failed:
		return styleYel
	case tuner.Confirmed:
		return styleBold
	case tuner.RolledBack, tuner.Gone, tuner.Superseded:
	}
	return styleDim
}

// untilDeadline returns how long a trial still lasts.
func untilDeadline(tx *tuner.Transaction, now tuner.Now) (time.Duration, bool) {
	if tx.State != tuner.Applied || tx.Deadline == nil || tx.BootID != now.BootID {
		return 0, false
	}
	return tx.Deadline.Boot - now.Boot, true
}

// trialText says when a trial is undone, and by whom.
func trialText(tx *tuner.Transaction, left time.Duration) string {
	when := fmt.Sprintf("undone in %s unless confirmed", clockText(left))
	if left <= 0 {
		when = "over: it is being undone"
	}
	switch tx.Guardian {
	case tuner.ByAgent:
		return when + ", by the agent of this host"
	case tuner.BySystemd:
		return when + ", by a timer of systemd"
	case tuner.ByForeground:
		return when + fmt.Sprintf(", by process %d, which waits for an answer", tx.Actor.PID)
	}
	return when
}

// clockText writes a time that is left as M:SS.
func clockText(d time.Duration) string {
	seconds := int(max(d, 0).Round(time.Second).Seconds())
	return fmt.Sprintf("%d:%02d", seconds/60, seconds%60)
}

func timeText(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 MST") }

func actorText(a *tuner.Actor) string {
	text := fmt.Sprintf("%s[%d] of uid %d", a.Comm, a.PID, a.UID)
	if a.Policy != "" {
		text += ", for policy " + a.Policy
	}
	return text
}
