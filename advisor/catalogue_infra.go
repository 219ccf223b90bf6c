// SPDX-License-Identifier: Apache-2.0

//go:build linux

package advisor

// infrastructure is what runs on a host whatever its purpose.
var infrastructure = []Program{
	{
		Name: "OpenSSH sshd", Asks: Asks{Backlog: 128},
		Setting: "nothing: 128 is written in its source; a systemd socket unit has Backlog=", TakesEffect: Rebuild, Verified: true, Evidence: "run 9.2; src ssh.h, sshd.c",
		Note:  "MaxStartups is another limit: it drops connections that were accepted.",
		match: match{comm: []string{"sshd"}},
	},
	{
		Name: "Fluent Bit", Asks: Asks{Backlog: 128},
		Setting: "net.backlog of the input", Example: "net.backlog {n}",
		TakesEffect: Restart, Verified: true, Evidence: "src src/flb_downstream.c",
		match: match{comm: []string{"fluent-bit"}},
	},
	{
		Name: "rsyslog", Asks: Asks{Backlog: 5},
		Setting: "SocketBacklog of the input imptcp (imtcp: a tenth of its session limit)", Example: `SocketBacklog="{n}"`,
		TakesEffect: Restart, Verified: true, Evidence: "run 8.2302 (imptcp asks for 5; its documents say 64); doc of the modules' parameters",
		match: match{comm: []string{"rsyslogd"}},
	},
	{
		Name: "carbon-c-relay", Asks: Asks{Backlog: 3},
		Setting: "the option -B", Example: "-B {n}",
		TakesEffect: Restart, Evidence: "issue carbon-c-relay#143",
		Note:  "Old releases ask for 3.",
		match: match{comm: []string{"carbon-c-relay", "relay"}},
	},
	{
		Name: "docker port publishing", Asks: Asks{Somaxconn: true},
		Setting:     "nothing of its own: it asks for as much as net.core.somaxconn of the host allows",
		TakesEffect: Restart, Verified: true, Evidence: "src osallocator_linux.go, cmd/docker-proxy",
		Note:  "There are two queues in a row, the proxy's on the host and the program's in the container: look at both. Restart means to make the container anew.",
		match: match{comm: []string{"docker-proxy", "dockerd"}},
	},
	{
		Name: "Kubernetes component", Asks: Asks{Somaxconn: true, AtStart: true}, Setting: sysctlFirst,
		TakesEffect: Restart, Verified: true, Evidence: "src of Go's net",
		match: match{comm: []string{"kubelet", "kube-apiserver", "kube-controller*", "kube-scheduler", "kube-proxy", "coredns", "containerd"}},
	},
	{
		Name: "Prometheus", Asks: Asks{Somaxconn: true, AtStart: true}, Setting: sysctlFirst,
		TakesEffect: Restart, Verified: true, Evidence: "run 2.42; src of Go's net",
		match: match{comm: []string{"prometheus"}},
	},
	{
		Name: "systemd", Asks: Asks{Somaxconn: true},
		Setting: "Backlog= of the .socket unit, then systemctl daemon-reload and a restart of the socket unit", Example: "Backlog={n}",
		TakesEffect: Restart, Verified: true, Evidence: "src src/core/socket.c",
		match: match{comm: []string{"systemd"}},
	},
}
