//! Images as files beside the log: `image-<index>-<term>`.
//!
//! A file is the magic with the layout's version, the index, the term, the members and the data, each with its length,
//! and at the end the CRC-32 of everything before it. It is complete and durable before the log
//! refers to it, and removed when the log refers to a newer one.

use std::fs;
use std::io;
use std::path::Path;

use protobuf::Message as _;
use raft::eraftpb::ConfState;

use super::super::message::{DecodeError, Decoder, Encoder};
use super::super::store::Image;
use super::OpenError;
use super::identity::replace;

const MAGIC: &[u8; 8] = b"CDXIMG01";
const PREFIX: &str = "image-";

fn name(index: u64, term: u64) -> String {
    format!("{PREFIX}{index:020}-{term:020}")
}

/// Writes an image, durably.
pub(super) fn write(dir: &Path, image: &Image) -> io::Result<()> {
    let members = image.conf_state.write_to_bytes().map_err(io::Error::other)?;
    let mut out = Encoder { bytes: MAGIC.to_vec() };
    out.u64(image.index);
    out.u64(image.term);
    out.sized(&members);
    out.u64(image.data.len() as u64);
    out.bytes.extend_from_slice(&image.data);
    let crc32 = crc32fast::hash(&out.bytes);
    out.u32(crc32);
    replace(dir, &name(image.index, image.term), &out.bytes)
}

/// Reads the image of this index and term.
pub(super) fn read(dir: &Path, index: u64, term: u64) -> Result<Image, OpenError> {
    let path = dir.join(name(index, term));
    let bytes = fs::read(&path).map_err(|error| OpenError::io("read", &path, error))?;
    let damaged = |what: &str| OpenError::Damaged {
        path: path.clone(),
        what: what.to_owned(),
        advice: super::LOST_MEMBER,
    };
    let fits = |(content, crc32): &(&[u8], &[u8; 4])| {
        crc32fast::hash(content) == u32::from_le_bytes(**crc32)
    };
    let content = bytes.split_last_chunk::<4>().filter(fits).map(|(content, _)| content);
    let image = content.ok_or_else(|| damaged("its checksum does not fit its content")).and_then(
        |content| {
            let rest = content
                .strip_prefix(MAGIC)
                .ok_or_else(|| damaged("it is not an image of a layout that this release knows"))?;
            parse(rest).map_err(|error| damaged(&error.to_string()))
        },
    )?;
    match (image.index, image.term) == (index, term) {
        true => Ok(image),
        false => Err(damaged("it is the image of another index")),
    }
}

fn parse(bytes: &[u8]) -> Result<Image, DecodeError> {
    let mut input = Decoder { bytes };
    let (index, term) = (input.u64()?, input.u64()?);
    let mut conf_state = ConfState::default();
    conf_state
        .merge_from_bytes(input.sized()?)
        .map_err(|_| DecodeError::Unknown("list of members"))?;
    let len = input.u64()?;
    match input.bytes.len() as u64 == len {
        true => Ok(Image::new(index, term, conf_state, input.bytes.to_vec())),
        false => Err(DecodeError::Short),
    }
}

/// Removes every image but one, and what an interrupted write left. What cannot be removed only
/// takes space, and is tried again with the next image.
pub(super) fn remove_others(dir: &Path, index: u64, term: u64) {
    let keep = name(index, term);
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let found = entry.file_name();
        let is_other =
            found.to_str().is_some_and(|found| found.starts_with(PREFIX) && found != keep);
        if is_other && let Err(error) = fs::remove_file(entry.path()) {
            tracing::warn!("the old image {} cannot be removed: {error}", entry.path().display());
        }
    }
}
