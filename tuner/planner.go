// SPDX-License-Identifier: Apache-2.0

//go:build linux

package tuner

import (
	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/policy"
	"github.com/qtune/qtune/tcpq"
)

// A Planner makes plans from what is known of a host.
type Planner struct {
	Inspection *inspection.Inspection
	Policy     *policy.Policy
	Memory     host.Memory

	LiveResize    bool // running listeners may be resized
	AllowDecrease bool
	Person        bool // a person asks, not the loop: explicit values are not bound by the step of four
}

// A Wish is a value that somebody asks for by name.
type Wish struct {
	Netns    uint64 // inode
	Key      tcpq.Sysctl
	Listener string // ADDR:PORT, instead of Key
	To       int64
}

// Advised plans what the findings of the inspection recommend.
func (p *Planner) Advised() *Plan { return nil }

// Wished plans what was asked for by name.
func (p *Planner) Wished([]Wish) *Plan { return nil }

// Baseline plans what the policy wants at least in every namespace it covers.
func (p *Planner) Baseline() *Plan { return nil }
