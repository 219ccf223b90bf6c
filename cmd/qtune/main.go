// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Command qtune finds out which TCP listeners lose connections, why, and what
// to do about it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"

	"golang.org/x/sys/unix"
)

// version is set by the linker from the git tag.
var version = "development"

func main() {
	// /proc/self follows the main thread: no goroutine that visits other
	// namespaces may ever run on it.
	runtime.LockOSThread()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process at once
	err := rootCommand().ExecuteContext(ctx)
	if err == nil {
		return
	}
	if errors.Is(err, context.Canceled) {
		err = fmt.Errorf("interrupted: %w", err)
	}
	if !isAnswer(err) {
		fmt.Fprintln(os.Stderr, "qtune:", err)
	}
	os.Exit(exitCode(err))
}
