// SPDX-License-Identifier: Apache-2.0

//go:build linux

package policy

// kernelDefault is net.core.somaxconn of a new namespace since Linux 5.4: a queue
// up to it needs no leave.
const kernelDefault = 4096

// Limit returns the limit to recommend for a listener that needed a queue of
// this length: with headroom, the next power of two, within the bounds. A fleet
// then shows few distinct values, and asking again mostly gives the same answer.
//
// Accepts is how many connections the program accepts in a second, 0 when that
// is not known: above the kernel's own default the queue may be no longer than
// what the program works off within the latency budget.
func (p *Policy) Limit(need uint64, accepts float64) int64 {
	limit := p.roomy(need)
	if accepts > 0 {
		for limit > kernelDefault && float64(limit) > accepts*p.LatencyBudget.Seconds() {
			limit /= 2
		}
	}
	return p.Backlog.Clamp(limit)
}

// SynBacklog returns the tcp_max_syn_backlog to recommend where it has to be this
// large.
func (p *Policy) SynBacklog(need uint64) int64 { return p.MaxSynBacklog.Clamp(p.roomy(need)) }

// roomy returns need with headroom, rounded up to a power of two.
func (p *Policy) roomy(need uint64) int64 {
	want := int64(min(need, ceiling)) * int64(100+p.Headroom) / 100
	roomy := int64(1)
	for roomy < want {
		roomy *= 2
	}
	return roomy
}
