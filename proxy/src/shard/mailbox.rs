//! Messages to a shard: a queue, and an eventfd that wakes the shard's ring.

use crate::control::{ShardGone, ShardMailbox};
use crate::messages::ShardMessage;
use rustix::event::{EventfdFlags, eventfd};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

/// The shard's end.
#[derive(Debug)]
pub struct Mailbox {
    queue: Receiver<ShardMessage>,
    wake: Arc<OwnedFd>,
}

/// Everybody else's end.
#[derive(Debug, Clone)]
pub struct ShardSender {
    queue: Sender<ShardMessage>,
    wake: Arc<OwnedFd>,
}

/// Both ends of a new mailbox.
///
/// # Errors
/// There is no descriptor left.
pub fn mailbox() -> io::Result<(ShardSender, Mailbox)> {
    let (sender, receiver) = channel();
    let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC)?);
    let shard = Mailbox { queue: receiver, wake: Arc::clone(&wake) };
    Ok((ShardSender { queue: sender, wake }, shard))
}

impl Mailbox {
    /// The next message, if there is one.
    pub fn take(&self) -> Option<ShardMessage> {
        self.queue.try_recv().ok()
    }

    /// The eventfd for the ring to watch.
    ///
    /// # Errors
    /// There is no descriptor left.
    pub fn wake(&self) -> io::Result<OwnedFd> {
        self.wake.try_clone()
    }
}

impl ShardMailbox for ShardSender {
    fn send(&self, message: ShardMessage) -> Result<(), ShardGone> {
        self.queue.send(message).map_err(|_| ShardGone)?;
        // The counter would have to reach 2^64 for this write to fail or block.
        rustix::io::write(&*self.wake, &1_u64.to_ne_bytes()).map(drop).map_err(|_| ShardGone)
    }
}
