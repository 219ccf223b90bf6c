// SPDX-License-Identifier: Apache-2.0

//go:build linux

package page

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/qtune/qtune/inspection"
)

// empty elements have no end.
var empty = []string{"meta", "link", "input", "br", "rect", "line", "path"}

// checkHTML fails when a page's elements are not closed in turn, share an id, load
// something from elsewhere, or hold what the policy forbids: scripts and styles.
func checkHTML(t *testing.T, page string) {
	t.Helper()
	var open []string
	ids := map[string]bool{}
	z := html.NewTokenizer(strings.NewReader(page))
	for {
		kind := z.Next()
		if kind == html.ErrorToken {
			break
		}
		token := z.Token()
		switch kind {
		case html.StartTagToken, html.SelfClosingTagToken:
			checkElement(t, &token, ids)
			if kind == html.StartTagToken && !slices.Contains(empty, token.Data) {
				open = append(open, token.Data)
			}
		case html.EndTagToken:
			if len(open) == 0 || open[len(open)-1] != token.Data {
				t.Fatalf("</%s> ends nothing: open are %v", token.Data, open)
			}
			open = open[:len(open)-1]
		case html.TextToken:
			if len(open) > 0 && (open[len(open)-1] == "script" || open[len(open)-1] == "style") && token.Data != "" {
				t.Errorf("an inline %s: %s", open[len(open)-1], token.Data)
			}
		}
	}
	if len(open) > 0 {
		t.Errorf("never closed: %v", open)
	}
}

func checkElement(t *testing.T, e *html.Token, ids map[string]bool) {
	t.Helper()
	for _, a := range e.Attr {
		switch {
		case a.Key == "style", strings.HasPrefix(a.Key, "on"):
			t.Errorf("%s: the policy forbids it", e)
		case a.Key == "id" && ids[a.Val]:
			t.Errorf("%s: the id is there twice", e)
		case a.Key == "id":
			ids[a.Val] = true
		case a.Key == "src", a.Key == "href" && e.Data == "link":
			if strings.Contains(a.Val, ":") || strings.HasPrefix(a.Val, "/") {
				t.Errorf("%s: loads from elsewhere, or not below where the page is", e)
			}
		case a.Key == "href" && strings.Contains(a.Val, ":") && !strings.HasPrefix(a.Val, "https://github.com/qtune/qtune/"):
			t.Errorf("%s: leads somewhere strange", e)
		}
	}
}

// TestHostileNames shows names that would be code in a page that is less careful.
func TestHostileNames(t *testing.T) {
	for _, name := range []string{
		`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `' onmouseover='alert(1)`, `javascript:alert(1)`,
		`</title><script>alert(1)</script>`, `{{.Version}}`, `&lt;b&gt;`,
	} {
		t.Run(name, func(t *testing.T) {
			r := replayed(t, "pods")
			in := *r.in
			in.Host = inspection.Host{Name: name, Kernel: name}
			in.Namespaces = slices.Clone(in.Namespaces)
			for i := range in.Namespaces {
				in.Namespaces[i].Name, in.Namespaces[i].Error = name, name
			}
			in.Listeners = slices.Clone(in.Listeners)
			for i := range in.Listeners {
				l := &in.Listeners[i]
				l.Device = name
				l.Owner = &inspection.Owner{
					PID: 1, Comm: name, Exe: name, Unit: name,
					Container: &inspection.Container{Runtime: name, ID: name, Name: name},
					Pod:       &inspection.Pod{Namespace: name, Name: name, UID: name, Container: name},
				}
			}
			in.Findings = slices.Clone(in.Findings)
			for i := range in.Findings {
				f := &in.Findings[i]
				f.Why = name
				f.Hints = []inspection.Hint{{Program: name, Setting: name, Example: name, Note: name}}
			}
			in.Errors = []inspection.Error{{Stage: name, Message: name}}
			r.in = &in
			first := in.Listeners[0]
			h := Handler(r, name)
			for _, target := range []string{"/", "/listener/" + idOf(first.Netns, first.Cookie)} {
				w := get(t, h, target)
				if w.Code != http.StatusOK {
					t.Fatalf("GET %s = %d, want 200", target, w.Code)
				}
				page := w.Body.String()
				checkHTML(t, page)
				if !strings.Contains(page, html.EscapeString(name)[:4]) {
					t.Errorf("GET %s does not show the name at all", target)
				}
				if n := strings.Count(page, "<script") + strings.Count(page, "<img"); n != 1 {
					t.Errorf("GET %s has %d scripts and pictures, want its own script alone", target, n)
				}
			}
		})
	}
}
