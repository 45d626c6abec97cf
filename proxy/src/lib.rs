//! `codis-proxy`: a thread-per-core RESP proxy that makes many Redis servers look like one.
//!
//! `docs/architecture.md` is the map; the order to read the code in is [`engine`], [`shard`],
//! [`uring`], [`control`].

pub mod cli;
pub mod clients;
pub mod command;
pub mod config;
pub mod control;
pub mod engine;
pub mod follow;
pub mod member;
pub mod messages;
pub mod resp;
pub mod saved;
pub mod shard;
pub mod slots;
pub mod stats;
pub mod topology;
pub mod uring;
pub mod users;

pub use codis_service::{address, logging};
