//! The keys of a request as COMMAND GETKEYS tells them, which is not always the truth.
//!
//! Redis first follows the key specifications, and where one finds nothing, a function of the
//! command's own that is more lenient than the command. Routing has [`super::keys`] instead.

use super::keys::{Fault, positions, sort_store};
use super::{CommandId, KeyFlags, ids};
use crate::resp::Request;

/// One key's argument and what the command does with it.
pub(super) type KeyUse = (u32, KeyFlags);

/// The keys of a request with what happens to them; none if Redis finds none.
pub(super) fn key_uses(id: CommandId, request: &Request<'_>) -> Vec<KeyUse> {
    let mut uses = Vec::new();
    for spec in id.command().specs {
        match positions(spec, request) {
            Ok(Some(found)) => uses.extend(found.into_iter().map(|at| (at, spec.flags))),
            Ok(None) => {}
            Err(fault) => return lenient(id, request, fault),
        }
    }
    for (_, flags) in &mut uses {
        *flags = variable(id, request).unwrap_or(*flags);
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

/// What Redis tells where a key spec finds nothing.
fn lenient(id: CommandId, request: &Request<'_>, _fault: Fault) -> Vec<KeyUse> {
    use KeyFlags as K;
    let store = K::of(&[K::OW, K::UPDATE]);
    match id {
        ids::SORT | ids::SORT_RO => {
            let mut uses = vec![(1, K::of(&[K::RO, K::ACCESS]))];
            if id == ids::SORT {
                uses.extend(sort_store(request).map(|at| (at, store)));
            }
            uses
        }
        _ => Vec::new(),
    }
}
