// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/tuner"
)

// Exit codes that have a name.
const (
	exitOK        = 0
	exitError     = 1
	exitUsage     = 64
	exitInterrupt = 130 // as shells have it
)

// What is no failure and yet no success, to whoever asks for an exit code.
var (
	// errCritical says that connections are being lost. It was shown already.
	errCritical = errors.New("a critical finding")
	// errChanges says that a plan would change something. It was shown, too.
	errChanges = errors.New("changes are planned")
	// errDrift says that a value is not what was confirmed. It was shown, too.
	errDrift = errors.New("drift")

	// errUsage says that the command line makes no sense.
	errUsage = errors.New("usage")
	// errNotKept says that a trial ended without a yes.
	errNotKept = errors.New("the change was not kept")
	// errShadowed says that another file would win over ours at boot.
	errShadowed = errors.New("shadowed")
)

// exitCodes says what each exit code stands for. An error may be several of
// these: the first row counts, so what is worse stands before.
var exitCodes = []struct {
	code int
	err  error
	says string
}{
	{exitUsage, errUsage, "wrong usage"},
	{15, tuner.ErrIncomplete, "undone in part: what is left to do by hand is said"},
	{10, tuner.ErrConflict, "somebody else wrote: ours was undone, theirs left"},
	{10, errDrift, "a value is no longer what was confirmed"},
	{10, errShadowed, "another file would win at boot (--shadowed-ok)"},
	{14, tuner.ErrVerify, "not verified: everything was undone"},
	{14, tuner.ErrLate, "the trial was over: everything was undone"},
	{14, errNotKept, "the trial was not kept: everything was undone"},
	{16, tuner.ErrStale, "a value is no longer the one the plan starts from"},
	{13, tuner.ErrBusy, "another qtune is changing this host"},
	{13, tuner.ErrOpen, "an earlier transaction is not decided yet"},
	{11, tuner.ErrRail, "a guard rail forbids it"},
	{12, host.ErrPermission, "not permitted: what is missing is said"},
	{12, fs.ErrPermission, "not permitted: what is missing is said"}, // to the journal or the lock
	{17, host.ErrUnsupported, "not supported by this kernel, or here"},
	{17, errors.ErrUnsupported, "not supported by this kernel, or here"},
	{17, tuner.ErrNoGuardian, "nobody would undo the trial"},
	{2, errCritical, "with --detailed-exitcode: connections are being lost"},
	{2, errChanges, "with --detailed-exitcode: there are changes"},
	{exitInterrupt, context.Canceled, "interrupted before anything was changed"},
}

func exitCode(err error) int {
	if err == nil {
		return exitOK
	}
	for _, row := range exitCodes {
		if errors.Is(err, row.err) {
			return row.code
		}
	}
	return exitError
}

// isAnswer reports whether an error only carries an exit code: what it says was
// shown.
func isAnswer(err error) bool {
	return errors.Is(err, errCritical) || errors.Is(err, errChanges) || errors.Is(err, errDrift)
}

// exitHelp is the part of a command's help that says how it exits.
func exitHelp(which ...error) string {
	var b strings.Builder
	b.WriteString("\n\nExit codes:\n  0    done, or nothing to do\n  1    an error before anything was changed")
	for code := range exitInterrupt + 1 {
		number := strconv.Itoa(code) // once
		for _, row := range exitCodes {
			if row.code == code && slices.Contains(which, row.err) {
				fmt.Fprintf(&b, "\n  %-4s %s", number, row.says)
				number = ""
			}
		}
	}
	return b.String()
}

func usageError(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errUsage, fmt.Sprintf(format, args...))
}
