// SPDX-License-Identifier: Apache-2.0

//go:build linux

package agent

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/qtune/qtune/tcpq"
	"github.com/qtune/qtune/tuner"
)

// How long a listener is left alone, in windows: an hour after a trial that was
// confirmed; and 1, 4 and 24 hours after the first, the second and each further
// one that failed.
const coolDown = 6

var backOff = [...]int{6, 24, 144}

// An experiment is what is not tried again at once when it failed. A server that is
// started again is another listener and the same experiment.
type experiment struct {
	comm, address string
	limit         int64 // that it began from
}

// A failure is an experiment that failed.
type failure struct {
	count int
	until time.Duration // it is not tried again
}

// A memory is what the loop remembers of its trials. The journal holds it too, so
// that it survives the agent.
type memory struct {
	window  time.Duration
	cooling map[tcpq.ListenerID]time.Duration // until then
	failed  map[experiment]failure
	applied []time.Duration // when, within the last hour
}

func newMemory(window time.Duration) memory {
	return memory{window: window, cooling: map[tcpq.ListenerID]time.Duration{}, failed: map[experiment]failure{}}
}

// begun notes that something was applied.
func (m *memory) begun(at time.Duration) { m.applied = append(m.applied, at) }

// ended notes how a trial ended.
func (m *memory) ended(at time.Duration, id tcpq.ListenerID, e experiment, how ending) {
	switch {
	case how == confirmed:
		m.cooling[id] = at + coolDown*m.window
		delete(m.failed, e)
	case how.failed():
		f := m.failed[e]
		f.until = at + time.Duration(backOff[min(f.count, len(backOff)-1)])*m.window
		f.count++
		m.failed[e] = f
	}
}

// forget drops what is over, so that what is remembered is bounded.
func (m *memory) forget(now time.Duration) {
	longest := time.Duration(backOff[len(backOff)-1]) * m.window
	maps.DeleteFunc(m.cooling, func(_ tcpq.ListenerID, until time.Duration) bool { return now >= until })
	maps.DeleteFunc(m.failed, func(_ experiment, f failure) bool { return now >= f.until+longest })
	m.applied = slices.DeleteFunc(m.applied, func(at time.Duration) bool { return now-at >= time.Hour })
}

// recall takes in what the journal tells of the trials of agents before this one.
func (m *memory) recall(now tuner.Now, journal []*tuner.Transaction) {
	for _, tx := range slices.Backward(journal) { // the newest stands first
		if !ours(tx) {
			continue
		}
		ago := func(at time.Time) time.Duration { return now.Boot - max(0, now.Wall.Sub(at)) }
		if at := ago(tx.Created.Wall); now.Boot-at < time.Hour {
			m.begun(at)
		}
		how, _, _ := strings.Cut(tx.Reason, ":")
		for i := range tx.Steps {
			s := &tx.Steps[i]
			if s.Listener == nil || tx.Closed.IsZero() {
				continue
			}
			e := experiment{s.Listener.Comm, nameOf(s.Listener), s.From}
			if tx.State == tuner.Confirmed || tx.State == tuner.Superseded {
				delete(m.failed, e)
			} else {
				m.ended(ago(tx.Closed), tcpq.ListenerID{}, e, ending(how))
			}
		}
	}
	m.forget(now.Boot)
}

// actorName is what the transactions of the loop are signed with.
const actorName = "qtune agent"

// ours reports whether the loop began a transaction.
func ours(tx *tuner.Transaction) bool { return tx.Actor.Comm == actorName }

// An ending is how a trial ended.
type ending string

// The endings.
const (
	confirmed    ending = "confirmed"
	noBenefit    ending = "no-benefit"   // not proven, and the time is over
	inconclusive ending = "inconclusive" // the load was too different to tell
	regression   ending = "regression"
	conflict     ending = "conflict" // somebody else wrote
	gone         ending = "gone"     // the listener ended
	stopped      ending = "stopped"  // the agent, or the policy's leave
	incomplete   ending = "incomplete"
	notApplied   ending = "failed"
)

// endings are all of them: each has a metric from the start.
var endings = []ending{confirmed, noBenefit, inconclusive, regression, conflict, gone, stopped, incomplete, notApplied}

// failed reports whether the same experiment would be likely to end so again.
func (e ending) failed() bool {
	return slices.Contains([]ending{noBenefit, inconclusive, regression, conflict, incomplete, notApplied}, e)
}

// nameOf returns ADDR[%DEV]:PORT.
func nameOf(s *tuner.Socket) string {
	return tcpq.ListenerName(s.Address, strings.Contains(s.Address, ":"), s.Device, s.Port)
}
