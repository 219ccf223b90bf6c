// SPDX-License-Identifier: Apache-2.0

//go:build linux

package policy

import (
	"regexp"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"
)

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
