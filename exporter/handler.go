// SPDX-License-Identifier: Apache-2.0

//go:build linux

package exporter

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/pprof"
	"strconv"
	"strings"
	"time"

	"github.com/qtune/qtune/inspection"
)

// Handler returns all endpoints.
func (e *Exporter) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/metrics", newScraper(e))
	mux.HandleFunc("/api/v1/inspection", e.inspection)
	mux.HandleFunc("/api/v1/listeners/{netns}/{cookie}/history", e.history)
	if e.o.Decisions != nil {
		mux.HandleFunc("/api/v1/decisions", e.decisions)
	}
	mux.HandleFunc("/-/healthy", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "healthy") })
	mux.HandleFunc("/-/ready", e.ready)
	if e.o.Page != nil {
		mux.Handle("/{$}", e.o.Page)
		mux.Handle("/listener/", e.o.Page)
		mux.Handle("/static/", e.o.Page)
	} else {
		mux.HandleFunc("/{$}", landing)
	}
	if e.o.Pprof {
		mux.Handle("/debug/pprof/", unhurried(pprof.Index))
		mux.HandleFunc("/debug/pprof/cmdline", http.NotFound) // argv may hold secrets
		mux.Handle("/debug/pprof/profile", unhurried(pprof.Profile))
		mux.Handle("/debug/pprof/symbol", unhurried(pprof.Symbol))
		mux.Handle("/debug/pprof/trace", unhurried(pprof.Trace))
	}
	return guard(mux)
}

// guard turns away what no endpoint expects, and sets what keeps a browser from
// doing more than it is told. The status page sets a policy of its own.
func guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer serving(r.Context())()
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		body := r.ContentLength != 0
		if body {
			// The server reads what is left of a body before it goes on: not here.
			h.Set("Connection", "close")
			_ = http.NewResponseController(w).SetReadDeadline(time.Now()) // without, ReadTimeout does it
		}
		switch {
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			h.Set("Allow", "GET, HEAD")
			say(w, http.StatusMethodNotAllowed, "want GET or HEAD")
		case body:
			say(w, http.StatusRequestEntityTooLarge, "no request here has a body")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// unhurried lets a profile take its time. net/http/pprof refuses one that is longer
// than the server's WriteTimeout, and finds that through the context.
func unhurried(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := http.NewResponseController(w).SetWriteDeadline(time.Time{}); err != nil {
			say(w, http.StatusInternalServerError, "lift the time limit: "+err.Error())
			return
		}
		next(w, r.WithContext(context.WithValue(r.Context(), http.ServerContextKey, nil)))
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

// decisions tells what was decided, of one transaction with ?transaction=ID.
func (e *Exporter) decisions(w http.ResponseWriter, r *http.Request) {
	e.writeJSON(w, r, &inspection.Decisions{
		APIVersion: inspection.APIVersion, Kind: inspection.KindDecisions, Decisions: e.o.Decisions(r.URL.Query().Get("transaction")),
	})
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
