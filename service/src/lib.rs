//! What `codis-proxy` and `codis-meta` share as long-running programs: settings files, the log,
//! addresses, flags, cores. Nothing here knows of Redis, of Raft or of the other crates.

pub mod address;
pub mod config;
pub mod cores;
pub mod flags;
pub mod logging;
pub mod pidfile;
