// SPDX-License-Identifier: Apache-2.0

//go:build linux

package agent

import (
	"slices"
	"time"

	"github.com/qtune/qtune/tcpq"
)

// How many windows it takes to believe that a listener overflows in bursts, and that
// it no longer does.
const (
	enterWindows = 2
	ofWindows    = 3
	leaveWindows = 6
)

// A track is the course of a listener's verdicts, window by window. Windows here
// follow each other; that of the agent slides.
type track struct {
	ends     time.Duration // when the window ends that is running
	overflew []bool        // the last windows, the newest last
	entered  bool          // believed to overflow in bursts
	clean    int           // windows since it last did

	cookies   []uint64 // of its namespace's listeners
	somaxconn int64
	pid       int           // of its owner, 0 when unknown
	changed   time.Duration // when any of these did; 0: never seen to
}

// step takes in the verdict of now.
func (t *track) step(now, window time.Duration, overflows bool) {
	if now < t.ends {
		return
	}
	t.ends = now + window
	t.overflew = append(t.overflew, overflows)
	t.overflew = t.overflew[max(0, len(t.overflew)-ofWindows):]
	count := 0
	for _, is := range t.overflew {
		if is {
			count++
		}
	}
	t.clean++
	if overflows {
		t.clean = 0
	}
	switch {
	case count >= enterWindows:
		t.entered = true
	case t.clean >= leaveWindows:
		t.entered = false
	}
}

// over reports whether there is nothing left to remember.
func (t *track) over() bool { return !t.entered && !slices.Contains(t.overflew, true) }

// look notes whether its namespace is another than it was: a listener came or went,
// a program was started again, or somebody changed somaxconn. What happens right
// after that says little about the queue.
func (t *track) look(now time.Duration, j *judged) {
	if !j.ns.Listed {
		return
	}
	cookies := make([]uint64, len(j.ns.Listeners))
	for i := range cookies {
		cookies[i] = j.ns.Listeners[i].Cookie
	}
	somaxconn, _ := j.ns.Sysctls.Get(tcpq.Somaxconn)
	pid := t.pid
	if o := j.shown.Owner; o != nil && o.PID != 0 {
		pid = o.PID
	}
	first := t.cookies == nil
	same := slices.Equal(cookies, t.cookies) && somaxconn == t.somaxconn && (pid == t.pid || t.pid == 0)
	if !first && !same {
		t.changed = now
	}
	t.cookies, t.somaxconn, t.pid = cookies, somaxconn, pid
}
