// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host

import (
	"errors"
	"testing"

	"github.com/qtune/qtune/tcpq"
)

// TestKernelProbeSynFull compares what the running kernel does with what the
// table says of its version.
func TestKernelProbeSynFull(t *testing.T) {
	l, err := NewLive("/")
	if err != nil {
		t.Fatal(err)
	}
	got, err := l.ProbeSynFull()
	if errors.Is(err, ErrPermission) {
		t.Skip("needs root:", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	info, err := l.Info()
	if err != nil {
		t.Fatal(err)
	}
	info.Kernel.SynFull = ""
	want := tcpq.SynFullAt
	if info.Kernel.Has(tcpq.SynFullAboveLimit) {
		want = tcpq.SynFullAbove
	}
	if got != want && !info.Kernel.Undecided() {
		t.Errorf("Linux %s calls a SYN queue full %s, the table says %s", info.Kernel.Release, got, want)
	}
}

// TestProbeOnlyWhereUndecided proves that a kernel whose version tells is not
// tried.
func TestProbeOnlyWhereUndecided(t *testing.T) {
	l := &Live{}
	if got := l.synFull(tcpq.Version{Major: 6, Minor: 18}); got != "" || l.probed {
		t.Errorf("synFull(6.18) = %q, tried %t, want no trial", got, l.probed)
	}
}
