// SPDX-License-Identifier: Apache-2.0

//go:build linux

package policy

import (
	"regexp"
	"strings"
	"time"
)

// What a file has to begin with.
const (
	apiVersion = "qtune.dev/v1alpha1"
	kind       = "ListenQueuePolicy"
)

const (
	// ceiling is the highest net.core.somaxconn anyone may ask for.
	ceiling = 1 << 20

	// maxSynBacklog is the highest net.ipv4.tcp_max_syn_backlog.
	maxSynBacklog = 1 << 18

	// maxLatencyBudget is where waiting stops to be a service: by then a SYN has
	// been repeated twice or more, and most clients have given up.
	maxLatencyBudget = 3 * time.Second

	maxList = 32 // entries of a list
)

// A field is one line that a file may have. The parser, Validate, schema.json and
// the table in docs/policy.md are all made of these.
type field struct {
	path     string
	required bool
	says     string // what it is and why, in Markdown

	// At returns a pointer to where the value lies: *int, *int64, *time.Duration,
	// *string or *[]string. It is nil for what has only one value, words[0].
	at func(*Policy) any

	low, high int64  // of a number or a duration
	unit      string // of a number

	words []string                 // the only texts allowed
	check func(text string) string // what is wrong with a text, "" for nothing
}

// fields is everything a file may say, in the order of docs/policy.md.
var fields = []field{
	{
		path: "apiVersion", required: true, words: []string{apiVersion},
		says: "The version of this format.",
	},
	{
		path: "kind", required: true, words: []string{kind},
		says: "The kind of object; the same in a cluster.",
	},
	{
		path: "metadata.name", required: true, check: checkName,
		at:   func(p *Policy) any { return &p.Name },
		says: "Decisions and transactions name the policy by it.",
	},
	{
		path: "metadata.generation", high: 1<<53 - 1,
		at:   func(p *Policy) any { return &p.Generation },
		says: "A number of your own, for whoever writes the file; qtune repeats it. The file's hash is told anyway.",
	},
	{
		path: "spec.mode", words: []string{string(Observe), string(Advise), string(Enforce)},
		at: func(p *Policy) any { return (*string)(&p.Mode) },
		says: "What the agent may do: look, also say what is wrong, or also change it. `enforce` needs `bounds.somaxconn.max`. " +
			"`qtune apply -f` is a person's own act, and works in each mode.",
	},
	{
		path: "spec.scopes", words: []string{ScopeHost, ScopePod},
		at: func(p *Policy) any { return &p.Scopes },
		says: "Which network namespaces may be changed: `host` is that of process 1, `pod` every other one, containers' too. " +
			"The host's is shared by everything that has no namespace of its own, so it must be asked for.",
	},
	{
		path: "spec.namespaces", check: checkPattern,
		at:   func(p *Policy) any { return &p.Namespaces },
		says: "Only these of them, by [pattern](#patterns). Empty: all.",
	},
	{
		path: "spec.bounds.somaxconn.min", low: 1, high: ceiling, unit: "connections",
		at: func(p *Policy) any { return &p.Somaxconn.Min },
		says: "No lower value is recommended. Written in a file it is also a wish: `qtune apply -f` raises `net.core.somaxconn` " +
			"of every namespace in scope to it, and never lowers one.",
	},
	{
		path: "spec.bounds.somaxconn.max", low: 1, high: ceiling, unit: "connections",
		at:   func(p *Policy) any { return &p.Somaxconn.Max },
		says: "No higher value is set. Some older kernels keep the backlog in 16 bits, hence the default.",
	},
	{
		path: "spec.bounds.tcpMaxSynBacklog.min", low: 1, high: maxSynBacklog, unit: "connections",
		at:   func(p *Policy) any { return &p.MaxSynBacklog.Min },
		says: "The same for `net.ipv4.tcp_max_syn_backlog`, which counts only where SYN cookies are off.",
	},
	{
		path: "spec.bounds.tcpMaxSynBacklog.max", low: 1, high: maxSynBacklog, unit: "connections",
		at:   func(p *Policy) any { return &p.MaxSynBacklog.Max },
		says: "No higher value is set.",
	},
	{
		path: "spec.bounds.backlog.min", low: 1, high: ceiling, unit: "connections",
		at:   func(p *Policy) any { return &p.Backlog.Min },
		says: "The same for the limit of a single listener, and for what its program is told to ask for.",
	},
	{
		path: "spec.bounds.backlog.max", low: 1, high: ceiling, unit: "connections",
		at:   func(p *Policy) any { return &p.Backlog.Max },
		says: "No higher limit is recommended or set.",
	},
	{
		path: "spec.latencyBudget", low: int64(time.Millisecond), high: int64(maxLatencyBudget),
		at: func(p *Policy) any { return &p.LatencyBudget },
		says: "How long a connection may wait for accept(2) at most. A queue longer than what the program works off in this time " +
			"is refused: a client that is refused repeats its SYN after one second, which is no worse.",
	},
	{
		path: "spec.headroomPercent", high: 400, unit: "per cent",
		at:   func(p *Policy) any { return &p.Headroom },
		says: "Added to the longest queue that was needed, before the next power of two is taken.",
	},
	{
		path: "spec.memory.idlePercent", low: 1, high: 100, unit: "per cent",
		at: func(p *Policy) any { return &p.Memory.Idle },
		says: "Of the host's memory, for the connections that all raises together let wait, when these have sent nothing. " +
			"Limits up to 4096, the kernel's own default, are never refused for memory.",
	},
	{
		path: "spec.memory.worstPercent", low: 1, high: 100, unit: "per cent",
		at: func(p *Policy) any { return &p.Memory.Worst },
		says: "Of the middle value of `net.ipv4.tcp_mem`, for the same connections when each has sent all it may before accept(2). " +
			"No cgroup is charged for that memory until then.",
	},
	{
		path: "spec.trial.duration", low: int64(time.Minute), high: int64(time.Hour),
		at:   func(p *Policy) any { return &p.Trial.Duration },
		says: "How long the agent watches a change before it judges it. What did not help is undone.",
	},
	{
		path: "spec.trial.max", low: int64(time.Minute), high: int64(time.Hour),
		at:   func(p *Policy) any { return &p.Trial.Max },
		says: "How long it watches at most, when the load was too different to judge. Not less than `trial.duration`.",
	},
	{
		path: "spec.maxPerHour", low: 1, high: 60, unit: "changes",
		at:   func(p *Policy) any { return &p.MaxPerHour },
		says: "The agent applies no more in an hour, on the whole host.",
	},
	{
		path: "spec.onDrift", words: []string{string(Report), string(ReapplyOnce)},
		at: func(p *Policy) any { return (*string)(&p.OnDrift) },
		says: "When somebody else changes a value that qtune set: say so, or set it once more and then only say so. " +
			"Two writers that both insist would never stop.",
	},
	{
		path: "spec.exclude.commands", check: checkCommand,
		at: func(p *Policy) any { return &p.Exclude.Commands },
		says: "Programs that are left alone, named as in `/proc/PID/comm`: not tuned for by the agent, never resized. They come on top of " +
			strings.Join(AlwaysExcluded(), ", ") + ", which always are.",
	},
	{
		path: "spec.exclude.namespaces", check: checkPattern,
		at:   func(p *Policy) any { return &p.Exclude.Namespaces },
		says: "Namespaces that are left alone, by [pattern](#patterns), whatever else names them.",
	},
	{
		path: "spec.liveResize.namespaces", check: checkPattern,
		at: func(p *Policy) any { return &p.LiveResize.Namespaces },
		says: "Where the limit of a listener may be changed under the running program, by [pattern](#patterns). A restart of the program " +
			"loses it, and its owner may be surprised: so nowhere, unless asked for.",
	},
}

var validName = regexp.MustCompile(`^[a-z0-9]([-.a-z0-9]{0,61}[a-z0-9])?$`)

func checkName(text string) string {
	if !validName.MatchString(text) {
		return "is no name: want 1 to 63 small letters, digits, dots and dashes, a letter or digit at both ends"
	}
	return ""
}

func checkCommand(text string) string {
	switch {
	case text == "":
		return "is empty: want a program's name"
	case strings.HasPrefix(text, "/"):
		return "is a path: want the name in /proc/PID/comm"
	}
	return ""
}
