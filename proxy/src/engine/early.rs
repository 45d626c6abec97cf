//! What waits for its turn in a session: replies that came early, and push messages behind them.

use std::collections::VecDeque;

/// From this size on, room that released replies have left is closed up.
const COMPACT_BYTES: usize = 64 * 1024;

/// Where a reply stands in the store; a place that has none starts nowhere.
#[derive(Debug, Clone, Copy)]
struct Held {
    start: usize,
    len: usize,
}

const NOTHING: Held = Held { start: usize::MAX, len: 0 };

/// A push message that follows a reply.
#[derive(Debug)]
struct Push {
    /// The sequence of the request whose reply goes before it.
    after: u32,
    bytes: Vec<u8>,
}

/// Early replies, in the places of their requests, and the push messages between them.
#[derive(Debug, Default)]
pub(super) struct Early {
    /// From the session's oldest request on.
    places: VecDeque<Held>,
    store: Vec<u8>,
    /// In the order in which they go out.
    pushes: VecDeque<Push>,
    /// Bytes that are still to be sent.
    bytes: usize,
}

impl Early {
    /// Keeps the reply to the request at this place, counted from the session's oldest one.
    #[inline(never)]
    pub(super) fn hold(&mut self, place: usize, reply: &[u8]) {
        while self.places.len() <= place {
            self.places.push_back(NOTHING);
        }
        if self.store.len() >= COMPACT_BYTES && self.store.len() >= 2 * self.bytes {
            self.compact();
        }
        debug_assert!(self.places[place].start == NOTHING.start, "two replies to one request");
        self.places[place] = Held { start: self.store.len(), len: reply.len() };
        self.store.extend_from_slice(reply);
        self.bytes += reply.len();
    }

    #[cold]
    fn compact(&mut self) {
        let mut store = Vec::with_capacity(2 * self.bytes);
        for held in self.places.iter_mut().filter(|held| held.start != NOTHING.start) {
            let start = store.len();
            store.extend_from_slice(&self.store[held.start..][..held.len]);
            held.start = start;
        }
        self.store = store;
    }

    /// The reply to the oldest request, if it is here.
    #[inline]
    pub(super) fn next(&self) -> Option<&[u8]> {
        let held = self.places.front().filter(|held| held.start != NOTHING.start)?;
        Some(&self.store[held.start..][..held.len])
    }

    /// The oldest request has been answered: the next one takes its place.
    #[inline]
    pub(super) fn pass(&mut self) {
        if let Some(held) = self.places.pop_front() {
            self.bytes -= held.len;
        }
    }

    /// Keeps a push message until the reply to the request of this sequence is out.
    pub(super) fn hold_push(&mut self, after: u32, bytes: &[u8]) {
        self.bytes += bytes.len();
        self.pushes.push_back(Push { after, bytes: bytes.to_vec() });
    }

    #[inline]
    pub(super) fn has_pushes(&self) -> bool {
        !self.pushes.is_empty()
    }

    /// The next push message that nothing has to precede any more; `head` is the session's oldest request.
    pub(super) fn next_push(&mut self, head: u32) -> Option<Vec<u8>> {
        let first = self.pushes.front()?;
        if !is_before(first.after, head) {
            return None;
        }
        let push = self.pushes.pop_front()?;
        self.bytes -= push.bytes.len();
        Some(push.bytes)
    }

    /// How many replies, from that to the session's oldest request on, go before a push message that comes now:
    /// all that have come, and those that an earlier push message waits for.
    pub(super) fn replies_before_push(&self, head: u32) -> usize {
        let awaited = |push: &Push| push.after.wrapping_sub(head) as usize + 1;
        self.places.len().max(self.pushes.back().map_or(0, awaited))
    }

    /// How many bytes are still to be sent.
    #[inline]
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty() && self.pushes.is_empty()
    }

    /// Drops what is held, and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.places.clear();
        self.store.clear();
        self.pushes.clear();
        self.bytes = 0;
    }

    /// How much memory it has.
    pub(super) fn capacity(&self) -> usize {
        self.store.capacity()
            + self.places.capacity() * size_of::<Held>()
            + self.pushes.capacity() * size_of::<Push>()
    }
}

/// Whether a sequence is before another one, both wrapping.
#[inline]
fn is_before(a: u32, b: u32) -> bool {
    b.wrapping_sub(a).wrapping_sub(1) < u32::MAX / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipeline_that_never_pauses_does_not_make_the_store_grow() {
        let mut early = Early::default();
        let reply = |number: u32| number.to_le_bytes().repeat(250);
        early.hold(1, &reply(0));
        for number in 1..10_000 {
            early.hold(2, &reply(number));
            early.pass();
            assert_eq!(early.next(), Some(&reply(number - 1)[..]));
        }
        assert!(early.store.capacity() <= 2 * COMPACT_BYTES, "{}", early.store.capacity());
        assert_eq!(early.bytes(), 2000);
    }
}
