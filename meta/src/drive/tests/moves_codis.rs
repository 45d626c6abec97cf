//! Moves away from servers of Codis, and among them.

use codis_proto::CLEAN_KEY;
use codis_testbed::{CodisServer, Redis, Value};

use super::contents::{Contents, contents, difference};
use super::fixture::{Meta, redis, until};
use super::moves::{at_rest, begin_by_hand, queue};
use crate::drive::moves::{Sockets, weigh};

const SECRET: &str = "secret";

/// What a server of then can hold: every kind of key, in two databases; ARGV[1] of each.
const MAKE: &str = "
redis.replicate_commands()
for _, database in ipairs({ '3', '0' }) do
  redis.call('SELECT', database)
  for i = 1, tonumber(ARGV[1]) do
    redis.call('SET', 'string ' .. i, string.rep('v', 100))
    redis.call('SET', 'tagged {' .. i % 7 .. '}' .. i, i)
    redis.call('SET', 'passing ' .. i, i, 'PX', 3000000)
    redis.call('RPUSH', 'list ' .. i, 'a', 'b', i)
    redis.call('SADD', 'numbers ' .. i, i, 2 * i, -7)
    redis.call('SADD', 'set ' .. i, 'x', 'y', i)
    redis.call('HMSET', 'hash ' .. i, 'f', i, 'g', '')
    redis.call('ZADD', 'zset ' .. i, i / 7, 'm', '-inf', 'n')
  end
end
for i = 1, 5000 do
  redis.call('RPUSH', 'big list', 'element ' .. i)
  redis.call('SADD', 'big set', 'member ' .. i)
  redis.call('HSET', 'big hash', 'field ' .. i, 'value ' .. i)
  redis.call('ZADD', 'big zset', i / 7, 'member ' .. i)
end
redis.call('SET', 'big string', string.rep('0123456789', 20000))
redis.call('PEXPIRE', 'big hash', 3000000)
return redis.status_reply('OK')";

fn make(server: &CodisServer, count: u32) -> Contents {
    let made = server.client().call(&["EVAL", MAKE, "0", &count.to_string()]);
    assert_eq!(made, Value::ok());
    contents(server.inside())
}

/// A member with group 1 of `from` and all slots, and group 2 of `to`, where keys are big soon.
async fn meta_of(from: &str, to: &[&str]) -> Meta {
    let meta = Meta::with_group(&[from]).await;
    meta.group(2, to).await;
    meta.set("migration_parallel_slots", "1024").await;
    meta.set("migration_big_elements", "1000").await;
    meta.set("migration_big_bytes", "64kb").await;
    meta
}

async fn failure(meta: &Meta) -> String {
    let actions = meta.state().await.slots.into_iter().filter_map(|slot| slot.action);
    actions.map(|action| action.failure).find(|failure| !failure.is_empty()).unwrap_or_default()
}

/// All keys have gone from one to the other, as they were.
fn assert_moved(before: &Contents, from: &Redis, to: &Redis) {
    assert_eq!(difference(before, &contents(to)), [""; 0]);
    assert_eq!(contents(from), Contents::new());
    for key in ["passing 1", "big hash"] {
        let left = to.client().call(&["PTTL", key]).integer();
        assert!(left > 2_000_000 && left <= 3_000_000, "{key}: {left}");
    }
    assert_eq!(to.client().call(&["PTTL", "big list"]), Value::Integer(-1));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_every_kind_move_from_a_server_of_codis_to_one_of_today() {
    let (from, to) = (CodisServer::start(), redis());
    let before = make(&from, 100);
    let meta = meta_of(&from.address(), &[&to.address()]).await;
    queue(&meta, 0, 1023, 2).await;
    let drive = meta.drive("");
    at_rest(&meta).await;
    assert_moved(&before, from.inside(), &to);
    let figures = drive.moves();
    assert_eq!(figures.slots_done, 1024);
    assert!(figures.bytes_moved > 100_000, "what keys take is estimated: {figures:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_move_there_and_back_between_servers_of_codis() {
    for password in ["", SECRET] {
        let [from, to] = [(); 2].map(|()| CodisServer::start_with_password(password));
        let made = make(&from, 100);
        let meta = meta_of(&from.address(), &[&to.address()]).await;
        let _drive = meta.drive(password);
        queue(&meta, 0, 1023, 2).await;
        at_rest(&meta).await;
        assert_moved(&made, from.inside(), to.inside());
        queue(&meta, 0, 1023, 1).await;
        at_rest(&meta).await;
        assert_moved(&made, to.inside(), from.inside());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_codis_gets_no_keys_of_a_newer_one_and_the_reason_is_told() {
    let (from, to) = (redis(), CodisServer::start());
    assert_eq!(from.client().run("SET k v"), Value::ok());
    let before = contents(&from);
    let meta = meta_of(&from.address(), &[&to.address()]).await;
    queue(&meta, 0, 1023, 2).await;
    let _drive = meta.drive("");
    until("it is told", async || failure(&meta).await.contains("older release")).await;
    let why = failure(&meta).await;
    assert!(why.starts_with(&to.address()) && why.contains(&from.address()), "{why}");
    // No client was held up for it.
    let state = meta.state().await;
    let pending = |action: &codis_proto::meta::v1::SlotAction| {
        matches!(action.phase, Some(codis_proto::meta::v1::slot_action::Phase::Pending(_)))
    };
    assert!(state.slots.iter().all(|slot| slot.action.as_ref().is_some_and(pending)));
    assert_eq!((contents(&from), contents(to.inside())), (before, Contents::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_migrate_cannot_give_to_a_server_of_today_stops_a_move_before_it_begins() {
    let from = CodisServer::start_with_password(SECRET);
    let to = Redis::start_with_password(SECRET);
    assert_eq!(from.client().run("SET k v"), Value::ok());
    let meta = meta_of(&from.address(), &[&to.address()]).await;
    queue(&meta, 0, 1023, 2).await;
    let _drive = meta.drive(SECRET);
    until("it is told", async || failure(&meta).await.contains("password")).await;
    let why = failure(&meta).await;
    assert!(why.contains("make a server of a newer release a replica"), "{why}");
    assert!(!why.contains(SECRET), "{why}");
    assert_eq!(from.client().run("GET k"), Value::bulk("v"));
}

#[tokio::test(flavor = "multi_thread")]
async fn codis_own_way_is_not_taken_unasked_where_replicas_are_to_have_keys_first() {
    let [from, to, replica] = [(); 3].map(|()| CodisServer::start_with_password(SECRET));
    let before = make(&from, 10);
    let meta = meta_of(&from.address(), &[&to.address(), &replica.address()]).await;
    queue(&meta, 0, 1023, 2).await;
    let _drive = meta.drive(SECRET);
    until("it is told", async || failure(&meta).await.contains("migration_durability=none")).await;
    assert_eq!(contents(from.inside()), before);
    meta.set("migration_durability", "none").await;
    at_rest(&meta).await;
    assert_moved(&before, from.inside(), to.inside());
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_get_lost_and_connections_that_are_cut_lose_no_key() {
    for password in ["", SECRET] {
        let [from, to] = [(); 2].map(|()| CodisServer::start_with_password(password));
        let before = make(&from, 300);
        let meta = meta_of(&from.address(), &[&to.address()]).await;
        meta.set("migration_async_numkeys", "5").await;
        let clean = || from.inside().client().call(&["HEXISTS", CLEAN_KEY, &to.address()]);
        queue(&meta, 0, 1023, 2).await;
        let drive = meta.drive(password);
        until("it moves", async || drive.moves().keys_moved > 100).await;
        from.lose_answers(true);
        until("the source is unclean", async || clean() == Value::Integer(0)).await;
        from.lose_answers(false);
        let moved = drive.moves().keys_moved;
        until("it moves again", async || drive.moves().keys_moved > moved + 100).await;
        for _ in 0..3 {
            from.cut_ways_out();
            assert!(to.client().run("CLIENT KILL TYPE normal").error().is_none());
            let moved = drive.moves().keys_moved;
            until("it moves again", async || drive.moves().keys_moved > moved + 100).await;
        }
        at_rest(&meta).await;
        assert_moved(&before, from.inside(), to.inside());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_freezes_in_the_middle_overwrites_nothing_when_it_wakes() {
    let [from, to] = [(); 2].map(|()| CodisServer::start_with_password(SECRET));
    let before = make(&from, 300);
    let meta = meta_of(&from.address(), &[&to.address()]).await;
    meta.set("migration_async_numkeys", "5").await;
    let clean = || from.inside().client().call(&["HEXISTS", CLEAN_KEY, &to.address()]);
    queue(&meta, 0, 1023, 2).await;
    let drive = meta.drive(SECRET);
    until("it moves", async || drive.moves().keys_moved > 100).await;
    to.inside().process().freeze();
    until("the source is unclean", async || clean() == Value::Integer(0)).await;
    to.inside().process().thaw();
    at_rest(&meta).await;
    assert_moved(&before, from.inside(), to.inside());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_may_have_come_back_overwrites_nothing_on_its_target() {
    let [from, to] = [(); 2].map(|()| CodisServer::start_with_password(SECRET));
    for line in ["SET both old", "SET only 1"] {
        assert_eq!(from.client().run(line), Value::ok());
    }
    let meta = meta_of(&from.address(), &[&to.address()]).await;
    // An earlier run of the source has begun to move them: nothing says that none has gone before.
    begin_by_hand(&meta).await;
    assert_eq!(to.client().run("SET both new"), Value::ok());
    let _drive = meta.drive(SECRET);
    at_rest(&meta).await;
    assert_eq!(to.client().run("GET both"), Value::bulk("new"));
    assert_eq!(to.client().run("GET only"), Value::bulk("1"));
    assert_eq!(contents(from.inside()), Contents::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_measure_keys_is_weighed_by_their_first_elements() {
    let server = CodisServer::start();
    let before = make(&server, 50);
    let net = Sockets::default();
    let weights = weigh(&net, &server.address(), "").await.expect("it is weighed");
    let keys: u64 = weights.iter().map(|weight| weight.keys).sum();
    assert_eq!(keys, before.len() as u64);
    let slot = |key: &str| &weights[crc32fast::hash(key.as_bytes()) as usize % 1024];
    assert!((200_000..210_000).contains(&slot("big string").bytes), "{:?}", slot("big string"));
    // 5000 fields of about 20 bytes, and what a server of then needs for each.
    let bytes = slot("big hash").bytes;
    assert!((300_000..1_000_000).contains(&bytes), "{bytes}");
}
