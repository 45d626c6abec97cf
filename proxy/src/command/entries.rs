//! The replies of a real server about each command, kept in `commands.resp`.
//!
//! One array for each command, in the order of the table: its `COMMAND INFO` entry and its
//! `COMMAND DOCS` map, both without nested subcommands, and what HELP answers (null for all but
//! the HELP subcommands).

use super::{COMMANDS, CommandId};
use std::sync::LazyLock;

/// The file, as it is on the wire.
static FILE: &[u8] = include_bytes!("commands.resp");

/// One command's replies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    /// Its `COMMAND INFO` entry, the array of subcommands empty.
    pub(super) info: &'static [u8],
    /// Its `COMMAND DOCS` map, without subcommands.
    pub(super) docs: &'static [u8],
    /// What HELP answers, or a null array.
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
        match header(rest) {
            (b'*', count) => values += count.max(0),
            (b'$', length @ 0..) => *rest = &rest[length as usize + 2..],
            _ => {}
        }
    }
    &whole[..whole.len() - rest.len()]
}
