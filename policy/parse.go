// SPDX-License-Identifier: Apache-2.0

//go:build linux

package policy

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

const (
	maxSize   = 1 << 20 // bytes of a file
	maxFaults = 20      // that are told at once
)

// Read reads a policy as Parse does, and no more than a file may have.
func Read(name string, r io.Reader) (*Policy, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxSize+1))
	if err != nil {
		return nil, fmt.Errorf("read policy %s: %w", name, err)
	}
	return Parse(name, text)
}

// Parse returns the policy that the text of a file describes; what it does not
// mention is as in Default. It is strict: a field that is unknown, of another
// type or there twice is an error, as is a value that Validate refuses. The error
// has a line "NAME:LINE: FIELD: what is wrong" for each fault.
func Parse(name string, text []byte) (*Policy, error) {
	if len(text) > maxSize {
		return nil, fmt.Errorf("%s: larger than %d bytes: a policy is not", name, maxSize)
	}
	root, err := document(name, text)
	if err != nil {
		return nil, err
	}
	p := Default()
	r := reader{policy: &p, line: map[string]int{"": root.Line}}
	r.fields("", root)
	r.missing()
	if len(r.faults) == 0 { // else a value that was not read is not to blame
		for _, f := range p.faults() {
			r.fault(r.near(f.path), f.path, "%s", f.says)
		}
	}
	if err := r.err(name); err != nil {
		return nil, err
	}
	if r.line["spec.bounds.somaxconn.min"] != 0 {
		p.Baseline = p.Somaxconn.Min
	}
	p.Hash = fmt.Sprintf("%x", sha256.Sum256(text))[:12]
	return &p, nil
}

// yamlError is how the library words an error of syntax.
var yamlError = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// document returns the only document of a file, unresolved, so that each value
// still has its line.
func document(name string, text []byte) (*yaml.Node, error) {
	d := yaml.NewDecoder(bytes.NewReader(text))
	var doc, second yaml.Node
	err := d.Decode(&doc)
	if errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s:1: is empty: a policy begins with apiVersion: %s", name, apiVersion)
	}
	if err == nil {
		if err = d.Decode(&second); errors.Is(err, io.EOF) {
			return doc.Content[0], nil
		}
		if err == nil {
			return nil, fmt.Errorf("%s:%d: a second document: want one policy in a file", name, second.Line)
		}
	}
	line, says := "1", err.Error()
	if m := yamlError.FindStringSubmatch(says); m != nil {
		line, says = cmp.Or(m[1], line), says[len(m[0]):]
	}
	return nil, fmt.Errorf("%s:%s: no YAML: %s", name, line, says)
}

// A reader fills a policy and notes what it stumbles over.
type reader struct {
	policy *Policy
	line   map[string]int // where each path that was met stands
	faults []lineFault
}

type lineFault struct {
	line int
	says string
}

func (r *reader) fault(line int, path, format string, args ...any) {
	says := fmt.Sprintf(format, args...)
	if path != "" {
		says = path + ": " + says
	}
	r.faults = append(r.faults, lineFault{line, says})
}

// err is all faults in the order of their lines.
func (r *reader) err(name string) error {
	slices.SortStableFunc(r.faults, func(a, b lineFault) int { return a.line - b.line })
	var all []error
	for i, f := range r.faults {
		if i == maxFaults {
			all = append(all, fmt.Errorf("%s: and %d more faults", name, len(r.faults)-i))
			break
		}
		all = append(all, fmt.Errorf("%s:%d: %s", name, f.line, f.says))
	}
	return errors.Join(all...)
}

// near returns the line of a path, or of the closest one above it that the file has.
func (r *reader) near(path string) int {
	for path != "" && r.line[path] == 0 {
		path = path[:max(strings.LastIndexByte(path, '.'), 0)]
	}
	return r.line[path]
}

// missing asks for what a file must have, and for what mode enforce needs.
func (r *reader) missing() {
	for _, f := range fields {
		if f.required && r.line[f.path] == 0 {
			r.fault(r.near(f.path), f.path, "is missing")
		}
	}
	if r.line["spec"] == 0 {
		r.fault(r.near("spec"), "spec", "is missing")
	}
	if highest := "spec.bounds.somaxconn.max"; r.policy.Mode == Enforce && r.line[highest] == 0 {
		r.fault(r.near("spec.mode"), "spec.mode", "enforce needs %s: say how far it may go", highest)
	}
}

// fields reads the mapping at a path, "" for the whole file.
func (r *reader) fields(path string, n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		r.fault(n.Line, path, "want fields (%s), got %s", strings.Join(below(path), ", "), describe(n))
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		sub := strings.TrimPrefix(path+"."+key.Value, ".")
		switch {
		case !slices.Contains(below(path), key.Value):
			r.fault(key.Line, strings.TrimPrefix(path+"."+printable(key.Value), "."), "%s", unknown(path, key.Value))
		case r.line[sub] != 0:
			r.fault(key.Line, sub, "is there twice, first in line %d", r.line[sub])
		default:
			r.line[sub] = key.Line
			if f := find(sub); f != nil {
				r.value(f, value)
			} else {
				r.fields(sub, value)
			}
		}
	}
}

// below lists the fields that a file may have directly below a path.
func below(path string) []string {
	var names []string
	for _, f := range fields {
		if rest, ok := strings.CutPrefix("."+f.path, strings.TrimSuffix("."+path, ".")+"."); ok {
			name, _, _ := strings.Cut(rest, ".")
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

func find(path string) *field {
	for i := range fields {
		if fields[i].path == path {
			return &fields[i]
		}
	}
	return nil
}

// unknown says that there is no such field, and which one is probably meant.
func unknown(path, name string) string {
	says := "unknown field"
	if near := nearest(name, below(path)); near != "" {
		return says + "; did you mean " + near + "?"
	}
	for _, f := range fields { // the right name in the wrong place
		if strings.Contains(name, ".") {
			break
		}
		for sub := f.path; sub != ""; sub = sub[:max(strings.LastIndexByte(sub, '.'), 0)] {
			if strings.HasSuffix("."+sub, "."+name) {
				return says + "; did you mean " + sub + "?"
			}
		}
	}
	return says + "; there are " + strings.Join(below(path), ", ")
}

// printable is the name of a field as it is, or in quotes where it is none.
func printable(name string) string {
	if len(name) > 64 || name == "" || strings.ContainsFunc(name, func(c rune) bool { return c <= ' ' || c > '~' || c == '"' }) {
		return quoted(name)
	}
	return name
}

var (
	wholeNumber = regexp.MustCompile(`^(0|-?[1-9][0-9]*)$`)
	timeSpan    = regexp.MustCompile(`^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`)
)

// value reads what a field is set to.
func (r *reader) value(f *field, n *yaml.Node) {
	wrong := func(want string) { r.fault(n.Line, f.path, "want %s, got %s", want, describe(n)) }
	if f.at == nil {
		if tag(n) != "!!str" || n.Value != f.words[0] {
			wrong(f.words[0])
		}
		return
	}
	switch at := f.at(r.policy).(type) {
	case *int, *int64:
		v, err := strconv.ParseInt(n.Value, 10, 64)
		if tag(n) != "!!int" || !wholeNumber.MatchString(n.Value) || err != nil {
			wrong("a whole number such as 4096")
			return
		}
		switch at := at.(type) {
		case *int:
			*at = int(v)
		case *int64:
			*at = v
		}
	case *time.Duration:
		d, err := time.ParseDuration(n.Value)
		if tag(n) != "!!str" || !timeSpan.MatchString(n.Value) || err != nil {
			wrong("a time with its unit, such as " + plain(time.Duration(f.high)) + " (ms, s, m, h)")
			return
		}
		*at = d
	case *string:
		if tag(n) != "!!str" {
			wrong("text")
			return
		}
		*at = n.Value
	case *[]string:
		r.list(f, at, n)
	}
}

func (r *reader) list(f *field, at *[]string, n *yaml.Node) {
	if n.Kind != yaml.SequenceNode {
		r.fault(n.Line, f.path, "want a list such as [a, b], got %s", describe(n))
		return
	}
	*at = nil
	for _, item := range n.Content {
		if tag(item) != "!!str" {
			r.fault(item.Line, f.path, "want texts in the list, got %s", describe(item))
			continue
		}
		*at = append(*at, item.Value)
	}
}

// tag is what kind of scalar a node is, "" when it is none.
func tag(n *yaml.Node) string {
	if n.Kind != yaml.ScalarNode {
		return ""
	}
	return n.ShortTag()
}

// describe says in words what stands there.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "fields"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias: write the value out"
	}
	switch n.ShortTag() {
	case "!!null":
		return "nothing"
	case "!!int", "!!float":
		return "the number " + printable(n.Value)
	case "!!str":
		return "the text " + quoted(n.Value)
	}
	return quoted(n.Value) + ", which YAML takes for " + printable(n.ShortTag())
}
