//! A proxy with Redis servers behind it, and a plain Redis server to compare it with.

use codis_proxy::slots::slot;
use codis_testbed::{Client, Proxy, ProxyOptions, Redis, Value, encode, split_words};
use std::path::Path;

/// The proxy's program, built by cargo for these tests.
pub const BINARY: &str = env!("CARGO_BIN_EXE_codis-proxy");

/// A proxy, and the servers behind it in the order of their slots.
pub struct Cluster {
    front: Front,
    pub backends: Vec<Redis>,
}

enum Front {
    Proxy(Box<Proxy>),
    /// See `CODIS_TEST_TARGET` in the head of `main.rs`.
    Redis(Redis),
}

impl Cluster {
    /// Two servers, one shard, the default configuration.
    pub fn start() -> Self {
        Self::with(|options| options)
    }

    /// Two servers and a proxy with changed options.
    pub fn with(change: impl FnOnce(ProxyOptions) -> ProxyOptions) -> Self {
        Self::over(vec![Redis::start(), Redis::start()], change)
    }

    /// The given servers and a proxy with changed options.
    pub fn over(backends: Vec<Redis>, change: impl FnOnce(ProxyOptions) -> ProxyOptions) -> Self {
        if std::env::var("CODIS_TEST_TARGET").as_deref() == Ok("redis") {
            return Self { front: Front::Redis(Redis::start()), backends };
        }
        let addresses: Vec<String> = backends.iter().map(Redis::address).collect();
        let options = change(ProxyOptions::over(Path::new(BINARY), &addresses));
        Self { front: Front::Proxy(Box::new(Proxy::start(&options))), backends }
    }

    /// A new connection.
    pub fn client(&self) -> Client {
        match &self.front {
            Front::Proxy(proxy) => proxy.client(),
            Front::Redis(redis) => redis.client(),
        }
    }

    /// Where clients connect.
    pub fn address(&self) -> String {
        match &self.front {
            Front::Proxy(proxy) => proxy.address(),
            Front::Redis(redis) => redis.address(),
        }
    }

    /// The process that is tested.
    pub fn process(&self) -> &codis_testbed::Process {
        match &self.front {
            Front::Proxy(proxy) => proxy.process(),
            Front::Redis(redis) => redis.process(),
        }
    }

    /// The proxy.
    pub fn proxy(&mut self) -> &mut Proxy {
        match &mut self.front {
            Front::Proxy(proxy) => proxy,
            Front::Redis(_) => {
                panic!("CODIS_TEST_TARGET=redis: this test is about the proxy alone")
            }
        }
    }

    /// A key that begins with `name` and lives on the server `backends[index]`.
    pub fn key_on(&self, index: usize, name: &str) -> String {
        let count = self.backends.len();
        let lives_there = |key: &String| usize::from(slot(key.as_bytes())) * count / 1024 == index;
        let found = (0..).map(|n| format!("{name}:{n}")).find(lives_there);
        found.expect("the numbers do not end before a key is found")
    }
}

/// Two connections that are sent the same and must answer the same, byte for byte.
pub struct Pair {
    pub tested: Client,
    pub reference: Client,
    servers: (Cluster, Redis),
}

impl Pair {
    /// The proxy over two servers, and one plain server.
    pub fn start() -> Self {
        Self::of(Cluster::start(), Redis::start())
    }

    /// Of the given servers.
    pub fn of(cluster: Cluster, redis: Redis) -> Self {
        Self { tested: cluster.client(), reference: redis.client(), servers: (cluster, redis) }
    }

    /// Another connection to each.
    pub fn others(&self) -> (Client, Client) {
        (self.servers.0.client(), self.servers.1.client())
    }

    /// Sends the same command to both. A line that begins with `?` answers an array whose order is the
    /// server's own.
    pub fn same(&mut self, line: &str) -> Value {
        let (unordered, line) = match line.strip_prefix('?') {
            Some(line) => (true, line),
            None => (false, line),
        };
        let words = split_words(line);
        let (mut ours, mut theirs) = (self.tested.call(&words), self.reference.call(&words));
        if unordered {
            (ours, theirs) = (ours.sorted(), theirs.sorted());
        }
        assert_eq!(ours, theirs, "`{line}`: left is the proxy's reply, right is Redis's");
        ours
    }

    /// Sends the same bytes to both and reads `replies` from each.
    pub fn same_bytes(&mut self, bytes: &[u8], replies: usize) {
        self.tested.send(bytes);
        self.reference.send(bytes);
        for i in 0..replies {
            let (ours, theirs) = (self.tested.read(), self.reference.read());
            let sent = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]);
            assert_eq!(
                ours, theirs,
                "reply {i} to {sent:?}: left is the proxy's, right is Redis's"
            );
        }
    }

    /// Sends the same command, given as bytes, to both.
    pub fn same_args<A: AsRef<[u8]>>(&mut self, args: &[A]) -> Value {
        self.same_bytes(&encode(args), 0);
        let (ours, theirs) = (self.tested.read(), self.reference.read());
        assert_eq!(ours, theirs, "left is the proxy's reply, right is Redis's");
        ours
    }
}
