// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tuner

import (
	"slices"
	"time"

	"github.com/qtune/qtune/inspection"
)

// APIVersion is that of every document of this package.
const APIVersion = inspection.APIVersion

// A Plan says what is to be changed, and why. It is made by looking, and stale as
// soon as a value it starts from has moved.
type Plan struct {
	APIVersion string    `json:"apiVersion"`
	Kind       string    `json:"kind"` // Plan
	Created    time.Time `json:"created"`
	Host       string    `json:"host"`
	BootID     string    `json:"bootID"`
	Policy     string    `json:"policy,omitempty"` // name and hash of the policy file

	Steps    []Step    `json:"steps"` // in the order in which they are done, no two of one value
	Cost     Cost      `json:"cost"`
	Refusals []Refusal `json:"refusals"` // what was wanted and is not done
	Advice   []Advice  `json:"advice"`   // what only the application can do
}

// KindPlan is the kind of a Plan.
const KindPlan = "Plan"

// Empty reports whether there is nothing to do.
func (p *Plan) Empty() bool { return len(p.Steps) == 0 }

// FeltNow reports whether some running listener feels the plan at once. A larger
// net.core.somaxconn alone is felt by none.
func (p *Plan) FeltNow() bool {
	return slices.ContainsFunc(p.Steps, func(s Step) bool {
		return slices.ContainsFunc(s.Affects, func(a Affect) bool { return a.Now })
	})
}

// A Kind says what a step changes.
type Kind string

// The kinds of steps, in the order in which they are done.
const (
	KindSysctl Kind = "sysctl" // a value of a namespace
	KindListen Kind = "listen" // the limit of a running listener
	KindFile   Kind = "file"   // /etc/sysctl.d/60-qtune.conf, at confirm
)

// A Step is one value that is changed.
type Step struct {
	Kind     Kind    `json:"kind"`
	Scope    Scope   `json:"scope"`
	Key      string  `json:"key,omitempty"`      // of a sysctl
	Listener *Socket `json:"listener,omitempty"` // of a listen
	From     int64   `json:"from"`
	To       int64   `json:"to"`

	Why      string   `json:"why,omitempty"`
	Findings []string `json:"findings,omitempty"` // codes
	Affects  []Affect `json:"affects,omitempty"`  // running listeners
	SetBy    []Setter `json:"setBy,omitempty"`    // who else sets this key

	// What became of it, in a Transaction.
	Outcome Outcome `json:"outcome,omitempty"`
	Seen    *int64  `json:"seen,omitempty"` // the value that was found then
	Message string  `json:"message,omitempty"`
}

// A Scope is the network namespace of a step. The cookie is its identity; before
// Linux 5.14 there is none, and a process that was in it then stands witness.
type Scope struct {
	Netns  uint64 `json:"netns"`            // inode
	Cookie string `json:"cookie,omitempty"` // 16 hex digits
	Host   bool   `json:"host,omitempty"`
	Name   string `json:"name,omitempty"`
	Pod    string `json:"pod,omitempty"` // NAMESPACE/NAME, or its uid

	PID        int    `json:"pid,omitempty"`
	PIDStarted uint64 `json:"pidStarted,omitempty"` // clock ticks after boot
}

// A Socket is the listener of a step.
type Socket struct {
	Address  string `json:"address"`
	Port     uint16 `json:"port"`
	Device   string `json:"device,omitempty"`
	Protocol string `json:"protocol"` // tcp or mptcp
	Inode    uint32 `json:"inode"`
	Cookie   string `json:"cookie"`
	PIDs     []int  `json:"pids,omitempty"`
	Comm     string `json:"comm,omitempty"`
}

// An Affect says which running listener feels a step, and when.
type Affect struct {
	Listener string `json:"listener"` // ADDR[%DEV]:PORT; all members of a reuse-port group
	Comm     string `json:"comm,omitempty"`
	Now      bool   `json:"now"` // false: at its next listen(2)
}

// A Setter is another writer of a key.
type Setter struct {
	Where string `json:"where"` // a file with its line, or what else
	Value string `json:"value"`
	Wins  bool   `json:"wins"` // at boot, over the file qtune would write
}

// A Cost is what a plan may take.
type Cost struct {
	IdleBytes       uint64  `json:"idleBytes"`                  // when the longer queues are full
	WorstBytes      uint64  `json:"worstBytes"`                 // and every peer has sent what it may
	WorstWaitSecond float64 `json:"worstWaitSeconds,omitempty"` // that a connection may wait more for accept(2)
}

// A Refusal is something that was wanted and is not in the plan.
type Refusal struct {
	Code     string   `json:"code"` // one of the codes below
	Rail     string   `json:"rail,omitempty"`
	Scope    Scope    `json:"scope"`
	Key      string   `json:"key,omitempty"`
	Listener *Socket  `json:"listener,omitempty"`
	From     int64    `json:"from"`
	To       int64    `json:"to"` // as it was wanted
	Limit    float64  `json:"limit"`
	Actual   float64  `json:"actual"`
	Unit     string   `json:"unit,omitempty"`
	Message  string   `json:"message"`
	WaysOut  []string `json:"waysOut,omitempty"`
}

// The codes of refusals. Of a rail they have Limit, Actual and Unit.
const (
	ByRail       = "guard-rail"    // Rail forbids it
	Capped       = "capped"        // Rail forbids To: a smaller value is in the plan
	NotTheQueue  = "not-the-queue" // another limit is no remedy: Message says what is wrong
	Excluded     = "excluded"      // the program is left alone
	NoConsent    = "no-consent"    // nobody allowed that the running listener is resized
	ByPolicy     = "policy"        // the policy does not cover the namespace
	Unsupported  = "unsupported"   // it cannot be done here
	NotPermitted = "not-permitted" // a capability is missing to see what it takes
	NotFound     = "not-found"     // no such namespace, listener or value
)

// An Advice is what the owner of a listener has to do himself.
type Advice struct {
	Scope    Scope  `json:"scope"`
	Listener string `json:"listener,omitempty"` // ADDR[%DEV]:PORT, absent when it is for the namespace
	Comm     string `json:"comm,omitempty"`
	Code     string `json:"code"` // of the finding
	Text     string `json:"text"`
	Example  string `json:"example,omitempty"`
}
