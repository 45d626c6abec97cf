//! What is on a server, so that two can be compared.

use std::collections::BTreeMap;

use codis_testbed::{Client, Redis, Value};

/// Everything that a client can see of a key, but how long it lives.
pub(super) type Contents = BTreeMap<(u32, Vec<u8>), Vec<Value>>;

/// All keys of clients on a server.
pub(super) fn contents(server: &Redis) -> Contents {
    let mut client = server.client();
    let mut all = Contents::new();
    for database in 0..16 {
        assert_eq!(client.call(&["SELECT", &database.to_string()]), Value::ok());
        for key in keys(&mut client) {
            let value = value(&mut client, &key);
            all.insert((database, key), value);
        }
    }
    all
}

/// What the two differ in: keys that only one has, and the first value of each that is not alike.
pub(super) fn difference(before: &Contents, after: &Contents) -> Vec<String> {
    let name = |key: &(u32, Vec<u8>)| format!("{}:{}", key.0, key.1.escape_ascii());
    let missing = before.keys().filter(|key| !after.contains_key(*key));
    let extra = after.keys().filter(|key| !before.contains_key(*key));
    let mut told: Vec<String> = missing.map(|key| format!("{} is missing", name(key))).collect();
    told.extend(extra.map(|key| format!("{} is too much", name(key))));
    for (key, (old, new)) in
        before.iter().filter_map(|(key, old)| Some((key, (old, after.get(key)?))))
    {
        let flat = |values: &[Value]| -> Vec<String> {
            let items = values.iter().flat_map(|value| match value {
                Value::Array(items) => items.clone(),
                other => vec![other.clone()],
            });
            items.map(|item| format!("{item:.200?}")).collect()
        };
        let (old, new) = (flat(old), flat(new));
        if old != new {
            let at = old.iter().zip(&new).position(|(old, new)| old != new);
            let at = at.unwrap_or(old.len().min(new.len()));
            told.push(format!(
                "{}: {} parts and {}, first unlike at {at}: {:?} and {:?}",
                name(key),
                old.len(),
                new.len(),
                old.get(at),
                new.get(at),
            ));
        }
    }
    told
}

/// The keys of clients in the selected database.
pub(super) fn keys(client: &mut Client) -> Vec<Vec<u8>> {
    let keys = client.call(&["KEYS", "*"]);
    let keys = keys.items().iter().map(|key| match key {
        Value::Bulk(key) => key.clone(),
        other => panic!("no key: {other:?}"),
    });
    keys.filter(|key| !key.starts_with(b"__codis_") && !key.starts_with(b"{__codis_")).collect()
}

fn value(client: &mut Client, key: &[u8]) -> Vec<Value> {
    let kind = client.call(&[b"TYPE", key]).text();
    let mut ask = |parts: &[&[u8]]| client.call(parts);
    match kind.as_str() {
        "string" => vec![ask(&[b"GET", key])],
        "list" => vec![ask(&[b"LRANGE", key, b"0", b"-1"])],
        "set" => vec![ask(&[b"SMEMBERS", key]).sorted()],
        "hash" => vec![pairs(&ask(&[b"HGETALL", key]))],
        "zset" => vec![ask(&[b"ZRANGE", key, b"0", b"-1", b"WITHSCORES"])],
        "stream" => stream(client, key),
        other => panic!("a key of type {other}"),
    }
}

fn pairs(flat: &Value) -> Value {
    let pairs = flat.items().chunks(2).map(|pair| Value::Array(pair.to_vec())).collect();
    Value::Array(pairs).sorted()
}

fn stream(client: &mut Client, key: &[u8]) -> Vec<Value> {
    let mut seen = vec![client.call(&[b"XRANGE", key, b"-", b"+"])];
    let info = client.call(&[&b"XINFO"[..], b"STREAM", key]);
    let told = ["last-generated-id", "max-deleted-entry-id", "entries-added"];
    let fields = info.items().chunks(2).filter(|pair| told.contains(&pair[0].text().as_str()));
    seen.extend(fields.map(|pair| Value::Array(pair.to_vec())));
    let groups = client.call(&[&b"XINFO"[..], b"GROUPS", key]);
    for group in groups.items() {
        let name = group.items()[1].text();
        seen.push(group.clone());
        let consumers = client.call(&[&b"XINFO"[..], b"CONSUMERS", key, name.as_bytes()]);
        // Name and number of pending entries; the rest is times.
        let consumers = consumers.items().iter().map(|one| Value::Array(one.items()[..4].to_vec()));
        seen.extend(consumers);
        let all: [&[u8]; 6] = [b"XPENDING", key, name.as_bytes(), b"-", b"+", b"1000000"];
        let pending = client.call(&all);
        // Without how long they have been pending.
        let pending = pending.items().iter().map(|one| {
            let parts = one.items();
            Value::Array(vec![parts[0].clone(), parts[1].clone(), parts[3].clone()])
        });
        seen.extend(pending);
    }
    seen
}
