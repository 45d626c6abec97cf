//! The members that have ever begun, so that one which lost its data is found out.
//!
//! Who is a member now is Raft's to say, and not in this state. A record outlives the membership: an id that was used
//! is not to be used again with an empty data directory.

use super::limits::{MEMBERS_SEEN_MAX, NAME_BYTES_MAX};
use super::refusal::Refusal;
use super::text;
use codis_proto::meta::v1 as pb;
use pb::RefusalCode as Code;

pub(super) fn started(data: &mut pb::State, change: &pb::MemberStarted) -> Result<(), Refusal> {
    Refusal::unless(change.id != 0, Code::Malformed, || {
        "the command names no member: report it".into()
    })?;
    text::check_text("member's version", &change.version, NAME_BYTES_MAX)?;
    let seen = &mut data.members_seen;
    let room = seen.contains_key(&change.id) || seen.len() < MEMBERS_SEEN_MAX;
    Refusal::unless(room, Code::LimitReached, || {
        format!(
            "this group has had {MEMBERS_SEEN_MAX} members, the most that it can tell apart: restore a backup \
             into a new group before adding more"
        )
    })?;
    let record =
        pb::MemberRecord { version: change.version.clone(), start_unix_ms: change.start_unix_ms };
    seen.insert(change.id, record);
    Ok(())
}
