//! A server of Codis: Redis 3.2 with commands of its own, in front of a Redis of today.
//!
//! It refuses what Redis 3.2 does not know - commands, arguments, what scripts may do - and answers what Codis added to
//! move keys as that does: SLOTSMGRTONE sends a key by SLOTSRESTORE, which overwrites, and gives the password that it
//! asks for itself. What it writes is of the format of its time, and what is newer it does not read. Each connection
//! has one of its own to the Redis behind it, so that CLIENT LIST and CLIENT KILL are about the same.
//!
//! [`session`] is a connection to it, [`way_out`] one that it makes to another server to move keys there,
//! [`commands`] what it knows, [`payload`] the format of DUMP.

mod commands;
mod payload;
mod session;
mod way_out;

use crate::{Client, Redis, RedisOptions, Value, free_port};
use std::collections::HashMap;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// The version that it says it is of.
const VERSION: &str = "3.2.11";

/// See the module's head. Ends when dropped.
#[derive(Debug)]
pub struct CodisServer {
    redis: Redis,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    password: &'static str,
    /// Where it listens, where its moves go out, and where the Redis behind it listens.
    port: u16,
    way_out: u16,
    inside: String,
    state: Mutex<State>,
    /// What other servers answer to moves does not come through.
    loses_answers: AtomicBool,
    closed: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    run_id: String,
    /// Scripts by their SHA1.
    scripts: HashMap<Vec<u8>, Vec<u8>>,
    /// By connection, the command that it sent last.
    last: HashMap<i64, String>,
    /// Connections to other servers, with the one that the Redis behind has to this.
    ways: Vec<TcpStream>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cut_ways(&self) {
        for way in std::mem::take(&mut self.state().ways) {
            // An error means that it is closed already.
            let _ = way.shutdown(Shutdown::Both);
        }
    }
}

impl CodisServer {
    /// Starts one without a password.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with_password("")
    }

    /// Starts one that asks for a password, and gives it when it moves keys; for none when empty.
    ///
    /// # Panics
    /// When no port can be had, or the Redis behind it does not come up.
    #[must_use]
    pub fn start_with_password(password: &'static str) -> Self {
        let redis = Redis::start_with(RedisOptions::default());
        let listen = || {
            let listener = TcpListener::bind(("127.0.0.1", free_port())).expect("the port is free");
            let port = listener.local_addr().expect("it is bound").port();
            (listener, port)
        };
        let ((front, port), (back, way_out)) = (listen(), listen());
        let inside = redis.address();
        let shared = Shared { password, port, way_out, inside, ..Shared::default() };
        let shared = Arc::new(shared);
        let (of_front, of_back) = (Arc::clone(&shared), Arc::clone(&shared));
        thread::spawn(move || session::accept(&front, &of_front));
        thread::spawn(move || way_out::accept(&back, &of_back));
        let server = Self { redis, shared };
        server.begin_run();
        server
    }

    /// What a run of a server begins with.
    fn begin_run(&self) {
        let mut client = self.redis.client();
        let port = self.shared.port.to_string();
        // As it was then: replicas are answered at once.
        for (name, value) in
            [("replica-announce-port", port.as_str()), ("repl-diskless-sync", "no")]
        {
            assert_eq!(client.call(&["CONFIG", "SET", name, value]), Value::ok());
        }
        let info = client.run("INFO server").text();
        let id = info.lines().find_map(|line| line.strip_prefix("run_id:"));
        let mut state = self.shared.state();
        state.run_id = id.expect("it has a run id").trim().to_owned();
        state.scripts.clear();
    }

    /// `host:port`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.shared.port)
    }

    /// A connection to it, authenticated where it asks for a password.
    #[must_use]
    pub fn client(&self) -> Client {
        let mut client = Client::connect(self.address());
        if !self.shared.password.is_empty() {
            assert_eq!(client.call(&["AUTH", self.shared.password]), Value::ok());
        }
        client
    }

    /// The Redis behind it, to look at the data with all that a Redis of today can do, or to freeze it.
    #[must_use]
    pub fn inside(&self) -> &Redis {
        &self.redis
    }

    /// Starts it again on the same port, empty.
    pub fn restart(&mut self) {
        self.redis.restart();
        self.begin_run();
    }

    /// Cuts every connection by which it moves keys.
    pub fn cut_ways_out(&self) {
        self.shared.cut_ways();
    }

    /// Whether other servers take the keys that it moves, and their answers get lost.
    pub fn lose_answers(&self, on: bool) {
        self.shared.loses_answers.store(on, SeqCst);
    }
}

impl Drop for CodisServer {
    fn drop(&mut self) {
        self.shared.closed.store(true, SeqCst);
        self.shared.cut_ways();
        // Wakes the threads that accept, which see `closed` and end.
        for port in [self.shared.port, self.shared.way_out] {
            let _ = TcpStream::connect(("127.0.0.1", port));
        }
    }
}

#[cfg(test)]
mod tests;
