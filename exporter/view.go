// SPDX-License-Identifier: Apache-2.0

//go:build linux

package exporter

import (
	dto "github.com/prometheus/client_model/go"

	"github.com/qtune/qtune/inspection"
)

// A view is what is shown of a step: the series that the rows are applied to.
type view struct {
	listeners []series
	accounts  []*account
	findings  [][]*dto.LabelPair
	dropped   int
}

// A series is a listener with series of its own, or what the others of its namespace
// are together.
type series struct {
	of            *inspection.Listener // an empty one for the others
	pairs         []*dto.LabelPair
	living        bool // else only counts are told
	length, limit uint64
	counts        counts
	discardsKnown bool
	refusedKnown  bool
}

var others inspection.Listener // nothing is known of it

func (v *view) fill(b *ledger, in *inspection.Inspection, accounts []*account, entries []*entry) {
	v.listeners = make([]series, 0, len(entries))
	for _, e := range entries {
		if !e.kept {
			continue
		}
		v.listeners = append(v.listeners, series{
			of: e.of, pairs: e.pairs, living: e.living,
			length: uint64(e.of.AcceptQueue.Length), limit: uint64(e.of.AcceptQueue.Limit),
			counts:        e.last.minus(e.ceded),
			discardsKnown: e.of.Totals != nil || e.of.Discards.Total != nil,
			refusedKnown:  e.of.Totals != nil,
		})
	}
	for _, a := range accounts {
		if a.kept {
			v.accounts = append(v.accounts, a)
		}
		if a.otherPairs != nil {
			v.listeners = append(v.listeners, series{
				of: &others, pairs: a.otherPairs, living: a.living, length: a.rest.length, limit: a.rest.limit,
				counts: a.other, discardsKnown: true, refusedKnown: true,
			})
		}
	}
	v.fillFindings(b, in)
}

// fillFindings notes each finding once. Those of listeners without series of their
// own are the others', so that a flood of listeners is no flood of series.
func (v *view) fillFindings(b *ledger, in *inspection.Inspection) {
	type told struct {
		netns                    uint64
		listener, code, severity string
	}
	seen := make(map[told]bool, len(in.Findings))
	for i := range in.Findings {
		f := &in.Findings[i]
		netns, listener, namespace, pod := netnsName(f.Netns), "", "", ""
		if f.Listener != nil {
			listener = "other"
			if e := b.listeners[identity{f.Netns, f.Listener.Cookie}]; e != nil && e.kept && e.living {
				listener, namespace, pod = e.name, e.namespace, e.pod
			}
		}
		key := told{f.Netns, listener, f.Code, f.Severity}
		if seen[key] {
			continue
		}
		seen[key] = true
		v.findings = append(v.findings, []*dto.LabelPair{
			label("code", labelValue(f.Code, maxName)), label("listener", listener), label("namespace", namespace),
			label("netns", netns), label("pod", pod), label("severity", labelValue(f.Severity, maxName)),
		})
	}
}
