//! The table of settings: every key of the file with what it means, its default and when a change
//! takes effect. The struct, its defaults, `--default-config`, CONFIG GET and SET and the JSON page
//! all come from this one list; only the ranges of values are elsewhere, in `check`.

use super::embedded::Embedded;
use super::listen::ProtoType;
use crate::command::REDIS_VERSION;
use crate::users::Users;
use codis_service::config::{ByteSize, Period, Secret, SlowThreshold};
use codis_service::settings;
use std::time::Duration;

const KB: u64 = 1 << 10;
const MB: u64 = 1 << 20;
const GB: u64 = 1 << 30;

/// Why the keys of jodis are ignored.
const JODIS: &str = "the proxy does not register in ZooKeeper or etcd; give clients the addresses of \
                     the proxies, or one address in front of them";
/// Why the keys of the Go runtime's memory are ignored.
const GO_MEMORY: &str = "it tuned the memory of the Go runtime, and there is none here";
/// Why the buffer sizes are ignored.
const BUFFERS: &str = "buffers grow and shrink with what is in them, and an idle connection has none; \
                       see session_output_soft and backend_output_max for the limits";

settings! {
    /// Every setting of the proxy.
    #[derive(Debug, Clone, PartialEq)]
    pub struct ProxyConfig / KEYS {
        /// The product that the proxy belongs to.
        (Restart) product_name: String = "codis-demo".into();
        /// The password of the product's Redis servers. Empty for none.
        (Restart) product_auth: Secret = Secret::default();
        /// The password that clients must give by AUTH before any other command. Empty for none.
        /// A new password counts for the next AUTH; sessions that are in stay in.
        (Live) session_auth: Secret = Secret::default();
        /// Users and what each may do, a section [[users]] for each: name, passwords (a list of their SHA-256 in
        /// hex) or no_password, commands (rules such as "+@read -keys +client|id"), keys (patterns such as
        /// "app:*" or "%R~app:*"), channels (patterns) and enabled. Without any, there is the default user, who
        /// may do everything and whose password is session_auth.
        (Restart) users: Users = Users::default();
        /// Where the admin HTTP pages are served: host:port, TCP only.
        (Restart) admin_addr: String = "0.0.0.0:11080".into();
        /// How clients connect: "tcp", "tcp4", "tcp6" or "unix".
        (Restart) proto_type: ProtoType = ProtoType::Tcp4;
        /// Where clients connect: host:port, or the path of a unix socket.
        (Restart) proxy_addr: String = "0.0.0.0:19000".into();

        /// The members of the metadata group that says which server has which slot: "host:port" each. One is
        /// enough to find the others, but it may be down when the proxy starts. Empty for none.
        (Restart) meta_addr: Vec<String> = Vec::new();
        /// The CA that the members' certificates are checked against, a PEM file. Empty for no TLS.
        (Restart) meta_tls_ca: String = String::new();
        /// Where the proxy keeps its token and its last topology, to start from while the group is down.
        /// Used only with a metadata group.
        (Restart) data_dir: String = "codis-proxy-data".into();

        /// Was the kind of the jodis coordinator.
        (Ignored(JODIS)) jodis_name: String = String::new();
        /// Was the address of the jodis coordinator.
        (Ignored(JODIS)) jodis_addr: String = String::new();
        /// Was the password of the jodis coordinator.
        (Ignored(JODIS)) jodis_auth: Secret = Secret::default();
        /// Was the session timeout of the jodis coordinator.
        (Ignored(JODIS)) jodis_timeout: Period = Period::from_secs(20);
        /// Was whether jodis nodes were laid out as Codis 2 did.
        (Ignored(JODIS)) jodis_compatible: bool = false;

        /// The data center that the proxy is in. Replicas of the same one are preferred for reads.
        (Restart) proxy_datacenter: String = String::new();
        /// The most sessions (client connections) at a time; one more is answered with an error and closed.
        (Live) proxy_max_clients: usize = 10_000;
        /// Was a limit on memory outside the Go heap.
        (Ignored(GO_MEMORY)) proxy_max_offheap_size: ByteSize = ByteSize(GB);
        /// Was memory held to make the Go collector run less.
        (Ignored(GO_MEMORY)) proxy_heap_placeholder: ByteSize = ByteSize(256 * MB);

        /// How often each idle server connection is checked by PING. 0 for never.
        (Live) backend_ping_period: Period = Period::from_secs(5);
        /// Was the size of the buffer to read from a server.
        (Ignored(BUFFERS)) backend_recv_bufsize: ByteSize = ByteSize(128 * KB);
        /// How long a server may take to answer a request before its connection is given up. 0 for ever.
        (Live) backend_recv_timeout: Period = Period::from_secs(30);
        /// Was the size of the buffer to write to a server.
        (Ignored(BUFFERS)) backend_send_bufsize: ByteSize = ByteSize(128 * KB);
        /// How long a server may take no bytes before its connection is given up. 0 for ever.
        (Live) backend_send_timeout: Period = Period::from_secs(30);
        /// The most requests that may wait for a reply on one server connection; sessions wait for a place.
        (Live) backend_max_pipeline: usize = 20_480;
        /// Whether replicas are never read from.
        (Live) backend_primary_only: bool = false;
        /// Connections to each master, on each shard and for each database in use.
        (Restart) backend_primary_parallel: usize = 1;
        /// Connections to each replica, on each shard and for each database in use.
        (Restart) backend_replica_parallel: usize = 1;
        /// The most server connections on each shard that are one session's own for a while: for commands that
        /// block, and for WATCH. A session that needs one more gets an error.
        (Live) backend_dedicated_max: usize = 4096;
        /// Whether clients may run commands that administer single servers: DEBUG, and CODIS.SERVER
        /// with CONFIG, SLOWLOG, CLIENT, BGSAVE and their like.
        (Live) backend_admin_commands: bool = false;
        /// How long a server connection is silent before the kernel probes it (TCP keepalive). 0 for never.
        /// A new value counts for connections made from then on.
        (Live) backend_keepalive_period: Period = Period::from_secs(75);
        /// How many databases the servers have; SELECT takes numbers below it.
        (Restart) backend_number_databases: u32 = 16;
        /// How long connecting to a server may take, the handshake included.
        (Live) backend_connect_timeout: Period = Period::from_secs(3);
        /// The longest pause between two attempts to connect to a server that fails. Pauses start short
        /// and grow to this.
        (Live) backend_reconnect_max: Period = Period::from_millis(500);
        /// How many bytes may wait to be sent to one server; sessions that want to send more to it wait.
        (Live) backend_output_max: ByteSize = ByteSize(64 * MB);

        /// Was the size of the buffer to read from a client.
        (Ignored(BUFFERS)) session_recv_bufsize: ByteSize = ByteSize(128 * KB);
        /// How long a session may send nothing before it is closed. 0 for ever.
        (Live) session_recv_timeout: Period = Period::from_secs(30 * 60);
        /// Was the size of the buffer to write to a client.
        (Ignored(BUFFERS)) session_send_bufsize: ByteSize = ByteSize(64 * KB);
        /// How long a client may take no bytes of its replies before its session is closed. 0 for ever.
        (Live) session_send_timeout: Period = Period::from_secs(30);
        /// The most requests of one session at a time; a client that sends more is read from later.
        (Live) session_max_pipeline: usize = 10_000;
        /// How long a session is silent before the kernel probes it (TCP keepalive). 0 for never.
        /// A new value counts for sessions opened from then on.
        (Live) session_keepalive_period: Period = Period::from_secs(75);
        /// Whether a session is closed when one of its requests fails in the proxy. It gets an error
        /// reply otherwise.
        (Live) session_break_on_failure: bool = false;
        /// The version of Redis that clients are told by HELLO and INFO. Some libraries use only what it
        /// has: give the lowest version of the servers.
        (Live) session_redis_version: String = REDIS_VERSION.into();
        /// A session with more bytes of unsent replies than this is not read from until they are sent.
        (Live) session_output_soft: ByteSize = ByteSize(16 * MB);
        /// A session with more bytes of unsent replies than this is closed.
        (Live) session_output_hard: ByteSize = ByteSize(GB);
        /// A session with more bytes of requests that have not run than this is closed (Redis's
        /// client-query-buffer-limit).
        (Live) session_input_max: ByteSize = ByteSize(GB);
        /// The longest single argument that a request may have (Redis's proto-max-bulk-len).
        (Live) proto_max_bulk: ByteSize = ByteSize(512 * MB);

        /// Requests that take at least this long go to the slow log. "0" logs all of them, "off" none.
        /// A number without a unit counts microseconds, as in Redis.
        (Live) slowlog_log_slower_than: SlowThreshold = SlowThreshold(Some(Duration::from_millis(10)));
        /// How many requests the slow log keeps, on each shard.
        (Live) slowlog_max_len: usize = 128;
        /// How many clients may run MONITOR at a time, all shards together. 0 for none.
        (Live) monitor_max_clients: usize = 10;
        /// A client that runs MONITOR is closed when more bytes than this are unsent.
        (Live) monitor_output_max: ByteSize = ByteSize(64 * MB);
        /// How long requests in flight may take to be answered when the proxy is told to stop.
        (Live) shutdown_timeout: Period = Period::from_secs(10);

        /// Where to send the proxy's stats as JSON by HTTP POST, such as "http://localhost:28000". Empty
        /// for nowhere.
        (Restart) metrics_report_server: String = String::new();
        /// How often to send them; less than a second counts as one.
        (Restart) metrics_report_period: Period = Period::from_secs(1);
        /// Where to send stats as InfluxDB lines, such as "http://localhost:8086". Empty for nowhere.
        (Restart) metrics_report_influxdb_server: String = String::new();
        /// How often to send them; less than a second counts as one.
        (Restart) metrics_report_influxdb_period: Period = Period::from_secs(1);
        /// The user at InfluxDB.
        (Restart) metrics_report_influxdb_username: String = String::new();
        /// That user's password.
        (Restart) metrics_report_influxdb_password: Secret = Secret::default();
        /// The database at InfluxDB.
        (Restart) metrics_report_influxdb_database: String = String::new();
        /// Where to send stats by UDP in statsd's format, such as "localhost:8125". Empty for nowhere.
        (Restart) metrics_report_statsd_server: String = String::new();
        /// How often to send them; less than a second counts as one.
        (Restart) metrics_report_statsd_period: Period = Period::from_secs(1);
        /// What the names of the stats begin with in statsd.
        (Restart) metrics_report_statsd_prefix: String = String::new();
    }
    sections {
        /// A member of the metadata group inside the proxy's process, so that it needs no codis-meta beside
        /// it. The keys are those of meta.toml; product_name and product_auth are the proxy's.
        meta: Embedded;
    }
}
