// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/tuner"
)

func TestExitCodes(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want int
	}{
		{"nothing went wrong", nil, 0},
		{"anything else", errors.New("no space left on device"), 1},
		{"a no at the first question", errDeclined, 1},
		{"no such transaction", fmt.Errorf("%w: %q", tuner.ErrUnknown, "01"), 1},
		{"undone already", fmt.Errorf("transaction 01: %w", tuner.ErrClosed), 1},
		{"a plan with changes", errChanges, 2},
		{"a critical finding", errCritical, 2},
		{"drift", errDrift, 10},
		{"a foreign value", fmt.Errorf("transaction 01: %w: 7 was found", tuner.ErrConflict), 10},
		{"another file at boot", fmt.Errorf("%w: by 99-x.conf", errShadowed), 10},
		{"a guard rail", fmt.Errorf("%w: worst-memory", tuner.ErrRail), 11},
		{"a missing capability", fmt.Errorf("open: %w", host.ErrPermission), 12},
		{"a journal that may not be written", fmt.Errorf("write: %w", fs.ErrPermission), 12},
		{"the lock is held", fmt.Errorf("%w: by 7", tuner.ErrBusy), 13},
		{"a transaction is open", fmt.Errorf("%w: 01", tuner.ErrOpen), 13},
		{"not verified", fmt.Errorf("%w: it did not stay", tuner.ErrVerify), 14},
		{"a trial that was not kept", errNotKept, 14},
		{"a trial that was over", fmt.Errorf("transaction 01: %w", tuner.ErrLate), 14},
		{"undone in part", fmt.Errorf("transaction 01: %w", tuner.ErrIncomplete), 15},
		{"a stale plan", fmt.Errorf("%w: 4096 was 128", tuner.ErrStale), 16},
		{"an old kernel", fmt.Errorf("pidfd_getfd: %w", host.ErrUnsupported), 17},
		{"no guardian", fmt.Errorf("%w: no terminal", tuner.ErrNoGuardian), 17},
		{"wrong usage", usageError("what?"), 64},
		{"Ctrl-C before anything was changed", fmt.Errorf("interrupted: %w", context.Canceled), 130},

		{"what was left undone is worse than why", errors.Join(fmt.Errorf("set: %w", host.ErrPermission), tuner.ErrIncomplete), 15},
		{"and than a foreign value", errors.Join(tuner.ErrConflict, tuner.ErrIncomplete), 15},
		{"a foreign value is worse than a trial that was over", errors.Join(tuner.ErrLate, tuner.ErrConflict), 10},
		{"a stale plan is why its namespace is gone", fmt.Errorf("%w: %w", tuner.ErrStale, host.ErrGone), 16},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := exitCode(tt.err); got != tt.want {
				t.Errorf("exitCode(%v) = %d, want %d", tt.err, got, tt.want)
			}
		})
	}
}

// TestApplyHelpNamesEveryExitCode holds what design and help promise.
func TestApplyHelpNamesEveryExitCode(t *testing.T) {
	for command, codes := range map[string][]int{
		"plan":  {0, 1, 2, 64},
		"apply": {0, 1, 10, 11, 12, 13, 14, 15, 16, 17, 64, 130},
	} {
		out, err := execute(t, command, "--help")
		if err != nil {
			t.Fatal(err)
		}
		_, list, _ := strings.Cut(string(out), "Exit codes:\n")
		for _, code := range codes {
			if line := fmt.Sprintf("\n  %-4d ", code); !strings.Contains("\n"+list, line) {
				t.Errorf("%s --help does not say what exit code %d is", command, code)
			}
		}
	}
}

func TestRefusalsAreErrors(t *testing.T) {
	tests := []struct {
		code string
		want int
	}{
		{tuner.Capped, 0},
		{tuner.ByRail, 11},
		{tuner.NotTheQueue, 11},
		{tuner.Excluded, 11},
		{tuner.NoConsent, 11},
		{tuner.ByPolicy, 11},
		{tuner.Unsupported, 17},
		{tuner.NotPermitted, 12},
		{tuner.NotFound, 64},
	}
	for _, tt := range tests {
		t.Run(tt.code, func(t *testing.T) {
			err := refusalError([]tuner.Refusal{{Code: tuner.Capped}, {Code: tt.code, Message: "because"}})
			if got := exitCode(err); got != tt.want {
				t.Errorf("a refusal %s: %v, exit %d, want %d", tt.code, err, got, tt.want)
			}
		})
	}
}
