// SPDX-License-Identifier: Apache-2.0

//go:build linux

package policy

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/jsonschema-go/jsonschema"
	"go.yaml.in/yaml/v3"
)

//go:generate go test -count=1 -run ^TestGenerated -update .

var update = flag.Bool("update", false, "write the generated files anew")

const docs = "../docs/policy.md"

// TestGeneratedSchema compares schema.json with the table of fields. A library
// could make it of the struct, but not know what a value may be and why: that would
// have to be said twice.
func TestGeneratedSchema(t *testing.T) {
	got, err := json.MarshalIndent(schema(), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	compare(t, "schema.json", append(got, '\n'))
}

// TestGeneratedDocs compares the table in docs/policy.md with that of fields.
func TestGeneratedDocs(t *testing.T) {
	page := read(t, docs)
	const begin, end = "<!-- fields: written by make generate -->\n", "<!-- end of fields -->\n"
	before, rest, ok := strings.Cut(page, begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no %q and %q", docs, begin, end)
	}
	compare(t, docs, []byte(before+begin+table()+end+after))
}

// TestExamples gives every policy in docs/policy.md to the parser and to the schema.
func TestExamples(t *testing.T) {
	examples := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(read(t, docs), -1)
	if len(examples) < 6 {
		t.Fatalf("%s has %d examples, want 6 or more", docs, len(examples))
	}
	validate := validator(t)
	for _, e := range examples {
		if _, err := Parse("example", []byte(e[1])); err != nil {
			t.Errorf("Parse of\n%s\n= %v", e[1], err)
		}
		if err := validate(e[1]); err != nil {
			t.Errorf("the schema refuses\n%s\n%v", e[1], err)
		}
	}
}

// TestSchemaRefuses holds what the schema knows as well as the parser does. It
// cannot compare two values, nor times.
func TestSchemaRefuses(t *testing.T) {
	validate := validator(t)
	for name, spec := range map[string]string{
		"an unknown field":       "{scope: [host]}",
		"a field without value":  "{mode: }",
		"a number past its end":  "{bounds: {somaxconn: {max: 1048577}}}",
		"a number before it":     "{headroomPercent: -1}",
		"text for a number":      "{maxPerHour: '6'}",
		"a number for a time":    "{latencyBudget: 1}",
		"a time in days":         "{latencyBudget: 1d}",
		"an unknown mode":        "{mode: Enforce}",
		"no scope":               "{scopes: []}",
		"an unknown scope":       "{scopes: [pods]}",
		"an entry twice":         "{exclude: {commands: [a, a]}}",
		"no list":                "{namespaces: host}",
		"enforce without bounds": "{mode: enforce, bounds: {backlog: {max: 4096}}}",
	} {
		text := head + "spec: " + spec + "\n"
		if _, err := Parse("f", []byte(text)); err == nil {
			t.Errorf("%s: the parser accepts %s", name, spec)
		}
		if err := validate(text); err == nil {
			t.Errorf("%s: the schema accepts %s", name, spec)
		}
	}
	if err := validate(head); err == nil {
		t.Error("the schema accepts a policy without spec")
	}
}

// validator returns what asks the schema as it is committed.
func validator(t testing.TB) func(text string) error {
	t.Helper()
	text, err := os.ReadFile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var s jsonschema.Schema
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	resolved, err := s.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	return func(text string) error {
		var value any
		if err := yaml.Unmarshal([]byte(text), &value); err != nil {
			return err
		}
		return resolved.Validate(value)
	}
}

// schema makes the JSON schema of the fields.
func schema() *jsonschema.Schema {
	root := object()
	root.Schema = "http://json-schema.org/draft-07/schema#" // what editors know
	root.Title = kind
	root.Description = "What qtune may recommend and change on a host: docs/policy.md."
	for _, f := range fields {
		at, name := root, f.path
		for {
			first, rest, deeper := strings.Cut(name, ".")
			if f.required && !slices.Contains(at.Required, first) {
				at.Required = append(at.Required, first)
			}
			if !deeper {
				break
			}
			if at.Properties[first] == nil {
				put(at, first, object())
			}
			at, name = at.Properties[first], rest
		}
		put(at, name, f.schema())
	}
	root.Required = append(root.Required, "spec")

	// if mode is enforce then bounds.somaxconn.max must be there
	enforce := any(string(Enforce))
	within := &jsonschema.Schema{Required: []string{"max"}}
	for _, name := range []string{"somaxconn", "bounds"} {
		within = &jsonschema.Schema{Required: []string{name}, Properties: map[string]*jsonschema.Schema{name: within}}
	}
	spec := root.Properties["spec"]
	spec.If = &jsonschema.Schema{Required: []string{"mode"}, Properties: map[string]*jsonschema.Schema{"mode": {Const: &enforce}}}
	spec.Then = within
	return root
}

func object() *jsonschema.Schema {
	return &jsonschema.Schema{
		Type: "object", Properties: map[string]*jsonschema.Schema{},
		AdditionalProperties: &jsonschema.Schema{Not: &jsonschema.Schema{}}, // false
	}
}

func put(at *jsonschema.Schema, name string, s *jsonschema.Schema) {
	at.Properties[name] = s
	at.PropertyOrder = append(at.PropertyOrder, name)
}

func (f *field) schema() *jsonschema.Schema {
	s := &jsonschema.Schema{Description: f.says}
	var words []any
	for _, w := range f.words {
		words = append(words, w)
	}
	if f.at == nil {
		s.Const = &words[0]
		return s
	}
	var usual any // JSON of the default
	def := Default()
	switch at := f.at(&def).(type) {
	case *int:
		s.Type, usual = "integer", *at
	case *int64:
		s.Type, usual = "integer", *at
	case *time.Duration:
		s.Type, s.Pattern, usual = "string", timeSpan.String(), plain(*at)
	case *string:
		s.Type, s.Enum, usual = "string", words, *at
	case *[]string:
		s.Type, s.MaxItems, s.UniqueItems = "array", new(maxList), true
		s.Items = &jsonschema.Schema{Type: "string", Enum: words, MinLength: new(1)}
		if usual = *at; *at == nil {
			usual = []string{}
		}
		if words != nil {
			s.MinItems = new(1)
		}
	}
	if s.Type == "integer" {
		s.Minimum, s.Maximum = new(float64(f.low)), new(float64(f.high))
	}
	if f.path == "metadata.name" {
		s.Pattern = validName.String()
	}
	if !f.required {
		s.Default, _ = json.Marshal(usual) // numbers, texts and lists of these have JSON
	}
	return s
}

// table returns the fields as Markdown.
func table() string {
	var page strings.Builder
	page.WriteString("| field | may be | default | |\n|---|---|---|---|\n")
	code := func(words []string) string { return "`" + strings.Join(words, "`, `") + "`" }
	for _, f := range fields {
		var may, usual string
		def := Default()
		numbers := func(v any) (string, string) {
			return strings.TrimSpace(fmt.Sprintf("%d to %d %s", f.low, f.high, f.unit)), fmt.Sprint(v)
		}
		var at any
		if f.at != nil {
			at = f.at(&def)
		}
		switch at := at.(type) {
		case nil:
			may, usual = code(f.words), "required"
		case *int:
			may, usual = numbers(*at)
		case *int64:
			may, usual = numbers(*at)
		case *time.Duration:
			may, usual = plain(time.Duration(f.low))+" to "+plain(time.Duration(f.high)), plain(*at)
		case *string:
			may, usual = "text", "`"+*at+"`"
		case *[]string:
			may, usual = fmt.Sprintf("list of at most %d", maxList), "`["+strings.Join(*at, ", ")+"]`"
		}
		if f.at != nil && f.words != nil {
			may = code(f.words)
			if _, list := at.(*[]string); list {
				may = "list of " + may
			}
		}
		if f.required {
			usual = "required"
		}
		fmt.Fprintf(&page, "| `%s` | %s | %s | %s |\n", f.path, may, usual, f.says)
	}
	return page.String()
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// compare compares a generated file with what it should be, or writes it.
func compare(t *testing.T, name string, want []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got := read(t, name); !bytes.Equal([]byte(got), want) {
		t.Errorf("%s is stale, run make generate (-have +want):\n%s", name, cmp.Diff(got, string(want)))
	}
}
