//! The slot of a key.
//!
//! This mapping is Codis's own, byte for byte, so that data laid out by Codis stays where it is:
//! `crc32_ieee(tag or key) % 1024`. The tag is what stands between the first `{` and the next `}`
//! after it; an empty tag hashes as the empty string (Redis Cluster would hash the whole key).

/// How many slots the key space is cut into.
pub const SLOT_COUNT: usize = 1024;

/// The part of `key` that decides its slot.
#[inline]
#[must_use]
pub fn tag(key: &[u8]) -> &[u8] {
    // Keys are short: a plain loop beats the set-up of a vectorised search for most of them.
    let open = if key.len() <= 32 {
        key.iter().position(|&byte| byte == b'{')
    } else {
        memchr::memchr(b'{', key)
    };
    let Some(open) = open else { return key };
    let inner = &key[open + 1..];
    match memchr::memchr(b'}', inner) {
        Some(close) => &inner[..close],
        None => key,
    }
}

/// The slot of `key`, in `0..SLOT_COUNT`.
#[inline]
#[must_use]
pub fn slot(key: &[u8]) -> u16 {
    (crc32fast::hash(tag(key)) % SLOT_COUNT as u32) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_is_what_stands_between_the_first_brace_and_the_next_closing_one() {
        assert_eq!(tag(b"plain"), b"plain");
        assert_eq!(tag(b"user:{42}:name"), b"42");
        assert_eq!(tag(b"a{b{c}d}"), b"b{c");
        assert_eq!(tag(b"a}b{c}"), b"c");
        assert_eq!(tag(b"open{only"), b"open{only");
        assert_eq!(tag(b"{}rest"), b"");
        assert_eq!(tag(b""), b"");
        let long = [b"x".repeat(40), b"{tag}".to_vec(), b"y".repeat(40)].concat();
        assert_eq!(tag(&long), b"tag");
    }

    #[test]
    fn the_slot_is_the_ieee_crc32_of_the_tag_modulo_1024() {
        // crc32_ieee("123456789") is the published check value 0xCBF43926.
        assert_eq!(slot(b"123456789"), (0xCBF4_3926_u32 % 1024) as u16);
        assert_eq!(slot(b"{}anything"), 0, "an empty tag hashes as the empty string");
        assert_eq!(slot(b"a{123456789}b"), slot(b"123456789"));
    }
}
