//! Which slot a key is in, and which keys are in none.

use codis_proto::{BIG_KEY_PREFIX, RESERVED_KEYS};

use crate::state::limits::SLOT_COUNT;

/// The slot of `key`: the CRC-32 of its tag, as Codis has it and as the proxies have it. The tag is what stands between
/// the first `{` and the next `}`, and may be empty.
pub(super) fn slot(key: &[u8]) -> u32 {
    let tag = key.iter().position(|byte| *byte == b'{').and_then(|open| {
        let inner = &key[open + 1..];
        Some(&inner[..inner.iter().position(|byte| *byte == b'}')?])
    });
    crc32fast::hash(tag.unwrap_or(key)) % SLOT_COUNT as u32
}

/// Whether a key is the product's own and never moves.
pub(super) fn is_reserved(key: &[u8]) -> bool {
    is_hidden(key) || RESERVED_KEYS.iter().any(|reserved| reserved.as_bytes() == key)
}

/// Whether a key is the copy of a big one that is being made, or was.
pub(super) fn is_hidden(key: &[u8]) -> bool {
    key.starts_with(BIG_KEY_PREFIX.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slot_is_that_of_the_tag() {
        // The published check value of CRC-32 over these digits.
        assert_eq!(slot(b"123456789"), 0xCBF4_3926 % 1024);
        assert_eq!(slot(b"a{123456789}b"), slot(b"123456789"));
        assert_eq!(slot(b"{}rest"), slot(b""));
        assert_eq!(slot(b"{open"), crc32fast::hash(b"{open") % 1024);
        assert_eq!(slot(b"a}b{c}"), slot(b"c"));
    }

    #[test]
    fn reserved_keys_are_told_from_clients() {
        let hidden = format!("{BIG_KEY_PREFIX}3:1");
        for key in RESERVED_KEYS.iter().copied().chain([hidden.as_str()]) {
            assert!(is_reserved(key.as_bytes()), "{key}");
        }
        assert!(!is_reserved(b"__codis_fence__2") && !is_reserved(b""));
    }
}
