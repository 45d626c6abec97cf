//! Requests that the proxy cannot serve, though Redis could.

use super::{CommandId, Route, ids};
use crate::resp::Request;
use crate::slots;

/// What a request is answered whose keys are in different slots: the words of Redis Cluster, which client libraries
/// know, and what to do.
pub const CROSSSLOT: &str = "CROSSSLOT Keys in request don't hash to the same slot: give them the same hash tag, \
     as in {user:42}:name and {user:42}:mail";

/// Why this request is refused: an error text without the leading `-` and the line's end.
///
/// Never anything for [`Route::Key`] and [`Route::Split`], so these need not ask.
#[must_use]
pub fn refusal(id: CommandId, request: &Request<'_>) -> Option<String> {
    let command = id.command();
    let (what, why) = match id {
        _ if command.route == Route::Unsupported => ("", command.why),
        ids::SORT | ids::SORT_RO if sort_reads_elsewhere(request) => {
            (" with BY or GET of keys in other slots", "they may be on other servers")
        }
        _ => return None,
    };
    Some(format!("ERR '{}'{what} is not supported by this proxy: {why}", command.name))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{COMMANDS, Flags, resolve};
    use crate::resp::Span;

    /// The refusal of a request, its arguments set apart by blanks.
    fn refused(request: &str) -> Option<String> {
        let mut start = 0;
        let spans: Vec<Span> = request
            .split(' ')
            .map(|word| {
                let span = Span { start, len: word.len() as u32 };
                start += span.len + 1;
                span
            })
            .collect();
        let request = Request { bytes: request.as_bytes(), args: &spans };
        refusal(resolve(&request).expect("a valid call"), &request)
    }

    #[test]
    fn an_unsupported_command_is_refused_by_its_name() {
        let text = refused("SWAPDB 0 1").expect("a refusal");
        assert!(
            text.starts_with("ERR 'swapdb' is not supported by this proxy: servers "),
            "{text}"
        );
        let text = refused("script DEBUG yes").expect("a refusal");
        assert!(text.starts_with("ERR 'script|debug' is not supported by this proxy: "), "{text}");
    }

    #[test]
    fn whatever_is_not_supported_says_why() {
        for command in &COMMANDS {
            let must = !command.supported() && !command.container();
            assert!(!must || !command.why.is_empty(), "{} has no reason", command.name);
            assert!(!command.supported() || command.why.is_empty(), "{}", command.name);
        }
    }

    #[test]
    fn sort_is_refused_when_its_patterns_may_lead_to_other_slots() {
        for allowed in [
            "SORT k",
            "SORT k BY nosort GET #",
            "SORT k LIMIT 0 BY BY plain",
            "SORT {t}k BY {t}w_* GET {t}o_*->f STORE {t}d",
            "SORT_RO {t}k BY w{t}_*",
            "SORT k STORE by",
        ] {
            assert_eq!(refused(allowed), None, "{allowed}");
        }
        for foreign in [
            "SORT k BY w_*",
            "SORT {t}k GET o_*",
            "SORT {t}k BY w_*{t}",
            "SORT {t}k BY {t*}",
            "SORT {t}k BY {u}w_*",
            "SORT_RO k GET # GET *",
        ] {
            assert!(refused(foreign).is_some(), "{foreign}");
        }
    }

    #[test]
    fn whatever_may_block_or_administers_does_not_go_where_everybodys_requests_go() {
        for command in &COMMANDS {
            let forwarded = matches!(command.route, Route::Key | Route::Keys | Route::Split(_));
            let harmful = Flags::of(&[Flags::BLOCKING, Flags::ADMIN, Flags::PUBSUB]);
            assert!(!forwarded || !command.flags.any(harmful), "{}", command.name);
        }
    }
}
