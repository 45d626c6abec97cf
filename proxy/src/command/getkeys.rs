//! The keys of a request as COMMAND GETKEYS tells them, which is not always the truth.
//!
//! Redis first follows the key specifications, and where one finds nothing, a function of the
//! command's own that is more lenient than the command. Routing has [`super::keys`] instead.

use super::keys::{migrate, positions, sort_store};
use super::{Begin, CommandId, Find, KeyFlags, ids};
use crate::resp::Request;

/// One key's argument and what the command does with it.
pub type KeyUse = (u32, KeyFlags);

/// The keys of a request with what happens to them; none if Redis finds none.
pub(super) fn key_uses(id: CommandId, request: &Request<'_>) -> Vec<KeyUse> {
    let mut uses = Vec::new();
    for spec in id.command().specs {
        match positions(spec, request) {
            Ok(Some(_)) if spec.flags.any(KeyFlags::INCOMPLETE) => return lenient(id, request),
            Ok(Some(found)) => uses.extend(found.into_iter().map(|at| (at, spec.flags))),
            Ok(None) => {}
            Err(_) => return lenient(id, request),
        }
    }
    for (_, flags) in &mut uses {
        *flags = variable(id, request).unwrap_or(*flags);
    }
    uses
}

/// Every key of a request with what it may do to it, for whom must know them all: what is only found where the request is
/// routed counts as read and written.
#[must_use]
pub fn key_accesses(id: CommandId, request: &Request<'_>) -> Vec<KeyUse> {
    let mut uses = key_uses(id, request);
    let mut routed = Vec::new();
    // Of what cannot be understood, no key is touched.
    if super::keys(id, request, &mut routed).is_ok() {
        let all = KeyFlags::of(&[KeyFlags::ACCESS, KeyFlags::UPDATE]);
        for key in routed {
            if !uses.iter().any(|(used, _)| *used == key) {
                uses.push((key, all));
            }
        }
    }
    uses
}

/// Flags that depend on the arguments; `None` if the spec's are right.
fn variable(id: CommandId, request: &Request<'_>) -> Option<KeyFlags> {
    use KeyFlags as K;
    let read = match id {
        ids::SET => {
            let has_get = (3..request.len()).any(|i| request.arg(i).eq_ignore_ascii_case(b"get"));
            return Some(if has_get {
                K::of(&[K::RW, K::ACCESS, K::UPDATE])
            } else {
                K::of(&[K::OW, K::UPDATE])
            });
        }
        ids::BITFIELD => bitfield_only_reads(request),
        _ => return None,
    };
    Some(if read { K::of(&[K::RO, K::ACCESS]) } else { K::of(&[K::RW, K::ACCESS, K::UPDATE]) })
}

/// Whether a BITFIELD has nothing but GET.
fn bitfield_only_reads(request: &Request<'_>) -> bool {
    let mut i = 2;
    while i < request.len() {
        if !request.arg(i).eq_ignore_ascii_case(b"get") || i + 2 >= request.len() {
            return false;
        }
        i += 3;
    }
    true
}

/// What the command's own function finds where a key spec finds nothing.
fn lenient(id: CommandId, request: &Request<'_>) -> Vec<KeyUse> {
    use KeyFlags as K;
    let store = K::of(&[K::OW, K::UPDATE]);
    let with_store = |key: KeyFlags, stored: Option<u32>| {
        let stored = stored.map(|at| (at, store));
        std::iter::once((1, key)).chain(stored).collect()
    };
    match id {
        ids::SORT => with_store(K::of(&[K::RO, K::ACCESS]), sort_store(request, 0)),
        ids::SORT_RO => with_store(K::of(&[K::RO, K::ACCESS]), None),
        ids::MIGRATE => {
            let mut keys = Vec::new();
            migrate(request, &mut keys);
            keys.into_iter().map(|at| (at, K::of(&[K::RW, K::ACCESS, K::DELETE]))).collect()
        }
        ids::XREAD | ids::XREADGROUP => lenient_streams(request),
        _ => lenient_numkeys(id, request),
    }
}

/// The keys after the first STREAMS that follows nothing but options.
fn lenient_streams(request: &Request<'_>) -> Vec<KeyUse> {
    let mut i = 1;
    while i < request.len() {
        let is = |word: &[u8]| request.arg(i).eq_ignore_ascii_case(word);
        if is(b"streams") {
            let first = i as u32 + 1;
            let count = request.len() as u32 - first;
            let keys = if count.is_multiple_of(2) { count / 2 } else { 0 };
            return (first..first + keys).map(|at| (at, KeyFlags::of(&[]))).collect();
        }
        i += match () {
            () if is(b"block") || is(b"count") => 2,
            () if is(b"group") => 3,
            () if is(b"noack") => 1,
            () => break,
        };
    }
    Vec::new()
}

/// The keys that a number counts, the number read as C's `atoi` does; then the destination.
fn lenient_numkeys(id: CommandId, request: &Request<'_>) -> Vec<KeyUse> {
    let specs = id.command().specs;
    let Some(Begin::Index(at)) =
        specs.iter().find(|spec| matches!(spec.find, Find::Numkeys { .. })).map(|spec| spec.begin)
    else {
        return Vec::new();
    };
    let first = u32::from(at) + 1;
    let room = i64::from(request.len() as u32) - i64::from(first);
    let number = atoi(request.arg(usize::from(at)));
    if !(1..=room).contains(&number) {
        return Vec::new();
    }
    let destination = (specs.len() == 2).then_some(1);
    (first..first + number as u32).chain(destination).map(|at| (at, KeyFlags::of(&[]))).collect()
}

/// The integer at the beginning of a text, 0 if there is none.
fn atoi(text: &[u8]) -> i64 {
    let text = text.trim_ascii_start();
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    let digits = digits.iter().take_while(|byte| byte.is_ascii_digit());
    let number = digits.fold(0_i64, |number, digit| {
        number.saturating_mul(10).saturating_add(i64::from(digit - b'0'))
    });
    if negative { -number } else { number }
}
