// SPDX-License-Identifier: Apache-2.0

//go:build linux

package page

import (
	"slices"
	"strconv"

	"github.com/qtune/qtune/inspection"
)

// docs is where the text of a finding is.
const docs = "https://github.com/qtune/qtune/blob/main/docs/findings.md#"

// A problem is a finding with its remedy.
type problem struct {
	*inspection.Finding
	ID     string // of the element
	Netns  string // its namespace's name
	Name   string // of the listener, empty for the namespace as a whole
	Link   string // to the listener, empty when it is gone
	Owner  string
	Shared bool // other members of the reuse-port group have it, too
	Open   bool // shown in full from the start
}

// Docs is where there is more about it.
func (p problem) Docs() string { return docs + p.Code }

// shownInFull is how many problems are from the start; of the others there is a line.
const shownInFull = 3

// problemsOf returns what is critical or a warning, in its order; of a reuse-port
// group's members one.
func problemsOf(in *inspection.Inspection, names map[uint64]string) []problem {
	listeners := listenersOf(in)
	var all []problem
	for i := range in.Findings {
		f := &in.Findings[i]
		alike := func(g inspection.Finding) bool { return f.SameAddress(&g) }
		if !f.Problem() || slices.ContainsFunc(in.Findings[:i], alike) {
			continue
		}
		p := problemOf(f, names, listeners)
		p.Shared = slices.ContainsFunc(in.Findings[i+1:], alike)
		p.Open = len(all) < shownInFull
		all = append(all, p)
	}
	return all
}

func problemOf(f *inspection.Finding, names map[uint64]string, listeners map[string]*inspection.Listener) problem {
	p := problem{Finding: f, Netns: names[f.Netns], ID: "f-" + f.Code + "-" + strconv.FormatUint(f.Netns, 10)}
	if f.Listener == nil {
		return p
	}
	id := idOf(f.Netns, f.Listener.Cookie)
	p.ID = "f-" + f.Code + "-" + id
	p.Name = f.Listener.Name()
	if l := listeners[id]; l != nil {
		p.Name, p.Link, p.Owner = l.Name(), id, l.Owner.String()
	}
	return p
}

func listenersOf(in *inspection.Inspection) map[string]*inspection.Listener {
	all := make(map[string]*inspection.Listener, len(in.Listeners))
	for i := range in.Listeners {
		l := &in.Listeners[i]
		all[idOf(l.Netns, l.Cookie)] = l
	}
	return all
}

// A remark is what informs: each of a few, the number of many.
type remark struct {
	Code  string
	Title string
	Each  []problem
	Count int
}

// Docs is where there is more about it.
func (r remark) Docs() string { return docs + r.Code }

// fewRemarks of one code are written out.
const fewRemarks = 3

func remarksOf(in *inspection.Inspection, names map[uint64]string) []remark {
	listeners := listenersOf(in)
	var all []remark
	place := map[string]int{}
	for i := range in.Findings {
		f := &in.Findings[i]
		if f.Problem() {
			continue
		}
		at, ok := place[f.Code]
		if !ok {
			at = len(all)
			place[f.Code] = at
			all = append(all, remark{Code: f.Code, Title: f.Title})
		}
		r := &all[at]
		r.Count++
		if r.Count <= fewRemarks {
			r.Each = append(r.Each, problemOf(f, names, listeners))
		}
	}
	for i := range all {
		if all[i].Count > fewRemarks {
			all[i].Each = nil
		}
	}
	return all
}
