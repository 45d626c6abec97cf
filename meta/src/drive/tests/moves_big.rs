//! Moves of big keys between real servers.

use codis_proto::BIG_KEY_PREFIX;
use codis_testbed::{Redis, Value};

use super::contents::{Contents, contents, difference};
use super::fixture::{Meta, redis, replicate, until};
use super::moves::{at_rest, meta_of, queue};

/// Makes a big key of every type in the selected database; ARGV[1] elements each.
const MAKE: &str = "
local n = tonumber(ARGV[1])
redis.call('SET', 'string', string.rep('0123456789abcdef', n * 8))
redis.call('SET', 'binary', string.rep(string.char(0, 255, 13, 10), n * 2))
for i = 1, n do
  redis.call('RPUSH', 'list', 'element ' .. i)
  redis.call('SADD', 'set', 'member ' .. i)
  redis.call('SADD', 'numbers', i * 3)
  redis.call('HSET', 'hash', 'field ' .. i, 'value ' .. i)
  redis.call('ZADD', 'zset', i / 7, 'member ' .. i)
  redis.call('XADD', 'stream', i .. '-1', 'field', 'value ' .. i, 'other', i)
end
redis.call('ZADD', 'zset', '-inf', 'low', 'inf', 'high', '1e300', 'far', '-0.1', 'near')
redis.call('HSET', 'hash', 'large', string.rep('x', 600000), 'empty', '')
redis.call('XGROUP', 'CREATE', 'stream', 'one', '0')
redis.call('XGROUP', 'CREATE', 'stream', 'two', '5-1')
redis.call('XREADGROUP', 'GROUP', 'two', 'idle', 'COUNT', 1, 'STREAMS', 'stream', '0')
redis.call('XREADGROUP', 'GROUP', 'one', 'alice', 'COUNT', 700, 'STREAMS', 'stream', '>')
redis.call('XREADGROUP', 'GROUP', 'one', 'bob', 'COUNT', 50, 'STREAMS', 'stream', '>')
redis.call('XCLAIM', 'stream', 'one', 'bob', 0, '3-1', 'RETRYCOUNT', 9)
redis.call('XDEL', 'stream', '1-1', '4-1', '701-1', '900-1')
redis.call('XADD', 'stream', '999999-0', 'last', '1')
redis.call('XDEL', 'stream', '999999-0')
return redis.status_reply('OK')";

fn make(server: &Redis, database: u32, elements: u32) {
    let mut client = server.client();
    assert_eq!(client.call(&["SELECT", &database.to_string()]), Value::ok());
    assert_eq!(client.call(&["EVAL", MAKE, "0", &elements.to_string()]), Value::ok());
}

/// Everything is big soon.
async fn with_low_limits(from: &[&Redis], to: &[&Redis]) -> Meta {
    let meta = meta_of(from, to).await;
    meta.set("migration_big_elements", "100").await;
    meta.set("migration_big_bytes", "64kb").await;
    meta
}

fn no_hidden_keys(server: &Redis) {
    for database in 0..16 {
        let mut client = server.client();
        assert_eq!(client.call(&["SELECT", &database.to_string()]), Value::ok());
        let hidden = client.call(&["KEYS", &format!("{BIG_KEY_PREFIX}*")]);
        assert_eq!(hidden, Value::Array(Vec::new()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn big_keys_of_every_type_are_equal_at_the_end() {
    let (from, to) = (redis(), redis());
    make(&from, 0, 5000);
    make(&from, 7, 1500);
    assert_eq!(from.client().run("PEXPIRE hash 3000000"), Value::Integer(1));
    let before = contents(&from);
    let meta = with_low_limits(&[&from], &[&to]).await;
    let _drive = meta.drive("");
    queue(&meta, 0, 1023, 2).await;
    at_rest(&meta).await;
    assert_eq!(difference(&before, &contents(&to)), [""; 0]);
    assert_eq!(contents(&from), Contents::new());
    let left = to.client().run("PTTL hash").integer();
    assert!(left > 2_000_000 && left <= 3_000_000, "{left}");
    assert_eq!(to.client().run("PTTL list"), Value::Integer(-1));
    no_hidden_keys(&to);
    let idle =
        |server: &Redis| server.client().run("XPENDING stream one 3-1 3-1 1").items()[0].clone();
    assert!(idle(&to).items()[2].integer() > 0, "when it was delivered is known");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_big_key_that_is_touched_in_the_middle_moves_as_it_is_then() {
    let (from, to) = (redis(), redis());
    let fill = "for i = 1, 60000 do redis.call('HSET', 'hash', i, 'value') end";
    assert!(from.client().call(&["EVAL", fill, "0"]).error().is_none());
    let meta = with_low_limits(&[&from], &[&to]).await;
    meta.set("migration_async_maxbulks", "10").await;
    let _drive = meta.drive("");
    queue(&meta, 0, 1023, 2).await;
    let hidden = format!("{BIG_KEY_PREFIX}*");
    until("it is copied", async || !to.client().call(&["KEYS", &hidden]).items().is_empty()).await;
    // As a command of a lost connection may.
    assert_eq!(from.client().run("HSET hash touched 1"), Value::Integer(1));
    at_rest(&meta).await;
    assert_eq!(to.client().run("HGET hash touched"), Value::bulk("1"));
    assert_eq!(to.client().run("HLEN hash"), Value::Integer(60_001));
    assert_eq!(contents(&from), Contents::new());
    no_hidden_keys(&to);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_big_key_survives_lost_connections_and_a_new_leader() {
    let (from, to, replica) = (redis(), redis(), redis());
    replicate(&replica, &to);
    make(&from, 0, 20_000);
    let before = contents(&from);
    let mut meta = with_low_limits(&[&from], &[&to, &replica]).await;
    meta.set("migration_async_maxbulks", "10").await;
    queue(&meta, 0, 1023, 2).await;
    let hidden = format!("{BIG_KEY_PREFIX}*");
    for _ in 0..2 {
        let drive = meta.drive("");
        let copied = async || !to.client().call(&["KEYS", &hidden]).items().is_empty();
        until("it is copied", copied).await;
        assert!(to.client().run("CLIENT KILL TYPE normal").error().is_none());
        until("it is copied again", copied).await;
        assert!(from.client().run("CLIENT KILL TYPE normal").error().is_none());
        drop(drive);
        meta.elect_again().await;
    }
    meta.set("migration_async_maxbulks", "1000").await;
    let _drive = meta.drive("");
    at_rest(&meta).await;
    assert_eq!(difference(&before, &contents(&to)), [""; 0]);
    assert_eq!(contents(&from), Contents::new());
    no_hidden_keys(&to);
    codis_testbed::eventually("the replica has all", || contents(&replica) == before);
}

#[tokio::test(flavor = "multi_thread")]
async fn big_keys_that_clients_wait_for_move_first() {
    let (from, to) = (redis(), redis());
    let fill = "for i = 1, 3000 do redis.call('SET', 'small' .. i, 'value') end
        for key = 1, 10 do
            for i = 1, 200 do redis.call('RPUSH', 'big' .. key, i) end
        end";
    assert!(from.client().call(&["EVAL", fill, "0"]).error().is_none());
    let meta = with_low_limits(&[&from], &[&to]).await;
    // So that the walk takes long.
    meta.set("migration_async_numkeys", "1").await;
    meta.set("migration_interval", "10ms").await;
    let drive = meta.drive("");
    queue(&meta, 0, 1023, 2).await;
    for key in 1..=10 {
        drive.want(0, format!("big{key}").into_bytes());
    }
    let all = "EXISTS big1 big2 big3 big4 big5 big6 big7 big8 big9 big10";
    until("they have moved", async || to.client().run(all) == Value::Integer(10)).await;
    assert!(from.client().run("DBSIZE").integer() > 1000);
    meta.set("migration_async_numkeys", "1000").await;
    meta.set("migration_interval", "0").await;
    at_rest(&meta).await;
    assert_eq!(to.client().run("LLEN big7"), Value::Integer(200));
    assert_eq!(contents(&from), Contents::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_big_key_that_the_target_has_already_is_dropped_on_the_source() {
    let (from, to) = (redis(), redis());
    make(&from, 0, 1000);
    let meta = with_low_limits(&[&from], &[&to]).await;
    super::moves::begin_by_hand(&meta).await;
    assert_eq!(to.client().run("SET hash newer"), Value::ok());
    let _drive = meta.drive("");
    at_rest(&meta).await;
    assert_eq!(to.client().run("GET hash"), Value::bulk("newer"));
    assert_eq!(contents(&from), Contents::new());
    no_hidden_keys(&to);
}

/// Servers from Redis 7.4 on have this; the test says where it had nothing to look at.
#[tokio::test(flavor = "multi_thread")]
async fn times_to_live_of_fields_move_with_small_hashes_and_big_ones() {
    let (from, to) = (redis(), redis());
    if from.client().run("HPEXPIRE hash 1 FIELDS 1 field").error().is_some() {
        tracing::info!("not looked at: the server knows no times to live of fields");
        return;
    }
    let fill = "for i = 1, tonumber(ARGV[1]) do redis.call('HSET', KEYS[1], i, 'value') end";
    for (key, elements) in [("small", "20"), ("big", "5000")] {
        assert!(from.client().call(&["EVAL", fill, "1", key, elements]).error().is_none());
        let expire = format!("HPEXPIREAT {key} 33000000000000 FIELDS 3 3 5 7");
        assert_eq!(from.client().run(&expire).items().len(), 3);
    }
    let ask = |server: &Redis, key: &str| {
        server.client().run(&format!("HPEXPIRETIME {key} FIELDS 5 3 4 5 7 gone"))
    };
    let before = ["small", "big"].map(|key| ask(&from, key));
    let meta = with_low_limits(&[&from], &[&to]).await;
    let _drive = meta.drive("");
    queue(&meta, 0, 1023, 2).await;
    at_rest(&meta).await;
    assert_eq!(["small", "big"].map(|key| ask(&to, key)), before);
    assert_eq!(before[0].items()[0], Value::Integer(33_000_000_000_000));
    assert_eq!(to.client().run("HLEN big"), Value::Integer(5000));
    assert_eq!(contents(&from), Contents::new());
    no_hidden_keys(&to);
}
