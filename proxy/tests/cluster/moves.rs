//! Slots that move from group to group while clients use them.
//!
//! `CODIS_MOVE_KEYS` and `CODIS_MOVE_FREEZE_SECONDS` make the runs larger; `make soak` does.

use crate::bed::{Bed, IDLE, json, key_of};
use crate::dataset::{assert_same, fill, keys, snapshot};
use codis_proxy::slots::slot;
use codis_testbed::{Redis, Traffic, Value, eventually};
use std::time::Duration;

/// The slots of group 1.
const MOVED: std::ops::RangeInclusive<u16> = 0..=511;

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn move_all(bed: &Bed, gid: u32) {
    bed.admin.run(&format!("slots migrate --beg 0 --end 511 --gid {gid} --wait"));
}

/// Whether group `gid` has every slot that is moved, and none has an action.
pub fn has_all(bed: &Bed, gid: u64) -> bool {
    let list = json(&bed.admin, "slots list");
    let slots = list["slots"].as_array().unwrap_or_else(|| panic!("no slots in {list}"));
    let moved = &slots[usize::from(*MOVED.start())..=usize::from(*MOVED.end())];
    moved.iter().all(|slot| slot["group"] == gid && slot.get("action").is_none_or(|a| a.is_null()))
}

/// A server has no key of the slots that have left it, in any database.
fn assert_left(redis: &Redis) {
    let mut client = redis.client();
    for database in 0..16 {
        assert_eq!(client.call(&["SELECT", &database.to_string()]), Value::ok());
        let found = keys(&mut client).into_iter().filter(|key| !key.starts_with("__codis_"));
        let found: Vec<_> = found.filter(|key| MOVED.contains(&slot(key.as_bytes()))).collect();
        assert!(found.is_empty(), "left behind in {database}: {:?}", &found[..found.len().min(3)]);
    }
}

#[test]
fn slots_move_there_and_back_under_load_and_no_client_notices() {
    let bed = Bed::start(1);
    let [source, target] = [&bed.servers[0][0], &bed.servers[1][0]];
    fill(source, MOVED, number("CODIS_MOVE_KEYS", 6_000));
    let before = snapshot(source);
    let traffic = bed.traffic();
    eventually("there is load", || traffic.answered() > 500);
    move_all(&bed, 2);
    assert_same(&before, &snapshot(target));
    assert_left(source);
    let moved = traffic.answered();
    eventually("there is load", || traffic.answered() > moved + 500);
    move_all(&bed, 1);
    assert_same(&before, &snapshot(source));
    assert_left(target);
    traffic.stop();
}

#[test]
fn replicas_have_what_was_moved_before_it_is_gone_elsewhere() {
    let bed = Bed::start(1);
    bed.sync();
    fill(&bed.servers[0][0], MOVED, 1_500);
    let before = snapshot(&bed.servers[0][0]);
    let traffic = bed.traffic();
    move_all(&bed, 2);
    let replica = &bed.servers[1][1];
    assert_same(&before, &snapshot(replica));
    assert_left(&bed.servers[0][0]);
    traffic.stop();
}

#[test]
fn a_move_goes_on_whatever_dies_and_ends_without_an_operator() {
    let mut bed = Bed::start(3);
    bed.impatient();
    fill(&bed.servers[0][0], MOVED, number("CODIS_MOVE_KEYS", 6_000));
    let before = snapshot(&bed.servers[0][0]);
    let traffic = traffic_that_may_break(&bed);
    eventually("there is load", || traffic.answered() > 500);
    bed.admin.run("config set migration_interval 20ms");
    bed.admin.run("slots migrate --beg 0 --end 511 --gid 2");
    let frozen = Duration::from_secs(number("CODIS_MOVE_FREEZE_SECONDS", 3) as u64);

    // Whichever member leads is among them.
    for member in &mut bed.group.members {
        member.kill();
        let answered = traffic.answered();
        eventually("clients go on", || traffic.answered() > answered + 200);
        member.restart();
    }
    bed.proxies[0].process().freeze();
    std::thread::sleep(frozen);
    bed.proxies[0].process().thaw();
    bed.proxies[1].process_mut().kill();
    bed.proxies[1].restart();
    for [master, _] in &bed.servers {
        master.client().run("CLIENT KILL TYPE normal");
    }
    bed.admin.run("config set migration_interval 0s");
    eventually("every slot has moved", || has_all(&bed, 2));
    assert_same(&before, &snapshot(&bed.servers[1][0]));
    assert_left(&bed.servers[0][0]);
    let answered = traffic.answered();
    eventually("clients go on", || traffic.answered() > answered + 500);
    traffic.stop();
}

/// Clients of both proxies, in the slots below [`IDLE`].
fn traffic_that_may_break(bed: &Bed) -> Traffic {
    let clients = bed.proxies.iter().flat_map(|proxy| [proxy.address(), proxy.address()]);
    let keys = |number: usize| {
        let keys = (0..).map(|n| format!("traffic:{number}:{n}"));
        keys.filter(|key| u32::from(slot(key.as_bytes())) < IDLE).take(50).collect()
    };
    let clients = clients.enumerate().map(|(number, address)| (address, keys(number)));
    Traffic::start_that_may_lose_connections(clients.collect())
}

#[test]
fn a_barrier_that_cannot_finish_is_rolled_back_with_its_reason() {
    let bed = Bed::start(1);
    bed.impatient();
    // A master that cannot be fenced.
    let third = Redis::start();
    bed.admin.run("group create --gid 3");
    bed.admin.run(&format!("group add --gid 3 --addr {}", third.address()));
    let key = key_of(5);
    let mut client = bed.proxies[1].client();
    assert_eq!(client.call(&["SET", &key, "value"]), Value::ok());
    third.process().freeze();
    bed.proxies[0].process().freeze();
    bed.admin.run("slots migrate --beg 0 --end 9 --gid 2");
    let reason = || json(&bed.admin, "slots list")["slots"][5]["action"]["failure"].to_string();
    eventually("the reason is shown", || reason().contains("did not acknowledge"));
    assert_eq!(client.call(&["GET", &key]), Value::bulk("value"), "traffic goes on");
    bed.proxies[0].process().thaw();
    third.process().thaw();
    let moved = || json(&bed.admin, "slots list")["slots"][5]["group"] == 2;
    eventually("it is tried again, and succeeds", moved);
    assert_eq!(client.call(&["GET", &key]), Value::bulk("value"));
    assert_eq!(bed.proxies[0].client().call(&["GET", &key]), Value::bulk("value"));
}

#[test]
fn somebodys_keys_on_the_target_stop_a_move_and_are_not_touched() {
    let bed = Bed::start(1);
    let key = key_of(3);
    let mut target = bed.servers[1][0].client();
    assert_eq!(target.call(&["SET", &key, "whose?"]), Value::ok());
    bed.admin.run("slots migrate --beg 0 --end 9 --gid 2");
    let list = || json(&bed.admin, "slots list");
    let reason = || list()["slots"][3]["action"]["failure"].to_string();
    eventually("the reason names the key", || reason().contains(&key));
    eventually("the others go on", || list()["slots"][4]["group"] == 2);
    assert_eq!(target.call(&["GET", &key]), Value::bulk("whose?"));
    assert_eq!(list()["slots"][3]["group"], 1);
    assert_eq!(target.call(&["DEL", &key]), Value::Integer(1));
    eventually("it goes on by itself", || list()["slots"][3]["group"] == 2);
}

#[test]
fn big_keys_move_in_pieces_and_are_equal_at_the_end() {
    let bed = Bed::start(1);
    let elements = number("CODIS_MOVE_ELEMENTS", 60_000);
    let mut client = bed.servers[0][0].client();
    let names = ["hash", "list", "set", "zset"].map(|kind| format!("{kind}:{{{}}}", key_of(11)));
    let fills = [
        "for i=1,ARGV[1] do redis.call('HSET',KEYS[1],'field'..i,'value'..i) end",
        "for i=1,ARGV[1] do redis.call('RPUSH',KEYS[1],'element'..i) end",
        "for i=1,ARGV[1] do redis.call('SADD',KEYS[1],'member'..i) end",
        "for i=1,ARGV[1] do redis.call('ZADD',KEYS[1],i/3,'member'..i) end",
    ];
    for (name, fill) in names.iter().zip(fills) {
        client.call(&["EVAL", fill, "1", name, &elements.to_string()]);
    }
    let text = format!("string:{{{}}}", key_of(11));
    client.call(&["SETRANGE", &text, &(elements * 200).to_string(), "end"]);
    client.call(&["EXPIRE", &names[0], "10000"]);
    let look = |client: &mut codis_testbed::Client| {
        let sorted = |value: Value| match value {
            Value::Array(mut all) => {
                all.sort_by_key(Value::text);
                Value::Array(all)
            }
            other => other,
        };
        [
            sorted(client.call(&["HVALS", &names[0]])),
            sorted(client.call(&["HKEYS", &names[0]])),
            client.call(&["LRANGE", &names[1], "0", "-1"]),
            sorted(client.call(&["SMEMBERS", &names[2]])),
            client.call(&["ZRANGE", &names[3], "0", "-1", "WITHSCORES"]),
            client.call(&["GET", &text]),
        ]
    };
    let before = look(&mut client);
    let traffic = bed.traffic();
    bed.admin.run("slots migrate --beg 0 --end 20 --gid 2 --wait");
    let after = look(&mut bed.servers[1][0].client());
    assert!(before == after, "a big key has changed on its way");
    let ttl = bed.proxies[0].client().call(&["TTL", &names[0]]);
    assert!(matches!(ttl, Value::Integer(1..=10_000)), "{ttl:?}");
    let gone = client.call(&["EXISTS", &names[0], &names[1], &names[2], &names[3], &text]);
    assert_eq!(gone, Value::Integer(0));
    traffic.stop();
}
