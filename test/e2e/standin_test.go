// SPDX-License-Identifier: Apache-2.0

//go:build linux && e2e

package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/qtune/qtune/test/lab"
)

// A standIn tells of one listener what the agent would, until there is one: real
// counters and queues, a finding when packets were refused within ten minutes.
type standIn struct {
	address string

	ns      *lab.Namespace
	server  *lab.Child
	page    atomic.Pointer[string]
	last    time.Time
	refused uint64
	lost    time.Time
	peak    uint32
}

// startAgent starts what is scraped.
func startAgent(t *testing.T, ns *lab.Namespace, server *lab.Child) *standIn {
	t.Helper()
	a := &standIn{ns: ns, server: server, refused: ns.Counters()["ListenDrops"]}
	a.look()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		io.WriteString(w, *a.page.Load()) //nolint:errcheck // Prometheus went away
	}))
	t.Cleanup(s.Close)
	a.address = strings.TrimPrefix(s.URL, "http://")
	return a
}

// look takes a sample, and each 5 s makes a step.
func (a *standIn) look() {
	length, limit := a.server.Listeners[0].Queue()
	a.peak = max(a.peak, length)
	now := time.Now()
	if now.Sub(a.last) < 5*time.Second {
		return
	}
	c := a.ns.Counters()
	if c["ListenDrops"] > a.refused {
		a.lost = now
	}
	a.refused, a.last = c["ListenDrops"], now

	var b strings.Builder
	id := fmt.Sprintf("netns=%q,listener=%q", inode(a.ns), address)
	l := id + `,namespace="",pod=""`
	for name, value := range map[string]uint32{
		"accept_queue_length": length, "accept_queue_limit": limit, "accept_queue_peak": a.peak,
		"syn_queue_length": uint32(a.ns.HalfOpen()), "syn_queue_limit": limit,
	} {
		fmt.Fprintf(&b, "qtune_listener_%s{%s} %d\n", name, l, value)
	}
	fmt.Fprintf(&b, "qtune_listener_discarded_packets_total{%s} %d\n", l, a.refused)
	fmt.Fprintf(&b, "qtune_listener_refused_packets_max_total{%s} %d\n", l, a.refused)
	fmt.Fprintf(&b, "qtune_listener_info{%s,family=\"ipv4\",protocol=\"tcp\",comm=\"shopkeeper\",container=\"\",unit=\"\"} 1\n", l)
	fmt.Fprintf(&b, "qtune_listener_limit_bound_by{%s,bound_by=\"application\"} 1\n", id)
	if !a.lost.IsZero() && now.Sub(a.lost) < 10*time.Minute {
		fmt.Fprintf(&b, "qtune_finding{%s,code=\"accept-queue-overflow\",severity=\"critical\"} 1\n", l)
	}

	netns := fmt.Sprintf("netns=%q", inode(a.ns))
	fmt.Fprintf(&b, "qtune_netns_info{%s,name=\"\"} 1\n", netns)
	for name, counter := range map[string]string{
		"tcpext_listen_drops": "ListenDrops", "tcpext_listen_overflows": "ListenOverflows",
		"tcpext_req_q_full_drop": "TCPReqQFullDrop", "tcpext_syncookies_sent": "SyncookiesSent",
		"tcpext_syncookies_recv": "SyncookiesRecv", "tcpext_syncookies_failed": "SyncookiesFailed",
		"tcp_passive_opens": "PassiveOpens",
	} {
		fmt.Fprintf(&b, "qtune_netns_%s_total{%s} %d\n", name, netns, c[counter])
	}
	for _, name := range []string{"net.core.somaxconn", "net.ipv4.tcp_max_syn_backlog", "net.ipv4.tcp_syncookies", "net.ipv4.tcp_abort_on_overflow"} {
		value, _ := a.ns.Sysctl(name)
		fmt.Fprintf(&b, "qtune_netns_sysctl_%s{%s} %s\n", strings.ReplaceAll(name, ".", "_"), netns, value)
	}

	steps := time.Now().Unix()
	for _, h := range []string{"qtune_accept_queue_fill_ratio", "qtune_collect_duration_seconds"} {
		fmt.Fprintf(&b, "# TYPE %s histogram\n%s_bucket{le=\"0\"} %d\n%s_bucket{le=\"0.5\"} %d\n%s_bucket{le=\"+Inf\"} %d\n%s_sum 1\n%s_count %d\n",
			h, h, steps/2, h, steps, h, steps, h, h, steps)
	}
	fmt.Fprintf(&b, "qtune_snapshot_age_seconds 1\nqtune_series_dropped_total 0\nqtune_collect_errors_total{stage=\"owners\"} 0\n")
	fmt.Fprintf(&b, "qtune_activity_stretched_ratio{activity=\"dump\"} 1\nqtune_sampler_ticks_total %d\nqtune_sampler_late_ticks_total 0\n", steps)
	fmt.Fprintf(&b, "qtune_build_info{version=\"0\",revision=\"\",goversion=\"\"} 1\nprocess_cpu_seconds_total 1\nprocess_resident_memory_bytes 1\n")
	page := b.String()
	a.page.Store(&page)
}
