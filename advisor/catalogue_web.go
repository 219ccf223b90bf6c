// SPDX-License-Identifier: Apache-2.0

//go:build linux

package advisor

// sysctlFirst is the remedy for whoever asks for as much as it may and has no
// setting.
const sysctlFirst = "nothing of its own: it takes what net.core.somaxconn of its namespace allows when it starts"

// webServers are web servers and proxies.
var webServers = []Program{
	{
		Name: "ingress-nginx", Asks: Asks{Somaxconn: true, AtStart: true},
		Setting:     "nothing of its own: it writes net.core.somaxconn of the pod's namespace into nginx.conf (511 when that is below 512)",
		TakesEffect: Restart, Verified: true, Evidence: "src internal/ingress/controller/util.go",
		Note:  "A new configuration written after the sysctl was raised takes effect with its reload, too.",
		match: match{comm: []string{"nginx"}, pod: []string{"ingress-nginx-controller"}},
	},
	{
		Name: "NGINX kubernetes-ingress", Asks: Asks{Backlog: 511},
		Setting: "backlog= of the listen directives in a main template of your own; there is no ConfigMap key", Example: "listen {port} backlog={n};",
		TakesEffect: Reload, Evidence: "issue kubernetes-ingress#1757",
		Note:  "A listen line in server-snippets clashes with the generated one.",
		match: match{comm: []string{"nginx"}, pod: []string{"nginx-ingress"}},
	},
	{
		Name: "nginx", Asks: Asks{Backlog: 511},
		Setting: "backlog= of the listen directive, in one place per address and port", Example: "listen {port} backlog={n};",
		TakesEffect: Reload, Verified: true, Evidence: "run 1.22.1; src src/os/unix/ngx_linux_config.h, src/core/ngx_cycle.c",
		Note:  "With reuseport every worker has a queue of its own.",
		match: match{comm: []string{"nginx", "openresty", "angie", "tengine"}},
	},
	{
		Name: "Apache httpd", Asks: Asks{Backlog: 511},
		Setting: "ListenBackLog, in the server's configuration outside any virtual host", Example: "ListenBackLog {n}",
		TakesEffect: Restart, Verified: true, Evidence: "run 2.4; src server/listen.c",
		Note:  "A graceful restart keeps the old listener: stop and start.",
		match: match{comm: []string{"apache2", "httpd"}},
	},
	{
		Name:    "HAProxy",
		Setting: "backlog, in the frontend, listen or defaults section (without it the limit is maxconn)", Example: "backlog {n}",
		TakesEffect: Restart, Verified: true, Evidence: "run 2.6; src src/listener.c, src/proto_tcp.c",
		Note:  "A reload is enough unless the sockets are handed over (expose-fd listeners): then the old limit stays.",
		match: match{comm: []string{"haproxy"}},
	},
	{
		Name: "Envoy", Asks: Asks{Somaxconn: true, AtStart: true},
		Setting: "tcp_backlog_size of the listener, or net.core.somaxconn of the pod's namespace before it starts", Example: "tcp_backlog_size: {n}",
		TakesEffect: Restart, Verified: true, Evidence: "src api/envoy/config/listener/v3/listener.proto; issue envoy#45478",
		Note:  "An update over xDS shows the new number in config_dump and leaves the socket as it was: restart, or remove the listener and add it again. Before 1.16 it asks for 128.",
		match: match{comm: []string{"envoy"}},
	},
	{
		Name: "Istio ztunnel", Asks: Asks{Backlog: 128},
		Setting: "nothing: 128 is written in its source", TakesEffect: Rebuild, Verified: true, Evidence: "src src/inpod/config.rs",
		match: match{comm: []string{"ztunnel"}},
	},
	{
		Name: "Linkerd proxy", Asks: Asks{Backlog: 128},
		Setting: "nothing: 128 is written in its source", TakesEffect: Rebuild, Evidence: "issue linkerd2#14801",
		match: match{comm: []string{"linkerd2-proxy"}},
	},
	{
		Name: "Traefik", Asks: Asks{Somaxconn: true, AtStart: true}, Setting: sysctlFirst,
		TakesEffect: Restart, Verified: true, Evidence: "src pkg/server/server_entrypoint_tcp.go",
		match: match{comm: []string{"traefik"}},
	},
	{
		Name: "Caddy", Asks: Asks{Somaxconn: true, AtStart: true}, Setting: sysctlFirst,
		TakesEffect: Restart, Verified: true, Evidence: "src listeners.go",
		Note:  "A reload keeps the open socket.",
		match: match{comm: []string{"caddy"}},
	},
	{
		Name: "Varnish", Asks: Asks{Backlog: 1024},
		Setting: "the parameter listen_depth", Example: "varnishd -p listen_depth={n}",
		TakesEffect: Restart, Verified: true, Evidence: "run 7.1; src include/tbl/params.h",
		match: match{comm: []string{"varnishd", "cache-main"}},
	},
	{
		Name: "lighttpd", Asks: Asks{Backlog: 1024},
		Setting: "server.listen-backlog", Example: "server.listen-backlog = {n}",
		TakesEffect: Restart, Verified: true, Evidence: "run 1.4.69; src src/network.c",
		Note:  "Its default is 1024, or the C library's SOMAXCONN where that is larger (4096 today).",
		match: match{comm: []string{"lighttpd"}},
	},
	{
		Name: "Apache Traffic Server", Asks: Asks{Somaxconn: true},
		Setting: "proxy.config.net.listen_backlog in records.yaml, at most 65535", Example: "listen_backlog: {n}",
		TakesEffect: Restart, Verified: true, Evidence: "src src/iocore/net/Server.cc",
		match: match{comm: []string{"[TS_MAIN]", "traffic_server"}},
	},
	{
		Name:    "Squid",
		Setting: "max_filedescriptors: a quarter of its descriptors is the backlog", Example: "max_filedescriptors {n}  # times 4",
		TakesEffect: Restart, Verified: true, Evidence: "run 5.7 (256 of 1024 descriptors); src src/comm/TcpAcceptor.cc",
		match: match{comm: []string{"squid"}},
	},
	{
		Name:    "PowerDNS dnsdist",
		Setting: "tcpListenQueueSize of addLocal", Example: "addLocal('0.0.0.0:{port}', {tcpListenQueueSize={n}})",
		TakesEffect: Restart, Verified: true, Evidence: "run 1.7 (4096); issue pdns#8986",
		Note:  "Its default is the C library's SOMAXCONN: 128 where it was built on an old one.",
		match: match{comm: []string{"dnsdist"}},
	},
	{
		Name: "Phusion Passenger", Asks: Asks{Backlog: 2048},
		Setting: "passenger_socket_backlog (nginx) or PassengerSocketBacklog (Apache)", Example: "passenger_socket_backlog {n};",
		TakesEffect: Restart, Verified: true, Evidence: "src src/cxx_supportlib/Constants.h",
		match: match{comm: []string{"PassengerAgent", "Passenger*"}},
	},
}
