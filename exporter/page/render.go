// SPDX-License-Identifier: Apache-2.0

//go:build linux

package page

import (
	"bytes"
	"compress/gzip"
	"embed"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
	"weak"

	"github.com/qtune/qtune/inspection"
)

//go:embed templates
var templates embed.FS

// A site is what the handlers share.
type site struct {
	source  Source
	version string
	assets  *assets
	html    *template.Template

	last struct {
		sync.Mutex                                     // held while a page is made, so that many readers cost one
		of         weak.Pointer[inspection.Inspection] // nobody may look for days
		body       []byte
	}
}

func newSite(source Source, version string) *site {
	html := template.Must(template.New("").ParseFS(templates, "templates/*.html"))
	return &site{source: source, version: version, assets: newAssets(), html: html}
}

// A frame is what stands around a page, and in its head.
type frame struct {
	Root    string // from this page to /, or empty
	Version string
	Style   string // names of files below static
	Script  string
	Icon    string

	In      *inspection.Inspection // nil before the first look
	Verdict verdict
	Age     string
	Stale   bool
}

// stale is an age at which something is wrong: the agent looks every few seconds.
const stale = time.Minute

// StaleSeconds is from when on a page is stale, for the script.
func (frame) StaleSeconds() float64 { return stale.Seconds() }

// StaleText says what that means.
func (frame) StaleText() string {
	return "This is old: the agent answers, but has not looked at the host for more than a minute."
}

// Time returns when the host was read.
func (f frame) Time() string { return timeText(f.In.Time) }

func timeText(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// Stamp is Time for machines.
func (f frame) Stamp() string { return f.In.Time.UTC().Format(time.RFC3339Nano) }

func (s *site) frameOf(in *inspection.Inspection, root string, now time.Time) frame {
	f := frame{
		Root: root, Version: s.version, In: in,
		Style: s.assets.names["page.css"], Script: s.assets.names["page.js"], Icon: s.assets.names["icon.svg"],
	}
	if in != nil {
		f.Verdict = verdictOf(in)
		age := now.Sub(in.Time)
		f.Age, f.Stale = ageText(age), age > stale
	}
	return f
}

// ageText says how long ago something was: "3 s ago", "4 min ago".
func ageText(age time.Duration) string {
	switch age = max(age, 0); {
	case age < 2*time.Minute:
		return fmt.Sprintf("%d s ago", int(age.Seconds()))
	case age < 2*time.Hour:
		return fmt.Sprintf("%d min ago", int(age.Minutes()))
	}
	return fmt.Sprintf("%d h ago", int(age.Hours()))
}

// indexBody returns what the page says of a host, made once for all who ask.
func (s *site) indexBody(in *inspection.Inspection) ([]byte, error) {
	s.last.Lock()
	defer s.last.Unlock()
	if s.last.of == weak.Make(in) {
		return s.last.body, nil
	}
	var b bytes.Buffer
	b.Grow(len(s.last.body) + 4096)
	if err := s.html.ExecuteTemplate(&b, "index", s.viewOf(in)); err != nil {
		return nil, fmt.Errorf("write the status page: %w", err)
	}
	s.last.of, s.last.body = weak.Make(in), b.Bytes()
	return s.last.body, nil
}

func (s *site) detailBody(d *detail) ([]byte, error) {
	var b bytes.Buffer
	if err := s.html.ExecuteTemplate(&b, "listener", d); err != nil {
		return nil, fmt.Errorf("write the page of a listener: %w", err)
	}
	return b.Bytes(), nil
}

// notYet says that there is nothing to see yet.
func (s *site) notYet(w http.ResponseWriter, root string) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Retry-After", "1")
	h.Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(http.StatusServiceUnavailable)
	f := s.frameOf(nil, root, time.Time{})
	_ = s.html.ExecuteTemplate(w, "page-start", f) // the reader may be gone
	_ = s.html.ExecuteTemplate(w, "page-end", f)
}

// write sends a page, packed for those who can unpack it. Once it has begun, an
// error is the reader's.
func (s *site) write(w http.ResponseWriter, r *http.Request, status int, f frame, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Vary", "Accept-Encoding")
	h.Set("Cache-Control", "no-store")
	var out io.Writer = w
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		z, _ := gzip.NewWriterLevel(w, gzip.BestSpeed) // the level is a good one
		defer z.Close()                                //nolint:errcheck // see above
		out = z
	}
	w.WriteHeader(status)
	_ = s.html.ExecuteTemplate(out, "page-start", f)
	_, _ = out.Write(body)
	_ = s.html.ExecuteTemplate(out, "page-end", f)
}
