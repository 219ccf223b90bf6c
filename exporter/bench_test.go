// SPDX-License-Identifier: Apache-2.0

//go:build linux

package exporter

import (
	"net/http"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// cpu is what this process has used: what its neighbours do does not count.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// nowhere is an http.ResponseWriter that counts.
type nowhere struct {
	header http.Header
	bytes  int
}

func (w *nowhere) Header() http.Header { return w.header }
func (w *nowhere) WriteHeader(int)     {}

func (w *nowhere) Write(b []byte) (int, error) {
	w.bytes += len(b)
	return len(b), nil
}

// BenchmarkPublish publishes 1 000 listeners in 50 namespaces.
func BenchmarkPublish(b *testing.B) {
	in := hostOf(50, 20)
	e := newExporter(b, &aSource{in: in}, Options{})
	b.ReportAllocs()
	before := cpu(b)
	for b.Loop() {
		e.Publish(in)
	}
	b.ReportMetric((cpu(b)-before).Seconds()*1e3/float64(b.N), "cpu-ms/op")
}

// BenchmarkScrape scrapes them: the first time after a step, and again.
func BenchmarkScrape(b *testing.B) {
	in := hostOf(50, 20)
	for _, bm := range []struct {
		name, encoding string
		step           bool
	}{
		{"first/plain", "identity", true},
		{"first/gzip", "gzip", true},
		{"again/plain", "identity", false},
		{"again/gzip", "gzip", false},
	} {
		b.Run(bm.name, func(b *testing.B) {
			e := newExporter(b, &aSource{in: in}, Options{})
			handler := e.Handler()
			e.Publish(in)
			r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, "/metrics", http.NoBody)
			if err != nil {
				b.Fatal(err)
			}
			r.Header.Set("Accept", "application/openmetrics-text;version=1.0.0")
			r.Header.Set("Accept-Encoding", bm.encoding)
			w := &nowhere{header: http.Header{}}
			b.ReportAllocs()
			var used time.Duration
			for b.Loop() {
				if bm.step {
					b.StopTimer()
					e.Publish(in)
					b.StartTimer()
				}
				w.bytes = 0
				if !bm.step {
					handler.ServeHTTP(w, r)
					continue
				}
				before := cpu(b)
				handler.ServeHTTP(w, r)
				used += cpu(b) - before
			}
			if bm.step {
				b.ReportMetric(used.Seconds()*1e3/float64(b.N), "cpu-ms/op")
			}
			b.ReportMetric(float64(w.bytes), "bytes")
		})
	}
}
