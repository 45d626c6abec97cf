//! A `redis-server` of the test's own.

use crate::facts;
use crate::server::{Client, Value};
use codis_proxy::command::REDIS_VERSION;
use std::io::Write;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A running server; it ends with this value.
pub(crate) struct Redis {
    child: Child,
    /// A connection to it.
    pub(crate) client: Client,
}

impl Redis {
    /// Starts a server on a free port of this machine.
    pub(crate) fn start() -> Self {
        // Another process may take the port between the look and the start: then try another.
        for _ in 0..10 {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
            let port = listener
                .local_addr()
                .expect("a bound socket has an address")
                .port();
            drop(listener);
            let child = Command::new("redis-server")
                .args([
                    "--port",
                    &port.to_string(),
                    "--bind",
                    "127.0.0.1",
                    "--save",
                    "",
                ])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .spawn()
                .expect("these tests need redis-server on the PATH");
            if let Some(redis) = Self::reach(child, &format!("127.0.0.1:{port}")) {
                return redis;
            }
        }
        panic!("no redis-server could be started");
    }

    /// Connects to the server once it listens; nothing if it ended instead.
    fn reach(mut child: Child, address: &str) -> Option<Self> {
        loop {
            if child.try_wait().expect("the server is our child").is_some() {
                return None;
            }
            if let Ok(client) = Client::connect(address) {
                return Some(Self { child, client });
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Starts a server, if it is of the version that the table was made from (7.0 of any patch
    /// level): others have other commands and other words.
    pub(crate) fn start_of_the_table_s_version() -> Option<Self> {
        let mut redis = Self::start();
        let version = facts::version(&mut redis.client).expect("INFO");
        let minor = |version: &str| version.rsplit_once('.').map(|(minor, _)| minor.to_owned());
        if minor(&version) == minor(REDIS_VERSION) {
            return Some(redis);
        }
        let notice =
            format!("not compared: the table is of redis {REDIS_VERSION}, not {version}\n");
        std::io::stderr()
            .write_all(notice.as_bytes())
            .expect("stderr is open");
        None
    }

    /// One request and its reply.
    pub(crate) fn ask<A: AsRef<[u8]>>(&mut self, args: &[A]) -> Value {
        self.client.ask(args).expect("the server answers")
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It may have ended by itself; either way there is nothing left to do about it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
