// SPDX-License-Identifier: Apache-2.0

//go:build linux

package exporter

import (
	"bytes"
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"

	"github.com/qtune/qtune/advisor"
	"github.com/qtune/qtune/collector"
	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/policy"
)

var update = flag.Bool("update", false, "rewrite the golden files; look at the difference before you commit it")

// names are public: they change only with a major version.
var names = []string{
	"qtune_listener_accept_queue_length",
	"qtune_listener_accept_queue_limit",
	"qtune_listener_accept_queue_peak",
	"qtune_listener_syn_queue_length",
	"qtune_listener_syn_queue_limit",
	"qtune_listener_discarded_packets_total",
	"qtune_listener_refused_packets_max_total",
	"qtune_listener_info",
	"qtune_listener_limit_bound_by",
	"qtune_finding",
	"qtune_netns_info",
	"qtune_netns_tcp_attempt_fails_total",
	"qtune_netns_nf_conntrack_conntrack_drop_total",
	"qtune_netns_tcpext_embryonic_rsts_total",
	"qtune_netns_tcpext_listen_drops_total",
	"qtune_netns_tcpext_listen_overflows_total",
	"qtune_netns_tcp_out_rsts_total",
	"qtune_netns_tcp_passive_opens_total",
	"qtune_netns_tcpext_pf_memalloc_drop_total",
	"qtune_netns_tcp_retrans_segs_total",
	"qtune_netns_softnet_softnet_dropped_total",
	"qtune_netns_tcpext_syncookies_failed_total",
	"qtune_netns_tcpext_syncookies_recv_total",
	"qtune_netns_tcpext_syncookies_sent_total",
	"qtune_netns_tcpext_abort_on_memory_total",
	"qtune_netns_tcpext_backlog_drop_total",
	"qtune_netns_tcpext_defer_accept_drop_total",
	"qtune_netns_tcpext_fast_open_listen_overflow_total",
	"qtune_netns_tcpext_memory_pressures_total",
	"qtune_netns_tcpext_migrate_req_failure_total",
	"qtune_netns_tcpext_migrate_req_success_total",
	"qtune_netns_tcpext_rcv_q_drop_total",
	"qtune_netns_tcpext_req_q_full_do_cookies_total",
	"qtune_netns_tcpext_req_q_full_drop_total",
	"qtune_netns_tcpext_syn_retrans_total",
	"qtune_netns_tcpext_timeouts_total",
	"qtune_netns_sysctl_net_core_netdev_max_backlog",
	"qtune_netns_sysctl_net_core_somaxconn",
	"qtune_netns_sysctl_net_ipv4_tcp_abort_on_overflow",
	"qtune_netns_sysctl_net_ipv4_tcp_child_ehash_entries",
	"qtune_netns_sysctl_net_ipv4_tcp_fastopen",
	"qtune_netns_sysctl_net_ipv4_tcp_max_syn_backlog",
	"qtune_netns_sysctl_net_ipv4_tcp_migrate_req",
	"qtune_netns_sysctl_net_ipv4_tcp_synack_retries",
	"qtune_netns_sysctl_net_ipv4_tcp_syncookies",
	"qtune_sampler_watched_listeners",
	"qtune_sampler_ticks_total",
	"qtune_sampler_late_ticks_total",
	"qtune_policy_last_reload_successful",
	"qtune_decisions_total",
	"qtune_tuner_transactions_total",
	"qtune_tuner_open_transaction",
	"qtune_tuner_drifted_values",
	"qtune_tuner_may_change",
	"qtune_tuner_troubles",
	"qtune_activity_stretched_ratio",
	"qtune_accept_queue_fill_ratio",
	"qtune_collect_duration_seconds",
	"qtune_collect_errors_total",
	"qtune_snapshot_age_seconds",
	"qtune_series_dropped_total",
	"qtune_build_info",
}

func TestNames(t *testing.T) {
	var got []string
	for _, m := range Metrics() {
		got = append(got, m.Name)
	}
	if diff := cmp.Diff(names, got); diff != "" {
		t.Errorf("Metrics (-want +got):\n%s", diff)
	}
}

// TestTableIsWhatIsTold compares the table with what a scrape of a host gets.
func TestTableIsWhatIsTold(t *testing.T) {
	in := hostOf(2, 3)
	in.Findings = []inspection.Finding{{Code: "past-loss", Severity: "info", Netns: in.Namespaces[0].Inode}}
	in.Agent.Tuning = &inspection.Tuning{
		Counts: []inspection.DecisionCount{{Verdict: "BurstOverflow", Action: "apply", Count: 1}}, Transactions: []inspection.OutcomeCount{{Outcome: "confirmed", Count: 1}},
	}
	e := newExporter(t, &aSource{in: in}, Options{})
	e.Publish(in)
	e.Collected(time.Second, []inspection.Error{{Stage: "listen"}})
	got, err := e.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]Metric{}
	for _, f := range got {
		m := Metric{Name: f.GetName(), Type: strings.ToLower(f.GetType().String()), Help: f.GetHelp()}
		for _, pair := range f.GetMetric()[0].GetLabel() {
			m.Labels = append(m.Labels, pair.GetName())
		}
		if strings.HasPrefix(m.Name, "qtune_") {
			told[m.Name] = m
		}
	}
	for _, m := range Metrics() {
		if diff := cmp.Diff(m, told[m.Name]); diff != "" {
			t.Errorf("%s (-table +scrape):\n%s", m.Name, diff)
		}
		if !slices.IsSorted(m.Labels) {
			t.Errorf("%s: labels %v are not sorted", m.Name, m.Labels)
		}
		delete(told, m.Name)
	}
	for name := range told {
		t.Errorf("%s is told and in no table", name)
	}
	if !slices.IsSortedFunc(got, func(a, b family) int { return strings.Compare(a.GetName(), b.GetName()) }) {
		t.Error("the families of a scrape are not sorted by name")
	}
}

func TestLint(t *testing.T) {
	in := hostOf(2, 3)
	e := newExporter(t, &aSource{in: in}, Options{})
	e.Publish(in)
	problems, err := testutil.GatherAndLint(e.Gatherer())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// TestRecordedHosts compares what is told of every recorded host with its golden file.
func TestRecordedHosts(t *testing.T) {
	dirs, err := filepath.Glob("../test/hosts/*/meta.json")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no recorded hosts under test/hosts: %v", err)
	}
	for _, meta := range dirs {
		dir := filepath.Dir(meta)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			e := newExporter(t, &aSource{}, Options{})
			e.Publish(replay(t, dir))
			var got bytes.Buffer
			for _, f := range e.published.Load().families {
				if _, err := expfmt.MetricFamilyToText(&got, f); err != nil {
					t.Fatal(err)
				}
			}
			golden := filepath.Join(dir, "want", "metrics.txt")
			if *update {
				if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got.String()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", golden, diff)
			}
		})
	}
}

// replay inspects a recorded host.
func replay(t *testing.T, dir string) *inspection.Inspection {
	t.Helper()
	h, err := host.OpenRecording(dir)
	if err != nil {
		t.Fatal(err)
	}
	s, w, err := collector.New(h, collector.Options{Syn: collector.SynAll, Log: slog.New(slog.DiscardHandler)}).Replay(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	p := policy.Default()
	return inspection.From(s, w, advisor.Advise(s, w, &p))
}
