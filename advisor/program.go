// SPDX-License-Identifier: Apache-2.0

//go:build linux

package advisor

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/qtune/qtune/tcpq"
)

// A Program is a row of the catalogue: a server or runtime, how to recognise it,
// the backlog it asks for, and how to change that.
type Program struct {
	Name string // "nginx", "Go"
	Asks Asks   // unless it is configured

	Setting     string // what to change, a phrase
	Example     string // {n} is the limit, {half} half of it, {port} the port; "" when there is no setting
	TakesEffect Effect
	Note        string // what else has to be known, sentences
	Verified    bool   // was run, or read in its source
	Evidence    string // how it is known

	match match
}

// Asks is the backlog a program asks for when nobody configures it.
type Asks struct {
	Backlog   int  // the number; 0 when it is none, or depends
	Somaxconn bool // as much as it may: it reads net.core.somaxconn, or passes a huge number
	AtStart   bool // of those, one that reads the sysctl once, when it starts
}

// A match says how a program is recognised. What is empty is not looked at; of
// the rest everything has to fit.
type match struct {
	comm  []string // /proc/PID/comm, or the base of the executable; a trailing * stands for anything
	argv  []string // one of these is in the command line
	pod   []string // the container in its pod has this name, or the pod's begins so
	build string   // the toolchain that made the executable
	limit uint32   // the limit that only this program asks for, where others are alike
}

// Recognise returns the row of the catalogue for who holds a listener of this
// limit, nil when none fits. The first row that fits is it: what is special stands
// before what is general.
func Recognise(o *tcpq.Owner, limit uint32) *Program {
	if o == nil || len(o.PIDs) == 0 {
		return nil
	}
	if o.Inherited {
		return socketUnit
	}
	line := strings.Join(o.Argv, " ")
	for i := range catalogue {
		if catalogue[i].match.fits(o, line, limit) {
			return &catalogue[i]
		}
	}
	return nil
}

// fits reports whether a process is this program.
func (m *match) fits(o *tcpq.Owner, line string, limit uint32) bool {
	exe := path.Base(strings.TrimSuffix(o.Exe, " (deleted)"))
	named := func(want string) bool {
		prefix, open := strings.CutSuffix(want, "*")
		return o.Comm == want || exe == want || open && (strings.HasPrefix(o.Comm, prefix) || strings.HasPrefix(exe, prefix))
	}
	return (len(m.comm) == 0 || slices.ContainsFunc(m.comm, named)) &&
		(len(m.argv) == 0 || slices.ContainsFunc(m.argv, func(part string) bool { return strings.Contains(line, part) })) &&
		(len(m.pod) == 0 || slices.ContainsFunc(m.pod, func(name string) bool {
			return o.Pod.Container == name || strings.HasPrefix(o.Pod.Name, name)
		})) &&
		(m.build == "" || m.build == o.Build) &&
		(m.limit == 0 || m.limit == limit)
}

// takesAll reports whether the program always asks for as much as it may. Of a
// language that is only what its library does.
func (p *Program) takesAll() bool {
	return p.Asks.Somaxconn && p.Example == "" && p.match.build == ""
}

// LimitBound says who set a listener's limit. A program that always asks for as
// much as it may, and has another limit than somaxconn, was clamped when somaxconn
// was another.
func LimitBound(n *tcpq.Namespace, l *tcpq.Listener) tcpq.LimitBound {
	by := tcpq.BoundBy(l.Accept.Max, &n.Sysctls)
	if by == tcpq.BoundSomaxconn {
		return by
	}
	if _, known := n.Sysctls.Get(tcpq.Somaxconn); !known {
		return by
	}
	if p := Recognise(l.Owner, l.Accept.Max); p != nil && p.takesAll() {
		return tcpq.BoundSomaxconnAtListen
	}
	return by
}

// likely returns what asks for this number when nothing else is known, nil when
// the number says nothing.
func likely(limit uint32) *Program {
	for i := range patterns {
		if patterns[i].match.limit == limit {
			return &patterns[i]
		}
	}
	return nil
}

// hint says how the program is told to ask for this limit.
func (p *Program) hint(limit uint32, port uint16) Hint {
	n := strconv.FormatUint(uint64(limit), 10)
	example := strings.NewReplacer("{n}", n, "{half}", strconv.FormatUint(uint64(limit+1)/2, 10), "{port}", strconv.Itoa(int(port))).Replace(p.Example)
	note := p.Note
	if p.Asks.Somaxconn && p.Asks.AtStart && p.Example == "" {
		note = strings.TrimSpace(fmt.Sprintf("It reads net.core.somaxconn once, when it starts. %s", note))
	}
	return Hint{Program: p.Name, Setting: p.Setting, Example: example, TakesEffect: p.TakesEffect, Verified: p.Verified, Note: note}
}

// catalogue is the table of programs.
var catalogue = slices.Concat(webServers, dataStores, infrastructure, runtimes)

// socketUnit is who calls listen(2) for a process that was handed its sockets.
var socketUnit = &Program{
	Name: "systemd socket unit", Asks: Asks{Somaxconn: true},
	Setting: "Backlog= of the .socket unit (its default is as much as net.core.somaxconn allows; 128 in old releases), then systemctl daemon-reload and a restart of the socket unit",
	Example: "Backlog={n}", TakesEffect: Restart, Verified: true, Evidence: "run systemd-socket-activate 252; src src/core/socket.c",
	Note: "The program was handed its socket: its own setting for the backlog is ignored.",
}
