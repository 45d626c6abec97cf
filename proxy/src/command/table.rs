//! The commands of Redis and the proxy's own. Generated, do not edit:
//! `cargo run -p codis-proxy --example gen_commands -- HOST:PORT ...` asks servers and merges
//! their answers with `examples/gen_commands/classes.rs`.

use super::{
    Begin as B, Command, CommandId, Everywhere, Find as W, Flags as F, KeyFlags as K, KeySpec, Local, Route, Split,
};

/// The version of the server that the facts come from.
pub const REDIS_VERSION: &str = "7.0.15";

/// That one, and those that the facts about newer commands come from.
pub const SERVERS: &str = "Redis 7.0.15, Redis 8.0.2, Valkey 8.1.1";

/// Gives each name of the table a bucket of its own.
pub(super) const MULTIPLIER: u64 = 0x3d395670917de15b;

static SPECS_0: [KeySpec; 1] = [
    KeySpec { begin: B::Index(1), find: W::Range { last: 0, step: 1, limit: 0 }, flags: K::of(&[K::RW, K::INSERT]) },
];
static SPECS_1: [KeySpec; 1] = [
    KeySpec { begin: B::Index(1), find: W::Range { last: 0, step: 1, limit: 0 }, flags: K::of(&[K::RO, K::ACCESS]) },
];
static SPECS_2: [KeySpec; 1] = [
    KeySpec { begin: B::Index(1), find: W::Range { last: 0, step: 1, limit: 0 }, flags: K::of(&[K::RW, K::ACCESS, K::UPDATE, K::VARIABLE_FLAGS]) },
];
static SPECS_3: [KeySpec; 2] = [
    KeySpec { begin: B::Index(2), find: W::Range { last: 0, step: 1, limit: 0 }, flags: K::of(&[K::OW, K::UPDATE]) },
    KeySpec { begin: B::Index(3), find: W::Range { last: -1, step: 1, limit: 0 }, flags: K::of(&[K::RO, K::ACCESS]) },
];
static SPECS_4: [KeySpec; 2] = [
    KeySpec { begin: B::Index(1), find: W::Range { last: 0, step: 1, limit: 0 }, flags: K::of(&[K::RW, K::ACCESS, K::DELETE]) },
    KeySpec { begin: B::Index(2), find: W::Range { last: 0, step: 1, limit: 0 }, flags: K::of(&[K::RW, K::INSERT]) },
];
static SPECS_5: [KeySpec; 1] = [
    KeySpec { begin: B::Index(2), find: W::Numkeys { at: 0, first: 1, step: 1 }, flags: K::of(&[K::RW, K::ACCESS, K::DELETE]) },
];
static SPECS_6: [KeySpec; 1] = [
    KeySpec { begin: B::Index(1), find: W::Range { last: -2, step: 1, limit: 0 }, flags: K::of(&[K::RW, K::ACCESS, K::DELETE]) },
];
static SPECS_7: [KeySpec; 2] = [
    KeySpec { begin: B::Index(1), find: W::Range { last: 0, step: 1, limit: 0 }, flags: K::of(&[K::RO, K::ACCESS]) },
    KeySpec { begin: B::Index(2), find: W::Range { last: 0, step: 1, limit: 0 }, flags: K::of(&[K::OW, K::UPDATE]) },
];
static SPECS_8: [KeySpec; 1] = [
    KeySpec { begin: B::Index(1), find: W::Range { last: 0, step: 1, limit: 0 }, flags: K::of(&[K::RW, K::ACCESS, K::UPDATE]) },
];
static SPECS_9: [KeySpec; 1] = [
    KeySpec { begin: B::Index(1), find: W::Range { last: -1, step: 1, limit: 0 }, flags: K::of(&[K::RM, K::DELETE]) },
];
static SPECS_10: [KeySpec; 1] = [
    KeySpec { begin: B::Index(2), find: W::Numkeys { at: 0, first: 1, step: 1 }, flags: K::of(&[K::RW, K::ACCESS, K::UPDATE]) },
];
static SPECS_11: [KeySpec; 1] = [
    KeySpec { begin: B::Index(2), find: W::Numkeys { at: 0, first: 1, step: 1 }, flags: K::of(&[K::RO, K::ACCESS]) },
];
static SPECS_12: [KeySpec; 1] = [
    KeySpec { begin: B::Index(1), find: W::Range { last: -1, step: 1, limit: 0 }, flags: K::of(&[K::RO]) },
];
static SPECS_13: [KeySpec; 1] = [
    KeySpec { begin: B::Index(1), find: W::Range { last: 0, step: 1, limit: 0 }, flags: K::of(&[K::RW, K::UPDATE]) },
];
static SPECS_14: [KeySpec; 3] = [
    KeySpec { begin: B::Index(1), find: W::Range { last: 0, step: 1, limit: 0 }, flags: K::of(&[K::RO, K::ACCESS]) },
    KeySpec { begin: B::Keyword { word: b"STORE", from: 6 }, find: W::Range { last: 0, step: 1, limit: 0 }, flags: K::of(&[K::OW, K::UPDATE]) },
    KeySpec { begin: B::Keyword { word: b"STOREDIST", from: 6 }, find: W::Range { last: 0, step: 1, limit: 0 }, flags: K::of(&[K::OW, K::UPDATE]) },
];
static SPECS_15: [KeySpec; 3] = [
    KeySpec { begin: B::Index(1), find: W::Range { last: 0, step: 1, limit: 0 }, flags: K::of(&[K::RO, K::ACCESS]) },
    KeySpec { begin: B::Keyword { word: b"STORE", from: 5 }, find: W::Range { last: 0, step: 1, limit: 0 }, flags: K::of(&[K::OW, K::UPDATE]) },
    KeySpec { begin: B::Keyword { word: b"STOREDIST", from: 5 }, find: W::Range { last: 0, step: 1, limit: 0 }, flags: K::of(&[K::OW, K::UPDATE]) },
];
static SPECS_16: [KeySpec; 2] = [
    KeySpec { begin: B::Index(1), find: W::Range { last: 0, step: 1, limit: 0 }, flags: K::of(&[K::OW, K::UPDATE]) },
    KeySpec { begin: B::Index(2), find: W::Range { last: 0, step: 1, limit: 0 }, flags: K::of(&[K::RO, K::ACCESS]) },
];
static SPECS_17: [KeySpec; 1] = [
    KeySpec { begin: B::Index(1), find: W::Range { last: 0, step: 1, limit: 0 }, flags: K::of(&[K::RW, K::ACCESS, K::DELETE]) },
];
static SPECS_18: [KeySpec; 1] = [
    KeySpec { begin: B::Index(1), find: W::Range { last: 0, step: 1, limit: 0 }, flags: K::of(&[K::RW, K::DELETE]) },
];
static SPECS_19: [KeySpec; 1] = [
    KeySpec { begin: B::Index(1), find: W::Range { last: 0, step: 1, limit: 0 }, flags: K::of(&[K::RO]) },
];
static SPECS_20: [KeySpec; 1] = [
    KeySpec { begin: B::Index(1), find: W::Range { last: 1, step: 1, limit: 0 }, flags: K::of(&[K::RO, K::ACCESS]) },
];
static SPECS_21: [KeySpec; 1] = [
    KeySpec { begin: B::Index(1), find: W::Numkeys { at: 0, first: 1, step: 1 }, flags: K::of(&[K::RW, K::ACCESS, K::DELETE]) },
];
static SPECS_22: [KeySpec; 1] = [
    KeySpec { begin: B::Index(2), find: W::Range { last: 0, step: 1, limit: 0 }, flags: K::of(&[K::RO]) },
];
static SPECS_23: [KeySpec; 1] = [
    KeySpec { begin: B::Index(1), find: W::Range { last: -1, step: 1, limit: 0 }, flags: K::of(&[K::RO, K::ACCESS]) },
];
static SPECS_24: [KeySpec; 2] = [
    KeySpec { begin: B::Index(3), find: W::Range { last: 0, step: 1, limit: 0 }, flags: K::of(&[K::RW, K::ACCESS, K::DELETE]) },
    KeySpec { begin: B::Keyword { word: b"KEYS", from: -2 }, find: W::Range { last: -1, step: 1, limit: 0 }, flags: K::of(&[K::RW, K::ACCESS, K::DELETE, K::INCOMPLETE]) },
];
static SPECS_25: [KeySpec; 1] = [
    KeySpec { begin: B::Index(1), find: W::Range { last: -1, step: 2, limit: 0 }, flags: K::of(&[K::OW, K::UPDATE]) },
];
static SPECS_26: [KeySpec; 1] = [
    KeySpec { begin: B::Index(1), find: W::Range { last: -1, step: 2, limit: 0 }, flags: K::of(&[K::OW, K::INSERT]) },
];
static SPECS_27: [KeySpec; 1] = [
    KeySpec { begin: B::Index(1), find: W::Range { last: -1, step: 1, limit: 0 }, flags: K::of(&[K::RW, K::ACCESS]) },
];
static SPECS_28: [KeySpec; 1] = [
    KeySpec { begin: B::Index(2), find: W::Range { last: 0, step: 1, limit: 0 }, flags: K::of(&[K::RW, K::ACCESS]) },
];
static SPECS_29: [KeySpec; 2] = [
    KeySpec { begin: B::Index(1), find: W::Range { last: 0, step: 1, limit: 0 }, flags: K::of(&[K::RW, K::ACCESS, K::INSERT]) },
    KeySpec { begin: B::Index(2), find: W::Range { last: -1, step: 1, limit: 0 }, flags: K::of(&[K::RO, K::ACCESS]) },
];
static SPECS_30: [KeySpec; 1] = [
    KeySpec { begin: B::Index(1), find: W::Range { last: 0, step: 1, limit: 0 }, flags: K::of(&[K::OW, K::UPDATE]) },
];
static SPECS_31: [KeySpec; 2] = [
    KeySpec { begin: B::Index(1), find: W::Range { last: 0, step: 1, limit: 0 }, flags: K::of(&[K::RW, K::ACCESS, K::DELETE]) },
    KeySpec { begin: B::Index(2), find: W::Range { last: 0, step: 1, limit: 0 }, flags: K::of(&[K::OW, K::UPDATE]) },
];
static SPECS_32: [KeySpec; 2] = [
    KeySpec { begin: B::Index(1), find: W::Range { last: 0, step: 1, limit: 0 }, flags: K::of(&[K::RW, K::ACCESS, K::DELETE]) },
    KeySpec { begin: B::Index(2), find: W::Range { last: 0, step: 1, limit: 0 }, flags: K::of(&[K::OW, K::INSERT]) },
];
static SPECS_33: [KeySpec; 2] = [
    KeySpec { begin: B::Index(1), find: W::Range { last: 0, step: 1, limit: 0 }, flags: K::of(&[K::OW, K::UPDATE]) },
    KeySpec { begin: B::Index(2), find: W::Range { last: -1, step: 1, limit: 0 }, flags: K::of(&[K::RO, K::ACCESS]) },
];
static SPECS_34: [KeySpec; 1] = [
    KeySpec { begin: B::Index(1), find: W::Range { last: 0, step: 1, limit: 0 }, flags: K::of(&[K::OW, K::INSERT]) },
];
static SPECS_35: [KeySpec; 1] = [
    KeySpec { begin: B::Index(1), find: W::Numkeys { at: 0, first: 1, step: 1 }, flags: K::of(&[K::RO, K::ACCESS]) },
];
static SPECS_36: [KeySpec; 2] = [
    KeySpec { begin: B::Index(1), find: W::Range { last: 0, step: 1, limit: 0 }, flags: K::of(&[K::RW, K::UPDATE]) },
    KeySpec { begin: B::Index(2), find: W::Range { last: -1, step: 1, limit: 0 }, flags: K::of(&[K::RO, K::ACCESS]) },
];
static SPECS_37: [KeySpec; 3] = [
    KeySpec { begin: B::Index(1), find: W::Range { last: 0, step: 1, limit: 0 }, flags: K::of(&[K::RO, K::ACCESS]) },
    KeySpec { begin: B::Unknown, find: W::Unknown, flags: K::of(&[K::RO, K::ACCESS]) },
    KeySpec { begin: B::Unknown, find: W::Unknown, flags: K::of(&[K::OW, K::UPDATE]) },
];
static SPECS_38: [KeySpec; 2] = [
    KeySpec { begin: B::Index(1), find: W::Range { last: 0, step: 1, limit: 0 }, flags: K::of(&[K::RO, K::ACCESS]) },
    KeySpec { begin: B::Unknown, find: W::Unknown, flags: K::of(&[K::RO, K::ACCESS]) },
];
static SPECS_39: [KeySpec; 1] = [
    KeySpec { begin: B::Index(1), find: W::Range { last: 0, step: 1, limit: 0 }, flags: K::of(&[K::NOT_KEY]) },
];
static SPECS_40: [KeySpec; 1] = [
    KeySpec { begin: B::Index(1), find: W::Range { last: -1, step: 1, limit: 0 }, flags: K::of(&[K::NOT_KEY]) },
];
static SPECS_41: [KeySpec; 1] = [
    KeySpec { begin: B::Index(2), find: W::Range { last: 0, step: 1, limit: 0 }, flags: K::of(&[K::RW, K::INSERT]) },
];
static SPECS_42: [KeySpec; 1] = [
    KeySpec { begin: B::Index(2), find: W::Range { last: 0, step: 1, limit: 0 }, flags: K::of(&[K::RW, K::DELETE]) },
];
static SPECS_43: [KeySpec; 1] = [
    KeySpec { begin: B::Index(2), find: W::Range { last: 0, step: 1, limit: 0 }, flags: K::of(&[K::RW, K::UPDATE]) },
];
static SPECS_44: [KeySpec; 1] = [
    KeySpec { begin: B::Index(2), find: W::Range { last: 0, step: 1, limit: 0 }, flags: K::of(&[K::RO, K::ACCESS]) },
];
static SPECS_45: [KeySpec; 1] = [
    KeySpec { begin: B::Keyword { word: b"STREAMS", from: 1 }, find: W::Range { last: -1, step: 1, limit: 2 }, flags: K::of(&[K::RO, K::ACCESS]) },
];
static SPECS_46: [KeySpec; 1] = [
    KeySpec { begin: B::Keyword { word: b"STREAMS", from: 4 }, find: W::Range { last: -1, step: 1, limit: 2 }, flags: K::of(&[K::RO, K::ACCESS]) },
];
static SPECS_47: [KeySpec; 2] = [
    KeySpec { begin: B::Index(1), find: W::Range { last: 0, step: 1, limit: 0 }, flags: K::of(&[K::OW, K::UPDATE]) },
    KeySpec { begin: B::Index(2), find: W::Numkeys { at: 0, first: 1, step: 1 }, flags: K::of(&[K::RO, K::ACCESS]) },
];

/// Every command, sorted by name; a container's subcommands follow it.
pub static COMMANDS: [Command; 407] = [
    Command { name: "acl", arity: -2, flags: F::of(&[]), route: Route::Unsupported, specs: &[], subcommands: 13, why: "users stand in the proxy's configuration, see `users`" },
    Command { name: "acl|cat", arity: -2, flags: F::of(&[F::NOSCRIPT, F::LOADING, F::STALE]), route: Route::Local(Local::AclCat), specs: &[], subcommands: 0, why: "" },
    Command { name: "acl|deluser", arity: -3, flags: F::of(&[F::ADMIN, F::NOSCRIPT, F::LOADING, F::STALE]), route: Route::Unsupported, specs: &[], subcommands: 0, why: "users stand in the proxy's configuration, see `users`" },
    Command { name: "acl|dryrun", arity: -4, flags: F::of(&[F::ADMIN, F::NOSCRIPT, F::LOADING, F::STALE]), route: Route::Local(Local::AclDryRun), specs: &[], subcommands: 0, why: "" },
    Command { name: "acl|genpass", arity: -2, flags: F::of(&[F::NOSCRIPT, F::LOADING, F::STALE]), route: Route::Local(Local::AclGenPass), specs: &[], subcommands: 0, why: "" },
    Command { name: "acl|getuser", arity: 3, flags: F::of(&[F::ADMIN, F::NOSCRIPT, F::LOADING, F::STALE]), route: Route::Local(Local::AclGetUser), specs: &[], subcommands: 0, why: "" },
    Command { name: "acl|help", arity: 2, flags: F::of(&[F::LOADING, F::STALE]), route: Route::Local(Local::Help), specs: &[], subcommands: 0, why: "" },
    Command { name: "acl|list", arity: 2, flags: F::of(&[F::ADMIN, F::NOSCRIPT, F::LOADING, F::STALE]), route: Route::Local(Local::AclList), specs: &[], subcommands: 0, why: "" },
    Command { name: "acl|load", arity: 2, flags: F::of(&[F::ADMIN, F::NOSCRIPT, F::LOADING, F::STALE]), route: Route::Unsupported, specs: &[], subcommands: 0, why: "users stand in the proxy's configuration, see `users`" },
    Command { name: "acl|log", arity: -2, flags: F::of(&[F::ADMIN, F::NOSCRIPT, F::LOADING, F::STALE]), route: Route::Unsupported, specs: &[], subcommands: 0, why: "users stand in the proxy's configuration, see `users`" },
    Command { name: "acl|save", arity: 2, flags: F::of(&[F::ADMIN, F::NOSCRIPT, F::LOADING, F::STALE]), route: Route::Unsupported, specs: &[], subcommands: 0, why: "users stand in the proxy's configuration, see `users`" },
    Command { name: "acl|setuser", arity: -3, flags: F::of(&[F::ADMIN, F::NOSCRIPT, F::LOADING, F::STALE]), route: Route::Unsupported, specs: &[], subcommands: 0, why: "users stand in the proxy's configuration, see `users`" },
    Command { name: "acl|users", arity: 2, flags: F::of(&[F::ADMIN, F::NOSCRIPT, F::LOADING, F::STALE]), route: Route::Local(Local::AclUsers), specs: &[], subcommands: 0, why: "" },
    Command { name: "acl|whoami", arity: 2, flags: F::of(&[F::NOSCRIPT, F::LOADING, F::STALE]), route: Route::Local(Local::AclWhoAmI), specs: &[], subcommands: 0, why: "" },
    Command { name: "append", arity: 3, flags: F::of(&[F::WRITE, F::DENYOOM, F::FAST]), route: Route::Key, specs: &SPECS_0, subcommands: 0, why: "" },
    Command { name: "asking", arity: 1, flags: F::of(&[F::FAST]), route: Route::Unsupported, specs: &[], subcommands: 0, why: "belongs to Redis Cluster, which this is not" },
    Command { name: "auth", arity: -2, flags: F::of(&[F::NOSCRIPT, F::LOADING, F::STALE, F::FAST, F::NO_AUTH, F::ALLOW_BUSY]), route: Route::Local(Local::Auth), specs: &[], subcommands: 0, why: "" },
    Command { name: "bgrewriteaof", arity: 1, flags: F::of(&[F::ADMIN, F::NOSCRIPT, F::NO_ASYNC_LOADING]), route: Route::Everywhere(Everywhere::Alike), specs: &[], subcommands: 0, why: "" },
    Command { name: "bgsave", arity: -1, flags: F::of(&[F::ADMIN, F::NOSCRIPT, F::NO_ASYNC_LOADING]), route: Route::Everywhere(Everywhere::Alike), specs: &[], subcommands: 0, why: "" },
    Command { name: "bitcount", arity: -2, flags: F::of(&[F::READONLY]), route: Route::Key, specs: &SPECS_1, subcommands: 0, why: "" },
    Command { name: "bitfield", arity: -2, flags: F::of(&[F::WRITE, F::DENYOOM]), route: Route::Key, specs: &SPECS_2, subcommands: 0, why: "" },
    Command { name: "bitfield_ro", arity: -2, flags: F::of(&[F::READONLY, F::FAST]), route: Route::Key, specs: &SPECS_1, subcommands: 0, why: "" },
    Command { name: "bitop", arity: -4, flags: F::of(&[F::WRITE, F::DENYOOM]), route: Route::Keys, specs: &SPECS_3, subcommands: 0, why: "" },
    Command { name: "bitpos", arity: -3, flags: F::of(&[F::READONLY]), route: Route::Key, specs: &SPECS_1, subcommands: 0, why: "" },
    Command { name: "blmove", arity: 6, flags: F::of(&[F::WRITE, F::DENYOOM, F::NOSCRIPT, F::BLOCKING]), route: Route::Blocking, specs: &SPECS_4, subcommands: 0, why: "" },
    Command { name: "blmpop", arity: -5, flags: F::of(&[F::WRITE, F::BLOCKING, F::MOVABLEKEYS]), route: Route::Blocking, specs: &SPECS_5, subcommands: 0, why: "" },
    Command { name: "blpop", arity: -3, flags: F::of(&[F::WRITE, F::NOSCRIPT, F::BLOCKING]), route: Route::Blocking, specs: &SPECS_6, subcommands: 0, why: "" },
    Command { name: "brpop", arity: -3, flags: F::of(&[F::WRITE, F::NOSCRIPT, F::BLOCKING]), route: Route::Blocking, specs: &SPECS_6, subcommands: 0, why: "" },
    Command { name: "brpoplpush", arity: 4, flags: F::of(&[F::WRITE, F::DENYOOM, F::NOSCRIPT, F::BLOCKING]), route: Route::Blocking, specs: &SPECS_4, subcommands: 0, why: "" },
    Command { name: "bzmpop", arity: -5, flags: F::of(&[F::WRITE, F::BLOCKING, F::MOVABLEKEYS]), route: Route::Blocking, specs: &SPECS_5, subcommands: 0, why: "" },
    Command { name: "bzpopmax", arity: -3, flags: F::of(&[F::WRITE, F::NOSCRIPT, F::BLOCKING, F::FAST]), route: Route::Blocking, specs: &SPECS_6, subcommands: 0, why: "" },
    Command { name: "bzpopmin", arity: -3, flags: F::of(&[F::WRITE, F::NOSCRIPT, F::BLOCKING, F::FAST]), route: Route::Blocking, specs: &SPECS_6, subcommands: 0, why: "" },
    Command { name: "client", arity: -2, flags: F::of(&[]), route: Route::Unsupported, specs: &[], subcommands: 20, why: "" },
    Command { name: "client|caching", arity: 3, flags: F::of(&[F::NOSCRIPT, F::LOADING, F::STALE]), route: Route::Local(Local::ClientCaching), specs: &[], subcommands: 0, why: "" },
    Command { name: "client|capa", arity: -3, flags: F::of(&[F::NOSCRIPT, F::LOADING, F::STALE]), route: Route::Unsupported, specs: &[], subcommands: 0, why: "concerns the client of one server, which here is the proxy" },
    Command { name: "client|getname", arity: 2, flags: F::of(&[F::NOSCRIPT, F::LOADING, F::STALE]), route: Route::Local(Local::ClientGetName), specs: &[], subcommands: 0, why: "" },
    Command { name: "client|getredir", arity: 2, flags: F::of(&[F::NOSCRIPT, F::LOADING, F::STALE]), route: Route::Local(Local::ClientGetRedir), specs: &[], subcommands: 0, why: "" },
    Command { name: "client|help", arity: 2, flags: F::of(&[F::LOADING, F::STALE]), route: Route::Local(Local::Help), specs: &[], subcommands: 0, why: "" },
    Command { name: "client|id", arity: 2, flags: F::of(&[F::NOSCRIPT, F::LOADING, F::STALE]), route: Route::Local(Local::ClientId), specs: &[], subcommands: 0, why: "" },
    Command { name: "client|import-source", arity: 3, flags: F::of(&[F::NOSCRIPT, F::LOADING, F::STALE]), route: Route::Unsupported, specs: &[], subcommands: 0, why: "concerns the client of one server, which here is the proxy" },
    Command { name: "client|info", arity: 2, flags: F::of(&[F::NOSCRIPT, F::LOADING, F::STALE]), route: Route::Local(Local::ClientInfo), specs: &[], subcommands: 0, why: "" },
    Command { name: "client|kill", arity: -3, flags: F::of(&[F::ADMIN, F::NOSCRIPT, F::LOADING, F::STALE]), route: Route::Local(Local::ClientKill), specs: &[], subcommands: 0, why: "" },
    Command { name: "client|list", arity: -2, flags: F::of(&[F::ADMIN, F::NOSCRIPT, F::LOADING, F::STALE]), route: Route::Local(Local::ClientList), specs: &[], subcommands: 0, why: "" },
    Command { name: "client|no-evict", arity: 3, flags: F::of(&[F::ADMIN, F::NOSCRIPT, F::LOADING, F::STALE]), route: Route::Local(Local::ClientNoEvict), specs: &[], subcommands: 0, why: "" },
    Command { name: "client|no-touch", arity: 3, flags: F::of(&[F::NOSCRIPT, F::LOADING, F::STALE]), route: Route::Local(Local::ClientNoTouch), specs: &[], subcommands: 0, why: "" },
    Command { name: "client|pause", arity: -3, flags: F::of(&[F::ADMIN, F::NOSCRIPT, F::LOADING, F::STALE]), route: Route::Local(Local::ClientPause), specs: &[], subcommands: 0, why: "" },
    Command { name: "client|reply", arity: 3, flags: F::of(&[F::NOSCRIPT, F::LOADING, F::STALE]), route: Route::Local(Local::ClientReply), specs: &[], subcommands: 0, why: "" },
    Command { name: "client|setinfo", arity: 4, flags: F::of(&[F::NOSCRIPT, F::LOADING, F::STALE]), route: Route::Local(Local::ClientSetInfo), specs: &[], subcommands: 0, why: "" },
    Command { name: "client|setname", arity: 3, flags: F::of(&[F::NOSCRIPT, F::LOADING, F::STALE]), route: Route::Local(Local::ClientSetName), specs: &[], subcommands: 0, why: "" },
    Command { name: "client|tracking", arity: -3, flags: F::of(&[F::NOSCRIPT, F::LOADING, F::STALE]), route: Route::Local(Local::ClientTracking), specs: &[], subcommands: 0, why: "" },
    Command { name: "client|trackinginfo", arity: 2, flags: F::of(&[F::NOSCRIPT, F::LOADING, F::STALE]), route: Route::Local(Local::ClientTrackingInfo), specs: &[], subcommands: 0, why: "" },
    Command { name: "client|unblock", arity: -3, flags: F::of(&[F::ADMIN, F::NOSCRIPT, F::LOADING, F::STALE]), route: Route::Local(Local::ClientUnblock), specs: &[], subcommands: 0, why: "" },
    Command { name: "client|unpause", arity: 2, flags: F::of(&[F::ADMIN, F::NOSCRIPT, F::LOADING, F::STALE]), route: Route::Local(Local::ClientUnpause), specs: &[], subcommands: 0, why: "" },
    Command { name: "cluster", arity: -2, flags: F::of(&[]), route: Route::Unsupported, specs: &[], subcommands: 29, why: "" },
    Command { name: "cluster|addslots", arity: -3, flags: F::of(&[F::ADMIN, F::STALE, F::NO_ASYNC_LOADING]), route: Route::Unsupported, specs: &[], subcommands: 0, why: "belongs to Redis Cluster, which this is not" },
    Command { name: "cluster|addslotsrange", arity: -4, flags: F::of(&[F::ADMIN, F::STALE, F::NO_ASYNC_LOADING]), route: Route::Unsupported, specs: &[], subcommands: 0, why: "belongs to Redis Cluster, which this is not" },
    Command { name: "cluster|bumpepoch", arity: 2, flags: F::of(&[F::ADMIN, F::STALE, F::NO_ASYNC_LOADING]), route: Route::Unsupported, specs: &[], subcommands: 0, why: "belongs to Redis Cluster, which this is not" },
    Command { name: "cluster|count-failure-reports", arity: 3, flags: F::of(&[F::ADMIN, F::STALE]), route: Route::Unsupported, specs: &[], subcommands: 0, why: "belongs to Redis Cluster, which this is not" },
    Command { name: "cluster|countkeysinslot", arity: 3, flags: F::of(&[F::STALE]), route: Route::Unsupported, specs: &[], subcommands: 0, why: "belongs to Redis Cluster, which this is not" },
    Command { name: "cluster|delslots", arity: -3, flags: F::of(&[F::ADMIN, F::STALE, F::NO_ASYNC_LOADING]), route: Route::Unsupported, specs: &[], subcommands: 0, why: "belongs to Redis Cluster, which this is not" },
    Command { name: "cluster|delslotsrange", arity: -4, flags: F::of(&[F::ADMIN, F::STALE, F::NO_ASYNC_LOADING]), route: Route::Unsupported, specs: &[], subcommands: 0, why: "belongs to Redis Cluster, which this is not" },
    Command { name: "cluster|failover", arity: -2, flags: F::of(&[F::ADMIN, F::STALE, F::NO_ASYNC_LOADING]), route: Route::Unsupported, specs: &[], subcommands: 0, why: "belongs to Redis Cluster, which this is not" },
    Command { name: "cluster|flushslots", arity: 2, flags: F::of(&[F::ADMIN, F::STALE, F::NO_ASYNC_LOADING]), route: Route::Unsupported, specs: &[], subcommands: 0, why: "belongs to Redis Cluster, which this is not" },
    Command { name: "cluster|forget", arity: 3, flags: F::of(&[F::ADMIN, F::STALE, F::NO_ASYNC_LOADING]), route: Route::Unsupported, specs: &[], subcommands: 0, why: "belongs to Redis Cluster, which this is not" },
    Command { name: "cluster|getkeysinslot", arity: 4, flags: F::of(&[F::STALE]), route: Route::Unsupported, specs: &[], subcommands: 0, why: "belongs to Redis Cluster, which this is not" },
    Command { name: "cluster|help", arity: 2, flags: F::of(&[F::LOADING, F::STALE]), route: Route::Local(Local::Help), specs: &[], subcommands: 0, why: "" },
    Command { name: "cluster|info", arity: 2, flags: F::of(&[F::STALE]), route: Route::Unsupported, specs: &[], subcommands: 0, why: "belongs to Redis Cluster, which this is not" },
    Command { name: "cluster|keyslot", arity: 3, flags: F::of(&[F::STALE]), route: Route::Unsupported, specs: &[], subcommands: 0, why: "belongs to Redis Cluster, which this is not" },
    Command { name: "cluster|links", arity: 2, flags: F::of(&[F::STALE]), route: Route::Unsupported, specs: &[], subcommands: 0, why: "belongs to Redis Cluster, which this is not" },
    Command { name: "cluster|meet", arity: -4, flags: F::of(&[F::ADMIN, F::STALE, F::NO_ASYNC_LOADING]), route: Route::Unsupported, specs: &[], subcommands: 0, why: "belongs to Redis Cluster, which this is not" },
    Command { name: "cluster|myid", arity: 2, flags: F::of(&[F::STALE]), route: Route::Unsupported, specs: &[], subcommands: 0, why: "belongs to Redis Cluster, which this is not" },
    Command { name: "cluster|myshardid", arity: 2, flags: F::of(&[F::STALE]), route: Route::Unsupported, specs: &[], subcommands: 0, why: "belongs to Redis Cluster, which this is not" },
    Command { name: "cluster|nodes", arity: 2, flags: F::of(&[F::STALE]), route: Route::Unsupported, specs: &[], subcommands: 0, why: "belongs to Redis Cluster, which this is not" },
    Command { name: "cluster|replicas", arity: 3, flags: F::of(&[F::ADMIN, F::STALE]), route: Route::Unsupported, specs: &[], subcommands: 0, why: "belongs to Redis Cluster, which this is not" },
    Command { name: "cluster|replicate", arity: 3, flags: F::of(&[F::ADMIN, F::STALE, F::NO_ASYNC_LOADING]), route: Route::Unsupported, specs: &[], subcommands: 0, why: "belongs to Redis Cluster, which this is not" },
    Command { name: "cluster|reset", arity: -2, flags: F::of(&[F::ADMIN, F::NOSCRIPT, F::STALE]), route: Route::Unsupported, specs: &[], subcommands: 0, why: "belongs to Redis Cluster, which this is not" },
    Command { name: "cluster|saveconfig", arity: 2, flags: F::of(&[F::ADMIN, F::STALE, F::NO_ASYNC_LOADING]), route: Route::Unsupported, specs: &[], subcommands: 0, why: "belongs to Redis Cluster, which this is not" },
    Command { name: "cluster|set-config-epoch", arity: 3, flags: F::of(&[F::ADMIN, F::STALE, F::NO_ASYNC_LOADING]), route: Route::Unsupported, specs: &[], subcommands: 0, why: "belongs to Redis Cluster, which this is not" },
    Command { name: "cluster|setslot", arity: -4, flags: F::of(&[F::ADMIN, F::STALE, F::NO_ASYNC_LOADING]), route: Route::Unsupported, specs: &[], subcommands: 0, why: "belongs to Redis Cluster, which this is not" },
    Command { name: "cluster|shards", arity: 2, flags: F::of(&[F::STALE]), route: Route::Unsupported, specs: &[], subcommands: 0, why: "belongs to Redis Cluster, which this is not" },
    Command { name: "cluster|slaves", arity: 3, flags: F::of(&[F::ADMIN, F::STALE]), route: Route::Unsupported, specs: &[], subcommands: 0, why: "belongs to Redis Cluster, which this is not" },
    Command { name: "cluster|slot-stats", arity: -4, flags: F::of(&[F::LOADING, F::STALE]), route: Route::Unsupported, specs: &[], subcommands: 0, why: "belongs to Redis Cluster, which this is not" },
    Command { name: "cluster|slots", arity: 2, flags: F::of(&[F::STALE]), route: Route::Unsupported, specs: &[], subcommands: 0, why: "belongs to Redis Cluster, which this is not" },
    Command { name: "codis.server", arity: -3, flags: F::of(&[F::ADMIN, F::NOSCRIPT, F::LOADING, F::STALE]), route: Route::Everywhere(Everywhere::Server), specs: &[], subcommands: 0, why: "" },
    Command { name: "command", arity: -1, flags: F::of(&[F::LOADING, F::STALE]), route: Route::Local(Local::Command), specs: &[], subcommands: 7, why: "" },
    Command { name: "command|count", arity: 2, flags: F::of(&[F::LOADING, F::STALE]), route: Route::Local(Local::CommandCount), specs: &[], subcommands: 0, why: "" },
    Command { name: "command|docs", arity: -2, flags: F::of(&[F::LOADING, F::STALE]), route: Route::Local(Local::CommandDocs), specs: &[], subcommands: 0, why: "" },
    Command { name: "command|getkeys", arity: -4, flags: F::of(&[F::LOADING, F::STALE]), route: Route::Local(Local::CommandGetKeys), specs: &[], subcommands: 0, why: "" },
    Command { name: "command|getkeysandflags", arity: -4, flags: F::of(&[F::LOADING, F::STALE]), route: Route::Local(Local::CommandGetKeysAndFlags), specs: &[], subcommands: 0, why: "" },
    Command { name: "command|help", arity: 2, flags: F::of(&[F::LOADING, F::STALE]), route: Route::Local(Local::Help), specs: &[], subcommands: 0, why: "" },
    Command { name: "command|info", arity: -2, flags: F::of(&[F::LOADING, F::STALE]), route: Route::Local(Local::CommandInfo), specs: &[], subcommands: 0, why: "" },
    Command { name: "command|list", arity: -2, flags: F::of(&[F::LOADING, F::STALE]), route: Route::Local(Local::CommandList), specs: &[], subcommands: 0, why: "" },
    Command { name: "commandlog", arity: -2, flags: F::of(&[]), route: Route::Unsupported, specs: &[], subcommands: 4, why: "" },
    Command { name: "commandlog|get", arity: 4, flags: F::of(&[F::ADMIN, F::LOADING, F::STALE]), route: Route::Unsupported, specs: &[], subcommands: 0, why: "asks one server: use CODIS.SERVER host:port, or connect to that server" },
    Command { name: "commandlog|help", arity: 2, flags: F::of(&[F::LOADING, F::STALE]), route: Route::Local(Local::Help), specs: &[], subcommands: 0, why: "" },
    Command { name: "commandlog|len", arity: 3, flags: F::of(&[F::ADMIN, F::LOADING, F::STALE]), route: Route::Unsupported, specs: &[], subcommands: 0, why: "asks one server: use CODIS.SERVER host:port, or connect to that server" },
    Command { name: "commandlog|reset", arity: 3, flags: F::of(&[F::ADMIN, F::LOADING, F::STALE]), route: Route::Unsupported, specs: &[], subcommands: 0, why: "asks one server: use CODIS.SERVER host:port, or connect to that server" },
    Command { name: "config", arity: -2, flags: F::of(&[]), route: Route::Unsupported, specs: &[], subcommands: 5, why: "" },
    Command { name: "config|get", arity: -3, flags: F::of(&[F::ADMIN, F::NOSCRIPT, F::LOADING, F::STALE]), route: Route::Local(Local::ConfigGet), specs: &[], subcommands: 0, why: "" },
    Command { name: "config|help", arity: 2, flags: F::of(&[F::LOADING, F::STALE]), route: Route::Local(Local::Help), specs: &[], subcommands: 0, why: "" },
    Command { name: "config|resetstat", arity: 2, flags: F::of(&[F::ADMIN, F::NOSCRIPT, F::LOADING, F::STALE]), route: Route::Local(Local::ConfigResetStat), specs: &[], subcommands: 0, why: "" },
    Command { name: "config|rewrite", arity: 2, flags: F::of(&[F::ADMIN, F::NOSCRIPT, F::LOADING, F::STALE]), route: Route::Unsupported, specs: &[], subcommands: 0, why: "administers one server: connect to that server" },
    Command { name: "config|set", arity: -4, flags: F::of(&[F::ADMIN, F::NOSCRIPT, F::LOADING, F::STALE]), route: Route::Local(Local::ConfigSet), specs: &[], subcommands: 0, why: "" },
    Command { name: "copy", arity: -3, flags: F::of(&[F::WRITE, F::DENYOOM]), route: Route::Keys, specs: &SPECS_7, subcommands: 0, why: "" },
    Command { name: "dbsize", arity: 1, flags: F::of(&[F::READONLY, F::FAST]), route: Route::Everywhere(Everywhere::DbSize), specs: &[], subcommands: 0, why: "" },
    Command { name: "debug", arity: -2, flags: F::of(&[F::ADMIN, F::NOSCRIPT, F::LOADING, F::STALE]), route: Route::Everywhere(Everywhere::Debug), specs: &[], subcommands: 0, why: "" },
    Command { name: "decr", arity: 2, flags: F::of(&[F::WRITE, F::DENYOOM, F::FAST]), route: Route::Key, specs: &SPECS_8, subcommands: 0, why: "" },
    Command { name: "decrby", arity: 3, flags: F::of(&[F::WRITE, F::DENYOOM, F::FAST]), route: Route::Key, specs: &SPECS_8, subcommands: 0, why: "" },
    Command { name: "del", arity: -2, flags: F::of(&[F::WRITE]), route: Route::Split(Split::Sum), specs: &SPECS_9, subcommands: 0, why: "" },
    Command { name: "discard", arity: 1, flags: F::of(&[F::NOSCRIPT, F::LOADING, F::STALE, F::FAST, F::ALLOW_BUSY]), route: Route::Local(Local::Discard), specs: &[], subcommands: 0, why: "" },
    Command { name: "dump", arity: 2, flags: F::of(&[F::READONLY]), route: Route::Key, specs: &SPECS_1, subcommands: 0, why: "" },
    Command { name: "echo", arity: 2, flags: F::of(&[F::LOADING, F::STALE, F::FAST]), route: Route::Local(Local::Echo), specs: &[], subcommands: 0, why: "" },
    Command { name: "eval", arity: -3, flags: F::of(&[F::NOSCRIPT, F::STALE, F::SKIP_MONITOR, F::NO_MANDATORY_KEYS, F::MOVABLEKEYS]), route: Route::Keys, specs: &SPECS_10, subcommands: 0, why: "" },
    Command { name: "eval_ro", arity: -3, flags: F::of(&[F::READONLY, F::NOSCRIPT, F::STALE, F::SKIP_MONITOR, F::NO_MANDATORY_KEYS, F::MOVABLEKEYS]), route: Route::Keys, specs: &SPECS_11, subcommands: 0, why: "" },
    Command { name: "evalsha", arity: -3, flags: F::of(&[F::NOSCRIPT, F::STALE, F::SKIP_MONITOR, F::NO_MANDATORY_KEYS, F::MOVABLEKEYS]), route: Route::Keys, specs: &SPECS_10, subcommands: 0, why: "" },
    Command { name: "evalsha_ro", arity: -3, flags: F::of(&[F::READONLY, F::NOSCRIPT, F::STALE, F::SKIP_MONITOR, F::NO_MANDATORY_KEYS, F::MOVABLEKEYS]), route: Route::Keys, specs: &SPECS_11, subcommands: 0, why: "" },
    Command { name: "exec", arity: 1, flags: F::of(&[F::NOSCRIPT, F::LOADING, F::STALE, F::SKIP_SLOWLOG]), route: Route::Local(Local::Exec), specs: &[], subcommands: 0, why: "" },
    Command { name: "exists", arity: -2, flags: F::of(&[F::READONLY, F::FAST]), route: Route::Split(Split::Sum), specs: &SPECS_12, subcommands: 0, why: "" },
    Command { name: "expire", arity: -3, flags: F::of(&[F::WRITE, F::FAST]), route: Route::Key, specs: &SPECS_13, subcommands: 0, why: "" },
    Command { name: "expireat", arity: -3, flags: F::of(&[F::WRITE, F::FAST]), route: Route::Key, specs: &SPECS_13, subcommands: 0, why: "" },
    Command { name: "expiretime", arity: 2, flags: F::of(&[F::READONLY, F::FAST]), route: Route::Key, specs: &SPECS_1, subcommands: 0, why: "" },
    Command { name: "failover", arity: -1, flags: F::of(&[F::ADMIN, F::NOSCRIPT, F::STALE]), route: Route::Unsupported, specs: &[], subcommands: 0, why: "administers one server: connect to that server" },
    Command { name: "fcall", arity: -3, flags: F::of(&[F::NOSCRIPT, F::STALE, F::SKIP_MONITOR, F::NO_MANDATORY_KEYS, F::MOVABLEKEYS]), route: Route::Keys, specs: &SPECS_10, subcommands: 0, why: "" },
    Command { name: "fcall_ro", arity: -3, flags: F::of(&[F::READONLY, F::NOSCRIPT, F::STALE, F::SKIP_MONITOR, F::NO_MANDATORY_KEYS, F::MOVABLEKEYS]), route: Route::Keys, specs: &SPECS_11, subcommands: 0, why: "" },
    Command { name: "flushall", arity: -1, flags: F::of(&[F::WRITE]), route: Route::Everywhere(Everywhere::FlushAll), specs: &[], subcommands: 0, why: "" },
    Command { name: "flushdb", arity: -1, flags: F::of(&[F::WRITE]), route: Route::Everywhere(Everywhere::FlushDb), specs: &[], subcommands: 0, why: "" },
    Command { name: "function", arity: -2, flags: F::of(&[]), route: Route::Unsupported, specs: &[], subcommands: 9, why: "" },
    Command { name: "function|delete", arity: 3, flags: F::of(&[F::WRITE, F::NOSCRIPT]), route: Route::Everywhere(Everywhere::Alike), specs: &[], subcommands: 0, why: "" },
    Command { name: "function|dump", arity: 2, flags: F::of(&[F::NOSCRIPT]), route: Route::Everywhere(Everywhere::First), specs: &[], subcommands: 0, why: "" },
    Command { name: "function|flush", arity: -2, flags: F::of(&[F::WRITE, F::NOSCRIPT]), route: Route::Everywhere(Everywhere::Alike), specs: &[], subcommands: 0, why: "" },
    Command { name: "function|help", arity: 2, flags: F::of(&[F::LOADING, F::STALE]), route: Route::Local(Local::Help), specs: &[], subcommands: 0, why: "" },
    Command { name: "function|kill", arity: 2, flags: F::of(&[F::NOSCRIPT, F::ALLOW_BUSY]), route: Route::Everywhere(Everywhere::Kill), specs: &[], subcommands: 0, why: "" },
    Command { name: "function|list", arity: -2, flags: F::of(&[F::NOSCRIPT]), route: Route::Everywhere(Everywhere::First), specs: &[], subcommands: 0, why: "" },
    Command { name: "function|load", arity: -3, flags: F::of(&[F::WRITE, F::DENYOOM, F::NOSCRIPT]), route: Route::Everywhere(Everywhere::Alike), specs: &[], subcommands: 0, why: "" },
    Command { name: "function|restore", arity: -3, flags: F::of(&[F::WRITE, F::DENYOOM, F::NOSCRIPT]), route: Route::Everywhere(Everywhere::Alike), specs: &[], subcommands: 0, why: "" },
    Command { name: "function|stats", arity: 2, flags: F::of(&[F::NOSCRIPT, F::ALLOW_BUSY]), route: Route::Everywhere(Everywhere::Running), specs: &[], subcommands: 0, why: "" },
    Command { name: "geoadd", arity: -5, flags: F::of(&[F::WRITE, F::DENYOOM]), route: Route::Key, specs: &SPECS_13, subcommands: 0, why: "" },
    Command { name: "geodist", arity: -4, flags: F::of(&[F::READONLY]), route: Route::Key, specs: &SPECS_1, subcommands: 0, why: "" },
    Command { name: "geohash", arity: -2, flags: F::of(&[F::READONLY]), route: Route::Key, specs: &SPECS_1, subcommands: 0, why: "" },
    Command { name: "geopos", arity: -2, flags: F::of(&[F::READONLY]), route: Route::Key, specs: &SPECS_1, subcommands: 0, why: "" },
    Command { name: "georadius", arity: -6, flags: F::of(&[F::WRITE, F::DENYOOM, F::MOVABLEKEYS]), route: Route::Keys, specs: &SPECS_14, subcommands: 0, why: "" },
    Command { name: "georadius_ro", arity: -6, flags: F::of(&[F::READONLY]), route: Route::Key, specs: &SPECS_1, subcommands: 0, why: "" },
    Command { name: "georadiusbymember", arity: -5, flags: F::of(&[F::WRITE, F::DENYOOM, F::MOVABLEKEYS]), route: Route::Keys, specs: &SPECS_15, subcommands: 0, why: "" },
    Command { name: "georadiusbymember_ro", arity: -5, flags: F::of(&[F::READONLY]), route: Route::Key, specs: &SPECS_1, subcommands: 0, why: "" },
    Command { name: "geosearch", arity: -7, flags: F::of(&[F::READONLY]), route: Route::Key, specs: &SPECS_1, subcommands: 0, why: "" },
    Command { name: "geosearchstore", arity: -8, flags: F::of(&[F::WRITE, F::DENYOOM]), route: Route::Keys, specs: &SPECS_16, subcommands: 0, why: "" },
    Command { name: "get", arity: 2, flags: F::of(&[F::READONLY, F::FAST]), route: Route::Key, specs: &SPECS_1, subcommands: 0, why: "" },
    Command { name: "getbit", arity: 3, flags: F::of(&[F::READONLY, F::FAST]), route: Route::Key, specs: &SPECS_1, subcommands: 0, why: "" },
    Command { name: "getdel", arity: 2, flags: F::of(&[F::WRITE, F::FAST]), route: Route::Key, specs: &SPECS_17, subcommands: 0, why: "" },
    Command { name: "getex", arity: -2, flags: F::of(&[F::WRITE, F::FAST]), route: Route::Key, specs: &SPECS_8, subcommands: 0, why: "" },
    Command { name: "getrange", arity: 4, flags: F::of(&[F::READONLY]), route: Route::Key, specs: &SPECS_1, subcommands: 0, why: "" },
    Command { name: "getset", arity: 3, flags: F::of(&[F::WRITE, F::DENYOOM, F::FAST]), route: Route::Key, specs: &SPECS_8, subcommands: 0, why: "" },
    Command { name: "hdel", arity: -3, flags: F::of(&[F::WRITE, F::FAST]), route: Route::Key, specs: &SPECS_18, subcommands: 0, why: "" },
    Command { name: "hello", arity: -1, flags: F::of(&[F::NOSCRIPT, F::LOADING, F::STALE, F::FAST, F::NO_AUTH, F::ALLOW_BUSY]), route: Route::Local(Local::Hello), specs: &[], subcommands: 0, why: "" },
    Command { name: "hexists", arity: 3, flags: F::of(&[F::READONLY, F::FAST]), route: Route::Key, specs: &SPECS_19, subcommands: 0, why: "" },
    Command { name: "hexpire", arity: -6, flags: F::of(&[F::WRITE, F::FAST]), route: Route::Key, specs: &SPECS_13, subcommands: 0, why: "" },
    Command { name: "hexpireat", arity: -6, flags: F::of(&[F::WRITE, F::FAST]), route: Route::Key, specs: &SPECS_13, subcommands: 0, why: "" },
    Command { name: "hexpiretime", arity: -5, flags: F::of(&[F::READONLY, F::FAST]), route: Route::Key, specs: &SPECS_1, subcommands: 0, why: "" },
    Command { name: "hget", arity: 3, flags: F::of(&[F::READONLY, F::FAST]), route: Route::Key, specs: &SPECS_1, subcommands: 0, why: "" },
    Command { name: "hgetall", arity: 2, flags: F::of(&[F::READONLY]), route: Route::Key, specs: &SPECS_1, subcommands: 0, why: "" },
    Command { name: "hgetdel", arity: -5, flags: F::of(&[F::WRITE, F::FAST]), route: Route::Key, specs: &SPECS_17, subcommands: 0, why: "" },
    Command { name: "hgetex", arity: -5, flags: F::of(&[F::WRITE, F::FAST]), route: Route::Key, specs: &SPECS_8, subcommands: 0, why: "" },
    Command { name: "hincrby", arity: 4, flags: F::of(&[F::WRITE, F::DENYOOM, F::FAST]), route: Route::Key, specs: &SPECS_8, subcommands: 0, why: "" },
    Command { name: "hincrbyfloat", arity: 4, flags: F::of(&[F::WRITE, F::DENYOOM, F::FAST]), route: Route::Key, specs: &SPECS_8, subcommands: 0, why: "" },
    Command { name: "hkeys", arity: 2, flags: F::of(&[F::READONLY]), route: Route::Key, specs: &SPECS_1, subcommands: 0, why: "" },
    Command { name: "hlen", arity: 2, flags: F::of(&[F::READONLY, F::FAST]), route: Route::Key, specs: &SPECS_19, subcommands: 0, why: "" },
    Command { name: "hmget", arity: -3, flags: F::of(&[F::READONLY, F::FAST]), route: Route::Key, specs: &SPECS_1, subcommands: 0, why: "" },
    Command { name: "hmset", arity: -4, flags: F::of(&[F::WRITE, F::DENYOOM, F::FAST]), route: Route::Key, specs: &SPECS_13, subcommands: 0, why: "" },
    Command { name: "hpersist", arity: -5, flags: F::of(&[F::WRITE, F::FAST]), route: Route::Key, specs: &SPECS_13, subcommands: 0, why: "" },
    Command { name: "hpexpire", arity: -6, flags: F::of(&[F::WRITE, F::FAST]), route: Route::Key, specs: &SPECS_13, subcommands: 0, why: "" },
    Command { name: "hpexpireat", arity: -6, flags: F::of(&[F::WRITE, F::FAST]), route: Route::Key, specs: &SPECS_13, subcommands: 0, why: "" },
    Command { name: "hpexpiretime", arity: -5, flags: F::of(&[F::READONLY, F::FAST]), route: Route::Key, specs: &SPECS_1, subcommands: 0, why: "" },
    Command { name: "hpttl", arity: -5, flags: F::of(&[F::READONLY, F::FAST]), route: Route::Key, specs: &SPECS_1, subcommands: 0, why: "" },
    Command { name: "hrandfield", arity: -2, flags: F::of(&[F::READONLY]), route: Route::Key, specs: &SPECS_1, subcommands: 0, why: "" },
    Command { name: "hscan", arity: -3, flags: F::of(&[F::READONLY]), route: Route::Key, specs: &SPECS_1, subcommands: 0, why: "" },
    Command { name: "hset", arity: -4, flags: F::of(&[F::WRITE, F::DENYOOM, F::FAST]), route: Route::Key, specs: &SPECS_13, subcommands: 0, why: "" },
    Command { name: "hsetex", arity: -6, flags: F::of(&[F::WRITE, F::DENYOOM, F::FAST]), route: Route::Key, specs: &SPECS_13, subcommands: 0, why: "" },
    Command { name: "hsetnx", arity: 4, flags: F::of(&[F::WRITE, F::DENYOOM, F::FAST]), route: Route::Key, specs: &SPECS_0, subcommands: 0, why: "" },
    Command { name: "hstrlen", arity: 3, flags: F::of(&[F::READONLY, F::FAST]), route: Route::Key, specs: &SPECS_19, subcommands: 0, why: "" },
    Command { name: "httl", arity: -5, flags: F::of(&[F::READONLY, F::FAST]), route: Route::Key, specs: &SPECS_1, subcommands: 0, why: "" },
    Command { name: "hvals", arity: 2, flags: F::of(&[F::READONLY]), route: Route::Key, specs: &SPECS_1, subcommands: 0, why: "" },
    Command { name: "incr", arity: 2, flags: F::of(&[F::WRITE, F::DENYOOM, F::FAST]), route: Route::Key, specs: &SPECS_8, subcommands: 0, why: "" },
    Command { name: "incrby", arity: 3, flags: F::of(&[F::WRITE, F::DENYOOM, F::FAST]), route: Route::Key, specs: &SPECS_8, subcommands: 0, why: "" },
    Command { name: "incrbyfloat", arity: 3, flags: F::of(&[F::WRITE, F::DENYOOM, F::FAST]), route: Route::Key, specs: &SPECS_8, subcommands: 0, why: "" },
    Command { name: "info", arity: -1, flags: F::of(&[F::LOADING, F::STALE]), route: Route::Local(Local::Info), specs: &[], subcommands: 0, why: "" },
    Command { name: "keys", arity: 2, flags: F::of(&[F::READONLY]), route: Route::Everywhere(Everywhere::Keys), specs: &[], subcommands: 0, why: "" },
    Command { name: "lastsave", arity: 1, flags: F::of(&[F::LOADING, F::STALE, F::FAST]), route: Route::Everywhere(Everywhere::Least), specs: &[], subcommands: 0, why: "" },
    Command { name: "latency", arity: -2, flags: F::of(&[]), route: Route::Unsupported, specs: &[], subcommands: 7, why: "" },
    Command { name: "latency|doctor", arity: 2, flags: F::of(&[F::ADMIN, F::NOSCRIPT, F::LOADING, F::STALE]), route: Route::Everywhere(Everywhere::Text), specs: &[], subcommands: 0, why: "" },
    Command { name: "latency|graph", arity: 3, flags: F::of(&[F::ADMIN, F::NOSCRIPT, F::LOADING, F::STALE]), route: Route::Everywhere(Everywhere::Text), specs: &[], subcommands: 0, why: "" },
    Command { name: "latency|help", arity: 2, flags: F::of(&[F::LOADING, F::STALE]), route: Route::Local(Local::Help), specs: &[], subcommands: 0, why: "" },
    Command { name: "latency|histogram", arity: -2, flags: F::of(&[F::ADMIN, F::NOSCRIPT, F::LOADING, F::STALE]), route: Route::Everywhere(Everywhere::Single), specs: &[], subcommands: 0, why: "" },
    Command { name: "latency|history", arity: 3, flags: F::of(&[F::ADMIN, F::NOSCRIPT, F::LOADING, F::STALE]), route: Route::Everywhere(Everywhere::List), specs: &[], subcommands: 0, why: "" },
    Command { name: "latency|latest", arity: 2, flags: F::of(&[F::ADMIN, F::NOSCRIPT, F::LOADING, F::STALE]), route: Route::Everywhere(Everywhere::List), specs: &[], subcommands: 0, why: "" },
    Command { name: "latency|reset", arity: -2, flags: F::of(&[F::ADMIN, F::NOSCRIPT, F::LOADING, F::STALE]), route: Route::Everywhere(Everywhere::Sum), specs: &[], subcommands: 0, why: "" },
    Command { name: "lcs", arity: -3, flags: F::of(&[F::READONLY]), route: Route::Keys, specs: &SPECS_20, subcommands: 0, why: "" },
    Command { name: "lindex", arity: 3, flags: F::of(&[F::READONLY]), route: Route::Key, specs: &SPECS_1, subcommands: 0, why: "" },
    Command { name: "linsert", arity: 5, flags: F::of(&[F::WRITE, F::DENYOOM]), route: Route::Key, specs: &SPECS_0, subcommands: 0, why: "" },
    Command { name: "llen", arity: 2, flags: F::of(&[F::READONLY, F::FAST]), route: Route::Key, specs: &SPECS_19, subcommands: 0, why: "" },
    Command { name: "lmove", arity: 5, flags: F::of(&[F::WRITE, F::DENYOOM]), route: Route::Keys, specs: &SPECS_4, subcommands: 0, why: "" },
    Command { name: "lmpop", arity: -4, flags: F::of(&[F::WRITE, F::MOVABLEKEYS]), route: Route::Keys, specs: &SPECS_21, subcommands: 0, why: "" },
    Command { name: "lolwut", arity: -1, flags: F::of(&[F::READONLY, F::FAST]), route: Route::Everywhere(Everywhere::First), specs: &[], subcommands: 0, why: "" },
    Command { name: "lpop", arity: -2, flags: F::of(&[F::WRITE, F::FAST]), route: Route::Key, specs: &SPECS_17, subcommands: 0, why: "" },
    Command { name: "lpos", arity: -3, flags: F::of(&[F::READONLY]), route: Route::Key, specs: &SPECS_1, subcommands: 0, why: "" },
    Command { name: "lpush", arity: -3, flags: F::of(&[F::WRITE, F::DENYOOM, F::FAST]), route: Route::Key, specs: &SPECS_0, subcommands: 0, why: "" },
    Command { name: "lpushx", arity: -3, flags: F::of(&[F::WRITE, F::DENYOOM, F::FAST]), route: Route::Key, specs: &SPECS_0, subcommands: 0, why: "" },
    Command { name: "lrange", arity: 4, flags: F::of(&[F::READONLY]), route: Route::Key, specs: &SPECS_1, subcommands: 0, why: "" },
    Command { name: "lrem", arity: 4, flags: F::of(&[F::WRITE]), route: Route::Key, specs: &SPECS_18, subcommands: 0, why: "" },
    Command { name: "lset", arity: 4, flags: F::of(&[F::WRITE, F::DENYOOM]), route: Route::Key, specs: &SPECS_13, subcommands: 0, why: "" },
    Command { name: "ltrim", arity: 4, flags: F::of(&[F::WRITE]), route: Route::Key, specs: &SPECS_18, subcommands: 0, why: "" },
    Command { name: "memory", arity: -2, flags: F::of(&[]), route: Route::Unsupported, specs: &[], subcommands: 6, why: "" },
    Command { name: "memory|doctor", arity: 2, flags: F::of(&[]), route: Route::Everywhere(Everywhere::Text), specs: &[], subcommands: 0, why: "" },
    Command { name: "memory|help", arity: 2, flags: F::of(&[F::LOADING, F::STALE]), route: Route::Local(Local::Help), specs: &[], subcommands: 0, why: "" },
    Command { name: "memory|malloc-stats", arity: 2, flags: F::of(&[]), route: Route::Everywhere(Everywhere::Text), specs: &[], subcommands: 0, why: "" },
    Command { name: "memory|purge", arity: 2, flags: F::of(&[]), route: Route::Everywhere(Everywhere::Alike), specs: &[], subcommands: 0, why: "" },
    Command { name: "memory|stats", arity: 2, flags: F::of(&[]), route: Route::Everywhere(Everywhere::Single), specs: &[], subcommands: 0, why: "" },
    Command { name: "memory|usage", arity: -3, flags: F::of(&[F::READONLY]), route: Route::Keys, specs: &SPECS_22, subcommands: 0, why: "" },
    Command { name: "mget", arity: -2, flags: F::of(&[F::READONLY, F::FAST]), route: Route::Split(Split::Mget), specs: &SPECS_23, subcommands: 0, why: "" },
    Command { name: "migrate", arity: -6, flags: F::of(&[F::WRITE, F::MOVABLEKEYS]), route: Route::Unsupported, specs: &SPECS_24, subcommands: 0, why: "administers one server: connect to that server" },
    Command { name: "module", arity: -2, flags: F::of(&[]), route: Route::Unsupported, specs: &[], subcommands: 5, why: "" },
    Command { name: "module|help", arity: 2, flags: F::of(&[F::LOADING, F::STALE]), route: Route::Local(Local::Help), specs: &[], subcommands: 0, why: "" },
    Command { name: "module|list", arity: 2, flags: F::of(&[F::ADMIN, F::NOSCRIPT]), route: Route::Everywhere(Everywhere::First), specs: &[], subcommands: 0, why: "" },
    Command { name: "module|load", arity: -3, flags: F::of(&[F::ADMIN, F::NOSCRIPT, F::NO_ASYNC_LOADING]), route: Route::Unsupported, specs: &[], subcommands: 0, why: "administers one server: connect to that server" },
    Command { name: "module|loadex", arity: -3, flags: F::of(&[F::ADMIN, F::NOSCRIPT, F::NO_ASYNC_LOADING]), route: Route::Unsupported, specs: &[], subcommands: 0, why: "administers one server: connect to that server" },
    Command { name: "module|unload", arity: 3, flags: F::of(&[F::ADMIN, F::NOSCRIPT, F::NO_ASYNC_LOADING]), route: Route::Unsupported, specs: &[], subcommands: 0, why: "administers one server: connect to that server" },
    Command { name: "monitor", arity: 1, flags: F::of(&[F::ADMIN, F::NOSCRIPT, F::LOADING, F::STALE]), route: Route::Local(Local::Monitor), specs: &[], subcommands: 0, why: "" },
    Command { name: "move", arity: 3, flags: F::of(&[F::WRITE, F::FAST]), route: Route::Key, specs: &SPECS_8, subcommands: 0, why: "" },
    Command { name: "mset", arity: -3, flags: F::of(&[F::WRITE, F::DENYOOM]), route: Route::Split(Split::Mset), specs: &SPECS_25, subcommands: 0, why: "" },
    Command { name: "msetnx", arity: -3, flags: F::of(&[F::WRITE, F::DENYOOM]), route: Route::Keys, specs: &SPECS_26, subcommands: 0, why: "" },
    Command { name: "multi", arity: 1, flags: F::of(&[F::NOSCRIPT, F::LOADING, F::STALE, F::FAST, F::ALLOW_BUSY]), route: Route::Local(Local::Multi), specs: &[], subcommands: 0, why: "" },
    Command { name: "object", arity: -2, flags: F::of(&[]), route: Route::Unsupported, specs: &[], subcommands: 5, why: "" },
    Command { name: "object|encoding", arity: 3, flags: F::of(&[F::READONLY]), route: Route::Keys, specs: &SPECS_22, subcommands: 0, why: "" },
    Command { name: "object|freq", arity: 3, flags: F::of(&[F::READONLY]), route: Route::Keys, specs: &SPECS_22, subcommands: 0, why: "" },
    Command { name: "object|help", arity: 2, flags: F::of(&[F::LOADING, F::STALE]), route: Route::Local(Local::Help), specs: &[], subcommands: 0, why: "" },
    Command { name: "object|idletime", arity: 3, flags: F::of(&[F::READONLY]), route: Route::Keys, specs: &SPECS_22, subcommands: 0, why: "" },
    Command { name: "object|refcount", arity: 3, flags: F::of(&[F::READONLY]), route: Route::Keys, specs: &SPECS_22, subcommands: 0, why: "" },
    Command { name: "persist", arity: 2, flags: F::of(&[F::WRITE, F::FAST]), route: Route::Key, specs: &SPECS_13, subcommands: 0, why: "" },
    Command { name: "pexpire", arity: -3, flags: F::of(&[F::WRITE, F::FAST]), route: Route::Key, specs: &SPECS_13, subcommands: 0, why: "" },
    Command { name: "pexpireat", arity: -3, flags: F::of(&[F::WRITE, F::FAST]), route: Route::Key, specs: &SPECS_13, subcommands: 0, why: "" },
    Command { name: "pexpiretime", arity: 2, flags: F::of(&[F::READONLY, F::FAST]), route: Route::Key, specs: &SPECS_1, subcommands: 0, why: "" },
    Command { name: "pfadd", arity: -2, flags: F::of(&[F::WRITE, F::DENYOOM, F::FAST]), route: Route::Key, specs: &SPECS_0, subcommands: 0, why: "" },
    Command { name: "pfcount", arity: -2, flags: F::of(&[F::READONLY]), route: Route::Keys, specs: &SPECS_27, subcommands: 0, why: "" },
    Command { name: "pfdebug", arity: 3, flags: F::of(&[F::WRITE, F::DENYOOM, F::ADMIN]), route: Route::Unsupported, specs: &SPECS_28, subcommands: 0, why: "administers one server: connect to that server" },
    Command { name: "pfmerge", arity: -2, flags: F::of(&[F::WRITE, F::DENYOOM]), route: Route::Keys, specs: &SPECS_29, subcommands: 0, why: "" },
    Command { name: "pfselftest", arity: 1, flags: F::of(&[F::ADMIN]), route: Route::Unsupported, specs: &[], subcommands: 0, why: "administers one server: connect to that server" },
    Command { name: "ping", arity: -1, flags: F::of(&[F::FAST]), route: Route::Local(Local::Ping), specs: &[], subcommands: 0, why: "" },
    Command { name: "psetex", arity: 4, flags: F::of(&[F::WRITE, F::DENYOOM]), route: Route::Key, specs: &SPECS_30, subcommands: 0, why: "" },
    Command { name: "psubscribe", arity: -2, flags: F::of(&[F::PUBSUB, F::NOSCRIPT, F::LOADING, F::STALE]), route: Route::Local(Local::Psubscribe), specs: &[], subcommands: 0, why: "" },
    Command { name: "psync", arity: -3, flags: F::of(&[F::ADMIN, F::NOSCRIPT, F::NO_ASYNC_LOADING, F::NO_MULTI]), route: Route::Unsupported, specs: &[], subcommands: 0, why: "administers one server: connect to that server" },
    Command { name: "pttl", arity: 2, flags: F::of(&[F::READONLY, F::FAST]), route: Route::Key, specs: &SPECS_1, subcommands: 0, why: "" },
    Command { name: "publish", arity: 3, flags: F::of(&[F::PUBSUB, F::LOADING, F::STALE, F::FAST]), route: Route::Publish, specs: &[], subcommands: 0, why: "" },
    Command { name: "pubsub", arity: -2, flags: F::of(&[]), route: Route::Unsupported, specs: &[], subcommands: 6, why: "" },
    Command { name: "pubsub|channels", arity: -2, flags: F::of(&[F::PUBSUB, F::LOADING, F::STALE]), route: Route::Everywhere(Everywhere::Names), specs: &[], subcommands: 0, why: "" },
    Command { name: "pubsub|help", arity: 2, flags: F::of(&[F::LOADING, F::STALE]), route: Route::Local(Local::Help), specs: &[], subcommands: 0, why: "" },
    Command { name: "pubsub|numpat", arity: 2, flags: F::of(&[F::PUBSUB, F::LOADING, F::STALE]), route: Route::Everywhere(Everywhere::Most), specs: &[], subcommands: 0, why: "" },
    Command { name: "pubsub|numsub", arity: -2, flags: F::of(&[F::PUBSUB, F::LOADING, F::STALE]), route: Route::Everywhere(Everywhere::Counts), specs: &[], subcommands: 0, why: "" },
    Command { name: "pubsub|shardchannels", arity: -2, flags: F::of(&[F::PUBSUB, F::LOADING, F::STALE]), route: Route::Everywhere(Everywhere::Names), specs: &[], subcommands: 0, why: "" },
    Command { name: "pubsub|shardnumsub", arity: -2, flags: F::of(&[F::PUBSUB, F::LOADING, F::STALE]), route: Route::Everywhere(Everywhere::Counts), specs: &[], subcommands: 0, why: "" },
    Command { name: "punsubscribe", arity: -1, flags: F::of(&[F::PUBSUB, F::NOSCRIPT, F::LOADING, F::STALE]), route: Route::Local(Local::Punsubscribe), specs: &[], subcommands: 0, why: "" },
    Command { name: "quit", arity: -1, flags: F::of(&[F::NOSCRIPT, F::LOADING, F::STALE, F::FAST, F::NO_AUTH, F::ALLOW_BUSY]), route: Route::Local(Local::Quit), specs: &[], subcommands: 0, why: "" },
    Command { name: "randomkey", arity: 1, flags: F::of(&[F::READONLY]), route: Route::Everywhere(Everywhere::RandomKey), specs: &[], subcommands: 0, why: "" },
    Command { name: "readonly", arity: 1, flags: F::of(&[F::LOADING, F::STALE, F::FAST]), route: Route::Local(Local::ReadOnly), specs: &[], subcommands: 0, why: "" },
    Command { name: "readwrite", arity: 1, flags: F::of(&[F::LOADING, F::STALE, F::FAST]), route: Route::Local(Local::ReadWrite), specs: &[], subcommands: 0, why: "" },
    Command { name: "rename", arity: 3, flags: F::of(&[F::WRITE]), route: Route::Keys, specs: &SPECS_31, subcommands: 0, why: "" },
    Command { name: "renamenx", arity: 3, flags: F::of(&[F::WRITE, F::FAST]), route: Route::Keys, specs: &SPECS_32, subcommands: 0, why: "" },
    Command { name: "replconf", arity: -1, flags: F::of(&[F::ADMIN, F::NOSCRIPT, F::LOADING, F::STALE, F::ALLOW_BUSY]), route: Route::Unsupported, specs: &[], subcommands: 0, why: "administers one server: connect to that server" },
    Command { name: "replicaof", arity: 3, flags: F::of(&[F::ADMIN, F::NOSCRIPT, F::STALE, F::NO_ASYNC_LOADING]), route: Route::Unsupported, specs: &[], subcommands: 0, why: "administers one server: connect to that server" },
    Command { name: "reset", arity: 1, flags: F::of(&[F::NOSCRIPT, F::LOADING, F::STALE, F::FAST, F::NO_AUTH, F::ALLOW_BUSY]), route: Route::Local(Local::Reset), specs: &[], subcommands: 0, why: "" },
    Command { name: "restore", arity: -4, flags: F::of(&[F::WRITE, F::DENYOOM]), route: Route::Key, specs: &SPECS_30, subcommands: 0, why: "" },
    Command { name: "restore-asking", arity: -4, flags: F::of(&[F::WRITE, F::DENYOOM, F::ASKING]), route: Route::Unsupported, specs: &SPECS_30, subcommands: 0, why: "belongs to Redis Cluster, which this is not" },
    Command { name: "role", arity: 1, flags: F::of(&[F::NOSCRIPT, F::LOADING, F::STALE, F::FAST]), route: Route::Local(Local::Role), specs: &[], subcommands: 0, why: "" },
    Command { name: "rpop", arity: -2, flags: F::of(&[F::WRITE, F::FAST]), route: Route::Key, specs: &SPECS_17, subcommands: 0, why: "" },
    Command { name: "rpoplpush", arity: 3, flags: F::of(&[F::WRITE, F::DENYOOM]), route: Route::Keys, specs: &SPECS_4, subcommands: 0, why: "" },
    Command { name: "rpush", arity: -3, flags: F::of(&[F::WRITE, F::DENYOOM, F::FAST]), route: Route::Key, specs: &SPECS_0, subcommands: 0, why: "" },
    Command { name: "rpushx", arity: -3, flags: F::of(&[F::WRITE, F::DENYOOM, F::FAST]), route: Route::Key, specs: &SPECS_0, subcommands: 0, why: "" },
    Command { name: "sadd", arity: -3, flags: F::of(&[F::WRITE, F::DENYOOM, F::FAST]), route: Route::Key, specs: &SPECS_0, subcommands: 0, why: "" },
    Command { name: "save", arity: 1, flags: F::of(&[F::ADMIN, F::NOSCRIPT, F::NO_ASYNC_LOADING, F::NO_MULTI]), route: Route::Everywhere(Everywhere::Alike), specs: &[], subcommands: 0, why: "" },
    Command { name: "scan", arity: -2, flags: F::of(&[F::READONLY]), route: Route::Everywhere(Everywhere::Scan), specs: &[], subcommands: 0, why: "" },
    Command { name: "scard", arity: 2, flags: F::of(&[F::READONLY, F::FAST]), route: Route::Key, specs: &SPECS_19, subcommands: 0, why: "" },
    Command { name: "script", arity: -2, flags: F::of(&[]), route: Route::Unsupported, specs: &[], subcommands: 7, why: "" },
    Command { name: "script|debug", arity: 3, flags: F::of(&[F::NOSCRIPT]), route: Route::Unsupported, specs: &[], subcommands: 0, why: "debugs over a connection of its own: connect to a server" },
    Command { name: "script|exists", arity: -3, flags: F::of(&[F::NOSCRIPT]), route: Route::Everywhere(Everywhere::ScriptExists), specs: &[], subcommands: 0, why: "" },
    Command { name: "script|flush", arity: -2, flags: F::of(&[F::NOSCRIPT]), route: Route::Everywhere(Everywhere::ScriptFlush), specs: &[], subcommands: 0, why: "" },
    Command { name: "script|help", arity: 2, flags: F::of(&[F::LOADING, F::STALE]), route: Route::Local(Local::Help), specs: &[], subcommands: 0, why: "" },
    Command { name: "script|kill", arity: 2, flags: F::of(&[F::NOSCRIPT, F::ALLOW_BUSY]), route: Route::Everywhere(Everywhere::Kill), specs: &[], subcommands: 0, why: "" },
    Command { name: "script|load", arity: 3, flags: F::of(&[F::NOSCRIPT, F::STALE]), route: Route::Everywhere(Everywhere::ScriptLoad), specs: &[], subcommands: 0, why: "" },
    Command { name: "script|show", arity: 3, flags: F::of(&[F::NOSCRIPT]), route: Route::Everywhere(Everywhere::First), specs: &[], subcommands: 0, why: "" },
    Command { name: "sdiff", arity: -2, flags: F::of(&[F::READONLY]), route: Route::Keys, specs: &SPECS_23, subcommands: 0, why: "" },
    Command { name: "sdiffstore", arity: -3, flags: F::of(&[F::WRITE, F::DENYOOM]), route: Route::Keys, specs: &SPECS_33, subcommands: 0, why: "" },
    Command { name: "select", arity: 2, flags: F::of(&[F::LOADING, F::STALE, F::FAST]), route: Route::Local(Local::Select), specs: &[], subcommands: 0, why: "" },
    Command { name: "set", arity: -3, flags: F::of(&[F::WRITE, F::DENYOOM]), route: Route::Key, specs: &SPECS_2, subcommands: 0, why: "" },
    Command { name: "setbit", arity: 4, flags: F::of(&[F::WRITE, F::DENYOOM]), route: Route::Key, specs: &SPECS_8, subcommands: 0, why: "" },
    Command { name: "setex", arity: 4, flags: F::of(&[F::WRITE, F::DENYOOM]), route: Route::Key, specs: &SPECS_30, subcommands: 0, why: "" },
    Command { name: "setnx", arity: 3, flags: F::of(&[F::WRITE, F::DENYOOM, F::FAST]), route: Route::Key, specs: &SPECS_34, subcommands: 0, why: "" },
    Command { name: "setrange", arity: 4, flags: F::of(&[F::WRITE, F::DENYOOM]), route: Route::Key, specs: &SPECS_13, subcommands: 0, why: "" },
    Command { name: "shutdown", arity: -1, flags: F::of(&[F::ADMIN, F::NOSCRIPT, F::LOADING, F::STALE, F::NO_MULTI, F::ALLOW_BUSY]), route: Route::Unsupported, specs: &[], subcommands: 0, why: "administers one server: connect to that server" },
    Command { name: "sinter", arity: -2, flags: F::of(&[F::READONLY]), route: Route::Keys, specs: &SPECS_23, subcommands: 0, why: "" },
    Command { name: "sintercard", arity: -3, flags: F::of(&[F::READONLY, F::MOVABLEKEYS]), route: Route::Keys, specs: &SPECS_35, subcommands: 0, why: "" },
    Command { name: "sinterstore", arity: -3, flags: F::of(&[F::WRITE, F::DENYOOM]), route: Route::Keys, specs: &SPECS_36, subcommands: 0, why: "" },
    Command { name: "sismember", arity: 3, flags: F::of(&[F::READONLY, F::FAST]), route: Route::Key, specs: &SPECS_19, subcommands: 0, why: "" },
    Command { name: "slaveof", arity: 3, flags: F::of(&[F::ADMIN, F::NOSCRIPT, F::STALE, F::NO_ASYNC_LOADING]), route: Route::Unsupported, specs: &[], subcommands: 0, why: "administers one server: connect to that server" },
    Command { name: "slotshashkey", arity: -2, flags: F::of(&[F::LOADING, F::STALE, F::FAST]), route: Route::Local(Local::SlotsHashKey), specs: &[], subcommands: 0, why: "" },
    Command { name: "slotsinfo", arity: -1, flags: F::of(&[F::LOADING, F::STALE]), route: Route::Local(Local::SlotsInfo), specs: &[], subcommands: 0, why: "" },
    Command { name: "slotsmapping", arity: -1, flags: F::of(&[F::LOADING, F::STALE]), route: Route::Local(Local::SlotsMapping), specs: &[], subcommands: 0, why: "" },
    Command { name: "slowlog", arity: -2, flags: F::of(&[]), route: Route::Unsupported, specs: &[], subcommands: 4, why: "" },
    Command { name: "slowlog|get", arity: -2, flags: F::of(&[F::ADMIN, F::LOADING, F::STALE]), route: Route::Local(Local::SlowlogGet), specs: &[], subcommands: 0, why: "" },
    Command { name: "slowlog|help", arity: 2, flags: F::of(&[F::LOADING, F::STALE]), route: Route::Local(Local::Help), specs: &[], subcommands: 0, why: "" },
    Command { name: "slowlog|len", arity: 2, flags: F::of(&[F::ADMIN, F::LOADING, F::STALE]), route: Route::Local(Local::SlowlogLen), specs: &[], subcommands: 0, why: "" },
    Command { name: "slowlog|reset", arity: 2, flags: F::of(&[F::ADMIN, F::LOADING, F::STALE]), route: Route::Local(Local::SlowlogReset), specs: &[], subcommands: 0, why: "" },
    Command { name: "smembers", arity: 2, flags: F::of(&[F::READONLY]), route: Route::Key, specs: &SPECS_1, subcommands: 0, why: "" },
    Command { name: "smismember", arity: -3, flags: F::of(&[F::READONLY, F::FAST]), route: Route::Key, specs: &SPECS_1, subcommands: 0, why: "" },
    Command { name: "smove", arity: 4, flags: F::of(&[F::WRITE, F::FAST]), route: Route::Keys, specs: &SPECS_4, subcommands: 0, why: "" },
    Command { name: "sort", arity: -2, flags: F::of(&[F::WRITE, F::DENYOOM, F::MOVABLEKEYS]), route: Route::Keys, specs: &SPECS_37, subcommands: 0, why: "" },
    Command { name: "sort_ro", arity: -2, flags: F::of(&[F::READONLY, F::MOVABLEKEYS]), route: Route::Keys, specs: &SPECS_38, subcommands: 0, why: "" },
    Command { name: "spop", arity: -2, flags: F::of(&[F::WRITE, F::FAST]), route: Route::Key, specs: &SPECS_17, subcommands: 0, why: "" },
    Command { name: "spublish", arity: 3, flags: F::of(&[F::PUBSUB, F::LOADING, F::STALE, F::FAST]), route: Route::Publish, specs: &SPECS_39, subcommands: 0, why: "" },
    Command { name: "srandmember", arity: -2, flags: F::of(&[F::READONLY]), route: Route::Key, specs: &SPECS_1, subcommands: 0, why: "" },
    Command { name: "srem", arity: -3, flags: F::of(&[F::WRITE, F::FAST]), route: Route::Key, specs: &SPECS_18, subcommands: 0, why: "" },
    Command { name: "sscan", arity: -3, flags: F::of(&[F::READONLY]), route: Route::Key, specs: &SPECS_1, subcommands: 0, why: "" },
    Command { name: "ssubscribe", arity: -2, flags: F::of(&[F::PUBSUB, F::NOSCRIPT, F::LOADING, F::STALE]), route: Route::Local(Local::Ssubscribe), specs: &SPECS_40, subcommands: 0, why: "" },
    Command { name: "strlen", arity: 2, flags: F::of(&[F::READONLY, F::FAST]), route: Route::Key, specs: &SPECS_19, subcommands: 0, why: "" },
    Command { name: "subscribe", arity: -2, flags: F::of(&[F::PUBSUB, F::NOSCRIPT, F::LOADING, F::STALE]), route: Route::Local(Local::Subscribe), specs: &[], subcommands: 0, why: "" },
    Command { name: "substr", arity: 4, flags: F::of(&[F::READONLY]), route: Route::Key, specs: &SPECS_1, subcommands: 0, why: "" },
    Command { name: "sunion", arity: -2, flags: F::of(&[F::READONLY]), route: Route::Keys, specs: &SPECS_23, subcommands: 0, why: "" },
    Command { name: "sunionstore", arity: -3, flags: F::of(&[F::WRITE, F::DENYOOM]), route: Route::Keys, specs: &SPECS_33, subcommands: 0, why: "" },
    Command { name: "sunsubscribe", arity: -1, flags: F::of(&[F::PUBSUB, F::NOSCRIPT, F::LOADING, F::STALE]), route: Route::Local(Local::Sunsubscribe), specs: &SPECS_40, subcommands: 0, why: "" },
    Command { name: "swapdb", arity: 3, flags: F::of(&[F::WRITE, F::FAST]), route: Route::Unsupported, specs: &[], subcommands: 0, why: "servers would swap one after the other, and clients meet both databases meanwhile" },
    Command { name: "sync", arity: 1, flags: F::of(&[F::ADMIN, F::NOSCRIPT, F::NO_ASYNC_LOADING, F::NO_MULTI]), route: Route::Unsupported, specs: &[], subcommands: 0, why: "administers one server: connect to that server" },
    Command { name: "time", arity: 1, flags: F::of(&[F::LOADING, F::STALE, F::FAST]), route: Route::Local(Local::Time), specs: &[], subcommands: 0, why: "" },
    Command { name: "touch", arity: -2, flags: F::of(&[F::READONLY, F::FAST]), route: Route::Split(Split::Sum), specs: &SPECS_12, subcommands: 0, why: "" },
    Command { name: "ttl", arity: 2, flags: F::of(&[F::READONLY, F::FAST]), route: Route::Key, specs: &SPECS_1, subcommands: 0, why: "" },
    Command { name: "type", arity: 2, flags: F::of(&[F::READONLY, F::FAST]), route: Route::Key, specs: &SPECS_19, subcommands: 0, why: "" },
    Command { name: "unlink", arity: -2, flags: F::of(&[F::WRITE, F::FAST]), route: Route::Split(Split::Sum), specs: &SPECS_9, subcommands: 0, why: "" },
    Command { name: "unsubscribe", arity: -1, flags: F::of(&[F::PUBSUB, F::NOSCRIPT, F::LOADING, F::STALE]), route: Route::Local(Local::Unsubscribe), specs: &[], subcommands: 0, why: "" },
    Command { name: "unwatch", arity: 1, flags: F::of(&[F::NOSCRIPT, F::LOADING, F::STALE, F::FAST, F::ALLOW_BUSY]), route: Route::Local(Local::Unwatch), specs: &[], subcommands: 0, why: "" },
    Command { name: "vadd", arity: -2, flags: F::of(&[F::WRITE, F::DENYOOM, F::MODULE]), route: Route::Key, specs: &SPECS_8, subcommands: 0, why: "" },
    Command { name: "vcard", arity: -2, flags: F::of(&[F::READONLY, F::MODULE, F::FAST]), route: Route::Key, specs: &SPECS_8, subcommands: 0, why: "" },
    Command { name: "vdim", arity: -2, flags: F::of(&[F::READONLY, F::MODULE, F::FAST]), route: Route::Key, specs: &SPECS_8, subcommands: 0, why: "" },
    Command { name: "vemb", arity: -2, flags: F::of(&[F::READONLY, F::MODULE, F::FAST]), route: Route::Key, specs: &SPECS_8, subcommands: 0, why: "" },
    Command { name: "vgetattr", arity: -2, flags: F::of(&[F::READONLY, F::MODULE, F::FAST]), route: Route::Key, specs: &SPECS_8, subcommands: 0, why: "" },
    Command { name: "vinfo", arity: -2, flags: F::of(&[F::READONLY, F::MODULE, F::FAST]), route: Route::Key, specs: &SPECS_8, subcommands: 0, why: "" },
    Command { name: "vismember", arity: -2, flags: F::of(&[F::READONLY, F::MODULE]), route: Route::Key, specs: &SPECS_8, subcommands: 0, why: "" },
    Command { name: "vlinks", arity: -2, flags: F::of(&[F::READONLY, F::MODULE, F::FAST]), route: Route::Key, specs: &SPECS_8, subcommands: 0, why: "" },
    Command { name: "vrandmember", arity: -2, flags: F::of(&[F::READONLY, F::MODULE]), route: Route::Key, specs: &SPECS_8, subcommands: 0, why: "" },
    Command { name: "vrem", arity: -2, flags: F::of(&[F::WRITE, F::MODULE]), route: Route::Key, specs: &SPECS_8, subcommands: 0, why: "" },
    Command { name: "vsetattr", arity: -2, flags: F::of(&[F::WRITE, F::MODULE, F::FAST]), route: Route::Key, specs: &SPECS_8, subcommands: 0, why: "" },
    Command { name: "vsim", arity: -2, flags: F::of(&[F::READONLY, F::MODULE]), route: Route::Key, specs: &SPECS_8, subcommands: 0, why: "" },
    Command { name: "wait", arity: 3, flags: F::of(&[F::NOSCRIPT]), route: Route::Everywhere(Everywhere::Acks), specs: &[], subcommands: 0, why: "" },
    Command { name: "waitaof", arity: 4, flags: F::of(&[F::BLOCKING]), route: Route::Everywhere(Everywhere::Acks), specs: &[], subcommands: 0, why: "" },
    Command { name: "watch", arity: -2, flags: F::of(&[F::NOSCRIPT, F::LOADING, F::STALE, F::FAST, F::ALLOW_BUSY]), route: Route::Local(Local::Watch), specs: &SPECS_12, subcommands: 0, why: "" },
    Command { name: "xack", arity: -4, flags: F::of(&[F::WRITE, F::FAST]), route: Route::Key, specs: &SPECS_13, subcommands: 0, why: "" },
    Command { name: "xadd", arity: -5, flags: F::of(&[F::WRITE, F::DENYOOM, F::FAST]), route: Route::Key, specs: &SPECS_13, subcommands: 0, why: "" },
    Command { name: "xautoclaim", arity: -6, flags: F::of(&[F::WRITE, F::FAST]), route: Route::Key, specs: &SPECS_18, subcommands: 0, why: "" },
    Command { name: "xclaim", arity: -6, flags: F::of(&[F::WRITE, F::FAST]), route: Route::Key, specs: &SPECS_13, subcommands: 0, why: "" },
    Command { name: "xdel", arity: -3, flags: F::of(&[F::WRITE, F::FAST]), route: Route::Key, specs: &SPECS_18, subcommands: 0, why: "" },
    Command { name: "xgroup", arity: -2, flags: F::of(&[]), route: Route::Unsupported, specs: &[], subcommands: 6, why: "" },
    Command { name: "xgroup|create", arity: -5, flags: F::of(&[F::WRITE, F::DENYOOM]), route: Route::Keys, specs: &SPECS_41, subcommands: 0, why: "" },
    Command { name: "xgroup|createconsumer", arity: 5, flags: F::of(&[F::WRITE, F::DENYOOM]), route: Route::Keys, specs: &SPECS_41, subcommands: 0, why: "" },
    Command { name: "xgroup|delconsumer", arity: 5, flags: F::of(&[F::WRITE]), route: Route::Keys, specs: &SPECS_42, subcommands: 0, why: "" },
    Command { name: "xgroup|destroy", arity: 4, flags: F::of(&[F::WRITE]), route: Route::Keys, specs: &SPECS_42, subcommands: 0, why: "" },
    Command { name: "xgroup|help", arity: 2, flags: F::of(&[F::LOADING, F::STALE]), route: Route::Local(Local::Help), specs: &[], subcommands: 0, why: "" },
    Command { name: "xgroup|setid", arity: -5, flags: F::of(&[F::WRITE]), route: Route::Keys, specs: &SPECS_43, subcommands: 0, why: "" },
    Command { name: "xinfo", arity: -2, flags: F::of(&[]), route: Route::Unsupported, specs: &[], subcommands: 4, why: "" },
    Command { name: "xinfo|consumers", arity: 4, flags: F::of(&[F::READONLY]), route: Route::Keys, specs: &SPECS_44, subcommands: 0, why: "" },
    Command { name: "xinfo|groups", arity: 3, flags: F::of(&[F::READONLY]), route: Route::Keys, specs: &SPECS_44, subcommands: 0, why: "" },
    Command { name: "xinfo|help", arity: 2, flags: F::of(&[F::LOADING, F::STALE]), route: Route::Local(Local::Help), specs: &[], subcommands: 0, why: "" },
    Command { name: "xinfo|stream", arity: -3, flags: F::of(&[F::READONLY]), route: Route::Keys, specs: &SPECS_44, subcommands: 0, why: "" },
    Command { name: "xlen", arity: 2, flags: F::of(&[F::READONLY, F::FAST]), route: Route::Key, specs: &SPECS_19, subcommands: 0, why: "" },
    Command { name: "xpending", arity: -3, flags: F::of(&[F::READONLY]), route: Route::Key, specs: &SPECS_1, subcommands: 0, why: "" },
    Command { name: "xrange", arity: -4, flags: F::of(&[F::READONLY]), route: Route::Key, specs: &SPECS_1, subcommands: 0, why: "" },
    Command { name: "xread", arity: -4, flags: F::of(&[F::READONLY, F::BLOCKING, F::MOVABLEKEYS]), route: Route::Blocking, specs: &SPECS_45, subcommands: 0, why: "" },
    Command { name: "xreadgroup", arity: -7, flags: F::of(&[F::WRITE, F::BLOCKING, F::MOVABLEKEYS]), route: Route::Blocking, specs: &SPECS_46, subcommands: 0, why: "" },
    Command { name: "xrevrange", arity: -4, flags: F::of(&[F::READONLY]), route: Route::Key, specs: &SPECS_1, subcommands: 0, why: "" },
    Command { name: "xsetid", arity: -3, flags: F::of(&[F::WRITE, F::DENYOOM, F::FAST]), route: Route::Key, specs: &SPECS_13, subcommands: 0, why: "" },
    Command { name: "xtrim", arity: -4, flags: F::of(&[F::WRITE]), route: Route::Key, specs: &SPECS_18, subcommands: 0, why: "" },
    Command { name: "zadd", arity: -4, flags: F::of(&[F::WRITE, F::DENYOOM, F::FAST]), route: Route::Key, specs: &SPECS_13, subcommands: 0, why: "" },
    Command { name: "zcard", arity: 2, flags: F::of(&[F::READONLY, F::FAST]), route: Route::Key, specs: &SPECS_19, subcommands: 0, why: "" },
    Command { name: "zcount", arity: 4, flags: F::of(&[F::READONLY, F::FAST]), route: Route::Key, specs: &SPECS_1, subcommands: 0, why: "" },
    Command { name: "zdiff", arity: -3, flags: F::of(&[F::READONLY, F::MOVABLEKEYS]), route: Route::Keys, specs: &SPECS_35, subcommands: 0, why: "" },
    Command { name: "zdiffstore", arity: -4, flags: F::of(&[F::WRITE, F::DENYOOM, F::MOVABLEKEYS]), route: Route::Keys, specs: &SPECS_47, subcommands: 0, why: "" },
    Command { name: "zincrby", arity: 4, flags: F::of(&[F::WRITE, F::DENYOOM, F::FAST]), route: Route::Key, specs: &SPECS_8, subcommands: 0, why: "" },
    Command { name: "zinter", arity: -3, flags: F::of(&[F::READONLY, F::MOVABLEKEYS]), route: Route::Keys, specs: &SPECS_35, subcommands: 0, why: "" },
    Command { name: "zintercard", arity: -3, flags: F::of(&[F::READONLY, F::MOVABLEKEYS]), route: Route::Keys, specs: &SPECS_35, subcommands: 0, why: "" },
    Command { name: "zinterstore", arity: -4, flags: F::of(&[F::WRITE, F::DENYOOM, F::MOVABLEKEYS]), route: Route::Keys, specs: &SPECS_47, subcommands: 0, why: "" },
    Command { name: "zlexcount", arity: 4, flags: F::of(&[F::READONLY, F::FAST]), route: Route::Key, specs: &SPECS_1, subcommands: 0, why: "" },
    Command { name: "zmpop", arity: -4, flags: F::of(&[F::WRITE, F::MOVABLEKEYS]), route: Route::Keys, specs: &SPECS_21, subcommands: 0, why: "" },
    Command { name: "zmscore", arity: -3, flags: F::of(&[F::READONLY, F::FAST]), route: Route::Key, specs: &SPECS_1, subcommands: 0, why: "" },
    Command { name: "zpopmax", arity: -2, flags: F::of(&[F::WRITE, F::FAST]), route: Route::Key, specs: &SPECS_17, subcommands: 0, why: "" },
    Command { name: "zpopmin", arity: -2, flags: F::of(&[F::WRITE, F::FAST]), route: Route::Key, specs: &SPECS_17, subcommands: 0, why: "" },
    Command { name: "zrandmember", arity: -2, flags: F::of(&[F::READONLY]), route: Route::Key, specs: &SPECS_1, subcommands: 0, why: "" },
    Command { name: "zrange", arity: -4, flags: F::of(&[F::READONLY]), route: Route::Key, specs: &SPECS_1, subcommands: 0, why: "" },
    Command { name: "zrangebylex", arity: -4, flags: F::of(&[F::READONLY]), route: Route::Key, specs: &SPECS_1, subcommands: 0, why: "" },
    Command { name: "zrangebyscore", arity: -4, flags: F::of(&[F::READONLY]), route: Route::Key, specs: &SPECS_1, subcommands: 0, why: "" },
    Command { name: "zrangestore", arity: -5, flags: F::of(&[F::WRITE, F::DENYOOM]), route: Route::Keys, specs: &SPECS_16, subcommands: 0, why: "" },
    Command { name: "zrank", arity: 3, flags: F::of(&[F::READONLY, F::FAST]), route: Route::Key, specs: &SPECS_1, subcommands: 0, why: "" },
    Command { name: "zrem", arity: -3, flags: F::of(&[F::WRITE, F::FAST]), route: Route::Key, specs: &SPECS_18, subcommands: 0, why: "" },
    Command { name: "zremrangebylex", arity: 4, flags: F::of(&[F::WRITE]), route: Route::Key, specs: &SPECS_18, subcommands: 0, why: "" },
    Command { name: "zremrangebyrank", arity: 4, flags: F::of(&[F::WRITE]), route: Route::Key, specs: &SPECS_18, subcommands: 0, why: "" },
    Command { name: "zremrangebyscore", arity: 4, flags: F::of(&[F::WRITE]), route: Route::Key, specs: &SPECS_18, subcommands: 0, why: "" },
    Command { name: "zrevrange", arity: -4, flags: F::of(&[F::READONLY]), route: Route::Key, specs: &SPECS_1, subcommands: 0, why: "" },
    Command { name: "zrevrangebylex", arity: -4, flags: F::of(&[F::READONLY]), route: Route::Key, specs: &SPECS_1, subcommands: 0, why: "" },
    Command { name: "zrevrangebyscore", arity: -4, flags: F::of(&[F::READONLY]), route: Route::Key, specs: &SPECS_1, subcommands: 0, why: "" },
    Command { name: "zrevrank", arity: 3, flags: F::of(&[F::READONLY, F::FAST]), route: Route::Key, specs: &SPECS_1, subcommands: 0, why: "" },
    Command { name: "zscan", arity: -3, flags: F::of(&[F::READONLY]), route: Route::Key, specs: &SPECS_1, subcommands: 0, why: "" },
    Command { name: "zscore", arity: 3, flags: F::of(&[F::READONLY, F::FAST]), route: Route::Key, specs: &SPECS_1, subcommands: 0, why: "" },
    Command { name: "zunion", arity: -3, flags: F::of(&[F::READONLY, F::MOVABLEKEYS]), route: Route::Keys, specs: &SPECS_35, subcommands: 0, why: "" },
    Command { name: "zunionstore", arity: -4, flags: F::of(&[F::WRITE, F::DENYOOM, F::MOVABLEKEYS]), route: Route::Keys, specs: &SPECS_47, subcommands: 0, why: "" },
];

/// The ids of the commands by name.
pub mod ids {
    use super::CommandId;

    /// `acl`
    pub const ACL: CommandId = CommandId(0);
    /// `acl|cat`
    pub const ACL_CAT: CommandId = CommandId(1);
    /// `acl|deluser`
    pub const ACL_DELUSER: CommandId = CommandId(2);
    /// `acl|dryrun`
    pub const ACL_DRYRUN: CommandId = CommandId(3);
    /// `acl|genpass`
    pub const ACL_GENPASS: CommandId = CommandId(4);
    /// `acl|getuser`
    pub const ACL_GETUSER: CommandId = CommandId(5);
    /// `acl|help`
    pub const ACL_HELP: CommandId = CommandId(6);
    /// `acl|list`
    pub const ACL_LIST: CommandId = CommandId(7);
    /// `acl|load`
    pub const ACL_LOAD: CommandId = CommandId(8);
    /// `acl|log`
    pub const ACL_LOG: CommandId = CommandId(9);
    /// `acl|save`
    pub const ACL_SAVE: CommandId = CommandId(10);
    /// `acl|setuser`
    pub const ACL_SETUSER: CommandId = CommandId(11);
    /// `acl|users`
    pub const ACL_USERS: CommandId = CommandId(12);
    /// `acl|whoami`
    pub const ACL_WHOAMI: CommandId = CommandId(13);
    /// `append`
    pub const APPEND: CommandId = CommandId(14);
    /// `asking`
    pub const ASKING: CommandId = CommandId(15);
    /// `auth`
    pub const AUTH: CommandId = CommandId(16);
    /// `bgrewriteaof`
    pub const BGREWRITEAOF: CommandId = CommandId(17);
    /// `bgsave`
    pub const BGSAVE: CommandId = CommandId(18);
    /// `bitcount`
    pub const BITCOUNT: CommandId = CommandId(19);
    /// `bitfield`
    pub const BITFIELD: CommandId = CommandId(20);
    /// `bitfield_ro`
    pub const BITFIELD_RO: CommandId = CommandId(21);
    /// `bitop`
    pub const BITOP: CommandId = CommandId(22);
    /// `bitpos`
    pub const BITPOS: CommandId = CommandId(23);
    /// `blmove`
    pub const BLMOVE: CommandId = CommandId(24);
    /// `blmpop`
    pub const BLMPOP: CommandId = CommandId(25);
    /// `blpop`
    pub const BLPOP: CommandId = CommandId(26);
    /// `brpop`
    pub const BRPOP: CommandId = CommandId(27);
    /// `brpoplpush`
    pub const BRPOPLPUSH: CommandId = CommandId(28);
    /// `bzmpop`
    pub const BZMPOP: CommandId = CommandId(29);
    /// `bzpopmax`
    pub const BZPOPMAX: CommandId = CommandId(30);
    /// `bzpopmin`
    pub const BZPOPMIN: CommandId = CommandId(31);
    /// `client`
    pub const CLIENT: CommandId = CommandId(32);
    /// `client|caching`
    pub const CLIENT_CACHING: CommandId = CommandId(33);
    /// `client|capa`
    pub const CLIENT_CAPA: CommandId = CommandId(34);
    /// `client|getname`
    pub const CLIENT_GETNAME: CommandId = CommandId(35);
    /// `client|getredir`
    pub const CLIENT_GETREDIR: CommandId = CommandId(36);
    /// `client|help`
    pub const CLIENT_HELP: CommandId = CommandId(37);
    /// `client|id`
    pub const CLIENT_ID: CommandId = CommandId(38);
    /// `client|import-source`
    pub const CLIENT_IMPORT_SOURCE: CommandId = CommandId(39);
    /// `client|info`
    pub const CLIENT_INFO: CommandId = CommandId(40);
    /// `client|kill`
    pub const CLIENT_KILL: CommandId = CommandId(41);
    /// `client|list`
    pub const CLIENT_LIST: CommandId = CommandId(42);
    /// `client|no-evict`
    pub const CLIENT_NO_EVICT: CommandId = CommandId(43);
    /// `client|no-touch`
    pub const CLIENT_NO_TOUCH: CommandId = CommandId(44);
    /// `client|pause`
    pub const CLIENT_PAUSE: CommandId = CommandId(45);
    /// `client|reply`
    pub const CLIENT_REPLY: CommandId = CommandId(46);
    /// `client|setinfo`
    pub const CLIENT_SETINFO: CommandId = CommandId(47);
    /// `client|setname`
    pub const CLIENT_SETNAME: CommandId = CommandId(48);
    /// `client|tracking`
    pub const CLIENT_TRACKING: CommandId = CommandId(49);
    /// `client|trackinginfo`
    pub const CLIENT_TRACKINGINFO: CommandId = CommandId(50);
    /// `client|unblock`
    pub const CLIENT_UNBLOCK: CommandId = CommandId(51);
    /// `client|unpause`
    pub const CLIENT_UNPAUSE: CommandId = CommandId(52);
    /// `cluster`
    pub const CLUSTER: CommandId = CommandId(53);
    /// `cluster|addslots`
    pub const CLUSTER_ADDSLOTS: CommandId = CommandId(54);
    /// `cluster|addslotsrange`
    pub const CLUSTER_ADDSLOTSRANGE: CommandId = CommandId(55);
    /// `cluster|bumpepoch`
    pub const CLUSTER_BUMPEPOCH: CommandId = CommandId(56);
    /// `cluster|count-failure-reports`
    pub const CLUSTER_COUNT_FAILURE_REPORTS: CommandId = CommandId(57);
    /// `cluster|countkeysinslot`
    pub const CLUSTER_COUNTKEYSINSLOT: CommandId = CommandId(58);
    /// `cluster|delslots`
    pub const CLUSTER_DELSLOTS: CommandId = CommandId(59);
    /// `cluster|delslotsrange`
    pub const CLUSTER_DELSLOTSRANGE: CommandId = CommandId(60);
    /// `cluster|failover`
    pub const CLUSTER_FAILOVER: CommandId = CommandId(61);
    /// `cluster|flushslots`
    pub const CLUSTER_FLUSHSLOTS: CommandId = CommandId(62);
    /// `cluster|forget`
    pub const CLUSTER_FORGET: CommandId = CommandId(63);
    /// `cluster|getkeysinslot`
    pub const CLUSTER_GETKEYSINSLOT: CommandId = CommandId(64);
    /// `cluster|help`
    pub const CLUSTER_HELP: CommandId = CommandId(65);
    /// `cluster|info`
    pub const CLUSTER_INFO: CommandId = CommandId(66);
    /// `cluster|keyslot`
    pub const CLUSTER_KEYSLOT: CommandId = CommandId(67);
    /// `cluster|links`
    pub const CLUSTER_LINKS: CommandId = CommandId(68);
    /// `cluster|meet`
    pub const CLUSTER_MEET: CommandId = CommandId(69);
    /// `cluster|myid`
    pub const CLUSTER_MYID: CommandId = CommandId(70);
    /// `cluster|myshardid`
    pub const CLUSTER_MYSHARDID: CommandId = CommandId(71);
    /// `cluster|nodes`
    pub const CLUSTER_NODES: CommandId = CommandId(72);
    /// `cluster|replicas`
    pub const CLUSTER_REPLICAS: CommandId = CommandId(73);
    /// `cluster|replicate`
    pub const CLUSTER_REPLICATE: CommandId = CommandId(74);
    /// `cluster|reset`
    pub const CLUSTER_RESET: CommandId = CommandId(75);
    /// `cluster|saveconfig`
    pub const CLUSTER_SAVECONFIG: CommandId = CommandId(76);
    /// `cluster|set-config-epoch`
    pub const CLUSTER_SET_CONFIG_EPOCH: CommandId = CommandId(77);
    /// `cluster|setslot`
    pub const CLUSTER_SETSLOT: CommandId = CommandId(78);
    /// `cluster|shards`
    pub const CLUSTER_SHARDS: CommandId = CommandId(79);
    /// `cluster|slaves`
    pub const CLUSTER_SLAVES: CommandId = CommandId(80);
    /// `cluster|slot-stats`
    pub const CLUSTER_SLOT_STATS: CommandId = CommandId(81);
    /// `cluster|slots`
    pub const CLUSTER_SLOTS: CommandId = CommandId(82);
    /// `codis.server`
    pub const CODIS_SERVER: CommandId = CommandId(83);
    /// `command`
    pub const COMMAND: CommandId = CommandId(84);
    /// `command|count`
    pub const COMMAND_COUNT: CommandId = CommandId(85);
    /// `command|docs`
    pub const COMMAND_DOCS: CommandId = CommandId(86);
    /// `command|getkeys`
    pub const COMMAND_GETKEYS: CommandId = CommandId(87);
    /// `command|getkeysandflags`
    pub const COMMAND_GETKEYSANDFLAGS: CommandId = CommandId(88);
    /// `command|help`
    pub const COMMAND_HELP: CommandId = CommandId(89);
    /// `command|info`
    pub const COMMAND_INFO: CommandId = CommandId(90);
    /// `command|list`
    pub const COMMAND_LIST: CommandId = CommandId(91);
    /// `commandlog`
    pub const COMMANDLOG: CommandId = CommandId(92);
    /// `commandlog|get`
    pub const COMMANDLOG_GET: CommandId = CommandId(93);
    /// `commandlog|help`
    pub const COMMANDLOG_HELP: CommandId = CommandId(94);
    /// `commandlog|len`
    pub const COMMANDLOG_LEN: CommandId = CommandId(95);
    /// `commandlog|reset`
    pub const COMMANDLOG_RESET: CommandId = CommandId(96);
    /// `config`
    pub const CONFIG: CommandId = CommandId(97);
    /// `config|get`
    pub const CONFIG_GET: CommandId = CommandId(98);
    /// `config|help`
    pub const CONFIG_HELP: CommandId = CommandId(99);
    /// `config|resetstat`
    pub const CONFIG_RESETSTAT: CommandId = CommandId(100);
    /// `config|rewrite`
    pub const CONFIG_REWRITE: CommandId = CommandId(101);
    /// `config|set`
    pub const CONFIG_SET: CommandId = CommandId(102);
    /// `copy`
    pub const COPY: CommandId = CommandId(103);
    /// `dbsize`
    pub const DBSIZE: CommandId = CommandId(104);
    /// `debug`
    pub const DEBUG: CommandId = CommandId(105);
    /// `decr`
    pub const DECR: CommandId = CommandId(106);
    /// `decrby`
    pub const DECRBY: CommandId = CommandId(107);
    /// `del`
    pub const DEL: CommandId = CommandId(108);
    /// `discard`
    pub const DISCARD: CommandId = CommandId(109);
    /// `dump`
    pub const DUMP: CommandId = CommandId(110);
    /// `echo`
    pub const ECHO: CommandId = CommandId(111);
    /// `eval`
    pub const EVAL: CommandId = CommandId(112);
    /// `eval_ro`
    pub const EVAL_RO: CommandId = CommandId(113);
    /// `evalsha`
    pub const EVALSHA: CommandId = CommandId(114);
    /// `evalsha_ro`
    pub const EVALSHA_RO: CommandId = CommandId(115);
    /// `exec`
    pub const EXEC: CommandId = CommandId(116);
    /// `exists`
    pub const EXISTS: CommandId = CommandId(117);
    /// `expire`
    pub const EXPIRE: CommandId = CommandId(118);
    /// `expireat`
    pub const EXPIREAT: CommandId = CommandId(119);
    /// `expiretime`
    pub const EXPIRETIME: CommandId = CommandId(120);
    /// `failover`
    pub const FAILOVER: CommandId = CommandId(121);
    /// `fcall`
    pub const FCALL: CommandId = CommandId(122);
    /// `fcall_ro`
    pub const FCALL_RO: CommandId = CommandId(123);
    /// `flushall`
    pub const FLUSHALL: CommandId = CommandId(124);
    /// `flushdb`
    pub const FLUSHDB: CommandId = CommandId(125);
    /// `function`
    pub const FUNCTION: CommandId = CommandId(126);
    /// `function|delete`
    pub const FUNCTION_DELETE: CommandId = CommandId(127);
    /// `function|dump`
    pub const FUNCTION_DUMP: CommandId = CommandId(128);
    /// `function|flush`
    pub const FUNCTION_FLUSH: CommandId = CommandId(129);
    /// `function|help`
    pub const FUNCTION_HELP: CommandId = CommandId(130);
    /// `function|kill`
    pub const FUNCTION_KILL: CommandId = CommandId(131);
    /// `function|list`
    pub const FUNCTION_LIST: CommandId = CommandId(132);
    /// `function|load`
    pub const FUNCTION_LOAD: CommandId = CommandId(133);
    /// `function|restore`
    pub const FUNCTION_RESTORE: CommandId = CommandId(134);
    /// `function|stats`
    pub const FUNCTION_STATS: CommandId = CommandId(135);
    /// `geoadd`
    pub const GEOADD: CommandId = CommandId(136);
    /// `geodist`
    pub const GEODIST: CommandId = CommandId(137);
    /// `geohash`
    pub const GEOHASH: CommandId = CommandId(138);
    /// `geopos`
    pub const GEOPOS: CommandId = CommandId(139);
    /// `georadius`
    pub const GEORADIUS: CommandId = CommandId(140);
    /// `georadius_ro`
    pub const GEORADIUS_RO: CommandId = CommandId(141);
    /// `georadiusbymember`
    pub const GEORADIUSBYMEMBER: CommandId = CommandId(142);
    /// `georadiusbymember_ro`
    pub const GEORADIUSBYMEMBER_RO: CommandId = CommandId(143);
    /// `geosearch`
    pub const GEOSEARCH: CommandId = CommandId(144);
    /// `geosearchstore`
    pub const GEOSEARCHSTORE: CommandId = CommandId(145);
    /// `get`
    pub const GET: CommandId = CommandId(146);
    /// `getbit`
    pub const GETBIT: CommandId = CommandId(147);
    /// `getdel`
    pub const GETDEL: CommandId = CommandId(148);
    /// `getex`
    pub const GETEX: CommandId = CommandId(149);
    /// `getrange`
    pub const GETRANGE: CommandId = CommandId(150);
    /// `getset`
    pub const GETSET: CommandId = CommandId(151);
    /// `hdel`
    pub const HDEL: CommandId = CommandId(152);
    /// `hello`
    pub const HELLO: CommandId = CommandId(153);
    /// `hexists`
    pub const HEXISTS: CommandId = CommandId(154);
    /// `hexpire`
    pub const HEXPIRE: CommandId = CommandId(155);
    /// `hexpireat`
    pub const HEXPIREAT: CommandId = CommandId(156);
    /// `hexpiretime`
    pub const HEXPIRETIME: CommandId = CommandId(157);
    /// `hget`
    pub const HGET: CommandId = CommandId(158);
    /// `hgetall`
    pub const HGETALL: CommandId = CommandId(159);
    /// `hgetdel`
    pub const HGETDEL: CommandId = CommandId(160);
    /// `hgetex`
    pub const HGETEX: CommandId = CommandId(161);
    /// `hincrby`
    pub const HINCRBY: CommandId = CommandId(162);
    /// `hincrbyfloat`
    pub const HINCRBYFLOAT: CommandId = CommandId(163);
    /// `hkeys`
    pub const HKEYS: CommandId = CommandId(164);
    /// `hlen`
    pub const HLEN: CommandId = CommandId(165);
    /// `hmget`
    pub const HMGET: CommandId = CommandId(166);
    /// `hmset`
    pub const HMSET: CommandId = CommandId(167);
    /// `hpersist`
    pub const HPERSIST: CommandId = CommandId(168);
    /// `hpexpire`
    pub const HPEXPIRE: CommandId = CommandId(169);
    /// `hpexpireat`
    pub const HPEXPIREAT: CommandId = CommandId(170);
    /// `hpexpiretime`
    pub const HPEXPIRETIME: CommandId = CommandId(171);
    /// `hpttl`
    pub const HPTTL: CommandId = CommandId(172);
    /// `hrandfield`
    pub const HRANDFIELD: CommandId = CommandId(173);
    /// `hscan`
    pub const HSCAN: CommandId = CommandId(174);
    /// `hset`
    pub const HSET: CommandId = CommandId(175);
    /// `hsetex`
    pub const HSETEX: CommandId = CommandId(176);
    /// `hsetnx`
    pub const HSETNX: CommandId = CommandId(177);
    /// `hstrlen`
    pub const HSTRLEN: CommandId = CommandId(178);
    /// `httl`
    pub const HTTL: CommandId = CommandId(179);
    /// `hvals`
    pub const HVALS: CommandId = CommandId(180);
    /// `incr`
    pub const INCR: CommandId = CommandId(181);
    /// `incrby`
    pub const INCRBY: CommandId = CommandId(182);
    /// `incrbyfloat`
    pub const INCRBYFLOAT: CommandId = CommandId(183);
    /// `info`
    pub const INFO: CommandId = CommandId(184);
    /// `keys`
    pub const KEYS: CommandId = CommandId(185);
    /// `lastsave`
    pub const LASTSAVE: CommandId = CommandId(186);
    /// `latency`
    pub const LATENCY: CommandId = CommandId(187);
    /// `latency|doctor`
    pub const LATENCY_DOCTOR: CommandId = CommandId(188);
    /// `latency|graph`
    pub const LATENCY_GRAPH: CommandId = CommandId(189);
    /// `latency|help`
    pub const LATENCY_HELP: CommandId = CommandId(190);
    /// `latency|histogram`
    pub const LATENCY_HISTOGRAM: CommandId = CommandId(191);
    /// `latency|history`
    pub const LATENCY_HISTORY: CommandId = CommandId(192);
    /// `latency|latest`
    pub const LATENCY_LATEST: CommandId = CommandId(193);
    /// `latency|reset`
    pub const LATENCY_RESET: CommandId = CommandId(194);
    /// `lcs`
    pub const LCS: CommandId = CommandId(195);
    /// `lindex`
    pub const LINDEX: CommandId = CommandId(196);
    /// `linsert`
    pub const LINSERT: CommandId = CommandId(197);
    /// `llen`
    pub const LLEN: CommandId = CommandId(198);
    /// `lmove`
    pub const LMOVE: CommandId = CommandId(199);
    /// `lmpop`
    pub const LMPOP: CommandId = CommandId(200);
    /// `lolwut`
    pub const LOLWUT: CommandId = CommandId(201);
    /// `lpop`
    pub const LPOP: CommandId = CommandId(202);
    /// `lpos`
    pub const LPOS: CommandId = CommandId(203);
    /// `lpush`
    pub const LPUSH: CommandId = CommandId(204);
    /// `lpushx`
    pub const LPUSHX: CommandId = CommandId(205);
    /// `lrange`
    pub const LRANGE: CommandId = CommandId(206);
    /// `lrem`
    pub const LREM: CommandId = CommandId(207);
    /// `lset`
    pub const LSET: CommandId = CommandId(208);
    /// `ltrim`
    pub const LTRIM: CommandId = CommandId(209);
    /// `memory`
    pub const MEMORY: CommandId = CommandId(210);
    /// `memory|doctor`
    pub const MEMORY_DOCTOR: CommandId = CommandId(211);
    /// `memory|help`
    pub const MEMORY_HELP: CommandId = CommandId(212);
    /// `memory|malloc-stats`
    pub const MEMORY_MALLOC_STATS: CommandId = CommandId(213);
    /// `memory|purge`
    pub const MEMORY_PURGE: CommandId = CommandId(214);
    /// `memory|stats`
    pub const MEMORY_STATS: CommandId = CommandId(215);
    /// `memory|usage`
    pub const MEMORY_USAGE: CommandId = CommandId(216);
    /// `mget`
    pub const MGET: CommandId = CommandId(217);
    /// `migrate`
    pub const MIGRATE: CommandId = CommandId(218);
    /// `module`
    pub const MODULE: CommandId = CommandId(219);
    /// `module|help`
    pub const MODULE_HELP: CommandId = CommandId(220);
    /// `module|list`
    pub const MODULE_LIST: CommandId = CommandId(221);
    /// `module|load`
    pub const MODULE_LOAD: CommandId = CommandId(222);
    /// `module|loadex`
    pub const MODULE_LOADEX: CommandId = CommandId(223);
    /// `module|unload`
    pub const MODULE_UNLOAD: CommandId = CommandId(224);
    /// `monitor`
    pub const MONITOR: CommandId = CommandId(225);
    /// `move`
    pub const MOVE: CommandId = CommandId(226);
    /// `mset`
    pub const MSET: CommandId = CommandId(227);
    /// `msetnx`
    pub const MSETNX: CommandId = CommandId(228);
    /// `multi`
    pub const MULTI: CommandId = CommandId(229);
    /// `object`
    pub const OBJECT: CommandId = CommandId(230);
    /// `object|encoding`
    pub const OBJECT_ENCODING: CommandId = CommandId(231);
    /// `object|freq`
    pub const OBJECT_FREQ: CommandId = CommandId(232);
    /// `object|help`
    pub const OBJECT_HELP: CommandId = CommandId(233);
    /// `object|idletime`
    pub const OBJECT_IDLETIME: CommandId = CommandId(234);
    /// `object|refcount`
    pub const OBJECT_REFCOUNT: CommandId = CommandId(235);
    /// `persist`
    pub const PERSIST: CommandId = CommandId(236);
    /// `pexpire`
    pub const PEXPIRE: CommandId = CommandId(237);
    /// `pexpireat`
    pub const PEXPIREAT: CommandId = CommandId(238);
    /// `pexpiretime`
    pub const PEXPIRETIME: CommandId = CommandId(239);
    /// `pfadd`
    pub const PFADD: CommandId = CommandId(240);
    /// `pfcount`
    pub const PFCOUNT: CommandId = CommandId(241);
    /// `pfdebug`
    pub const PFDEBUG: CommandId = CommandId(242);
    /// `pfmerge`
    pub const PFMERGE: CommandId = CommandId(243);
    /// `pfselftest`
    pub const PFSELFTEST: CommandId = CommandId(244);
    /// `ping`
    pub const PING: CommandId = CommandId(245);
    /// `psetex`
    pub const PSETEX: CommandId = CommandId(246);
    /// `psubscribe`
    pub const PSUBSCRIBE: CommandId = CommandId(247);
    /// `psync`
    pub const PSYNC: CommandId = CommandId(248);
    /// `pttl`
    pub const PTTL: CommandId = CommandId(249);
    /// `publish`
    pub const PUBLISH: CommandId = CommandId(250);
    /// `pubsub`
    pub const PUBSUB: CommandId = CommandId(251);
    /// `pubsub|channels`
    pub const PUBSUB_CHANNELS: CommandId = CommandId(252);
    /// `pubsub|help`
    pub const PUBSUB_HELP: CommandId = CommandId(253);
    /// `pubsub|numpat`
    pub const PUBSUB_NUMPAT: CommandId = CommandId(254);
    /// `pubsub|numsub`
    pub const PUBSUB_NUMSUB: CommandId = CommandId(255);
    /// `pubsub|shardchannels`
    pub const PUBSUB_SHARDCHANNELS: CommandId = CommandId(256);
    /// `pubsub|shardnumsub`
    pub const PUBSUB_SHARDNUMSUB: CommandId = CommandId(257);
    /// `punsubscribe`
    pub const PUNSUBSCRIBE: CommandId = CommandId(258);
    /// `quit`
    pub const QUIT: CommandId = CommandId(259);
    /// `randomkey`
    pub const RANDOMKEY: CommandId = CommandId(260);
    /// `readonly`
    pub const READONLY: CommandId = CommandId(261);
    /// `readwrite`
    pub const READWRITE: CommandId = CommandId(262);
    /// `rename`
    pub const RENAME: CommandId = CommandId(263);
    /// `renamenx`
    pub const RENAMENX: CommandId = CommandId(264);
    /// `replconf`
    pub const REPLCONF: CommandId = CommandId(265);
    /// `replicaof`
    pub const REPLICAOF: CommandId = CommandId(266);
    /// `reset`
    pub const RESET: CommandId = CommandId(267);
    /// `restore`
    pub const RESTORE: CommandId = CommandId(268);
    /// `restore-asking`
    pub const RESTORE_ASKING: CommandId = CommandId(269);
    /// `role`
    pub const ROLE: CommandId = CommandId(270);
    /// `rpop`
    pub const RPOP: CommandId = CommandId(271);
    /// `rpoplpush`
    pub const RPOPLPUSH: CommandId = CommandId(272);
    /// `rpush`
    pub const RPUSH: CommandId = CommandId(273);
    /// `rpushx`
    pub const RPUSHX: CommandId = CommandId(274);
    /// `sadd`
    pub const SADD: CommandId = CommandId(275);
    /// `save`
    pub const SAVE: CommandId = CommandId(276);
    /// `scan`
    pub const SCAN: CommandId = CommandId(277);
    /// `scard`
    pub const SCARD: CommandId = CommandId(278);
    /// `script`
    pub const SCRIPT: CommandId = CommandId(279);
    /// `script|debug`
    pub const SCRIPT_DEBUG: CommandId = CommandId(280);
    /// `script|exists`
    pub const SCRIPT_EXISTS: CommandId = CommandId(281);
    /// `script|flush`
    pub const SCRIPT_FLUSH: CommandId = CommandId(282);
    /// `script|help`
    pub const SCRIPT_HELP: CommandId = CommandId(283);
    /// `script|kill`
    pub const SCRIPT_KILL: CommandId = CommandId(284);
    /// `script|load`
    pub const SCRIPT_LOAD: CommandId = CommandId(285);
    /// `script|show`
    pub const SCRIPT_SHOW: CommandId = CommandId(286);
    /// `sdiff`
    pub const SDIFF: CommandId = CommandId(287);
    /// `sdiffstore`
    pub const SDIFFSTORE: CommandId = CommandId(288);
    /// `select`
    pub const SELECT: CommandId = CommandId(289);
    /// `set`
    pub const SET: CommandId = CommandId(290);
    /// `setbit`
    pub const SETBIT: CommandId = CommandId(291);
    /// `setex`
    pub const SETEX: CommandId = CommandId(292);
    /// `setnx`
    pub const SETNX: CommandId = CommandId(293);
    /// `setrange`
    pub const SETRANGE: CommandId = CommandId(294);
    /// `shutdown`
    pub const SHUTDOWN: CommandId = CommandId(295);
    /// `sinter`
    pub const SINTER: CommandId = CommandId(296);
    /// `sintercard`
    pub const SINTERCARD: CommandId = CommandId(297);
    /// `sinterstore`
    pub const SINTERSTORE: CommandId = CommandId(298);
    /// `sismember`
    pub const SISMEMBER: CommandId = CommandId(299);
    /// `slaveof`
    pub const SLAVEOF: CommandId = CommandId(300);
    /// `slotshashkey`
    pub const SLOTSHASHKEY: CommandId = CommandId(301);
    /// `slotsinfo`
    pub const SLOTSINFO: CommandId = CommandId(302);
    /// `slotsmapping`
    pub const SLOTSMAPPING: CommandId = CommandId(303);
    /// `slowlog`
    pub const SLOWLOG: CommandId = CommandId(304);
    /// `slowlog|get`
    pub const SLOWLOG_GET: CommandId = CommandId(305);
    /// `slowlog|help`
    pub const SLOWLOG_HELP: CommandId = CommandId(306);
    /// `slowlog|len`
    pub const SLOWLOG_LEN: CommandId = CommandId(307);
    /// `slowlog|reset`
    pub const SLOWLOG_RESET: CommandId = CommandId(308);
    /// `smembers`
    pub const SMEMBERS: CommandId = CommandId(309);
    /// `smismember`
    pub const SMISMEMBER: CommandId = CommandId(310);
    /// `smove`
    pub const SMOVE: CommandId = CommandId(311);
    /// `sort`
    pub const SORT: CommandId = CommandId(312);
    /// `sort_ro`
    pub const SORT_RO: CommandId = CommandId(313);
    /// `spop`
    pub const SPOP: CommandId = CommandId(314);
    /// `spublish`
    pub const SPUBLISH: CommandId = CommandId(315);
    /// `srandmember`
    pub const SRANDMEMBER: CommandId = CommandId(316);
    /// `srem`
    pub const SREM: CommandId = CommandId(317);
    /// `sscan`
    pub const SSCAN: CommandId = CommandId(318);
    /// `ssubscribe`
    pub const SSUBSCRIBE: CommandId = CommandId(319);
    /// `strlen`
    pub const STRLEN: CommandId = CommandId(320);
    /// `subscribe`
    pub const SUBSCRIBE: CommandId = CommandId(321);
    /// `substr`
    pub const SUBSTR: CommandId = CommandId(322);
    /// `sunion`
    pub const SUNION: CommandId = CommandId(323);
    /// `sunionstore`
    pub const SUNIONSTORE: CommandId = CommandId(324);
    /// `sunsubscribe`
    pub const SUNSUBSCRIBE: CommandId = CommandId(325);
    /// `swapdb`
    pub const SWAPDB: CommandId = CommandId(326);
    /// `sync`
    pub const SYNC: CommandId = CommandId(327);
    /// `time`
    pub const TIME: CommandId = CommandId(328);
    /// `touch`
    pub const TOUCH: CommandId = CommandId(329);
    /// `ttl`
    pub const TTL: CommandId = CommandId(330);
    /// `type`
    pub const TYPE: CommandId = CommandId(331);
    /// `unlink`
    pub const UNLINK: CommandId = CommandId(332);
    /// `unsubscribe`
    pub const UNSUBSCRIBE: CommandId = CommandId(333);
    /// `unwatch`
    pub const UNWATCH: CommandId = CommandId(334);
    /// `vadd`
    pub const VADD: CommandId = CommandId(335);
    /// `vcard`
    pub const VCARD: CommandId = CommandId(336);
    /// `vdim`
    pub const VDIM: CommandId = CommandId(337);
    /// `vemb`
    pub const VEMB: CommandId = CommandId(338);
    /// `vgetattr`
    pub const VGETATTR: CommandId = CommandId(339);
    /// `vinfo`
    pub const VINFO: CommandId = CommandId(340);
    /// `vismember`
    pub const VISMEMBER: CommandId = CommandId(341);
    /// `vlinks`
    pub const VLINKS: CommandId = CommandId(342);
    /// `vrandmember`
    pub const VRANDMEMBER: CommandId = CommandId(343);
    /// `vrem`
    pub const VREM: CommandId = CommandId(344);
    /// `vsetattr`
    pub const VSETATTR: CommandId = CommandId(345);
    /// `vsim`
    pub const VSIM: CommandId = CommandId(346);
    /// `wait`
    pub const WAIT: CommandId = CommandId(347);
    /// `waitaof`
    pub const WAITAOF: CommandId = CommandId(348);
    /// `watch`
    pub const WATCH: CommandId = CommandId(349);
    /// `xack`
    pub const XACK: CommandId = CommandId(350);
    /// `xadd`
    pub const XADD: CommandId = CommandId(351);
    /// `xautoclaim`
    pub const XAUTOCLAIM: CommandId = CommandId(352);
    /// `xclaim`
    pub const XCLAIM: CommandId = CommandId(353);
    /// `xdel`
    pub const XDEL: CommandId = CommandId(354);
    /// `xgroup`
    pub const XGROUP: CommandId = CommandId(355);
    /// `xgroup|create`
    pub const XGROUP_CREATE: CommandId = CommandId(356);
    /// `xgroup|createconsumer`
    pub const XGROUP_CREATECONSUMER: CommandId = CommandId(357);
    /// `xgroup|delconsumer`
    pub const XGROUP_DELCONSUMER: CommandId = CommandId(358);
    /// `xgroup|destroy`
    pub const XGROUP_DESTROY: CommandId = CommandId(359);
    /// `xgroup|help`
    pub const XGROUP_HELP: CommandId = CommandId(360);
    /// `xgroup|setid`
    pub const XGROUP_SETID: CommandId = CommandId(361);
    /// `xinfo`
    pub const XINFO: CommandId = CommandId(362);
    /// `xinfo|consumers`
    pub const XINFO_CONSUMERS: CommandId = CommandId(363);
    /// `xinfo|groups`
    pub const XINFO_GROUPS: CommandId = CommandId(364);
    /// `xinfo|help`
    pub const XINFO_HELP: CommandId = CommandId(365);
    /// `xinfo|stream`
    pub const XINFO_STREAM: CommandId = CommandId(366);
    /// `xlen`
    pub const XLEN: CommandId = CommandId(367);
    /// `xpending`
    pub const XPENDING: CommandId = CommandId(368);
    /// `xrange`
    pub const XRANGE: CommandId = CommandId(369);
    /// `xread`
    pub const XREAD: CommandId = CommandId(370);
    /// `xreadgroup`
    pub const XREADGROUP: CommandId = CommandId(371);
    /// `xrevrange`
    pub const XREVRANGE: CommandId = CommandId(372);
    /// `xsetid`
    pub const XSETID: CommandId = CommandId(373);
    /// `xtrim`
    pub const XTRIM: CommandId = CommandId(374);
    /// `zadd`
    pub const ZADD: CommandId = CommandId(375);
    /// `zcard`
    pub const ZCARD: CommandId = CommandId(376);
    /// `zcount`
    pub const ZCOUNT: CommandId = CommandId(377);
    /// `zdiff`
    pub const ZDIFF: CommandId = CommandId(378);
    /// `zdiffstore`
    pub const ZDIFFSTORE: CommandId = CommandId(379);
    /// `zincrby`
    pub const ZINCRBY: CommandId = CommandId(380);
    /// `zinter`
    pub const ZINTER: CommandId = CommandId(381);
    /// `zintercard`
    pub const ZINTERCARD: CommandId = CommandId(382);
    /// `zinterstore`
    pub const ZINTERSTORE: CommandId = CommandId(383);
    /// `zlexcount`
    pub const ZLEXCOUNT: CommandId = CommandId(384);
    /// `zmpop`
    pub const ZMPOP: CommandId = CommandId(385);
    /// `zmscore`
    pub const ZMSCORE: CommandId = CommandId(386);
    /// `zpopmax`
    pub const ZPOPMAX: CommandId = CommandId(387);
    /// `zpopmin`
    pub const ZPOPMIN: CommandId = CommandId(388);
    /// `zrandmember`
    pub const ZRANDMEMBER: CommandId = CommandId(389);
    /// `zrange`
    pub const ZRANGE: CommandId = CommandId(390);
    /// `zrangebylex`
    pub const ZRANGEBYLEX: CommandId = CommandId(391);
    /// `zrangebyscore`
    pub const ZRANGEBYSCORE: CommandId = CommandId(392);
    /// `zrangestore`
    pub const ZRANGESTORE: CommandId = CommandId(393);
    /// `zrank`
    pub const ZRANK: CommandId = CommandId(394);
    /// `zrem`
    pub const ZREM: CommandId = CommandId(395);
    /// `zremrangebylex`
    pub const ZREMRANGEBYLEX: CommandId = CommandId(396);
    /// `zremrangebyrank`
    pub const ZREMRANGEBYRANK: CommandId = CommandId(397);
    /// `zremrangebyscore`
    pub const ZREMRANGEBYSCORE: CommandId = CommandId(398);
    /// `zrevrange`
    pub const ZREVRANGE: CommandId = CommandId(399);
    /// `zrevrangebylex`
    pub const ZREVRANGEBYLEX: CommandId = CommandId(400);
    /// `zrevrangebyscore`
    pub const ZREVRANGEBYSCORE: CommandId = CommandId(401);
    /// `zrevrank`
    pub const ZREVRANK: CommandId = CommandId(402);
    /// `zscan`
    pub const ZSCAN: CommandId = CommandId(403);
    /// `zscore`
    pub const ZSCORE: CommandId = CommandId(404);
    /// `zunion`
    pub const ZUNION: CommandId = CommandId(405);
    /// `zunionstore`
    pub const ZUNIONSTORE: CommandId = CommandId(406);
}
