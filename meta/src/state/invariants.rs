//! What holds between all changes. A snapshot is checked by it when read, and the tests check it after each
//! of their random commands.

use super::address::{self, Kind};
use super::limits::{
    GROUP_ID_MAX, GROUP_SERVERS_MAX, MEMBERS_SEEN_MAX, NAME_BYTES_MAX, PROXIES_MAX, REMEMBERED_MAX,
    SENTINELS_MAX, SLOT_COUNT,
};
use super::slots::GIVEN_AWAY_MAX;
use super::{actions, promotion, settings, text};
use codis_proto::meta::v1 as pb;
use pb::promotion::Phase as PromotionPhase;
use pb::slot_action::Phase as SlotPhase;
use std::collections::BTreeSet;

/// No counter comes near this in the life of a product; one that has is damaged.
const COUNT_MAX: u64 = 1 << 62;

/// Checks every invariant.
///
/// # Errors
/// A sentence that says which does not hold, and where.
pub fn check(data: &pb::State) -> Result<(), String> {
    check_header(data)?;
    let mut orders = BTreeSet::new();
    check_groups(data, &mut orders)?;
    check_slots(data, &mut orders)?;
    check_proxies(data)?;
    check_sentinels(data)?;
    check_members(data)?;
    check_settings(data)?;
    check_remembered(data)
}

fn ensure(holds: bool, message: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(message()) }
}

fn check_header(data: &pb::State) -> Result<(), String> {
    ensure(data.version != 0, || "it has no version".into())?;
    ensure(data.slots.len() == SLOT_COUNT, || format!("it has {} slots", data.slots.len()))?;
    if data.product.is_empty() {
        let empty = super::State::new().data;
        return ensure(*data == pb::State { version: data.version, ..empty }, || {
            "it has content, but no product".into()
        });
    }
    ensure(text::check_name("product", &data.product).is_ok(), || "its product's name".into())?;
    ensure(data.cluster != 0, || "its product has no cluster id".into())?;
    let counts = [data.epoch, data.order_last, data.proxy_id_last, data.removals];
    ensure(counts.iter().all(|count| *count < COUNT_MAX), || "a counter is out of range".into())?;
    ensure(data.fence_epoch <= data.epoch, || "its fence is ahead of its epoch".into())?;
    ensure(data.retired_epoch <= data.epoch, || "a removal is ahead of its epoch".into())?;
    ensure((data.removals == 0) == (data.retired_epoch == 0), || "its count of removals".into())
}

/// An order is given once, and counted.
fn check_order(data: &pb::State, orders: &mut BTreeSet<u64>, order: u64) -> Result<(), String> {
    let good = order > 0 && order <= data.order_last && orders.insert(order);
    ensure(good, || format!("the order {order} is given twice or was never given"))
}

fn check_groups(data: &pb::State, orders: &mut BTreeSet<u64>) -> Result<(), String> {
    let mut addresses = BTreeSet::new();
    for (id, group) in &data.groups {
        let good = *id == group.id && (1..=GROUP_ID_MAX).contains(id);
        ensure(good, || format!("group {id} has a wrong id"))?;
        ensure(group.servers.len() <= GROUP_SERVERS_MAX, || format!("group {id} is too large"))?;
        for (position, server) in group.servers.iter().enumerate() {
            let place = &server.address;
            ensure(is_canonical(place, Kind::TcpOrPath), || format!("the address {place:?}"))?;
            ensure(addresses.insert(place), || format!("{place} is a server twice"))?;
            ensure(!data.sentinels.contains_key(place), || format!("{place} is a sentinel too"))?;
            if let Some(sync) = &server.sync {
                ensure(position != 0, || format!("{place} is a master and is synced"))?;
                check_order(data, orders, sync.order)?;
            }
        }
        check_running_syncs(group)?;
        check_promotion(data, group)?;
    }
    Ok(())
}

fn is_canonical(text: &str, kind: Kind) -> bool {
    address::canonical(text, kind).is_ok_and(|spelling| spelling == text)
}

fn check_running_syncs(group: &pb::Group) -> Result<(), String> {
    let running = |server: &&pb::Server| server.sync.as_ref().is_some_and(|sync| sync.running);
    let count = group.servers.iter().filter(running).count();
    let max = if group.promotion.is_none() { 1 } else { 0 };
    ensure(count <= max, || format!("group {} has too many syncs that run", group.id))
}

fn check_promotion(data: &pb::State, group: &pb::Group) -> Result<(), String> {
    let Some(promotion) = &group.promotion else { return Ok(()) };
    let wrong = |what: &str| Err(format!("group {}'s promotion: {what}", group.id));
    if promotion.epoch == 0 || promotion.epoch > data.epoch {
        return wrong("its epoch");
    }
    let (new, old) = match &promotion.phase {
        None => return wrong("it has no phase"),
        Some(PromotionPhase::Preparing(barrier)) if barrier.epoch != promotion.epoch => {
            return wrong("its barrier's epoch");
        }
        Some(PromotionPhase::Finished(_)) => (&promotion.previous, &promotion.target),
        Some(_) => (&promotion.target, &promotion.previous),
    };
    let is_master = |address: &String| group.servers.first().is_some_and(|s| s.address == *address);
    let is_replica = |address: &String| group.servers.iter().skip(1).any(|s| s.address == *address);
    if !is_master(old) || !is_replica(new) {
        return wrong("its servers are not where its phase has them");
    }
    Ok(())
}

fn check_slots(data: &pb::State, orders: &mut BTreeSet<u64>) -> Result<(), String> {
    for (number, slot) in data.slots.iter().enumerate() {
        if slot.group != 0 {
            check_owner(data, number, slot.group)?;
        }
        check_given_away(data, number, slot)?;
        let Some(action) = &slot.action else { continue };
        ensure(slot.group != 0, || format!("slot {number} is offline and has an action"))?;
        ensure(slot.group != action.target, || format!("slot {number} moves to where it is"))?;
        check_owner(data, number, action.target)?;
        check_order(data, orders, action.order)?;
        check_action_phase(data, number, action)?;
        let parked = |id: &u32| data.groups.get(id).is_some_and(promotion::parks);
        let both = actions::is_preparing(slot) && (parked(&slot.group) || parked(&action.target));
        ensure(!both, || format!("slot {number} is at its barrier while a master changes"))?;
    }
    Ok(())
}

/// Groups that may have leftovers of a slot are known, and are not the one that has its keys.
fn check_given_away(data: &pb::State, number: usize, slot: &pb::Slot) -> Result<(), String> {
    let givers: BTreeSet<u32> = slot.given_away_by.iter().copied().collect();
    let count = slot.given_away_by.len();
    let good = givers.len() == count && count <= GIVEN_AWAY_MAX && !givers.contains(&slot.group);
    ensure(good, || format!("slot {number} was given away by its group, or by one twice"))?;
    givers.iter().try_for_each(|id| check_owner(data, number, *id))
}

fn check_owner(data: &pb::State, slot: usize, id: u32) -> Result<(), String> {
    let found = data.groups.get(&id);
    let good = found.is_some_and(|group| !group.servers.is_empty());
    ensure(good, || format!("slot {slot} is on group {id}, which is missing or empty"))
}

fn check_action_phase(
    data: &pb::State,
    slot: usize,
    action: &pb::SlotAction,
) -> Result<(), String> {
    let epoch = match &action.phase {
        None => return Err(format!("slot {slot}'s action has no phase")),
        Some(SlotPhase::Pending(_)) => return Ok(()),
        Some(SlotPhase::Preparing(barrier)) => barrier.epoch,
        Some(SlotPhase::Migrating(migrating)) => migrating.epoch,
    };
    ensure(epoch > 0 && epoch <= data.epoch, || {
        format!("slot {slot}'s action is ahead of its epoch")
    })
}

fn check_proxies(data: &pb::State) -> Result<(), String> {
    let count = data.proxies.len() + data.leaving.len();
    ensure(count <= PROXIES_MAX, || format!("it has {count} proxies"))?;
    let (mut ids, mut admin_addrs) = (BTreeSet::new(), BTreeSet::new());
    for (token, proxy) in &data.proxies {
        let named = *token == proxy.token && text::check_name("token", token).is_ok();
        ensure(named, || format!("proxy {token:?} has a wrong token"))?;
        let id = proxy.id > 0 && proxy.id <= data.proxy_id_last && ids.insert(proxy.id);
        ensure(id, || format!("proxy {token} has a wrong id"))?;
        let admin =
            is_canonical(&proxy.admin_addr, Kind::Tcp) && admin_addrs.insert(&proxy.admin_addr);
        ensure(admin, || format!("proxy {token} has a wrong admin address"))?;
        let addr = is_canonical(&proxy.proxy_addr, Kind::TcpOrPath);
        ensure(addr, || format!("proxy {token} has a wrong address"))?;
        let presence = pb::Presence::try_from(proxy.presence).is_ok();
        ensure(presence, || format!("proxy {token} has a wrong presence"))?;
        ensure(proxy.acked_epoch <= data.epoch, || format!("proxy {token} is ahead of the epoch"))?;
        ensure(proxy.fenced_epoch <= data.fence_epoch, || format!("proxy {token}'s fence"))?;
    }
    for (token, leaving) in &data.leaving {
        let good = leaving.epoch > 0 && leaving.epoch <= data.retired_epoch;
        ensure(good, || format!("proxy {token} leaves after the last removal"))?;
    }
    Ok(())
}

fn check_sentinels(data: &pb::State) -> Result<(), String> {
    ensure(data.sentinels.len() <= SENTINELS_MAX, || "it has too many sentinels".into())?;
    match data.sentinels.keys().find(|address| !is_canonical(address, Kind::Tcp)) {
        Some(address) => Err(format!("the sentinel {address:?}")),
        None => Ok(()),
    }
}

fn check_members(data: &pb::State) -> Result<(), String> {
    let count = data.members_seen.len();
    ensure(count <= MEMBERS_SEEN_MAX, || format!("it has seen {count} members"))?;
    let good = |(id, record): (&u64, &pb::MemberRecord)| {
        *id != 0 && text::check_text("version", &record.version, NAME_BYTES_MAX).is_ok()
    };
    ensure(data.members_seen.iter().all(good), || "a member that it has seen".into())
}

fn check_settings(data: &pb::State) -> Result<(), String> {
    for (name, value) in &data.settings {
        let spec =
            settings::find(name).ok_or_else(|| format!("the setting {name:?} is unknown"))?;
        let canonical = spec.values.canonical(value);
        let good = canonical.as_ref() == Some(value) && value != spec.default;
        ensure(good, || format!("the setting {name} is {value:?}"))?;
    }
    Ok(())
}

fn check_remembered(data: &pb::State) -> Result<(), String> {
    let count = data.remembered.len();
    ensure(count <= REMEMBERED_MAX, || format!("it remembers {count} requests"))?;
    let mut ids = BTreeSet::new();
    let mut last = (0, 0);
    for entry in &data.remembered {
        let id = (entry.client, entry.request);
        ensure(entry.client != 0 && ids.insert(id), || "it remembers a request twice".into())?;
        let now = (entry.index, entry.time_unix_ms);
        let rises = now.0 > last.0 && now.1 >= last.1 && now.1 <= data.time_unix_ms;
        ensure(rises, || "what it remembers is out of order".into())?;
        ensure(entry.epoch <= data.epoch, || "it remembers an epoch ahead of its own".into())?;
        last = now;
    }
    Ok(())
}
