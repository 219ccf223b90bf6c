// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tuner

import (
	"errors"
	"time"
)

// A State is where a transaction is in its life.
type State string

// The states. Those that are open are undone by whoever recovers.
const (
	Prepared   State = "prepared"    // open: written down, perhaps in part done
	Applied    State = "applied"     // open: done and verified, on trial until its deadline
	Confirmed  State = "confirmed"   // kept
	RolledBack State = "rolled-back" // undone
	Failed     State = "failed"      // undone, because a step could not be done
	Conflict   State = "conflict"    // somebody else wrote; ours was undone, theirs left
	Gone       State = "gone"        // the namespace or the listener is there no more
	Superseded State = "superseded"  // a later transaction changed the same values
)

// Open reports whether the transaction is not decided yet.
func (s State) Open() bool { return s == Prepared || s == Applied }

// An Outcome is what became of one step.
type Outcome string

// The outcomes.
const (
	Done     Outcome = "done"
	NotDone  Outcome = "not-done" // the old value was found
	Undone   Outcome = "undone"
	Foreign  Outcome = "foreign"   // somebody else's value was found, and left
	LeftHigh Outcome = "left-high" // the undo would have shrunk the listener below both limits
	Vanished Outcome = "vanished"
	Unknown  Outcome = "unknown" // it could not be read or written: Message says why
)

// A Guardian is who undoes a trial when its deadline comes.
type Guardian string

// The guardians.
const (
	ByAgent      Guardian = "agent"
	BySystemd    Guardian = "systemd"    // a transient timer that runs qtune recover
	ByForeground Guardian = "foreground" // the command that applied it waits
)

// A Transaction is a Plan that was begun: a file of the journal.
type Transaction struct {
	Schema int    `json:"schema"`
	ID     string `json:"id"` // a ULID
	State  State  `json:"state"`
	Reason string `json:"reason,omitempty"` // why it is in that state: deadline, operator, regression, ...

	Created  Moment    `json:"created"`
	BootID   string    `json:"bootID"`
	Deadline *Moment   `json:"deadline,omitempty"` // of a trial
	Closed   time.Time `json:"closed,omitzero"`

	Actor    Actor    `json:"actor"`
	Why      string   `json:"why,omitempty"`
	Guardian Guardian `json:"guardian,omitempty"`
	Persist  bool     `json:"persist,omitempty"`
	Steps    []Step   `json:"steps"`

	Boot *BootFile `json:"boot,omitempty"` // of a step of KindFile
}

// A Moment is a point in time by the clock on the wall and by the one that counts
// since boot, suspend included: that one cannot be set.
type Moment struct {
	Wall time.Time     `json:"wall"`
	Boot time.Duration `json:"boottimeNanoseconds"`
}

// A Now is the present as a step is told it.
type Now struct {
	Moment
	BootID string
}

// An Actor is who began a transaction.
type Actor struct {
	UID    uint32 `json:"uid"`
	PID    int    `json:"pid"`
	Comm   string `json:"comm"`
	Policy string `json:"policy,omitempty"` // name and hash of the file, when it asked
}

// What callers decide on.
var (
	ErrBusy       = errors.New("another qtune is changing this host") // the lock is held
	ErrOpen       = errors.New("a transaction is open")
	ErrStale      = errors.New("the plan is stale")
	ErrConflict   = errors.New("somebody else wrote")
	ErrRail       = errors.New("a guard rail forbids it")
	ErrVerify     = errors.New("not verified, rolled back")
	ErrIncomplete = errors.New("rolled back in part")
	ErrUnknown    = errors.New("no such transaction")
	ErrLate       = errors.New("the trial is over")
	ErrSatisfied  = errors.New("nothing to do")        // every value is what the plan wants, or better
	ErrClosed     = errors.New("it is undone already") // or never was in force
)
