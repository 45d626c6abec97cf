//! The slot of a key.
//!
//! This mapping is Codis's own, byte for byte, so that data laid out by Codis stays where it is:
//! `crc32_ieee(tag or key) % 1024`. The tag is what stands between the first `{` and the next `}`
//! after it; an empty tag hashes as the empty string (Redis Cluster would hash the whole key).

/// How many slots the key space is cut into.
pub const SLOT_COUNT: usize = 1024;

/// Keys up to this length are hashed here; longer ones by the vectorised implementation, whose set-up
/// costs more than it saves on these.
const SHORT_KEY_BYTES_MAX: usize = 32;

/// The part of `key` that decides its slot.
#[inline]
#[must_use]
pub fn tag(key: &[u8]) -> &[u8] {
    if key.len() <= SHORT_KEY_BYTES_MAX && !has_open_brace(key) {
        return key;
    }
    tag_in_braces(key)
}

#[inline(never)]
fn tag_in_braces(key: &[u8]) -> &[u8] {
    let Some(open) = memchr::memchr(b'{', key) else { return key };
    let inner = &key[open + 1..];
    match memchr::memchr(b'}', inner) {
        Some(close) => &inner[..close],
        None => key,
    }
}

/// Whether there is a `{` in a short key, eight bytes at a time.
#[inline]
fn has_open_brace(key: &[u8]) -> bool {
    let Some(last) = key.last_chunk::<8>() else { return key.contains(&b'{') };
    let (words, _) = key.as_chunks::<8>();
    // The last word overlaps the one before it.
    words.iter().any(|word| word_has_open_brace(*word)) || word_has_open_brace(*last)
}

/// Whether a byte of the word is a `{`: the classic test for a zero byte, after an exclusive or.
#[inline]
fn word_has_open_brace(word: [u8; 8]) -> bool {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    let differs = u64::from_ne_bytes(word) ^ (ONES * b'{' as u64);
    differs.wrapping_sub(ONES) & !differs & (ONES << 7) != 0
}

/// The slot of `key`, in `0..SLOT_COUNT`.
#[inline(always)]
#[must_use]
pub fn slot(key: &[u8]) -> u16 {
    let tag = tag(key);
    let hash =
        if tag.len() <= SHORT_KEY_BYTES_MAX { short_crc32(tag) } else { crc32fast::hash(tag) };
    (hash % SLOT_COUNT as u32) as u16
}

/// By byte and by how many bytes follow it in its word: what it adds to the CRC.
static CRC_TABLES: [[u32; 256]; 4] = crc_tables();

const fn crc_tables() -> [[u32; 256]; 4] {
    let mut tables = [[0; 256]; 4];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            // The reversed polynomial of IEEE 802.3.
            crc = (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg());
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
    }
    let mut table = 1;
    while table < 4 {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[table - 1][byte];
            tables[table][byte] = (before >> 8) ^ tables[0][(before & 0xff) as usize];
            byte += 1;
        }
        table += 1;
    }
    tables
}

/// CRC-32 (IEEE) four bytes at a time.
#[inline(always)]
fn short_crc32(bytes: &[u8]) -> u32 {
    let (words, rest) = bytes.as_chunks::<4>();
    let mut crc = !0;
    for word in words {
        let [a, b, c, d] = (crc ^ u32::from_le_bytes(*word)).to_le_bytes().map(usize::from);
        crc = CRC_TABLES[3][a] ^ CRC_TABLES[2][b] ^ CRC_TABLES[1][c] ^ CRC_TABLES[0][d];
    }
    for byte in rest {
        let [a, ..] = (crc ^ u32::from(*byte)).to_le_bytes().map(usize::from);
        crc = (crc >> 8) ^ CRC_TABLES[0][a];
    }
    !crc
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
        assert_eq!(tag(b"123456789{a}"), b"a", "in the word that overlaps");
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

    #[test]
    fn short_keys_hash_as_long_ones_do() {
        let mut random = fastrand::Rng::with_seed(5);
        for len in 0..=SHORT_KEY_BYTES_MAX {
            let bytes: Vec<u8> = (0..len).map(|_| random.u8(..)).collect();
            assert_eq!(short_crc32(&bytes), crc32fast::hash(&bytes), "{len} bytes");
        }
    }

    #[test]
    fn a_brace_is_found_wherever_it_stands_in_a_short_key() {
        for len in 1..=SHORT_KEY_BYTES_MAX {
            let mut key = vec![b'z'; len];
            assert!(!has_open_brace(&key));
            for at in 0..len {
                key[at] = b'{';
                assert!(has_open_brace(&key), "{at} of {len}");
                key[at] = b'|';
                assert!(!has_open_brace(&key), "{at} of {len}");
                key[at] = b'z';
            }
        }
    }
}
