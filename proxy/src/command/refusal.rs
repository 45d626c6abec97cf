//! Requests that the proxy cannot serve yet, though Redis could.

use super::keys::{Streams, integer};
use super::{CommandId, Route, ids};
use crate::resp::Request;
use crate::slots;

/// Why this request is refused: an error text without the leading `-` and the line's end.
///
/// Never anything for [`Route::Key`] and [`Route::Split`], so these need not ask.
#[must_use]
pub fn refusal(id: CommandId, request: &Request<'_>) -> Option<String> {
    let command = id.command();
    let what = match id {
        _ if command.route == Route::Unsupported => "",
        ids::XREAD | ids::XREADGROUP => {
            // A request that Redis would not understand gets its error from the search for keys.
            Streams::parse(id, request).ok().filter(|streams| streams.blocks)?;
            " with BLOCK"
        }
        ids::SORT | ids::SORT_RO => {
            sort_reads_elsewhere(request).then_some(" with BY or GET of keys in other slots")?
        }
        ids::EVAL | ids::EVAL_RO | ids::EVALSHA | ids::EVALSHA_RO | ids::FCALL | ids::FCALL_RO => {
            (integer(request.arg(2)) == Some(0)).then_some(" without keys")?
        }
        _ => return None,
    };
    Some(format!("ERR '{}'{what} is not supported by this proxy yet", command.name))
}

/// Whether SORT's BY or GET may read keys that are not in the slot of the key that it sorts.
fn sort_reads_elsewhere(request: &Request<'_>) -> bool {
    let slot = slots::slot(request.arg(1));
    let mut i = 2;
    while i < request.len() {
        let word = request.arg(i);
        if word.eq_ignore_ascii_case(b"limit") {
            i += 2;
        } else if word.eq_ignore_ascii_case(b"store") {
            i += 1;
        } else if word.eq_ignore_ascii_case(b"by") || word.eq_ignore_ascii_case(b"get") {
            if i + 1 < request.len() && !stays_in(slot, request.arg(i + 1)) {
                return true;
            }
            i += 1;
        }
        i += 1;
    }
    false
}

/// Whether the keys that a pattern makes, whatever replaces its `*`, are in the slot. A pattern
/// without `*` makes no key at all.
fn stays_in(slot: u16, pattern: &[u8]) -> bool {
    let Some(star) = memchr::memchr(b'*', pattern) else {
        return true;
    };
    // The tag must be closed before the `*`: the element put there may hold braces of its own.
    let before = &pattern[..star];
    let open = memchr::memchr(b'{', before);
    let closed = open.is_some_and(|open| memchr::memchr(b'}', &before[open..]).is_some());
    closed && slots::slot(pattern) == slot
}
