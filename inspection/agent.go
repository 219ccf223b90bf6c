// SPDX-License-Identifier: Apache-2.0

//go:build linux

package inspection

import "time"

// An Agent says who watched the host, and how that goes.
type Agent struct {
	Version    string     `json:"version"`
	Mode       string     `json:"mode"` // observe, advise or enforce
	Started    time.Time  `json:"started"`
	Policy     string     `json:"policy"` // name and hash of its file, or default
	Activities []Activity `json:"activities"`
	Sampling   Sampling   `json:"sampling"`

	PolicyError string  `json:"policyError,omitempty"` // why the file that is there now is not followed
	Tuning      *Tuning `json:"tuning,omitempty"`      // in mode enforce
}

// An Activity is something the agent does again and again, within a budget of CPU
// time: what costs more is done less often.
type Activity struct {
	Name          string  `json:"name"`
	PeriodSeconds float64 `json:"periodSeconds"` // between two times, as planned
	GapSeconds    float64 `json:"gapSeconds"`    // and as the budget has it: more when it costs too much
	CPUSeconds    float64 `json:"cpuSeconds"`    // what it took the last time
}

// A Sampling says how the queues are sampled between two steps.
type Sampling struct {
	Watched   int     `json:"watched"` // listeners sampled at Hz, because they fill or lost something
	Hz        float64 `json:"hz"`
	Ticks     uint64  `json:"ticks"`     // of that, since the agent began
	LateTicks uint64  `json:"lateTicks"` // of them, those that came more than half a period late
}

// A Gone is what ended within the last ten minutes, as it was last seen. It is kept
// so that whoever asks every minute learns what it counted last.
type Gone struct {
	Namespaces []Namespace `json:"namespaces"`
	Listeners  []Listener  `json:"listeners"`
}

// Totals are what happened at a listener since the agent first saw it. They never
// go backwards.
type Totals struct {
	Discards   uint64 `json:"discards"`   // packets discarded for the socket, those before that included
	RefusedMax uint64 `json:"refusedMax"` // packets of new connections refused, at most
}

// KindHistory is the kind of a History.
const KindHistory = "ListenerHistory"

// A History is the course of one listener, slot by slot, the oldest first.
type History struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Netns      uint64 `json:"netns"`
	Cookie     string `json:"cookie"`
	Limit      uint32 `json:"limit"` // of the accept queue, now
	Slots      []Slot `json:"slots"`
}

// A Slot is a stretch of a History.
type Slot struct {
	Time     time.Time `json:"time"` // its end
	Seconds  float64   `json:"seconds"`
	Length   uint32    `json:"length"`   // of the accept queue at its end
	Peak     uint32    `json:"peak"`     // its longest sample
	Discards uint64    `json:"discards"` // harmless packets included
	Refused  uint64    `json:"refused"`  // packets of new connections, at most
}
