// SPDX-License-Identifier: Apache-2.0

//go:build linux && e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/qtune/qtune/advisor"
	"github.com/qtune/qtune/collector"
	"github.com/qtune/qtune/host"
	"github.com/qtune/qtune/tcpq"
	"github.com/qtune/qtune/test/lab"
)

// A resident is a server that is only started, to see what it asks for.
type resident struct {
	name    string
	program string // as the catalogue calls it
	limit   uint32 // at its defaults; 4096 is somaxconn

	as      string
	env     []string
	prepare func(*site)
	argv    func(*site) []string
}

// residents are the servers of the catalogue that Debian has, beside those of
// [servers].
var residents = []resident{
	{
		name: "lighttpd", program: "lighttpd", limit: 1024,
		prepare: func(s *site) {
			s.write("lighttpd.conf", fmt.Sprintf("server.document-root = %q\nserver.port = 8080\nserver.bind = \"127.0.0.1\"\n", s.dir))
		},
		argv: func(s *site) []string { return []string{"lighttpd", "-D", "-f", s.dir + "/lighttpd.conf"} },
	},
	{
		name: "Varnish", program: "Varnish", limit: 1024,
		argv: func(s *site) []string {
			return []string{"varnishd", "-F", "-j", "none", "-a", "127.0.0.1:8080", "-b", "127.0.0.1:9", "-n", s.dir}
		},
	},
	{
		name: "PgBouncer", program: "PgBouncer", limit: 128, as: "postgres",
		prepare: func(s *site) {
			s.write("pgbouncer.ini", "[databases]\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = 8080\nauth_type = any\nunix_socket_dir =\n")
		},
		argv: func(s *site) []string { return []string{"pgbouncer", s.dir + "/pgbouncer.ini"} },
	},
	{
		name: "MariaDB", program: "MariaDB", limit: 80, as: "mysql",
		prepare: func(s *site) {
			data := filepath.Join(s.dir, "data")
			s.must("make a folder", os.Mkdir(data, 0o700))
			who := credential(s.t, "mysql")
			s.must("give it to mysql", os.Chown(data, int(who.Uid), int(who.Gid)))
			s.run("mysql", "mariadb-install-db", "--no-defaults", "--datadir="+data, "--skip-test-db")
		},
		argv: func(s *site) []string {
			data := filepath.Join(s.dir, "data")
			return []string{"mariadbd", "--no-defaults", "--datadir=" + data, "--bind-address=127.0.0.1", "--port=8080", "--socket=" + data + "/socket"}
		},
	},
	{
		name: "Mosquitto", program: "Mosquitto", limit: 100,
		prepare: func(s *site) { s.write("mosquitto.conf", "listener 8080 127.0.0.1\nuser root\n") },
		argv:    func(s *site) []string { return []string{"mosquitto", "-c", s.dir + "/mosquitto.conf"} },
	},
	{
		name: "rsyslog", program: "rsyslog", limit: 5,
		prepare: func(s *site) {
			s.write("rsyslog.conf", "module(load=\"imptcp\")\ninput(type=\"imptcp\" port=\"8080\" address=\"127.0.0.1\")\n*.* action(type=\"omfile\" file=\"/dev/null\")\n")
		},
		argv: func(s *site) []string {
			return []string{"rsyslogd", "-n", "-f", s.dir + "/rsyslog.conf", "-i", s.dir + "/pid"}
		},
	},
	{
		name: "sshd", program: "OpenSSH sshd", limit: 128,
		prepare: func(s *site) {
			s.must("make a folder", os.MkdirAll("/run/sshd", 0o755))
			s.run("", "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", s.dir+"/key")
			s.write("sshd_config", "ListenAddress 127.0.0.1\nPidFile none\nUsePAM no\n")
		},
		argv: func(s *site) []string {
			return []string{"/usr/sbin/sshd", "-D", "-f", s.dir + "/sshd_config", "-h", s.dir + "/key", "-p", "8080"}
		},
	},
	{
		name: "Jetty", program: "Jetty", limit: 50,
		argv: func(s *site) []string {
			return []string{"java", "-Xmx128m", "-Djetty.home=/usr/share/jetty9", "-Djetty.base=" + s.dir, "-Djava.io.tmpdir=" + s.dir, "-jar", "/usr/share/jetty9/start.jar", "--module=http", "jetty.http.host=127.0.0.1", "jetty.http.port=8080"}
		},
	},
	{
		name: "uvicorn", program: "uvicorn", limit: 2048,
		prepare: func(s *site) { s.write("app.py", "async def app(scope, receive, send):\n    pass\n") },
		argv: func(s *site) []string {
			return []string{"/usr/bin/python3", "/usr/bin/uvicorn", "--host", "127.0.0.1", "--port", "8080", "--app-dir", s.dir, "app:app"}
		},
	},
	{
		name: "waitress", program: "waitress", limit: 1024,
		prepare: func(s *site) { s.write("app.py", "def app(environ, start_response):\n    return []\n") },
		env:     []string{"PYTHONPATH={dir}"},
		argv: func(*site) []string {
			return []string{"/usr/bin/python3", "/usr/bin/waitress-serve", "--listen=127.0.0.1:8080", "app:app"}
		},
	},
	python3("Python's http.server", "Python's socketserver", 5, `
import http.server
http.server.HTTPServer(('127.0.0.1', 8080), http.server.BaseHTTPRequestHandler).serve_forever()`),
	python3("Python's asyncio", "Python's asyncio", 100, `
import asyncio
async def main():
    server = await asyncio.start_server(lambda r, w: None, '127.0.0.1', 8080)
    await server.serve_forever()
asyncio.run(main())`),
	python3("Python's create_server", "Python", 128, `
import socket
server = socket.create_server(('127.0.0.1', 8080))
while True:
    server.accept()[0].close()`),
	python3("Tornado", "Python", 128, `
import asyncio, tornado.web
async def main():
    tornado.web.Application([]).listen(8080, '127.0.0.1')
    await asyncio.Event().wait()
asyncio.run(main())`),
	python3("aiohttp", "Python", 128, `
from aiohttp import web
web.run_app(web.Application(), host='127.0.0.1', port=8080, print=None)`),
	{
		name: "Flask", program: "Flask's development server", limit: 128,
		prepare: func(s *site) { s.write("app.py", "import flask\napp = flask.Flask('app')\n") },
		argv: func(s *site) []string {
			return []string{"/usr/bin/python3", "-m", "flask", "--app", s.dir + "/app.py", "run", "--host", "127.0.0.1", "--port", "8080"}
		},
	},
	{
		name: "Twisted", program: "Twisted", limit: 50,
		argv: func(s *site) []string {
			return []string{"/usr/bin/python3", "/usr/bin/twistd3", "-n", "--pidfile=", "web", "--listen=tcp:8080:interface=127.0.0.1", "--path=" + s.dir}
		},
	},
	{
		name: "uWSGI", program: "uWSGI", limit: 100,
		prepare: func(s *site) { s.write("app.py", "def application(environ, start_response):\n    return []\n") },
		argv: func(s *site) []string {
			return []string{"uwsgi", "--plugin", "python3", "--http-socket", "127.0.0.1:8080", "--wsgi-file", s.dir + "/app.py"}
		},
	},
	{
		name: "PHP-FPM", program: "PHP-FPM", limit: 4096,
		prepare: func(s *site) {
			s.write("fpm.conf", "[global]\nerror_log = /dev/stderr\ndaemonize = no\n[www]\nlisten = 127.0.0.1:8080\nuser = www-data\ngroup = www-data\npm = static\npm.max_children = 1\n")
		},
		argv: func(s *site) []string { return []string{"php-fpm8.2", "-y", s.dir + "/fpm.conf"} },
	},
	{
		name: "Puma", program: "Puma", limit: 1024,
		prepare: func(s *site) { s.write("config.ru", "run lambda { |env| [204, {}, []] }\n") },
		argv: func(s *site) []string {
			return []string{"/usr/bin/ruby", "/usr/bin/puma", "-b", "tcp://127.0.0.1:8080", s.dir + "/config.ru"}
		},
	},
	{
		name: "Unicorn", program: "Unicorn", limit: 1024,
		prepare: func(s *site) { s.write("config.ru", "run lambda { |env| [204, {}, []] }\n") },
		argv: func(s *site) []string {
			return []string{"/usr/bin/ruby", "/usr/bin/unicorn", "-l", "127.0.0.1:8080", s.dir + "/config.ru"}
		},
	},
	{
		name: "Erlang", program: "Erlang gen_tcp", limit: 5,
		argv: func(*site) []string {
			return []string{"erl", "-noshell", "-eval", "{ok, _} = gen_tcp:listen(8080, [{ip, {127,0,0,1}}]), receive stop -> ok end."}
		},
	},
	{
		name: "NATS", program: "NATS", limit: 4096,
		argv: func(*site) []string { return []string{"nats-server", "-a", "127.0.0.1", "-p", "8080"} },
	},
	{
		name: "etcd", program: "etcd", limit: 4096,
		argv: func(s *site) []string {
			return []string{"etcd", "--data-dir", s.dir + "/data", "--listen-client-urls", "http://127.0.0.1:8080", "--advertise-client-urls", "http://127.0.0.1:8080"}
		},
	},
	{
		name: "Prometheus", program: "Prometheus", limit: 4096,
		prepare: func(s *site) { s.write("prometheus.yml", "scrape_configs: []\n") },
		argv: func(s *site) []string {
			return []string{"prometheus", "--config.file=" + s.dir + "/prometheus.yml", "--web.listen-address=127.0.0.1:8080", "--storage.tsdb.path=" + s.dir + "/data"}
		},
	},
	{
		name: "dnsdist", program: "PowerDNS dnsdist", limit: 4096,
		prepare: func(s *site) { s.write("dnsdist.conf", "setLocal('127.0.0.1:8080')\nnewServer('127.0.0.1:9')\n") },
		argv: func(s *site) []string {
			return []string{"dnsdist", "--supervised", "--disable-syslog", "-C", s.dir + "/dnsdist.conf"}
		},
	},
	{
		name: "Rust", program: "Rust", limit: 128,
		prepare: func(s *site) {
			src := s.write("server.rs", "fn main() {\n  for c in std::net::TcpListener::bind(\"127.0.0.1:8080\").unwrap().incoming() { drop(c) }\n}\n")
			s.run("", "rustc", "-C", "strip=symbols", "-o", s.dir+"/rustserver", src)
		},
		argv: func(s *site) []string { return []string{s.dir + "/rustserver"} },
	},
}

// python3 is a server of a few lines.
func python3(name, program string, limit uint32, script string) resident {
	return resident{
		name: name, program: program, limit: limit,
		prepare: func(s *site) { s.write("server.py", script+"\n") },
		argv:    func(s *site) []string { return []string{"/usr/bin/python3", s.dir + "/server.py"} },
	}
}

// TestDefaults starts every server and compares its limit and its name with the
// catalogue's.
func TestDefaults(t *testing.T) {
	lab.NeedRoot(t)
	for _, r := range residents {
		t.Run(r.name, func(t *testing.T) {
			s := newSite(t)
			if r.prepare != nil {
				r.prepare(s)
			}
			s.env = r.env
			s.start(r.as, r.argv(s))
			l := s.listener()
			if l.AcceptQueue.Limit != r.limit {
				t.Errorf("the limit is %d, want %d", l.AcceptQueue.Limit, r.limit)
			}
			p := advisor.Recognise(s.owner(), l.AcceptQueue.Limit)
			switch {
			case p == nil || p.Name != r.program:
				t.Errorf("recognised as %+v, want %s; its owner is %+v", p, r.program, s.owner())
			case p.Asks.Backlog != 0 && p.Asks.Backlog != int(l.AcceptQueue.Limit):
				t.Errorf("the catalogue says that %s asks for %d, its limit is %d", p.Name, p.Asks.Backlog, l.AcceptQueue.Limit)
			case p.Asks.Somaxconn && l.AcceptQueue.Limit != 4096:
				t.Errorf("the catalogue says that %s takes somaxconn, its limit is %d", p.Name, l.AcceptQueue.Limit)
			}
		})
	}
}

// owner returns what the collector finds of who holds the listener.
func (s *site) owner() *tcpq.Owner {
	s.t.Helper()
	live, err := host.NewLive("/")
	s.must("open this host", err)
	c := collector.New(live, collector.Options{Search: host.Search{Path: s.ns.Path()}, Syn: collector.SynNever})
	snapshot, err := c.Snapshot(s.t.Context(), nil)
	s.must("read the namespace", err)
	for i := range snapshot.Namespaces {
		for j := range snapshot.Namespaces[i].Listeners {
			if l := &snapshot.Namespaces[i].Listeners[j]; l.Port == port {
				return l.Owner
			}
		}
	}
	s.t.Fatal("no listener")
	return nil
}
