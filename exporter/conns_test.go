// SPDX-License-Identifier: Apache-2.0

//go:build linux

package exporter

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/qtune/qtune/inspection"
)

// TestAdmit proves who leaves when one more comes than there may be.
func TestAdmit(t *testing.T) {
	tests := []struct {
		name  string
		start []int // whose request begins to be answered, in this order
		end   []int // and is done
		want  int   // who leaves, of 0, 1 and 2
	}{
		{"who came first and never asked", nil, nil, 0},
		{"who asks nothing, not who is served", []int{0}, nil, 1},
		{"of those served, the one served longest", []int{2, 1, 0}, nil, 2},
		{"who was served long ago before who was served now", []int{0, 1, 2}, []int{1, 0, 2}, 1},
		{"who has been answered, not who is served still", []int{0, 1, 2}, []int{1}, 1},
		{"who has one request of two left is served", []int{0, 0}, []int{0}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newConns(3)
			var all []*conn
			var peers []net.Conn
			for range 3 {
				server, client := net.Pipe()
				t.Cleanup(func() { server.Close(); client.Close() })
				all, peers = append(all, s.admit(server)), append(peers, client)
			}
			done := map[int][]func(){}
			for _, i := range tt.start {
				var c net.Conn = all[i]
				if i == 1 { // a secured one
					c = tls.Server(c, &tls.Config{MinVersion: tls.VersionTLS13})
				}
				done[i] = append(done[i], serving(withConn(t.Context(), c)))
			}
			for _, i := range tt.end {
				done[i][0]()
				done[i] = done[i][1:]
			}
			server, _ := net.Pipe()
			admitted := s.admit(server)
			if _, err := peers[tt.want].Read(make([]byte, 1)); err != io.EOF { //nolint:errorlint // net.Pipe returns it unwrapped
				t.Errorf("connection %d: %v, want that it was closed", tt.want, err)
			}
			if len(s.open) != 3 {
				t.Errorf("%d connections are open, want 3", len(s.open))
			}
			if err := admitted.Close(); err != nil {
				t.Error(err)
			}
			if len(s.open) != 2 {
				t.Errorf("%d connections are open after one closed, want 2", len(s.open))
			}
		})
	}
}

// TestSlowloris fills all places with clients that never finish their headers. Others
// are served meanwhile, at the cost of those who have dribbled longest.
func TestSlowloris(t *testing.T) {
	e := newExporter(t, &aSource{}, Options{Limits: Limits{Connections: 4, Header: time.Hour}})
	address := start(t, e, Web{})
	var dribblers []net.Conn
	for range 4 {
		dribblers = append(dribblers, raw(t, address, "GET / HTTP/1.1\r\nHost: a\r\nX-"))
	}
	for i := range 3 {
		if r := ask(t, http.MethodGet, "http://"+address+"/-/healthy"); r.StatusCode != 200 {
			t.Fatalf("healthy = %d, want 200", r.StatusCode)
		}
		if i == 0 {
			if _, err := dribblers[0].Read(make([]byte, 1)); err == nil {
				t.Error("the first dribbler got an answer, want its connection closed")
			}
		}
	}
}

// TestSlowReaders fills all places with clients that ask much and read nothing.
func TestSlowReaders(t *testing.T) {
	in := hostOf(100, 100)
	e := newExporter(t, &aSource{in: in}, Options{Limits: Limits{Connections: 4, Answer: time.Hour}})
	address := start(t, e, Web{})
	for range 4 {
		raw(t, address, "GET /api/v1/inspection HTTP/1.1\r\nHost: a\r\n\r\n")
	}
	for range 8 {
		if r := ask(t, http.MethodGet, "http://"+address+"/-/healthy"); r.StatusCode != 200 {
			t.Fatalf("healthy = %d, want 200", r.StatusCode)
		}
	}
}

// TestTimeLimits: who takes longer than allowed loses the connection. The test ends
// when the server has closed it.
func TestTimeLimits(t *testing.T) {
	in := hostOf(100, 100)
	tests := []struct {
		name, send string
		limits     Limits
	}{
		{"nothing at all", "", Limits{Header: time.Millisecond}},
		{"half a header", "GET / HTTP/1.1\r\nHost:", Limits{Header: time.Millisecond}},
		{"nothing more after an answer", "GET /-/healthy HTTP/1.1\r\nHost: a\r\n\r\n", Limits{Idle: time.Millisecond, Header: time.Hour}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := newExporter(t, &aSource{in: in}, Options{Limits: tt.limits})
			c := raw(t, start(t, e, Web{}), tt.send)
			_, _ = io.Copy(io.Discard, c)
		})
	}
	t.Run("an answer", func(t *testing.T) {
		e := newExporter(t, &aSource{in: in}, Options{Limits: Limits{Answer: time.Nanosecond}})
		c := raw(t, start(t, e, Web{}), "GET /api/v1/inspection HTTP/1.1\r\nHost: a\r\n\r\n")
		if n, _ := io.Copy(io.Discard, c); n != 0 {
			t.Errorf("%d bytes came after their time", n)
		}
	})
}

// TestServeEnds: it does although clients dribble and do not read.
func TestServeEnds(t *testing.T) {
	in := hostOf(100, 100)
	e := newExporter(t, &aSource{in: in}, Options{Limits: Limits{Header: time.Hour, Answer: time.Hour}})
	ctx, cancel := context.WithCancel(t.Context())
	addresses, ended := make(chan []net.Addr, 1), make(chan error, 1)
	go func() {
		ended <- e.Serve(ctx, Web{Addresses: []string{"127.0.0.1:0", "127.0.0.1:0"}, Listening: func(a []net.Addr) { addresses <- a }})
	}()
	for _, a := range <-addresses {
		raw(t, a.String(), "GET / HTTP/1.1\r\nHost:")
		raw(t, a.String(), "GET /api/v1/inspection HTTP/1.1\r\nHost: a\r\n\r\n")
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Serve = %v, want nil", err)
	}
}

// TestManyScrapers scrapes with 200 at once while steps are published. Every answer
// is whole and of one step: all its listeners discarded the same number of packets.
func TestManyScrapers(t *testing.T) {
	in := hostOf(4, 25)
	e := newExporter(t, &aSource{in: in}, Options{})
	publish := func(n uint64) {
		next := *in
		next.Listeners = make([]inspection.Listener, len(in.Listeners))
		for i, l := range in.Listeners {
			l.Totals = &inspection.Totals{Discards: n}
			next.Listeners[i] = l
		}
		e.Publish(&next)
	}
	publish(0)
	address := start(t, e, Web{})
	ctx, stop := context.WithCancel(t.Context())
	var publisher, scrapers sync.WaitGroup
	publisher.Go(func() {
		for n := uint64(1); ctx.Err() == nil; n++ {
			publish(n)
		}
	})
	for range 200 {
		scrapers.Go(func() {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/metrics", http.NoBody)
			if err != nil {
				t.Error(err)
				return
			}
			r.Header.Set("Accept", "application/openmetrics-text;version=1.0.0")
			response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
			if err != nil {
				t.Error(err)
				return
			}
			defer response.Body.Close()
			oneStep(t, response.Body)
		})
	}
	scrapers.Wait()
	stop()
	publisher.Wait()
}

// oneStep reads an answer.
func oneStep(t *testing.T, body io.Reader) {
	lines := bufio.NewScanner(body)
	var first, last string
	n := 0
	for lines.Scan() {
		last = lines.Text()
		if strings.HasPrefix(last, "qtune_listener_discarded_packets_total{") {
			_, value, _ := strings.Cut(last, "} ")
			if n == 0 {
				first = value
			}
			if n++; value != first {
				t.Errorf("one listener discarded %s, another %s: not of one step", first, value)
				return
			}
		}
	}
	if n != 100 || last != "# EOF" {
		t.Errorf("%d listeners and the last line %q, %v; want 100 and # EOF", n, last, lines.Err())
	}
}
