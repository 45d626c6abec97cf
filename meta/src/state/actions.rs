//! Slot actions: a slot's pending move to another group.
//!
//! pending -> preparing (requests of the slot are parked; proxies acknowledge) -> migrating (keys move, the
//! target serves) -> done. Preparing may go back to pending; migrating may not, as keys are on both
//! groups by then.
//!
//! The one rule: once any proxy may act on "migrating", none sends a client's command for the slot to the
//! group that it leaves. It holds because the step to migrating is refused while the barrier of the
//! preparing waits.

use super::limits::SLOT_COUNT;
use super::refusal::Refusal;
use super::settings::{self, Setting};
use super::{barrier, groups, promotion, slots, text};
use codis_proto::meta::v1 as pb;
use pb::RefusalCode as Code;
use pb::SlotStep as Step;
use pb::slot_action::{Migrating, Pending, Phase};
use std::collections::BTreeSet;

/// How many groups that once had a slot are remembered.
const GIVEN_AWAY_MAX: usize = 16;

fn phase(slot: &pb::Slot) -> Option<&Phase> {
    slot.action.as_ref()?.phase.as_ref()
}

/// Whether the slot is at its barrier.
pub(super) fn is_preparing(slot: &pb::Slot) -> bool {
    matches!(phase(slot), Some(Phase::Preparing(_)))
}

fn is_migrating(slot: &pb::Slot) -> bool {
    matches!(phase(slot), Some(Phase::Migrating(_)))
}

/// Refuses while a slot that comes to the group or leaves it is at its barrier.
pub(super) fn refuse_preparing(data: &pb::State, group: u32) -> Result<(), Refusal> {
    let touches = |slot: &pb::Slot| {
        slot.group == group || slot.action.as_ref().is_some_and(|action| action.target == group)
    };
    slots::refuse_where(
        data,
        0..=SLOT_COUNT - 1,
        Code::SlotBusy,
        |slot| is_preparing(slot) && touches(slot),
        |found| {
            format!(
                "slots of group {group} that are about to move: {found}: try again in a moment, or \
                 cancel their actions"
            )
        },
    )
}

pub(super) fn create(data: &mut pb::State, change: &pb::SlotActionCreate) -> Result<(), Refusal> {
    let slots = slots::indices(change.slots.as_ref())?;
    let target = change.target;
    groups::get_with_master(data, target)?;
    slots::refuse_where(
        data,
        slots.clone(),
        Code::SlotOffline,
        |slot| slot.group == 0,
        |found| format!("offline slots: {found}: there is nothing to move, assign them"),
    )?;
    slots::refuse_where(
        data,
        slots.clone(),
        Code::SlotBusy,
        |slot| slot.action.is_some(),
        |found| format!("slots that have an action: {found}: wait for its end, or cancel it"),
    )?;
    slots::refuse_where(
        data,
        slots.clone(),
        Code::ActionTarget,
        |slot| slot.group == target,
        |found| format!("slots on group {target} already: {found}: name another target"),
    )?;
    for slot in slots {
        data.order_last += 1;
        let phase = Some(Phase::Pending(Pending {}));
        let action =
            pb::SlotAction { target, order: data.order_last, failure: String::new(), phase };
        data.slots[slot].action = Some(action);
    }
    Ok(())
}

pub(super) fn cancel(data: &mut pb::State, change: &pb::SlotActionCancel) -> Result<(), Refusal> {
    let slots = slots::indices(change.slots.as_ref())?;
    slots::refuse_where(data, slots.clone(), Code::ActionPhase, is_migrating, |found| {
        format!(
            "slots whose keys are moving: {found}: their keys are on both groups; let the action \
             end, then move them back"
        )
    })?;
    let any = slots.clone().any(|slot| data.slots[slot].action.is_some());
    Refusal::unless(any, Code::ActionPhase, || {
        format!("slots {} to {} have no action to cancel", slots.start(), slots.end())
    })?;
    data.slots[slots].iter_mut().for_each(|slot| slot.action = None);
    Ok(())
}

pub(super) fn advance(
    data: &mut pb::State,
    change: &pb::SlotActionAdvance,
    now: u64,
) -> Result<(), Refusal> {
    let chosen = chosen_slots(change)?;
    let step = change.step();
    for &slot in &chosen {
        check_phase(data, slot, step, change.phase_epoch)?;
    }
    match step {
        Step::Prepare => check_prepare(data, &chosen)?,
        Step::Migrate => barrier::refuse_open(data, change.phase_epoch)?,
        _ => {}
    }
    // Both phases are visible to proxies, so that entering them makes the next epoch.
    let epoch = data.epoch + 1;
    let deadline_unix_ms = promotion::deadline(data, now);
    for slot in chosen {
        let slot = &mut data.slots[slot];
        let Some(action) = slot.action.as_mut() else { continue };
        match step {
            Step::Prepare => {
                action.phase = Some(Phase::Preparing(pb::Barrier { epoch, deadline_unix_ms }));
            }
            Step::Migrate => action.phase = Some(Phase::Migrating(Migrating { epoch })),
            Step::Done => {
                let (from, to) = (slot.group, action.target);
                slot.given_away_by.retain(|group| ![from, to].contains(group));
                slot.given_away_by.push(from);
                let surplus = slot.given_away_by.len().saturating_sub(GIVEN_AWAY_MAX);
                slot.given_away_by.drain(..surplus);
                slot.group = to;
                slot.action = None;
            }
            Step::RollBack => {
                action.phase = Some(Phase::Pending(Pending {}));
                action.failure = text::reason(&change.reason);
            }
            Step::Note => action.failure = text::reason(&change.reason),
            Step::Unspecified => {}
        }
    }
    Ok(())
}

fn chosen_slots(change: &pb::SlotActionAdvance) -> Result<BTreeSet<usize>, Refusal> {
    let chosen: BTreeSet<usize> = change.slots.iter().map(|&slot| slot as usize).collect();
    let good = !chosen.is_empty()
        && chosen.len() == change.slots.len()
        && chosen.last().is_some_and(|&last| last < SLOT_COUNT);
    Refusal::unless(good, Code::InvalidValue, || {
        format!(
            "the slots of a step are distinct, between 0 and {}, and at least one",
            SLOT_COUNT - 1
        )
    })?;
    Ok(chosen)
}

/// Refuses unless the slot is in the phase that the step is for, and of that epoch.
fn check_phase(data: &pb::State, slot: usize, step: Step, epoch: u64) -> Result<(), Refusal> {
    let found = phase(&data.slots[slot]);
    let is_at = match found {
        None => {
            let message = format!("slot {slot} has no action: look at its state");
            return Err(Refusal::new(Code::ActionPhase, message));
        }
        Some(Phase::Pending(_)) => 0,
        Some(Phase::Preparing(barrier)) => barrier.epoch,
        Some(Phase::Migrating(migrating)) => migrating.epoch,
    };
    let (needs, is_there) = match step {
        Step::Unspecified => {
            let message = "the command names no step of an action: report it";
            return Err(Refusal::new(Code::Malformed, message));
        }
        Step::Prepare => ("pending", matches!(found, Some(Phase::Pending(_)))),
        Step::Migrate | Step::RollBack => ("preparing", matches!(found, Some(Phase::Preparing(_)))),
        Step::Done => ("migrating", matches!(found, Some(Phase::Migrating(_)))),
        Step::Note => ("in that phase", true),
    };
    Refusal::unless(is_there && is_at == epoch, Code::ActionPhase, || {
        format!("slot {slot}'s action is not {needs} since epoch {epoch}: look at its state")
    })
}

fn check_prepare(data: &pb::State, chosen: &BTreeSet<usize>) -> Result<(), Refusal> {
    let paused = settings::flag(data, Setting::MigrationDisabled);
    Refusal::unless(!paused, Code::ActionsPaused, || {
        "slot actions are paused: resume them (migration_disabled = false)".into()
    })?;
    for &slot in chosen {
        let slot = &data.slots[slot];
        let target = slot.action.as_ref().map_or(0, |action| action.target);
        for id in [slot.group, target] {
            let group = groups::get(data, id)?;
            if promotion::parks(group) {
                groups::refuse_promoting(group)?;
            }
        }
    }
    let active = data.slots.iter().filter(|slot| is_preparing(slot) || is_migrating(slot)).count();
    let max = settings::number(data, Setting::MigrationParallelSlots);
    Refusal::unless((active + chosen.len()) as u64 <= max, Code::LimitReached, || {
        format!(
            "{active} slots are moving and {max} may (migration_parallel_slots): wait for some to \
             end, or raise it"
        )
    })
}
