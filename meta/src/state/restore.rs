//! Putting a backup's content into a new group, after all members of the old one were lost.
//!
//! What the lost group did after the backup was taken is not known, and proxies still work by it. So
//! everything here assumes the worst of them:
//!
//! - The epoch goes on far beyond the backup's, so that no proxy has seen a later one.
//! - Every proxy counts as lost: the next barrier waits for it, or fences it.
//! - Proxies that the backup does not know of are treated as removed ones: the next barrier wants a fence
//!   on every master that shuts them out.
//! - No group counts as having leftovers of a slot: the slot may have moved back there since, and what would be
//!   unlinked as a leftover would be its only data.
//! - No barrier stays open: a proxy may have acknowledged it and gone on to a later topology since. What
//!   was at one goes back to where it began.

use super::refusal::Refusal;
use super::{VERSION, actions, invariants, promotion};
use codis_proto::meta::v1 as pb;
use pb::RefusalCode as Code;
use pb::slot_action::{Pending, Phase};

/// How far the epoch goes beyond the backup's: more changes than a group makes between two backups.
pub const EPOCHS_SKIPPED: u64 = 1_000_000;

/// Why what was at a barrier has gone back.
const ROLLED_BACK: &str = "it was at its barrier when the backup was taken that has been restored";

pub(super) fn restore(data: &mut pb::State, change: &pb::StateRestore) -> Result<(), Refusal> {
    check_room(data)?;
    let backup = change
        .backup
        .as_ref()
        .ok_or_else(|| Refusal::new(Code::Malformed, "the command carries no backup: report it"))?;
    check_backup(data, backup)?;
    let mut restored = merged(data, backup);
    // Of a sound backup this makes a sound state; the counters of one that was made up may be out of range.
    invariants::check(&restored).map_err(broken)?;
    // Proxies see the change, and so it makes the last step itself.
    restored.epoch -= 1;
    *data = restored;
    Ok(())
}

/// Only a group that holds nothing yet can take a backup.
fn check_room(data: &pb::State) -> Result<(), Refusal> {
    let (groups, proxies) = (data.groups.len(), data.proxies.len() + data.leaving.len());
    Refusal::unless(groups == 0 && proxies == 0, Code::StateNotEmpty, || {
        format!(
            "this metadata group holds {groups} groups and {proxies} proxies already: restore the backup into a \
             new one"
        )
    })
}

fn check_backup(data: &pb::State, backup: &pb::State) -> Result<(), Refusal> {
    let known = backup.version <= VERSION.min(data.version);
    Refusal::unless(known, Code::UnsupportedVersion, || {
        format!(
            "the backup is of version {}, this group keeps version {}: upgrade every member first",
            backup.version, data.version
        )
    })?;
    Refusal::unless(backup.product == data.product, Code::ProductMismatch, || {
        format!(
            "the backup is of product {:?}, this group keeps {:?}: restore it into a group of its own product",
            backup.product, data.product
        )
    })?;
    invariants::check(backup).map_err(broken)
}

fn broken(what: String) -> Refusal {
    let message =
        format!("the backup contradicts itself ({what}): it is damaged; take another one");
    Refusal::new(Code::InvalidValue, message)
}

/// The backup's content as this group's state.
fn merged(data: &pb::State, backup: &pb::State) -> pb::State {
    let epoch = backup.epoch.max(data.epoch).saturating_add(EPOCHS_SKIPPED);
    let mut restored = pb::State {
        version: data.version,
        epoch,
        time_unix_ms: data.time_unix_ms.max(backup.time_unix_ms),
        retired_epoch: epoch,
        removals: backup.removals.saturating_add(1),
        order_last: data.order_last.max(backup.order_last),
        proxy_id_last: data.proxy_id_last.max(backup.proxy_id_last),
        members_seen: data.members_seen.clone(),
        // The requests that are remembered are this group's, and are kept elsewhere.
        remembered: Vec::new(),
        ..backup.clone()
    };
    for proxy in restored.proxies.values_mut() {
        proxy.set_presence(pb::Presence::Lost);
        proxy.acked_epoch = 0;
    }
    restored.groups.values_mut().filter(|group| promotion::parks(group)).for_each(abort);
    restored.slots.iter_mut().filter(|slot| actions::is_preparing(slot)).for_each(roll_back);
    restored.slots.iter_mut().for_each(|slot| slot.given_away_by.clear());
    restored
}

fn abort(group: &mut pb::Group) {
    group.promotion = None;
    group.promotion_failure = format!("{ROLLED_BACK}: see which server is master");
}

fn roll_back(slot: &mut pb::Slot) {
    if let Some(action) = slot.action.as_mut() {
        action.phase = Some(Phase::Pending(Pending {}));
        action.failure = ROLLED_BACK.into();
    }
}
