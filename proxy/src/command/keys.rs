//! Which arguments of a request are keys.
//!
//! Most commands follow from Redis's key specifications. A few are found by the command's own
//! grammar instead, because the specifications miss keys (SORT ... STORE, MIGRATE) or can be led
//! astray: a consumer group may be called `streams`, and STORE given twice counts once.

use super::{Begin, CommandId, Find, KeySpec, ids};
use crate::resp::Request;
use thiserror::Error;

/// Why the keys of a request cannot be found: what Redis would answer to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KeysError {
    /// The number of keys is no number.
    #[error("ERR value is not an integer or out of range")]
    NotInteger,
    /// EVALSHA of what cannot be a script's digest, whatever its number of keys.
    #[error("NOSCRIPT No matching script. Please use EVAL.")]
    NoScript,
    /// EVAL and its kin.
    #[error("ERR Number of keys can't be negative")]
    Negative,
    /// EVAL and its kin, SINTERCARD.
    #[error("ERR Number of keys can't be greater than number of args")]
    TooMany,
    /// FCALL with a number of keys that is none.
    #[error("ERR Bad number of keys provided")]
    BadNumber,
    /// LMPOP, ZMPOP, SINTERCARD.
    #[error("ERR numkeys should be greater than 0")]
    NotPositive,
    /// ZUNION and its kin, of that name.
    #[error("ERR at least 1 input key is needed for '{0}' command")]
    NoInput(&'static str),
    /// The words of a request do not make sense.
    #[error("ERR syntax error")]
    Syntax,
    /// XREAD and XREADGROUP: as many IDs as streams are needed.
    #[error(
        "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified."
    )]
    Unbalanced,
    /// XREAD with an option of XREADGROUP.
    #[error("ERR The {0} option is only supported by XREADGROUP. You called XREAD instead.")]
    OnlyForGroups(&'static str),
    /// XREADGROUP without a group.
    #[error("ERR Missing GROUP option for XREADGROUP")]
    NoGroup,
    /// XREAD's BLOCK is no number.
    #[error("ERR timeout is not an integer or out of range")]
    TimeoutNotInteger,
    /// XREAD's BLOCK is negative.
    #[error("ERR timeout is negative")]
    TimeoutNegative,
}

/// Replaces `out` by the indexes of all the request's keys, the command's own arity being right.
///
/// # Errors
/// What Redis would answer where the request cannot be understood well enough to find its keys.
/// A request that is wrong in another way may succeed here: the server that owns its keys tells.
pub fn keys(id: CommandId, request: &Request<'_>, out: &mut Vec<u32>) -> Result<(), KeysError> {
    out.clear();
    match id {
        ids::XREAD | ids::XREADGROUP => {
            let streams = Streams::parse(id, request)?;
            out.extend(streams.first..streams.first + streams.count);
        }
        ids::SORT => {
            out.push(1);
            out.extend(sort_store(request, 1));
        }
        ids::GEORADIUS => {
            out.push(1);
            out.extend(georadius_store(request, 6));
        }
        ids::GEORADIUSBYMEMBER => {
            out.push(1);
            out.extend(georadius_store(request, 5));
        }
        ids::MIGRATE => migrate(request, out),
        ids::LMPOP | ids::ZMPOP | ids::BLMPOP | ids::BZMPOP => {
            by_specs(id, request, out)?;
            // The word that says which end stands behind the keys.
            if out.last().is_some_and(|&last| last as usize + 1 >= request.len()) {
                return Err(KeysError::Syntax);
            }
        }
        _ => by_specs(id, request, out)?,
    }
    Ok(())
}

/// The keys by Redis's key specifications.
fn by_specs(id: CommandId, request: &Request<'_>, out: &mut Vec<u32>) -> Result<(), KeysError> {
    for spec in id.command().specs {
        match positions(spec, request) {
            Ok(Some(found)) => out.extend(found),
            // Keys that may be absent (the sources of PFMERGE): the server decides.
            Ok(None) | Err(Fault::OutOfRange) => {}
            Err(Fault::Numkeys(fault)) => return numkeys_error(id, request, fault),
        }
    }
    Ok(())
}

/// The arguments that one key spec finds: from `first` to `last`, each `step`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Positions {
    first: usize,
    last: usize,
    step: usize,
}

impl IntoIterator for Positions {
    type Item = u32;
    type IntoIter =
        std::iter::Map<std::iter::StepBy<std::ops::RangeInclusive<usize>>, fn(usize) -> u32>;

    fn into_iter(self) -> Self::IntoIter {
        (self.first..=self.last).step_by(self.step).map(|at| at as u32)
    }
}

/// Why a key spec finds nothing where it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The keys would stand beyond the arguments, or the spec leaves it to the command's grammar.
    OutOfRange,
    /// The number of keys is wrong.
    Numkeys(NumkeysFault),
}

/// What is wrong with a number of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NumkeysFault {
    NotInteger,
    Negative,
    Zero,
    TooMany,
}

/// What one key spec finds; `None` if its word is not in the request.
pub(super) fn positions(spec: &KeySpec, request: &Request<'_>) -> Result<Option<Positions>, Fault> {
    let len = request.len();
    let begin = match spec.begin {
        Begin::Index(at) => usize::from(at),
        Begin::Keyword { word, from } => match keyword(word, from, request) {
            Some(at) => at + 1,
            None => return Ok(None),
        },
        Begin::Unknown => return Err(Fault::OutOfRange),
    };
    let (first, last, step) = match spec.find {
        Find::Range { last, step, limit } => {
            let room = len.saturating_sub(begin);
            let last = match (last, limit) {
                (0.., _) => Some(begin + last.unsigned_abs() as usize),
                (_, 0) => len.checked_sub(usize::from(last.unsigned_abs())),
                (_, limit) => (begin + room / usize::from(limit)).checked_sub(1),
            };
            (begin, last.ok_or(Fault::OutOfRange)?, usize::from(step))
        }
        Find::Numkeys { at, first, step } => {
            let number = numkeys(request, begin + usize::from(at)).map_err(Fault::Numkeys)?;
            let (first, step) = (begin + usize::from(first), usize::from(step));
            if number > len.saturating_sub(first).div_ceil(step) {
                return Err(Fault::Numkeys(NumkeysFault::TooMany));
            }
            (first, first + (number - 1) * step, step)
        }
        Find::Unknown => return Err(Fault::OutOfRange),
    };
    if first >= len || last >= len || last < first {
        return Err(Fault::OutOfRange);
    }
    Ok(Some(Positions { first, last, step }))
}

/// Where `word` stands in the request, searched as [`Begin::Keyword`] says.
fn keyword(word: &[u8], from: i8, request: &Request<'_>) -> Option<usize> {
    let is_word = |at: &usize| request.arg(*at).eq_ignore_ascii_case(word);
    if from > 0 {
        // A word at the very end has no key behind it.
        (usize::from(from.unsigned_abs())..request.len() - 1).find(is_word)
    } else {
        let start = request.len().checked_sub(usize::from(from.unsigned_abs()))?;
        (2..=start).rev().find(is_word)
    }
}

/// The number of keys that argument `at` gives, at least 1.
fn numkeys(request: &Request<'_>, at: usize) -> Result<usize, NumkeysFault> {
    if at >= request.len() {
        return Err(NumkeysFault::NotInteger);
    }
    match integer(request.arg(at)) {
        None => Err(NumkeysFault::NotInteger),
        Some(..0) => Err(NumkeysFault::Negative),
        Some(0) => Err(NumkeysFault::Zero),
        Some(number) => Ok(usize::try_from(number).unwrap_or(usize::MAX)),
    }
}

/// What the command says of a wrong number of keys; EVAL and its kin may have none.
fn numkeys_error(
    id: CommandId,
    request: &Request<'_>,
    fault: NumkeysFault,
) -> Result<(), KeysError> {
    use NumkeysFault::{Negative, NotInteger, TooMany, Zero};
    Err(match id {
        ids::EVAL | ids::EVAL_RO | ids::EVALSHA | ids::EVALSHA_RO | ids::FCALL | ids::FCALL_RO => {
            match fault {
                Zero => return Ok(()),
                _ if matches!(id, ids::EVALSHA | ids::EVALSHA_RO) && request.arg(1).len() != 40 => {
                    KeysError::NoScript
                }
                NotInteger if matches!(id, ids::FCALL | ids::FCALL_RO) => KeysError::BadNumber,
                NotInteger => KeysError::NotInteger,
                Negative => KeysError::Negative,
                TooMany => KeysError::TooMany,
            }
        }
        ids::SINTERCARD | ids::LMPOP | ids::ZMPOP | ids::BLMPOP | ids::BZMPOP => match fault {
            NotInteger | Negative | Zero => KeysError::NotPositive,
            TooMany if id == ids::SINTERCARD => KeysError::TooMany,
            TooMany => KeysError::Syntax,
        },
        _ => match fault {
            NotInteger => KeysError::NotInteger,
            Negative | Zero => KeysError::NoInput(id.command().name),
            TooMany => KeysError::Syntax,
        },
    })
}

/// An integer as Redis reads it: no sign but `-`, no leading zero, no blanks.
pub(super) fn integer(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let plain = match digits {
        [b'0'] => text.len() == 1,
        [b'1'..=b'9', ..] => digits.len() <= 19,
        _ => false,
    };
    if !plain || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// What an XREAD or XREADGROUP asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Streams {
    /// The first key.
    pub first: u32,
    /// How many keys.
    pub count: u32,
    /// How long it may block, in milliseconds: which argument says so.
    pub block: Option<u32>,
}

impl Streams {
    /// Reads the request in the order and with the complaints of Redis 7.
    ///
    /// Words that Redis 7 does not know are passed over: a newer server may know them, and an older
    /// one says so itself.
    pub fn parse(id: CommandId, request: &Request<'_>) -> Result<Self, KeysError> {
        let (len, group_command) = (request.len(), id == ids::XREADGROUP);
        let (mut block, mut group, mut unknown) = (None, false, false);
        // Redis complains of the unknown word, if of anything.
        let wrong = |unknown: bool, error| Err(if unknown { KeysError::Syntax } else { error });
        let mut i = 1;
        while i < len {
            let more = len - i - 1;
            let option = request.arg(i);
            let is = |word: &[u8]| option.eq_ignore_ascii_case(word);
            i += 1;
            if is(b"streams") && more > 0 {
                if !more.is_multiple_of(2) {
                    return wrong(unknown, KeysError::Unbalanced);
                }
                if group_command && !group {
                    return wrong(unknown, KeysError::NoGroup);
                }
                return Ok(Self { first: i as u32, count: more as u32 / 2, block });
            } else if is(b"block") && more > 0 {
                match integer(request.arg(i)) {
                    None => return wrong(unknown, KeysError::TimeoutNotInteger),
                    Some(..0) => return wrong(unknown, KeysError::TimeoutNegative),
                    Some(_) => block = Some(i as u32),
                }
                i += 1;
            } else if is(b"count") && more > 0 {
                if integer(request.arg(i)).is_none() {
                    return wrong(unknown, KeysError::NotInteger);
                }
                i += 1;
            } else if is(b"group") && more >= 2 {
                if !group_command {
                    return wrong(unknown, KeysError::OnlyForGroups("GROUP"));
                }
                group = true;
                i += 2;
            } else if is(b"noack") {
                if !group_command {
                    return wrong(unknown, KeysError::OnlyForGroups("NOACK"));
                }
            } else {
                unknown = true;
            }
        }
        Err(KeysError::Syntax)
    }
}

/// The key of SORT's last STORE; the search goes on `skip` arguments behind each STORE.
pub(super) fn sort_store(request: &Request<'_>, skip: usize) -> Option<u32> {
    let mut store = None;
    let mut i = 2;
    while i < request.len() {
        let word = request.arg(i);
        if word.eq_ignore_ascii_case(b"limit") {
            i += 2;
        } else if word.eq_ignore_ascii_case(b"by") || word.eq_ignore_ascii_case(b"get") {
            i += 1;
        } else if word.eq_ignore_ascii_case(b"store") && i + 1 < request.len() {
            store = Some(i as u32 + 1);
            i += skip;
        }
        i += 1;
    }
    store
}

/// The key of GEORADIUS's last STORE or STOREDIST; options stand at `from` and after.
pub(super) fn georadius_store(request: &Request<'_>, from: usize) -> Option<u32> {
    let mut store = None;
    let mut i = from;
    while i + 1 < request.len() {
        let word = request.arg(i);
        if word.eq_ignore_ascii_case(b"count") {
            i += 1;
        } else if word.eq_ignore_ascii_case(b"store") || word.eq_ignore_ascii_case(b"storedist") {
            store = Some(i as u32 + 1);
            i += 1;
        }
        i += 1;
    }
    store
}

/// MIGRATE's keys: the one at argument 3 or, if that is empty, all those after KEYS.
pub(super) fn migrate(request: &Request<'_>, out: &mut Vec<u32>) {
    let mut i = 6;
    while i < request.len() {
        let word = request.arg(i);
        if word.eq_ignore_ascii_case(b"keys") {
            // Both is a syntax error.
            if request.arg(3).is_empty() {
                out.extend(i as u32 + 1..request.len() as u32);
            }
            return;
        } else if word.eq_ignore_ascii_case(b"auth") {
            i += 1;
        } else if word.eq_ignore_ascii_case(b"auth2") {
            i += 2;
        }
        i += 1;
    }
    out.push(3);
}
