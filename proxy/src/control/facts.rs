//! What does not change while the process runs: who it is, where it listens, when it started.

use crate::config::ProxyConfig;
use serde::Serialize;
use std::net::SocketAddr;
use std::path::Path;
use time::OffsetDateTime;
use time::format_description::FormatItem;
use time::macros::format_description;
use tokio::time::Instant;

/// The version of Redis whose commands, replies and INFO fields are followed. Client libraries look
/// at it to decide what they may send.
pub const REDIS_COMPATIBLE_VERSION: &str = "7.0.15";

/// The version of this proxy.
pub const CODIS_VERSION: &str = env!("CARGO_PKG_VERSION");

/// Facts about this process, gathered once at start.
#[derive(Debug, Clone)]
pub struct Facts {
    /// What names this proxy within its product: 32 hexadecimal digits. By chance, and the first of `run_id`; where a
    /// metadata group is followed, those that its data directory has kept.
    pub token: String,
    /// Redis's name for a run of a server: 40 hexadecimal digits, by chance.
    pub run_id: String,
    /// When the process started.
    pub started: OffsetDateTime,
    /// The same moment for measuring how long ago it was.
    pub started_at: Instant,
    /// The machine's name.
    pub hostname: String,
    /// Where others reach the admin pages: as bound, unless [`Self::shown_as`] says otherwise.
    pub admin_addr: String,
    /// Where clients connect, in the same way: `ip:port`, or a path.
    pub proxy_addr: String,
    /// The process's id.
    pub pid: u32,
    /// The working directory.
    pub pwd: String,
    /// The operating system: name, release and machine, as `uname -srm` prints them.
    pub os: String,
    /// The same with the machine's name and the kernel's build, as `uname -a` prints it.
    pub sys: String,
    /// The program that runs.
    pub executable: String,
    /// The configuration file; empty without one.
    pub config_file: String,
    /// The core of each shard.
    pub cores: Vec<usize>,
}

impl Facts {
    /// Gathers the facts of this process. `admin` and `proxy` are the addresses as bound, `cores` the
    /// core of each shard.
    #[must_use]
    pub fn gather(
        admin: SocketAddr,
        proxy: &str,
        cores: Vec<usize>,
        config_file: Option<&Path>,
    ) -> Self {
        let uname = rustix::system::uname();
        let text = |name: &std::ffi::CStr| name.to_string_lossy().into_owned();
        let (os, host) = (text(uname.sysname()), text(uname.nodename()));
        let (release, machine) = (text(uname.release()), text(uname.machine()));
        let run_id = random_hex(20);
        let path = |path: std::io::Result<std::path::PathBuf>| {
            path.map(|path| path.display().to_string()).unwrap_or_default()
        };
        Self {
            token: run_id[..32].to_owned(),
            run_id,
            started: OffsetDateTime::now_utc(),
            started_at: Instant::now(),
            admin_addr: reachable(admin, &host),
            proxy_addr: proxy.parse().map_or_else(|_| proxy.to_owned(), |ip| reachable(ip, &host)),
            pid: std::process::id(),
            pwd: path(std::env::current_dir()),
            os: format!("{os} {release} {machine}"),
            sys: format!("{os} {host} {release} {} {machine}", text(uname.version())),
            hostname: host,
            executable: path(std::env::current_exe()),
            config_file: config_file.map(|path| path.display().to_string()).unwrap_or_default(),
            cores,
        }
    }

    /// The same with other addresses to show, where they are given: those by which others reach the proxy when they
    /// are not the bound ones.
    #[must_use]
    pub fn shown_as(mut self, admin: Option<&str>, proxy: Option<&str>) -> Self {
        if let Some(admin) = admin {
            admin.clone_into(&mut self.admin_addr);
        }
        if let Some(proxy) = proxy {
            proxy.clone_into(&mut self.proxy_addr);
        }
        self
    }

    /// The port that clients connect to; 0 for a unix socket.
    #[must_use]
    pub fn tcp_port(&self) -> u16 {
        let port = self.proxy_addr.rsplit_once(':').map(|(_, port)| port.parse());
        port.and_then(Result::ok).unwrap_or(0)
    }

    /// Seconds since the start.
    #[must_use]
    pub fn uptime_s(&self) -> u64 {
        self.started_at.elapsed().as_secs()
    }

    /// What Codis's pages call the model of a proxy.
    #[must_use]
    pub fn model(&self, config: &ProxyConfig) -> Model<'_> {
        Model {
            token: &self.token,
            start_time: time_text(self.started),
            admin_addr: &self.admin_addr,
            proto_type: config.proto_type.to_string(),
            proxy_addr: &self.proxy_addr,
            product_name: config.product_name.clone(),
            pid: self.pid,
            pwd: &self.pwd,
            sys: &self.sys,
            hostname: &self.hostname,
            datacenter: config.proxy_datacenter.clone(),
        }
    }
}

/// Who a proxy is, with Codis's keys in Codis's order.
#[derive(Debug, Serialize)]
pub struct Model<'a> {
    token: &'a str,
    start_time: String,
    admin_addr: &'a str,
    proto_type: String,
    proxy_addr: &'a str,
    product_name: String,
    pid: u32,
    pwd: &'a str,
    sys: &'a str,
    hostname: &'a str,
    datacenter: String,
}

/// A moment as Codis writes it.
pub(super) fn time_text(at: OffsetDateTime) -> String {
    const FORMAT: &[FormatItem<'_>] = format_description!(
        "[year]-[month]-[day] [hour]:[minute]:[second].[subsecond digits:9] +0000 UTC"
    );
    at.format(FORMAT).unwrap_or_default()
}

/// Where others reach a socket bound to `bound`: the machine's name in place of "any address".
fn reachable(bound: SocketAddr, hostname: &str) -> String {
    if bound.ip().is_unspecified() && !hostname.is_empty() {
        format!("{hostname}:{}", bound.port())
    } else {
        bound.to_string()
    }
}

/// `bytes` random bytes in hexadecimal.
fn random_hex(bytes: usize) -> String {
    let mut random = vec![0_u8; bytes];
    // The kernel's generator fails only where seccomp forbids it; a name that is unique all the same
    // comes from the user-space one.
    if rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty()) != Ok(bytes) {
        fastrand::Rng::new().fill(&mut random);
    }
    hex(&random)
}

/// `bytes` in lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(digit).collect()
}

fn digit(nibble: u8) -> char {
    char::from(b"0123456789abcdef"[usize::from(nibble)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(admin: &str, proxy: &str) -> Facts {
        Facts::gather(admin.parse().expect("an address"), proxy, vec![0], None)
    }

    #[test]
    fn each_run_has_a_token_of_its_own() {
        let (one, other) =
            (facts("127.0.0.1:1", "/run/x.sock"), facts("127.0.0.1:1", "/run/x.sock"));
        assert_eq!(one.token.len(), 32);
        assert_eq!(one.run_id.len(), 40);
        assert!(one.run_id.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_ne!(one.token, other.token);
    }

    #[test]
    fn an_address_that_means_any_is_shown_with_the_name_of_the_machine() {
        let facts = facts("0.0.0.0:11080", "[::]:19000");
        assert_eq!(facts.admin_addr, format!("{}:11080", facts.hostname));
        assert_eq!(facts.proxy_addr, format!("{}:19000", facts.hostname));
        assert_eq!(facts.tcp_port(), 19_000);
    }

    #[test]
    fn addresses_to_show_take_the_place_of_the_bound_ones() {
        let bound = facts("127.0.0.1:11080", "127.0.0.1:19000");
        let shown = bound.shown_as(Some("10.0.0.5:1"), None);
        assert_eq!(
            (shown.admin_addr.as_str(), shown.proxy_addr.as_str()),
            ("10.0.0.5:1", "127.0.0.1:19000")
        );
    }

    #[test]
    fn a_unix_socket_has_no_port() {
        assert_eq!(facts("127.0.0.1:1", "/run/codis.sock").tcp_port(), 0);
        assert_eq!(facts("127.0.0.1:1", "127.0.0.1:19000").tcp_port(), 19_000);
    }

    #[test]
    fn times_are_written_as_go_writes_them() {
        let at =
            OffsetDateTime::from_unix_timestamp_nanos(1_795_373_592_093_250_565).expect("a time");
        assert_eq!(time_text(at), "2026-11-22 18:53:12.093250565 +0000 UTC");
    }
}
