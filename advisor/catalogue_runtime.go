// SPDX-License-Identifier: Apache-2.0

//go:build linux

package advisor

import "slices"

// runtimes are application servers, frameworks and languages: in each language
// what is special first, and last what the language does by itself.
var runtimes = slices.Concat(pythons, javas, otherRuntimes)

var python = []string{"python*", "pypy*"}

var pythons = []Program{
	{
		Name: "gunicorn", Asks: Asks{Backlog: 2048},
		Setting: "the option --backlog, or backlog in its configuration", Example: "--backlog {n}",
		TakesEffect: Restart, Verified: true, Evidence: "run 20.1; src config.py, sock.py, arbiter.py",
		Note:  "HUP does not listen again; a binary upgrade by USR2 does.",
		match: match{comm: append([]string{"gunicorn*"}, python...), argv: []string{"gunicorn"}},
	},
	{
		Name: "uvicorn", Asks: Asks{Backlog: 2048},
		Setting: "the option --backlog", Example: "--backlog {n}",
		TakesEffect: Restart, Verified: true, Evidence: "run 0.17; src config.py",
		Note:  "As a worker of gunicorn it uses gunicorn's.",
		match: match{comm: append([]string{"uvicorn"}, python...), argv: []string{"uvicorn"}},
	},
	{
		Name: "Hypercorn", Asks: Asks{Backlog: 100},
		Setting: "the option --backlog", Example: "--backlog {n}",
		TakesEffect: Restart, Verified: true, Evidence: "src config.py",
		match: match{comm: append([]string{"hypercorn"}, python...), argv: []string{"hypercorn"}},
	},
	{
		Name: "Granian", Asks: Asks{Backlog: 1024},
		Setting: "the option --backlog", Example: "--backlog {n}",
		TakesEffect: Restart, Verified: true, Evidence: "src cli.py",
		Note:  "Embedded it asks for 128.",
		match: match{comm: append([]string{"granian"}, python...), argv: []string{"granian"}},
	},
	{
		Name: "waitress", Asks: Asks{Backlog: 1024},
		Setting: "the option --backlog", Example: "--backlog={n}",
		TakesEffect: Restart, Verified: true, Evidence: "run 2.1; src adjustments.py",
		match: match{comm: append([]string{"waitress-serve"}, python...), argv: []string{"waitress"}},
	},
	{
		Name: "uWSGI", Asks: Asks{Backlog: 100},
		Setting: "listen in its configuration, or the option --listen", Example: "listen = {n}",
		TakesEffect: Restart, Verified: true, Evidence: "run 2.0.21; src core/init.c, core/socket.c",
		Note:  "It refuses to start when listen is more than net.core.somaxconn of its namespace: raise the sysctl first.",
		match: match{comm: []string{"uwsgi*"}},
	},
	{
		Name: "Twisted", Asks: Asks{Backlog: 50},
		Setting: "the argument backlog of listenTCP, or of the endpoint", Example: "tcp:{port}:backlog={n}",
		TakesEffect: Restart, Verified: true, Evidence: "run 22.4; src internet/endpoints.py",
		match: match{comm: append([]string{"twistd", "daphne"}, python...), argv: []string{"twistd", "daphne", "scrapy"}},
	},
	{
		Name: "Flask's development server", Asks: Asks{Backlog: 128},
		Setting: "nothing: use a production server such as gunicorn", TakesEffect: Rebuild, Verified: true, Evidence: "run 2.2; src werkzeug serving.py",
		match: match{comm: append([]string{"flask"}, python...), argv: []string{"flask run", "-m flask", "werkzeug"}},
	},
	{
		Name: "Python's socketserver", Asks: Asks{Backlog: 5},
		Setting: "the class attribute request_queue_size of the server", Example: "request_queue_size = {n}",
		TakesEffect: Rebuild, Verified: true, Evidence: "run 3.11; src Lib/socketserver.py",
		Note:  "http.server, socketserver and xmlrpc ask for 5, the smallest default in common use.",
		match: match{comm: python, limit: 5},
	},
	{
		Name: "Python's asyncio", Asks: Asks{Backlog: 100},
		Setting: "the argument backlog of create_server or start_server", Example: "backlog={n}",
		TakesEffect: Rebuild, Verified: true, Evidence: "run 3.11; src Lib/asyncio/base_events.py",
		match: match{comm: python, limit: 100},
	},
	{
		Name: "Python", Asks: Asks{},
		Setting: "the argument backlog: of socket.listen and create_server (128 without it), Tornado's bind_sockets and aiohttp's run_app (128), asyncio's create_server (100)", Example: "backlog={n}",
		TakesEffect: Rebuild, Verified: true, Evidence: "run 3.11, tornado 6.2, aiohttp 3.8",
		match: match{comm: python},
	},
}

var java = []string{"java"}

var javas = []Program{
	{
		Name: "Tomcat", Asks: Asks{Backlog: 100},
		Setting: "acceptCount of the Connector in server.xml", Example: `<Connector port="{port}" acceptCount="{n}" ...>`,
		TakesEffect: Restart, Verified: true, Evidence: "run 10.1; src AbstractEndpoint.java",
		Note:  "The queue fills only once maxConnections is reached: more threads may be the cure.",
		match: match{comm: java, argv: []string{"org.apache.catalina.startup.Bootstrap"}},
	},
	{
		Name: "Spring Boot", Asks: Asks{Backlog: 100},
		Setting: "server.tomcat.accept-count (Jetty, Undertow and Netty inside: a customizer bean that sets acceptQueueSize, Options.BACKLOG or ChannelOption.SO_BACKLOG)", Example: "server.tomcat.accept-count={n}",
		TakesEffect: Restart, Verified: true, Evidence: "src TomcatServerProperties.java",
		Note:  "100 is Tomcat's; with Jetty inside it asks for 50, with Undertow for 1000, with Netty for net.core.somaxconn.",
		match: match{comm: java, argv: []string{"org.springframework.boot", "spring-boot"}},
	},
	{
		Name: "Jetty", Asks: Asks{Backlog: 50},
		Setting: "jetty.http.acceptQueueSize (and jetty.ssl.acceptQueueSize)", Example: "jetty.http.acceptQueueSize={n}",
		TakesEffect: Restart, Verified: true, Evidence: "run 9.4; src ServerConnector.java",
		Note:  "Its 0 means the 50 of the JVM.",
		match: match{comm: java, argv: []string{"org.eclipse.jetty", "jetty-start", "start.jar"}},
	},
	{
		Name: "WildFly", Asks: Asks{Backlog: 10000},
		Setting: "backlog of the http-listener", Example: "/subsystem=undertow/server=default-server/http-listener=default:write-attribute(name=backlog,value={n})",
		TakesEffect: Restart, Evidence: "known",
		match: match{comm: java, argv: []string{"org.jboss.as.standalone", "jboss-modules.jar"}},
	},
	{
		Name: "Undertow", Asks: Asks{Backlog: 1000},
		Setting: "Options.BACKLOG of the builder", Example: "Undertow.builder().setSocketOption(Options.BACKLOG, {n})",
		TakesEffect: Rebuild, Verified: true, Evidence: "src Undertow.java",
		match: match{comm: java, argv: []string{"undertow"}},
	},
	{
		Name: "WebLogic", Asks: Asks{Backlog: 300},
		Setting: "AcceptBacklog of the server or the network channel (a channel of its own: 50)", Example: "AcceptBacklog {n}",
		TakesEffect: Restart, Evidence: "doc of the 10.0 schema",
		match: match{comm: java, argv: []string{"weblogic.Server"}},
	},
	{
		Name: "Quarkus", Asks: Asks{Somaxconn: true, AtStart: true},
		Setting: "quarkus.http.accept-backlog", Example: "quarkus.http.accept-backlog={n}",
		TakesEffect: Restart, Evidence: "known",
		match: match{comm: java, argv: []string{"quarkus"}},
	},
	{
		Name: "Jenkins, SonarQube, Nexus or Solr", Asks: Asks{},
		Setting: "that of the Jetty or Tomcat inside: jetty.http.acceptQueueSize or acceptCount", Example: "jetty.http.acceptQueueSize={n}",
		TakesEffect: Restart, Evidence: "known",
		match: match{comm: java, argv: []string{"jenkins.war", "sonarqube", "org.sonatype.nexus", "solr"}},
	},
	{
		Name: "Netty", Asks: Asks{Somaxconn: true, AtStart: true},
		Setting: "ChannelOption.SO_BACKLOG of the bootstrap (Vert.x: HttpServerOptions.setAcceptBacklog; gRPC: NettyServerBuilder.withOption); without it it takes net.core.somaxconn", Example: ".option(ChannelOption.SO_BACKLOG, {n})",
		TakesEffect: Rebuild, Verified: true, Evidence: "src NetUtil.java, DefaultServerSocketChannelConfig.java",
		match: match{comm: java, argv: []string{"netty", "vertx", "vert.x", "grpc", "playframework"}},
	},
	{
		Name: "Java", Asks: Asks{Backlog: 50},
		Setting: "the argument backlog of ServerSocket, or of bind of ServerSocketChannel; without it 50 is asked for", Example: "new ServerSocket({port}, {n})",
		TakesEffect: Rebuild, Verified: true, Evidence: "run 17; src ServerSocket.java",
		match: match{comm: java, limit: 50},
	},
	{
		Name: "Java", Asks: Asks{},
		Setting: "the backlog of its server: ServerSocket's argument, acceptCount, acceptQueueSize or SO_BACKLOG (Netty takes net.core.somaxconn by itself)", Example: "new ServerSocket({port}, {n})",
		TakesEffect: Restart, Verified: true, Evidence: "run 17",
		match: match{comm: java},
	},
}

var otherRuntimes = []Program{
	{
		Name: "Node.js", Asks: Asks{Backlog: 511},
		Setting: "backlog of server.listen (Express: the third argument of app.listen; Fastify: backlog of listen)", Example: "server.listen({ port: {port}, backlog: {n} })",
		TakesEffect: Rebuild, Verified: true, Evidence: "run 18, 20; src lib/net.js",
		match: match{comm: []string{"node", "nodejs", "MainThread"}},
	},
	{
		Name: "PHP-FPM", Asks: Asks{Somaxconn: true},
		Setting: "listen.backlog of the pool", Example: "listen.backlog = {n}",
		TakesEffect: Restart, Verified: true, Evidence: "run 8.2 (asks for -1; the comment in www.conf says 511); src sapi/fpm/fpm/fpm_sockets.c",
		Note:  "Without a setting it asks for as much as it may. A reload by USR2 inherits the socket and does not listen again.",
		match: match{comm: []string{"php-fpm*"}},
	},
	{
		Name: "Puma", Asks: Asks{Backlog: 1024},
		Setting: "backlog in the bind address", Example: "bind 'tcp://0.0.0.0:{port}?backlog={n}'",
		TakesEffect: Restart, Verified: true, Evidence: "run 5.6; src lib/puma/binder.rb",
		Note:  "A hot restart keeps the descriptor as it is: stop and start.",
		match: match{comm: []string{"ruby*", "puma*"}, argv: []string{"puma"}},
	},
	{
		Name: "Unicorn", Asks: Asks{Backlog: 1024},
		Setting: ":backlog of listen", Example: "listen {port}, :backlog => {n}",
		TakesEffect: Reload, Verified: true, Evidence: "run 6.0; src socket_helper.rb, http_server.rb",
		match: match{comm: []string{"ruby*", "unicorn*"}, argv: []string{"unicorn"}},
	},
	{
		Name: ".NET Kestrel", Asks: Asks{Backlog: 512},
		Setting: "Backlog of the socket transport (Socket.Listen without an argument asks for as much as it may)", Example: "builder.WebHost.UseSockets(o => o.Backlog = {n})",
		TakesEffect: Rebuild, Evidence: "doc SocketTransportOptions.Backlog",
		match: match{comm: []string{"dotnet"}},
	},
	{
		Name: "Ranch (Cowboy, Phoenix)", Asks: Asks{Backlog: 1024},
		Setting: "backlog in socket_opts of the listener", Example: "socket_opts => [{backlog, {n}}]",
		TakesEffect: Restart, Verified: true, Evidence: "src ranch_tcp.erl",
		match: match{comm: []string{"beam.smp"}, limit: 1024},
	},
	{
		Name: "Erlang gen_tcp", Asks: Asks{Backlog: 5},
		Setting: "the option backlog of gen_tcp:listen (without it 5 is asked for; the distribution port asks for 128, see inet_dist_listen_options)", Example: "{backlog, {n}}",
		TakesEffect: Rebuild, Verified: true, Evidence: "run OTP 25; src lib/kernel/src/inet_int.hrl, inet_tcp_dist.erl",
		match: match{comm: []string{"beam.smp"}},
	},
	{
		Name: "Rust", Asks: Asks{Backlog: 128},
		Setting: "the backlog given to listen: std's TcpListener and mio since 1.2 ask for 128; build the socket with socket2 or tokio's TcpSocket", Example: "TcpSocket::new_v4()?; socket.bind(addr)?; socket.listen({n})",
		TakesEffect: Rebuild, Verified: true, Evidence: "run std of 1.63; src mio tags v1.0.4 to v1.2.0",
		Note:  "mio 1.0 asks for 1024, 1.1 for as much as it may: an update of a dependency alone shrinks the queue to 128.",
		match: match{build: "rust", limit: 128},
	},
	{
		Name: "Rust", Asks: Asks{},
		Setting: "the backlog given to listen (actix-web: HttpServer::backlog; tokio: TcpSocket::listen)", Example: "HttpServer::new(app).backlog({n})",
		TakesEffect: Rebuild, Verified: true, Evidence: "src actix-web server.rs, mio tags v1.0.4 to v1.2.0",
		match: match{build: "rust"},
	},
	{
		Name: "Go", Asks: Asks{Somaxconn: true, AtStart: true}, Setting: sysctlFirst,
		TakesEffect: Restart, Verified: true, Evidence: "run 1.26; src src/net/sock_linux.go",
		Note:  "Where /proc/sys cannot be read it asks for 128. A limit below somaxconn is from a time when that was lower, or from code that calls listen by itself.",
		match: match{build: "go"},
	},
}

// patterns are what a limit says of a program that nothing else is known of.
var patterns = []Program{
	{
		Name: "a program with 5 in its source", Asks: Asks{Backlog: 5},
		Setting: "the number given to listen(2): 5 is what textbooks have, and what Python's socketserver and Erlang's gen_tcp ask for", Example: "listen(fd, {n})",
		TakesEffect: Rebuild, Evidence: "known", match: match{limit: 5},
	},
	{
		Name: "a program with 50 in its source", Asks: Asks{Backlog: 50},
		Setting: "the program's own setting: 50 is what Java (Jetty, Kafka, ZooKeeper) and Twisted ask for", Example: "backlog = {n}",
		TakesEffect: Restart, Evidence: "known", match: match{limit: 50},
	},
	{
		Name: "a program with 100 in its source", Asks: Asks{Backlog: 100},
		Setting: "the program's own setting: 100 is what Tomcat, uWSGI, asyncio and Mosquitto ask for", Example: "backlog = {n}",
		TakesEffect: Restart, Evidence: "known", match: match{limit: 100},
	},
	{
		Name: "a program with 128 in its source", Asks: Asks{Backlog: 128},
		Setting: "the program's own setting, or a new build: 128 is SOMAXCONN of old C libraries and what Rust asks for", Example: "listen(fd, {n})",
		TakesEffect: Rebuild, Evidence: "known", match: match{limit: 128},
	},
	{
		Name: "a program with 511 in its source", Asks: Asks{Backlog: 511},
		Setting: "the program's own setting: 511 is what nginx, Redis, Node.js, Apache and PHP-FPM ask for", Example: "backlog = {n}",
		TakesEffect: Restart, Evidence: "known", match: match{limit: 511},
	},
}
