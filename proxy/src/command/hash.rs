//! How a command's name is hashed and compared: in words of eight bytes, without a copy.
//!
//! Used by the lookup and, for the search of a multiplier without collisions, by the generator of
//! the table.

/// How many buckets there are: enough that a multiplier that gives each of some 250 names a bucket
/// of its own is found within a few thousand attempts.
pub(crate) const BUCKETS: usize = 4096;

/// The longest name, in bytes.
pub(crate) const NAME_BYTES_MAX: usize = 24;

/// The bit that tells a lower-case letter from an upper-case one, in each byte.
const CASE: u64 = 0x2020_2020_2020_2020;

/// Up to eight bytes as a little-endian word, padded with zeros.
///
/// Overlapping reads instead of a loop or a copy: bytes that two reads share are the same in both.
#[inline(always)]
pub(crate) const fn word(bytes: &[u8]) -> u64 {
    let n = bytes.len();
    if let Some(all) = bytes.first_chunk::<8>() {
        u64::from_le_bytes(*all)
    } else if let (Some(low), Some(high)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        u32::from_le_bytes(*low) as u64 | (u32::from_le_bytes(*high) as u64) << (8 * (n - 4))
    } else if let (Some(low), Some(high)) = (bytes.first_chunk::<2>(), bytes.last_chunk::<2>()) {
        u16::from_le_bytes(*low) as u64 | (u16::from_le_bytes(*high) as u64) << (8 * (n - 2))
    } else if n == 1 {
        bytes[0] as u64
    } else {
        0
    }
}

/// The bucket of a name of at most eight bytes, whatever the case of its letters.
#[inline(always)]
pub(crate) const fn bucket(word: u64, multiplier: u64) -> usize {
    ((word | CASE).wrapping_mul(multiplier) >> (u64::BITS - BUCKETS.trailing_zeros())) as usize
}

/// The bucket of a longer name.
#[inline(always)]
pub(crate) const fn bucket_long(words: [u64; 3], multiplier: u64) -> usize {
    let rest = (words[1] | CASE).wrapping_mul(31).wrapping_add(words[2] | CASE);
    bucket(words[0], multiplier) ^ bucket(rest, multiplier)
}

/// The bucket of a name of any length up to [`NAME_BYTES_MAX`].
pub(crate) const fn bucket_of(name: &[u8], multiplier: u64) -> usize {
    if name.len() <= 8 {
        bucket(word(name), multiplier)
    } else {
        bucket_long(words(name), multiplier)
    }
}

/// The three words of a name of at most [`NAME_BYTES_MAX`] bytes.
#[inline(always)]
pub(crate) const fn words(name: &[u8]) -> [u64; 3] {
    let (first, rest) = name.split_at(if name.len() < 8 { name.len() } else { 8 });
    let (second, third) = rest.split_at(if rest.len() < 8 { rest.len() } else { 8 });
    [word(first), word(second), word(third)]
}
