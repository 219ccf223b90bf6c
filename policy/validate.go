// SPDX-License-Identifier: Apache-2.0

//go:build linux

package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A fault is what is wrong with the value at a path.
type fault struct {
	path, says string
}

// Validate says what is wrong with p, all of it. What only a file can lack, Parse
// asks for.
func (p *Policy) Validate() error {
	var all []error
	for _, f := range p.faults() {
		all = append(all, fmt.Errorf("%s %s", f.path, f.says))
	}
	return errors.Join(all...)
}

func (p *Policy) faults() []fault {
	var all []fault
	add := func(path, format string, args ...any) { all = append(all, fault{path, fmt.Sprintf(format, args...)}) }

	for _, f := range fields {
		if f.at == nil || f.path == "metadata.name" && p.Name == "" { // the default policy has no name
			continue
		}
		for _, says := range f.wrong(f.at(p)) {
			add(f.path, "%s", says)
		}
	}
	for _, r := range []struct {
		path string
		Range
	}{
		{"spec.bounds.somaxconn.min", p.Somaxconn},
		{"spec.bounds.tcpMaxSynBacklog.min", p.MaxSynBacklog},
		{"spec.bounds.backlog.min", p.Backlog},
	} {
		if r.Min > r.Max {
			add(r.path, "is %d, more than its max, %d", r.Min, r.Max)
		}
	}
	if p.Trial.Duration > p.Trial.Max {
		add("spec.trial.duration", "is %s, more than trial.max, %s", plain(p.Trial.Duration), plain(p.Trial.Max))
	}
	for _, list := range []struct {
		path     string
		patterns []string
	}{
		{"spec.namespaces", p.Namespaces},
		{"spec.liveResize.namespaces", p.LiveResize.Namespaces},
	} {
		if slices.Contains(list.patterns, ScopeHost) && !slices.Contains(p.Scopes, ScopeHost) {
			add(list.path, "names host, which spec.scopes does not")
		}
	}
	return all
}

// wrong says what is wrong with the value that at points to, whatever the others
// are.
func (f *field) wrong(at any) []string {
	switch at := at.(type) {
	case *int:
		return f.wrongNumber(int64(*at))
	case *int64:
		return f.wrongNumber(*at)
	case *time.Duration:
		if int64(*at) < f.low || int64(*at) > f.high {
			return []string{fmt.Sprintf("is %s: must be from %s to %s", plain(*at), plain(time.Duration(f.low)), plain(time.Duration(f.high)))}
		}
	case *string:
		return f.wrongText(*at)
	case *[]string:
		if len(*at) > maxList {
			return []string{fmt.Sprintf("has %d entries: at most %d", len(*at), maxList)}
		}
		var all []string
		if len(*at) == 0 && f.words != nil {
			all = append(all, "is empty: want "+strings.Join(f.words, " or "))
		}
		for i, text := range *at {
			if slices.Contains((*at)[:i], text) {
				all = append(all, quoted(text)+" is there twice")
			}
			all = append(all, f.wrongText(text)...)
		}
		return all
	}
	return nil
}

func (f *field) wrongNumber(n int64) []string {
	if n >= f.low && n <= f.high {
		return nil
	}
	says := fmt.Sprintf("is %d: must be from %d to %d", n, f.low, f.high)
	if f.unit != "" {
		says += " " + f.unit
	}
	return []string{says}
}

func (f *field) wrongText(text string) []string {
	if f.words != nil && !slices.Contains(f.words, text) {
		says := quoted(text) + ": want " + strings.Join(f.words, " or ")
		if near := nearest(text, f.words); near != "" {
			says += "; did you mean " + near + "?"
		}
		return []string{says}
	}
	if f.check == nil {
		return nil
	}
	if says := f.check(text); says != "" {
		return []string{quoted(text) + " " + says}
	}
	return nil
}

// plain is d.String without the zeros at its end: 30m, not 30m0s.
func plain(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
