// SPDX-License-Identifier: Apache-2.0

//go:build linux

package advisor

import "github.com/qtune/qtune/tcpq"

// A Program is a row of the catalogue: a server or runtime, the backlog it asks
// for, and how to change that.
type Program struct {
	Name string // "nginx", "Go"
	Asks Asks   // unless it is configured

	Setting     string // what to change, "" when there is no setting
	Example     string // with %d where the number goes
	TakesEffect Effect
	Note        string // what else has to be known
	Verified    bool
	Evidence    string // how it is known: "run 1.22.1", "src src/os/unix/ngx_linux_config.h", "doc", "known"
}

// Asks is the backlog a program asks for when nobody configures it.
type Asks struct {
	Backlog   int  // the number; 0 when it is none of the fixed ones
	Somaxconn bool // as much as allowed: reads net.core.somaxconn when it starts, or passes a huge number
	AtStart   bool // of those, one that reads the sysctl once, at its start
}

// Recognise returns the row of the catalogue for who holds a listener of this
// limit, nil when none fits.
func Recognise(o *tcpq.Owner, limit uint32) *Program { return nil }

// hint says how the program is told to ask for this limit.
func (p *Program) hint(limit uint32, port uint16) Hint {
	return Hint{Program: p.Name, Setting: p.Setting, TakesEffect: p.TakesEffect, Verified: p.Verified, Note: p.Note}
}
