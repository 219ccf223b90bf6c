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
	"strings"

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
