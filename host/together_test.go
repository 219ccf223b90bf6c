// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host

import (
	"sync"
	"testing"
)

// TestKernelVisitTogether proves that two threads may visit a Namespace whose cookie is
// known, as the steps and the sampler of an agent do; the race detector judges.
func TestKernelVisitTogether(t *testing.T) {
	l := liveHost(t)
	ns := lived(t, l)
	visit := func() {
		err := l.Visit(t.Context(), []*Namespace{ns}, func(_ *Namespace, _ Inside, err error) {
			if err != nil {
				t.Errorf("enter: %v", err)
			}
		})
		if err != nil {
			t.Error(err)
		}
	}
	visit()
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			for range 20 {
				visit()
			}
		})
	}
	both.Wait()
}
