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

/// A slot and the group that it is to go to.
type Move = (usize, u32);

pub(super) fn create(data: &mut pb::State, change: &pb::SlotActionCreate) -> Result<(), Refusal> {
    let moves = match change.moves.is_empty() {
        true => moves_of_range(data, change)?,
        false => named_moves(data, &change.moves)?,
    };
    for (slot, target) in moves {
        data.order_last += 1;
        let phase = Some(Phase::Pending(Pending {}));
        let action =
            pb::SlotAction { target, order: data.order_last, failure: String::new(), phase };
        data.slots[slot].action = Some(action);
    }
    Ok(())
}

/// The moves that a range means, at least one.
fn moves_of_range(data: &pb::State, change: &pb::SlotActionCreate) -> Result<Vec<Move>, Refusal> {
    let slots = slots::indices(change.slots.as_ref())?;
    let (target, from) = (change.target, change.from);
    groups::get_with_master(data, target)?;
    if from == 0 {
        refuse_elsewhere(data, slots.clone(), target)?;
    } else {
        groups::get(data, from)?;
    }
    let is_wanted = |slot: &pb::Slot| {
        let is_there = if from == 0 { slot.group != target } else { slot.group == from };
        is_there && slot.action.is_none()
    };
    let count = if change.count == 0 { SLOT_COUNT } else { change.count as usize };
    let wanted = slots.clone().filter(|&slot| is_wanted(&data.slots[slot]) && from != target);
    let moves: Vec<Move> = wanted.take(count).map(|slot| (slot, target)).collect();
    Refusal::unless(!moves.is_empty(), Code::ActionTarget, || {
        let (first, last) = (slots.start(), slots.end());
        let which = match from {
            0 => format!("every slot from {first} to {last}"),
            from => format!("every slot from {first} to {last} that is on group {from}"),
        };
        format!(
            "there is nothing to move: {which} is on group {target} already, or has an action: see \
             the list of slots"
        )
    })?;
    Ok(moves)
}

/// Refuses slots that cannot go to `target`: those that are offline, or on their way to elsewhere.
fn refuse_elsewhere(
    data: &pb::State,
    slots: std::ops::RangeInclusive<usize>,
    target: u32,
) -> Result<(), Refusal> {
    refuse_offline(data, slots.clone())?;
    slots::refuse_where(
        data,
        slots,
        Code::SlotBusy,
        |slot| slot.action.as_ref().is_some_and(|action| action.target != target),
        |found| format!("slots that move to another group: {found}: wait for their end, or cancel"),
    )
}

fn refuse_offline(data: &pb::State, slots: impl IntoIterator<Item = usize>) -> Result<(), Refusal> {
    slots::refuse_where(
        data,
        slots,
        Code::SlotOffline,
        |slot| slot.group == 0,
        |found| format!("offline slots: {found}: there is nothing to move, assign them"),
    )
}

/// The moves of a plan, if all of them can be made as they were planned.
fn named_moves(data: &pb::State, moves: &[pb::SlotMove]) -> Result<Vec<Move>, Refusal> {
    let chosen = distinct(moves.iter().map(|one| one.slot))?;
    refuse_offline(data, chosen.iter().copied())?;
    slots::refuse_where(
        data,
        chosen.iter().copied(),
        Code::SlotBusy,
        |slot| slot.action.is_some(),
        |found| format!("slots that have an action: {found}: wait for its end, or cancel it"),
    )?;
    for pb::SlotMove { slot, from, target } in moves {
        let group = data.slots[*slot as usize].group;
        Refusal::unless(group == *from, Code::EpochConflict, || {
            format!(
                "slot {slot} is on group {group} by now, not on {from}: look again, then decide"
            )
        })?;
        Refusal::unless(group != *target, Code::ActionTarget, || {
            format!("slot {slot} is on group {target} already: name another target")
        })?;
        groups::get_with_master(data, *target)?;
    }
    Ok(moves.iter().map(|one| (one.slot as usize, one.target)).collect())
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
    let chosen = distinct(change.slots.iter().copied())?;
    let step = change.step();
    for &slot in &chosen {
        check_phase(data, slot, step, change.phase_epoch)?;
    }
    check_targets(data, change)?;
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
                slots::give_away(slot, from, to);
                slot.action = None;
            }
            Step::RollBack => {
                action.phase = Some(Phase::Pending(Pending {}));
                action.failure = text::reason(&change.reason);
            }
            // Nothing is in its way any more.
            Step::Note if change.reason.is_empty() => action.failure.clear(),
            Step::Note => action.failure = text::reason(&change.reason),
            Step::Unspecified => {}
        }
    }
    Ok(())
}

/// The slots, if each is one and named once.
fn distinct(named: impl ExactSizeIterator<Item = u32>) -> Result<BTreeSet<usize>, Refusal> {
    let count = named.len();
    let chosen: BTreeSet<usize> = named.map(|slot| slot as usize).collect();
    let good = !chosen.is_empty()
        && chosen.len() == count
        && chosen.last().is_some_and(|&last| last < SLOT_COUNT);
    Refusal::unless(good, Code::InvalidValue, || {
        format!(
            "the slots that are named are distinct, between 0 and {}, and at least one",
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

/// The slots are still to move to where the command takes them to be going.
fn check_targets(data: &pb::State, change: &pb::SlotActionAdvance) -> Result<(), Refusal> {
    let (slots, targets) = (&change.slots, &change.targets);
    Refusal::unless(targets.is_empty() || targets.len() == slots.len(), Code::Malformed, || {
        "the command names targets, but not one for each slot: report it".into()
    })?;
    for (&slot, &target) in slots.iter().zip(targets) {
        let action = data.slots[slot as usize].action.as_ref();
        Refusal::unless(
            action.is_some_and(|action| action.target == target),
            Code::ActionPhase,
            || format!("slot {slot} is not to move to group {target} any more: look at its state"),
        )?;
    }
    Ok(())
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
