// SPDX-License-Identifier: Apache-2.0

//go:build linux

package exporter

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"net/http/pprof"
	"strconv"
	"strings"
)

// Handler returns all endpoints.
func (e *Exporter) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", newScraper(e))
	mux.HandleFunc("GET /api/v1/inspection", e.inspection)
	mux.HandleFunc("GET /api/v1/listeners/{netns}/{cookie}/history", e.history)
	mux.HandleFunc("GET /-/healthy", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "healthy") })
	mux.HandleFunc("GET /-/ready", e.ready)
	page := e.o.Page
	if page == nil {
		page = http.HandlerFunc(landing)
	} else {
		mux.Handle("GET /static/", page)
	}
	mux.Handle("GET /{$}", page)
	if e.o.Pprof {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/cmdline", http.NotFound) // argv may hold secrets
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	return guard(mux)
}

// guard answers what no endpoint of ours expects, and sets what keeps a browser from
// doing more than it is told. A page says itself what it needs.
func guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer serving(r.Context())()
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		if r.ContentLength != 0 {
			h.Set("Connection", "close") // so the server does not read it either
			http.Error(w, "no request here has a body", http.StatusRequestEntityTooLarge)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (e *Exporter) inspection(w http.ResponseWriter, r *http.Request) {
	in := e.source.Last()
	if in == nil {
		say(w, http.StatusServiceUnavailable, "no step is finished yet")
		return
	}
	e.writeJSON(w, r, in)
}

func (e *Exporter) history(w http.ResponseWriter, r *http.Request) {
	netns, err := strconv.ParseUint(r.PathValue("netns"), 10, 64)
	if err != nil {
		say(w, http.StatusBadRequest, "netns: want the inode of a namespace, as in the inspection")
		return
	}
	h, ok := e.source.History(netns, r.PathValue("cookie"))
	if !ok {
		say(w, http.StatusNotFound, "no such listener")
		return
	}
	e.writeJSON(w, r, h)
}

func (e *Exporter) ready(w http.ResponseWriter, _ *http.Request) {
	if err := e.source.Ready(); err != nil {
		say(w, http.StatusServiceUnavailable, "not ready: "+err.Error())
		return
	}
	say(w, http.StatusOK, "ready")
}

func landing(w http.ResponseWriter, _ *http.Request) {
	say(w, http.StatusOK, "qtune agent\n\n/metrics\n/api/v1/inspection\n/-/healthy\n/-/ready")
}

func say(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n") // a client that left is no error of ours
}

// writeJSON writes a value, for people with ?pretty.
func (e *Exporter) writeJSON(w http.ResponseWriter, r *http.Request, v any) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Vary", "Accept-Encoding")
	var out io.Writer = w
	if acceptsGzip(r.Header.Values("Accept-Encoding")) && r.Method != http.MethodHead {
		h.Set("Content-Encoding", "gzip")
		z, _ := gzip.NewWriterLevel(w, gzip.BestSpeed) // the level is valid
		defer func() { _ = z.Close() }()               // fails when the client left
		out = z
	}
	encoder := json.NewEncoder(out)
	if r.URL.Query().Has("pretty") {
		encoder.SetIndent("", "  ")
	}
	if err := encoder.Encode(v); err != nil {
		e.o.Log.Debug("client left", "path", r.URL.Path, "error", err)
	}
}

// acceptsGzip reports whether a client takes gzip. A weight of 0 forbids it.
func acceptsGzip(header []string) bool {
	for part := range strings.SplitSeq(strings.Join(header, ","), ",") {
		coding, weight, _ := strings.Cut(part, ";")
		if strings.EqualFold(strings.TrimSpace(coding), "gzip") {
			q, given := strings.CutPrefix(strings.TrimSpace(weight), "q=")
			value, err := strconv.ParseFloat(q, 64)
			return !given || err == nil && value > 0
		}
	}
	return false
}
