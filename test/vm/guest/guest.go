// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package guest is what a virtual machine and the host that boots it say to each
// other. The host puts [StepsFile] and [ModulesDir] into the guest's initial file
// system; the guest writes events, a JSON value each, to [EventsDevice].
package guest

import "time"

const (
	// StepsFile holds a JSON array of [Step], to be run in this order.
	StepsFile = "/steps.json"
	// ModulesDir holds kernel modules, to be loaded in the order of their names.
	ModulesDir = "/modules"
	// EventsDevice is the second serial line. The first one is the console, where
	// the kernel's messages and the output of the steps are.
	EventsDevice = "/dev/ttyS1"
)

// A Step is a program to run.
type Step struct {
	Name  string
	Argv  []string
	Dir   string
	Limit time.Duration // it is killed after it
}

// An Event is something that happened in the guest. One of its fields is set.
type Event struct {
	Ready   *Ready  `json:",omitempty"`
	Problem string  `json:",omitempty"` // it goes on
	Began   string  `json:",omitempty"` // a step
	Output  *Output `json:",omitempty"`
	Ended   *Ended  `json:",omitempty"`
	Done    bool    `json:",omitempty"` // all steps have ended
}

// Ready says that the kernel has started init.
type Ready struct {
	Release string        // as in uname -r
	Uptime  time.Duration // of the guest
}

// Output is a piece of what a step writes.
type Output struct{ Text string }

// Ended says how a step ended.
type Ended struct {
	Step   string
	Code   int // -1: killed, or not started
	Reason string
	Took   time.Duration // by the guest's clock
}
