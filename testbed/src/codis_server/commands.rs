//! What Redis 3.2 and Codis's additions to it know: names, how many arguments they take, and what scripts may do with
//! them.

/// A command.
#[derive(Debug, Clone, Copy)]
pub(super) struct Command {
    pub(super) name: &'static str,
    /// With the name; at least so many where it is negative, and any where it is 0.
    pub(super) arity: i64,
    /// `w` it writes, `R` its answer is not determined by the data, `s` scripts may not call it.
    pub(super) flags: &'static str,
}

/// Each as its name, its arity and its flags.
const TABLE: &str = "\
get 2|set -3 w|setnx 3 w|setex 4 w|psetex 4 w|append 3 w|strlen 2|del -2 w|exists -2|setbit 4 w|getbit 3|\
bitfield -2 w|setrange 4 w|getrange 4|substr 4|incr 2 w|decr 2 w|mget -2|rpush -3 w|lpush -3 w|rpushx 3 w|\
lpushx 3 w|linsert 5 w|rpop 2 w|lpop 2 w|brpop -3 ws|brpoplpush 4 ws|blpop -3 ws|llen 2|lindex 3|lset 4 w|lrange 4|\
ltrim 4 w|lrem 4 w|rpoplpush 3 w|sadd -3 w|srem -3 w|smove 4 w|sismember 3|scard 2|spop -2 wR|srandmember -2 R|\
sinter -2|sinterstore -3 w|sunion -2|sunionstore -3 w|sdiff -2|sdiffstore -3 w|smembers 2|sscan -3 R|zadd -4 w|\
zincrby 4 w|zrem -3 w|zremrangebyscore 4 w|zremrangebyrank 4 w|zremrangebylex 4 w|zunionstore -4 w|\
zinterstore -4 w|zrange -4|zrangebyscore -4|zrevrangebyscore -4|zrangebylex -4|zrevrangebylex -4|zcount 4|\
zlexcount 4|zrevrange -4|zcard 2|zscore 3|zrank 3|zrevrank 3|zscan -3 R|hset 4 w|hsetnx 4 w|hget 3|hmset -4 w|\
hmget -3|hincrby 4 w|hincrbyfloat 4 w|hdel -3 w|hlen 2|hstrlen 3|hkeys 2|hvals 2|hgetall 2|hexists 3|hscan -3 R|\
incrby 3 w|decrby 3 w|incrbyfloat 3 w|getset 3 w|mset -3 w|msetnx -3 w|randomkey 1 R|select 2|move 3 w|rename 3 w|\
renamenx 3 w|expire 3 w|expireat 3 w|pexpire 3 w|pexpireat 3 w|keys 2|scan -2 R|dbsize 1|auth 2 s|ping -1|echo 2|\
save 1 s|bgsave -1|lastsave 1 R|type 2|multi 1 s|exec 1 s|discard 1 s|sync 1 s|psync 3 s|replconf -1 s|flushdb 1 w|\
flushall 1 w|sort -2 w|info -1|monitor 1 s|ttl 2|touch -2|pttl 2|persist 2 w|slaveof 3 s|role 1 s|debug -1 s|\
config -2|subscribe -2 s|unsubscribe -1 s|psubscribe -2 s|punsubscribe -1 s|publish 3|pubsub -2 R|watch -2 s|\
unwatch 1 s|restore -4 w|migrate -6 w|dump 2|object 3|client -2 s|eval -3 s|evalsha -3 s|slowlog -2|script -2 s|\
time 1 R|bitop -4 w|bitcount -2|bitpos -3|wait 3 s|command 0|geoadd -5 w|georadius -6 w|georadiusbymember -5 w|\
geohash -2|geopos -2|geodist -4|pfadd -2 w|pfcount -2|pfmerge -2 w|latency -2 s|\
slotsmgrtone 5 w|slotsmgrttagone 5 w|slotsrestore -4 w";

/// All of them.
pub(super) fn all() -> impl Iterator<Item = Command> {
    TABLE.split('|').map(|entry| {
        let mut words = entry.split(' ');
        let mut word = || words.next().unwrap_or_default();
        let name = word();
        Command { name, arity: word().parse().expect("an arity is a number"), flags: word() }
    })
}

/// The command of this name.
pub(super) fn find(name: &str) -> Option<Command> {
    all().find(|command| command.name == name)
}

impl Command {
    /// Whether it takes so many words, its name among them.
    pub(super) fn takes(&self, words: usize) -> bool {
        let words = i64::try_from(words).unwrap_or(i64::MAX);
        match self.arity {
            0 => true,
            arity @ 1.. => words == arity,
            arity => words >= -arity,
        }
    }
}

/// What comes before the text of every script: the Redis of then, made of that of today. `database` is the one that is
/// selected, `way_out` the port that moves go by.
pub(super) fn prelude(database: u32, way_out: u16) -> String {
    let entry = |command: Command| {
        let Command { name, arity, flags } = command;
        format!("['{name}']={{{arity},'{flags}'}}")
    };
    let table: Vec<String> = all().map(entry).collect();
    let table = table.join(",");
    // In one line, so that errors name the lines of the script.
    let text = include_str!("prelude.lua").lines().filter(|line| !line.starts_with("--"));
    let text: Vec<&str> = text.collect();
    format!(
        "local OUT, DATABASE, COMMANDS = '{way_out}', '{database}', {{{table}}} {} ",
        text.join(" ")
    )
}
