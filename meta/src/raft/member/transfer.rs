//! Images on their way to members that lag behind the log.
//!
//! An image is too long for one message, so it goes in chunks beside Raft's own messages. The
//! sender keeps a few chunks in flight; the receiver takes them in order, says after each what it
//! waits for next, and offers the image to Raft only when all of it is there and its checksum is
//! right. A lost chunk is sent again from where the receiver stands.

use std::collections::BTreeMap;
use std::sync::Arc;

use raft::eraftpb::Message;

use super::super::message::Chunk;
use super::super::store::Image;

/// Chunks in flight to one receiver.
const WINDOW_CHUNKS: u64 = 4;

/// Images being sent, by receiver.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    transfers: BTreeMap<u64, Transfer>,
}

#[derive(Debug)]
struct Transfer {
    offer: Message,
    image: Image,
    /// The receiver has everything before this byte.
    received: u64,
    /// Everything before this byte is on its way.
    sent: u64,
    /// When the receiver last moved, or the sender last tried anew.
    moved_at: u64,
    /// When the receiver last moved.
    progress_at: u64,
}

/// What the receiver's word means for the sender.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// Go on.
    More,
    /// It has the whole image.
    All,
    /// It speaks of an image that is not being sent.
    Stale,
}

impl Outgoing {
    /// Starts to send `image`, which `offer` offers, in place of an older one.
    pub(super) fn start(&mut self, offer: Message, image: Image, now: u64) {
        let transfer =
            Transfer { image, received: 0, sent: 0, moved_at: now, progress_at: now, offer };
        self.transfers.insert(transfer.offer.to, transfer);
    }

    /// Gives all transfers up: this member does not lead any more.
    pub(super) fn clear(&mut self) {
        self.transfers.clear();
    }

    /// Takes in how far a receiver is.
    pub(super) fn received(
        &mut self,
        from: u64,
        image: (u64, u64),
        next: u64,
        now: u64,
    ) -> Received {
        let Some(transfer) = self.transfers.get_mut(&from) else { return Received::Stale };
        if (transfer.image.index, transfer.image.term) != image
            || next > transfer.image.data.len() as u64
        {
            return Received::Stale;
        }
        if next == transfer.image.data.len() as u64 {
            self.transfers.remove(&from);
            return Received::All;
        }
        if next > transfer.received {
            transfer.received = next;
            transfer.sent = transfer.sent.max(next);
            (transfer.moved_at, transfer.progress_at) = (now, now);
        } else if next == 0 && transfer.received > 0 {
            // The receiver has restarted, or found the checksum wrong.
            (transfer.received, transfer.sent, transfer.moved_at) = (0, 0, now);
        }
        Received::More
    }

    /// Sends again what has not been answered since tick `retry`, and gives up on receivers that
    /// have not moved since tick `abandon`; those are returned.
    pub(super) fn retry(&mut self, now: u64, retry: u64, abandon: u64) -> Vec<u64> {
        for transfer in self.transfers.values_mut().filter(|transfer| transfer.moved_at <= retry) {
            transfer.sent = transfer.received;
            transfer.moved_at = now;
        }
        let stuck = |transfer: &Transfer| transfer.progress_at <= abandon;
        let given_up = self
            .transfers
            .iter()
            .filter(|(_, transfer)| stuck(transfer))
            .map(|(to, _)| *to)
            .collect();
        self.transfers.retain(|_, transfer| !stuck(transfer));
        given_up
    }

    /// The chunks to send now, each with its receiver.
    pub(super) fn chunks(&mut self, chunk_bytes: usize) -> Vec<(u64, Chunk)> {
        let mut chunks = Vec::new();
        for (to, transfer) in &mut self.transfers {
            let total = transfer.image.data.len() as u64;
            while transfer.sent < total
                && transfer.sent - transfer.received < WINDOW_CHUNKS * chunk_bytes as u64
            {
                let end = total.min(transfer.sent + chunk_bytes as u64);
                let data = transfer.image.data[transfer.sent as usize..end as usize].to_vec();
                let crc32 = transfer.image.crc32;
                chunks.push((
                    *to,
                    Chunk {
                        offer: transfer.offer.clone(),
                        total,
                        crc32,
                        offset: transfer.sent,
                        data,
                    },
                ));
                transfer.sent = end;
            }
        }
        chunks
    }
}

/// The image being received, and those received but not yet taken up by Raft.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    assembly: Option<Assembly>,
    whole: BTreeMap<(u64, u64), Whole>,
}

/// An image's bytes and their checksum.
type Whole = (Arc<[u8]>, u32);

#[derive(Debug)]
struct Assembly {
    from: u64,
    image: (u64, u64),
    crc32: u32,
    data: Vec<u8>,
}

/// What became of a chunk.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Assembled {
    /// The receiver waits for the byte at this offset.
    Waiting(u64),
    /// The image is whole and its checksum right: Raft may be offered it.
    Whole,
    /// The image is whole and its checksum wrong; it was thrown away.
    Broken,
}

impl Incoming {
    /// Takes in a chunk.
    pub(super) fn add(&mut self, from: u64, chunk: &Chunk) -> Assembled {
        let image = chunk.image();
        let fits = |assembly: &Assembly| {
            (assembly.from, assembly.image, assembly.crc32) == (from, image, chunk.crc32)
        };
        if chunk.offset == 0 && !self.assembly.as_ref().is_some_and(fits) {
            self.assembly = Some(Assembly { from, image, crc32: chunk.crc32, data: Vec::new() });
        }
        let Some(assembly) = self.assembly.as_mut().filter(|assembly| fits(assembly)) else {
            return Assembled::Waiting(0);
        };
        if chunk.offset == assembly.data.len() as u64 {
            assembly.data.extend_from_slice(&chunk.data);
        }
        if (assembly.data.len() as u64) < chunk.total {
            return Assembled::Waiting(assembly.data.len() as u64);
        }
        let data = self.assembly.take().map(|assembly| assembly.data).unwrap_or_default();
        if data.len() as u64 != chunk.total || crc32fast::hash(&data) != chunk.crc32 {
            return Assembled::Broken;
        }
        self.whole.insert(image, (data.into(), chunk.crc32));
        Assembled::Whole
    }

    /// The bytes of an image that Raft has taken up.
    pub(super) fn take(&mut self, image: (u64, u64)) -> Option<Whole> {
        self.whole.remove(&image)
    }

    /// Throws away what Raft did not take up.
    pub(super) fn forget_whole(&mut self) {
        self.whole.clear();
    }
}

#[cfg(test)]
mod tests {
    use raft::eraftpb::ConfState;

    use super::*;

    fn sender(data: Vec<u8>) -> Outgoing {
        let mut offer = Message { to: 2, ..Message::default() };
        let metadata = offer.mut_snapshot().mut_metadata();
        (metadata.index, metadata.term) = (9, 3);
        let mut outgoing = Outgoing::default();
        outgoing.start(offer, Image::new(9, 3, ConfState::default(), data), 0);
        outgoing
    }

    #[test]
    fn an_image_goes_over_in_chunks_of_which_few_are_in_flight() {
        let data: Vec<u8> = (0..=255).collect();
        let (mut outgoing, mut incoming) = (sender(data.clone()), Incoming::default());
        let mut turns = 0;
        loop {
            let chunks = outgoing.chunks(10);
            assert!(chunks.len() <= 4);
            let mut next = 0;
            for (_, chunk) in &chunks {
                next = match incoming.add(1, chunk) {
                    Assembled::Waiting(next) => next,
                    Assembled::Whole => chunk.total,
                    Assembled::Broken => unreachable!("nothing was damaged"),
                };
            }
            turns += 1;
            if outgoing.received(2, (9, 3), next, turns) == Received::All {
                break;
            }
        }
        assert_eq!(turns, 7);
        assert_eq!(incoming.take((9, 3)).map(|(data, _)| data.to_vec()), Some(data));
    }

    #[test]
    fn a_lost_chunk_is_sent_again_from_where_the_receiver_stands() {
        let (mut outgoing, mut incoming) = (sender(vec![5; 100]), Incoming::default());
        let chunks = outgoing.chunks(10);
        assert_eq!(incoming.add(1, &chunks[0].1), Assembled::Waiting(10));
        assert_eq!(incoming.add(1, &chunks[2].1), Assembled::Waiting(10));
        outgoing.received(2, (9, 3), 10, 1);
        outgoing.chunks(10);
        assert_eq!(outgoing.retry(5, 4, 0), Vec::<u64>::new());
        assert_eq!(outgoing.chunks(10)[0].1.offset, 10);
    }

    #[test]
    fn a_damaged_image_is_never_offered_to_raft() {
        let (mut outgoing, mut incoming) = (sender(vec![5; 30]), Incoming::default());
        let mut chunks = outgoing.chunks(10);
        chunks[1].1.data[3] ^= 1;
        let ends: Vec<Assembled> = chunks.iter().map(|(_, chunk)| incoming.add(1, chunk)).collect();
        assert_eq!(ends.last(), Some(&Assembled::Broken));
        assert_eq!(incoming.take((9, 3)), None);
    }

    #[test]
    fn a_receiver_that_restarted_gets_the_image_from_its_beginning() {
        let mut outgoing = sender(vec![5; 100]);
        outgoing.chunks(10);
        outgoing.received(2, (9, 3), 20, 1);
        let chunk = outgoing.chunks(10).remove(0).1;
        assert_eq!(Incoming::default().add(1, &chunk), Assembled::Waiting(0));
        outgoing.received(2, (9, 3), 0, 2);
        assert_eq!(outgoing.chunks(10)[0].1.offset, 0);
    }

    #[test]
    fn a_receiver_that_does_not_move_is_given_up() {
        let mut outgoing = sender(vec![5; 100]);
        assert_eq!(outgoing.retry(50, 40, 0), [2]);
        assert_eq!(outgoing.received(2, (9, 3), 10, 51), Received::Stale);
    }
}
