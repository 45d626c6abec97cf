//! Client-side caching: sessions are told what has changed on any server.

use crate::cluster::{Cluster, Pair};
use codis_testbed::{Client, Value, encode, split_words};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long nothing must come for it to count as nothing.
const SILENCE: Duration = Duration::from_millis(60);

/// A client that speaks RESP3 and keeps apart what is pushed to it.
struct Tracker {
    client: Client,
    pushes: Vec<Value>,
}

impl Tracker {
    fn new(cluster: &Cluster, tracking: &str) -> Self {
        let mut client = cluster.client();
        assert!(matches!(client.run("HELLO 3"), Value::Map(_)));
        let mut tracker = Self { client, pushes: Vec::new() };
        assert_eq!(tracker.run(tracking), Value::ok());
        tracker
    }

    fn reply(&mut self) -> Value {
        loop {
            match self.client.read() {
                push @ Value::Push(_) => self.pushes.push(push),
                reply => return reply,
            }
        }
    }

    fn run(&mut self, line: &str) -> Value {
        self.client.send(encode(&split_words(line)));
        self.reply()
    }

    /// The keys that the next message names; `None` for all keys.
    fn invalidated(&mut self) -> Option<Vec<String>> {
        let push = match self.pushes.is_empty() {
            true => self.client.read(),
            false => self.pushes.remove(0),
        };
        let Value::Push(items) = &push else { panic!("expected a push message, got {push:?}") };
        assert_eq!(items[0], Value::bulk("invalidate"));
        match &items[1] {
            Value::Null => None,
            keys => Some(keys.items().iter().map(Value::text).collect()),
        }
    }

    fn hears(&mut self, key: &str) {
        assert_eq!(self.invalidated(), Some(vec![key.to_owned()]));
    }

    fn hears_nothing(&mut self) {
        // What was on its way would have come with this.
        assert_eq!(self.run("PING"), Value::Simple(b"PONG".to_vec()));
        assert_eq!(self.pushes, []);
        assert!(!self.client.something_comes_within(SILENCE), "{:?}", self.client.read());
    }
}

/// Keys of both servers.
fn keys(cluster: &Cluster) -> [String; 2] {
    [cluster.key_on(0, "a"), cluster.key_on(1, "b")]
}

#[test]
fn a_key_that_was_read_is_invalidated_once_when_it_changes_on_any_server_redis_too() {
    let cluster = Cluster::start();
    let mut other = cluster.client();
    let mut tracker = Tracker::new(&cluster, "CLIENT TRACKING ON");
    let [a, b] = keys(&cluster);
    tracker.run(&format!("GET {a}"));
    tracker.run(&format!("GET {b}"));
    for key in [&a, &b] {
        other.run(&format!("SET {key} 1"));
        tracker.hears(key);
        other.run(&format!("SET {key} 2"));
        tracker.hears_nothing();
    }
    tracker.run(&format!("MGET {a} {b}"));
    other.run(&format!("DEL {a} {b}"));
    let mut heard = [tracker.invalidated(), tracker.invalidated()];
    heard.sort();
    assert_eq!(heard, [Some(vec![a.clone()]), Some(vec![b.clone()])]);
    // Its own writes too, without NOLOOP.
    tracker.run(&format!("GET {a}"));
    tracker.run(&format!("SET {a} 1"));
    tracker.hears(&a);
    assert_eq!(tracker.run("CLIENT TRACKING OFF"), Value::ok());
    tracker.run(&format!("GET {a}"));
    other.run(&format!("SET {a} 5"));
    tracker.hears_nothing();
}

#[test]
fn bcast_tells_of_all_keys_with_a_prefix_and_noloop_not_of_ones_own_redis_too() {
    let cluster = Cluster::start();
    let mut other = cluster.client();
    let mut tracker = Tracker::new(&cluster, "CLIENT TRACKING ON BCAST PREFIX a: PREFIX b: NOLOOP");
    for key in keys(&cluster) {
        other.run(&format!("SET {key} 1"));
        tracker.hears(&key);
        tracker.run(&format!("SET {key} 2"));
        tracker.run(&format!("SET other:{key} 2"));
        tracker.hears_nothing();
    }
    assert_eq!(tracker.run("CLIENT TRACKING ON BCAST PREFIX c:"), Value::ok());
    let (key, mine) = (cluster.key_on(1, "c"), cluster.key_on(0, "c"));
    other.run(&format!("SET {key} 1"));
    tracker.hears(&key);
    tracker.run(&format!("SET {mine} 1"));
    tracker.hears(&mine);
}

#[test]
fn optin_and_optout_are_about_the_next_command_redis_too() {
    let cluster = Cluster::start();
    let mut other = cluster.client();
    let [a, b] = keys(&cluster);
    let mut tracker = Tracker::new(&cluster, "CLIENT TRACKING ON OPTIN");
    let read = [format!("GET {a}"), format!("GET {b}")];
    read.iter().for_each(|line| drop(tracker.run(line)));
    assert_eq!(tracker.run("CLIENT CACHING YES"), Value::ok());
    tracker.run(&read[1]);
    tracker.run(&read[0]);
    other.run(&format!("MSET {a} 1 {b} 1"));
    tracker.hears(&b);
    tracker.hears_nothing();
    // All of a transaction.
    for line in ["CLIENT CACHING YES", "MULTI", &read[0], &format!("STRLEN {a}"), "EXEC", &read[1]]
    {
        tracker.run(line);
    }
    other.run(&format!("MSET {a} 1 {b} 1"));
    tracker.hears(&a);
    tracker.hears_nothing();
    // A request that is split.
    tracker
        .client
        .send([encode(&["CLIENT", "CACHING", "YES"]), encode(&["MGET", &a, &b])].concat());
    (0..2).for_each(|_| drop(tracker.reply()));
    other.run(&format!("MSET {a} 1 {b} 1"));
    let mut heard = [tracker.invalidated(), tracker.invalidated()];
    heard.sort();
    assert_eq!(heard, [Some(vec![a.clone()]), Some(vec![b.clone()])]);

    let mut tracker = Tracker::new(&cluster, "CLIENT TRACKING ON OPTOUT");
    assert_eq!(tracker.run("CLIENT CACHING NO"), Value::ok());
    tracker.run(&read[0]);
    tracker.run(&read[1]);
    other.run(&format!("MSET {a} 1 {b} 1"));
    tracker.hears(&b);
    tracker.hears_nothing();
}

#[test]
fn what_cannot_be_is_refused_in_redis_s_words_redis_too() {
    let mut pair = Pair::start();
    for client in [&mut pair.tested, &mut pair.reference] {
        assert!(matches!(client.run("HELLO 3"), Value::Map(_)));
    }
    for line in [
        "CLIENT TRACKING",
        "CLIENT TRACKING MAYBE",
        "CLIENT TRACKING ON NOPE",
        "CLIENT TRACKING ON PREFIX",
        "CLIENT TRACKING ON PREFIX a",
        "CLIENT TRACKING ON BCAST OPTIN",
        "CLIENT TRACKING ON OPTIN OPTOUT",
        "CLIENT TRACKING ON BCAST PREFIX a PREFIX ab",
        "CLIENT CACHING YES",
        "CLIENT GETREDIR",
        "CLIENT TRACKINGINFO",
        "CLIENT TRACKING ON OPTIN NOLOOP",
        "CLIENT GETREDIR",
        "CLIENT TRACKINGINFO",
        "CLIENT CACHING NO",
        "CLIENT CACHING PERHAPS",
        "CLIENT CACHING YES",
        "CLIENT TRACKINGINFO",
        "PING",
        "CLIENT TRACKINGINFO",
        "CLIENT TRACKING ON BCAST",
        "CLIENT TRACKING ON OPTOUT",
        "CLIENT TRACKING ON",
        "CLIENT TRACKINGINFO",
        "CLIENT CACHING YES",
        "CLIENT TRACKING OFF",
        "CLIENT TRACKINGINFO",
        "CLIENT TRACKING ON BCAST PREFIX b PREFIX a",
        "CLIENT TRACKINGINFO",
        "CLIENT TRACKING ON BCAST PREFIX ab",
        "CLIENT TRACKING ON BCAST PREFIX c",
        "CLIENT TRACKINGINFO",
        "CLIENT TRACKING ON",
        "RESET",
        "CLIENT TRACKINGINFO",
        "CLIENT TRACKING ON BCAST",
        "CLIENT TRACKINGINFO",
        "GET a",
        "SET a 1",
    ] {
        pair.same(line);
    }
}

#[test]
fn redirect_is_refused_with_what_to_do_instead() {
    let cluster = Cluster::start();
    let mut client = cluster.client();
    let id = client.run("CLIENT ID").integer();
    let refused = client.run(&format!("CLIENT TRACKING ON REDIRECT {id}"));
    assert!(refused.error().is_some_and(|text| text.contains("HELLO 3")), "{refused:?}");
}

#[test]
fn in_resp2_nothing_is_told_until_the_session_speaks_resp3_redis_too() {
    let cluster = Cluster::start();
    let mut other = cluster.client();
    let [a, _] = keys(&cluster);
    let mut tracker = Tracker { client: cluster.client(), pushes: Vec::new() };
    assert_eq!(tracker.run("CLIENT TRACKING ON"), Value::ok());
    tracker.run(&format!("GET {a}"));
    other.run(&format!("SET {a} 1"));
    tracker.hears_nothing();
    tracker.run("HELLO 3");
    tracker.run(&format!("GET {a}"));
    other.run(&format!("SET {a} 2"));
    tracker.hears(&a);
}

#[test]
fn when_a_connection_to_a_server_is_lost_all_keys_are_invalidated() {
    let mut cluster = Cluster::start();
    let [a, b] = keys(&cluster);
    let mut readers = ["CLIENT TRACKING ON", "CLIENT TRACKING ON BCAST"]
        .map(|tracking| Tracker::new(&cluster, tracking));
    for tracker in &mut readers {
        tracker.run(&format!("GET {a}"));
    }
    cluster.backends[0].kill();
    for tracker in &mut readers {
        assert_eq!(tracker.invalidated(), None);
    }
    cluster.backends[0].restart();
    let mut other = cluster.client();
    codis_testbed::eventually("the server serves again", || {
        other.run(&format!("SET {a} 1")) == Value::ok()
    });
    for tracker in &mut readers {
        codis_testbed::eventually("the session reads again", || {
            tracker.run(&format!("GET {a}")) == Value::bulk("1")
        });
        tracker.run(&format!("GET {b}"));
    }
    // With BCAST, what changed before the connection was there again was missed.
    assert_eq!(readers[1].invalidated(), None);
    readers[1].pushes.clear();
    other.run(&format!("SET {a} 2"));
    other.run(&format!("SET {b} 2"));
    for tracker in &mut readers {
        tracker.hears(&a);
        tracker.hears(&b);
    }
}

#[test]
fn a_flush_of_a_server_invalidates_all_keys() {
    let cluster = Cluster::start();
    let [a, _] = keys(&cluster);
    let mut tracker = Tracker::new(&cluster, "CLIENT TRACKING ON");
    tracker.run(&format!("GET {a}"));
    cluster.backends[0].client().run("FLUSHALL");
    assert_eq!(tracker.invalidated(), None);
}

#[test]
fn watch_and_databases_work_for_a_session_that_tracks_redis_too() {
    let cluster = Cluster::start();
    let mut other = cluster.client();
    let [a, _] = keys(&cluster);
    let mut tracker = Tracker::new(&cluster, "CLIENT TRACKING ON NOLOOP");
    let lines = [format!("WATCH {a}"), "MULTI".into(), format!("GET {a}")];
    lines.iter().for_each(|line| drop(tracker.run(line)));
    other.run(&format!("SET {a} 1"));
    assert_eq!(tracker.run("EXEC"), Value::Null);
    lines.iter().for_each(|line| drop(tracker.run(line)));
    assert_eq!(tracker.run("EXEC"), Value::Array(vec![Value::bulk("1")]));
    tracker.pushes.clear();
    other.run(&format!("SET {a} 2"));
    tracker.hears(&a);
    tracker.run("SELECT 1");
    assert_eq!(tracker.run(&format!("SET {a} one")), Value::ok());
    tracker.run("SELECT 0");
    assert_eq!(tracker.run(&format!("GET {a}")), Value::bulk("2"));
    other.run("SELECT 1");
    assert_eq!(other.run(&format!("GET {a}")), Value::bulk("one"));
}

#[test]
fn connections_of_sessions_that_track_end_with_them() {
    let cluster = Cluster::start();
    let [a, _] = keys(&cluster);
    let mut server = cluster.backends[0].client();
    let mut trackers = move || {
        let list = server.run("CLIENT LIST").text();
        list.lines().filter(|line| line.contains("flags=t")).count()
    };
    let mut tracker = Tracker::new(&cluster, "CLIENT TRACKING ON");
    let mut bcast = Tracker::new(&cluster, "CLIENT TRACKING ON BCAST");
    tracker.run(&format!("GET {a}"));
    bcast.run("PING");
    assert_eq!(trackers(), 2, "BCAST shows as tB");
    bcast.run("CLIENT TRACKING OFF");
    codis_testbed::eventually("one is closed", || trackers() == 1);
    drop(tracker);
    codis_testbed::eventually("both are closed", || trackers() == 0);
}

#[test]
fn a_cache_that_follows_the_messages_never_keeps_an_old_value_redis_too() {
    let cluster = Cluster::with(|options| options.shards(2));
    let mut rng = fastrand::Rng::with_seed(5);
    let names: Vec<String> = (0..40).map(|n| format!("key:{n}")).collect();
    let mut tracker = Tracker::new(&cluster, "CLIENT TRACKING ON");
    let mut writers = [cluster.client(), cluster.client()];
    let mut cache: BTreeMap<String, Value> = BTreeMap::new();
    for _ in 0..300 {
        // Requests in flight of both servers, whole and split, while others write.
        let mut asked = Vec::new();
        let mut bytes = Vec::new();
        for _ in 0..rng.usize(1..20) {
            let count = rng.usize(1..4);
            let keys: Vec<&str> = (0..count).map(|_| &*names[rng.usize(..names.len())]).collect();
            bytes.extend(encode(&[&["MGET"], &keys[..]].concat()));
            asked.push(keys);
        }
        tracker.client.send(bytes);
        for writer in &mut writers {
            let count = rng.usize(1..10);
            for _ in 0..count {
                let value = rng.u32(..).to_string();
                writer.send(encode(&["SET", &names[rng.usize(..names.len())], &value]));
            }
            (0..count).for_each(|_| assert_eq!(writer.read(), Value::ok()));
        }
        for keys in asked {
            loop {
                match tracker.client.read() {
                    Value::Push(items) => {
                        items[1].items().iter().for_each(|key| drop(cache.remove(&key.text())));
                    }
                    reply => {
                        let values = reply.items().iter().cloned();
                        cache.extend(keys.iter().map(|key| (*key).to_owned()).zip(values));
                        break;
                    }
                }
            }
        }
        // After an answer on both servers, whatever they had to say before has been said.
        tracker.client.send(encode(
            &[&["MGET"], &names.iter().map(|n| &**n).collect::<Vec<_>>()[..]].concat(),
        ));
        let Value::Array(present) = tracker_reply(&mut tracker, &mut cache) else {
            panic!("an array is due")
        };
        // A message may come behind the answer to the last request that was split.
        tracker.client.send(encode(&["PING"]));
        tracker_reply(&mut tracker, &mut cache);
        for (name, value) in names.iter().zip(present) {
            if let Some(cached) = cache.get(name) {
                assert_eq!(*cached, value, "{name} is cached with an old value");
            }
        }
    }
}

/// The next reply; what comes before it is taken out of the cache.
fn tracker_reply(tracker: &mut Tracker, cache: &mut BTreeMap<String, Value>) -> Value {
    loop {
        match tracker.client.read() {
            Value::Push(items) => {
                items[1].items().iter().for_each(|key| drop(cache.remove(&key.text())));
            }
            reply => return reply,
        }
    }
}
