// SPDX-License-Identifier: Apache-2.0

//go:build linux

package advisor

import (
	"cmp"
	"slices"

	"github.com/qtune/qtune/policy"
	"github.com/qtune/qtune/tcpq"
)

// Advise judges a window and the Snapshot at its end; without a window only
// what is over its limit now, and the past.
func Advise(s *tcpq.Snapshot, w *tcpq.Window, p *policy.Policy) Report {
	if w == nil {
		w = &tcpq.Window{}
	}
	var r Report
	for i := range s.Namespaces {
		r.Findings = append(r.Findings, newScene(s, w, p, &s.Namespaces[i]).judge()...)
	}
	slices.SortStableFunc(r.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(b.Severity.Urgency(), a.Severity.Urgency()), cmp.Compare(b.weight, a.weight))
	})
	return r
}
