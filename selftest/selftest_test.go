// SPDX-License-Identifier: Apache-2.0

//go:build linux

package selftest

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"testing"

	"github.com/qtune/qtune/host"
)

// holdArg makes this test binary a process that holds a listener.
const holdArg = "hold"

func TestMain(m *testing.M) {
	runtime.LockOSThread() // no thread of a lab is ever the main one
	if len(os.Args) == 2 && os.Args[1] == holdArg {
		if err := Hold(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

var testHolder = []string{"/proc/self/exe", holdArg}

// run tries rules on the running kernel.
func run(t *testing.T, o Options) []Result {
	t.Helper()
	live, err := host.NewLive("/")
	if err != nil {
		t.Fatal(err)
	}
	o.Holder = testHolder
	results, err := Run(t.Context(), live, o)
	if errors.Is(err, host.ErrPermission) {
		t.Skip("needs root: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return results
}

func TestKernelSelftest(t *testing.T) {
	for _, r := range run(t, Options{}) {
		switch r.Outcome {
		case Pass:
			if testing.Verbose() {
				t.Logf("%s: %s: %s", r.Rule, r.Case, r.Observed())
			}
		case Skipped:
			t.Logf("%s: %s: skipped: %s", r.Rule, r.Case, r.Why)
		default:
			t.Errorf("%s: %s: %s: predicted %s; observed %s; %s", r.Rule, r.Case, r.Outcome, r.Predicted(), r.Observed(), r.Why)
		}
	}
}
