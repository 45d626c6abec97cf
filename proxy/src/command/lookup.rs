//! From a command's name to its entry.

use super::hash::{self, BUCKETS, NAME_BYTES_MAX};
use super::table::{COMMANDS, MULTIPLIER};
use super::{CommandId, LookupError};
use crate::resp::Request;

/// A command's name as it is compared: `(word | letters) == lower` holds for the name in any letter
/// case and for nothing else of its length.
#[derive(Clone, Copy)]
struct Name {
    /// The name's first eight bytes in lower case.
    lower: u64,
    /// The case bit of each byte that is a letter.
    letters: u64,
    /// Its length in bytes.
    len: u8,
    /// The command.
    id: CommandId,
}

/// The further bytes of a name longer than eight, in the manner of [`Name`].
#[derive(Clone, Copy)]
struct Rest {
    lower: [u64; 2],
    letters: [u64; 2],
}

/// How many entries of the table are no subcommands.
const NAME_COUNT: usize = {
    let (mut count, mut i) = (0, 0);
    while i < COMMANDS.len() {
        count += 1;
        i += 1 + COMMANDS[i].subcommands as usize;
    }
    count
};

/// Marks an empty bucket; no name has this index.
const EMPTY: u16 = u16::MAX;

/// The names that can stand at argument 0.
static NAMES: [Name; NAME_COUNT] = names().0;

/// What [`NAMES`] has no room for.
static RESTS: [Rest; NAME_COUNT] = names().1;

/// The index in [`NAMES`] by bucket.
static INDEX: [u16; BUCKETS] = {
    let mut index = [EMPTY; BUCKETS];
    let (mut number, mut i) = (0, 0);
    while i < COMMANDS.len() {
        let bucket = hash::bucket_of(COMMANDS[i].name.as_bytes(), MULTIPLIER);
        assert!(index[bucket] == EMPTY, "two names share a bucket: generate the table again");
        index[bucket] = number;
        number += 1;
        i += 1 + COMMANDS[i].subcommands as usize;
    }
    index
};

/// Makes [`NAMES`] and [`RESTS`].
const fn names() -> ([Name; NAME_COUNT], [Rest; NAME_COUNT]) {
    let mut names = [Name { lower: 0, letters: 0, len: 0, id: CommandId(0) }; NAME_COUNT];
    let mut rests = [Rest { lower: [0; 2], letters: [0; 2] }; NAME_COUNT];
    let (mut number, mut i) = (0, 0);
    while number < NAME_COUNT {
        let name = COMMANDS[i].name.as_bytes();
        let lower = hash::words(name);
        let letters = hash::words(&letters(name));
        names[number] = Name {
            lower: lower[0],
            letters: letters[0],
            len: name.len() as u8,
            id: CommandId(i as u16),
        };
        rests[number] = Rest { lower: [lower[1], lower[2]], letters: [letters[1], letters[2]] };
        number += 1;
        i += 1 + COMMANDS[i].subcommands as usize;
    }
    (names, rests)
}

/// The case bit at each letter of `name`, zero elsewhere.
const fn letters(name: &[u8]) -> [u8; NAME_BYTES_MAX] {
    let mut letters = [0; NAME_BYTES_MAX];
    let mut i = 0;
    while i < name.len() {
        if name[i].is_ascii_lowercase() {
            letters[i] = 0x20;
        }
        i += 1;
    }
    letters
}

/// The command of that name, in any letter case. Subcommands have no name of their own here.
#[inline]
#[must_use]
pub fn lookup(name: &[u8]) -> Option<CommandId> {
    if name.len() > 8 {
        return lookup_long(name);
    }
    let word = hash::word(name);
    let index = INDEX[hash::bucket(word, MULTIPLIER)];
    let entry = NAMES.get(usize::from(index))?;
    (word | entry.letters == entry.lower && usize::from(entry.len) == name.len())
        .then_some(entry.id)
}

/// [`lookup`] for names of more than eight bytes.
fn lookup_long(name: &[u8]) -> Option<CommandId> {
    if name.len() > NAME_BYTES_MAX {
        return None;
    }
    let words = hash::words(name);
    let index = usize::from(INDEX[hash::bucket_long(words, MULTIPLIER)]);
    let (entry, rest) = (NAMES.get(index)?, RESTS.get(index)?);
    let same = words[0] | entry.letters == entry.lower
        && words[1] | rest.letters[0] == rest.lower[0]
        && words[2] | rest.letters[1] == rest.lower[1]
        && usize::from(entry.len) == name.len();
    same.then_some(entry.id)
}

/// The subcommand of that name, in any letter case.
pub(super) fn subcommand(container: CommandId, name: &[u8]) -> Option<CommandId> {
    let command = container.command();
    let prefix = command.name.len() + 1;
    let first = container.0 + 1;
    let mut ids = (first..first + command.subcommands).map(CommandId);
    ids.find(|id| id.command().name.as_bytes()[prefix..].eq_ignore_ascii_case(name))
}

/// The command or `container|subcommand` of that name, as COMMAND INFO takes it.
pub(super) fn by_full_name(name: &[u8]) -> Option<CommandId> {
    match memchr::memchr(b'|', name) {
        None => lookup(name),
        Some(at) => subcommand(lookup(&name[..at])?, &name[at + 1..]),
    }
}

/// The command of a request, its arity checked.
///
/// # Errors
/// What Redis would say of a request that names no command or has the wrong number of arguments.
#[inline]
pub fn resolve(request: &Request<'_>) -> Result<CommandId, LookupError> {
    let mut id = lookup(request.arg(0)).ok_or(LookupError::UnknownCommand)?;
    if id.command().container() && request.len() > 1 {
        id = subcommand(id, request.arg(1)).ok_or(LookupError::UnknownSubcommand)?;
    }
    if arity_fits(id, request.len()) { Ok(id) } else { Err(LookupError::WrongArity(id)) }
}

/// Whether the command may have `len` arguments, its name included.
#[inline]
pub(super) fn arity_fits(id: CommandId, len: usize) -> bool {
    let arity = isize::from(id.command().arity);
    let len = len as isize;
    if arity > 0 { len == arity } else { len >= -arity }
}
