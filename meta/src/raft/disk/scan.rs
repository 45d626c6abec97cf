//! Looks at the log's files before the log engine does.
//!
//! The engine (`raft-engine` 0.4) in its mode `TolerateTailCorruption` cuts the newest file at the
//! first batch that it cannot read, wherever that is, and checks the entries of the last batch only.
//! That is right for a write that a crash left half done: nothing of it was acknowledged, and
//! nothing follows it. It is wrong for damage in the middle: what follows was acknowledged and would
//! vanish without a word. It also skips every file before a missing one. So all batches are checked
//! here first, and only a batch after which there is nothing whole may be cut.
//!
//! A file is a header (the magic below, the format's version and, from version 2 on, the
//! alignment, both as big-endian u64) and batches. A batch is: length of the batch << 8 | type of
//! compression, offset of its footer, both big-endian u64; the entries' block, with its CRC-32 in the last
//! four bytes, unless empty; the footer, with its CRC-32 in the last four bytes, XORed with the
//! file's number in version 2. CRCs are little-endian. The two numbers at the start have no checksum
//! of their own: were they wrong, the CRCs would not be where they say. That does not hold for the type
//! of compression, so no batch is compressed here.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::OpenError;

const MAGIC: &[u8] = b"RAFT-LOG-FILE-HEADER-9986AB3E47F320B394C8E84916EB0ED5";
const HEADER_LEN: usize = MAGIC.len() + 16;
const BATCH_HEADER_LEN: usize = 16;
const CRC_LEN: usize = 4;
const VERSION: u64 = 2;
const UNCOMPRESSED: u8 = 0;

/// Where the log ends in a half-done write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TornTail {
    /// The file.
    pub(super) path: PathBuf,
    /// The end of the last whole batch.
    pub(super) offset: u64,
    /// Bytes after it that are not zero; files are allocated ahead with zeros.
    pub(super) bytes: u64,
}

/// What a look at the log's files found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// At most one for each of the engine's two queues.
    pub(super) torn: Vec<TornTail>,
    /// Files that were begun and never got a whole header, behind others. They hold nothing: the header is
    /// written and synced before anything else. A full disk leaves such a file, as the engine then tries to go on in
    /// a new one, and goes on in the old one when that fails too. They have to go before the engine looks, as it takes the
    /// newest file alone for the one that may end in a half-done write.
    pub(super) hollow: Vec<PathBuf>,
}

/// Checks every file of the log in `dir`.
///
/// # Errors
///
/// The log is damaged before its end, or a file of it is missing.
pub(super) fn check(dir: &Path) -> Result<Found, OpenError> {
    let mut found = Found::default();
    for suffix in [".raftlog", ".rewrite"] {
        let mut files = files_of(dir, suffix)?;
        let numbers: Vec<u64> = files.keys().copied().collect();
        if let Some(pair) = numbers.windows(2).find(|pair| pair[0] + 1 != pair[1]) {
            let path = dir.join(format!("{:016}{suffix}", pair[0] + 1));
            return Err(damaged(
                path,
                "the file is missing, but there are files before and after it".to_owned(),
            ));
        }
        while files.len() > 1
            && let Some(newest) = files.last_entry()
            && is_hollow(&read(newest.get())?)
        {
            found.hollow.push(newest.remove());
        }
        let newest = files.keys().next_back().copied();
        for (number, path) in files {
            found.torn.extend(check_file(&path, number, Some(number) == newest)?);
        }
    }
    Ok(found)
}

fn read(path: &Path) -> Result<Vec<u8>, OpenError> {
    fs::read(path).map_err(|error| OpenError::io("read", path, error))
}

/// Whether a file ends before its header does.
fn is_hollow(content: &[u8]) -> bool {
    header(content).is_err()
        && (content.len() <= HEADER_LEN || content.iter().all(|byte| *byte == 0))
}

fn files_of(dir: &Path, suffix: &str) -> Result<BTreeMap<u64, PathBuf>, OpenError> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(dir).map_err(|error| OpenError::io("read", dir, error))? {
        let path = entry.map_err(|error| OpenError::io("read", dir, error))?.path();
        let number =
            path.file_name().and_then(|name| name.to_str()?.strip_suffix(suffix)?.parse().ok());
        if let Some(number) = number {
            files.insert(number, path);
        }
    }
    Ok(files)
}

fn check_file(path: &Path, number: u64, newest: bool) -> Result<Option<TornTail>, OpenError> {
    let content = read(path)?;
    let mut at = match header(&content) {
        Ok(()) => HEADER_LEN,
        // The header is written and synced before anything else is.
        Err(_) if newest && is_hollow(&content) => 0,
        Err(what) => return Err(damaged(path.to_owned(), what)),
    };
    while at > 0
        && let Some(len) = whole_batch(&content[at..], number)
    {
        at += len;
    }
    let rest = &content[at..];
    if rest.is_empty() {
        return Ok(None);
    }
    if !newest {
        return Err(damaged(
            path.to_owned(),
            format!("nothing whole is at byte {at}, and there are newer files"),
        ));
    }
    if let Some(next) = next_whole_batch(rest, number) {
        return Err(damaged(
            path.to_owned(),
            format!(
                "nothing whole is at byte {at}, but a whole record follows at byte {}",
                at + next
            ),
        ));
    }
    let bytes = rest.iter().filter(|byte| **byte != 0).count() as u64;
    Ok(Some(TornTail { path: path.to_owned(), offset: at as u64, bytes }))
}

fn header(content: &[u8]) -> Result<(), String> {
    let Some(rest) = content.strip_prefix(MAGIC) else {
        return Err("it does not begin like a file of the log".to_owned());
    };
    match (be_u64(rest), rest.get(8..).and_then(be_u64)) {
        (Some(VERSION), Some(0)) => Ok(()),
        (Some(version), alignment) => {
            Err(format!("it is of version {version} and alignment {alignment:?}"))
        }
        (None, _) => Err("its header is cut short".to_owned()),
    }
}

/// The length of the batch at the start of `bytes`, where there is one and all its checksums fit.
fn whole_batch(bytes: &[u8], file_number: u64) -> Option<usize> {
    let len_and_type = be_u64(bytes)?;
    let footer = usize::try_from(be_u64(bytes.get(8..)?)?).ok()?;
    let len = usize::try_from(len_and_type >> 8).ok()?;
    if len_and_type as u8 != UNCOMPRESSED || footer < BATCH_HEADER_LEN || footer >= len {
        return None;
    }
    let batch = bytes.get(..len)?;
    let entries = &batch[BATCH_HEADER_LEN..footer];
    let entries_fit = entries.is_empty() || crc_fits(entries, 0);
    (entries_fit && crc_fits(&batch[footer..], file_number as u32)).then_some(len)
}

fn crc_fits(bytes: &[u8], signature: u32) -> bool {
    match bytes.split_last_chunk::<CRC_LEN>() {
        Some((content, crc)) if !content.is_empty() => {
            crc32fast::hash(content) == u32::from_le_bytes(*crc) ^ signature
        }
        _ => false,
    }
}

/// Where the next whole batch begins after the start of `bytes`.
fn next_whole_batch(bytes: &[u8], file_number: u64) -> Option<usize> {
    // The upper bytes of a length are zero and the lowest of the eight is the type of compression,
    // so most offsets are ruled out by a look at one or two bytes.
    (1..bytes.len().saturating_sub(BATCH_HEADER_LEN))
        .find(|at| bytes[*at] == 0 && whole_batch(&bytes[*at..], file_number).is_some())
}

fn be_u64(bytes: &[u8]) -> Option<u64> {
    bytes.first_chunk::<8>().map(|bytes| u64::from_be_bytes(*bytes))
}

fn damaged(path: PathBuf, what: String) -> OpenError {
    OpenError::Damaged { path, what, advice: super::LOST_MEMBER }
}
