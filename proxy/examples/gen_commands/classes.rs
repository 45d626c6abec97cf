//! What the proxy does with each command: the part of the table that people decide.
//!
//! Every command and subcommand that the server reports must stand in exactly one of these lists
//! (a container's own HELP is classified by itself, as is a container without a form of its own).
//! The generator refuses to go on otherwise.

/// Forwarded to the one server that owns the keys. Whether there is one key at argument 1 or keys
/// elsewhere follows from the server's key specs.
pub(crate) const FORWARDED: &[&str] = &[
    "copy dump expire expireat expiretime move persist pexpire pexpireat pexpiretime pttl rename",
    "renamenx restore sort sort_ro ttl type",
    "object|encoding object|freq object|idletime object|refcount memory|usage",
    "append decr decrby get getdel getex getrange getset incr incrby incrbyfloat lcs msetnx psetex",
    "set setex setnx setrange strlen substr",
    "bitcount bitfield bitfield_ro bitop bitpos getbit setbit",
    "hdel hexists hget hgetall hincrby hincrbyfloat hkeys hlen hmget hmset hrandfield hscan hset",
    "hsetnx hstrlen hvals",
    "hexpire hexpireat hexpiretime hgetdel hgetex hpersist hpexpire hpexpireat hpexpiretime hpttl hsetex",
    "httl",
    "vadd vcard vdim vemb vgetattr vinfo vismember vlinks vrandmember vrem vsetattr vsim",
    "lindex linsert llen lmove lmpop lpop lpos lpush lpushx lrange lrem lset ltrim rpop rpoplpush",
    "rpush rpushx",
    "sadd scard sdiff sdiffstore sinter sintercard sinterstore sismember smembers smismember smove",
    "spop srandmember srem sscan sunion sunionstore",
    "zadd zcard zcount zdiff zdiffstore zincrby zinter zintercard zinterstore zlexcount zmpop",
    "zmscore zpopmax zpopmin zrandmember zrange zrangebylex zrangebyscore zrangestore zrank zrem",
    "zremrangebylex zremrangebyrank zremrangebyscore zrevrange zrevrangebylex zrevrangebyscore",
    "zrevrank zscan zscore zunion zunionstore",
    "pfadd pfcount pfmerge",
    "geoadd geodist geohash geopos georadius georadius_ro georadiusbymember georadiusbymember_ro",
    "geosearch geosearchstore",
    "xack xadd xautoclaim xclaim xdel xlen xpending xrange xrevrange xsetid xtrim",
    "xgroup|create xgroup|createconsumer xgroup|delconsumer xgroup|destroy xgroup|setid",
    "xinfo|consumers xinfo|groups xinfo|stream",
    "eval eval_ro evalsha evalsha_ro fcall fcall_ro",
];

/// Forwarded to the one server that owns the keys, on a connection of the session's own where they may block.
pub(crate) const BLOCKING: &[&str] =
    &["blpop brpop blmove brpoplpush blmpop bzmpop bzpopmax bzpopmin xread xreadgroup"];

/// Split by backend and put together again: the command and its `Split` variant.
pub(crate) const SPLIT: &[(&str, &str)] = &[
    ("mget", "Mget"),
    ("mset", "Mset"),
    ("del", "Sum"),
    ("unlink", "Sum"),
    ("exists", "Sum"),
    ("touch", "Sum"),
];

/// Sent to the master of its channel's slot: the command, and how it differs.
pub(crate) const PUBLISHED: &[(&str, &str)] = &[
    (
        "publish",
        "goes to the master of the channel's slot; counts the connections of proxies that have \
         subscribers, not the subscribers",
    ),
    ("spublish", "as PUBLISH; shard channels have names of their own, as in Redis"),
];

/// Of SUBSCRIBE and PSUBSCRIBE.
const KEYSPACE: &str =
    "events of keys come from all masters; the servers need `notify-keyspace-events`";

/// Sent to the masters of all groups: the command, its `Everywhere` variant, and how the answer differs from that of a
/// Redis server (empty: not at all).
pub(crate) const EVERYWHERE: &[(&str, &str, &str)] = &[
    ("scan", "Scan", "one cursor for all groups; a key may come twice where slots move meanwhile"),
    ("keys", "Keys", ""),
    ("dbsize", "DbSize", "the sum of all groups; a key that is being moved may count twice"),
    ("randomkey", "RandomKey", ""),
    ("flushdb", "FlushDb", "group by group, not at once; refused while slots move or are locked"),
    ("flushall", "FlushAll", "group by group, not at once; refused while slots move or are locked"),
    ("lastsave", "Least", "the time of the group that saved longest ago"),
    ("save", "Alike", "all masters"),
    ("bgsave", "Alike", "all masters"),
    ("bgrewriteaof", "Alike", "all masters"),
    (
        "script|load",
        "ScriptLoad",
        "all masters; those that come later are given it when it is called",
    ),
    ("script|exists", "ScriptExists", "1 if every master has it or can be given it"),
    ("script|flush", "ScriptFlush", "all masters; other proxies and shards may still know scripts"),
    ("script|kill", "Kill", "whichever masters run one"),
    (
        "function|load",
        "Alike",
        "all masters; slots that move take it along to a group that lacks it",
    ),
    ("function|delete", "Alike", "all masters"),
    ("function|flush", "Alike", "all masters"),
    ("function|restore", "Alike", "all masters"),
    ("function|kill", "Kill", "whichever masters run one"),
    ("function|stats", "Running", "of the master that runs a function, else of the first group's"),
    ("function|dump", "First", "of the first group's master"),
    ("function|list", "First", "of the first group's master"),
    ("module|list", "First", "of the first group's master"),
    ("script|show", "First", "of the first group's master"),
    ("lolwut", "First", "of the first group's master"),
    ("memory|purge", "Alike", "all masters"),
    ("memory|doctor", "Text", "with several groups, one text after the other"),
    ("memory|malloc-stats", "Text", "with several groups, one text after the other"),
    ("memory|stats", "Single", "with one group only; of one server by CODIS.SERVER"),
    ("latency|doctor", "Text", "with several groups, one text after the other"),
    ("latency|graph", "Text", "with several groups, one text after the other"),
    ("latency|history", "List", "of all masters, one after the other"),
    ("latency|latest", "List", "of all masters, one after the other"),
    ("latency|histogram", "Single", "with one group only; of one server by CODIS.SERVER"),
    ("latency|reset", "Sum", "all masters"),
    ("pubsub|channels", "Names", "those of all proxies"),
    ("pubsub|shardchannels", "Names", "those of all proxies"),
    (
        "pubsub|numsub",
        "Counts",
        "the shards of all proxies that have subscribers, not the subscribers",
    ),
    ("pubsub|shardnumsub", "Counts", "as PUBSUB NUMSUB"),
    ("pubsub|numpat", "Most", "those of all proxies"),
    (
        "wait",
        "Acks",
        "the least of all masters; replicas that acknowledged before are asked anew, within 50 ms",
    ),
    ("waitaof", "Acks", "the least of all masters, which must be Redis 7.2 or newer"),
    (
        "codis.server",
        "Server",
        "Codis's own: a command on the server that it names; what administers needs `backend_admin_commands`",
    ),
    (
        "debug",
        "Debug",
        "refused unless `backend_admin_commands` is set; then on its key's server or all masters",
    ),
];

/// Answered by the proxy itself: the command, its `Local` variant, and how the answer differs from
/// that of a Redis server (empty: not at all).
pub(crate) const LOCAL: &[(&str, &str, &str)] = &[
    (
        "auth",
        "Auth",
        "the users of the proxy's configuration; `session_auth` is the default one's password",
    ),
    ("hello", "Hello", "the id is that of the connection to the proxy"),
    ("select", "Select", "up to the proxy's `backend_number_databases`"),
    ("ping", "Ping", "answered by the proxy; `PING host:port` asks a server of the topology"),
    ("echo", "Echo", ""),
    ("quit", "Quit", ""),
    ("reset", "Reset", ""),
    ("role", "Role", "a master without replicas, which the proxy is to its clients"),
    ("time", "Time", "the proxy's clock"),
    ("command", "Command", "only the commands that the proxy supports"),
    ("command|count", "CommandCount", "only the commands that the proxy supports"),
    ("command|info", "CommandInfo", "nil for commands that the proxy does not support"),
    ("command|docs", "CommandDocs", "only the commands that the proxy supports"),
    ("command|getkeys", "CommandGetKeys", ""),
    ("command|getkeysandflags", "CommandGetKeysAndFlags", ""),
    ("command|list", "CommandList", "only the commands that the proxy supports"),
    ("client|id", "ClientId", "the id of the connection to the proxy"),
    ("client|setname", "ClientSetName", "names the connection to the proxy"),
    ("client|getname", "ClientGetName", "names the connection to the proxy"),
    ("client|setinfo", "ClientSetInfo", "as in Redis 7.2, whatever the servers' version"),
    ("client|info", "ClientInfo", "the connection to the proxy"),
    ("client|list", "ClientList", "the clients of this proxy, all shards"),
    ("client|kill", "ClientKill", "the clients of this proxy, all shards"),
    ("client|no-evict", "ClientNoEvict", "accepted and shown; the proxy evicts no clients"),
    (
        "client|no-touch",
        "ClientNoTouch",
        "servers before 7.2 do not know it and count the uses of keys",
    ),
    ("client|reply", "ClientReply", ""),
    (
        "client|tracking",
        "ClientTracking",
        "needs RESP3 to be told anything: REDIRECT is refused; when a slot moves or a server is lost, all keys \
         are invalidated",
    ),
    ("client|caching", "ClientCaching", "inside a transaction it is about what follows EXEC"),
    ("client|trackinginfo", "ClientTrackingInfo", ""),
    ("client|getredir", "ClientGetRedir", ""),
    ("client|unblock", "ClientUnblock", "the clients of this proxy, all shards"),
    (
        "client|pause",
        "ClientPause",
        "the clients of this proxy, all shards; CLIENT and its subcommands are never paused",
    ),
    ("client|unpause", "ClientUnpause", ""),
    (
        "readonly",
        "ReadOnly",
        "the session's reads may go to replicas, whatever `backend_primary_only` says",
    ),
    (
        "readwrite",
        "ReadWrite",
        "the session's reads go to masters, whatever `backend_primary_only` says",
    ),
    ("multi", "Multi", "keys of one slot"),
    (
        "exec",
        "Exec",
        "an error of the server before it runs anything, such as OOM, comes as EXECABORT; commands \
         without keys run when the server has answered",
    ),
    ("discard", "Discard", ""),
    ("watch", "Watch", "keys of one slot; EXEC answers nil also when the slot moves meanwhile"),
    ("unwatch", "Unwatch", ""),
    ("acl|whoami", "AclWhoAmI", ""),
    ("acl|users", "AclUsers", "the users of the proxy's configuration"),
    ("acl|list", "AclList", "the users of the proxy's configuration"),
    ("acl|getuser", "AclGetUser", "the users of the proxy's configuration; no selectors"),
    ("acl|cat", "AclCat", ""),
    ("acl|dryrun", "AclDryRun", "the users of the proxy's configuration"),
    ("acl|genpass", "AclGenPass", ""),
    ("info", "Info", "the proxy's own sections; `INFO host:port` asks a server of the topology"),
    ("config|get", "ConfigGet", "the proxy's own settings"),
    ("config|set", "ConfigSet", "the proxy's own settings"),
    ("config|resetstat", "ConfigResetStat", "the proxy's own counters"),
    ("slowlog|get", "SlowlogGet", "requests that were slow as seen by this proxy"),
    ("slowlog|len", "SlowlogLen", "requests that were slow as seen by this proxy"),
    ("slowlog|reset", "SlowlogReset", "requests that were slow as seen by this proxy"),
    ("subscribe", "Subscribe", KEYSPACE),
    ("psubscribe", "Psubscribe", KEYSPACE),
    ("ssubscribe", "Ssubscribe", "channels of any slots in one call"),
    ("unsubscribe", "Unsubscribe", ""),
    ("punsubscribe", "Punsubscribe", ""),
    ("sunsubscribe", "Sunsubscribe", ""),
    (
        "monitor",
        "Monitor",
        "the requests of this proxy's clients, all shards; at most `monitor_max_clients` at a time",
    ),
    ("slotsinfo", "SlotsInfo", "Codis's own: the slots and their groups"),
    ("slotsmapping", "SlotsMapping", "Codis's own: the slots and their servers"),
    ("slotshashkey", "SlotsHashKey", "Codis's own: the slot of each key"),
];

/// Forwarded commands that differ from one Redis server in more than the one-slot rule.
pub(crate) const DIFFERENCES: &[(&str, &str)] = &[
    (
        "sort sort_ro",
        "BY and GET only with a pattern whose hash tag is of the key's slot, or GET #",
    ),
    (
        "eval eval_ro evalsha evalsha_ro fcall fcall_ro",
        "all declared keys in one slot; without any it runs on the first group's master, and must touch no key",
    ),
    (
        "pfcount",
        "all keys in one slot: only a server that has them all can merge what they have counted",
    ),
    (
        "rename renamenx",
        "both keys in one slot: over two servers, a change of the key meanwhile could be lost",
    ),
    (
        "copy",
        "both keys in one slot: over two servers, others would see the copy later than the key it is of",
    ),
];

/// Not supported yet, and why.
pub(crate) const UNSUPPORTED: &[(&str, &str)] = &[
    ("swapdb", "servers would swap one after the other, and clients meet both databases meanwhile"),
    ("script|debug", "debugs over a connection of its own: connect to a server"),
    (
        "acl acl|deluser acl|load acl|log acl|save acl|setuser",
        "users stand in the proxy's configuration, see `users`",
    ),
    (
        "client|capa client|import-source",
        "concerns the client of one server, which here is the proxy",
    ),
    (
        "commandlog|get commandlog|len commandlog|reset",
        "asks one server: use CODIS.SERVER host:port, or connect to that server",
    ),
    (
        "asking restore-asking cluster|addslots cluster|addslotsrange \
         cluster|bumpepoch cluster|count-failure-reports cluster|countkeysinslot cluster|delslots \
         cluster|delslotsrange cluster|failover cluster|flushslots cluster|forget \
         cluster|getkeysinslot cluster|info cluster|keyslot cluster|links cluster|meet \
         cluster|myid cluster|myshardid cluster|nodes cluster|replicas cluster|replicate cluster|reset \
         cluster|saveconfig cluster|set-config-epoch cluster|setslot cluster|shards \
         cluster|slaves cluster|slot-stats cluster|slots",
        "belongs to Redis Cluster, which this is not",
    ),
    (
        "config|rewrite failover migrate module|load module|loadex module|unload \
         pfdebug pfselftest psync replconf replicaof shutdown slaveof sync",
        "administers one server: connect to that server",
    ),
];

/// A command that the server does not have, added by hand.
pub(crate) struct Added {
    /// Its name, `container|subcommand` for a subcommand.
    pub(crate) name: &'static str,
    /// As Redis counts it.
    pub(crate) arity: i64,
    /// As `COMMAND INFO` names them.
    pub(crate) flags: &'static [&'static str],
    /// The ACL categories.
    pub(crate) categories: &'static [&'static str],
    /// The hints for clients that split requests themselves.
    pub(crate) tips: &'static [&'static str],
    /// What it does, in a line.
    pub(crate) summary: &'static str,
    /// The version that introduced it.
    pub(crate) since: &'static str,
    /// The group in the documentation.
    pub(crate) group: &'static str,
    /// How long it takes.
    pub(crate) complexity: &'static str,
    /// Its arguments: (name, type, flags).
    pub(crate) arguments: &'static [(&'static str, &'static str, &'static [&'static str])],
}

/// The commands that the proxy has beyond those of servers: Codis's own.
pub(crate) const ADDED: &[Added] = &[
    Added {
        name: "codis.server",
        arity: -3,
        flags: &["admin", "noscript", "loading", "stale"],
        categories: &["@admin", "@slow", "@dangerous"],
        tips: &[],
        summary: "Run a command on one server of the topology",
        since: "1.0.0",
        group: "server",
        complexity: "Depends on the command",
        arguments: &[
            ("host:port", "string", &[]),
            ("command", "string", &[]),
            ("argument", "string", &["optional", "multiple"]),
        ],
    },
    Added {
        name: "slotsinfo",
        arity: -1,
        flags: &["loading", "stale"],
        categories: &["@slow"],
        tips: &[],
        summary: "List slots and the groups that own them",
        since: "1.0.0",
        group: "cluster",
        complexity: "O(N) where N is the number of slots asked for",
        arguments: &[("start", "integer", &["optional"]), ("count", "integer", &["optional"])],
    },
    Added {
        name: "slotsmapping",
        arity: -1,
        flags: &["loading", "stale"],
        categories: &["@slow"],
        tips: &[],
        summary: "List slots and the servers that own them",
        since: "1.0.0",
        group: "cluster",
        complexity: "O(N) where N is the number of slots asked for",
        arguments: &[("slot", "integer", &["optional"])],
    },
    Added {
        name: "slotshashkey",
        arity: -2,
        flags: &["loading", "stale", "fast"],
        categories: &["@fast"],
        tips: &[],
        summary: "Return the slot of each key",
        since: "1.0.0",
        group: "cluster",
        complexity: "O(N) where N is the number of keys",
        arguments: &[("key", "string", &["multiple"])],
    },
];
