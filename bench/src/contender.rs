//! What is compared.

use crate::adapter::Adapter;
use codis_testbed::{Client, Process, Proxy, ProxyOptions, Redis, eventually};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The name of our own proxy.
pub const CODIS: &str = "codis-proxy";
/// The name of no proxy at all.
pub const DIRECT: &str = "direct";

/// Something that can be started and compared.
#[derive(Debug, Clone)]
pub enum Kind {
    /// codis-proxy, the program at this path.
    Codis(PathBuf),
    /// A peer.
    Peer(Adapter),
    /// No proxy: the first of the Redis servers.
    Direct,
}

/// Where and how a contender runs.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Its threads.
    pub threads: usize,
    /// The core that it is bound to; any when `None`.
    pub core: Option<usize>,
}

impl Kind {
    /// Its name in the tables.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Codis(_) => CODIS,
            Self::Peer(adapter) => &adapter.name,
            Self::Direct => DIRECT,
        }
    }

    /// Whether it can have so many threads.
    #[must_use]
    pub fn can_have(&self, threads: usize) -> bool {
        threads == 1 || !matches!(self, Self::Peer(Adapter { threads: false, .. }))
    }
}

/// codis-proxy, the peers that are installed, and no proxy; of those only the ones that are named, if any are.
///
/// # Errors
/// A sentence, when an adapter cannot be read, or a name means nobody.
pub fn contenders(proxy: &Path, peers: &Path, only: &[String]) -> Result<Vec<Kind>, String> {
    let installed = crate::adapter::adapters(peers)?.into_iter().filter(Adapter::is_installed);
    let all: Vec<Kind> = [Kind::Codis(proxy.to_owned())]
        .into_iter()
        .chain(installed.map(Kind::Peer))
        .chain([Kind::Direct])
        .collect();
    let is_known = |name: &&String| all.iter().any(|kind| kind.name() == name.as_str());
    if let Some(name) = only.iter().find(|name| !is_known(name)) {
        let known: Vec<&str> = all.iter().map(Kind::name).collect();
        return Err(format!("nobody installed is named {name}: there are {}", known.join(", ")));
    }
    let is_wanted = |kind: &Kind| only.is_empty() || only.iter().any(|name| name == kind.name());
    Ok(all.into_iter().filter(is_wanted).collect())
}

/// Something that clients connect to, running.
#[derive(Debug)]
pub struct Contender {
    /// Its name in the tables.
    pub name: String,
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    running: Running,
}

#[derive(Debug)]
enum Running {
    Codis(Box<Proxy>),
    Peer(Process, #[expect(dead_code, reason = "removed when dropped")] TempDir),
    Direct,
}

impl Contender {
    /// The proxy's process; `None` where there is no proxy.
    #[must_use]
    pub fn process(&self) -> Option<&Process> {
        match &self.running {
            Running::Codis(proxy) => Some(proxy.process()),
            Running::Peer(process, _) => Some(process),
            Running::Direct => None,
        }
    }

    /// `127.0.0.1:port`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

/// Starts a contender over `backends`.
///
/// # Panics
/// When it does not come up.
#[must_use]
pub fn start(kind: &Kind, backends: &[Redis], place: Place) -> Contender {
    let addresses: Vec<String> = backends.iter().map(Redis::address).collect();
    let (port, running) = match kind {
        Kind::Direct => (backends[0].port(), Running::Direct),
        Kind::Codis(program) => {
            let mut options =
                ProxyOptions::over(program, &addresses).set("proxy_max_clients = 20000");
            options.ncpu = place.threads;
            options.core = place.core;
            let proxy = Proxy::start(&options);
            (proxy.port(), Running::Codis(Box::new(proxy)))
        }
        Kind::Peer(adapter) => start_peer(adapter, &addresses, place),
    };
    Contender { name: kind.name().to_owned(), port, running }
}

fn start_peer(adapter: &Adapter, backends: &[String], place: Place) -> (u16, Running) {
    let folder = TempDir::with_prefix("codis-bench-").expect("a temporary folder can be made");
    let filled = adapter.fill(backends, place.threads, folder.path());
    std::fs::write(folder.path().join(&adapter.file), &filled.config)
        .expect("the folder can be written");
    let output = folder.path().join("output");
    let mut process = match place.core {
        Some(core) => Process::start_on_core(core, &adapter.program, &filled.args, &output),
        None => Process::start(&adapter.program, &filled.args, &output),
    };
    eventually(&format!("{} takes connections", adapter.name), || {
        if let Some(status) = process.ended() {
            panic!("{} ended ({status}); it printed: {}", adapter.name, process.printed());
        }
        Client::try_connect(("127.0.0.1", filled.port)).is_ok()
    });
    (filled.port, Running::Peer(process, folder))
}
