// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package page is the status page of an agent: what [inspection.Inspection] holds,
// for people with a browser.
//
// The server writes all of it, in the words of `qtune inspect`, so that it can be
// read without JavaScript. The script asks for the same page again and puts what
// changed in its place; filter, order and details are all it knows itself.
package page

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/qtune/qtune/inspection"
)

// A Source knows the host. It is asked by many at once.
type Source interface {
	// Last returns what is known now, nil before the first look. Nobody
	// changes it any more.
	Last() *inspection.Inspection
	// History returns the course of one listener, by the inode of its
	// namespace and its cookie.
	History(netns uint64, cookie string) (*inspection.History, bool)
}

// contentPolicy lets the page load its own style and script, and talk to its own server;
// nothing else. So whatever a hostile name might become, it is not code.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// Handler serves the page at /, the details of a listener below /listener/, and
// what both need below /static/. All links are relative, so that it may stand
// below any path of a proxy. Version is this program's.
func Handler(source Source, version string) http.Handler {
	s := newSite(source, version)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.index)
	mux.HandleFunc("GET /listener/{netns}/{cookie}", s.listener)
	mux.HandleFunc("GET /static/{name}", s.assets.serve)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		mux.ServeHTTP(w, r)
	})
}

// index serves the page of the host.
func (s *site) index(w http.ResponseWriter, r *http.Request) {
	in := s.source.Last()
	if in == nil {
		s.notYet(w, "")
		return
	}
	if s.unchanged(w, r, in) {
		return
	}
	body, err := s.indexBody(in)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	s.write(w, r, http.StatusOK, s.frameOf(in, "", time.Now()), body)
}

// listener serves the details of one listener.
func (s *site) listener(w http.ResponseWriter, r *http.Request) {
	const root = "../../"
	in := s.source.Last()
	if in == nil {
		s.notYet(w, root)
		return
	}
	netns, err := strconv.ParseUint(r.PathValue("netns"), 10, 64)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	d, ok := s.detailOf(in, netns, r.PathValue("cookie"))
	status := http.StatusOK
	if !ok {
		status = http.StatusNotFound
	} else if s.unchanged(w, r, in) {
		return
	}
	body, err := s.detailBody(d)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	s.write(w, r, status, s.frameOf(in, root, time.Now()), body)
}

// unchanged answers a script that has this inspection already. Browsers keep no
// copy, as the page says how old it is.
func (s *site) unchanged(w http.ResponseWriter, r *http.Request, in *inspection.Inspection) bool {
	tag := fmt.Sprintf(`"%s-%x"`, s.assets.tag, in.Time.UnixNano())
	w.Header().Set("ETag", tag)
	w.Header().Set("Cache-Control", "no-store")
	if r.Header.Get("If-None-Match") != tag {
		return false
	}
	w.WriteHeader(http.StatusNotModified)
	return true
}
