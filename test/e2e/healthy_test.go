// SPDX-License-Identifier: Apache-2.0

//go:build linux && e2e

package e2e

import (
	"flag"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/qtune/qtune/test/lab"
)

// scrapes is after how many of them a healthy load has gone on for long enough: an
// alert that fires at once needs loss in four, and the agent is away at one. 240 of
// them are an hour.
var scrapes = flag.Int("scrapes", 7, "how many scrapes long TestHealthy goes on")

// A street is what a healthy node has: a server that is scanned and checked, one that
// is restarted again and again, and pods that come and go.
type street struct {
	t       *testing.T
	web     *lab.Namespace
	wire    *lab.Wire
	shop    *lab.Namespace
	keeper  *lab.Child
	pod     *lab.Child
	clients [2]*lab.Clients
	netns   []string // all there were
}

var shopSocket = lab.Socket{Addr: "127.0.0.1", Port: port, Backlog: 128}

func newStreet(t *testing.T) *street {
	t.Helper()
	s := &street{t: t, web: lab.NewNamespace(t), shop: lab.NewNamespace(t)}
	s.wire = s.web.NewWire("eth0")
	web := s.web.Start(lab.Process{Listen: []lab.Socket{{Addr: "0.0.0.0", Port: 80, Backlog: 128}}})
	web.Listeners[0].Serve(lab.Serve{})
	s.clients[0] = lab.NewClients(t, web.Listeners[0].AddrPort(), 64)
	s.clients[1] = lab.NewClients(t, shopSocket.AddrPort(), 64)
	s.netns = []string{inode(s.web), inode(s.shop)}
	return s
}

// second lets happen what does in the nth second.
func (s *street) second(n int) {
	s.t.Helper()
	open, closed := netip.AddrPortFrom(lab.Near4, 80), netip.AddrPortFrom(lab.Near4, 81)
	s.wire.HealthCheck(open, 5)
	for _, scan := range []lab.Segment{lab.NULL, lab.FIN, lab.ACK, lab.RST} {
		s.wire.Send(open, scan, 2)
	}
	s.wire.Send(closed, lab.SYN, 5)
	if n%5 == 0 {
		s.keeper = restarted(s.keeper, func() *lab.Child { return s.shop.Start(lab.Process{Listen: []lab.Socket{shopSocket}}) })
	}
	if n%8 == 0 {
		s.pod = restarted(s.pod, func() *lab.Child {
			return lab.Start(s.t, lab.Process{NewNet: true, Listen: []lab.Socket{shopSocket}})
		})
		ns := lab.NamespaceOf(s.t, s.pod.PID)
		s.netns = append(s.netns, inode(ns))
		ns.Release()
	}
	s.web.Do(func() { s.clients[0].Come(8) })
	s.shop.Do(func() { s.clients[1].Come(8) })
}

// restarted ends a server, if there is one, and starts the next.
func restarted(old *lab.Child, start func() *lab.Child) *lab.Child {
	if old != nil {
		old.Kill()
	}
	child := start()
	child.Listeners[0].Serve(lab.Serve{})
	return child
}

// TestHealthy lets the shipped configuration judge a node on which nothing is wrong,
// the agent's restart included. No alert fires or waits to.
func TestHealthy(t *testing.T) {
	lab.NeedRoot(t)
	s := newStreet(t)
	address, hook := freeAddress(t), startWebhook(t)
	agent := lab.StartDefaultAgent(t, address)
	prometheus := startPrometheus(t, address, startAlertmanager(t, hook.url))
	scraped := func(least int) bool {
		return len(prometheus.ask(t, fmt.Sprintf("count_over_time(up[1d]) >= %d", least))) == 1
	}
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for n, again := 0, false; !scraped(*scrapes); n++ {
		s.second(n)
		if !again && scraped(*scrapes/2) {
			again = true
			agent.Terminate()
			agent.Wait()
			agent = lab.StartDefaultAgent(t, address)
		}
		<-second.C
	}

	for _, ns := range []*lab.Namespace{s.web, s.shop} {
		if drops := ns.Counters()["ListenDrops"]; drops != 0 {
			t.Errorf("the load did more: ListenDrops is %d, want 0", drops)
		}
	}
	ours := strings.Join(s.netns, "|")
	for what, query := range map[string]string{
		"scans and checks": `increase(qtune_listener_discarded_packets_total{listener="0.0.0.0:80", netns="` + inode(s.web) + `"}[1d]) > 0`,
		"clients":          `changes(qtune_netns_tcp_passive_opens_total{netns="` + inode(s.shop) + `"}[1d]) > 0`,
		"restarted agent":  `changes(process_start_time_seconds[1d]) > 0`,
		"several pods":     `count(count_over_time(qtune_netns_info{netns=~"` + strings.Join(s.netns[2:], "|") + `"}[1d])) > 1`,
	} {
		if len(prometheus.ask(t, query)) == 0 {
			t.Errorf("Prometheus saw no %s: no answer to %s", what, query)
		}
	}
	// An alert without netns is about qtune itself. Whether a cap binds is not up to
	// this test: the agent sees all listeners of the host.
	alerts := `ALERTS{netns=~"|` + ours + `", alertname!="QtuneSeriesDropped"`
	for _, query := range []string{
		alerts + `}`,
		`max_over_time(` + alerts + `, alertstate="firing"}[1d])`,
		`max_over_time(qtune_finding{severity!="info", netns=~"` + ours + `"}[1d])`,
	} {
		for _, labels := range prometheus.ask(t, query) {
			t.Errorf("nothing is wrong, and yet %v", labels)
		}
	}
	t.Logf("%d namespaces, %d of them with a number of their own", len(s.netns), distinct(s.netns))
}

func distinct(all []string) int {
	seen := map[string]bool{}
	for _, s := range all {
		seen[s] = true
	}
	return len(seen)
}
