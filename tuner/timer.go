// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tuner

import (
	"context"
	"errors"
	"fmt"
	"time"

	systemd "github.com/coreos/go-systemd/v22/dbus"
	"github.com/coreos/go-systemd/v22/util"
	"github.com/godbus/dbus/v5"
	"github.com/oklog/ulid/v2"
)

const (
	// systemdPatience is how long systemd may take to start a timer.
	systemdPatience = 5 * time.Second

	// timerLate is how long after the deadline the timer fires: qtune recover
	// decides what is past it, and the transaction begins a little after its
	// timer.
	timerLate = 10 * time.Second
)

// errNoSystemd says that this host was not booted with systemd.
var errNoSystemd = errors.New("systemd does not run here")

// A timer is a transient timer of systemd. It lives as long as systemd does,
// whatever becomes of us.
type timer struct {
	name string // of the unit
}

// startTimer lets systemd run a command when a trial is over.
func startTimer(ctx context.Context, command []string, trial time.Duration) (*timer, error) {
	if !util.IsRunningSystemd() {
		return nil, errNoSystemd
	}
	ctx, cancel := context.WithTimeout(ctx, systemdPatience)
	defer cancel()
	conn, err := systemd.NewWithContext(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask systemd for a timer: %w", err)
	}
	defer conn.Close()
	return startTimerBy(ctx, conn, command, trial)
}

// startTimerBy starts the timer over a connection that is there.
func startTimerBy(ctx context.Context, conn *systemd.Conn, command []string, trial time.Duration) (*timer, error) {
	unit := "qtune-trial-" + ulid.Make().String()
	t := &timer{name: unit + ".timer"}
	started := make(chan string, 1)
	service := systemd.PropertyCollection{Name: unit + ".service", Properties: serviceProperties(command)}
	_, err := conn.StartTransientUnitAux(ctx, t.name, "fail", timerProperties(trial), []systemd.PropertyCollection{service}, started)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", t.name, err)
	}
	select {
	case result := <-started:
		if result != "done" {
			return nil, fmt.Errorf("start %s: systemd says %q", t.name, result)
		}
		return t, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("start %s: %w", t.name, ctx.Err())
	}
}

// An elapse is one entry of a timer unit's TimersMonotonic.
type elapse struct {
	Base string
	USec uint64
}

// timerProperties are those of a timer that fires once and is gone then.
func timerProperties(trial time.Duration) []systemd.Property {
	after := elapse{"OnActiveSec", uint64((trial + timerLate).Microseconds())}
	return []systemd.Property{
		systemd.PropDescription("End of a trial of qtune"),
		{Name: "TimersMonotonic", Value: dbus.MakeVariant([]elapse{after})},
		{Name: "AccuracyUSec", Value: dbus.MakeVariant(uint64(time.Second.Microseconds()))}, // else a minute
		{Name: "RemainAfterElapse", Value: dbus.MakeVariant(false)},
	}
}

// serviceProperties are those of what the timer starts.
func serviceProperties(command []string) []systemd.Property {
	return []systemd.Property{
		systemd.PropDescription("Undo the trial of qtune that nobody confirmed"),
		systemd.PropType("oneshot"),
		systemd.PropExecStart(command, false), // true would take its failure for success
	}
}

// stop stops the timer.
func (t *timer) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, systemdPatience)
	defer cancel()
	conn, err := systemd.NewWithContext(ctx)
	if err != nil {
		return fmt.Errorf("ask systemd to stop %s: %w", t.name, err)
	}
	defer conn.Close()
	return t.stopBy(ctx, conn)
}

func (t *timer) stopBy(ctx context.Context, conn *systemd.Conn) error {
	if _, err := conn.StopUnitContext(ctx, t.name, "fail", nil); err != nil {
		return fmt.Errorf("stop %s: %w", t.name, err)
	}
	return nil
}
