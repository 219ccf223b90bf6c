// SPDX-License-Identifier: Apache-2.0

//go:build linux

package collector

import (
	"slices"

	"github.com/qtune/qtune/collector/inetdiag"
	"github.com/qtune/qtune/host"
)

// lookUp reads each listener by a lookup and reports whether all were found. One
// that was missed is gone, or another hides it: a dump tells. Where nothing can be
// looked up, none was found.
func (q *Queues) lookUp(in host.Inside, known []Known) bool {
	missed, err := q.lookUpEach(in, known)
	for i := 0; i < len(known) && missed > 0 && err == nil; i++ {
		if known[i].missed {
			var found int
			found, err = q.searchGroup(in, known, i)
			missed -= found
		}
	}
	if err != nil { // nobody knows what is hidden
		for i := range known {
			known[i].missed = false
		}
	}
	return err == nil && missed == 0
}

// lookUpEach reads each listener by a lookup and returns how many were missed.
func (q *Queues) lookUpEach(in host.Inside, known []Known) (missed int, err error) {
	for from := 0; from < len(known); {
		q.begin()
		to := from
		for ; to < len(known) && !q.lookups.Full(); to++ {
			if !known[to].Gone {
				q.lookups.Ask(&known[to].key, known[to].remote)
			}
		}
		if err := q.send(in); err != nil {
			return missed, err
		}
		answers := q.lookups.Answers
		for i := from; i < to; i++ {
			if known[i].Gone {
				continue
			}
			if isListener(&answers[0]) {
				known[i].take(&answers[0].Socket)
			} else {
				known[i].missed = true
				missed++
			}
			answers = answers[1:]
		}
		from = to
	}
	return missed, nil
}

// isListener reports whether a lookup found a listener: the kernel looks among
// other sockets, too.
func isListener(a *inetdiag.Answer) bool { return a.Errno == 0 && a.State == inetdiag.Listen }

const (
	// maxSearch is how many remote ports are tried in the search for a member
	// of a group: 2 ms, in which nearly all of 150 members are met.
	maxSearch = 16 * inetdiag.MaxLookups

	// triesEach is how many tries for each member met are enough: one in ten
	// million members is missed.
	triesEach = 16
)

// searchGroup looks for a listener that a lookup missed. The kernel chooses a
// member of a reuse-port group by the peer's address and the number of members, so
// that other remote ports meet other members, and others again when one has come
// or gone. What is met on the way is remembered, too; found is how many.
func (q *Queues) searchGroup(in host.Inside, known []Known, wanted int) (found int, err error) {
	key := known[wanted].key
	key.Cookie = inetdiag.AnyCookie
	q.members = q.members[:0]
	for port := uint16(1); port < maxSearch && known[wanted].missed; port += inetdiag.MaxLookups {
		q.begin()
		for i := range uint16(inetdiag.MaxLookups) {
			q.lookups.Ask(&key, port+i)
		}
		if err := q.send(in); err != nil {
			return found, err
		}
		for i := range q.lookups.Answers {
			a := &q.lookups.Answers[i]
			if !isListener(a) || slices.Contains(q.members, a.Cookie) {
				continue
			}
			q.members = append(q.members, a.Cookie)
			if at, ok := indexOf(known, a.Cookie); ok && known[at].missed {
				known[at].remote = port + uint16(i)
				known[at].take(&a.Socket)
				found++
			}
		}
		if tries := int(port) - 1 + inetdiag.MaxLookups; tries >= triesEach*len(q.members) {
			break
		}
	}
	return found, nil
}

// begin begins a batch of lookups.
func (q *Queues) begin() {
	q.seq++
	q.lookups.Reset(q.seq)
	q.seq += inetdiag.MaxLookups
}

// send sends the batch, unless it is empty.
func (q *Queues) send(in host.Inside) error {
	if len(q.lookups.Answers) == 0 {
		return nil
	}
	if q.addAnswer == nil {
		q.addAnswer = q.lookups.Add
	}
	return in.Dump(host.Lookups, q.lookups.Request(), q.addAnswer)
}
