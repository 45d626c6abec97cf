//! A proxy over two servers, and one server beside it: both are sent the same.

use crate::compare::Comparison;
use crate::generate::{Call, Generator};
use codis_proxy::command::REDIS_VERSION;
use codis_testbed::{Client, Proxy, ProxyOptions, Redis, Value, encode};
use fastrand::Rng;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::io;
use std::path::Path;

/// How many commands a sequence has, at least; all of its keys have one tag.
const SEQUENCE_LEN: usize = 120;

/// Tags: enough for both servers, few enough for keys to be met again.
const TAGS: usize = 16;

/// Commands that are sent without waiting for replies, at most.
const PIPELINE_MAX: usize = 48;

/// How many of the calls before a difference are shown.
const SHOWN_CALLS: usize = 60;

/// A walk over all keys takes less than this.
const WALK_STEPS_MAX: usize = 10_000;

/// Databases that commands may have touched.
const DATABASES: [&str; 3] = ["1", "15", "0"];

/// What is compared, and the connections to it.
pub struct World {
    tested: Client,
    reference: Client,
    dump: Vec<u8>,
    /// The server has the words of the version that the proxy's are of.
    same_words: bool,
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
        let info = reference.run("INFO server").text();
        let minor = |version: &str| version.rsplit_once('.').map(|(minor, _)| minor.to_owned());
        let is_same = |line: &str| {
            let version = line.strip_prefix("redis_version:");
            version.is_some_and(|version| minor(version) == minor(REDIS_VERSION))
        };
        let same_words = info.lines().any(is_same) && !info.contains("server_name:valkey");
        if !same_words {
            println!(
                "a server with other words than Redis {REDIS_VERSION}: errors are equal by their first word"
            );
        }
        Self { tested: proxy.client(), reference, dump, same_words, proxy, redis, backends }
    }

    /// The names of the server's commands.
    pub fn commands(&mut self) -> BTreeSet<String> {
        let list = self.reference.run("COMMAND LIST");
        list.items().iter().map(Value::text).collect()
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
            let most = rng.usize(1..=PIPELINE_MAX).min(calls.len() - done);
            // What walks over keys must not meet what is sent behind it.
            let walk = calls[done..][..most].iter().position(|c| c.comparison == Comparison::Walk);
            let depth = walk.map_or(most, |place| place + 1);
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
            let (mut ours, mut theirs) = (self.tested.try_read(), self.reference.try_read());
            if call.comparison == Comparison::Walk {
                ours = ours.and_then(|reply| walk(&mut self.tested, call, reply));
                theirs = theirs.and_then(|reply| walk(&mut self.reference, call, reply));
            }
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
            let same = call.comparison.holds(&ours, &theirs)
                || !self.same_words && (call.asks_for_words() || same_but_words(&ours, &theirs));
            if !same {
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

/// Whether the replies are the same but for the words of errors.
fn same_but_words(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Error(ours), Value::Error(theirs)) => {
            let first = |text: &[u8]| text.split(|byte| *byte == b' ').next().map(<[u8]>::to_vec);
            first(ours) == first(theirs)
        }
        (Value::Array(ours), Value::Array(theirs)) => {
            ours.len() == theirs.len()
                && ours.iter().zip(theirs).all(|(a, b)| a == b || same_but_words(a, b))
        }
        _ => false,
    }
}

/// Goes on from a first reply with a cursor until the end; answers all that came, as one reply.
fn walk(client: &mut Client, call: &Call, first: Value) -> io::Result<Value> {
    let mut found = Vec::new();
    let mut reply = first;
    for _ in 0..WALK_STEPS_MAX {
        let Value::Array(parts) = &reply else { return Ok(reply) };
        let [cursor, keys] = &parts[..] else { return Ok(reply) };
        found.extend_from_slice(keys.items());
        if *cursor == Value::bulk("0") {
            found.sort();
            // A key may come twice.
            found.dedup();
            return Ok(Value::Array(found));
        }
        let mut args = call.args.clone();
        args[1] = cursor.text().into_bytes();
        client.try_send(encode(&args))?;
        reply = client.try_read()?;
    }
    Err(io::Error::other("the cursor does not come to an end"))
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
