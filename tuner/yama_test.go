// SPDX-License-Identifier: Apache-2.0

package tuner

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/test/lab"
)

// TestYamaForbids proves what is said where Yama lets nobody fetch a descriptor. It
// cannot be taken back before the next boot, so make vm runs it in a machine of its own.
func TestYamaForbids(t *testing.T) {
	lab.NeedMachine(t)
	b := newBox(t)
	const scope = "/proc/sys/kernel/yama/ptrace_scope"
	if err := os.WriteFile(scope, []byte("3"), 0); errors.Is(err, os.ErrNotExist) {
		t.Skip("this kernel has no Yama")
	} else if err != nil {
		t.Fatal(err)
	}
	tn := newTuner(t, testOptions(t))
	plan := planOf(b.sysctl(somaxconn, 128, 1024), b.listen(64, 1024))
	says := func(text string) bool { return strings.Contains(text, "ptrace_scope is 3") }
	asked, err := tn.Probe(t.Context(), plan)
	if err != nil || !asked[0].Allowed || asked[1].Allowed || !says(asked[1].Message) {
		t.Errorf("Probe = %+v, %v, want that the listener alone may not be changed, and why", asked, err)
	}
	if _, err := tn.Apply(t.Context(), at(0), plan, ApplyOptions{}); !errors.Is(err, host.ErrPermission) || !says(err.Error()) {
		t.Errorf("Apply = %v, want %v, and why", err, host.ErrPermission)
	}
	b.want("after it", plan.Steps, 128, 64)
}
