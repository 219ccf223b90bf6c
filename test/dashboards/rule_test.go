// SPDX-License-Identifier: Apache-2.0

//go:build linux

package dashboards

import (
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/qtune/qtune/advisor"
)

// unalerted are the codes, critical or a warning, that no alert is about.
var unalerted = map[advisor.Code]string{
	advisor.BacklogTruncated: "only before Linux 4.1, where no agent runs",
	advisor.FastopenOverflow: "nothing is lost but a round trip; the dashboards show it",
}

func rules(t *testing.T) []Rule {
	t.Helper()
	all, err := Rules(folder)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatal("no rules")
	}
	return all
}

func alerts(t *testing.T) []Rule {
	t.Helper()
	return slices.DeleteFunc(rules(t), func(r Rule) bool { return r.Alert == "" })
}

var codeMatcher = regexp.MustCompile(`code=~?"([^"]+)"`)

// codes returns the findings an alert is about.
func codes(r Rule) []string {
	var all []string
	for _, m := range codeMatcher.FindAllStringSubmatch(r.Expr, -1) {
		all = append(all, strings.Split(m[1], "|")...)
	}
	return all
}

func TestEveryFindingIsAlerted(t *testing.T) {
	alerted := map[string]bool{}
	for _, r := range alerts(t) {
		for _, code := range codes(r) {
			alerted[code] = true
		}
	}
	for _, p := range advisor.Pages() {
		_, excused := unalerted[p.Code]
		switch {
		case p.Severity == advisor.Info && (alerted[string(p.Code)] || excused):
			t.Errorf("%s informs: it needs no alert and no excuse", p.Code)
		case p.Severity != advisor.Info && alerted[string(p.Code)] == excused:
			t.Errorf("%s is %v: alerted %v, excused %v; want one of them", p.Code, p.Severity, alerted[string(p.Code)], excused)
		}
		delete(alerted, string(p.Code))
	}
	for code := range alerted {
		t.Errorf("an alert is about %s, which is no code", code)
	}
}

func TestAlerts(t *testing.T) {
	for _, r := range alerts(t) {
		t.Run(r.Alert, func(t *testing.T) {
			if s := r.Labels["severity"]; s != "critical" && s != "warning" {
				t.Errorf("severity %q, want critical or warning", s)
			}
			for _, name := range []string{"summary", "description"} {
				if r.Annotations[name] == "" {
					t.Errorf("no %s", name)
				}
			}
			if len(codes(r)) == 0 && r.Labels["component"] != "qtune" {
				t.Error("no finding and not about qtune itself: what is it about?")
			}
		})
	}
}

// TestRunbooks follows the link of every alert to its heading.
func TestRunbooks(t *testing.T) {
	const project = "https://github.com/qtune/qtune/blob/main/"
	for _, r := range alerts(t) {
		file, anchor, ok := strings.Cut(strings.TrimPrefix(r.Annotations["runbook_url"], project), "#")
		if !ok {
			t.Errorf("%s: runbook_url %q, want %sFILE#HEADING", r.Alert, r.Annotations["runbook_url"], project)
			continue
		}
		text, err := os.ReadFile("../../" + file)
		if err != nil {
			t.Errorf("%s: %v", r.Alert, err)
			continue
		}
		anchors := []string{anchor}
		if anchor == "{{ $labels.code }}" {
			anchors = codes(r)
		}
		for _, a := range anchors {
			if !slices.ContainsFunc(strings.Split(string(text), "\n"), func(line string) bool {
				return strings.HasPrefix(line, "#") && strings.ToLower(strings.TrimLeft(line, "# ")) == a
			}) {
				t.Errorf("%s: %s has no heading %q", r.Alert, file, a)
			}
		}
	}
}

// TestDiscardsAlarmNobody: scans and health checks raise them on a listener that
// loses nothing.
func TestDiscardsAlarmNobody(t *testing.T) {
	for _, r := range rules(t) {
		if strings.Contains(r.Expr, "discarded") {
			t.Errorf("%s asks for discarded packets: %s", r.Name(), r.Expr)
		}
	}
}

// TestEveryAlertIsTried: some case for promtool expects it to fire.
func TestEveryAlertIsTried(t *testing.T) {
	files, err := fs.Glob(folder, "rules/*_test.yml")
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, f := range files {
		b, err := fs.ReadFile(folder, f)
		if err != nil {
			t.Fatal(err)
		}
		text.Write(b)
	}
	for _, r := range alerts(t) {
		sample := `alertname="` + r.Alert + `"`
		whole := "alertname: " + r.Alert + "\n        exp_alerts:\n"
		if !strings.Contains(text.String(), sample) && !strings.Contains(text.String(), whole) {
			t.Errorf("no case of rules/*_test.yml expects %s to fire", r.Alert)
		}
	}
}
