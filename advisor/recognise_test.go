// SPDX-License-Identifier: Apache-2.0

//go:build linux

package advisor

import (
	"strings"
	"testing"

	"github.com/qtune/qtune/tcpq"
)

// who is a process as /proc shows it: comm, executable, command line.
func who(comm, exe, argv string) *tcpq.Owner {
	return &tcpq.Owner{PIDs: []int{9}, Comm: comm, Exe: exe, Argv: strings.Fields(argv)}
}

func TestRecognise(t *testing.T) {
	pod := func(o *tcpq.Owner, name, container string) *tcpq.Owner {
		o.Pod = tcpq.Pod{UID: "u", Name: name, Container: container}
		return o
	}
	built := func(o *tcpq.Owner, toolchain string) *tcpq.Owner {
		o.Build = toolchain
		return o
	}
	given := func(o *tcpq.Owner) *tcpq.Owner {
		o.Inherited = true
		return o
	}
	tests := []struct {
		owner *tcpq.Owner
		limit uint32
		want  string // "" for nobody
	}{
		{who("nginx", "/usr/sbin/nginx", "nginx: master process /usr/sbin/nginx"), 511, "nginx"},
		{who("nginx", "/usr/sbin/nginx (deleted)", "nginx: worker process"), 511, "nginx"},
		{who("nginx", "", ""), 511, "nginx"},
		{who("openresty", "/usr/local/openresty/nginx/sbin/nginx", ""), 511, "nginx"},
		{pod(who("nginx", "/usr/bin/nginx", ""), "ingress-nginx-controller-7d4-x2x", "controller"), 4096, "ingress-nginx"},
		{pod(who("nginx", "/usr/sbin/nginx", ""), "my-nginx-0", "nginx-ingress"), 511, "NGINX kubernetes-ingress"},
		{pod(who("nginx", "/usr/sbin/nginx", ""), "web-0", "web"), 511, "nginx"},
		{who("apache2", "/usr/sbin/apache2", ""), 511, "Apache httpd"},
		{who("httpd", "/usr/sbin/httpd", ""), 511, "Apache httpd"},
		{who("haproxy", "/usr/sbin/haproxy", "haproxy -W -db"), 2000, "HAProxy"},
		{who("envoy", "/usr/local/bin/envoy", "envoy -c /etc/envoy.yaml"), 4096, "Envoy"},
		{who("ztunnel", "/usr/local/bin/ztunnel", ""), 128, "Istio ztunnel"},
		{who("linkerd2-proxy", "/usr/lib/linkerd/linkerd2-proxy", ""), 128, "Linkerd proxy"},
		{built(who("traefik", "/usr/local/bin/traefik", ""), "go"), 4096, "Traefik"},
		{built(who("caddy", "/usr/bin/caddy", ""), "go"), 4096, "Caddy"},
		{who("varnishd", "/usr/sbin/varnishd", ""), 1024, "Varnish"},
		{who("cache-main", "/usr/sbin/varnishd", ""), 1024, "Varnish"},
		{who("lighttpd", "/usr/sbin/lighttpd", ""), 1024, "lighttpd"},
		{who("[TS_MAIN]", "/usr/bin/traffic_server", ""), 4096, "Apache Traffic Server"},
		{who("squid", "/usr/sbin/squid", "(squid-1) --kid squid-1"), 256, "Squid"},
		{who("dnsdist", "/usr/bin/dnsdist", ""), 4096, "PowerDNS dnsdist"},
		{who("PassengerAgent", "/usr/lib/passenger/PassengerAgent", ""), 2048, "Phusion Passenger"},

		{who("redis-server", "/usr/bin/redis-check-rdb", "/usr/bin/redis-server 127.0.0.1:6379"), 511, "Redis"},
		{who("valkey-server", "/usr/bin/valkey-server", ""), 511, "Valkey"},
		{who("memcached", "/usr/bin/memcached", ""), 1024, "Memcached"},
		{who("postgres", "/usr/lib/postgresql/15/bin/postgres", "/usr/lib/postgresql/15/bin/postgres -D /var/lib/postgresql"), 244, "PostgreSQL"},
		{who("pgbouncer", "/usr/sbin/pgbouncer", ""), 128, "PgBouncer"},
		{who("proxysql", "/usr/bin/proxysql", ""), 1024, "ProxySQL"},
		{who("mariadbd", "/usr/sbin/mariadbd", ""), 80, "MariaDB"},
		{who("mysqld", "/usr/sbin/mariadbd", ""), 80, "MariaDB"},
		{who("mysqld", "/usr/sbin/mysqld", ""), 151, "MySQL"},
		{who("mongod", "/usr/bin/mongod", ""), 128, "MongoDB"},
		{who("java", "/usr/bin/java", "java -Xmx1G kafka.Kafka server.properties"), 50, "Kafka"},
		{who("java", "/usr/bin/java", "java org.apache.zookeeper.server.quorum.QuorumPeerMain zoo.cfg"), 50, "ZooKeeper"},
		{who("java", "/usr/bin/java", "java org.elasticsearch.bootstrap.Elasticsearch"), 4096, "Elasticsearch"},
		{who("java", "/usr/bin/java", "java org.apache.cassandra.service.CassandraDaemon"), 4096, "Cassandra"},
		{who("beam.smp", "/usr/lib/erlang/erts/bin/beam.smp", "beam.smp -noshell -s rabbit boot"), 128, "RabbitMQ"},
		{who("clickhouse-serv", "/usr/bin/clickhouse", ""), 4096, "ClickHouse"},
		{built(who("nats-server", "/usr/sbin/nats-server", ""), "go"), 4096, "NATS"},
		{built(who("etcd", "/usr/bin/etcd", ""), "go"), 4096, "etcd"},
		{who("mosquitto", "/usr/sbin/mosquitto", ""), 100, "Mosquitto"},

		{who("sshd", "/usr/sbin/sshd", "sshd: /usr/sbin/sshd -D [listener]"), 128, "OpenSSH sshd"},
		{given(who("sshd", "/usr/sbin/sshd", "")), 4096, "systemd socket unit"},
		{who("fluent-bit", "/opt/fluent-bit/bin/fluent-bit", ""), 128, "Fluent Bit"},
		{who("rsyslogd", "/usr/sbin/rsyslogd", ""), 5, "rsyslog"},
		{who("relay", "/usr/bin/relay", ""), 3, "carbon-c-relay"},
		{built(who("docker-proxy", "/usr/bin/docker-proxy", ""), "go"), 4096, "docker port publishing"},
		{built(who("kubelet", "/usr/bin/kubelet", ""), "go"), 4096, "Kubernetes component"},
		{built(who("kube-controller", "/usr/local/bin/kube-controller-manager", ""), "go"), 4096, "Kubernetes component"},
		{built(who("prometheus", "/usr/bin/prometheus", ""), "go"), 4096, "Prometheus"},
		{who("systemd", "/usr/lib/systemd/systemd", "/sbin/init"), 4096, "systemd"},

		{who("gunicorn", "/usr/bin/python3.11", "gunicorn: master [app:app]"), 2048, "gunicorn"},
		{who("python3", "/usr/bin/python3.11", "/usr/bin/python3 /usr/bin/gunicorn app:app"), 2048, "gunicorn"},
		{who("python3", "/usr/bin/python3.11", "python3 -m gunicorn -k uvicorn.workers.UvicornWorker app:app"), 2048, "gunicorn"},
		{who("uvicorn", "/usr/bin/python3.11", "/usr/bin/python3 /usr/bin/uvicorn app:app"), 2048, "uvicorn"},
		{who("hypercorn", "/usr/bin/python3.11", "/usr/bin/python3 /usr/bin/hypercorn app:app"), 100, "Hypercorn"},
		{who("granian", "/usr/bin/python3.11", "python3 granian app:app"), 1024, "Granian"},
		{who("waitress-serve", "/usr/bin/python3.11", "python3 /usr/bin/waitress-serve app:app"), 1024, "waitress"},
		{who("uwsgi", "/usr/bin/uwsgi-core", "uwsgi --http-socket :80"), 100, "uWSGI"},
		{who("twistd3", "/usr/bin/python3.11", "/usr/bin/python3 /usr/bin/twistd3 -n web"), 50, "Twisted"},
		{who("flask", "/usr/bin/python3.11", "/usr/bin/python3 /usr/bin/flask run"), 128, "Flask's development server"},
		{who("python3", "/usr/bin/python3.11", "python3 -m http.server"), 5, "Python's socketserver"},
		{who("python3", "/usr/bin/python3.11", "python3 app.py"), 100, "Python's asyncio"},
		{who("python3", "/usr/bin/python3.11", "python3 app.py"), 128, "Python"},
		{who("python3", "/usr/bin/python3.11", "python3 app.py"), 777, "Python"},
		{who("java", "/usr/bin/java", "java org.apache.catalina.startup.Bootstrap start"), 100, "Tomcat"},
		{who("java", "/usr/bin/java", "java org.springframework.boot.loader.JarLauncher"), 100, "Spring Boot"},
		{who("java", "/usr/bin/java", "java -jar /usr/share/jetty9/start.jar"), 50, "Jetty"},
		{who("java", "/usr/bin/java", "java -jar jboss-modules.jar org.jboss.as.standalone"), 4096, "WildFly"},
		{who("java", "/usr/bin/java", "java -cp undertow-core.jar Main"), 1000, "Undertow"},
		{who("java", "/usr/bin/java", "java weblogic.Server"), 300, "WebLogic"},
		{who("java", "/usr/bin/java", "java -jar quarkus-run.jar"), 4096, "Quarkus"},
		{who("java", "/usr/bin/java", "java -jar /usr/share/jenkins/jenkins.war"), 50, "Jenkins, SonarQube, Nexus or Solr"},
		{who("java", "/usr/bin/java", "java -cp netty-all.jar Main"), 4096, "Netty"},
		{who("java", "/usr/bin/java", "java Server.java"), 50, "Java"},
		{who("java", "/usr/bin/java", "java Server.java"), 777, "Java"},
		{who("node", "/usr/bin/node", "node server.js"), 511, "Node.js"},
		{who("MainThread", "/usr/local/bin/node", "node server.js"), 511, "Node.js"},
		{who("php-fpm8.2", "/usr/sbin/php-fpm8.2", "php-fpm: master process (/etc/php/8.2/fpm/php-fpm.conf)"), 511, "PHP-FPM"},
		{who("ruby", "/usr/bin/ruby3.1", "puma 5.6.5 (tcp://0.0.0.0:3000) [app]"), 1024, "Puma"},
		{who("unicorn", "/usr/bin/ruby3.1", "unicorn master -c config.rb"), 1024, "Unicorn"},
		{who("dotnet", "/usr/bin/dotnet", "dotnet App.dll"), 512, ".NET Kestrel"},
		{who("beam.smp", "/usr/lib/erlang/erts/bin/beam.smp", "beam.smp -- -root"), 1024, "Ranch (Cowboy, Phoenix)"},
		{who("beam.smp", "/usr/lib/erlang/erts/bin/beam.smp", "beam.smp -- -root"), 5, "Erlang gen_tcp"},
		{built(who("api", "/app/api", "/app/api"), "rust"), 128, "Rust"},
		{built(who("api", "/app/api", "/app/api"), "rust"), 1024, "Rust"},
		{built(who("api", "/app/api", "/app/api"), "go"), 4096, "Go"},

		{who("api", "/app/api", "/app/api"), 4096, ""},
		{who("nginx-exporter", "/usr/bin/nginx-exporter", ""), 4096, ""},
		{who("sh", "/bin/sh", "sh -c gunicorn"), 128, ""},
		{&tcpq.Owner{Comm: "nginx"}, 511, ""}, // no process holds it
		{nil, 511, ""},
	}
	recognised := map[string]bool{}
	for _, tt := range tests {
		got := ""
		if p := Recognise(tt.owner, tt.limit); p != nil {
			got = p.Name
		}
		if got != tt.want {
			t.Errorf("Recognise(%+v, %d) = %q, want %q", tt.owner, tt.limit, got, tt.want)
		}
		recognised[got] = true
	}
	for _, p := range catalogue {
		if !recognised[p.Name] {
			t.Errorf("nothing above is recognised as %s", p.Name)
		}
	}
}

func TestLimitBound(t *testing.T) {
	etcd := &tcpq.Owner{PIDs: []int{9}, Comm: "etcd", Build: "go"}
	goServer := &tcpq.Owner{PIDs: []int{9}, Comm: "api", Build: "go"}
	nginx := &tcpq.Owner{PIDs: []int{9}, Comm: "nginx"}
	tests := []struct {
		name  string
		owner *tcpq.Owner
		limit uint32
		want  tcpq.LimitBound
	}{
		{"etcd at somaxconn", etcd, 4096, tcpq.BoundSomaxconn},
		{"etcd below it listened when it was lower", etcd, 128, tcpq.BoundSomaxconnAtListen},
		{"any Go server may call listen by itself", goServer, 128, tcpq.BoundApplication},
		{"etcd above it listened when it was higher", etcd, 8192, tcpq.BoundSomaxconnAtListen},
		{"nginx may have been configured", nginx, 128, tcpq.BoundApplication},
		{"nobody knows the program", nil, 8192, tcpq.BoundUnknown},
	}
	for _, tt := range tests {
		n := &tcpq.Namespace{}
		n.Sysctls.Set(tcpq.Somaxconn, 4096)
		if got := LimitBound(n, &tcpq.Listener{Owner: tt.owner, Accept: tcpq.Queue{Max: tt.limit}}); got != tt.want {
			t.Errorf("%s: LimitBound = %s, want %s", tt.name, got, tt.want)
		}
		if got := LimitBound(&tcpq.Namespace{}, &tcpq.Listener{Owner: tt.owner, Accept: tcpq.Queue{Max: tt.limit}}); got != tcpq.BoundUnknown {
			t.Errorf("%s, somaxconn unknown: LimitBound = %s, want unknown", tt.name, got)
		}
	}
}

// TestCatalogue holds what is true of every row.
func TestCatalogue(t *testing.T) {
	rows := append(append([]Program{*socketUnit}, catalogue...), patterns...)
	for _, p := range rows {
		if p.Name == "" || p.Setting == "" || p.Evidence == "" || strings.HasSuffix(p.Setting, ".") {
			t.Errorf("%s has setting %q and evidence %q", p.Name, p.Setting, p.Evidence)
		}
		if p.Note != "" && !strings.HasSuffix(p.Note, ".") {
			t.Errorf("%s has note %q, want sentences", p.Name, p.Note)
		}
		switch p.TakesEffect {
		case Now, Reload, Restart, Rebuild:
		default:
			t.Errorf("%s takes effect %q", p.Name, p.TakesEffect)
		}
		if p.Example != "" && !strings.Contains(p.Example, "{n}") && !strings.Contains(p.Example, "{half}") {
			t.Errorf("%s has example %q without the number", p.Name, p.Example)
		}
		first, _, _ := strings.Cut(p.Evidence, " ")
		if proved := first == "run" || first == "src"; proved != p.Verified {
			t.Errorf("%s is verified %t by %q", p.Name, p.Verified, p.Evidence)
		}
		if p.Asks.AtStart && !p.Asks.Somaxconn {
			t.Errorf("%s reads at its start what it does not ask for", p.Name)
		}
		h := p.hint(2048, 8080)
		if strings.ContainsAny(h.Example, "{}") && !strings.ContainsAny(p.Example, "{}") || strings.Contains(h.Example, "{n}") || strings.Contains(h.Example, "{port}") {
			t.Errorf("%s is told %q", p.Name, h.Example)
		}
	}
}

func TestHint(t *testing.T) {
	tests := map[string]string{
		"nginx":      "listen 8080 backlog=2048;",
		"PostgreSQL": "max_connections = 1024",
		"Node.js":    "server.listen({ port: 8080, backlog: 2048 })",
		"Go":         "",
	}
	for _, p := range catalogue {
		if want, ok := tests[p.Name]; ok && p.hint(2048, 8080).Example != want {
			t.Errorf("the example of %s = %q, want %q", p.Name, p.hint(2048, 8080).Example, want)
		}
	}
}

func FuzzRecognise(f *testing.F) {
	f.Add("nginx", "/usr/sbin/nginx", "nginx: master process", "go", uint32(511))
	f.Fuzz(func(_ *testing.T, comm, exe, argv, build string, limit uint32) {
		o := who(comm, exe, argv)
		o.Build = build
		if p := Recognise(o, limit); p != nil {
			p.hint(limit, 80)
		}
	})
}
