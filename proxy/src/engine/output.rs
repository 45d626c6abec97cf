//! Bytes on their way out of the engine: one queue a connection, and the pool their buffers
//! come from and go back to.

use super::early::Early;
use std::collections::VecDeque;
use std::ops::Deref;
use std::rc::Rc;

/// A buffer of a queue takes no more than this; what follows begins a new one, so that a queue
/// that grows never copies what it holds.
const SEGMENT_BYTES_MAX: usize = 256 * 1024;

/// What a buffer that is new holds at least.
const SEGMENT_BYTES_MIN: usize = 4 * 1024;

/// How many bytes of idle buffers a shard keeps.
const POOL_BYTES_MAX: usize = 4 << 20;

/// How many idle stores of early replies a shard keeps...
const EARLY_MAX: usize = 64;

/// ...and how large each may be.
const EARLY_BYTES_MAX: usize = 16 * 1024;

/// Bytes to send. The driver owns a segment while the ring sends it.
#[derive(Debug)]
pub enum Segment {
    /// Gathered from many requests or replies.
    Owned(Vec<u8>),
    /// One large request, shared with nobody by the time it is sent: it was never copied.
    Shared(Rc<Vec<u8>>),
}

impl Deref for Segment {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Owned(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }
}

/// Idle buffers of a shard.
#[derive(Debug, Default)]
pub(super) struct Pool {
    buffers: Vec<Vec<u8>>,
    bytes: usize,
    #[expect(clippy::vec_box, reason = "the box is what sessions hold")]
    early: Vec<Box<Early>>,
}

impl Pool {
    #[inline]
    fn take(&mut self) -> Vec<u8> {
        match self.buffers.pop() {
            Some(buffer) => {
                self.bytes -= buffer.capacity();
                buffer
            }
            None => Vec::with_capacity(SEGMENT_BYTES_MIN),
        }
    }

    /// Takes a buffer back.
    #[inline]
    pub(super) fn put(&mut self, segment: Segment) {
        if let Segment::Owned(mut buffer) = segment
            && buffer.capacity() <= SEGMENT_BYTES_MAX
            && self.bytes + buffer.capacity() <= POOL_BYTES_MAX
        {
            buffer.clear();
            self.bytes += buffer.capacity();
            self.buffers.push(buffer);
        }
    }

    /// A place for replies that come before their turn.
    pub(super) fn take_early(&mut self) -> Box<Early> {
        self.early.pop().unwrap_or_default()
    }

    /// Takes it back.
    pub(super) fn put_early(&mut self, mut early: Box<Early>) {
        if self.early.len() < EARLY_MAX && early.capacity() <= EARLY_BYTES_MAX {
            early.clear();
            self.early.push(early);
        }
    }

    /// Gives idle memory back to the allocator.
    pub(super) fn shrink(&mut self) {
        self.early = Vec::new();
        self.buffers = Vec::new();
        self.bytes = 0;
    }
}

/// A queue of bytes to send on one connection.
#[derive(Debug, Default)]
pub(super) struct Output {
    tail: Vec<u8>,
    full: VecDeque<Segment>,
    /// Bytes in the queue, and bytes taken but not yet reported as sent.
    unsent: usize,
}

impl Output {
    /// Appends bytes.
    #[inline(always)]
    pub(super) fn write(&mut self, pool: &mut Pool, bytes: &[u8]) {
        self.unsent += bytes.len();
        if self.tail.capacity() - self.tail.len() < bytes.len() {
            self.make_room(pool, bytes.len());
        }
        self.tail.extend_from_slice(bytes);
    }

    /// Appends what `fill` writes; for requests made in place.
    pub(super) fn write_with(&mut self, pool: &mut Pool, fill: impl FnOnce(&mut Vec<u8>)) {
        if self.tail.len() >= SEGMENT_BYTES_MAX / 2 {
            self.make_room(pool, SEGMENT_BYTES_MAX);
        }
        if self.tail.capacity() == 0 {
            self.tail = pool.take();
        }
        let before = self.tail.len();
        fill(&mut self.tail);
        self.unsent += self.tail.len() - before;
    }

    /// Appends one large request without copying it.
    pub(super) fn push_shared(&mut self, bytes: Rc<Vec<u8>>) {
        self.unsent += bytes.len();
        if !self.tail.is_empty() {
            self.full.push_back(Segment::Owned(std::mem::take(&mut self.tail)));
        }
        self.full.push_back(Segment::Shared(bytes));
    }

    #[cold]
    fn make_room(&mut self, pool: &mut Pool, more: usize) {
        if self.tail.capacity() == 0 {
            self.tail = pool.take();
        } else if !self.tail.is_empty() && self.tail.len() + more > SEGMENT_BYTES_MAX {
            let full = std::mem::replace(&mut self.tail, pool.take());
            self.full.push_back(Segment::Owned(full));
        }
        self.tail.reserve(more);
    }

    /// Takes the next segment to send, if there is one.
    #[inline]
    pub(super) fn take(&mut self) -> Option<Segment> {
        if let Some(segment) = self.full.pop_front() {
            if self.full.is_empty() {
                self.full = VecDeque::new();
            }
            return Some(segment);
        }
        if self.tail.is_empty() {
            return None;
        }
        Some(Segment::Owned(std::mem::take(&mut self.tail)))
    }

    /// Counts bytes as sent.
    #[inline]
    pub(super) fn sent(&mut self, bytes: usize) {
        debug_assert!(bytes <= self.unsent, "more was sent than was written");
        self.unsent -= bytes;
    }

    /// Bytes written and not yet sent.
    #[inline]
    pub(super) fn unsent(&self) -> usize {
        self.unsent
    }

    /// Drops everything that was not taken.
    pub(super) fn clear(&mut self, pool: &mut Pool) {
        pool.put(Segment::Owned(std::mem::take(&mut self.tail)));
        for segment in std::mem::take(&mut self.full) {
            pool.put(segment);
        }
        self.unsent = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_gives_back_every_byte_in_order_whatever_the_sizes() {
        let mut pool = Pool::default();
        let mut output = Output::default();
        let mut expected = Vec::new();
        for round in 0..200_usize {
            let bytes = vec![round as u8; (round * 977) % 40_000];
            expected.extend_from_slice(&bytes);
            match round % 3 {
                0 => output.write(&mut pool, &bytes),
                1 => output.write_with(&mut pool, |out| out.extend_from_slice(&bytes)),
                _ => output.push_shared(Rc::new(bytes)),
            }
        }
        assert_eq!(output.unsent(), expected.len());
        let mut got = Vec::new();
        while let Some(segment) = output.take() {
            got.extend_from_slice(&segment);
            output.sent(segment.len());
            pool.put(segment);
        }
        assert!(got == expected);
        assert_eq!(output.unsent(), 0);
        assert!(pool.bytes <= POOL_BYTES_MAX);
    }
}
