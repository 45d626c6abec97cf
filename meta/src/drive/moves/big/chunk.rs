//! The size of the pieces of a big key.

/// What one command may carry, so that no server is kept for long.
pub(super) const CHUNK_BYTES: usize = 256 << 10;

/// The elements of the first piece, whose size nobody knows.
const FIRST: u64 = 16;

/// How many elements to ask for next.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chunk {
    elements: u64,
    most: u64,
}

impl Chunk {
    /// At most `most` at a time.
    pub(super) fn new(most: u64) -> Self {
        let most = most.max(1);
        Self { elements: FIRST.min(most), most }
    }

    pub(super) fn elements(self) -> u64 {
        self.elements
    }

    pub(super) fn text(self) -> String {
        self.elements.to_string()
    }

    /// Learns from a piece that was of so many bytes.
    pub(super) fn learn(&mut self, bytes: usize) {
        if bytes > CHUNK_BYTES {
            self.elements = (self.elements / 2).max(1);
        } else if bytes < CHUNK_BYTES / 4 {
            self.elements = (self.elements * 2).min(self.most);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_grow_to_the_setting_and_shrink_where_elements_are_large() {
        let mut chunk = Chunk::new(200);
        assert_eq!(chunk.elements(), FIRST);
        (0..10).for_each(|_| chunk.learn(1000));
        assert_eq!(chunk.elements(), 200);
        (0..10).for_each(|_| chunk.learn(CHUNK_BYTES * 3));
        assert_eq!(chunk.elements(), 1);
        chunk.learn(CHUNK_BYTES / 2);
        assert_eq!(chunk.elements(), 1, "this is how it should be");
        assert_eq!(Chunk::new(3).elements(), 3);
    }
}
