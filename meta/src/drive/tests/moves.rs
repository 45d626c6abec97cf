//! Moves between real servers.

use std::time::Duration;

use codis_proto::meta::v1 as pb;
use codis_proto::{BIG_KEY_PREFIX, CLEAN_KEY, MOVER_KEY, moves};
use codis_testbed::{Redis, RedisOptions, Value};
use pb::command::Change;
use pb::slot_action::Phase;
use tokio::time::sleep;

use super::contents::{Contents, contents};
use super::fixture::{Meta, number_at, redis, replicate, until};

/// Queues the slots from `first` to `last` for group `target`.
pub(super) async fn queue(meta: &Meta, first: u32, last: u32, target: u32) {
    let slots = Some(pb::SlotRange { first, last });
    let change = pb::SlotActionCreate { slots, target, ..Default::default() };
    meta.ok(Change::SlotActionCreate(change)).await;
}

/// A member with group 1 of `from` and all slots, and group 2 of `to`.
pub(super) async fn meta_of(from: &[&Redis], to: &[&Redis]) -> Meta {
    let addresses = |servers: &[&Redis]| -> Vec<String> {
        servers.iter().map(|server| server.address()).collect()
    };
    let (from, to) = (addresses(from), addresses(to));
    let meta = Meta::with_group(&from.iter().map(String::as_str).collect::<Vec<_>>()).await;
    meta.group(2, &to.iter().map(String::as_str).collect::<Vec<_>>()).await;
    // So that few batches are needed.
    meta.set("migration_parallel_slots", "1024").await;
    meta
}

pub(super) async fn at_rest(meta: &Meta) {
    meta.until("no slot moves", async || {
        meta.state().await.slots.iter().all(|slot| slot.action.is_none())
    })
    .await;
}

/// Has all slots migrate to group 2, as an earlier leader left them.
pub(super) async fn begin_by_hand(meta: &Meta) {
    queue(meta, 0, 1023, 2).await;
    let advance = async |step: pb::SlotStep, phase_epoch| {
        let (slots, reason) = ((0..1024).collect(), String::new());
        let change = pb::SlotActionAdvance {
            slots,
            step: step.into(),
            phase_epoch,
            reason,
            ..Default::default()
        };
        meta.ok(Change::SlotActionAdvance(change)).await
    };
    let epoch = advance(pb::SlotStep::Prepare, 0).await;
    advance(pb::SlotStep::Migrate, epoch).await;
}

async fn failure(meta: &Meta, slot: usize) -> String {
    let action = meta.state().await.slots[slot].action.clone();
    action.map(|action| action.failure).unwrap_or_default()
}

async fn is_migrating(meta: &Meta, slot: usize) -> bool {
    let phase = meta.state().await.slots[slot].action.clone().and_then(|action| action.phase);
    matches!(phase, Some(Phase::Migrating(_)))
}

fn run_all(server: &Redis, lines: &[&str]) {
    let mut client = server.client();
    for line in lines {
        let answer = client.run(line);
        assert!(answer.error().is_none(), "{line}: {answer:?}");
    }
}

/// Writes `count` keys with one script.
fn fill(server: &Redis, database: u32, count: u32) {
    let mut client = server.client();
    assert_eq!(client.call(&["SELECT", &database.to_string()]), Value::ok());
    let script = "for i = 1, ARGV[1] do redis.call('SET', 'key:' .. i, string.rep('v', 100)) end";
    let filled = client.call(&["EVAL", script, "0", &count.to_string()]);
    assert!(filled.error().is_none(), "{filled:?}");
}

const SOME_OF_EACH: [&str; 16] = [
    "SET string value",
    "SET number 12",
    "SETBIT bits 1000 1",
    "RPUSH list a b c",
    "SADD set 1 2 3",
    "SADD words x y z",
    "HSET hash f 1 g 2",
    "ZADD zset 1.1 a -inf b inf c 0.1 d",
    "XADD stream 1-1 f v",
    "XADD stream 2-0 f v g w",
    "XGROUP CREATE stream group 0",
    "XREADGROUP GROUP group one COUNT 1 STREAMS stream >",
    "SELECT 3",
    "SET string another",
    "SELECT 15",
    "HSET hash f 3",
];

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_key_moves_with_its_database_and_its_time_to_live() {
    let (from, to) = (redis(), redis());
    run_all(&from, &SOME_OF_EACH);
    let mut client = from.client();
    for key in [&b""[..], b"a b", b"\r\n\x00\xff", &[b'x'; 100_000]] {
        assert_eq!(client.call(&[b"SET", key, b"binary"]), Value::ok());
    }
    assert_eq!(client.run("PEXPIRE string 3000000"), Value::Integer(1));
    assert_eq!(client.run("PEXPIRE hash 1"), Value::Integer(1));
    sleep(Duration::from_millis(5)).await;
    fill(&from, 5, 5000);
    let before = contents(&from);
    let meta = meta_of(&[&from], &[&to]).await;
    queue(&meta, 0, 1023, 2).await;
    let drive = meta.drive("");
    at_rest(&meta).await;
    assert_eq!(contents(&to), before);
    assert_eq!(contents(&from), Contents::new());
    let left = to.client().run("PTTL string").integer();
    assert!(left > 2_000_000 && left <= 3_000_000, "{left}");
    assert_eq!(to.client().run("PTTL number"), Value::Integer(-1));
    let state = meta.state().await;
    assert!(state.slots.iter().all(|slot| slot.group == 2 && slot.given_away_by == [1]));
    let figures = drive.moves();
    assert_eq!((figures.keys_moved, figures.slots_done), (before.len() as u64, 1024));
    assert!(figures.bytes_moved > 500_000 && figures.sources.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_keys_of_the_slots_that_move_leave() {
    let (from, to) = (redis(), redis());
    fill(&from, 0, 3000);
    let meta = meta_of(&[&from], &[&to]).await;
    queue(&meta, 100, 299, 2).await;
    let _drive = meta.drive("");
    at_rest(&meta).await;
    let moves = |key: &(u32, Vec<u8>)| (100..300).contains(&(crc32fast::hash(&key.1) % 1024));
    let (left, moved) = (contents(&from), contents(&to));
    assert!(!left.is_empty() && !left.keys().any(moves));
    assert!(!moved.is_empty() && moved.keys().all(moves));
    assert_eq!(left.len() + moved.len(), 3000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_moves_there_and_back_and_leftovers_are_removed_on_the_way() {
    let (from, to) = (redis(), redis());
    fill(&from, 0, 300);
    let meta = meta_of(&[&from], &[&to]).await;
    let _drive = meta.drive("");
    queue(&meta, 0, 1023, 2).await;
    at_rest(&meta).await;
    let moved = contents(&to);
    // As if the source had been restarted from an old file, and from the middle of a copy.
    let hidden = format!("{BIG_KEY_PREFIX}0:1");
    for key in ["key:1", "stale", hidden.as_str()] {
        assert_eq!(from.client().call(&["SET", key, "old"]), Value::ok());
    }
    queue(&meta, 0, 1023, 1).await;
    at_rest(&meta).await;
    assert_eq!(contents(&from), moved);
    assert_eq!(from.client().call(&["EXISTS", &hidden]), Value::Integer(0));
    assert_eq!(contents(&to), Contents::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_keys_on_the_target_are_not_touched_and_hold_up_their_slots_only() {
    let (from, to) = (redis(), redis());
    run_all(&from, &["SET mine 1", "SET another 2"]);
    run_all(&to, &["SET mine theirs"]);
    let meta = meta_of(&[&from], &[&to]).await;
    queue(&meta, 0, 1023, 2).await;
    let _drive = meta.drive("");
    let slot = crc32fast::hash(b"mine") as usize % 1024;
    meta.until("the others have moved", async || {
        meta.state().await.slots.iter().filter(|slot| slot.action.is_some()).count() == 1
    })
    .await;
    let why = failure(&meta, slot).await;
    let named = [to.address(), "has 1 keys".into(), "\"mine\"".into(), "UNLINK".into()];
    assert!(named.iter().all(|part| why.contains(part)), "{why}");
    assert_eq!(to.client().run("GET mine"), Value::bulk("theirs"));
    run_all(&to, &["UNLINK mine"]);
    at_rest(&meta).await;
    assert_eq!(to.client().run("GET mine"), Value::bulk("1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_target_has_already_wins_over_the_source() {
    let (from, to) = (redis(), redis());
    run_all(&from, &["SET both old", "SET only 1"]);
    let meta = meta_of(&[&from], &[&to]).await;
    begin_by_hand(&meta).await;
    // A client that wrote since.
    run_all(&to, &["SET both new"]);
    let _drive = meta.drive("");
    at_rest(&meta).await;
    assert_eq!(to.client().run("GET both"), Value::bulk("new"));
    assert_eq!(to.client().run("GET only"), Value::bulk("1"));
    assert_eq!(contents(&from), Contents::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_script_has_the_digest_by_which_it_is_called() {
    let server = redis();
    let digest = server.client().call(&["SCRIPT", "LOAD", moves::SCRIPT]);
    assert_eq!(digest, Value::bulk(moves::SCRIPT_SHA1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_freezes_in_the_middle_is_cleaned_up_after_and_the_move_ends() {
    let (from, to) = (redis(), redis());
    fill(&from, 0, 20_000);
    let before = contents(&from);
    let meta = meta_of(&[&from], &[&to]).await;
    meta.set("migration_async_numkeys", "20").await;
    queue(&meta, 0, 1023, 2).await;
    let drive = meta.drive("");
    until("it moves", async || drive.moves().keys_moved > 100).await;
    let clean = || from.client().call(&["HEXISTS", CLEAN_KEY, &to.address()]);
    assert_eq!(clean(), Value::Integer(1));
    to.process().freeze();
    until("the source is unclean", async || clean() == Value::Integer(0)).await;
    until("it is told", async || !drive.moves().sources[0].trouble.is_empty()).await;
    to.process().thaw();
    at_rest(&meta).await;
    assert_eq!(contents(&to), before);
    assert_eq!(contents(&from), Contents::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_connections_and_a_lost_script_do_not_stop_a_move() {
    let (from, to) = (redis(), redis());
    fill(&from, 0, 20_000);
    let before = contents(&from);
    let meta = meta_of(&[&from], &[&to]).await;
    meta.set("migration_async_numkeys", "20").await;
    queue(&meta, 0, 1023, 2).await;
    let drive = meta.drive("");
    for round in 1..=3 {
        until("it moves", async || drive.moves().keys_moved > round * 1000).await;
        run_all(&from, &["SCRIPT FLUSH", "CLIENT KILL TYPE normal"]);
        run_all(&to, &["CLIENT KILL TYPE normal"]);
    }
    at_rest(&meta).await;
    assert_eq!(contents(&to), before);
    assert_eq!(contents(&from), Contents::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mover_of_an_older_term_is_killed_and_one_that_is_older_is_refused() {
    let (from, to) = (redis(), redis());
    let meta = meta_of(&[&from], &[&to]).await;
    let named = |name: &str| {
        let mut client = from.client();
        assert_eq!(client.call(&["CLIENT", "SETNAME", name]), Value::ok());
        client
    };
    let term = meta.node.standing().borrow().term;
    let (mut older, mut newer) =
        (named("codis-mover:0"), named(&format!("codis-mover:{}", term + 1)));
    queue(&meta, 0, 1, 2).await;
    let drive = meta.drive("");
    at_rest(&meta).await;
    assert!(older.is_closed());
    assert!(newer.run("PING").error().is_none());
    assert_eq!((number_at(&from, MOVER_KEY), number_at(&to, MOVER_KEY)), (term, term));
    drop(drive);
    // A newer leader has been there.
    assert_eq!(from.client().call(&["SET", MOVER_KEY, "1000000"]), Value::ok());
    queue(&meta, 2, 2, 2).await;
    let _drive = meta.drive("");
    until("it is told", async || failure(&meta, 2).await.contains("term 1000000")).await;
    assert_eq!(number_at(&from, MOVER_KEY), 1_000_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_leader_goes_on_in_the_middle() {
    let (from, to) = (redis(), redis());
    fill(&from, 0, 20_000);
    let before = contents(&from);
    let meta = meta_of(&[&from], &[&to]).await;
    meta.set("migration_async_numkeys", "20").await;
    queue(&meta, 0, 1023, 2).await;
    for round in 1..=3 {
        let drive = meta.drive("");
        until("it moves", async || drive.moves().keys_moved > round * 500).await;
        drop(drive);
    }
    let _drive = meta.drive("");
    at_rest(&meta).await;
    assert_eq!(contents(&to), before);
    assert_eq!(contents(&from), Contents::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn moves_rest_while_they_are_paused() {
    let (from, to) = (redis(), redis());
    fill(&from, 0, 20_000);
    let meta = meta_of(&[&from], &[&to]).await;
    meta.set("migration_async_numkeys", "20").await;
    queue(&meta, 0, 511, 2).await;
    let drive = meta.drive("");
    until("it moves", async || drive.moves().keys_moved > 100).await;
    meta.set("migration_disabled", "true").await;
    let doing = async || {
        let sources = drive.moves().sources;
        sources.first().is_some_and(|source| source.doing == "paused")
    };
    until("it is paused", doing).await;
    let left = from.client().run("DBSIZE");
    queue(&meta, 512, 1023, 2).await;
    sleep(Duration::from_millis(300)).await;
    assert_eq!(from.client().run("DBSIZE"), left);
    assert!(is_migrating(&meta, 0).await && !is_migrating(&meta, 600).await);
    meta.set("migration_disabled", "false").await;
    at_rest(&meta).await;
    assert_eq!(contents(&from), Contents::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_replica_keys_leave_once_the_replica_has_them() {
    let (from, to, replica) = (redis(), redis(), redis());
    fill(&from, 0, 2000);
    let before = contents(&from);
    replicate(&replica, &to);
    let meta = meta_of(&[&from], &[&to, &replica]).await;
    queue(&meta, 0, 1023, 2).await;
    // Connected, and silent.
    replica.process().freeze();
    let _drive = meta.drive("");
    let slot = crc32fast::hash(b"key:1") as usize % 1024;
    until("it is told", async || failure(&meta, slot).await.contains("replica")).await;
    assert_eq!(contents(&from), before, "nothing has left");
    replica.process().thaw();
    at_rest(&meta).await;
    assert_eq!(contents(&from), Contents::new());
    codis_testbed::eventually("the replica has all", || contents(&replica) == before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_whose_replica_is_gone_is_not_waited_for() {
    let (from, to, mut replica) = (redis(), redis(), redis());
    fill(&from, 0, 2000);
    let before = contents(&from);
    replica.kill();
    let meta = meta_of(&[&from], &[&to, &replica]).await;
    queue(&meta, 0, 1023, 2).await;
    let _drive = meta.drive("");
    at_rest(&meta).await;
    assert_eq!((contents(&from), contents(&to)), (Contents::new(), before));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_target_is_told_of_in_its_own_words_and_the_move_goes_on_when_it_has_room() {
    let args = ["--maxmemory", "3mb", "--maxmemory-policy", "noeviction"].map(str::to_owned);
    let to = Redis::start_with(RedisOptions { args: args.to_vec(), ..RedisOptions::default() });
    let from = redis();
    fill(&from, 0, 20_000);
    let before = contents(&from);
    let meta = meta_of(&[&from], &[&to]).await;
    queue(&meta, 0, 1023, 2).await;
    let _drive = meta.drive("");
    let full = async |slot: &pb::Slot| {
        slot.action.as_ref().is_some_and(|action| action.failure.contains("OOM"))
    };
    until("it is told", async || {
        for slot in &meta.state().await.slots {
            if full(slot).await {
                return true;
            }
        }
        false
    })
    .await;
    run_all(&to, &["CONFIG SET maxmemory 0"]);
    at_rest(&meta).await;
    assert_eq!((contents(&from), contents(&to)), (Contents::new(), before));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_barrier_that_a_proxy_does_not_reach_is_rolled_back_with_the_reason() {
    let (from, mut other) = (redis(), redis());
    let to = redis();
    let meta = meta_of(&[&from], &[&to]).await;
    meta.group(3, &[&other.address()]).await;
    meta.set("barrier_deadline", "200ms").await;
    meta.register("silent").await;
    // Nor can it be fenced everywhere.
    other.kill();
    queue(&meta, 7, 7, 2).await;
    let drive = meta.drive("");
    until("it is told", async || failure(&meta, 7).await.contains("silent")).await;
    let state = meta.state().await;
    let phase = state.slots[7].action.as_ref().and_then(|action| action.phase.as_ref());
    assert!(!matches!(phase, Some(Phase::Migrating(_))), "{phase:?}");
    other.restart();
    at_rest(&meta).await;
    assert_eq!(meta.state().await.slots[7].group, 2);
    assert!(drive.moves().slowest_barrier_us > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_weighed_by_slot() {
    let server = redis();
    fill(&server, 0, 1000);
    fill(&server, 2, 1000);
    let meta = Meta::start().await;
    let weights = meta.drive("").weigh(&server.address()).await.expect("it answers");
    assert_eq!(weights.len(), 1024);
    assert_eq!(weights.iter().map(|weight| weight.keys).sum::<u64>(), 2000);
    let slot = crc32fast::hash(b"key:1") as usize % 1024;
    assert!(weights[slot].keys >= 2 && weights[slot].bytes > 200);
    let silent = meta.drive("").weigh("127.0.0.1:1").await.expect_err("nobody is there");
    assert!(silent.contains("127.0.0.1:1"), "{silent}");
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_with_a_password_move_keys() {
    let (from, to) = (Redis::start_with_password("pw"), Redis::start_with_password("pw"));
    fill(&from, 0, 100);
    let before = contents(&from);
    let meta = meta_of(&[&from], &[&to]).await;
    queue(&meta, 0, 1023, 2).await;
    let _drive = meta.drive("pw");
    at_rest(&meta).await;
    assert_eq!((contents(&from), contents(&to)), (Contents::new(), before));
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_take_along_the_functions_that_their_new_server_lacks() {
    let (from, to) = (redis(), redis());
    let load = |server: &Redis, library: &str, answer: &str| {
        let code = format!(
            "#!lua name={library}\nredis.register_function{{function_name='{library}_f', callback=function() \
             return '{answer}' end, flags={{'no-writes'}}}}"
        );
        server.client().call(&["FUNCTION", "LOAD", &code])
    };
    if load(&from, "one", "source").error().is_some() {
        tracing::info!("not looked at: the server knows no functions");
        return;
    }
    load(&from, "two", "source");
    load(&to, "two", "target");
    fill(&from, 0, 100);
    let meta = meta_of(&[&from], &[&to]).await;
    queue(&meta, 0, 1023, 2).await;
    let _drive = meta.drive("");
    at_rest(&meta).await;
    for (function, answer) in [("one_f", "source"), ("two_f", "target")] {
        assert_eq!(to.client().call(&["FCALL", function, "0"]), Value::bulk(answer));
    }
}
