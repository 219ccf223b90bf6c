// SPDX-License-Identifier: Apache-2.0

//go:build linux

package agent

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
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
	place         string // host, a pod, a name, or the inode of a namespace without any
	comm, address string
	limit         int64 // that it began from
}

// placeOf names a namespace by what outlives it, as far as that is known.
func placeOf(host bool, pod, name string, inode uint64) string {
	if host {
		return "host"
	}
	return cmp.Or(pod, name, strconv.FormatUint(inode, 10))
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
	kept    map[string]bool // transactions that were confirmed, by id
}

func newMemory(window time.Duration) memory {
	return memory{window: window, cooling: map[tcpq.ListenerID]time.Duration{}, failed: map[experiment]failure{}, kept: map[string]bool{}}
}

// begun notes that something was applied.
func (m *memory) begun(at time.Duration) { m.applied = append(m.applied, at) }

// ended notes how a trial ended.
func (m *memory) ended(at time.Duration, tx string, id tcpq.ListenerID, e experiment, how ending) {
	switch {
	case how == confirmed:
		m.kept[tx] = true
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
		if at := ago(now, tx.Created.Wall); now.Boot-at < time.Hour {
			m.begun(at)
		}
		m.learn(now, tx)
	}
	m.forget(now.Boot)
}

// overrule learns that somebody rolled back what was confirmed: that is an answer.
func (m *memory) overrule(now tuner.Now, journal []*tuner.Transaction) {
	for _, tx := range journal {
		if ours(tx) && m.kept[tx.ID] && tx.State != tuner.Confirmed && !tx.State.Open() {
			m.learn(now, tx)
		}
	}
	maps.DeleteFunc(m.kept, func(id string, _ bool) bool { // the journal forgets, too
		return !slices.ContainsFunc(journal, func(tx *tuner.Transaction) bool { return tx.ID == id })
	})
}

// learn takes in how a transaction ended.
func (m *memory) learn(now tuner.Now, tx *tuner.Transaction) {
	delete(m.kept, tx.ID)
	how := endingOf(tx, endingIn(tx.Reason))
	for i := range tx.Steps {
		s := &tx.Steps[i]
		if s.Listener == nil || tx.State.Open() || tx.State == tuner.Superseded {
			continue
		}
		e := experiment{placeOf(s.Scope.Host, s.Scope.Pod, s.Scope.Name, s.Scope.Netns), s.Listener.Comm, s.Listener.Name(), s.From}
		m.ended(ago(now, tx.Closed), tx.ID, idOf(s), e, how)
	}
}

// idOf returns the identity of a step's listener.
func idOf(s *tuner.Step) tcpq.ListenerID {
	netns, _ := strconv.ParseUint(s.Scope.Cookie, 16, 64) // none before Linux 5.14
	cookie, _ := strconv.ParseUint(s.Listener.Cookie, 16, 64)
	return tcpq.ListenerID{Netns: tcpq.NetnsID{Inode: s.Scope.Netns, Cookie: netns}, Cookie: cookie}
}

// ago returns when a moment of the wall's clock was by that since boot.
func ago(now tuner.Now, at time.Time) time.Duration { return now.Boot - max(0, now.Wall.Sub(at)) }

// actorName is what the transactions of the loop are signed with.
const actorName = tuner.AgentActor

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
	conflict     ending = "conflict"  // somebody else wrote
	gone         ending = "gone"      // the listener ended
	stopped      ending = "stopped"   // the agent, or the policy's leave
	overruled    ending = "overruled" // a person rolled it back
	incomplete   ending = "incomplete"
	notApplied   ending = "failed"
)

// endings are all of them: each has a metric from the start.
var endings = []ending{confirmed, noBenefit, inconclusive, regression, conflict, gone, stopped, overruled, incomplete, notApplied}

// failed reports whether the same experiment would be likely to end so again.
func (e ending) failed() bool {
	return slices.Contains([]ending{noBenefit, inconclusive, regression, conflict, overruled, incomplete, notApplied}, e)
}

// endingIn returns the ending that a transaction's reason begins with. What else
// ended it says nothing against trying again, but for a person who did.
func endingIn(reason string) ending {
	word, _, _ := strings.Cut(reason, ":")
	switch {
	case slices.Contains(endings, ending(word)):
		return ending(word)
	case word == "operator":
		return overruled
	case word == "deadline":
		return inconclusive
	}
	return stopped
}
