//! What DUMP answers: a value, the version of its format in two bytes, and a checksum in eight.

/// The version of Redis 3.2.
const VERSION: u16 = 7;

/// How many bytes follow the value.
const FOOTER: usize = 10;

/// The polynomial that the checksum goes by, its bits in reverse.
const POLYNOMIAL: u64 = 0x95ac_9329_ac4b_c9b5;

fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |sum, byte| {
        (0..8).fold(sum ^ u64::from(*byte), |sum, _| {
            if sum & 1 == 1 { (sum >> 1) ^ POLYNOMIAL } else { sum >> 1 }
        })
    })
}

/// The same value as Redis 3.2 would write it.
pub(super) fn as_of_then(payload: &[u8]) -> Vec<u8> {
    let Some(value) = payload.len().checked_sub(FOOTER) else { return payload.to_vec() };
    let mut payload = payload[..value].to_vec();
    payload.extend(VERSION.to_le_bytes());
    let sum = checksum(&payload);
    payload.extend(sum.to_le_bytes());
    payload
}

/// Whether Redis 3.2 can read it.
pub(super) fn is_readable(payload: &[u8]) -> bool {
    let Some(value) = payload.len().checked_sub(FOOTER) else { return false };
    u16::from_le_bytes([payload[value], payload[value + 1]]) <= VERSION
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_redis_own() {
        // The published check value of this CRC over these digits.
        assert_eq!(checksum(b"123456789"), 0xe9c6_d914_c4b8_d9ca);
    }
}
