//! Client-side caches while slots move and connections are lost.

use crate::bed::{Bed, key_of};
use codis_testbed::{Client, Value, encode, eventually};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Slots that move; each has one key.
const SLOTS: std::ops::Range<u32> = 100..140;

/// How long a client with a full cache listens before it looks through it again.
const LISTENS: Duration = Duration::from_millis(2);

/// A client that keeps what it has read until it is told to forget it, as client libraries do.
struct Caching {
    client: Client,
    cache: BTreeMap<String, String>,
    /// How often a value was served from the cache.
    hits: u64,
    /// How often it was told to forget all.
    all: u64,
}

impl Caching {
    /// `options` are those of CLIENT TRACKING.
    fn new(mut client: Client, options: &str) -> Self {
        assert_eq!(client.run("HELLO 3").error(), None);
        assert_eq!(client.run(&format!("CLIENT TRACKING ON{options}")), Value::ok());
        Self { client, cache: BTreeMap::new(), hits: 0, all: 0 }
    }

    /// Reads a key, unless its value is at hand.
    fn get(&mut self, key: &str) {
        if self.cache.contains_key(key) {
            self.hits += 1;
            return;
        }
        self.client.send(encode(&["GET", key]));
        let reply = loop {
            match self.client.read() {
                Value::Push(push) => self.forget(&push),
                reply => break reply,
            }
        };
        // A connection to a server that was cut is said by an error.
        if let Value::Bulk(value) = reply {
            self.cache.insert(key.to_owned(), String::from_utf8_lossy(&value).into_owned());
        }
    }

    fn forget(&mut self, push: &[Value]) {
        match push {
            [what, Value::Array(keys)] if what.text() == "invalidate" => {
                keys.iter().for_each(|key| drop(self.cache.remove(&key.text())));
            }
            [what, Value::Null] if what.text() == "invalidate" => {
                self.all += 1;
                self.cache.clear();
            }
            other => panic!("no invalidation: {other:?}"),
        }
    }

    /// Takes what it is told within a moment.
    fn listen(&mut self) {
        let until = Instant::now() + LISTENS;
        while Instant::now() < until && self.client.something_comes_within(LISTENS) {
            match self.client.read() {
                Value::Push(push) => self.forget(&push),
                other => panic!("nothing was asked, and {other:?} came"),
            }
        }
    }

    /// What it still takes for true and is not.
    fn stale<'a>(&'a self, truth: &'a BTreeMap<String, String>) -> Option<(&'a str, &'a str)> {
        let mut stale = self.cache.iter().filter(|(key, value)| truth.get(*key) != Some(value));
        stale.next().map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

/// Uses the cache for all keys, again and again.
fn read_until(stop: &AtomicBool, mut caching: Caching, keys: &[String]) -> Caching {
    while !stop.load(Ordering::Relaxed) {
        keys.iter().for_each(|key| caching.get(key));
        caching.listen();
    }
    caching
}

/// Gives every key a new value, again and again.
fn write_until(stop: &AtomicBool, mut client: Client, keys: &[String]) {
    for number in 0_u64.. {
        for key in keys {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            // It may fail where a connection was cut, and may have been done.
            client.call(&["SET", key, &number.to_string()]);
            thread::sleep(Duration::from_millis(1));
        }
    }
}

#[test]
fn no_client_keeps_an_old_value_for_true_when_slots_move_and_connections_are_cut() {
    let bed = Bed::start(1);
    let keys: Vec<String> = SLOTS.map(key_of).collect();
    let clients = bed.clients().into_iter().enumerate();
    let caching = clients.map(|(number, client)| Caching::new(client, ["", " BCAST"][number % 2]));
    let caching: Vec<Caching> = caching.collect();
    let [reading, writing] = [const { AtomicBool::new(false) }; 2];
    let mut caching: Vec<Caching> = thread::scope(|scope| {
        let readers: Vec<_> = caching
            .into_iter()
            .map(|caching| scope.spawn(|| read_until(&reading, caching, &keys)))
            .collect();
        let writers: Vec<_> = bed
            .proxies
            .iter()
            .map(|proxy| proxy.client())
            .map(|client| scope.spawn(|| write_until(&writing, client, &keys)))
            .collect();
        for gid in [2, 1, 2] {
            let (beg, end) = (SLOTS.start, SLOTS.end - 1);
            bed.admin.run(&format!("slots migrate --beg {beg} --end {end} --gid {gid} --wait"));
            for [master, _] in &bed.servers {
                master.client().run("CLIENT KILL TYPE normal SKIPME yes");
            }
        }
        // Those who write end first: what was written last is heard of without another move.
        writing.store(true, Ordering::Relaxed);
        writers.into_iter().for_each(|writer| writer.join().expect("it writes to its end"));
        reading.store(true, Ordering::Relaxed);
        readers.into_iter().map(|reader| reader.join().expect("it reads to its end")).collect()
    });
    let mut client = bed.proxies[0].client();
    let mut truth = BTreeMap::new();
    eventually("every key can be read", || {
        let values = keys.iter().map(|key| (key.clone(), client.call(&["GET", key])));
        let read = values.filter(|(_, value)| value.error().is_none());
        truth.extend(read.map(|(key, value)| (key, value.text())));
        truth.len() == keys.len()
    });
    for (number, caching) in caching.iter_mut().enumerate() {
        eventually(&format!("client {number} has nothing that is not true"), || {
            caching.listen();
            caching.stale(&truth).is_none()
        });
        assert!(caching.all > 0, "client {number} heard of no change of servers");
        println!("client {number}: {} hits, all forgotten {} times", caching.hits, caching.all);
    }
    let hits: u64 = caching.iter().map(|caching| caching.hits).sum();
    assert!(hits > 0, "nothing was cached");
}
