// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// invariants are what must hold all the time.
var invariants = []struct{ name, what string }{
	{"flat", "the agent's memory, descriptors and threads do not grow"},
	{"forward", "no counter of a series runs backwards within a life of the agent"},
	{"once", "what increase() makes of a namespace's counters is never more than what the load did"},
	{"kept", "what a namespace counted is told after its end, exactly when it ended quietly"},
	{"exact", "a namespace where nothing moves counts exactly what the load did"},
	{"apart", "nothing crosses between namespaces that share an inode number"},
	{"veth", "a veth is gone 1 s after its pod's end"},
	{"dead", "no series tells of a pod that ended 11 minutes ago"},
	{"punctual", "the agent is never late by more than the gap that its budget makes between two steps"},
	{"answers", "every scrape is answered"},
}

// A report notes what was checked and what was broken.
type report struct {
	mu      sync.Mutex // guards what follows
	checked map[string]int
	broken  map[string][]string
	counted map[string]int
	most    map[string]time.Duration
}

// maxExamples is how many cases of a broken invariant are kept.
const maxExamples = 5

// check notes that an invariant was looked at, and how it was broken if it was not
// kept.
func (r *report) check(invariant string, ok bool, format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.checked == nil {
		r.checked, r.broken = map[string]int{}, map[string][]string{}
	}
	r.checked[invariant]++
	if !ok && len(r.broken[invariant]) < maxExamples {
		r.broken[invariant] = append(r.broken[invariant], fmt.Sprintf(format, args...))
	}
}

// add counts something for people.
func (r *report) add(what string, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.counted == nil {
		r.counted = map[string]int{}
	}
	r.counted[what] += n
}

func (r *report) count(what string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.counted[what]
}

// longest notes how long something took at most.
func (r *report) longest(what string, took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.most == nil {
		r.most = map[string]time.Duration{}
	}
	r.most[what] = max(r.most[what], took)
}

// state names what is broken by now.
func (r *report) state() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var names []string
	for _, i := range invariants {
		if len(r.broken[i.name]) > 0 {
			names = append(names, i.name)
		}
	}
	if len(names) == 0 {
		return "all holds"
	}
	return "BROKEN: " + strings.Join(names, ", ")
}

// summary says how each invariant fared.
func (r *report) summary(out io.Writer) error {
	state := r.state()
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintln(out)
	for _, i := range invariants {
		verdict := fmt.Sprintf("held in %d checks", r.checked[i.name])
		switch {
		case len(r.broken[i.name]) > 0:
			verdict = "BROKEN"
		case r.checked[i.name] == 0:
			verdict = "not checked: the run was too short"
		}
		fmt.Fprintf(out, "%-9s %s: %s\n", i.name, i.what, verdict)
		for _, example := range r.broken[i.name] {
			fmt.Fprintf(out, "          %s\n", example)
		}
	}
	for what, took := range r.most {
		fmt.Fprintf(out, "%s: %v at most\n", what, took.Round(time.Millisecond))
	}
	if len(r.broken) > 0 {
		return errors.New(state)
	}
	return nil
}
