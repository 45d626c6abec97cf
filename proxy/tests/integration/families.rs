//! Every family of commands answers through the proxy what Redis itself answers.
//!
//! A family is a list of commands as one would type them. `@` stands for the beginning of a key. Lines
//! of `one_key` name one key each and run twice: with keys that live wherever they hash, and with keys
//! that share a tag. Lines of `one_slot` name several keys and run with the tag.

use crate::cluster::Pair;
use codis_testbed::Value;

struct Family {
    one_key: &'static [&'static str],
    one_slot: &'static [&'static str],
}

fn answers_as_redis(family: &Family) {
    let mut pair = Pair::start();
    for line in family.one_key {
        pair.same(&line.replace('@', "plain:"));
    }
    for line in family.one_key.iter().chain(family.one_slot) {
        pair.same(&line.replace('@', "{tag}:"));
    }
}

#[test]
fn strings_redis_too() {
    answers_as_redis(&Family {
        one_key: &[
            "GET @a",
            "SET @a 1",
            "GET @a",
            "set @a 2 XX",
            "SeT @a 3 NX",
            "SET @b v NX GET",
            "SET @a 4 EX 100 PX 100",
            "SET @a 5 KEEPTTL GET",
            "SETNX @a x",
            "SETEX @c 1000 v",
            "PSETEX @c 1000000 v",
            "SETEX @c 0 v",
            "GETSET @a 10",
            "INCR @a",
            "INCRBY @a 5",
            "DECR @a",
            "DECRBY @a 100",
            "INCRBYFLOAT @a 0.5",
            "INCR @a",
            "INCR @b",
            "APPEND @b more",
            "STRLEN @b",
            "GETRANGE @b 0 2",
            "SUBSTR @b -3 -1",
            "SETRANGE @b 2 xyz",
            "GETEX @b PERSIST",
            "GETDEL @b",
            "GET @b",
            "GET",
            "GET @a @b",
            "SET @a",
            "SET @a b SYNTAX",
            "MGET @a",
            "MSET @one 1",
            "MSETNX @nx 1",
            "MSETNX @nx 2",
            "LCS",
        ],
        one_slot: &[
            "MSET @x ohmytext @y mynewtext",
            "LCS @x @y",
            "LCS @x @y LEN",
            "LCS @x @y IDX",
            "MSETNX @x 1 @new 2",
            "MSETNX @new1 1 @new2 2",
            "MGET @x @y @new1 @none",
        ],
    });
}

#[test]
fn bitmaps_redis_too() {
    answers_as_redis(&Family {
        one_key: &[
            "SETBIT @a 7 1",
            "SETBIT @a 100 1",
            "GETBIT @a 7",
            "GETBIT @a 8",
            "BITCOUNT @a",
            "BITCOUNT @a 0 5 BIT",
            "BITPOS @a 1",
            "BITPOS @a 0 2",
            "BITFIELD @a INCRBY u8 0 10 GET u4 0 OVERFLOW SAT SET i5 8 30",
            "BITFIELD_RO @a GET u8 0",
            "BITFIELD_RO @a SET u8 0 1",
            "SETBIT @a -1 1",
            "GET @a",
        ],
        one_slot: &[
            "SET @x foobar",
            "SET @y abcdef",
            "BITOP AND @z @x @y",
            "GET @z",
            "BITOP NOT @z @x",
            "BITOP XOR @z @x @y @a",
            "BITOP NOPE @z @x",
        ],
    });
}

#[test]
fn hashes_redis_too() {
    answers_as_redis(&Family {
        one_key: &[
            "HSET @h a 1 b 2",
            "HSET @h a 3 c",
            "HMSET @h d 4 e 5",
            "HGET @h a",
            "HGET @h none",
            "HMGET @h a none b",
            "HGETALL @h",
            "HKEYS @h",
            "HVALS @h",
            "HLEN @h",
            "HEXISTS @h a",
            "HSTRLEN @h a",
            "HINCRBY @h a 5",
            "HINCRBYFLOAT @h a 1.5",
            "HSETNX @h a 9",
            "HDEL @h a b none",
            "HSCAN @h 0",
            "HSCAN @h 0 MATCH d* COUNT 10",
            "HRANDFIELD @none",
            "HRANDFIELD @none 5",
            "HGETALL @none",
            "GET @h",
            "HGET @h",
        ],
        one_slot: &[],
    });
}

#[test]
fn lists_redis_too() {
    answers_as_redis(&Family {
        one_key: &[
            "RPUSH @l a b c d e",
            "LPUSH @l z",
            "LPUSHX @none x",
            "RPUSHX @l f",
            "LLEN @l",
            "LRANGE @l 0 -1",
            "LINDEX @l 2",
            "LSET @l 2 B",
            "LSET @l 200 B",
            "LINSERT @l BEFORE B between",
            "LPOS @l B",
            "LPOS @l a COUNT 0",
            "LREM @l 1 c",
            "LPOP @l",
            "RPOP @l 2",
            "LPOP @none",
            "LPOP @none 2",
            "LTRIM @l 1 -1",
            "LRANGE @l 0 -1",
            "LMPOP 1 @l LEFT COUNT 1",
            "LMPOP 1 @none LEFT",
            "LMOVE @l @l LEFT RIGHT",
            "LRANGE @l 0 -1",
            "HGET @l f",
        ],
        one_slot: &[
            "RPUSH @src 1 2 3",
            "RPOPLPUSH @src @dst",
            "LMOVE @src @dst LEFT RIGHT",
            "LRANGE @dst 0 -1",
            "LMPOP 2 @none @dst RIGHT COUNT 5",
        ],
    });
}

#[test]
fn sets_redis_too() {
    answers_as_redis(&Family {
        one_key: &[
            "SADD @s a b c",
            "SADD @s a d",
            "SCARD @s",
            "SISMEMBER @s a",
            "SMISMEMBER @s a x b",
            "?SMEMBERS @s",
            "SREM @s a x",
            "SADD @n 3 1 2",
            "SMEMBERS @n",
            "SADD @single only",
            "SRANDMEMBER @single",
            "SRANDMEMBER @single -3",
            "SPOP @single",
            "SPOP @single",
            "SSCAN @n 0",
            "SINTER @n",
            "SINTERCARD 1 @n",
            "SADD @s",
        ],
        one_slot: &[
            "SADD @x 1 2 3 4",
            "SADD @y 3 4 5",
            "SINTER @x @y",
            "SINTERCARD 2 @x @y LIMIT 1",
            "SUNION @x @y",
            "SDIFF @x @y",
            "SINTERSTORE @z @x @y",
            "SUNIONSTORE @z @x @y",
            "SDIFFSTORE @z @x @y",
            "SMOVE @x @y 1",
            "SMEMBERS @y",
        ],
    });
}

#[test]
fn sorted_sets_redis_too() {
    answers_as_redis(&Family {
        one_key: &[
            "ZADD @z 1 a 2 b 3 c 4 d",
            "ZADD @z XX CH GT 5 a 1 b",
            "ZADD @z INCR 1.5 b",
            "ZADD @z nope a",
            "ZCARD @z",
            "ZSCORE @z a",
            "ZMSCORE @z a none b",
            "ZINCRBY @z 2 c",
            "ZRANK @z a",
            "ZREVRANK @z a",
            "ZRANGE @z 0 -1",
            "ZRANGE @z 0 -1 WITHSCORES",
            "ZRANGE @z (1 5 BYSCORE LIMIT 0 2",
            "ZREVRANGE @z 0 1",
            "ZRANGEBYSCORE @z -inf +inf WITHSCORES",
            "ZREVRANGEBYSCORE @z +inf -inf LIMIT 1 1",
            "ZCOUNT @z 2 4",
            "ZADD @lex 0 a 0 b 0 c",
            "ZRANGEBYLEX @lex [a (c",
            "ZREVRANGEBYLEX @lex + -",
            "ZLEXCOUNT @lex - +",
            "ZREMRANGEBYLEX @lex [a [a",
            "ZREMRANGEBYRANK @lex 0 0",
            "ZREMRANGEBYSCORE @lex -inf +inf",
            "ZPOPMIN @z",
            "ZPOPMAX @z 2",
            "ZREM @z a",
            "ZSCAN @z 0",
            "ZMPOP 1 @z MIN",
            "ZRANDMEMBER @none",
            "ZRANDMEMBER @none 3",
            "ZUNION 1 @lex",
        ],
        one_slot: &[
            "ZADD @x 1 a 2 b",
            "ZADD @y 10 b 20 c",
            "ZUNIONSTORE @dst 2 @x @y WEIGHTS 2 1 AGGREGATE SUM",
            "ZINTERSTORE @dst 2 @x @y",
            "ZDIFFSTORE @dst 2 @x @y",
            "ZRANGESTORE @dst @y 0 -1",
            "ZUNION 2 @x @y WITHSCORES",
            "ZINTER 2 @x @y WITHSCORES",
            "ZDIFF 2 @x @y",
            "ZINTERCARD 2 @x @y",
            "ZMPOP 2 @none @y MAX COUNT 2",
            "ZUNION 3 @x @y",
            "ZUNION 0 @x",
        ],
    });
}

#[test]
fn streams_redis_too() {
    answers_as_redis(&Family {
        one_key: &[
            "XADD @s 1-1 f v g w",
            "XADD @s 1-2 f v2",
            "XADD @s 1-1 f late",
            "XADD @s NOMKSTREAM 2-0 f v3",
            "XADD @none NOMKSTREAM 2-0 f v3",
            "XADD @s MAXLEN 100 2-1 f v4",
            "XLEN @s",
            "XRANGE @s - +",
            "XRANGE @s 1-2 2 COUNT 1",
            "XREVRANGE @s + - COUNT 2",
            "XREAD COUNT 2 STREAMS @s 0",
            "XREAD STREAMS @s 9-9",
            "XGROUP CREATE @s g 0",
            "XGROUP CREATE @s g 0",
            "XGROUP CREATECONSUMER @s g c2",
            "XREADGROUP GROUP g c COUNT 2 STREAMS @s >",
            "XREADGROUP GROUP none c STREAMS @s >",
            "XPENDING @s g",
            "XACK @s g 1-1 7-7",
            "XCLAIM @s g c2 0 1-2 JUSTID",
            "XAUTOCLAIM @s g c 0 0 JUSTID",
            "XINFO STREAM @s",
            "XINFO GROUPS @s",
            "XINFO STREAM @none",
            "XGROUP SETID @s g 1-1",
            "XGROUP DELCONSUMER @s g c",
            "XGROUP DESTROY @s g",
            "XSETID @s 100-0",
            "XDEL @s 1-1",
            "XTRIM @s MAXLEN 1",
            "XADD @s 1 f",
        ],
        one_slot: &[
            "XADD @t 5-5 a b",
            "XREAD STREAMS @s @t 0 0",
            "XGROUP CREATE @s g2 0",
            "XGROUP CREATE @t g2 0",
            "XREADGROUP GROUP g2 me NOACK STREAMS @s @t > >",
            "XREAD STREAMS @s @t 0",
        ],
    });
}

#[test]
fn geo_redis_too() {
    answers_as_redis(&Family {
        one_key: &[
            "GEOADD @g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania",
            "GEOADD @g 500 0 nowhere",
            "GEODIST @g Palermo Catania km",
            "GEOHASH @g Palermo Catania none",
            "GEOPOS @g Palermo none",
            "GEOSEARCH @g FROMLONLAT 15 37 BYRADIUS 200 km ASC",
            "GEOSEARCH @g FROMMEMBER Palermo BYBOX 400 400 km ASC WITHCOORD WITHDIST",
            "GEORADIUS @g 15 37 200 km ASC",
            "GEORADIUS_RO @g 15 37 200 km COUNT 1 ASC",
            "GEORADIUSBYMEMBER @g Palermo 200 km ASC WITHHASH",
        ],
        one_slot: &[
            "GEOSEARCHSTORE @dst @g FROMLONLAT 15 37 BYRADIUS 200 km",
            "GEORADIUS @g 15 37 200 km STORE @dst2",
            "ZRANGE @dst2 0 -1 WITHSCORES",
        ],
    });
}

#[test]
fn hyperloglog_redis_too() {
    answers_as_redis(&Family {
        one_key: &[
            "PFADD @p a b c",
            "PFADD @p a",
            "PFCOUNT @p",
            "PFCOUNT @none",
            "LPUSH @l x",
            "PFCOUNT @l",
        ],
        one_slot: &["PFADD @q d e", "PFCOUNT @p @q", "PFMERGE @r @p @q", "PFCOUNT @r"],
    });
}

#[test]
fn keys_and_expiry_redis_too() {
    answers_as_redis(&Family {
        one_key: &[
            "SET @a 1",
            "TYPE @a",
            "TYPE @none",
            "EXISTS @a",
            "TTL @a",
            "TTL @none",
            "PTTL @none",
            "EXPIREAT @a 9999999999",
            "EXPIRETIME @a",
            "PEXPIRETIME @a",
            "PEXPIREAT @a 9999999999999",
            "EXPIRETIME @a",
            "EXPIRE @a 100 NX",
            "EXPIRE @a 10 NOPE",
            "PERSIST @a",
            "PERSIST @a",
            "EXPIRE @a -1",
            "GET @a",
            "SET @b v",
            "PEXPIRE @b 0",
            "EXISTS @b",
            "SET @c v",
            "TOUCH @c",
            "UNLINK @c",
            "DEL @c",
            "SET @d v",
            "OBJECT ENCODING @d",
            "OBJECT REFCOUNT @d",
            "OBJECT FREQ @d",
            "OBJECT ENCODING @none",
            "OBJECT NOPE @d",
            "OBJECT HELP",
            "RENAME @d @d",
            "RENAME @none @none",
            "COPY @d @d",
        ],
        one_slot: &[
            "SET @e 1",
            "RENAME @e @f",
            "RENAMENX @f @d",
            "COPY @f @g",
            "COPY @f @g",
            "COPY @f @g REPLACE",
            "GET @g",
        ],
    });
}

#[test]
fn scripts_redis_too() {
    answers_as_redis(&Family {
        one_key: &[
            "SET @a 41",
            "EVAL \"return redis.call('incr', KEYS[1])\" 1 @a",
            "EVAL \"return {KEYS[1], ARGV[1], 1, false}\" 1 @a arg",
            "EVAL \"return redis.error_reply('MINE went wrong')\" 1 @a",
            "EVAL_RO \"return redis.call('get', KEYS[1])\" 1 @a",
            "EVALSHA 2bab3b661081db58bd2341920e0ba7cf5dc77b25 1 @a",
            "EVALSHA ffffffffffffffffffffffffffffffffffffffff 1 @a",
            "EVAL \"return 1\" x @a",
            "EVAL \"return 1\" 5 @a",
            "EVAL \"return 1\" -1 @a",
        ],
        one_slot: &[
            "EVAL \"return redis.call('mset', KEYS[1], 1, KEYS[2], 2)\" 2 @x @y",
            "MGET @x @y",
        ],
    });
}

#[test]
fn sorting_redis_too() {
    answers_as_redis(&Family {
        one_key: &[
            "RPUSH @l 3 1 2",
            "SORT @l",
            "SORT @l DESC LIMIT 0 2",
            "SORT_RO @l ALPHA",
            "RPUSH @w b a c",
            "SORT @w",
            "SORT @w ALPHA",
        ],
        one_slot: &["SORT @l STORE @sorted", "LRANGE @sorted 0 -1"],
    });
}

#[test]
fn a_dumped_value_can_be_restored_redis_too() {
    let mut pair = Pair::start();
    for (from, to) in [("plain:from", "plain:to"), ("{t}:from", "{t}:to")] {
        pair.same(&format!("RPUSH {from} a b c"));
        let dump = match pair.same(&format!("DUMP {from}")) {
            Value::Bulk(dump) => dump,
            other => panic!("expected a dump, got {other:?}"),
        };
        pair.same_args(&[b"RESTORE", to.as_bytes(), b"0", &dump]);
        pair.same_args(&[b"RESTORE", to.as_bytes(), b"0", &dump]);
        pair.same_args(&[b"RESTORE", to.as_bytes(), b"0", &dump[1..], b"REPLACE"]);
        pair.same(&format!("LRANGE {to} 0 -1"));
    }
    pair.same("DUMP none");
}

#[test]
fn keys_and_values_may_hold_any_bytes_redis_too() {
    let mut pair = Pair::start();
    let all: Vec<u8> = (0..=255).collect();
    pair.same_args(&[b"SET", &all[..], &all[..]]);
    pair.same_args(&[b"GET", &all[..]]);
    pair.same_args(&[b"SET", &b""[..], b"empty key"]);
    pair.same_args(&[b"GET", &b""[..]]);
    pair.same_args(&[b"APPEND", &b"\r\n"[..], b"$-1\r\n"]);
    pair.same_args(&[b"GET", &b"\r\n"[..]]);
}

#[test]
fn a_long_pipeline_of_all_kinds_answers_in_order_redis_too() {
    let mut pair = Pair::start();
    let mut bytes = Vec::new();
    for i in 0..5000 {
        let key = format!("key:{}", i % 97);
        let list = format!("list:{}", i % 13);
        bytes.extend(codis_testbed::encode(&["INCR", &key]));
        bytes.extend(codis_testbed::encode(&["RPUSH", &list, &key]));
        bytes.extend(codis_testbed::encode(&["PING", &i.to_string()]));
        bytes.extend(codis_testbed::encode(&["GET", &list]));
        bytes.extend(codis_testbed::encode(&["MGET", &key, "none", &list]));
        bytes.extend(codis_testbed::encode(&["GET"]));
    }
    pair.same_bytes(&bytes, 5000 * 6);
}
