// SPDX-License-Identifier: Apache-2.0

// Package test holds the rules of the house that no compiler checks: which
// package may import which, and how every file begins.
package test

import (
	"fmt"
	"go/ast"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

const module = "github.com/qtune/qtune"

// floors is the house from the ground up. A package imports packages of lower
// floors only, never a neighbour; tests may import any. A new package goes into
// the row that says what it needs, and into .golangci.yml.
var floors = []struct {
	name     string
	packages []string
}{
	{"0", []string{"tcpq"}}, // the standard library only
	{"1", []string{"host", "policy", "collector/inetdiag"}},
	{"2", []string{"collector", "sysctl"}},
	{"3", []string{"advisor", "selftest"}},
	{"3+", []string{"inspection"}},
	{"4", []string{"exporter", "exporter/page", "tuner"}},
	{"5", []string{"agent"}},
	{"6", []string{"cmd/qtune"}},
}

// only lists the packages that may import less than their floor allows.
var only = map[string][]string{
	"advisor": {"tcpq", "policy"}, // it judges values and looks at nothing itself
}

func TestFloors(t *testing.T) {
	problems, err := check(os.DirFS(".."))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Error(p)
	}
}

// TestLinkedKubernetes keeps Kubernetes clients, and the seconds they take to
// start, out of the host's tool.
func TestLinkedKubernetes(t *testing.T) {
	if _, err := os.Stat("../cmd/qtune"); err != nil {
		t.Skip("cmd/qtune does not exist yet")
	}
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", module+"/cmd/qtune").Output()
	if err != nil {
		t.Fatalf("go list -deps: %v%s", err, stderr(err))
	}
	for pkg := range strings.Lines(string(out)) {
		pkg = strings.TrimSpace(pkg)
		if strings.HasPrefix(pkg, "k8s.io/") && !strings.HasPrefix(pkg, "k8s.io/cri-api/") {
			t.Errorf("cmd/qtune links %s: of k8s.io/* it may link only cri-api; `go mod why %s` says who wants it", pkg, pkg)
		}
	}
}

func stderr(err error) string {
	if e, ok := err.(*exec.ExitError); ok { //nolint:errorlint // Output returns it unwrapped
		return ": " + string(e.Stderr)
	}
	return ""
}

// A source is one parsed Go file.
type source struct {
	name   string // slash-separated, from the module's root
	dir    string
	isTest bool
	text   string
	file   *ast.File
}

func (s source) imports() []string {
	var paths []string
	for _, i := range s.file.Imports {
		p, _ := strconv.Unquote(i.Path.Value) // the parser has seen that it is a string
		paths = append(paths, p)
	}
	return paths
}

// check returns what is wrong in the module at root, a sentence each.
func check(root fs.FS) ([]string, error) {
	sources, err := parse(root)
	if err != nil {
		return nil, err
	}
	var problems []string
	packages := map[string][]source{}
	for _, s := range sources {
		packages[s.dir] = append(packages[s.dir], s)
		problems = append(problems, checkHead(s)...)
		problems = append(problems, checkImports(s)...)
	}
	for dir, files := range packages {
		problems = append(problems, checkPackage(dir, files)...)
	}
	slices.Sort(problems)
	return problems, nil
}

// parse reads every Go file the go command would, for all platforms.
func parse(root fs.FS) ([]source, error) {
	var sources []source
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			_, err := fs.Stat(root, path.Join(name, "go.mod"))
			otherModule := err == nil && name != "."
			hidden := name != "." && strings.ContainsAny(d.Name()[:1], "._")
			if otherModule || hidden || d.Name() == "testdata" {
				return fs.SkipDir
			}
			return nil
		}
		if path.Ext(name) != ".go" {
			return nil
		}
		text, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		sources = append(sources, source{name, path.Dir(name), strings.HasSuffix(name, "_test.go"), string(text), file})
		return nil
	})
	return sources, err
}

func checkHead(s source) []string {
	var problems []string
	const spdx = "// SPDX-License-Identifier: Apache-2.0"
	if !strings.HasPrefix(s.text, spdx+"\n") {
		problems = append(problems, fmt.Sprintf("%s: the first line is not %q: put it there", s.name, spdx))
	}
	if !s.isTest && !inTest(s.dir) && !linuxOnly(s.file) {
		problems = append(problems, s.name+": no //go:build linux: put it below the licence, with an empty line around it")
	}
	return problems
}

// linuxOnly reports whether the file's build constraint excludes all but Linux.
func linuxOnly(f *ast.File) bool {
	for _, group := range f.Comments {
		for _, c := range group.List {
			if c.Pos() > f.Package || !constraint.IsGoBuild(c.Text) {
				continue
			}
			expr, err := constraint.Parse(c.Text)
			return err == nil && !expr.Eval(func(tag string) bool { return tag != "linux" })
		}
	}
	return false
}

func checkImports(s source) []string {
	if s.isTest || inTest(s.dir) {
		return nil
	}
	var problems []string
	from := floor(s.dir)
	for _, p := range s.imports() {
		if p == "os/exec" {
			problems = append(problems, s.name+": imports os/exec: the product starts no program; only tests and test/ may")
		}
		if p == "C" {
			problems = append(problems, s.name+": imports C: the product is built without cgo")
		}
		to, ours := strings.CutPrefix(p, module+"/")
		switch {
		case !ours && from == 0 && strings.Contains(strings.Split(p, "/")[0], "."):
			problems = append(problems, fmt.Sprintf("%s: %s imports %s: it may import the standard library only", s.name, s.dir, p))
		case ours && inTest(to):
			problems = append(problems, fmt.Sprintf("%s: imports %s: test code does not belong in the product", s.name, to))
		case ours && floor(to) < 0:
			problems = append(problems, fmt.Sprintf("%s: imports %s, which is on no floor: add it to the table in test/floors_test.go", s.name, to))
		case ours && from >= 0 && floor(to) >= from:
			problems = append(problems, fmt.Sprintf("%s: %s (floor %s) imports %s (floor %s): a package imports lower floors only; "+
				"move what both need down, or declare a small interface in %[2]s", s.name, s.dir, floors[from].name, to, floors[floor(to)].name))
		case ours && only[s.dir] != nil && !slices.Contains(only[s.dir], to):
			problems = append(problems, fmt.Sprintf("%s: imports %s: %s may import only %s of ours", s.name, to, s.dir, strings.Join(only[s.dir], ", ")))
		}
	}
	return problems
}

// checkPackage looks at what a package's files have in common: its floor and
// its doc comment.
func checkPackage(dir string, files []source) []string {
	var problems []string
	product := slices.DeleteFunc(slices.Clone(files), func(s source) bool { return s.isTest })
	if len(product) > 0 {
		files = product
		if floor(dir) < 0 && !inTest(dir) {
			problems = append(problems, dir+": this package is on no floor: add it to the table in test/floors_test.go and to .golangci.yml")
		}
	}
	var documented []string
	for _, s := range files {
		if s.file.Doc.Text() == "" {
			continue
		}
		documented = append(documented, s.name)
		base := path.Base(s.name)
		if len(product) > 0 && base != "doc.go" && base != "main.go" && base != s.file.Name.Name+".go" {
			problems = append(problems, fmt.Sprintf("%s: holds the package's doc comment: it belongs in doc.go or %s.go", s.name, s.file.Name.Name))
		}
	}
	switch {
	case len(documented) == 0:
		problems = append(problems, dir+": no package doc comment: say in doc.go or the main file what is inside")
	case len(documented) > 1:
		problems = append(problems, fmt.Sprintf("%s: %d package doc comments (%s): keep one", dir, len(documented), strings.Join(documented, ", ")))
	}
	return problems
}

// floor returns the row of a package, -1 if it is in none.
func floor(dir string) int {
	for i, f := range floors {
		if slices.Contains(f.packages, dir) {
			return i
		}
	}
	return -1
}

func inTest(dir string) bool { return dir == "test" || strings.HasPrefix(dir, "test/") }

func TestCheckFindsWhatIsWrong(t *testing.T) {
	const spdx = "// SPDX-License-Identifier: Apache-2.0\n\n"
	const head = spdx + "//go:build linux\n\n"
	file := func(pkg string, imports ...string) string {
		text := head + "// Package " + pkg + " is here.\npackage " + pkg + "\n"
		for _, i := range imports {
			text += "import " + strconv.Quote(i) + "\n"
		}
		return text
	}
	tests := []struct {
		name  string
		files map[string]string
		want  string // part of the only problem; empty: none
	}{
		{"a lower floor", map[string]string{"host/host.go": file("host", module+"/tcpq")}, ""},
		{"a library", map[string]string{"host/host.go": file("host", "golang.org/x/sys/unix")}, ""},
		{"a neighbour", map[string]string{"host/host.go": file("host", module+"/policy")}, "host (floor 1) imports policy (floor 1)"},
		{"a floor above", map[string]string{"tcpq/tcpq.go": file("tcpq", module+"/agent")}, "tcpq (floor 0) imports agent (floor 5)"},
		{"a floor above, in a test", map[string]string{
			"tcpq/tcpq.go":   file("tcpq"),
			"tcpq/a_test.go": spdx + "package tcpq_test\nimport _ \"" + module + "/agent\"\n",
		}, ""},
		{"a floor above, on another architecture", map[string]string{
			"tcpq/tcpq.go":       file("tcpq"),
			"tcpq/tcpq_arm64.go": head + "package tcpq\nimport _ \"" + module + "/host\"\n",
		}, "tcpq (floor 0) imports host (floor 1)"},
		{"what a package of few needs may not", map[string]string{"advisor/advisor.go": file("advisor", module+"/host")}, "advisor may import only tcpq, policy"},
		{"an unknown package", map[string]string{"host/host.go": file("host", module+"/util")}, "imports util, which is on no floor"},
		{"a library in tcpq", map[string]string{"tcpq/tcpq.go": file("tcpq", "golang.org/x/sys/unix")}, "the standard library only"},
		{"a package on no floor", map[string]string{"util/util.go": file("util")}, "util: this package is on no floor"},
		{"a package below test", map[string]string{"test/lab/lab.go": spdx + "// Package lab is here.\npackage lab\nimport \"os/exec\"\n"}, ""},
		{"a package that imports test", map[string]string{"host/host.go": file("host", module+"/test/lab")}, "test code does not belong"},
		{"os/exec", map[string]string{"host/host.go": file("host", "os/exec")}, "imports os/exec"},
		{"no licence", map[string]string{"host/host.go": strings.TrimPrefix(file("host"), spdx)}, "the first line is not"},
		{"not only Linux", map[string]string{"host/host.go": strings.Replace(file("host"), "build linux", "build unix", 1)}, "no //go:build linux"},
		{"Linux and more", map[string]string{"host/host.go": strings.Replace(file("host"), "build linux", "build linux && amd64", 1)}, ""},
		{"no doc comment", map[string]string{"host/host.go": head + "package host\n"}, "host: no package doc comment"},
		{"two doc comments", map[string]string{"host/host.go": file("host"), "host/doc.go": file("host")}, "host: 2 package doc comments"},
		{"a doc comment in a file of its own choice", map[string]string{"host/live.go": file("host")}, "it belongs in doc.go or host.go"},
		{"another module", map[string]string{"test/tools/go.mod": "module x", "test/tools/x.go": "package x\n"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			root := fstest.MapFS{}
			for name, text := range tt.files {
				root[name] = &fstest.MapFile{Data: []byte(text)}
			}
			problems, err := check(root)
			if err != nil {
				t.Fatal(err)
			}
			got := strings.Join(problems, "\n")
			if ok := tt.want == "" && got == "" || tt.want != "" && len(problems) == 1 && strings.Contains(got, tt.want); !ok {
				t.Errorf("check = %q, want %q", got, tt.want)
			}
		})
	}
}
