// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tuner

import (
	"time"

	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/policy"
	"github.com/qtune/qtune/tcpq"
)

// A Planner makes plans from what is known of a host. It looks at nothing itself:
// the same values give the same plan.
type Planner struct {
	Inspection *inspection.Inspection
	Policy     *policy.Policy
	Memory     host.Memory
	BootID     string

	// AtBoot returns who sets a key of the host's namespace at boot; nil when
	// nobody looked.
	AtBoot func(tcpq.Sysctl) []Setter

	// Witness returns a process of a namespace, and when it was started
	// (host.Live.Witness): before Linux 5.14 it tells a namespace from its successor.
	// Nil when nobody looked.
	Witness func(netns uint64) (pid int, ticks uint64, err error)

	LiveResize    bool // running listeners may be resized
	AllowDecrease bool // never for the loop
	Person        bool // a person asks, not the loop: explicit values are not bound by the step of four

	// Ages says how long namespaces have been there, by inode. The loop leaves
	// young ones alone; one that is not named is old enough.
	Ages map[uint64]time.Duration
}

// A Wish is a value that somebody asks for by name.
type Wish struct {
	Netns    uint64 // inode
	Key      tcpq.Sysctl
	Listener string // ADDR[%DEV]:PORT, instead of Key
	To       int64
}

// Advised plans what the findings of the inspection recommend.
func (p *Planner) Advised() *Plan { return p.Advise(p.Inspection.Findings) }

// Advise plans what some findings of the inspection recommend.
func (p *Planner) Advise(findings []inspection.Finding) *Plan {
	d := newDraft(p)
	for i := range findings {
		d.advise(&findings[i])
	}
	return d.finish()
}

// Wished plans what was asked for by name. What is there already, or better, is no
// step; of two wishes for one value the larger counts.
func (p *Planner) Wished(wishes []Wish) *Plan {
	d := newDraft(p)
	for _, w := range d.settled(wishes) {
		d.wish(w)
	}
	return d.finish()
}

// Baseline plans what the policy wants at least in every namespace it covers, and
// lowers nothing.
func (p *Planner) Baseline() *Plan {
	d := newDraft(p)
	if p.Policy.Baseline == 0 {
		return d.finish()
	}
	for i := range p.Inspection.Namespaces {
		s := d.spaces[p.Inspection.Namespaces[i].Inode]
		now, known := s.live(tcpq.Somaxconn)
		if ok, _ := p.Policy.Covers(s.place); ok && known && now < p.Policy.Baseline {
			d.raise(s, tcpq.Somaxconn, p.Policy.Baseline, "the policy wants it at least")
		}
	}
	return d.finish()
}
