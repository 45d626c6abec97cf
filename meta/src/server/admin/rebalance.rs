//! Plans that even groups out, or empty one.

use std::collections::{BTreeMap, BTreeSet};

use api::rebalance_request::By;
use codis_proto::admin::v1 as api;
use codis_proto::meta::v1 as pb;
use futures_util::future::try_join_all;
use pb::RefusalCode as Code;
use tonic::{Request, Status};

use super::plan::{self, Move, Slot};
use super::{groups, moves};
use crate::drive::SlotWeight;
use crate::server::serving::Serving;
use crate::state::Refusal;

/// What a plan is made of.
struct Look {
    epoch: u64,
    /// The master of each group that has one.
    masters: BTreeMap<u32, String>,
    slots: Vec<pb::Slot>,
    notes: Vec<String>,
}

/// What the slots weigh, by group.
type Weights = BTreeMap<u32, Vec<SlotWeight>>;

/// Plans moves; none is made.
pub(super) async fn plan(
    serving: &Serving,
    request: Request<api::RebalanceRequest>,
) -> Result<api::RebalancePlan, Status> {
    let request = request.into_inner();
    let drained = request.drain_gid;
    let look = serving.node.read(move |state| look(state.data(), drained)).await??;
    let weights = match request.by() {
        By::Slots => Weights::new(),
        By::Bytes | By::Keys => weigh(serving, &look).await?,
    };
    let slots = weighed(&look.slots, request.by(), &weights);
    let groups: BTreeSet<u32> = look.masters.keys().copied().collect();
    let moves = match request.by() {
        _ if drained != 0 => plan::drain(&groups, &slots, drained),
        By::Slots => plan::even_slots(&groups, &slots),
        By::Bytes | By::Keys => plan::even_weights(&groups, &slots),
    };
    let planned = |one: &Move| api::PlannedMove { slot: one.slot, from: one.from, to: one.to };
    Ok(api::RebalancePlan {
        epoch: look.epoch,
        shares: shares(&groups, &slots, &moves),
        moves: moves.iter().map(planned).collect(),
        notes: look.notes,
    })
}

fn look(data: &pb::State, drained: u32) -> Result<Look, Refusal> {
    let with_master = data.groups.values().filter_map(|group| {
        let master = group.servers.first()?;
        Some((group.id, master.address.clone()))
    });
    let masters: BTreeMap<u32, String> = with_master.collect();
    let refused = |code, message: String| Err(Refusal { code, message });
    if drained != 0 && !data.groups.contains_key(&drained) {
        let message = format!("there is no group {drained}: see the list of groups");
        return refused(Code::GroupUnknown, message);
    }
    if !masters.keys().any(|group| *group != drained) {
        let message =
            "no group has a server that slots could go to: add a server to one".to_owned();
        return refused(Code::GroupEmpty, message);
    }
    let notes = notes(data, drained).chain(moves::promotions(data)).collect();
    Ok(Look { epoch: data.epoch, masters, slots: data.slots.clone(), notes })
}

/// What a plan says nothing of.
fn notes(data: &pb::State, drained: u32) -> impl Iterator<Item = String> + use<> {
    let count = |wanted: &dyn Fn(&&pb::Slot) -> bool| data.slots.iter().filter(wanted).count();
    let offline = count(&|slot| slot.group == 0);
    let moving = count(&|slot| slot.action.is_some());
    let coming = count(&|slot| slot.action.as_ref().is_some_and(|one| one.target == drained));
    [
        (offline, format!("{offline} slots are offline and not planned for")),
        (moving, format!("{moving} slots move already, and count where they go")),
        (coming, format!("{coming} of them move to group {drained}: cancel these moves first")),
    ]
    .into_iter()
    .filter_map(|(count, sentence)| (count > 0).then_some(sentence))
}

/// Walks the master of every group that has keys of slots.
async fn weigh(serving: &Serving, look: &Look) -> Result<Weights, Status> {
    let with_keys: BTreeSet<u32> = look.slots.iter().flat_map(groups_of).collect();
    let walks = look.masters.iter().filter(|(group, _)| with_keys.contains(group));
    let walks = walks.map(async |(group, master)| match serving.servers.weigh(master).await {
        Ok(weights) => Ok((*group, weights)),
        Err(why) => {
            let why =
                format!("group {group} cannot be weighed: {why}: plan by slots, or get it well");
            Err(groups::not_fit(serving, why))
        }
    });
    Ok(try_join_all(walks).await?.into_iter().collect())
}

/// The groups that may have keys of a slot.
fn groups_of(slot: &pb::Slot) -> impl Iterator<Item = u32> + use<> {
    let target = slot.action.as_ref().map(|action| action.target);
    std::iter::once(slot.group).chain(target)
}

/// The slots as the plan sees them; one that moves has keys on both its groups.
fn weighed(slots: &[pb::Slot], by: By, weights: &Weights) -> Vec<Slot> {
    let weight = |number: u32, group: u32| {
        let found = weights.get(&group).and_then(|slots| slots.get(number as usize));
        found.copied().unwrap_or_default()
    };
    let one = |(number, slot): (u32, &pb::Slot)| {
        let all = groups_of(slot).map(|group| weight(number, group));
        let weight = match by {
            By::Slots => 1,
            By::Bytes => all.map(|weight| weight.bytes).sum(),
            By::Keys => all.map(|weight| weight.keys).sum(),
        };
        let group = slot.action.as_ref().map_or(slot.group, |action| action.target);
        Slot { number, group, weight, moves: slot.action.is_some() }
    };
    (0..).zip(slots).filter(|(_, slot)| slot.group != 0).map(one).collect()
}

fn shares(groups: &BTreeSet<u32>, slots: &[Slot], moves: &[Move]) -> Vec<api::GroupShare> {
    let targets: BTreeMap<u32, u32> = moves.iter().map(|one| (one.slot, one.to)).collect();
    let empty = |gid: &u32| (*gid, api::GroupShare { gid: *gid, ..Default::default() });
    let mut shares: BTreeMap<u32, api::GroupShare> = groups.iter().map(empty).collect();
    for slot in slots {
        if let Some(share) = shares.get_mut(&slot.group) {
            share.slots_before += 1;
            share.weight_before += slot.weight;
        }
        let to = targets.get(&slot.number).unwrap_or(&slot.group);
        if let Some(share) = shares.get_mut(to) {
            share.slots_after += 1;
            share.weight_after += slot.weight;
        }
    }
    shares.into_values().collect()
}
