//! The proxy.

use crate::{Client, HttpAnswer, PATIENCE, Process, eventually, free_port, http_get};
use std::fmt::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A run of slots that one server serves.
#[derive(Debug, Clone)]
pub struct SlotRange {
    /// The slots, out of 0..1024.
    pub slots: Range<usize>,
    /// `host:port` of the server.
    pub backend: String,
    /// The group's number.
    pub group: u32,
}

/// What a [`Proxy`] is started with.
#[derive(Debug, Clone)]
pub struct ProxyOptions {
    /// The program.
    pub binary: PathBuf,
    /// `--ncpu`.
    pub ncpu: usize,
    /// The core it may use; `None` lets it use every core. One-shard proxies of tests that run at the
    /// same time would all take the first core otherwise.
    pub core: Option<usize>,
    /// Which server serves which slot; slots that are not named are offline. A proxy without any is
    /// started without `--fillslots`: it hears of them from a metadata group.
    pub slots: Vec<SlotRange>,
    /// `product_name`.
    pub product: String,
    /// Lines of the configuration file that come before the ones made here.
    pub config: String,
    /// Tables of the configuration file, which come last.
    pub tables: String,
    /// Further arguments.
    pub args: Vec<String>,
    /// Listen on a unix socket in place of TCP.
    pub unix: bool,
}

impl ProxyOptions {
    /// A proxy with one shard whose slots are split evenly over `backends`, in order.
    #[must_use]
    pub fn over(binary: &Path, backends: &[String]) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        Self {
            binary: binary.to_owned(),
            ncpu: 1,
            core: Some(NEXT.fetch_add(1, Ordering::Relaxed) % crate::cores()),
            slots: split_evenly(backends),
            product: PRODUCT.to_owned(),
            config: String::new(),
            tables: String::new(),
            args: Vec::new(),
            unix: false,
        }
    }

    /// A proxy with one shard that follows the metadata group of these members.
    #[must_use]
    pub fn following(binary: &Path, members: &[String]) -> Self {
        Self::over(binary, &[]).set(&format!("meta_addr = {members:?}"))
    }

    /// Adds a line to the configuration file.
    #[must_use]
    pub fn set(mut self, line: &str) -> Self {
        self.config.push_str(line);
        self.config.push('\n');
        self
    }

    /// Sets the number of shards; with more than one, any core may be used.
    #[must_use]
    pub fn shards(mut self, ncpu: usize) -> Self {
        self.ncpu = ncpu;
        self.core = None;
        self
    }
}

fn split_evenly(backends: &[String]) -> Vec<SlotRange> {
    let count = backends.len();
    let range = |(i, backend): (usize, &String)| SlotRange {
        slots: 1024 * i / count..1024 * (i + 1) / count,
        backend: backend.clone(),
        group: u32::try_from(i + 1).expect("there are few backends"),
    };
    backends.iter().enumerate().map(range).collect()
}

/// The `product_name` of proxies and members that no test names otherwise.
pub(crate) const PRODUCT: &str = "test";

/// A running codis-proxy, in a folder of its own. Ends when dropped.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    admin: String,
    options: ProxyOptions,
    // Before its folder, where its last words are.
    process: Process,
    folder: TempDir,
}

impl Proxy {
    /// Starts one and waits until it takes connections.
    ///
    /// # Panics
    /// When it does not come up; with what it printed.
    #[must_use]
    pub fn start(options: &ProxyOptions) -> Self {
        let mut proxy = Self::launch(options);
        proxy.wait_until_ready();
        proxy
    }

    /// Starts one and does not wait for it.
    ///
    /// # Panics
    /// When the program cannot be run.
    #[must_use]
    pub fn launch(options: &ProxyOptions) -> Self {
        let folder = TempDir::with_prefix("codis-proxy-").expect("a temporary folder can be made");
        let (port, admin) = (free_port(), format!("127.0.0.1:{}", free_port()));
        write_files(options, folder.path(), port, &admin);
        let process = run(options, folder.path());
        Self { port, admin, options: options.clone(), process, folder }
    }

    /// Starts it again with the same files and addresses, and waits until it takes connections.
    ///
    /// # Panics
    /// When it does not come up; with what it printed.
    pub fn restart(&mut self) {
        self.process.kill();
        // The kernel closes the sockets of a ring some time after the process is gone; until then a connection would
        // reach nobody, and be reset.
        eventually("nothing listens any more", || self.try_client().is_err());
        self.process = run(&self.options, self.folder.path());
        self.wait_until_ready();
    }

    /// `127.0.0.1:port` where clients connect.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The port where clients connect.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder of its files.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A new connection to it.
    ///
    /// # Panics
    /// When it refuses.
    #[must_use]
    pub fn client(&self) -> Client {
        self.try_client().unwrap_or_else(|error| {
            panic!("cannot connect to the proxy: {error}; it printed: {}", self.process.printed())
        })
    }

    /// A new connection to it.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn try_client(&self) -> std::io::Result<Client> {
        if self.options.unix {
            Client::try_connect_unix(&self.folder.path().join("proxy.sock"))
        } else {
            Client::try_connect(self.address())
        }
    }

    /// `127.0.0.1:port` of its admin pages.
    #[must_use]
    pub fn admin_address(&self) -> &str {
        &self.admin
    }

    /// Asks its admin port.
    #[must_use]
    pub fn admin(&self, path: &str) -> HttpAnswer {
        http_get(&self.admin, path)
    }

    /// Its process, to signal or look at.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Its process, to wait for.
    #[must_use]
    pub fn process_mut(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Waits until it takes connections.
    ///
    /// # Panics
    /// When it ends instead, or takes too long; with what it printed.
    pub fn wait_until_ready(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = self.try_client() {
            if let Some(status) = self.process.ended() {
                panic!("the proxy ended ({status}); it printed: {}", self.process.printed());
            }
            let printed = || self.process.printed();
            assert!(
                Instant::now() < deadline,
                "no connection ({error}); it printed: {}",
                printed()
            );
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

fn write_files(options: &ProxyOptions, folder: &Path, port: u16, admin: &str) {
    let ProxyOptions { config, product, tables, .. } = options;
    let (kind, listen) = match options.unix {
        true => ("unix", folder.join("proxy.sock").display().to_string()),
        false => ("tcp4", format!("127.0.0.1:{port}")),
    };
    let config = format!(
        "{config}product_name = \"{product}\"\nproto_type = \"{kind}\"\nproxy_addr = \"{listen}\"\n\
         admin_addr = \"{admin}\"\ndata_dir = {:?}\n{tables}",
        folder.join("data")
    );
    std::fs::write(folder.join("proxy.toml"), config).expect("the folder can be written");
    std::fs::write(folder.join("slots.json"), slots_json(&options.slots))
        .expect("the folder can be written");
}

fn run(options: &ProxyOptions, folder: &Path) -> Process {
    let path = |name: &str| folder.join(name).display().to_string();
    let mut args = vec![format!("--ncpu={}", options.ncpu), "-c".to_owned(), path("proxy.toml")];
    if !options.slots.is_empty() {
        args.push(format!("--fillslots={}", path("slots.json")));
    }
    args.extend_from_slice(&options.args);
    let log = folder.join("output");
    match options.core {
        None => Process::start(&options.binary, &args, &log),
        Some(core) => Process::start_on_core(core, &options.binary, &args, &log),
    }
}

/// Codis's list of slots, as `--fillslots` takes it.
fn slots_json(ranges: &[SlotRange]) -> String {
    let mut json = String::from("[");
    for range in ranges {
        for slot in range.slots.clone() {
            let comma = if json.len() == 1 { "" } else { "," };
            let SlotRange { backend, group, .. } = range;
            let entry = format_args!(
                "{comma}\n{{\"id\":{slot},\"backend_addr\":\"{backend}\",\"backend_addr_group_id\":{group}}}"
            );
            json.write_fmt(entry).expect("a string can be written to");
        }
    }
    json.push_str("\n]\n");
    json
}

#[cfg(test)]
mod tests {
    use super::{slots_json, split_evenly};

    #[test]
    fn slots_are_split_evenly_and_none_is_left_out() {
        let ranges = split_evenly(&["a:1".into(), "b:2".into(), "c:3".into()]);
        let slots: Vec<usize> = ranges.iter().flat_map(|range| range.slots.clone()).collect();
        assert_eq!(slots, (0..1024).collect::<Vec<_>>());
        assert!(ranges.iter().all(|range| (341..=342).contains(&range.slots.len())));
    }

    #[test]
    fn the_slots_file_names_each_slot_with_its_server_and_group() {
        let json = slots_json(&split_evenly(&["a:1".into(), "b:2".into()]));
        assert_eq!(json.matches("\"id\"").count(), 1024);
        assert!(json.contains("{\"id\":511,\"backend_addr\":\"a:1\",\"backend_addr_group_id\":1}"));
        assert!(json.contains("{\"id\":512,\"backend_addr\":\"b:2\",\"backend_addr_group_id\":2}"));
    }
}
