// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package inspection is what is known of a host at one instant: the JSON
// contract of `qtune inspect`, which tables, metrics and pages read, too. An
// [Inspection] is immutable once made.
//
// A key is absent when its value is unknown; it is never 0 for unknown.
package inspection

import (
	"strings"
	"time"

	"github.com/qtune/qtune/tcpq"
)

// The version and kind of the contract.
const (
	APIVersion = "qtune.dev/v1alpha1"
	Kind       = "Inspection"
)

// An Inspection is one host at one instant.
type Inspection struct {
	APIVersion string      `json:"apiVersion"`
	Kind       string      `json:"kind"`
	Time       time.Time   `json:"time"`
	Window     Window      `json:"window"`
	Host       Host        `json:"host"`
	Namespaces []Namespace `json:"namespaces"`
	Listeners  []Listener  `json:"listeners"`
	Findings   []Finding   `json:"findings"`
	Elsewhere  []Elsewhere `json:"elsewhere,omitempty"`
	Coverage   Coverage    `json:"coverage"`
	Errors     []Error     `json:"errors"`

	Agent *Agent `json:"agent,omitempty"` // when an agent watched
	Gone  *Gone  `json:"gone,omitempty"`  // and what ended meanwhile
}

// A Window says over what time changes were watched.
type Window struct {
	Seconds float64 `json:"seconds"`
	Source  Source  `json:"source"`
}

// A Source is who watched.
type Source string

// Who watched.
const (
	SourceAgent   Source = "agent"   // the agent of this host
	SourceWatched Source = "watched" // this command, or the one that made the recording
	SourceNone    Source = "none"    // one snapshot, no window
)

// A Host says which machine it is.
type Host struct {
	Name   string `json:"name"`
	Kernel string `json:"kernel"`
}

// A Namespace is a network namespace.
type Namespace struct {
	Inode  uint64 `json:"inode"`
	Cookie string `json:"cookie,omitempty"` // 16 hex digits
	Host   bool   `json:"host"`
	Name   string `json:"name,omitempty"`
	PID    int    `json:"pid,omitempty"`

	Sysctls         map[string]int64  `json:"sysctls"`
	HostWideSysctls []string          `json:"hostWideSysctls,omitempty"` // of those, the ones that hold for the whole host
	Counters        map[string]uint64 `json:"counters"`                  // since the namespace was made
	Moved           map[string]uint64 `json:"moved,omitempty"`           // within the window; what did not move is absent

	UnattributedSyn *uint32 `json:"unattributedSyn,omitempty"`
	Error           string  `json:"error,omitempty"`
}

// A Listener is a listening TCP socket.
type Listener struct {
	Netns    uint64 `json:"netns"`
	Address  string `json:"address"`
	Port     uint16 `json:"port"`
	Family   string `json:"family"`
	Protocol string `json:"protocol"`
	V6Only   *bool  `json:"v6Only,omitempty"` // of an IPv6 listener; false: IPv4 peers, too
	Device   string `json:"device,omitempty"`
	Inode    uint32 `json:"inode"`
	Cookie   string `json:"cookie"`

	AcceptQueue AcceptQueue `json:"acceptQueue"`
	SynQueue    SynQueue    `json:"synQueue"`
	Discards    Discards    `json:"discards"`
	Refused     *Refused    `json:"refused,omitempty"` // within the window
	Totals      *Totals     `json:"totals,omitempty"`  // since the agent first saw it

	LimitBoundBy string   `json:"limitBoundBy"`
	Owner        *Owner   `json:"owner,omitempty"`
	Findings     []string `json:"findings"`
}

// Name returns ADDR[%DEV]:PORT.
func (l *Listener) Name() string {
	return tcpq.ListenerName(l.Address, l.Family == "ipv6", l.Device, l.Port)
}

// An AcceptQueue counts connections that wait for accept(2).
type AcceptQueue struct {
	Length   uint32  `json:"length"`
	Limit    uint32  `json:"limit"`
	Capacity uint64  `json:"capacity"`
	Peak     *uint32 `json:"peak,omitempty"` // longest sample of the window

	// RecentPeak is the longest sample of the agent's --peak-window.
	RecentPeak *uint32 `json:"recentPeak,omitempty"`
}

// A SynQueue counts half-open peers. A reuse-port group has one between its
// members.
type SynQueue struct {
	Length  *uint32 `json:"length,omitempty"`
	Limit   *uint32 `json:"limit,omitempty"`
	BoundBy string  `json:"boundBy,omitempty"`
	Members int     `json:"members"`
}

// Discards counts packets discarded for the socket, harmless ones included.
type Discards struct {
	Total  *uint32 `json:"total,omitempty"` // since the socket was made; wraps
	Window *uint64 `json:"window,omitempty"`
}

// Refused bounds the packets of new connections that the kernel refused.
type Refused struct {
	Min uint64 `json:"min"`
	Max uint64 `json:"max"`
}

// An Owner is the oldest process that holds a listener.
type Owner struct {
	PID       int        `json:"pid,omitempty"`
	PIDs      []int      `json:"pids,omitempty"` // all that were found to hold it, the oldest first
	Comm      string     `json:"comm,omitempty"`
	Exe       string     `json:"exe,omitempty"`
	UID       uint32     `json:"uid"` // of the process; who made the socket when there is none
	Unit      string     `json:"unit,omitempty"`
	Container *Container `json:"container,omitempty"`
	Pod       *Pod       `json:"pod,omitempty"`

	// Unfound is why there is no pid: not-permitted, kernel or no-process.
	Unfound string `json:"unfound,omitempty"`
}

// A Container is what runs the owner.
type Container struct {
	Runtime string `json:"runtime,omitempty"`
	ID      string `json:"id"`
	Name    string `json:"name,omitempty"`
}

// A Pod is the Kubernetes pod of the owner.
type Pod struct {
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name,omitempty"`
	UID       string `json:"uid"`
	Container string `json:"container,omitempty"`
}

// A Finding is a judgement with its evidence and remedy.
type Finding struct {
	Code     string           `json:"code"`
	Severity string           `json:"severity"`           // critical, warning or info
	Netns    uint64           `json:"netns"`              // inode
	Listener *FindingListener `json:"listener,omitempty"` // absent when it concerns the namespace
	Title    string           `json:"title"`
	Why      string           `json:"why"`
	Evidence []Evidence       `json:"evidence"`
	Limit    int64            `json:"limit,omitempty"` // that the listener should have
	Changes  []Change         `json:"changes"`
	Hints    []Hint           `json:"hints"`
}

// A FindingListener says which listener a finding is about.
type FindingListener struct {
	Netns   uint64 `json:"netns"`
	Address string `json:"address"`
	Device  string `json:"device,omitempty"`
	Port    uint16 `json:"port"`
	Inode   uint32 `json:"inode"`
	Cookie  string `json:"cookie"`
}

// Name returns ADDR[%DEV]:PORT.
func (l *FindingListener) Name() string {
	return tcpq.ListenerName(l.Address, strings.Contains(l.Address, ":"), l.Device, l.Port)
}

// An Evidence is a number and where it came from.
type Evidence struct {
	Name   string  `json:"name"`
	Value  float64 `json:"value"`
	Unit   string  `json:"unit,omitempty"`
	Source string  `json:"source"`
}

// A Change is a sysctl that would help.
type Change struct {
	Netns        uint64 `json:"netns"` // inode
	Key          string `json:"key"`
	From         int64  `json:"from"`
	To           int64  `json:"to"`
	EffectiveNow bool   `json:"effectiveNow"` // false: at the next listen(2) only
}

// A Hint is what to do in the program that listens.
type Hint struct {
	Program     string `json:"program,omitempty"`
	Setting     string `json:"setting"`
	Example     string `json:"example,omitempty"`
	TakesEffect string `json:"takesEffect"` // reload, restart, rebuild or now
	Verified    bool   `json:"verified"`
	Note        string `json:"note,omitempty"`
}

// An Elsewhere is trouble in a namespace whose listen queues refused nothing:
// look there instead.
type Elsewhere struct {
	Netns   uint64 `json:"netns"`
	Counter string `json:"counter"`
	Moved   uint64 `json:"moved"`
	Meaning string `json:"meaning"`
}

// A Coverage says what was not looked at.
type Coverage struct {
	NotSearched []string `json:"notSearched"` // sentences
	SynWalked   int      `json:"synWalked"`   // namespaces whose SYN queues were counted
	SynSkipped  int      `json:"synSkipped"`  // and were not
}

// An Error is something that could not be read.
type Error struct {
	Netns   uint64 `json:"netns,omitempty"`
	Stage   string `json:"stage"`
	Message string `json:"message"`
}
