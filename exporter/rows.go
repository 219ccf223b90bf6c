// SPDX-License-Identifier: Apache-2.0

//go:build linux

package exporter

import "github.com/qtune/qtune/inspection"

// The labels of the metrics, sorted. Series about a listener carry all of theirs
// always: Prometheus stores no empty label, but with honor_labels an empty one keeps
// the scraped target's own away [measured, 2.42]. Without it, a listener of no pod
// would be shown as one of the agent's pod.
var (
	listenerLabels = []string{"listener", "namespace", "netns", "pod"}
	netnsLabels    = []string{"netns"}
)

// A listenerRow is a metric of each listener. value returns false when it is
// unknown. What is a count is told for the ten minutes after a listener's end, too.
type listenerRow struct {
	Metric
	value func(*series) (float64, bool)
}

// listenerRows is the table of what is numeric about a listener.
var listenerRows = []listenerRow{
	{
		Metric{"qtune_listener_accept_queue_length", gauge, listenerLabels, "Connections waiting for accept(2)."},
		func(s *series) (float64, bool) { return float64(s.length), true },
	},
	{
		Metric{"qtune_listener_accept_queue_limit", gauge, listenerLabels, "The accept queue's limit, sk_max_ack_backlog; it overflows when limit + 1 wait and another comes."},
		func(s *series) (float64, bool) { return float64(s.limit), true },
	},
	{
		Metric{"qtune_listener_accept_queue_peak", gauge, listenerLabels, "Most connections that waited for accept(2) in any sample of the agent's --peak-window."},
		func(s *series) (float64, bool) { return optional(s.of.AcceptQueue.RecentPeak) },
	},
	{
		Metric{"qtune_listener_syn_queue_length", gauge, listenerLabels, "Half-open peers; of a reuse-port group, those of all members; absent where they were not counted."},
		func(s *series) (float64, bool) { return optional(s.of.SynQueue.Length) },
	},
	{
		Metric{"qtune_listener_syn_queue_limit", gauge, listenerLabels, "The SYN queue's limit; of a reuse-port group, that of all members."},
		func(s *series) (float64, bool) { return optional(s.of.SynQueue.Limit) },
	},
	{
		Metric{"qtune_listener_discarded_packets_total", counter, listenerLabels, "Packets discarded for the listening socket, sk_drops: harmless ones included, not lost connections."},
		func(s *series) (float64, bool) { return float64(s.counts.discards), s.discardsKnown },
	},
	{
		Metric{"qtune_listener_refused_packets_max_total", counter, listenerLabels, "Packets of new connections that the kernel refused at this listener, at most; a client that tries again counts again."},
		func(s *series) (float64, bool) { return float64(s.counts.refused), s.refusedKnown },
	},
}

// The metrics whose value is in their labels.
var (
	infoMetric = Metric{
		"qtune_listener_info", gauge,
		[]string{"comm", "container", "family", "listener", "namespace", "netns", "pod", "protocol", "unit"},
		"A listener and who holds it; always 1.",
	}
	boundByMetric = Metric{
		"qtune_listener_limit_bound_by", gauge,
		[]string{"bound_by", "listener", "namespace", "netns", "pod"},
		"What probably set the accept queue's limit: somaxconn, application, somaxconn-at-listen or unknown; always 1.",
	}
	findingMetric = Metric{
		"qtune_finding", gauge,
		[]string{"code", "listener", "namespace", "netns", "pod", "severity"},
		"A finding of the last step; always 1. An empty listener means the whole namespace; docs/findings.md explains the codes.",
	}
	netnsInfoMetric = Metric{"qtune_netns_info", gauge, []string{"name", "netns"}, "A network namespace; always 1."}
	stretchedMetric = Metric{
		"qtune_activity_stretched_ratio", gauge,
		[]string{"activity"},
		"The gap that an activity's CPU budget made between two times, by its planned period; 1 is as planned.",
	}
)

// An agentRow is a metric of the agent itself that its Inspection holds.
type agentRow struct {
	Metric
	value func(*inspection.Agent) float64
}

var agentRows = []agentRow{
	{
		Metric{"qtune_sampler_watched_listeners", gauge, nil, "Listeners sampled fast, because they fill or lost something."},
		func(a *inspection.Agent) float64 { return float64(a.Sampling.Watched) },
	},
	{
		Metric{"qtune_sampler_ticks_total", counter, nil, "Times the watched listeners were to be sampled."},
		func(a *inspection.Agent) float64 { return float64(a.Sampling.Ticks) },
	},
	{
		Metric{"qtune_sampler_late_ticks_total", counter, nil, "Of those, the ones that came more than half a period late."},
		func(a *inspection.Agent) float64 { return float64(a.Sampling.LateTicks) },
	},
	{
		Metric{"qtune_policy_last_reload_successful", gauge, nil, "Whether the policy file was right when it was read last: 1; 0: an earlier one is followed."},
		func(a *inspection.Agent) float64 { return truth(a.PolicyError == "") },
	},
}

// A tuningRow is a metric of what an agent in mode enforce did; there is none in
// other modes.
type tuningRow struct {
	Metric
	values func(*inspection.Tuning) []labelled
}

// A labelled is a value with those of its metric's labels.
type labelled struct {
	labels []string
	value  float64
}

var tuningRows = []tuningRow{
	{
		Metric{"qtune_decisions_total", counter, []string{"action", "rail", "verdict"}, "Decisions of the loop; rail is what held it back, empty for nothing. docs/loop.md explains the words."},
		func(t *inspection.Tuning) (all []labelled) {
			for _, c := range t.Counts {
				all = append(all, labelled{[]string{c.Action, c.Rail, c.Verdict}, float64(c.Count)})
			}
			return all
		},
	},
	{
		Metric{"qtune_tuner_transactions_total", counter, []string{"outcome"}, "Changes on trial that ended, by how."},
		func(t *inspection.Tuning) (all []labelled) {
			for _, c := range t.Transactions {
				all = append(all, labelled{[]string{c.Outcome}, float64(c.Count)})
			}
			return all
		},
	},
	{
		Metric{"qtune_tuner_open_transaction", gauge, nil, "Whether a change is on trial, the agent's or somebody's: 1, else 0."},
		func(t *inspection.Tuning) []labelled { return []labelled{{nil, truth(t.Open)}} },
	},
	{
		Metric{"qtune_tuner_drifted_values", gauge, nil, "Confirmed values that somebody changed since."},
		func(t *inspection.Tuning) []labelled { return []labelled{{nil, float64(len(t.Drifted))}} },
	},
	{
		Metric{"qtune_tuner_may_change", gauge, nil, "Whether the policy lets the agent change anything now: 1, else 0."},
		func(t *inspection.Tuning) []labelled { return []labelled{{nil, truth(t.Mode == "enforce")}} },
	},
	{
		Metric{"qtune_tuner_troubles", gauge, nil, "Causes for which the agent cannot do now what it needs in order to change anything, such as a tuner that is away; it tries again."},
		func(t *inspection.Tuning) []labelled { return []labelled{{nil, float64(len(t.Troubles))}} },
	},
}

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// The metrics of the exporter's own registry.
var (
	fillMetric     = Metric{"qtune_accept_queue_fill_ratio", histogram, nil, "How full each accept queue of the node was, length by capacity (limit + 1), observed once a step."}
	durationMetric = Metric{"qtune_collect_duration_seconds", histogram, nil, "Time a pass over the host took."}
	errorsMetric   = Metric{"qtune_collect_errors_total", counter, []string{"stage"}, "What a pass could not read, by its stage."}
	ageMetric      = Metric{"qtune_snapshot_age_seconds", gauge, nil, "Time since the host was read for what is told here."}
	droppedMetric  = Metric{"qtune_series_dropped_total", counter, nil, "Listeners and namespaces without series of their own because of a cap, counted again at each step: a rate over 0 says that a cap binds."}
	buildMetric    = Metric{"qtune_build_info", gauge, []string{"goversion", "revision", "version"}, "Which qtune this is; always 1."}
)

func optional(n *uint32) (float64, bool) {
	if n == nil {
		return 0, false
	}
	return float64(*n), true
}
