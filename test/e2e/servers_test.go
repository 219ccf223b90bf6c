// SPDX-License-Identifier: Apache-2.0

//go:build linux && e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/qtune/qtune/inspection"
	"github.com/qtune/qtune/test/lab"
)

// A server is one that is overrun and cured.
type server struct {
	name    string
	program string // as the remedy calls it
	asks    uint32 // what it asks for at its defaults; 0 for as much as somaxconn

	end     unix.Signal             // that ends it at once, 0 for SIGTERM
	as      string                  // the user it runs as, "" for root
	prepare func(*site)             // writes its configuration, with the remedy when there is one
	argv    func(*site) []string    // starts it in the foreground
	reload  func(*site, int)        // makes the process read its configuration again; nil: restart
	wake    func(*testing.T, *site) // what it needs before it is itself
}

// smallSomaxconn is what somaxconn is set to for the servers that ask for as much
// as they may.
const smallSomaxconn = 256

// tooMany is by how many clients a server is overrun.
const tooMany = 300

var servers = []server{
	{
		name: "nginx", program: "nginx", asks: 511,
		prepare: func(s *site) {
			listen := "listen 8080;"
			if s.remedy != "" {
				listen = s.remedy
			}
			s.write("nginx.conf", fmt.Sprintf(`daemon off; pid %s/pid; error_log stderr;
worker_processes 1; events { worker_connections 4000; }
http { access_log off; server { %s return 204; } }`, s.dir, listen))
		},
		argv: func(s *site) []string { return []string{"nginx", "-c", s.dir + "/nginx.conf"} },
		reload: func(s *site, pid int) {
			s.must("reload nginx", unix.Kill(pid, unix.SIGHUP))
		},
	},
	{
		name: "Apache", program: "Apache httpd", asks: 511,
		prepare: func(s *site) {
			s.write("apache.conf", fmt.Sprintf(`ServerRoot %[1]s
ServerName localhost
PidFile %[1]s/pid
ErrorLog /dev/stderr
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
Listen 8080
User www-data
Group www-data
%[2]s
`, s.dir, s.remedy))
		},
		argv: func(s *site) []string { return []string{"apache2", "-f", s.dir + "/apache.conf", "-D", "FOREGROUND"} },
	},
	{
		name: "HAProxy", program: "HAProxy", asks: 200,
		prepare: func(s *site) {
			s.write("haproxy.cfg", fmt.Sprintf(`global
  maxconn 4000
defaults
  mode http
  timeout client 5s
  timeout connect 5s
  timeout server 5s
frontend web
  bind :8080
  maxconn 200
  %s
  http-request return status 200
`, s.remedy))
		},
		argv: func(s *site) []string { return []string{"haproxy", "-f", s.dir + "/haproxy.cfg"} },
	},
	{
		name: "Redis", program: "Redis", asks: 511,
		prepare: func(s *site) {
			s.write("redis.conf", fmt.Sprintf("bind 127.0.0.1\nport 8080\nsave \"\"\ndir %s\n%s\n", s.dir, s.remedy))
		},
		argv: func(s *site) []string { return []string{"redis-server", s.dir + "/redis.conf"} },
	},
	{
		name: "memcached", program: "Memcached", asks: 1024, as: "memcache",
		argv: func(s *site) []string {
			return append([]string{"memcached", "-l", "127.0.0.1", "-p", "8080", "-U", "0"}, strings.Fields(s.remedy)...)
		},
	},
	{
		name: "PostgreSQL", program: "PostgreSQL", asks: 244, as: "postgres", end: unix.SIGINT,
		prepare: func(s *site) {
			data := filepath.Join(s.dir, "data")
			if s.remedy == "" {
				s.must("make a folder", os.Mkdir(data, 0o700))
				who := credential(s.t, "postgres")
				s.must("give it to postgres", os.Chown(data, int(who.Uid), int(who.Gid)))
				s.run("postgres", postgres("initdb"), "-D", data, "-A", "trust", "--no-sync")
				return
			}
			conf, err := os.OpenFile(filepath.Join(data, "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
			s.must("open postgresql.conf", err)
			defer conf.Close()
			_, err = conf.WriteString("\n" + s.remedy + "\n")
			s.must("write postgresql.conf", err)
		},
		argv: func(s *site) []string {
			return []string{
				postgres("postgres"), "-D", filepath.Join(s.dir, "data"), "-c", "listen_addresses=127.0.0.1",
				"-c", "dynamic_shared_memory_type=mmap", "-p", "8080", "-k", "",
			}
		},
	},
	{
		name: "Tomcat", program: "Tomcat", asks: 100,
		prepare: func(s *site) {
			connector := `<Connector port="8080" protocol="HTTP/1.1"/>`
			if s.remedy != "" {
				connector = fmt.Sprintf(`<Connector port="8080" protocol="HTTP/1.1" %s/>`, regexp.MustCompile(`acceptCount="\d+"`).FindString(s.remedy))
			}
			s.write("conf/server.xml", `<Server port="-1"><Service name="Catalina">`+connector+
				`<Engine name="Catalina" defaultHost="localhost"><Host name="localhost" appBase="webapps"/></Engine></Service></Server>`)
			s.write("webapps/none", "")
		},
		argv: func(s *site) []string {
			return []string{
				"java", "-Xmx128m", "-cp", "/usr/share/tomcat10/bin/bootstrap.jar:/usr/share/tomcat10/bin/tomcat-juli.jar",
				"-Dcatalina.home=/usr/share/tomcat10", "-Dcatalina.base=" + s.dir, "-Djava.io.tmpdir=" + s.dir,
				"org.apache.catalina.startup.Bootstrap", "start",
			}
		},
	},
	{
		name: "gunicorn", program: "gunicorn", asks: 2048,
		prepare: func(s *site) {
			s.write("app.py", "def app(environ, start_response):\n    start_response('204 No Content', [])\n    return []\n")
		},
		argv: func(s *site) []string {
			// Not by name: another Python may come first in the PATH.
			argv := []string{"/usr/bin/python3", "/usr/bin/gunicorn", "--bind", "127.0.0.1:8080", "--chdir", s.dir, "--worker-class", "gthread"}
			return append(append(argv, strings.Fields(s.remedy)...), "app:app")
		},
	},
	{
		name: "Node.js", program: "Node.js", asks: 511,
		prepare: func(s *site) {
			s.write("server.js", fmt.Sprintf(`const server = require('http').createServer((q, r) => r.end());
server.listen({ port: 8080, host: '127.0.0.1' %s });
`, prefixed(", ", regexp.MustCompile(`backlog: \d+`).FindString(s.remedy))))
		},
		argv: func(s *site) []string { return []string{"node", s.dir + "/server.js"} },
	},
	{
		name: "Java", program: "Java", asks: 50,
		prepare: func(s *site) {
			s.write("Server.java", fmt.Sprintf(`public class Server {
  public static void main(String[] args) throws Exception {
    try (var server = new java.net.ServerSocket(8080%s)) {
      while (true) server.accept().close();
    }
  }
}
`, prefixed(", ", lastNumber(s.remedy))))
		},
		argv: func(s *site) []string { return []string{"java", "-Xmx64m", s.dir + "/Server.java"} },
	},
	{
		name: "Go", program: "Go",
		prepare: func(s *site) {
			if s.remedy != "" {
				return
			}
			src := s.write("main.go", `package main
import "net"
func main() {
	l, err := net.Listen("tcp4", "127.0.0.1:8080")
	if err != nil { panic(err) }
	for { if c, err := l.Accept(); err == nil { c.Close() } }
}
`)
			s.run("", "env", "CGO_ENABLED=0", "go", "build", "-trimpath", "-o", s.dir+"/goserver", src)
		},
		argv: func(s *site) []string { return []string{s.dir + "/goserver"} },
	},
	{
		name: "a socket inherited from systemd", program: "systemd socket unit",
		prepare: func(s *site) {
			s.write("inherit.py", `import socket
server = socket.socket(fileno=3)
while True:
    server.accept()[0].close()
`)
		},
		argv: func(s *site) []string {
			return []string{"systemd-socket-activate", "--listen=127.0.0.1:8080", "/usr/bin/python3", s.dir + "/inherit.py"}
		},
		wake: func(t *testing.T, s *site) {
			s.ns.Connect(address, 1) // the first client makes it start the program
			lab.Wait(t, "the program to be started", func() bool {
				return s.listener().Owner != nil && strings.HasPrefix(s.listener().Owner.Comm, "python3")
			})
			s.ns.CloseClients()
		},
	},
}

// TestServers starts every server at its defaults, overruns it, and does what
// qtune says.
func TestServers(t *testing.T) {
	lab.NeedRoot(t)
	for _, srv := range servers {
		t.Run(srv.name, func(t *testing.T) {
			s := newSite(t)
			s.end = srv.end
			srv.start(t, s)
			if l := s.listener(); srv.asks > 0 && l.AcceptQueue.Limit != srv.asks {
				t.Errorf("at its defaults the limit is %d, want %d", l.AcceptQueue.Limit, srv.asks)
			} else if srv.asks == 0 && l.AcceptQueue.Limit != 4096 {
				t.Errorf("at its defaults the limit is %d, want somaxconn, 4096", l.AcceptQueue.Limit)
			}
			if srv.asks == 0 { // a queue that can be overrun
				s.ns.SetSysctl("net.core.somaxconn", strconv.Itoa(smallSomaxconn))
				s.stop()
				srv.start(t, s)
			}

			limit := s.listener().AcceptQueue.Limit
			clients := int(limit) + tooMany
			f := finding(t, s.overrun(clients))
			cure(t, s, &srv, f)

			if l := s.listener(); int(l.AcceptQueue.Limit) < clients {
				t.Fatalf("after %q the limit is %d, want %d or more", s.remedy, l.AcceptQueue.Limit, clients)
			}
			before := s.ns.Counters()["ListenDrops"]
			in := s.overrun(clients)
			if now := s.ns.Counters()["ListenDrops"]; now != before {
				t.Errorf("the same load has %d packets refused, want 0", now-before)
			}
			for _, f := range in.Findings {
				if f.Severity == "critical" {
					t.Errorf("the same load gives %s: %s", f.Code, f.Why)
				}
			}
		})
	}
}

// start starts a server with what it has been told so far.
func (srv *server) start(t *testing.T, s *site) {
	t.Helper()
	if srv.prepare != nil {
		srv.prepare(s)
	}
	s.start(srv.as, srv.argv(s))
	s.listener()
	if srv.wake != nil {
		srv.wake(t, s)
	}
}

// finding returns the only problem of an inspection, which must be that the
// accept queue of the server overflows.
func finding(t *testing.T, in *inspection.Inspection) inspection.Finding {
	t.Helper()
	problems := slices.DeleteFunc(in.Findings, func(f inspection.Finding) bool { return f.Severity == "info" })
	if len(problems) != 1 || problems[0].Code != "accept-queue-overflow" || problems[0].Listener == nil || problems[0].Listener.Port != port {
		t.Fatalf("found %+v, want accept-queue-overflow at port %d alone", problems, port)
	}
	return problems[0]
}

// cure does what a finding says.
func cure(t *testing.T, s *site, srv *server, f inspection.Finding) {
	t.Helper()
	if len(f.Hints) != 1 || f.Hints[0].Program != srv.program {
		t.Fatalf("hints = %+v, want one for %s", f.Hints, srv.program)
	}
	for _, c := range f.Changes {
		if c.Netns != s.ns.Inode {
			t.Errorf("change %+v is for another namespace, want %d", c, s.ns.Inode)
		}
		s.ns.SetSysctl(c.Key, strconv.FormatInt(c.To, 10))
	}
	s.remedy = f.Hints[0].Example
	t.Logf("%s %s: %s", f.Hints[0].Setting, f.Hints[0].Example, f.Hints[0].TakesEffect)
	if f.Hints[0].TakesEffect != "reload" {
		s.stop()
		srv.start(t, s)
		return
	}
	if srv.reload == nil {
		t.Fatalf("the hint says reload, which %s cannot", srv.name)
	}
	was := s.listener()
	srv.prepare(s)
	srv.reload(s, s.main.Process.Pid)
	lab.Wait(t, "the reload to change the limit and the workers", func() bool {
		now := s.listener()
		return now.AcceptQueue.Limit != was.AcceptQueue.Limit &&
			!slices.ContainsFunc(was.Owner.PIDs[1:], func(pid int) bool { return slices.Contains(now.Owner.PIDs, pid) })
	})
}

// postgres returns the path of a program of the newest PostgreSQL there is.
func postgres(name string) string {
	all, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if err != nil || len(all) == 0 {
		return name
	}
	return all[len(all)-1]
}

// prefixed returns text with a prefix, nothing for nothing.
func prefixed(prefix, text string) string {
	if text == "" {
		return ""
	}
	return prefix + text
}

// lastNumber returns the last number in a text.
func lastNumber(s string) string {
	all := regexp.MustCompile(`\d+`).FindAllString(s, -1)
	if len(all) == 0 {
		return ""
	}
	return all[len(all)-1]
}
