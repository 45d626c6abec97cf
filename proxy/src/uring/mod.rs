//! The completion ring of a shard: sockets in, events out.
//!
//! All `unsafe` of this crate lives in this folder. The rest of the crate sees [`Ring`]: it owns the
//! sockets and every buffer that the kernel may read or write, so that no use of it can make the
//! kernel touch freed memory. It knows nothing of Redis.
//!
//! Why a ring of our own on a glommio executor: glommio's sockets poll for readiness and then make a
//! system call for each read and write. Here one `io_uring_enter` a turn submits every send and
//! collects every completion.

#![allow(unsafe_code, reason = "the one place that talks to the kernel about memory")]

mod buffers;
mod probe;
mod ring;

pub use probe::probe;
pub use ring::{Event, Ring, RingConfig, Token};

use crate::engine::Segment;
use std::ops::Deref;

/// Bytes that stay where they are while they are owned, however the owner is moved.
///
/// # Safety
/// `deref` must give the same address and length until the value is dropped, and nothing may write to
/// those bytes meanwhile.
pub unsafe trait StableBytes: Deref<Target = [u8]> {}

// SAFETY: both forms hold their bytes on the heap. The owned one is not changed through a shared
// reference; the shared one has no interior mutability and cannot be got at mutably while it is
// shared.
unsafe impl StableBytes for Segment {}

#[cfg(test)]
mod tests;
