// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Command demo shows what qtune is for, on this machine and within a minute: a
// server with a short queue loses connections under bursts, inspect says why, apply
// resizes its running listener, the same load loses nothing, and rollback brings
// the loss back. All of it happens in a network namespace that ends with the demo.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
)

func main() {
	runtime.LockOSThread() // /proc/self follows the main thread, which stays where it is
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 1 && args[0] == "serve":
		return serve()
	case len(args) == 1 && args[0] == "load":
		return json.NewEncoder(os.Stdout).Encode(load())
	case len(args) == 1:
		return show(args[0])
	}
	return errors.New("usage: demo PATH-OF-QTUNE (`make demo` does that)")
}
