// SPDX-License-Identifier: Apache-2.0

//go:build linux

package advisor

// dataStores are databases, caches and queues.
var dataStores = []Program{
	{
		Name: "Redis", Asks: Asks{Backlog: 511},
		Setting: "tcp-backlog in redis.conf", Example: "tcp-backlog {n}",
		TakesEffect: Restart, Verified: true, Evidence: "run 7.0.15; src src/config.c",
		Note:  "CONFIG SET refuses it.",
		match: match{comm: []string{"redis-server", "redis-sentinel"}},
	},
	{
		Name: "Valkey", Asks: Asks{Backlog: 511},
		Setting: "tcp-backlog in valkey.conf", Example: "tcp-backlog {n}",
		TakesEffect: Restart, Verified: true, Evidence: "src src/config.c",
		match: match{comm: []string{"valkey-server", "valkey-sentinel"}},
	},
	{
		Name: "Memcached", Asks: Asks{Backlog: 1024},
		Setting: "the option -b (--listen-backlog)", Example: "-b {n}",
		TakesEffect: Restart, Verified: true, Evidence: "run 1.6; src memcached.c",
		match: match{comm: []string{"memcached"}},
	},
	{
		Name:    "PostgreSQL",
		Setting: "max_connections: the backlog is twice the possible server processes, at most 10000", Example: "max_connections = {half}",
		TakesEffect: Restart, Verified: true, Evidence: "run 15 (244 at max_connections 100); src src/backend/libpq/pqcomm.c",
		Note:  "It has no setting of its own. A connection pool in front (PgBouncer) is often the better cure.",
		match: match{comm: []string{"postgres", "postmaster"}},
	},
	{
		Name: "PgBouncer", Asks: Asks{Backlog: 128},
		Setting: "listen_backlog", Example: "listen_backlog = {n}",
		TakesEffect: Restart, Verified: true, Evidence: "run 1.18; src src/main.c",
		match: match{comm: []string{"pgbouncer"}},
	},
	{
		Name: "ProxySQL", Asks: Asks{Backlog: 1024},
		Setting: "nothing: 1024 is written in its source", TakesEffect: Rebuild, Verified: true, Evidence: "src lib/MySQL_Thread.cpp",
		match: match{comm: []string{"proxysql"}},
	},
	{
		Name: "MariaDB", Asks: Asks{Backlog: 80},
		Setting: "back_log", Example: "back_log = {n}",
		TakesEffect: Restart, Verified: true, Evidence: "run 10.11 (80 at max_connections 151)",
		Note:  "By itself it takes 50 and a fifth of max_connections.",
		match: match{comm: []string{"mariadbd"}},
	},
	{
		Name: "MySQL", Asks: Asks{Backlog: 151},
		Setting: "back_log (its default is max_connections)", Example: "back_log = {n}",
		TakesEffect: Restart, Evidence: "doc WL#9704",
		match: match{comm: []string{"mysqld"}},
	},
	{
		Name:    "MongoDB",
		Setting: "net.listenBacklog", Example: "net: {listenBacklog: {n}}",
		TakesEffect: Restart, Verified: true, Evidence: "src of its options; doc DOCS-15619",
		Note:  "Its default is the SOMAXCONN of where it was built: 128 in the released programs.",
		match: match{comm: []string{"mongod", "mongos"}},
	},
	{
		Name: "Kafka", Asks: Asks{Backlog: 50},
		Setting: "socket.listen.backlog.size", Example: "socket.listen.backlog.size={n}",
		TakesEffect: Restart, Verified: true, Evidence: "src SocketServerConfigs.java",
		match: match{comm: []string{"java"}, argv: []string{"kafka.Kafka", "kafka.docker.KafkaDockerWrapper"}},
	},
	{
		Name: "ZooKeeper", Asks: Asks{Backlog: 50},
		Setting: "clientPortListenBacklog", Example: "clientPortListenBacklog={n}",
		TakesEffect: Restart, Verified: true, Evidence: "src QuorumPeerConfig.java, NIOServerCnxnFactory.java",
		match: match{comm: []string{"java"}, argv: []string{"QuorumPeerMain", "ZooKeeperServerMain"}},
	},
	{
		Name: "Elasticsearch", Asks: Asks{Somaxconn: true, AtStart: true}, Setting: sysctlFirst,
		TakesEffect: Restart, Evidence: "issue elasticsearch#21840",
		match: match{comm: []string{"java"}, argv: []string{"org.elasticsearch", "org.opensearch"}},
	},
	{
		Name: "Cassandra", Asks: Asks{Somaxconn: true, AtStart: true}, Setting: sysctlFirst,
		TakesEffect: Restart, Evidence: "known",
		match: match{comm: []string{"java"}, argv: []string{"CassandraDaemon"}},
	},
	{
		Name: "RabbitMQ", Asks: Asks{Backlog: 128},
		Setting: "tcp_listen_options.backlog (also mqtt. and stomp.) in rabbitmq.conf", Example: "tcp_listen_options.backlog = {n}",
		TakesEffect: Restart, Verified: true, Evidence: "src rabbitmq.conf.example and its schema",
		match: match{comm: []string{"beam.smp"}, argv: []string{"rabbit"}},
	},
	{
		Name: "ClickHouse", Asks: Asks{Backlog: 4096},
		Setting: "listen_backlog", Example: "<listen_backlog>{n}</listen_backlog>",
		TakesEffect: Restart, Verified: true, Evidence: "src of the server settings",
		match: match{comm: []string{"clickhouse-serv", "clickhouse-server", "clickhouse"}},
	},
	{
		Name: "NATS", Asks: Asks{Somaxconn: true, AtStart: true}, Setting: sysctlFirst,
		TakesEffect: Restart, Verified: true, Evidence: "run 2.9; src server/",
		match: match{comm: []string{"nats-server"}},
	},
	{
		Name: "etcd", Asks: Asks{Somaxconn: true, AtStart: true}, Setting: sysctlFirst,
		TakesEffect: Restart, Verified: true, Evidence: "run 3.4; src client/pkg/transport/listener.go",
		match: match{comm: []string{"etcd"}},
	},
	{
		Name: "Mosquitto", Asks: Asks{Backlog: 100},
		Setting: "nothing: 100 is written in its source", TakesEffect: Rebuild, Verified: true, Evidence: "run 2.0; src src/net.c",
		match: match{comm: []string{"mosquitto"}},
	},
}
