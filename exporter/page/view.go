// SPDX-License-Identifier: Apache-2.0

//go:build linux

package page

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/qtune/qtune/inspection"
)

// A view is what the page shows below its head.
type view struct {
	*inspection.Inspection
	Problems   []problem
	Rest       []problem // after the first ones, when there are many
	Remarks    []remark
	Rows       []row
	Marks      []inspection.Mark // that are in use
	Namespaces []netns
	Limits     []limitText
	Elsewhere  []elsewhere
	Unread     []unread
}

// A limitText explains a value of limitBoundBy.
type limitText struct{ Name, Why string }

// listedProblems is how many problems have a line; more are folded away.
const listedProblems = 10

func (s *site) viewOf(in *inspection.Inspection) *view {
	names := in.NetnsNames()
	v := &view{
		Inspection: in, Problems: problemsOf(in, names), Remarks: remarksOf(in, names),
		Rows: s.rowsOf(in, names), Namespaces: netnsOf(in, names),
	}
	if len(v.Problems) > listedProblems {
		v.Problems, v.Rest = v.Problems[:listedProblems], v.Problems[listedProblems:]
	}
	for _, m := range inspection.Marks() {
		if slices.ContainsFunc(v.Rows, func(r row) bool { return r.Mark == m }) {
			v.Marks = append(v.Marks, m)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(limitWhy)) {
		v.Limits = append(v.Limits, limitText{name, limitWhy[name]})
	}
	for _, e := range in.Elsewhere {
		v.Elsewhere = append(v.Elsewhere, elsewhere{names[e.Netns], e})
	}
	for _, e := range in.Errors {
		v.Unread = append(v.Unread, unread{names[e.Netns], e})
	}
	return v
}

// Began says when the agent did.
func (v *view) Began() string { return timeText(v.Agent.Started) }

// Counts says how many there are.
func (v *view) Counts() string {
	return counted(len(v.Rows), "listener") + " in " + counted(len(v.Namespaces), "network namespace")
}

// An elsewhere is trouble that is not a listen queue's.
type elsewhere struct {
	Name string
	inspection.Elsewhere
}

// An unread is what could not be read.
type unread struct {
	Name string // of the namespace, empty for none
	inspection.Error
}

// A netns is a network namespace.
type netns struct {
	*inspection.Namespace
	Name      string
	Listeners int
	Sysctls   []setting
	Moved     []setting
	Refused   uint64 // packets, in the window
}

// A setting is a name and its number.
type setting struct {
	Name  string
	Value string
	Host  bool // holds for the whole host
}

// netnsOf returns the namespaces: those that refused something first, then the host's.
func netnsOf(in *inspection.Inspection, names map[uint64]string) []netns {
	listeners := map[uint64]int{}
	for i := range in.Listeners {
		listeners[in.Listeners[i].Netns]++
	}
	all := make([]netns, 0, len(in.Namespaces))
	for i := range in.Namespaces {
		n := &in.Namespaces[i]
		out := netns{Namespace: n, Name: names[n.Inode], Listeners: listeners[n.Inode], Refused: n.Moved["ListenDrops"]}
		for _, key := range slices.Sorted(maps.Keys(n.Sysctls)) {
			out.Sysctls = append(out.Sysctls, setting{key, strconv.FormatInt(n.Sysctls[key], 10), slices.Contains(n.HostWideSysctls, key)})
		}
		for _, key := range slices.Sorted(maps.Keys(n.Moved)) {
			out.Moved = append(out.Moved, setting{Name: key, Value: strconv.FormatUint(n.Moved[key], 10)})
		}
		all = append(all, out)
	}
	slices.SortStableFunc(all, func(a, b netns) int {
		return cmp.Compare(b.Refused, a.Refused)
	})
	return all
}

// Counts says what is in a namespace.
func (n netns) Counts() string { return counted(n.Listeners, "listener") }

// An activity is what the agent does again and again.
type activity struct {
	inspection.Activity
}

// Activities returns what the agent does, nil without one.
func (v *view) Activities() (all []activity) {
	if v.Agent != nil {
		for _, a := range v.Agent.Activities {
			all = append(all, activity{a})
		}
	}
	return all
}

// Every says how often.
func (a activity) Every() string { return "every " + spanText(max(a.PeriodSeconds, a.GapSeconds)) }

// Stretched says what the budget made of the period, or nothing.
func (a activity) Stretched() string {
	if a.GapSeconds <= a.PeriodSeconds {
		return ""
	}
	return fmt.Sprintf("planned every %s; stretched by its budget of CPU time", spanText(a.PeriodSeconds))
}

// Cost says what it took the last time.
func (a activity) Cost() string {
	return strconv.FormatFloat(a.CPUSeconds*1000, 'f', 1, 64) + " ms of CPU"
}
