// SPDX-License-Identifier: Apache-2.0

//go:build linux

package exporter

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qtune/qtune/inspection"
)

// start serves on a port of its own until the test ends, and returns its address.
func start(t *testing.T, e *Exporter, w Web) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	addresses, ended := make(chan []net.Addr, 1), make(chan error, 1)
	if !w.Systemd {
		w.Addresses = []string{"127.0.0.1:0"}
	}
	w.Listening = func(a []net.Addr) { addresses <- a }
	go func() { ended <- e.Serve(ctx, w) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve = %v, want nil", err)
		}
	})
	select {
	case a := <-addresses:
		return a[0].String()
	case err := <-ended:
		ended <- nil
		t.Fatalf("Serve = %v, want it to serve", err)
		return ""
	}
}

// ask makes one request on a connection of its own.
func ask(t *testing.T, method, url string, header ...string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	transport := &http.Transport{DisableKeepAlives: true, DisableCompression: true}
	response, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	return response
}

func bodyOf(t *testing.T, r *http.Response) string {
	t.Helper()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestEndpoints(t *testing.T) {
	in := hostOf(2, 2)
	history := fmt.Sprintf("/api/v1/listeners/%d/%s/history", in.Listeners[0].Netns, in.Listeners[0].Cookie)
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { say(w, http.StatusOK, "page "+r.URL.Path) })
	const text, jsonType = "text/plain; charset=utf-8", "application/json"
	const openMetrics = "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"
	tests := []struct {
		name         string
		o            Options
		method, path string
		header       []string
		status       int
		contentType  string
		part         string // of the body
	}{
		{"metrics as text", Options{}, "GET", "/metrics", nil, 200, "text/plain; version=0.0.4; charset=utf-8; escaping=underscores", "\nqtune_listener_accept_queue_limit{"},
		{"metrics as OpenMetrics", Options{}, "GET", "/metrics", []string{"Accept", "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"}, 200, openMetrics, "\n# EOF\n"},
		{"metrics to who wants anything", Options{}, "GET", "/metrics", []string{"Accept", "application/vnd.google.protobuf,*/*;q=0.1"}, 200, "text/plain; version=0.0.4; charset=utf-8; escaping=underscores", "go_goroutines"},
		{"the head of metrics", Options{}, "HEAD", "/metrics", nil, 200, "text/plain; version=0.0.4; charset=utf-8; escaping=underscores", ""},
		{"the inspection", Options{}, "GET", "/api/v1/inspection", nil, 200, jsonType, `"namespaces":[{"inode":4026532000`},
		{"the inspection for people", Options{}, "GET", "/api/v1/inspection?pretty", nil, 200, jsonType, "\n  \"namespaces\": [\n"},
		{"a history", Options{}, "GET", history, nil, 200, jsonType, `"kind":"ListenerHistory"`},
		{"the history of nobody", Options{}, "GET", "/api/v1/listeners/1/2/history", nil, 404, text, "no such listener"},
		{"the history of no number", Options{}, "GET", "/api/v1/listeners/host/2/history", nil, 400, text, "netns: want the inode"},
		{"health", Options{}, "GET", "/-/healthy", nil, 200, text, "healthy"},
		{"readiness", Options{}, "GET", "/-/ready", nil, 200, text, "ready"},
		{"a landing text", Options{}, "GET", "/", nil, 200, text, "/metrics"},
		{"a page", Options{Page: page}, "GET", "/", nil, 200, text, "page /\n"},
		{"what a page needs", Options{Page: page}, "GET", "/static/a.css", nil, 200, text, "page /static/a.css\n"},
		{"nothing else below /", Options{Page: page}, "GET", "/secret", nil, 404, text, "404"},
		{"no profiles unless asked for", Options{}, "GET", "/debug/pprof/heap", nil, 404, text, "404"},
		{"profiles when asked for", Options{Pprof: true}, "GET", "/debug/pprof/goroutine?debug=1", nil, 200, text, "goroutine profile"},
		{"a profile longer than an answer may take", Options{Pprof: true, Limits: Limits{Answer: time.Second}}, "GET", "/debug/pprof/profile?seconds=1", nil, 200, "application/octet-stream", ""},
		{"never arguments", Options{Pprof: true}, "GET", "/debug/pprof/cmdline", nil, 404, text, "404"},
		{"no POST", Options{}, "POST", "/metrics", nil, 405, text, "want GET or HEAD"},
		{"no DELETE", Options{}, "DELETE", "/api/v1/inspection", nil, 405, text, "want GET or HEAD"},
		{"no method of one's own", Options{}, "BREW", "/", nil, 405, text, "want GET or HEAD"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := newExporter(t, &aSource{in: in}, tt.o)
			e.Publish(in)
			r := ask(t, tt.method, "http://"+start(t, e, Web{})+tt.path, tt.header...)
			if got := r.Header.Get("Content-Type"); r.StatusCode != tt.status || got != tt.contentType {
				t.Errorf("%s %s = %d, %s; want %d, %s", tt.method, tt.path, r.StatusCode, got, tt.status, tt.contentType)
			}
			if body := bodyOf(t, r); !strings.Contains(body, tt.part) {
				t.Errorf("%s %s = %.300q, want %q in it", tt.method, tt.path, body, tt.part)
			}
			if got := r.Header.Get("Allow"); (got == "GET, HEAD") != (tt.status == 405) {
				t.Errorf("Allow = %q with status %d", got, tt.status)
			}
			for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"} {
				if got := r.Header.Get(name); got != want {
					t.Errorf("%s = %q, want %q", name, got, want)
				}
			}
		})
	}
}

// TestCompressed gets the same compressed as plain.
func TestCompressed(t *testing.T) {
	in := hostOf(2, 2)
	e := newExporter(t, &aSource{in: in}, Options{})
	e.Publish(in)
	address := start(t, e, Web{})
	tests := []struct {
		name, path, accept string
		want               string // Content-Encoding
	}{
		{"metrics", "/metrics", "gzip", "gzip"},
		{"metrics, with weights", "/metrics", "br;q=1.0, GZIP;q=0.5", "gzip"},
		{"metrics, plain", "/metrics", "identity", ""},
		{"metrics, gzip forbidden", "/metrics", "gzip;q=0", ""},
		{"JSON", "/api/v1/inspection", "gzip", "gzip"},
		{"JSON, plain", "/api/v1/inspection", "deflate", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := ask(t, http.MethodGet, "http://"+address+tt.path, "Accept-Encoding", tt.accept)
			if got := r.Header.Get("Content-Encoding"); got != tt.want {
				t.Fatalf("Content-Encoding = %q, want %q", got, tt.want)
			}
			var body io.Reader = r.Body
			if tt.want == "gzip" {
				z, err := gzip.NewReader(r.Body)
				if err != nil {
					t.Fatal(err)
				}
				body = z
			}
			if tt.path == "/metrics" {
				text, err := io.ReadAll(body)
				if err != nil || !strings.Contains(string(text), "\nqtune_listener_info{") {
					t.Errorf("%.200q, %v, want the metrics", text, err)
				}
				return
			}
			var got inspection.Inspection
			if err := json.NewDecoder(body).Decode(&got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(in, &got); diff != "" {
				t.Errorf("inspection (-published +got):\n%s", diff)
			}
		})
	}
}

func TestBeforeTheFirstStep(t *testing.T) {
	e := newExporter(t, &aSource{ready: errors.New("no step is finished yet")}, Options{Version: "1.2.3"})
	address := start(t, e, Web{})
	r := ask(t, http.MethodGet, "http://"+address+"/-/ready")
	if got, want := bodyOf(t, r), "not ready: no step is finished yet\n"; r.StatusCode != 503 || got != want {
		t.Errorf("ready = %d, %q, want 503, %q", r.StatusCode, got, want)
	}
	if r := ask(t, http.MethodGet, "http://"+address+"/api/v1/inspection"); r.StatusCode != 503 {
		t.Errorf("inspection = %d, want 503", r.StatusCode)
	}
	metrics := bodyOf(t, ask(t, http.MethodGet, "http://"+address+"/metrics"))
	if !strings.Contains(metrics, `version="1.2.3"`) || strings.Contains(metrics, "qtune_snapshot_age_seconds ") {
		t.Errorf("metrics = %q, want qtune_build_info and no age of a snapshot that is not there", metrics)
	}
	in := hostOf(1, 1)
	in.Time = time.Now().Add(-time.Hour)
	e.Publish(in)
	for line := range strings.Lines(bodyOf(t, ask(t, http.MethodGet, "http://"+address+"/metrics"))) {
		var age float64
		if _, err := fmt.Sscanf(line, "qtune_snapshot_age_seconds %g", &age); err == nil {
			if age < 3600 || age > 3700 {
				t.Errorf("qtune_snapshot_age_seconds = %v, want an hour", age)
			}
			return
		}
	}
	t.Error("qtune_snapshot_age_seconds is not told")
}

// raw opens a connection and writes to it.
func raw(t *testing.T, address, text string) net.Conn {
	t.Helper()
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestRawRequests sends what no client of ours sends. The server answers so, closes
// the connection, and serves on.
func TestRawRequests(t *testing.T) {
	in := hostOf(1, 1)
	e := newExporter(t, &aSource{in: in}, Options{Limits: Limits{Header: time.Hour}}) // so no time limit ends it
	address := start(t, e, Web{})
	tests := []struct {
		name, send string
		want       int
	}{
		{"HTTP/1.0", "GET /-/healthy HTTP/1.0\r\n\r\n", 200},
		{"garbage", "\x16\x03\x01\x00\xa5\x01\x00\x00\r\n\r\n", 400},
		{"no Host", "GET / HTTP/1.1\r\n\r\n", 400},
		{"a huge header", "GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 64<<10) + "\r\n\r\n", 431},
		{"a huge path", "GET /" + strings.Repeat("x", 64<<10) + " HTTP/1.1\r\nHost: a\r\n\r\n", 431},
		{"a body with GET, which is not read", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\nx", 413},
		{"a body in pieces", "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 413},
		{"a body with POST", "POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\nx", 405},
		{"CONNECT", "CONNECT example.org:80 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 405},
		{"OPTIONS of all", "OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 405},
		{"two answers to one", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n", 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := raw(t, address, tt.send)
			reader := bufio.NewReader(c)
			r, err := http.ReadResponse(reader, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Body.Close()
			if r.StatusCode != tt.want {
				t.Errorf("%.60q = %d, want %d", tt.send, r.StatusCode, tt.want)
			}
			_, _ = io.Copy(io.Discard, reader) // returns when the server has closed the connection
		})
	}
	if r := ask(t, http.MethodGet, "http://"+address+"/-/healthy"); r.StatusCode != 200 {
		t.Errorf("healthy = %d after all that, want 200", r.StatusCode)
	}
}
