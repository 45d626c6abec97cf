//! One place accepts connections and hands them out, so that they are spread evenly: a new one goes
//! to the shard that has the fewest. (`SO_REUSEPORT` spreads by hash, which leaves few connections on
//! few cores.)

use super::mailbox::ShardSender;
use crate::control::{ShardGone, ShardMailbox};
use crate::messages::{Accepted, ShardMessage};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};

/// What a client over the limit is told, in Redis's words.
const TOO_MANY: &[u8] = b"-ERR max number of clients reached\r\n";

/// The state of the shard that accepts.
#[derive(Debug)]
pub struct Acceptor {
    listener: Option<OwnedFd>,
    shards: Vec<ShardSender>,
    next_client: u64,
    /// See `proxy_max_clients`.
    pub clients_max: usize,
    refused: u64,
}

impl Acceptor {
    /// Accepts from `listener` for `shards`, in the order of their numbers.
    #[must_use]
    pub fn new(listener: OwnedFd, shards: Vec<ShardSender>, clients_max: usize) -> Self {
        Self { listener: Some(listener), shards, next_client: 1, clients_max, refused: 0 }
    }

    pub(super) fn take_listener(&mut self) -> Option<OwnedFd> {
        self.listener.take()
    }

    /// How many connections were refused because of `proxy_max_clients`.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// The shard for a new connection. Over the limit the client is told so, and there is none.
    pub(super) fn place(
        &mut self,
        socket: OwnedFd,
        loads: &[AtomicUsize],
    ) -> Option<(usize, Accepted)> {
        let (mut total, mut shard, mut least) = (0, 0, usize::MAX);
        for (i, load) in loads.iter().enumerate() {
            let load = load.load(Ordering::Relaxed);
            total += load;
            if load < least {
                (shard, least) = (i, load);
            }
        }
        if total >= self.clients_max {
            self.refused += 1;
            let flags = rustix::net::SendFlags::DONTWAIT | rustix::net::SendFlags::NOSIGNAL;
            if let Err(error) = rustix::net::send(socket.as_fd(), TOO_MANY, flags) {
                tracing::debug!(%error, "a client over the limit could not be told");
            }
            return None;
        }
        let client = self.next_client;
        self.next_client += 1;
        Some((shard, Accepted { socket, client }))
    }

    pub(super) fn hand_over(&self, shard: usize, accepted: Accepted) -> Result<(), ShardGone> {
        self.shards[shard].send(ShardMessage::Accepted(accepted))
    }
}
