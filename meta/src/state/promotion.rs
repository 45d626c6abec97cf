//! Promotions: a replica is being made master, with no acknowledged write lost.
//!
//! preparing (the group's slots are locked; proxies acknowledge) -> prepared (nothing is in flight: the
//! replica catches up and stops following) -> finished (the topology names it; the others are told to
//! follow) -> none. Until the topology names the new master the way back is open; after that only the way
//! on. Each phase says all that another leader needs to go on.

use super::address::{self, Kind};
use super::refusal::Refusal;
use super::settings::{self, Setting};
use super::{actions, barrier, groups, sync, text};
use codis_proto::meta::v1 as pb;
use pb::RefusalCode as Code;
use pb::promotion::{Finished, Phase, Prepared};

/// Whether clients of the group's slots wait for a promotion.
#[must_use]
pub fn parks(group: &pb::Group) -> bool {
    let phase = group.promotion.as_ref().and_then(|promotion| promotion.phase.as_ref());
    matches!(phase, Some(Phase::Preparing(_) | Phase::Prepared(_)))
}

pub(super) fn begin(
    data: &mut pb::State,
    change: &pb::GroupPromoteBegin,
    now: u64,
) -> Result<(), Refusal> {
    let target = address::canonical(&change.target, Kind::TcpOrPath)?;
    let group = groups::get(data, change.group)?;
    groups::refuse_promoting(group)?;
    let position = groups::position(group, &target)?;
    Refusal::unless(position != 0, Code::ServerIsMaster, || {
        format!("{target} is the master of group {} already: name a replica", group.id)
    })?;
    sync::refuse_running(group)?;
    Refusal::unless(group.servers[position].sync.is_none(), Code::SyncUnderWay, || {
        format!("{target} waits to be synced: wait for its end, or promote another replica")
    })?;
    actions::refuse_preparing(data, group.id)?;
    let previous = group.servers[0].address.clone();
    // The lock is visible, so that this change makes the next epoch.
    let epoch = data.epoch + 1;
    let deadline_unix_ms = deadline(data, now);
    let phase = Some(Phase::Preparing(pb::Barrier { epoch, deadline_unix_ms }));
    groups::get_mut(data, change.group).promotion =
        Some(pb::Promotion { target, previous, epoch, phase });
    Ok(())
}

/// When a barrier that begins `now` is to be given up.
pub(super) fn deadline(data: &pb::State, now: u64) -> u64 {
    now.saturating_add(settings::number(data, Setting::BarrierDeadline) / 1000)
}

/// The promotion `epoch` of group `id`.
fn get(data: &pb::State, id: u32, epoch: u64) -> Result<(&pb::Promotion, &Phase), Refusal> {
    let found = groups::get(data, id)?.promotion.as_ref().filter(|found| found.epoch == epoch);
    found.and_then(|promotion| Some((promotion, promotion.phase.as_ref()?))).ok_or_else(|| {
        let message = format!("group {id} has no promotion of epoch {epoch}: look at its state");
        Refusal::new(Code::PromotionPhase, message)
    })
}

fn wrong_phase(id: u32, needs: &str) -> Refusal {
    let message = format!("the promotion in group {id} is not {needs}: look at the group's state");
    Refusal::new(Code::PromotionPhase, message)
}

pub(super) fn advance(
    data: &mut pb::State,
    change: &pb::GroupPromoteAdvance,
) -> Result<(), Refusal> {
    let id = change.group;
    let (_, phase) = get(data, id, change.epoch)?;
    match (change.step(), phase) {
        (pb::PromoteStep::Unspecified, _) => Err(Refusal::new(
            Code::Malformed,
            "the command names no step of a promotion: report it",
        )),
        (pb::PromoteStep::Prepared, Phase::Preparing(begun)) => {
            barrier::refuse_open(data, begun.epoch)?;
            let deadline_unix_ms = begun.deadline_unix_ms;
            set_phase(data, id, Phase::Prepared(Prepared { deadline_unix_ms }));
            Ok(())
        }
        (pb::PromoteStep::Prepared, _) => Err(wrong_phase(id, "preparing")),
        (pb::PromoteStep::Finished, Phase::Prepared(_)) => {
            name_new_master(groups::get_mut(data, id));
            set_phase(data, id, Phase::Finished(Finished {}));
            Ok(())
        }
        (pb::PromoteStep::Finished, _) => Err(wrong_phase(id, "prepared")),
    }
}

fn set_phase(data: &mut pb::State, id: u32, phase: Phase) {
    if let Some(promotion) = groups::get_mut(data, id).promotion.as_mut() {
        promotion.phase = Some(phase);
    }
}

fn name_new_master(group: &mut pb::Group) {
    let target = group.promotion.as_ref().map(|promotion| promotion.target.as_str());
    let position = group.servers.iter().position(|server| Some(server.address.as_str()) == target);
    let position = position.expect("no server leaves a group while its master is being changed");
    let mut master = group.servers.remove(position);
    // Whatever kept it from following is over: the others follow it now.
    master.sync_failure.clear();
    group.servers.insert(0, master);
}

pub(super) fn abort(data: &mut pb::State, change: &pb::GroupPromoteAbort) -> Result<(), Refusal> {
    let (promotion, phase) = get(data, change.group, change.epoch)?;
    Refusal::unless(!matches!(phase, Phase::Finished(_)), Code::PromotionPhase, || {
        format!(
            "group {} has {} as its master already: let the promotion end, then promote {} back",
            change.group, promotion.target, promotion.previous
        )
    })?;
    let group = groups::get_mut(data, change.group);
    group.promotion = None;
    group.promotion_failure = text::reason(&change.reason);
    Ok(())
}

pub(super) fn finish(data: &mut pb::State, change: &pb::GroupPromoteFinish) -> Result<(), Refusal> {
    let (_, phase) = get(data, change.group, change.epoch)?;
    let finished = matches!(phase, Phase::Finished(_));
    Refusal::unless(finished, Code::PromotionPhase, || {
        format!(
            "group {} has not changed its master yet: advance or abort the promotion",
            change.group
        )
    })?;
    let group = groups::get(data, change.group)?;
    for address in change.not_following.keys() {
        let position = groups::position(group, address)?;
        Refusal::unless(position != 0, Code::ServerIsMaster, || {
            format!("{address} is the master of group {} and follows no one", group.id)
        })?;
    }
    let group = groups::get_mut(data, change.group);
    group.promotion = None;
    group.promotion_failure.clear();
    for server in &mut group.servers {
        if let Some(why) = change.not_following.get(&server.address) {
            server.sync_failure = text::reason(why);
        }
    }
    Ok(())
}
