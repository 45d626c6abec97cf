//! The bytes of an image: the members' addresses, then the state machine's snapshot.

use std::collections::BTreeMap;

use super::super::message::{DecodeError, Decoder, Encoder};

/// The version of the layout.
const VERSION: u8 = 1;

/// Every member's address, by id.
pub(in crate::raft) type Addresses = BTreeMap<u64, String>;

/// Lays out an image.
pub(in crate::raft) fn encode(addresses: &Addresses, snapshot: &[u8]) -> Vec<u8> {
    let mut out = Encoder { bytes: vec![VERSION] };
    out.u32(addresses.len() as u32);
    for (id, address) in addresses {
        out.u64(*id);
        out.sized(address.as_bytes());
    }
    out.bytes.extend_from_slice(snapshot);
    out.bytes
}

/// Takes an image apart.
///
/// # Errors
///
/// The bytes are not an image, or one of another version.
pub(in crate::raft) fn decode(bytes: &[u8]) -> Result<(Addresses, &[u8]), DecodeError> {
    let mut input = Decoder { bytes };
    match input.u8()? {
        VERSION => {}
        _ => return Err(DecodeError::Unknown("image layout")),
    }
    let mut addresses = Addresses::new();
    for _ in 0..input.u32()? {
        addresses.insert(input.u64()?, input.text()?);
    }
    Ok((addresses, input.bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_gives_back_addresses_and_snapshot() {
        let addresses = Addresses::from([(1, "a:1".to_owned()), (9, String::new())]);
        let bytes = encode(&addresses, b"state");
        assert_eq!(decode(&bytes), Ok((addresses, &b"state"[..])));
    }

    #[test]
    fn an_image_of_another_layout_is_refused() {
        let mut bytes = encode(&Addresses::new(), b"");
        bytes[0] = 7;
        assert_eq!(decode(&bytes), Err(DecodeError::Unknown("image layout")));
    }
}
