// SPDX-License-Identifier: Apache-2.0

//go:build linux

package dashboards

import (
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var folder = os.DirFS("../../dashboards")

// types are the kinds of panels used: all of today's Grafana, none deprecated.
var types = []string{"bargauge", "heatmap", "row", "stat", "state-timeline", "table", "timeseries"}

func boards(t *testing.T) []Board {
	t.Helper()
	all, err := Boards(folder)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 3 {
		t.Fatalf("%d dashboards, want fleet, listener and node", len(all))
	}
	return all
}

func TestBoards(t *testing.T) {
	for _, b := range boards(t) {
		t.Run(path.Base(b.File), func(t *testing.T) {
			if want := "qtune-" + strings.TrimSuffix(path.Base(b.File), ".json"); b.UID != want {
				t.Errorf("uid %q, want %q: links lead there", b.UID, want)
			}
			if b.SchemaVersion < 42 {
				t.Errorf("schemaVersion %d, want 42 or later", b.SchemaVersion)
			}
			if b.Description == "" || !slices.Contains(b.Tags, "qtune") {
				t.Errorf("description %q, tags %q: want one, and qtune among the tags", b.Description, b.Tags)
			}
			if first := b.Templating.List[0]; first.Name != "datasource" || first.Type != "datasource" {
				t.Errorf("the first variable is %s of type %s, want the datasource", first.Name, first.Type)
			}
			for _, v := range b.Templating.List[1:] {
				checkDatasource(t, "variable "+v.Name, v.Datasource)
			}
		})
	}
}

func TestPanels(t *testing.T) {
	for _, b := range boards(t) {
		t.Run(path.Base(b.File), func(t *testing.T) {
			ids := map[int]string{}
			for i, p := range b.Panels {
				if p.ID == 0 || ids[p.ID] != "" {
					t.Errorf("%s: id %d is 0 or that of %s", p.Title, p.ID, ids[p.ID])
				}
				ids[p.ID] = p.Title
				if !slices.Contains(types, p.Type) {
					t.Errorf("%s: type %s, want one of %q", p.Title, p.Type, types)
				}
				for _, other := range b.Panels[:i] {
					if p.GridPos.Overlaps(other.GridPos) {
						t.Errorf("%s lies upon %s: %v and %v", p.Title, other.Title, p.GridPos, other.GridPos)
					}
				}
				if p.GridPos.X < 0 || p.GridPos.X+p.GridPos.W > 24 {
					t.Errorf("%s: %v does not fit into 24 columns", p.Title, p.GridPos)
				}
				if p.Type != "row" {
					checkPanel(t, p)
				}
			}
		})
	}
}

func checkPanel(t *testing.T, p Panel) {
	t.Helper()
	if p.Title == "" || p.Description == "" || p.FieldConfig.Defaults.Unit == "" {
		t.Errorf("%q: description %q, unit %q: want all three", p.Title, p.Description, p.FieldConfig.Defaults.Unit)
	}
	checkDatasource(t, p.Title, p.Datasource)
	if len(p.Targets) == 0 {
		t.Errorf("%s asks nothing", p.Title)
	}
	refs := map[string]bool{}
	for _, target := range p.Targets {
		checkDatasource(t, p.Title+" "+target.RefID, target.Datasource)
		if refs[target.RefID] {
			t.Errorf("%s: two queries are called %s", p.Title, target.RefID)
		}
		refs[target.RefID] = true
	}
}

func checkDatasource(t *testing.T, where string, d Datasource) {
	t.Helper()
	if want := (Datasource{"prometheus", "${datasource}"}); d != want {
		t.Errorf("%s: datasource %v, want %v", where, d, want)
	}
}

// builtIn are the variables that Grafana itself fills in.
var builtIn = []string{"__rate_interval", "__range"}

func TestVariables(t *testing.T) {
	for _, b := range boards(t) {
		t.Run(path.Base(b.File), func(t *testing.T) {
			var known, used []string
			for _, v := range b.Templating.List {
				known = append(known, v.Name)
			}
			for _, q := range b.Queries() {
				used = append(used, q.Variables()...)
				for _, name := range q.Variables() {
					if !slices.Contains(known, name) && !slices.Contains(builtIn, name) {
						t.Errorf("%s asks for $%s, which is no variable of the dashboard: %s", q.Where, name, q.Expr)
					}
				}
			}
			for _, name := range known[1:] { // all but the datasource
				if !slices.Contains(used, name) {
					t.Errorf("nothing asks for the variable %s", name)
				}
			}
		})
	}
}

var (
	boardLink    = regexp.MustCompile(`"url": "/d/([\w-]+)/\?([^"\\]|\\.)*"`)
	linkVariable = regexp.MustCompile(`&var-(\w+)=\$\{[^}]+\}`)
	page         = regexp.MustCompile(`https://github\.com/qtune/qtune/blob/main/([\w./-]+)`)
)

// TestLinks follows the links between the dashboards, and to pages of the project.
func TestLinks(t *testing.T) {
	variables := map[string][]string{}
	leads := map[string]bool{}
	for _, b := range boards(t) {
		for _, v := range b.Templating.List {
			variables[b.UID] = append(variables[b.UID], v.Name)
		}
	}
	for _, b := range boards(t) {
		text, err := fs.ReadFile(folder, b.File)
		if err != nil {
			t.Fatal(err)
		}
		for _, link := range boardLink.FindAllStringSubmatch(string(text), -1) {
			uid := link[1]
			leads[uid] = true
			if variables[uid] == nil {
				t.Errorf("%s: a link leads to %s, which is no dashboard", b.File, uid)
			}
			for _, v := range linkVariable.FindAllStringSubmatch(link[0], -1) {
				if !slices.Contains(variables[uid], v[1]) {
					t.Errorf("%s: a link sets %s, which is no variable of %s", b.File, v[1], uid)
				}
				if !strings.HasSuffix(v[0], ":percentencode}") {
					t.Errorf("%s: a link has %s, want it encoded: a listener's name may hold a #", b.File, v[0])
				}
			}
		}
		for _, p := range page.FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat("../../" + p[1]); err != nil {
				t.Errorf("%s: a link leads to %s: %v", b.File, p[1], err)
			}
		}
	}
	for _, uid := range []string{"qtune-node", "qtune-listener"} {
		if !leads[uid] {
			t.Errorf("no link leads to %s", uid)
		}
	}
}
