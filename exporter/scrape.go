// SPDX-License-Identifier: Apache-2.0

//go:build linux

package exporter

import (
	"bytes"
	"context"
	"maps"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/common/expfmt"
)

// freshFor is how long an answer is given again, while no step is published.
const freshFor = time.Second

// A scraper answers /metrics. Encoding and compressing a large node takes some
// 10 ms and a megabyte, so an answer is made by one request and shared by all that
// wait for it or come within a second: a thousand scrapers cost what one costs, and a
// client that reads slowly holds bytes that others hold, too.
type scraper struct {
	e    *Exporter
	next http.Handler // promhttp's

	mu      sync.Mutex // held while an answer is made; guards answers
	answers [4]*answer // by variant
}

// An answer is a whole response, immutable once made.
type answer struct {
	header http.Header
	body   bytes.Buffer
	of     *published
	made   time.Time
}

// Header, WriteHeader and Write implement http.ResponseWriter.
func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(int)             {}
func (a *answer) Write(b []byte) (int, error) { return a.body.Write(b) }

func newScraper(e *Exporter) *scraper {
	return &scraper{e: e, next: promhttp.HandlerFor(e.Gatherer(), promhttp.HandlerOpts{
		ErrorLog:            promLog{e.o.Log},
		ErrorHandling:       promhttp.ContinueOnError,
		OfferedCompressions: []promhttp.Compression{promhttp.Identity, promhttp.Gzip},
		EnableOpenMetrics:   true,
	})}
}

// ServeHTTP implements http.Handler.
func (s *scraper) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	format := expfmt.NegotiateAccept(r.Header, expfmt.FmtText, expfmt.FmtOpenMetrics_1_0_0)
	a := s.answer(format.FormatType() == expfmt.TypeOpenMetrics, acceptsGzip(r.Header.Values("Accept-Encoding")))
	h := w.Header()
	maps.Copy(h, a.header)
	h.Set("Content-Length", strconv.Itoa(a.body.Len()))
	_, _ = w.Write(a.body.Bytes()) // a client that left is no error of ours
}

func (s *scraper) answer(openMetrics, compressed bool) *answer {
	variant, accept, encoding := 0, string(expfmt.FmtText), "identity"
	if openMetrics {
		variant, accept = 1, string(expfmt.FmtOpenMetrics_1_0_0)
	}
	if compressed {
		variant, encoding = variant+2, "gzip"
	}
	asked := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	last := s.answers[variant]
	if last != nil && (last.made.After(asked) || last.of == s.e.published.Load() && time.Since(last.made) < freshFor) {
		return last
	}
	a := &answer{header: http.Header{}, of: s.e.published.Load(), made: time.Now()}
	if last != nil {
		a.body.Grow(last.body.Len() + 4096)
	}
	r := (&http.Request{Method: http.MethodGet, Header: http.Header{"Accept": {accept}, "Accept-Encoding": {encoding}}}).WithContext(context.Background())
	s.next.ServeHTTP(a, r)
	s.answers[variant] = a
	return a
}
