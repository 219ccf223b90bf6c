// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package dashboards reads the folder dashboards: what Grafana and Prometheus
// are given of it, and every query in it. The tests here need no tool; those of
// test/e2e put the same queries to a real Prometheus.
package dashboards

import (
	"fmt"
	"io/fs"
	"regexp"
)

// A Query is something that Prometheus is asked, with where it stands.
type Query struct {
	Where string
	Expr  string
}

// Queries returns what the dashboards ask: in panels, for the choices of their
// variables, and for annotations.
func (b *Board) Queries() []Query {
	var all []Query
	for _, p := range b.Panels {
		for _, t := range p.Targets {
			all = append(all, Query{fmt.Sprintf("%s: %s: %s", b.File, p.Title, t.RefID), t.Expr})
		}
	}
	for _, v := range b.Templating.List {
		if v.Type == "query" {
			all = append(all, Query{fmt.Sprintf("%s: variable %s", b.File, v.Name), choices(v.Definition)})
		}
	}
	for _, a := range b.Annotations.List {
		if a.Expr != "" {
			all = append(all, Query{fmt.Sprintf("%s: annotation %s", b.File, a.Name), a.Expr})
		}
	}
	return all
}

// Queries returns what the dashboards and the rules of the folder ask.
func Queries(folder fs.FS) ([]Query, error) {
	boards, err := Boards(folder)
	if err != nil {
		return nil, err
	}
	rules, err := Rules(folder)
	if err != nil {
		return nil, err
	}
	var all []Query
	for i := range boards {
		all = append(all, boards[i].Queries()...)
	}
	for i := range rules {
		all = append(all, Query{"rule " + rules[i].Name(), rules[i].Expr})
	}
	return all, nil
}

var labelValues = regexp.MustCompile(`^label_values\((.+), (\w+)\)$`)

// choices returns in PromQL what Grafana's label_values(SERIES, LABEL) asks for.
func choices(definition string) string {
	return labelValues.ReplaceAllString(definition, `count by ($2) ($1)`)
}

var variable = regexp.MustCompile(`\$([a-z_]\w*)`)

// Fill puts values in for the variables of Grafana; what has none stays.
func (q Query) Fill(values map[string]string) string {
	return variable.ReplaceAllStringFunc(q.Expr, func(name string) string {
		if value, ok := values[name[1:]]; ok {
			return value
		}
		return name
	})
}

// Variables returns the names of the variables of Grafana in it.
func (q Query) Variables() []string {
	var names []string
	for _, m := range variable.FindAllStringSubmatch(q.Expr, -1) {
		names = append(names, m[1])
	}
	return names
}

// A Selector is a metric's name in a query, with the labels it is chosen by.
type Selector struct {
	Metric string
	Labels map[string]string // operator and value: `!="other"`
}

var (
	selector = regexp.MustCompile(`\b(\w+:qtune_\w+:\w+|qtune_\w+|process_\w+|up|ALERTS)\b(?:\{([^}]*)\})?`)
	matcher  = regexp.MustCompile(`(\w+)\s*((?:=~|!~|!=|=)\s*"[^"]*")`)
)

// Selectors returns the metrics that it asks for. It takes no quoted text for one
// of them.
func (q Query) Selectors() []Selector {
	var all []Selector
	for _, m := range selector.FindAllStringSubmatchIndex(q.Expr, -1) {
		if m[0] > 0 && q.Expr[m[0]-1] == '"' {
			continue
		}
		s := Selector{Metric: q.Expr[m[2]:m[3]], Labels: map[string]string{}}
		if m[4] >= 0 {
			for _, label := range matcher.FindAllStringSubmatch(q.Expr[m[4]:m[5]], -1) {
				s.Labels[label[1]] = label[2]
			}
		}
		all = append(all, s)
	}
	return all
}
