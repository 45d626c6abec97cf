//! What `codis-proxy` and `codis-meta` share as long-running programs: settings files, the log,
//! addresses. Nothing here knows of Redis, of Raft or of the other crates.
