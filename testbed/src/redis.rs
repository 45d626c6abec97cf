//! Redis servers.

use crate::{Client, Process, free_port};
use std::env;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What a [`Redis`] is started with.
#[derive(Debug, Clone)]
pub struct RedisOptions {
    /// The address that it binds.
    pub host: &'static str,
    /// `requirepass`; none when empty.
    pub password: &'static str,
    /// Further options as redis-server's command line takes them: `["--databases", "4"]`.
    pub args: Vec<String>,
    /// The core it is bound to; any when `None`.
    pub core: Option<usize>,
}

impl Default for RedisOptions {
    fn default() -> Self {
        Self { host: "127.0.0.1", password: "", args: Vec::new(), core: None }
    }
}

/// A redis-server without persistence, in a folder of its own. Ends when dropped. `CODIS_TEST_SERVER` names
/// another program to run in its place: a Valkey, or a Redis of another version.
#[derive(Debug)]
pub struct Redis {
    options: RedisOptions,
    port: u16,
    // Before its folder, where its last words are.
    process: Process,
    folder: TempDir,
}

impl Redis {
    /// Starts one with the default options.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(RedisOptions::default())
    }

    /// Starts one that asks for a password.
    #[must_use]
    pub fn start_with_password(password: &'static str) -> Self {
        Self::start_with(RedisOptions { password, ..RedisOptions::default() })
    }

    /// Starts one.
    ///
    /// # Panics
    /// When it does not come up; with what it printed.
    #[must_use]
    pub fn start_with(options: RedisOptions) -> Self {
        let folder = TempDir::with_prefix("codis-redis-").expect("a temporary folder can be made");
        let port = free_port();
        let process = launch(&options, port, folder.path());
        let mut redis = Self { options, port, folder, process };
        redis.wait_until_ready();
        redis
    }

    /// `host:port`, with brackets around an IPv6 host.
    #[must_use]
    pub fn address(&self) -> String {
        if self.options.host.contains(':') {
            format!("[{}]:{}", self.options.host, self.port)
        } else {
            format!("{}:{}", self.options.host, self.port)
        }
    }

    /// The port that it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A connection straight to it, authenticated where it asks for a password.
    #[must_use]
    pub fn client(&self) -> Client {
        let mut client = Client::connect(self.address());
        if !self.options.password.is_empty() {
            assert_eq!(client.call(&["AUTH", self.options.password]), crate::Value::ok());
        }
        client
    }

    /// Its process, to freeze or look at.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Kills it (SIGKILL); its data is gone.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again on the same port, empty, and waits until it answers.
    pub fn restart(&mut self) {
        self.process.kill();
        self.process = launch(&self.options, self.port, self.folder.path());
        self.wait_until_ready();
    }

    fn wait_until_ready(&mut self) {
        let deadline = Instant::now() + crate::PATIENCE;
        loop {
            if let Some(status) = self.process.ended() {
                panic!("redis-server ended ({status}); it printed: {}", self.process.printed());
            }
            let answer = Client::try_connect(self.address()).and_then(|mut client| {
                client.try_send(crate::encode(&["PING"]))?;
                client.try_read()
            });
            if answer.is_ok() {
                return;
            }
            assert!(Instant::now() < deadline, "redis-server does not answer: {answer:?}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

fn launch(options: &RedisOptions, port: u16, folder: &Path) -> Process {
    let mut args: Vec<String> = Vec::new();
    let mut set = |name: &str, value: &str| args.extend([name.to_owned(), value.to_owned()]);
    set("--port", &port.to_string());
    set("--bind", options.host);
    set("--dir", &folder.display().to_string());
    set("--save", "");
    set("--appendonly", "no");
    set("--maxclients", "20000");
    if !options.password.is_empty() {
        set("--requirepass", options.password);
    }
    args.extend_from_slice(&options.args);
    let program = env::var_os("CODIS_TEST_SERVER").unwrap_or_else(|| "redis-server".into());
    let program = PathBuf::from(program);
    let log = folder.join("redis.log");
    match options.core {
        None => Process::start(&program, &args, &log),
        Some(core) => Process::start_on_core(core, &program, &args, &log),
    }
}
