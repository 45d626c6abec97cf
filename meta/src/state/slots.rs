//! Which group has which slot, where no keys move: assigning offline slots and taking slots offline.
//! Moving is in `actions.rs`.

use super::limits::SLOT_COUNT;
use super::refusal::Refusal;
use super::{groups, text};
use codis_proto::meta::v1 as pb;
use pb::RefusalCode as Code;
use std::ops::RangeInclusive;

/// How many groups that once had a slot are remembered.
pub(super) const GIVEN_AWAY_MAX: usize = 16;

/// The slots of `range`.
pub(super) fn indices(range: Option<&pb::SlotRange>) -> Result<RangeInclusive<usize>, Refusal> {
    let range = range
        .ok_or_else(|| Refusal::new(Code::Malformed, "the command names no slots: report it"))?;
    let (first, last) = (range.first as usize, range.last as usize);
    Refusal::unless(first <= last && last < SLOT_COUNT, Code::InvalidValue, || {
        format!(
            "{first} to {last} are not slots: give the first and the last, between 0 and {}",
            SLOT_COUNT - 1
        )
    })?;
    Ok(first..=last)
}

/// Refuses if `wrong` is true of one of the slots. `message` is given their numbers.
pub(super) fn refuse_where(
    data: &pb::State,
    slots: impl IntoIterator<Item = usize>,
    code: Code,
    wrong: impl Fn(&pb::Slot) -> bool,
    message: impl FnOnce(String) -> String,
) -> Result<(), Refusal> {
    let found = slots.into_iter().filter(|&slot| wrong(&data.slots[slot]));
    let found: Vec<String> = found.map(|slot| slot.to_string()).collect();
    Refusal::unless(found.is_empty(), code, || {
        message(text::some_of(found.iter().map(String::as_str)))
    })
}

fn refuse_busy(data: &pb::State, slots: RangeInclusive<usize>) -> Result<(), Refusal> {
    refuse_where(
        data,
        slots,
        Code::SlotBusy,
        |slot| slot.action.is_some(),
        |found| format!("slots with an action: {found}: wait for its end, or cancel it"),
    )
}

pub(super) fn assign(data: &mut pb::State, change: &pb::SlotsAssign) -> Result<(), Refusal> {
    let slots = indices(change.slots.as_ref())?;
    let id = change.group;
    groups::refuse_promoting(groups::get_with_master(data, id)?)?;
    refuse_busy(data, slots.clone())?;
    refuse_where(
        data,
        slots.clone(),
        Code::SlotOwned,
        |slot| slot.group != 0 && slot.group != id,
        |found| {
            format!(
                "slots on another group: {found}: migrate them, or take them offline first, after \
                 which their keys are out of reach"
            )
        },
    )?;
    for slot in &mut data.slots[slots] {
        slot.group = id;
        // What the group has of the slot is the slot's data from here on, whatever it was before.
        slot.given_away_by.retain(|group| *group != id);
    }
    Ok(())
}

pub(super) fn offline(data: &mut pb::State, change: &pb::SlotsOffline) -> Result<(), Refusal> {
    let slots = indices(change.slots.as_ref())?;
    refuse_busy(data, slots.clone())?;
    data.slots[slots].iter_mut().for_each(|slot| slot.group = 0);
    Ok(())
}

/// Notes that `slot` has moved from `from`, which may have leftovers of it, to `to`, which has none.
pub(super) fn give_away(slot: &mut pb::Slot, from: u32, to: u32) {
    slot.given_away_by.retain(|group| ![from, to].contains(group));
    slot.given_away_by.push(from);
    let surplus = slot.given_away_by.len().saturating_sub(GIVEN_AWAY_MAX);
    slot.given_away_by.drain(..surplus);
    slot.group = to;
}

/// Forgets what a group has given away, as its servers are others from here on: what those hold was never the slots'.
pub(super) fn forget_leftovers(data: &mut pb::State, group: u32) {
    data.slots.iter_mut().for_each(|slot| slot.given_away_by.retain(|giver| *giver != group));
}
