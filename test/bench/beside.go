// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"syscall"
	"time"

	"github.com/qtune/qtune/advisor"
	"github.com/qtune/qtune/collector"
	"github.com/qtune/qtune/exporter"
	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/policy"
	"github.com/qtune/qtune/tcpq"
	"github.com/qtune/qtune/test/daemon"
)

// nodeExporter is the peer, as Debian has it.
const nodeExporter = "prometheus-node-exporter"

// besideNodeExporter compares a scrape of all that qtune knows, the pass over the
// host for it included, with one of node_exporter, beside many connections.
func (l *lab) besideNodeExporter(listeners, connections int, times float64) ([]row, error) {
	if l.smoke {
		connections = 2000
	}
	path, err := exec.LookPath(nodeExporter)
	if err != nil {
		return []row{inform("node_exporter is missing (apt install "+nodeExporter+")", noBar)}, nil
	}
	h, err := l.listeners(listeners, "")
	if err != nil {
		return nil, err
	}
	defer h.close()
	var holders []*holder
	defer func() { closeAll(holders) }()
	err = onThread(h.netns(), func() error {
		for n, each := connections, connectionsEach(); n > 0; n -= each {
			h, err := l.hold("connect", min(n, each), &syscall.SysProcAttr{})
			if err != nil {
				return err
			}
			holders = append(holders, h)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	w, err := newWhole()
	if err != nil {
		return nil, err
	}
	ours := func() (time.Duration, error) { return w.scrape(l.ctx, listeners) }
	if _, err := ours(); err != nil { // the first look at a host is another matter
		return nil, err
	}
	var rows []row
	for _, peer := range []struct {
		what       string
		collectors []string
		times      float64
	}{
		{"tcpstat", []string{"tcpstat"}, times},
		{"netstat and sockstat", []string{"netstat", "sockstat"}, 0},
	} {
		c, err := l.compareScrapes(h, path, peer.collectors, ours)
		if err != nil {
			return nil, err
		}
		r := c.row(fmt.Sprintf("a scrape beside %d connections, pass included / node_exporter with %s, CPU", connections, peer.what), 1/peer.times)
		if peer.times == 0 {
			r.bar, r.missed = noBar, false
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// compareScrapes runs node_exporter in the namespace and measures both in turn.
func (l *lab) compareScrapes(h *holder, path string, collectors []string, ours func() (time.Duration, error)) (c comparison, err error) {
	args := []string{"--collector.disable-defaults", "--web.listen-address=127.0.0.1:9100"}
	for _, name := range collectors {
		args = append(args, "--collector."+name)
	}
	var peer *daemon.Daemon
	err = onThread(h.netns(), func() error {
		peer, err = daemon.Start(l.ctx, daemon.Options{Address: "127.0.0.1:9100", Ready: "/", Dial: dialIn(h.netns())}, path, args...)
		return err
	})
	if err != nil {
		return c, err
	}
	defer peer.Stop()
	rounds := scrapes
	if l.smoke {
		rounds = 3
	}
	return l.compare(rounds, ours, func() (time.Duration, error) {
		before, err := peer.CPU()
		if err != nil {
			return 0, err
		}
		if _, err := peer.Get(l.ctx, "/metrics"); err != nil {
			return 0, err
		}
		after, err := peer.CPU()
		return after - before, err
	})
}

// dialIn dials from inside a namespace.
func dialIn(netns string) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (c net.Conn, err error) {
		err = onThread(netns, func() error {
			c, err = (&net.Dialer{}).DialContext(ctx, network, address) // one address: dialled on this thread
			return err
		})
		return c, err
	}
}

// A whole is what the agent does for a scrape, in this process: a pass over the
// host, the judgement, the metrics, their text.
type whole struct {
	collector *collector.Collector
	exporter  *exporter.Exporter
	handler   http.Handler
	last      *tcpq.Snapshot
	shown     *inspection.Inspection
	policy    policy.Policy
}

func newWhole() (*whole, error) {
	live, err := host.NewLive("/")
	if err != nil {
		return nil, err
	}
	w := &whole{collector: collector.New(live, collector.Options{Syn: collector.SynAuto}), policy: policy.Default()}
	w.exporter, err = exporter.New(w, exporter.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	w.handler = w.exporter.Handler()
	return w, nil
}

// Last, History and Ready implement exporter.Source.
func (w *whole) Last() *inspection.Inspection                            { return w.shown }
func (w *whole) History(uint64, string) (h *inspection.History, ok bool) { return nil, false }
func (w *whole) Ready() error                                            { return nil }

// scrape returns the CPU time that this process takes for one.
func (w *whole) scrape(ctx context.Context, listeners int) (time.Duration, error) {
	begin := ownCPU()
	s, err := w.collector.Snapshot(ctx, w.last)
	if err != nil {
		return 0, err
	}
	window := &tcpq.Window{}
	if w.last != nil {
		window.Deltas = []tcpq.Delta{tcpq.Diff(w.last, s)}
	}
	w.last = s
	w.shown = inspection.From(s, window, advisor.Advise(s, window, &w.policy))
	w.exporter.Publish(w.shown)
	req := httptest.NewRequestWithContext(ctx, http.MethodGet, "/metrics", nil)
	req.Header.Set("Accept-Encoding", "gzip")
	out := httptest.NewRecorder()
	w.handler.ServeHTTP(out, req)
	took := ownCPU() - begin
	if out.Code != http.StatusOK || len(w.shown.Listeners) < listeners {
		return 0, errors.New("the scrape has not what it is to have: " + out.Result().Status)
	}
	return took, nil
}
