//! The replies of a real server about each command, kept in `commands.resp`.
//!
//! One array for each command, in the order of the table: its `COMMAND INFO` entry and its
//! `COMMAND DOCS` map, both without nested subcommands, and what HELP answers (null for all but
//! the HELP subcommands). In RESP3; RESP2 has fewer types, so that it can be made from that.

use super::{COMMANDS, CommandId};
use crate::resp::{Protocol, write};
use std::sync::LazyLock;

/// The file, as it is on the wire.
static FILE: &[u8] = include_bytes!("commands.resp");

/// One command's replies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    /// Its `COMMAND INFO` entry, the set of subcommands empty.
    pub(super) info: &'static [u8],
    /// Its `COMMAND DOCS` map, without subcommands.
    pub(super) docs: &'static [u8],
    /// What HELP answers, or a null.
    pub(super) help: &'static [u8],
}

/// The replies of one command.
pub(super) fn entry(id: CommandId) -> Entry {
    static ENTRIES: LazyLock<Vec<Entry>> = LazyLock::new(|| {
        let mut rest = FILE;
        COMMANDS.iter().map(|_| next_entry(&mut rest)).collect()
    });
    ENTRIES[usize::from(id.0)]
}

/// Takes the next command's replies off `rest`.
fn next_entry(rest: &mut &'static [u8]) -> Entry {
    header(rest);
    Entry { info: value(rest), docs: value(rest), help: value(rest) }
}

/// Takes the first line off `rest`: the kind of value and its number.
pub(super) fn header(rest: &mut &'static [u8]) -> (u8, i64) {
    let end = memchr::memchr(b'\n', rest).expect("the generated file is whole RESP values");
    let line = &rest[..end - 1];
    *rest = &rest[end + 1..];
    let number = std::str::from_utf8(&line[1..]).ok().and_then(|text| text.parse().ok());
    (line[0], number.unwrap_or(0))
}

/// Takes one value off `rest`.
pub(super) fn value(rest: &mut &'static [u8]) -> &'static [u8] {
    let whole = *rest;
    let mut values = 1;
    while values > 0 {
        values -= 1;
        let header = header(rest);
        values += inside(rest, header);
    }
    &whole[..whole.len() - rest.len()]
}

/// How many values stand inside the one with this header; takes the bytes of a string off `rest`.
fn inside(rest: &mut &'static [u8], header: (u8, i64)) -> i64 {
    match header {
        (b'*' | b'~', count) => count,
        (b'%', count) => 2 * count,
        (b'$', length) => {
            *rest = &rest[length as usize + 2..];
            0
        }
        _ => 0,
    }
}

/// Appends a value of the file, which is in RESP3, as it is in this protocol.
pub(super) fn write(value: &'static [u8], protocol: Protocol, out: &mut Vec<u8>) {
    if protocol == Protocol::Resp3 {
        return out.extend_from_slice(value);
    }
    let mut rest = value;
    while !rest.is_empty() {
        let before = rest;
        let header = header(&mut rest);
        match header {
            (b'~', count) => write::array(out, count as usize),
            (b'%', count) => write::array(out, 2 * count as usize),
            (b'_', _) => write::null(out, protocol),
            _ => {
                inside(&mut rest, header);
                out.extend_from_slice(&before[..before.len() - rest.len()]);
            }
        }
    }
}
