//! Keys of every kind that nobody touches while their slots move, to compare before and after.

use codis_proxy::slots::slot;
use codis_testbed::{Client, Redis, Value, encode};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// The databases that have keys.
const DATABASES: [usize; 3] = [0, 1, 9];

/// Commands sent at a time.
const AT_A_TIME: usize = 1000;

/// What the names of all keys begin with.
const PREFIX: &str = "data:";

/// By database and name: the value, and when it expires (-1 for never).
pub type Snapshot = BTreeMap<(usize, String), (Value, i64)>;

/// Writes `keys` keys of these slots, spread over the databases, straight to their server.
pub fn fill(redis: &Redis, slots: RangeInclusive<u16>, keys: usize) {
    let mut client = redis.client();
    let mut names = (0..)
        .map(|n| match n % 50 {
            7 => format!("{PREFIX}with spaces and\r\nline ends {n}"),
            8 => format!("{PREFIX}{}{n}", "long".repeat(500)),
            _ => format!("{PREFIX}{n}"),
        })
        .filter(|name| slots.contains(&slot(name.as_bytes())));
    for database in DATABASES {
        assert_eq!(client.call(&["SELECT", &database.to_string()]), Value::ok());
        let commands: Vec<Vec<String>> = names
            .by_ref()
            .take(keys / DATABASES.len())
            .enumerate()
            .flat_map(|(n, name)| commands(n, &name))
            .collect();
        run(&mut client, &commands);
    }
}

/// What makes the key number `n`.
fn commands(n: usize, name: &str) -> Vec<Vec<String>> {
    let many =
        |count: usize, each: &dyn Fn(usize) -> Vec<String>| (0..count).flat_map(each).collect();
    let command = |words: &[&str], rest: Vec<String>| {
        let mut all: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        all.extend(rest);
        all
    };
    let text = format!("{n:0>100}");
    match n % 40 {
        0 => vec![command(
            &["HSET", name],
            many(20, &|i| vec![format!("f{i}"), format!("v{n}.{i}")]),
        )],
        1 => vec![command(&["RPUSH", name], many(30, &|i| vec![format!("{n}.{i}")]))],
        2 => vec![command(&["SADD", name], many(15, &|i| vec![format!("{n}.{i}")]))],
        3 => vec![command(&["SADD", name], many(15, &|i| vec![(n + i).to_string()]))],
        4 => {
            vec![command(&["ZADD", name], many(15, &|i| vec![format!("{i}.25"), format!("m{i}")]))]
        }
        5 => vec![
            command(&["XADD", name, "5-1", "field", &text], Vec::new()),
            command(&["XADD", name, "6-1", "field", "other"], Vec::new()),
            command(&["XGROUP", "CREATE", name, "readers", "0"], Vec::new()),
            command(&["XREADGROUP", "GROUP", "readers", "one", "STREAMS", name, ">"], Vec::new()),
        ],
        6 => vec![command(&["SET", name, &text, "EX", "100000"], Vec::new())],
        _ => vec![command(&["SET", name, &text], Vec::new())],
    }
}

fn run(client: &mut Client, commands: &[Vec<String>]) -> Vec<Value> {
    let mut answers = Vec::with_capacity(commands.len());
    for part in commands.chunks(AT_A_TIME) {
        let bytes: Vec<u8> = part.iter().flat_map(|command| encode(command)).collect();
        client.send(&bytes);
        for command in part {
            let answer = client.read();
            assert!(answer.error().is_none(), "{command:?} was answered with {answer:?}");
            answers.push(answer);
        }
    }
    answers
}

/// All keys that [`fill`] made and the server has.
pub fn snapshot(redis: &Redis) -> Snapshot {
    let mut client = redis.client();
    let mut found = Snapshot::new();
    for database in DATABASES {
        assert_eq!(client.call(&["SELECT", &database.to_string()]), Value::ok());
        let names: Vec<String> = keys(&mut client);
        let ours = names.into_iter().filter(|name| name.starts_with(PREFIX)).collect::<Vec<_>>();
        let command = |word: &str, name: &String| vec![word.to_owned(), name.clone()];
        let ends: Vec<_> = ours.iter().map(|name| command("PEXPIRETIME", name)).collect();
        let kinds: Vec<_> = ours.iter().map(|name| command("TYPE", name)).collect();
        let (ends, kinds) = (run(&mut client, &ends), run(&mut client, &kinds));
        // A set's order is the server's own affair, and DUMP shows it.
        let word = |kind: &Value| if kind.text() == "set" { "SMEMBERS" } else { "DUMP" };
        let looks: Vec<_> =
            ours.iter().zip(&kinds).map(|(name, kind)| command(word(kind), name)).collect();
        for ((name, end), mut value) in ours.into_iter().zip(ends).zip(run(&mut client, &looks)) {
            let Value::Integer(end) = end else { panic!("{name} expires at {end:?}") };
            if let Value::Array(members) = &mut value {
                members.sort_by_key(Value::text);
            }
            assert_ne!(value, Value::NullBulk, "{name} went while it was looked at");
            found.insert((database, name), (value, end));
        }
    }
    found
}

/// The names of all keys of the selected database.
pub fn keys(client: &mut Client) -> Vec<String> {
    let mut names = Vec::new();
    let mut cursor = "0".to_owned();
    loop {
        let answer = client.call(&["SCAN", &cursor, "COUNT", "1000"]);
        let Value::Array(parts) = answer else { panic!("SCAN was answered with {answer:?}") };
        let [next, Value::Array(part)] = &parts[..] else { panic!("SCAN: {parts:?}") };
        names.extend(part.iter().map(Value::text));
        cursor = next.text();
        if cursor == "0" {
            return names;
        }
    }
}

/// Asserts that two snapshots are equal, and that no end of life is further away than its move took.
pub fn assert_same(before: &Snapshot, after: &Snapshot) {
    let missing: Vec<_> = before.keys().filter(|key| !after.contains_key(key)).take(3).collect();
    let new: Vec<_> = after.keys().filter(|key| !before.contains_key(key)).take(3).collect();
    assert!(
        missing.is_empty() && new.is_empty(),
        "missing, such as {missing:?}; new, such as {new:?}"
    );
    for (key, (value, end)) in before {
        let (value_after, end_after) = &after[key];
        assert!(value == value_after, "{key:?} has changed");
        assert_eq!(*end < 0, *end_after < 0, "{key:?} expired at {end} and does at {end_after}");
    }
}
