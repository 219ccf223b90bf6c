// SPDX-License-Identifier: Apache-2.0

//go:build linux

package advisor

import "slices"

// A Page is what there is to say of a kind of finding, whichever listener has it.
type Page struct {
	Code     Code     `json:"code"`
	Severity Severity `json:"severity"`
	Title    string   `json:"title"` // a few words, lower case

	Means   string `json:"means"`   // what it is
	Confirm string `json:"confirm"` // how to see it by hand
	Do      string `json:"do"`
	Avoid   string `json:"avoid"`
}

// Pages returns the page of every code, the causes before their symptoms.
func Pages() []Page {
	all := make([]Page, 0, len(checks))
	for i := range checks {
		all = append(all, checks[i].Page)
	}
	return all
}

// A check is a row of the catalogue of findings: its page, and the pure functions
// that look for it.
type check struct {
	Page

	silences []Code // its symptoms, left out where it is found
	beside   []Code // when not empty: it matters only where one of these was found

	// listener and whole look for it at one listener and in a namespace as a
	// whole, for what no listener can be named for. They return nil when there
	// is nothing to say, and fill in why, evidence, changes and hints.
	listener func(*subject) *Finding
	whole    func(*scene) *Finding
}

// checks is the table; one row is one code.
var checks = slices.Concat(acceptChecks, synChecks, remarks)

// judge runs every check on every listener of the namespace, then on the
// namespace. What a deeper cause explains is left out.
func (s *scene) judge() []Finding {
	var all []Finding
	for i := range s.subjects {
		l := &s.subjects[i]
		if l.uneventful() {
			continue
		}
		ask := func(c *check) *Finding {
			if c.listener == nil {
				return nil
			}
			return c.listener(l)
		}
		for _, f := range run(ask, nil) {
			f.Namespace, f.Listener, f.weight = s.ns, l.l, l.seen.Refused.Max
			all = append(all, f)
		}
	}
	ask := func(c *check) *Finding {
		if c.whole == nil {
			return nil
		}
		return c.whole(s)
	}
	for _, f := range run(ask, all) {
		f.Namespace = s.ns
		all = append(all, f)
	}
	return all
}

// run asks every check: first those that tell of trouble, then, knowing what they
// found beside what was known, the informational ones.
func run(ask func(*check) *Finding, known []Finding) []Finding {
	var found []Finding
	var silent []Code
	collect := func(c *check) {
		if f := ask(c); f != nil {
			f.Code, f.Severity, f.Title = c.Code, c.Severity, c.Title
			found = append(found, *f)
			silent = append(silent, c.silences...)
		}
	}
	for i := range checks {
		if checks[i].Severity != Info {
			collect(&checks[i])
		}
	}
	found = slices.DeleteFunc(found, func(f Finding) bool { return slices.Contains(silent, f.Code) })
	known = slices.Concat(known, found)
	for i := range checks {
		c := &checks[i]
		if c.Severity == Info && c.matters(known) {
			collect(c)
		}
	}
	return slices.DeleteFunc(found, func(f Finding) bool { return slices.Contains(silent, f.Code) })
}

// matters reports whether the setting a check tells of bears on what was found.
func (c *check) matters(found []Finding) bool {
	return len(c.beside) == 0 || slices.ContainsFunc(found, func(f Finding) bool { return slices.Contains(c.beside, f.Code) })
}
