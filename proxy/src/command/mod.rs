//! The command table: what every command is, where its keys are, and what the proxy does with it.
//!
//! Pure: a [`Request`] in, facts or reply bytes out. It may use [`crate::resp`] and [`crate::slots`],
//! and must not know of sessions, backends or the topology. The facts are Redis's own: `table.rs`
//! and `commands.resp` are generated from a running server by `examples/gen_commands`, where
//! `classes.rs` holds what people decide: how each command is routed.
//!
//! The way of a request: [`resolve`] finds the command and checks its arity; its [`Route`] says what
//! to do; [`refusal`] says no to arguments that cannot be served (never for [`Route::Key`]);
//! [`keys`] finds the keys for [`Route::Keys`] and [`Route::Split`]; [`reply`] answers COMMAND and
//! HELP.

mod entries;
mod error;
mod getkeys;
mod glob;
mod hash;
mod keys;
mod lookup;
mod refusal;
mod reply;
#[rustfmt::skip]
mod table;

pub use error::LookupError;
pub use getkeys::{KeyUse, key_accesses};
pub use glob::{matches as glob_matches, matches_exactly as glob_matches_exactly};
pub use keys::{KeysError, Streams, keys};
pub use lookup::{by_full_name as lookup_full_name, lookup, resolve};
pub use refusal::{CROSSSLOT, refusal};
pub use reply::{CATEGORIES, in_category, reply};
pub use table::{COMMANDS, REDIS_VERSION, SERVERS, ids};

/// A command or subcommand: its index in [`COMMANDS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId(pub u16);

impl CommandId {
    /// Any command that the table does not have and a server does: a module's, or a newer server's.
    pub const LEARNED: Self = Self(COMMANDS.len() as u16);

    /// What the table holds of it.
    #[inline]
    #[must_use]
    pub fn command(self) -> &'static Command {
        COMMANDS.get(usize::from(self.0)).unwrap_or(&LEARNED)
    }
}

/// What is shown of [`CommandId::LEARNED`].
static LEARNED: Command = Command {
    name: "(learned)",
    arity: -1,
    flags: Flags::of(&[Flags::MODULE]),
    route: Route::Keys,
    specs: &[],
    subcommands: 0,
    why: "",
};

/// What the table holds of one command.
#[derive(Debug)]
pub struct Command {
    /// In lower case, `client|list` for a subcommand.
    pub name: &'static str,
    /// How many arguments it takes, its name (and its container's) included; if negative, at least
    /// that many.
    pub arity: i16,
    /// What Redis says of it.
    pub flags: Flags,
    /// What the proxy does with it.
    pub route: Route,
    /// Where its keys are.
    pub specs: &'static [KeySpec],
    /// How many subcommands it has; they are the entries right after it.
    pub subcommands: u16,
    /// Why it is not supported; empty where it is.
    pub why: &'static str,
}

impl Command {
    /// Whether argument 1 names a subcommand.
    #[inline]
    #[must_use]
    pub const fn container(&self) -> bool {
        self.subcommands != 0
    }

    /// Whether clients can use it: not [`Route::Unsupported`].
    #[must_use]
    pub fn supported(&self) -> bool {
        !matches!(self.route, Route::Unsupported)
    }
}

/// What the proxy does with a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// To the server that owns the key at argument 1; nothing else in the request can be a key.
    Key,
    /// To the one server that owns all the keys that [`keys`] finds.
    Keys,
    /// To every server that owns some of the keys, each with its share.
    Split(Split),
    /// To the one server that owns all the keys, on a connection of the session's own if it may block.
    Blocking,
    /// Answered by the proxy.
    Local(Local),
    /// To the masters of all groups, or to some of them by another rule than a key's slot.
    Everywhere(Everywhere),
    /// Refused, see [`refusal`].
    Unsupported,
    /// To the master of the slot of the channel at argument 1.
    Publish,
}

/// How the replies to the parts of a split command make one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// Values in the keys' order.
    Mget,
    /// Keys and values in turn; `OK`.
    Mset,
    /// The sum of the integers.
    Sum,
}

/// The commands that the proxy answers itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Local {
    /// `AUTH [user] password`
    Auth,
    /// `HELLO [version [AUTH user password] [SETNAME name]]`
    Hello,
    /// `SELECT database`
    Select,
    /// `PING [message]`
    Ping,
    /// `ECHO message`
    Echo,
    /// `ROLE`
    Role,
    /// `QUIT`
    Quit,
    /// `RESET`
    Reset,
    /// `TIME`
    Time,
    /// `COMMAND`, answered by [`reply`]
    Command,
    /// `COMMAND COUNT`, answered by [`reply`]
    CommandCount,
    /// `COMMAND INFO [name ...]`, answered by [`reply`]
    CommandInfo,
    /// `COMMAND DOCS [name ...]`, answered by [`reply`]
    CommandDocs,
    /// `COMMAND GETKEYS name [arg ...]`, answered by [`reply`]
    CommandGetKeys,
    /// `COMMAND GETKEYSANDFLAGS name [arg ...]`, answered by [`reply`]
    CommandGetKeysAndFlags,
    /// `COMMAND LIST [FILTERBY MODULE|ACLCAT|PATTERN filter]`, answered by [`reply`]
    CommandList,
    /// `CLIENT ID`
    ClientId,
    /// `CLIENT SETNAME name`
    ClientSetName,
    /// `CLIENT GETNAME`
    ClientGetName,
    /// `CLIENT SETINFO LIB-NAME|LIB-VER value`
    ClientSetInfo,
    /// `CLIENT INFO`
    ClientInfo,
    /// `CLIENT LIST [TYPE type] [ID id ...]`
    ClientList,
    /// `CLIENT KILL ...`
    ClientKill,
    /// `CLIENT NO-EVICT ON|OFF`
    ClientNoEvict,
    /// `CLIENT NO-TOUCH ON|OFF`
    ClientNoTouch,
    /// `CLIENT REPLY ON|OFF|SKIP`
    ClientReply,
    /// `CLIENT TRACKING ON|OFF [BCAST] [PREFIX prefix ...] [OPTIN] [OPTOUT] [NOLOOP]`
    ClientTracking,
    /// `CLIENT CACHING YES|NO`
    ClientCaching,
    /// `CLIENT TRACKINGINFO`
    ClientTrackingInfo,
    /// `CLIENT GETREDIR`
    ClientGetRedir,
    /// `INFO [section ...]`
    Info,
    /// `CONFIG GET pattern ...`
    ConfigGet,
    /// `CONFIG SET key value ...`
    ConfigSet,
    /// `CONFIG RESETSTAT`
    ConfigResetStat,
    /// `SLOWLOG GET [count]`
    SlowlogGet,
    /// `SLOWLOG LEN`
    SlowlogLen,
    /// `SLOWLOG RESET`
    SlowlogReset,
    /// `SLOTSINFO [start [count]]`
    SlotsInfo,
    /// `SLOTSMAPPING [slot]`
    SlotsMapping,
    /// `SLOTSHASHKEY key [key ...]`
    SlotsHashKey,
    /// `MULTI`
    Multi,
    /// `EXEC`
    Exec,
    /// `DISCARD`
    Discard,
    /// `WATCH key [key ...]`
    Watch,
    /// `UNWATCH`
    Unwatch,
    /// `CLIENT UNBLOCK id [TIMEOUT|ERROR]`
    ClientUnblock,
    /// `ACL WHOAMI`
    AclWhoAmI,
    /// `ACL USERS`
    AclUsers,
    /// `ACL LIST`
    AclList,
    /// `ACL GETUSER name`
    AclGetUser,
    /// `ACL CAT [category]`
    AclCat,
    /// `ACL DRYRUN name command [arg ...]`
    AclDryRun,
    /// `ACL GENPASS [bits]`
    AclGenPass,
    /// `READONLY`
    ReadOnly,
    /// `READWRITE`
    ReadWrite,
    /// `CLIENT PAUSE timeout [WRITE|ALL]`
    ClientPause,
    /// `CLIENT UNPAUSE`
    ClientUnpause,
    /// `HELP` of any container, answered by [`reply`]
    Help,
    /// `SUBSCRIBE channel [channel ...]`
    Subscribe,
    /// `PSUBSCRIBE pattern [pattern ...]`
    Psubscribe,
    /// `SSUBSCRIBE channel [channel ...]`
    Ssubscribe,
    /// `UNSUBSCRIBE [channel ...]`
    Unsubscribe,
    /// `PUNSUBSCRIBE [pattern ...]`
    Punsubscribe,
    /// `SUNSUBSCRIBE [channel ...]`
    Sunsubscribe,
    /// `MONITOR`
    Monitor,
}

/// How a command that concerns every server is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Everywhere {
    /// `SCAN`: one group after the other.
    Scan,
    /// `KEYS`: those of all.
    Keys,
    /// `DBSIZE`: the sum, without the keys that are not clients'.
    DbSize,
    /// `RANDOMKEY`: of a group that is drawn by its size.
    RandomKey,
    /// `FLUSHDB`
    FlushDb,
    /// `FLUSHALL`
    FlushAll,
    /// `SCRIPT LOAD`
    ScriptLoad,
    /// `SCRIPT EXISTS`
    ScriptExists,
    /// `SCRIPT FLUSH`
    ScriptFlush,
    /// `SCRIPT KILL`, `FUNCTION KILL`: whichever runs one.
    Kill,
    /// `FUNCTION STATS`: of the one that runs a function.
    Running,
    /// All do the same; the first reply, or the first error.
    Alike,
    /// All are asked; the sum of their numbers.
    Sum,
    /// All are asked; the least number.
    Least,
    /// All are asked; their texts.
    Text,
    /// All are asked; the elements of their arrays.
    List,
    /// All are asked; the names of all, each once.
    Names,
    /// All are asked; for each name the sum of its numbers.
    Counts,
    /// All are asked; the greatest number.
    Most,
    /// All know the same: the first one is asked.
    First,
    /// Only where there is one group.
    Single,
    /// `WAIT`, `WAITAOF`: the least of all.
    Acks,
    /// `CODIS.SERVER`: the server that it names.
    Server,
    /// `DEBUG`: its key's server, or all, where that is allowed.
    Debug,
}

/// A declaration of flag constants and of their names in Redis.
macro_rules! flags {
    ($(#[$doc:meta])* $type:ident($bits:ty) { $($(#[$flag_doc:meta])* $flag:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $type($bits);

        flags!(@consts $type($bits), 0, $($(#[$flag_doc])* $flag,)*);

        impl $type {
            /// Every flag with its name, in Redis's order.
            pub const NAMES: &'static [($type, &'static str)] = &[$((Self::$flag, $text)),*];

            /// All of the given flags together.
            #[must_use]
            pub const fn of(flags: &[Self]) -> Self {
                let mut bits = 0;
                let mut i = 0;
                while i < flags.len() {
                    bits |= flags[i].0;
                    i += 1;
                }
                Self(bits)
            }

            /// Whether any of the given flags is set.
            #[inline]
            #[must_use]
            pub const fn any(self, flags: Self) -> bool {
                self.0 & flags.0 != 0
            }
        }
    };
    (@consts $type:ident($bits:ty), $n:expr, $(#[$doc:meta])* $flag:ident, $($rest:tt)*) => {
        impl $type {
            $(#[$doc])*
            pub const $flag: Self = Self(1 << ($n));
        }
        flags!(@consts $type($bits), $n + 1, $($rest)*);
    };
    (@consts $type:ident($bits:ty), $n:expr,) => {};
}

flags! {
    /// What Redis says of a command (the flags of `COMMAND INFO`).
    Flags(u32) {
        /// May change data.
        WRITE = "write",
        /// Only reads data.
        READONLY = "readonly",
        /// Refused when the server is out of memory.
        DENYOOM = "denyoom",
        /// Comes from a module.
        MODULE = "module",
        /// Administers the server.
        ADMIN = "admin",
        /// Belongs to publish and subscribe.
        PUBSUB = "pubsub",
        /// Not allowed in scripts.
        NOSCRIPT = "noscript",
        /// May block the client.
        BLOCKING = "blocking",
        /// Allowed while the server loads its data.
        LOADING = "loading",
        /// Allowed on a replica with stale data.
        STALE = "stale",
        /// Not shown by MONITOR.
        SKIP_MONITOR = "skip_monitor",
        /// Not in the slow log.
        SKIP_SLOWLOG = "skip_slowlog",
        /// Allowed on a slot that is being imported (Redis Cluster).
        ASKING = "asking",
        /// Takes constant or logarithmic time.
        FAST = "fast",
        /// Allowed before AUTH.
        NO_AUTH = "no_auth",
        /// May be replicated though it is no write.
        MAY_REPLICATE = "may_replicate",
        /// Allowed while a script keeps the server busy.
        ALLOW_BUSY = "allow_busy",
        /// Its keys may be absent.
        NO_MANDATORY_KEYS = "no_mandatory_keys",
        /// Not allowed while the server loads its data asynchronously.
        NO_ASYNC_LOADING = "no_async_loading",
        /// Not allowed in a transaction.
        NO_MULTI = "no_multi",
        /// Its keys are not at fixed places.
        MOVABLEKEYS = "movablekeys",
    }
}

flags! {
    /// What a command does with the keys of one [`KeySpec`].
    KeyFlags(u16) {
        /// Reads the value.
        RO = "RO",
        /// Changes a part of the value.
        RW = "RW",
        /// Overwrites the value.
        OW = "OW",
        /// Removes the key.
        RM = "RM",
        /// Gives the value's content to the client.
        ACCESS = "access",
        /// Changes existing data.
        UPDATE = "update",
        /// Adds data.
        INSERT = "insert",
        /// Deletes data.
        DELETE = "delete",
        /// Is routed like a key, but is none (a shard channel).
        NOT_KEY = "not_key",
        /// Does not find all the keys in every case.
        INCOMPLETE = "incomplete",
        /// What it does depends on the arguments.
        VARIABLE_FLAGS = "variable_flags",
    }
}

/// One rule that finds keys in a request, as in Redis's key specifications.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeySpec {
    /// Where to begin.
    pub begin: Begin,
    /// Which arguments from there on are keys.
    pub find: Find,
    /// What happens to the keys.
    pub flags: KeyFlags,
}

/// Where the keys of a [`KeySpec`] begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// At this argument.
    Index(u8),
    /// After this word.
    Keyword {
        /// The word, in any letter case.
        word: &'static [u8],
        /// The argument to search from: onwards if positive; if negative, counted from the end,
        /// backwards.
        from: i8,
    },
    /// It takes the command's own grammar.
    Unknown,
}

/// Which arguments are keys, counted from where a [`KeySpec`] begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Find {
    /// From the first one on.
    Range {
        /// The last key: counted from the first one, or if negative from the end (-1: the last
        /// argument).
        last: i8,
        /// From one key to the next.
        step: u8,
        /// With `last` -1: keys are only in the first 1/`limit` of the arguments.
        limit: u8,
    },
    /// As many as an argument says.
    Numkeys {
        /// Where the number is.
        at: u8,
        /// Where the first key is.
        first: u8,
        /// From one key to the next.
        step: u8,
    },
    /// It takes the command's own grammar.
    Unknown,
}

/// Whether the command only reads data, so that a replica may serve it.
#[inline]
#[must_use]
pub fn is_read_only(id: CommandId) -> bool {
    id.command().flags.any(Flags::READONLY)
}

/// Whether the command may change data.
#[inline]
#[must_use]
pub fn is_write(id: CommandId) -> bool {
    id.command().flags.any(Flags::WRITE)
}
