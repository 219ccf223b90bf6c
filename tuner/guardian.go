// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tuner

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrNoGuardian says that nobody would undo a trial when its deadline comes.
var ErrNoGuardian = errors.New("nobody would undo the trial")

// GuardOptions say who may undo a trial.
type GuardOptions struct {
	Trial time.Duration // from now on

	// Enforcing reports whether an agent runs here that decides open
	// transactions. Nil: nobody is to be asked.
	Enforcing func(context.Context) bool

	// Recover is the command line of qtune recover, its program an absolute
	// path that holds on the host, for a timer of systemd. Nil: systemd is not
	// to be asked, from inside a container for instance.
	Recover []string

	// Foreground says that the caller can stay, and be asked.
	Foreground bool
}

// A Guard is a guardian that was arranged.
type Guard struct {
	By Guardian

	release func(context.Context) error
}

// Arrange arranges who undoes a trial at its deadline: an agent that enforces, else
// a timer of systemd, else the caller who stays in the foreground. It comes before
// the first write: without a guardian nothing is changed.
func Arrange(ctx context.Context, o GuardOptions) (*Guard, error) {
	if o.Enforcing != nil && o.Enforcing(ctx) {
		return &Guard{By: ByAgent}, nil
	}
	why := errors.New("systemd cannot be asked from here")
	if o.Recover != nil {
		t, err := startTimer(ctx, o.Recover, o.Trial)
		if err == nil {
			return &Guard{By: BySystemd, release: t.stop}, nil
		}
		why = err
	}
	if o.Foreground {
		return &Guard{By: ByForeground}, nil
	}
	return nil, fmt.Errorf("%w: no agent enforces on this host, %w, and this is no terminal that could be asked", ErrNoGuardian, why)
}

// Release lets the guardian go when the transaction was decided, or never began. A
// timer that fires after that finds nothing to do.
func (g *Guard) Release(ctx context.Context) error {
	if g.release == nil {
		return nil
	}
	return g.release(ctx)
}
