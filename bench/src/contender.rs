//! What is compared.

use codis_testbed::{Client, Process, Proxy, ProxyOptions, Redis, eventually, free_port};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Which program a contender is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// codis-proxy with one shard.
    Codis,
    /// Twemproxy, as Debian packs it.
    Nutcracker,
    /// No proxy: the first of the Redis servers.
    Direct,
}

impl Kind {
    /// Its name in the tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Codis => "codis-proxy",
            Self::Nutcracker => "nutcracker",
            Self::Direct => "direct",
        }
    }
}

/// Something that clients connect to, running.
#[derive(Debug)]
pub struct Contender {
    /// Which program it is.
    pub kind: Kind,
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    running: Running,
}

#[derive(Debug)]
enum Running {
    Codis(Box<Proxy>),
    Nutcracker(Process, #[expect(dead_code, reason = "removed when dropped")] TempDir),
    Direct,
}

impl Contender {
    /// The proxy's process; `None` where there is no proxy.
    #[must_use]
    pub fn process(&self) -> Option<&Process> {
        match &self.running {
            Running::Codis(proxy) => Some(proxy.process()),
            Running::Nutcracker(process, _) => Some(process),
            Running::Direct => None,
        }
    }

    /// `127.0.0.1:port`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

/// Starts a contender over `backends`, bound to `core`. `proxy` is the program of codis-proxy.
///
/// # Panics
/// When it does not come up.
#[must_use]
pub fn start(kind: Kind, proxy: &Path, backends: &[Redis], core: usize) -> Contender {
    let addresses: Vec<String> = backends.iter().map(Redis::address).collect();
    match kind {
        Kind::Direct => Contender { kind, port: backends[0].port(), running: Running::Direct },
        Kind::Codis => {
            let mut options =
                ProxyOptions::over(proxy, &addresses).set("proxy_max_clients = 20000");
            options.core = Some(core);
            let proxy = Proxy::start(&options);
            Contender { kind, port: proxy.port(), running: Running::Codis(Box::new(proxy)) }
        }
        Kind::Nutcracker => start_nutcracker(&addresses, core),
    }
}

fn start_nutcracker(backends: &[String], core: usize) -> Contender {
    let folder = TempDir::with_prefix("codis-bench-").expect("a temporary folder can be made");
    let (port, stats_port) = (free_port(), free_port());
    let servers: String = backends.iter().map(|address| format!("   - {address}:1\n")).collect();
    let config = include_str!("../nutcracker.yml")
        .replace("@PORT@", &port.to_string())
        .replace("@SERVERS@\n", &servers);
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("nutcracker.yml"), config).expect("the folder can be written");
    let args = [
        ("-c", path("nutcracker.yml")),
        ("-o", path("nutcracker.log")),
        ("-p", path("nutcracker.pid")),
        ("-s", stats_port.to_string()),
        ("-a", "127.0.0.1".to_owned()),
    ];
    let args: Vec<String> =
        args.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]).collect();
    let output = folder.path().join("output");
    let process = Process::start_on_core(core, &PathBuf::from("nutcracker"), &args, &output);
    eventually("nutcracker takes connections", || Client::try_connect(("127.0.0.1", port)).is_ok());
    Contender { kind: Kind::Nutcracker, port, running: Running::Nutcracker(process, folder) }
}
