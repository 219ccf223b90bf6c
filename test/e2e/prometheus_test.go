// SPDX-License-Identifier: Apache-2.0

//go:build linux && e2e

package e2e

import (
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/qtune/qtune/test/dashboards"
	"github.com/qtune/qtune/test/lab"
)

const (
	folder = "../../dashboards"
	node   = "node-1" // what the agent's target is called, as in prometheus.yml
)

// TestRules puts the shipped files to the tools that come with Prometheus.
func TestRules(t *testing.T) {
	cases, err := filepath.Glob(folder + "/rules/*_test.yml")
	if err != nil || len(cases) == 0 {
		t.Fatalf("cases for promtool: %q, %v", cases, err)
	}
	for _, argv := range [][]string{
		{"promtool", "check", "rules", folder + "/rules/qtune-recording.yml", folder + "/rules/qtune-alerts.yml"},
		{"promtool", "check", "config", folder + "/prometheus/prometheus.yml"},
		{"amtool", "check-config", folder + "/prometheus/alertmanager.yml"},
		append([]string{"promtool", "test", "rules"}, cases...),
	} {
		if out, err := exec.CommandContext(t.Context(), argv[0], argv[1:]...).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", strings.Join(argv, " "), err, out)
		}
	}
}

// silent are the queries that one overloaded listener leaves without an answer.
var silent = map[string]string{
	"rule QtuneAcceptQueueNearLimit":             "nothing is lost then",
	"rule QtuneAgentDown":                        "the agent answers",
	"rule QtuneApplicationSlow":                  "slow, and loses nothing",
	"rule QtuneApplicationSlowRefuses":           "the server keeps up between bursts",
	"rule QtuneApplicationStuck":                 "the server accepts",
	"rule QtuneBacklogZero":                      "the backlog is 16",
	"rule QtuneCannotChange":                     "the agent changes nothing",
	"rule QtuneCollectErrors":                    "all can be read",
	"rule QtuneCookieZombies":                    "few connect by cookie",
	"rule QtuneDrifted":                          "the agent changes nothing",
	"rule QtuneLossRecurs":                       "the loss goes on",
	"rule QtuneNoAgents":                         "there is one",
	"rule QtunePolicyNotFollowed":                "there is no policy file",
	"rule QtuneReuseportMemberFull":              "the listener is alone",
	"rule QtuneRollbackIncomplete":               "the agent changes nothing",
	"rule QtuneSeriesDropped":                    "no cap binds",
	"rule QtuneSnapshotStale":                    "it is fresh",
	"rule QtuneSynBacklogThreeQuarters":          "syncookies are on",
	"rule QtuneSynFloodRefuses":                  "the clients answer",
	"rule QtuneSynFloodSuspected":                "the clients answer",
	"rule QtuneSynQueueFull":                     "syncookies are on",
	"rule QtuneTrialUndone":                      "the agent changes nothing",
	"rule QtuneUnattributedLoss":                 "the listener is known",
	"rule netns:qtune_finding_losing:increase5m": "the listener is known",
}

// TestAlert overloads a server in a namespace and waits for the message: an agent is
// scraped and judged by the shipped configuration, and Alertmanager calls a webhook.
// Then every query of every dashboard and rule has to be answered.
func TestAlert(t *testing.T) {
	lab.NeedRoot(t)
	ns := lab.NewNamespace(t)
	server := ns.Start(lab.Process{Comm: []byte("shopkeeper"), Listen: []lab.Socket{{Addr: "127.0.0.1", Port: port, Backlog: 16}}})
	server.Listeners[0].Serve(lab.Serve{Every: 200 * time.Millisecond}) // all there are: between two bursts it keeps up

	agent, hook := freeAddress(t), startWebhook(t)
	lab.StartDefaultAgent(t, agent, "--syn", "all") // else their length is told only while counters ask for it
	prometheus := startPrometheus(t, agent, startAlertmanager(t, hook.url))
	lab.Wait(t, "the first scrape", func() bool { return len(prometheus.ask(t, "qtune_build_info")) == 1 })

	clients := lab.NewClients(t, netip.AddrPortFrom(address.Addr(), port), 400)
	refused := func() uint64 { return ns.Counters()["ListenDrops"] }
	var first time.Time
	burst := time.NewTicker(1130 * time.Millisecond) // not in step with the agent
	defer burst.Stop()
	message, ok := alert{}, false
	for ; !ok; message, ok = hook.about(inode(ns)) {
		ns.Do(func() { clients.Come(60) })
		if first.IsZero() && refused() > 0 {
			first = time.Now()
		}
		if !first.IsZero() && time.Since(first) > 2*time.Minute {
			t.Fatalf("two minutes after the first of %d refused packets there was no message; Prometheus has %v",
				refused(), prometheus.ask(t, "ALERTS"))
		}
		<-burst.C
	}
	t.Logf("the message came %.0f s after the first refused packet", time.Since(first).Seconds())
	checkMessage(t, message, ns)
	checkQueries(t, prometheus, ns)
}

// checkMessage looks for what somebody who is woken up needs to know.
func checkMessage(t *testing.T, a alert, ns *lab.Namespace) {
	t.Helper()
	want := map[string]string{
		"alertname": "QtuneAcceptQueueOverflow", "severity": "critical", "instance": node,
		"netns": inode(ns), "listener": address.String(), "comm": "shopkeeper",
		"namespace": "", "pod": "", "container": "", // not those of the agent
	}
	for name, value := range want {
		if a.Labels[name] != value {
			t.Errorf("the alert has %s %q, want %q", name, a.Labels[name], value)
		}
	}
	for name, part := range map[string]string{
		"summary": address.String() + " on " + node, "description": "packets of new connections were refused",
		"owner": "shopkeeper", "queue": "limit 16",
		"runbook_url": "/docs/findings.md#accept-queue-overflow",
	} {
		if !strings.Contains(a.Annotations[name], part) {
			t.Errorf("the alert's %s is %q, want it to say %q", name, a.Annotations[name], part)
		}
	}
}

// checkQueries asks all that dashboards and rules ask.
func checkQueries(t *testing.T, p *prometheus, ns *lab.Namespace) {
	t.Helper()
	queries, err := dashboards.Queries(os.DirFS(folder))
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{
		"instance": node, "netns": inode(ns), "listener": address.String(), "namespace": ".*", "pod": ".*",
		"__rate_interval": "1m", "__range": "10m",
	}
	excused := maps.Clone(silent)
	for _, q := range queries {
		answers, ours := 0, 0
		for _, labels := range p.ask(t, q.Fill(values)) {
			switch labels["netns"] { // the agent sees all of this host
			case inode(ns):
				answers, ours = answers+1, ours+1
			case "":
				answers++
			}
		}
		reason, ok := excused[q.Where]
		delete(excused, q.Where)
		switch {
		case answers == 0 && !ok:
			t.Errorf("%s: no answer to %s", q.Where, q.Fill(values))
		case ours > 0 && ok:
			t.Errorf("%s: %d answers, want none: %s", q.Where, ours, reason)
		}
	}
	if len(excused) > 0 {
		t.Errorf("excused, and nobody asks: %q", slices.Sorted(maps.Keys(excused)))
	}
	t.Logf("%d queries", len(queries))
}
