//! A proxy over two servers, and one server beside it: both are sent the same.

use crate::compare::Comparison;
use crate::generate::{Call, Generator};
use codis_testbed::{Client, Proxy, ProxyOptions, Redis, Value, encode};
use fastrand::Rng;
use std::fmt::Write;
use std::path::Path;

/// How many commands a sequence has, at least; all of its keys have one tag.
const SEQUENCE_LEN: usize = 120;

/// Tags: enough for both servers, few enough for keys to be met again.
const TAGS: usize = 16;

/// Commands that are sent without waiting for replies, at most.
const PIPELINE_MAX: usize = 48;

/// How many of the calls before a difference are shown.
const SHOWN_CALLS: usize = 60;

/// Databases that commands may have touched.
const DATABASES: [&str; 3] = ["1", "15", "0"];

/// What is compared, and the connections to it.
pub struct World {
    tested: Client,
    reference: Client,
    dump: Vec<u8>,
    proxy: Proxy,
    redis: Redis,
    backends: [Redis; 2],
}

impl World {
    pub fn start() -> Self {
        let backends = [Redis::start(), Redis::start()];
        let addresses: Vec<String> = backends.iter().map(Redis::address).collect();
        let binary = Path::new(env!("CARGO_BIN_EXE_codis-proxy"));
        let proxy = Proxy::start(&ProxyOptions::over(binary, &addresses));
        let redis = Redis::start();
        let mut reference = redis.client();
        reference.call(&["SET", "dumped", "value"]);
        let Value::Bulk(dump) = reference.call(&["DUMP", "dumped"]) else {
            panic!("the server does not dump");
        };
        reference.call(&["DEL", "dumped"]);
        Self { tested: proxy.client(), reference, dump, proxy, redis, backends: backends }
    }

    /// Runs one sequence; answers how many commands it had, or the difference that it met.
    pub fn run_sequence(&mut self, generator: &Generator, seed: u64) -> Result<usize, String> {
        let mut rng = Rng::with_seed(seed);
        let tag = format!("t{}", rng.usize(..TAGS));
        let mut calls = vec![Call {
            comparison: Comparison::Type,
            ..Call::exact(&["HELLO", rng.choice(["2", "3"]).unwrap_or("3")])
        }];
        while calls.len() < SEQUENCE_LEN {
            calls.extend(generator.next(&mut rng, &tag, &self.dump));
        }
        for database in DATABASES {
            calls.push(Call::exact(&["SELECT", database]));
            let mut del = vec![b"DEL".to_vec()];
            del.extend(crate::arguments::keys(&tag));
            calls.push(Call::exact(&del));
        }
        let mut done = 0;
        while done < calls.len() {
            let depth = rng.usize(1..=PIPELINE_MAX).min(calls.len() - done);
            self.compare(&calls, done, depth).map_err(|words| format!("seed {seed}: {words}"))?;
            done += depth;
        }
        Ok(done)
    }

    fn compare(&mut self, calls: &[Call], first: usize, count: usize) -> Result<(), String> {
        let bytes: Vec<u8> =
            calls[first..][..count].iter().flat_map(|call| encode(&call.args)).collect();
        self.tested.send(&bytes);
        self.reference.send(&bytes);
        for place in first..first + count {
            let call = &calls[place];
            let (ours, theirs) = (self.tested.try_read(), self.reference.try_read());
            let (ours, theirs) = match (ours, theirs) {
                (Ok(ours), Ok(theirs)) => (ours, theirs),
                (ours, theirs) => {
                    return Err(difference(
                        calls,
                        place,
                        &format!("{ours:?}"),
                        &format!("{theirs:?}"),
                    ));
                }
            };
            if !call.comparison.holds(&ours, &theirs) {
                return Err(difference(calls, place, &format!("{ours:?}"), &format!("{theirs:?}")));
            }
        }
        Ok(())
    }

    /// Begins anew after a difference.
    pub fn clean(&mut self) {
        self.tested = self.proxy.client();
        self.reference = self.redis.client();
        for server in self.backends.iter().chain([&self.redis]) {
            server.client().run("FLUSHALL");
        }
    }
}

/// What there is to say of a difference.
fn difference(calls: &[Call], place: usize, ours: &str, theirs: &str) -> String {
    let mut words = format!("\n  {}\n", calls[place].text());
    let _ = write!(words, "  the proxy answered {ours}\n  Redis answered     {theirs}\n  after:\n");
    for call in &calls[place.saturating_sub(SHOWN_CALLS)..place] {
        let _ = writeln!(words, "    {}", call.text());
    }
    words
}
