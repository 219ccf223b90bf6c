// SPDX-License-Identifier: Apache-2.0

//go:build linux

package page

import (
	"compress/gzip"
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qtune/qtune/advisor"
	"github.com/qtune/qtune/collector"
	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/policy"
	"github.com/qtune/qtune/tcpq"
)

var update = flag.Bool("update", false, "rewrite the golden files; look at the difference before you commit it")

// A replay is a recorded host as a Source.
type replay struct {
	in       *inspection.Inspection
	snapshot *tcpq.Snapshot
	window   *tcpq.Window
}

func (r *replay) Last() *inspection.Inspection { return r.in }

func (r *replay) History(netns uint64, cookie string) (*inspection.History, bool) {
	if r.window == nil {
		return nil, false
	}
	return inspection.HistoryOf(r.snapshot, r.window, netns, cookie)
}

func replayed(t testing.TB, name string) *replay {
	t.Helper()
	rec, err := host.OpenRecording(filepath.Join("../../test/hosts", name))
	if err != nil {
		t.Fatal(err)
	}
	c := collector.New(rec, collector.Options{Syn: collector.SynAll})
	s, w, err := c.Replay(context.Background(), rec)
	if err != nil {
		t.Fatal(err)
	}
	p := policy.Default()
	return &replay{in: inspection.From(s, w, advisor.Advise(s, w, &p)), snapshot: s, window: w}
}

// hosts are the names of the recorded hosts.
func hosts(t *testing.T) (names []string) {
	t.Helper()
	metas, err := filepath.Glob("../../test/hosts/*/meta.json")
	if err != nil || len(metas) == 0 {
		t.Fatalf("no recorded hosts under test/hosts: %v", err)
	}
	for _, meta := range metas {
		names = append(names, filepath.Base(filepath.Dir(meta)))
	}
	return names
}

// get asks a handler for a page.
func get(t *testing.T, h http.Handler, target string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, nil))
	return w
}

// stable takes out of a page what changes with the moment and the style.
func stable(html string) string {
	html = regexp.MustCompile(`\.[0-9a-f]{12}\.(css|js|svg)`).ReplaceAllString(html, ".HASH.$1")
	return regexp.MustCompile(`<span id="age">[^<]*<`).ReplaceAllString(html, `<span id="age">AGE<`)
}

// TestGolden shows every recorded host, and one listener of it.
func TestGolden(t *testing.T) {
	for _, name := range hosts(t) {
		r := replayed(t, name)
		h := Handler(r, "0.0.0")
		first := r.in.Listeners[0]
		for file, target := range map[string]string{
			name + ".html":          "/",
			name + "-listener.html": "/listener/" + idOf(first.Netns, first.Cookie),
		} {
			t.Run(file, func(t *testing.T) {
				w := get(t, h, target)
				if w.Code != http.StatusOK {
					t.Fatalf("GET %s = %d, want 200", target, w.Code)
				}
				checkHTML(t, w.Body.String())
				compareGolden(t, filepath.Join("testdata", file), stable(w.Body.String()))
			})
		}
	}
}

func compareGolden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil { //nolint:gosec // a file of the repository
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func TestHandler(t *testing.T) {
	r := replayed(t, "pods")
	h := Handler(r, "0.0.0")
	asset := regexp.MustCompile(`static/page\.[0-9a-f]+\.js`).FindString(get(t, h, "/").Body.String())
	tests := []struct {
		name, method, target string
		want                 int
	}{
		{"the page", "GET", "/", 200},
		{"only its head", "HEAD", "/", 200},
		{"nothing may be changed", "POST", "/", 405},
		{"a script", "GET", "/" + asset, 200},
		{"a script of another build", "GET", "/static/page.000000000000.js", 404},
		{"a folder", "GET", "/static/", 404},
		{"a way out", "GET", "/static/..%2ftemplates%2findex.html", 404},
		{"a listener nobody knows", "GET", "/listener/1/0000000000000000", 404},
		{"a namespace that is no number", "GET", "/listener/x/0000000000000000", 404},
		{"another page", "GET", "/other", 404},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), tt.method, tt.target, nil))
			if w.Code != tt.want {
				t.Errorf("%s %s = %d, want %d", tt.method, tt.target, w.Code, tt.want)
			}
			for header, want := range map[string]string{
				"Content-Security-Policy": contentPolicy, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
			} {
				if got := w.Header().Get(header); got != want {
					t.Errorf("%s %s: %s = %q, want %q", tt.method, tt.target, header, got, want)
				}
			}
		})
	}
}

func TestWhoHasItAlreadyIsSentNothing(t *testing.T) {
	r := replayed(t, "pods")
	h := Handler(r, "0.0.0")
	tag := get(t, h, "/").Header().Get("ETag")
	ask := func() *httptest.ResponseRecorder {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		req.Header.Set("If-None-Match", tag)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		return w
	}
	if w := ask(); w.Code != http.StatusNotModified || w.Body.Len() > 0 {
		t.Errorf("the same again = %d with %d bytes, want 304 with none", w.Code, w.Body.Len())
	}
	later := *r.in
	later.Time = later.Time.Add(time.Second)
	r.in = &later
	if w := ask(); w.Code != http.StatusOK {
		t.Errorf("a second later = %d, want 200", w.Code)
	}
}

func TestPacked(t *testing.T) {
	h := Handler(replayed(t, "pods"), "0.0.0")
	req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	req.Header.Set("Accept-Encoding", "gzip")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	z, err := gzip.NewReader(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	unpacked, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(stable(get(t, h, "/").Body.String()), stable(string(unpacked))); diff != "" {
		t.Errorf("packed it differs (-plain +packed):\n%s", diff)
	}
}

func TestBeforeTheFirstLook(t *testing.T) {
	h := Handler(&replay{}, "0.0.0")
	for _, target := range []string{"/", "/listener/1/0000000000000000"} {
		w := get(t, h, target)
		if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "takes its first look") {
			t.Errorf("GET %s = %d %s, want 503 that says why", target, w.Code, w.Body)
		}
		checkHTML(t, w.Body.String())
	}
}

func TestWhatHasGoneIsShownAsItWas(t *testing.T) {
	r := replayed(t, "pods")
	gone := r.in.Listeners[0]
	in := *r.in
	in.Listeners = slices.Delete(slices.Clone(in.Listeners), 0, 1)
	in.Gone = &inspection.Gone{Listeners: []inspection.Listener{gone}}
	r.in = &in
	w := get(t, Handler(r, "0.0.0"), "/listener/"+idOf(gone.Netns, gone.Cookie))
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "It has ended.") {
		t.Errorf("the page of a listener that has gone = %d, want 200 that says so", w.Code)
	}
}

// BenchmarkPage makes the page of a thousand listeners, as the first who asks pays for.
func BenchmarkPage(b *testing.B) {
	r := replayed(b, "pods")
	in := *r.in
	for i := range 1000 {
		l := r.in.Listeners[i%len(r.in.Listeners)]
		l.Cookie = fmt.Sprintf("%016x", i)
		in.Listeners = append(in.Listeners, l)
	}
	s := newSite(r, "0.0.0")
	for b.Loop() {
		again := in
		body, err := s.indexBody(&again)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(len(body)), "bytes")
	}
}
