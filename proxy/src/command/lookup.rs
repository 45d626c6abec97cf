//! From a command's name to its entry.

use super::hash::{self, BUCKETS, NAME_BYTES_MAX};
use super::table::{COMMANDS, MULTIPLIER};
use super::{CommandId, LookupError};
use crate::resp::Request;

/// What a request is checked against: a command's name and how many arguments it takes.
///
/// `(word | letters) == lower` holds for the name in any letter case and for nothing else of its
/// length. All of it is in one half of a cache line, as every request reads it.
#[derive(Clone, Copy)]
#[repr(align(32))]
struct Name {
    /// The name's first eight bytes in lower case.
    lower: u64,
    /// The case bit of each byte that is a letter.
    letters: u64,
    /// The least number of arguments, the name included.
    args_min: u32,
    /// How many more there may be.
    args_more: u32,
    /// The command.
    id: CommandId,
    /// The name's length in bytes.
    len: u8,
    /// Whether argument 1 names a subcommand.
    container: bool,
}

impl Name {
    /// What fills the array before the names.
    const NONE: Self = Self {
        lower: 0,
        letters: 0,
        args_min: 0,
        args_more: 0,
        id: CommandId(0),
        len: 0,
        container: false,
    };
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
    let mut names = [Name::NONE; NAME_COUNT];
    let mut rests = [Rest { lower: [0; 2], letters: [0; 2] }; NAME_COUNT];
    let (mut number, mut i) = (0, 0);
    while number < NAME_COUNT {
        let name = COMMANDS[i].name.as_bytes();
        let lower = hash::words(name);
        let letters = hash::words(&letters(name));
        let arity = COMMANDS[i].arity;
        names[number] = Name {
            lower: lower[0],
            letters: letters[0],
            args_min: arity.unsigned_abs() as u32,
            args_more: if arity > 0 { 0 } else { i32::MAX as u32 },
            id: CommandId(i as u16),
            len: name.len() as u8,
            container: COMMANDS[i].container(),
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
    find(name).map(|entry| entry.id)
}

/// [`lookup`], with what [`resolve`] needs beside.
#[inline(always)]
fn find(name: &[u8]) -> Option<&'static Name> {
    if name.len() > 8 {
        return find_long(name);
    }
    let word = hash::word(name);
    let index = INDEX[hash::bucket(word, MULTIPLIER)];
    let entry = NAMES.get(usize::from(index))?;
    (word | entry.letters == entry.lower && usize::from(entry.len) == name.len()).then_some(entry)
}

/// [`find`] for names of more than eight bytes.
#[inline(never)]
fn find_long(name: &[u8]) -> Option<&'static Name> {
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
    same.then_some(entry)
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
#[must_use]
pub fn by_full_name(name: &[u8]) -> Option<CommandId> {
    match memchr::memchr(b'|', name) {
        None => lookup(name),
        Some(at) => subcommand(lookup(&name[..at])?, &name[at + 1..]),
    }
}

/// The command of a request, its arity checked.
///
/// # Errors
/// What Redis would say of a request that names no command or has the wrong number of arguments.
#[inline(always)]
pub fn resolve(request: &Request<'_>) -> Result<CommandId, LookupError> {
    let Some(entry) = find(request.arg(0)) else {
        return Err(LookupError::UnknownCommand);
    };
    if entry.container && request.len() > 1 {
        return resolve_subcommand(entry.id, request);
    }
    // One comparison for both bounds: fewer than the least wrap around to more than the most.
    if (request.len() as u32).wrapping_sub(entry.args_min) <= entry.args_more {
        Ok(entry.id)
    } else {
        Err(LookupError::WrongArity(entry.id))
    }
}

/// [`resolve`] for a container, kept apart so that the common commands need not make room for it.
#[inline(never)]
fn resolve_subcommand(
    container: CommandId,
    request: &Request<'_>,
) -> Result<CommandId, LookupError> {
    let id = subcommand(container, request.arg(1)).ok_or(LookupError::UnknownSubcommand)?;
    if arity_fits(id, request.len()) { Ok(id) } else { Err(LookupError::WrongArity(id)) }
}

/// Whether the command may have `len` arguments, its name included.
pub(super) fn arity_fits(id: CommandId, len: usize) -> bool {
    let arity = id.command().arity;
    let least = usize::from(arity.unsigned_abs());
    if arity > 0 { len == least } else { len >= least }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `lookup` must find, the slow way.
    fn search(name: &[u8]) -> Option<CommandId> {
        let found = COMMANDS.iter().position(|command| {
            !command.name.contains('|') && command.name.as_bytes().eq_ignore_ascii_case(name)
        });
        found.map(|at| CommandId(at as u16))
    }

    fn check(name: &[u8]) {
        assert_eq!(lookup(name), search(name), "{}", name.escape_ascii());
    }

    #[test]
    fn every_name_is_found_in_any_letter_case() {
        for (at, command) in COMMANDS.iter().enumerate() {
            let id = (!command.name.contains('|')).then_some(CommandId(at as u16));
            let mixed: Vec<u8> = command
                .name
                .bytes()
                .enumerate()
                .map(|(i, byte)| if i % 2 == 0 { byte.to_ascii_uppercase() } else { byte })
                .collect();
            assert_eq!(lookup(command.name.as_bytes()), id, "{}", command.name);
            assert_eq!(lookup(command.name.to_uppercase().as_bytes()), id, "{}", command.name);
            assert_eq!(lookup(&mixed), id, "{}", command.name);
        }
    }

    #[test]
    fn a_name_with_one_byte_changed_added_or_taken_is_another_name() {
        for command in &COMMANDS {
            let name = command.name.as_bytes();
            for byte in 0..=u8::MAX {
                for i in 0..name.len() {
                    let mut changed = name.to_vec();
                    changed[i] = byte;
                    check(&changed);
                }
                check(&[name, &[byte]].concat());
                check(&[&[byte], name].concat());
            }
            check(&name[1..]);
            check(&name[..name.len() - 1]);
        }
        check(b"");
        check(&[b'a'; 1000]);
    }

    #[test]
    fn a_subcommand_is_found_by_its_container_and_its_name() {
        for (at, command) in COMMANDS.iter().enumerate() {
            let Some((container, name)) = command.name.split_once('|') else {
                continue;
            };
            let id = lookup(container.as_bytes()).expect("a container stands in the table");
            let found = Some(CommandId(at as u16));
            assert_eq!(subcommand(id, name.to_uppercase().as_bytes()), found, "{}", command.name);
            assert_eq!(by_full_name(command.name.as_bytes()), found, "{}", command.name);
        }
        let client = lookup(b"client").expect("CLIENT is a command");
        assert_eq!(subcommand(client, b"nosuch"), None);
        assert_eq!(subcommand(client, b""), None);
    }
}
