//! What is not as it should be, a sentence each, the most severe first.

use codis_proto::admin::v1 as api;
use codis_proto::meta::v1 as pb;
use pb::Presence;

use super::view;

/// How many of a list of names a sentence shows.
const SHOWN_MAX: usize = 5;

/// How much a warning matters; the first the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Severity {
    /// Clients get errors.
    Outage,
    /// The next failure may be one.
    Risk,
    /// Something is not finished or was given up.
    Note,
}

use Severity::{Note, Outage, Risk};

/// The warnings of a status; `retired_epoch` is that of the last removal of a proxy, `troubles` are what the leader
/// cannot do at the servers.
pub(super) fn of(status: &api::Status, retired_epoch: u64, troubles: Vec<String>) -> Vec<String> {
    let mut found = Vec::new();
    servers(status, &mut found);
    // A server that is complained of is not complained of twice.
    let is_new = |trouble: &String| {
        let addresses = groups(status).iter().flat_map(|group| view::complaints(&group.servers));
        !addresses.into_iter().any(|(server, _)| trouble.contains(&server.addr))
    };
    found.extend(troubles.into_iter().filter(is_new).map(|trouble| (Risk, trouble)));
    slots(status, &mut found);
    moves(status, &mut found);
    members(status, &mut found);
    proxies(status, retired_epoch, &mut found);
    // Those of one severity stay in the order above.
    found.sort_by_key(|(severity, _)| *severity);
    found.into_iter().map(|(_, sentence)| sentence).collect()
}

type Found = Vec<(Severity, String)>;

fn groups(status: &api::Status) -> &[api::Group] {
    status.groups.as_ref().map_or(&[], |groups| &groups.groups)
}

fn servers(status: &api::Status, found: &mut Found) {
    for group in groups(status) {
        let gid = group.gid;
        for (server, complaint) in view::complaints(&group.servers) {
            let is_master = group.servers.first().is_some_and(|master| master.addr == server.addr);
            let role = if is_master { "master" } else { "replica" };
            let severity = if is_master && group.slots > 0 { Outage } else { Risk };
            found.push((severity, format!("{role} {} of group {gid} {complaint}", server.addr)));
        }
        if let Some(promotion) = &group.promotion {
            found.push((
                Note,
                format!("group {gid}'s master is being changed to {}", promotion.target),
            ));
        }
        if !group.promotion_failure.is_empty() {
            found.push((
                Note,
                format!(
                    "the last change of group {gid}'s master was given up: {}",
                    group.promotion_failure
                ),
            ));
        }
    }
}

fn slots(status: &api::Status, found: &mut Found) {
    let slots = status.slots.iter().flat_map(|slots| (0u32..).zip(&slots.slots));
    let offline: Vec<u32> =
        slots.clone().filter(|(_, slot)| slot.group == 0).map(|(id, _)| id).collect();
    if let Some(first) = offline.first() {
        found.push((
            Outage,
            format!("{} slots are on no group, the first is {first}: assign them", offline.len()),
        ));
    }
    let failed = slots.filter_map(|(id, slot)| Some((id, slot.action.as_ref()?)));
    let failed: Vec<_> = failed.filter(|(_, action)| !action.failure.is_empty()).collect();
    if let Some((id, action)) = failed.first() {
        found.push((
            Note,
            format!(
                "{} slots wait to move after a failure, the first is {id}: {}",
                failed.len(),
                action.failure
            ),
        ));
    }
}

fn moves(status: &api::Status, found: &mut Found) {
    let slots = status.slots.iter().flat_map(|slots| &slots.slots);
    let count = slots.filter(|slot| slot.action.is_some()).count();
    if count > 0 && status.moves.as_ref().is_some_and(|moves| moves.paused) {
        found.push((
            Note,
            format!(
                "{count} slots have a move and moves are paused: resume them (migration_disabled = false)"
            ),
        ));
    }
}

fn members(status: &api::Status, found: &mut Found) {
    for member in status.members.iter().flat_map(|members| &members.members) {
        let api::Member { id, addr, .. } = member;
        if !member.fault.is_empty() {
            found.push((Risk, format!("member {id} takes no part: {}", member.fault)));
        } else if !member.active {
            found.push((Risk, format!("member {id} at {addr} does not answer")));
        } else if member.role == "learner" {
            found.push((Note, format!("member {id} has no vote yet: it catches up")));
        }
    }
}

fn proxies(status: &api::Status, retired_epoch: u64, found: &mut Found) {
    let Some(proxies) = &status.proxies else { return };
    let models = || proxies.proxies.iter().filter_map(|proxy| proxy.model.as_ref());
    let tokens = |wanted: &dyn Fn(&&pb::Proxy) -> bool| -> Vec<&str> {
        models().filter(|model| wanted(model)).map(|model| model.token.as_str()).collect()
    };
    let lost = tokens(&|model| model.presence() == Presence::Lost);
    if !lost.is_empty() {
        found.push((
            Risk,
            format!(
                "proxies are not connected to the group and may serve clients all the same: {}",
                some_of(&lost)
            ),
        ));
    }
    let behind =
        tokens(&|model| model.presence() == Presence::Online && model.acked_epoch < status.epoch);
    if !behind.is_empty() {
        found.push((
            Note,
            format!("proxies do not work by epoch {} yet: {}", status.epoch, some_of(&behind)),
        ));
    }
    if !proxies.leaving.is_empty() {
        let leaving: Vec<&str> = proxies.leaving.iter().map(String::as_str).collect();
        found.push((
            Risk,
            format!(
                "proxies were removed by force and are not shut out of every server yet: {}",
                some_of(&leaving)
            ),
        ));
    }
    if status.fence_epoch < retired_epoch {
        found.push((
            Note,
            format!(
                "the fence on the masters is at epoch {}, and a proxy was removed at {retired_epoch}: the next barrier \
                 writes it anew",
                status.fence_epoch
            ),
        ));
    }
}

/// Some of `names` and how many more there are.
fn some_of(names: &[&str]) -> String {
    let shown = names[..names.len().min(SHOWN_MAX)].join(", ");
    match names.len().saturating_sub(SHOWN_MAX) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound() -> api::Status {
        let facts = api::ServerFacts { role: "master".into(), ..Default::default() };
        let server = api::Server { addr: "a:1".into(), facts: Some(facts), ..Default::default() };
        let group = api::Group { gid: 1, servers: vec![server], slots: 1024, ..Default::default() };
        let slot = pb::Slot { group: 1, ..Default::default() };
        let model = pb::Proxy { token: "p".into(), acked_epoch: 7, ..Default::default() };
        let proxy = api::Proxy { model: Some(model), ..Default::default() };
        let member =
            api::Member { id: 1, active: true, role: "leader".into(), ..Default::default() };
        api::Status {
            epoch: 7,
            groups: Some(api::Groups { groups: vec![group] }),
            slots: Some(api::Slots { epoch: 7, slots: vec![slot; 1024] }),
            proxies: Some(api::Proxies { proxies: vec![proxy], leaving: vec![] }),
            members: Some(api::Members { members: vec![member], ..Default::default() }),
            ..Default::default()
        }
    }

    #[test]
    fn a_sound_product_gives_no_warning() {
        assert_eq!(of(&sound(), 0, Vec::new()), Vec::<String>::new());
    }

    #[test]
    fn each_thing_that_is_wrong_is_a_warning_and_outages_come_first() {
        let mut status = sound();
        status.epoch = 8;
        if let Some(members) = &mut status.members {
            members.members[0].active = false;
        }
        if let Some(slots) = &mut status.slots {
            slots.slots[5].group = 0;
            let failure = "no room".to_owned();
            slots.slots[6].action = Some(pb::SlotAction { failure, ..Default::default() });
        }
        status.moves = Some(api::Moves { paused: true, ..Default::default() });
        if let Some(proxies) = &mut status.proxies {
            let lost = pb::Proxy {
                token: "l".into(),
                presence: Presence::Lost.into(),
                ..Default::default()
            };
            proxies.proxies.push(api::Proxy { model: Some(lost), ..Default::default() });
            proxies.leaving.push("f".into());
        }
        if let Some(groups) = &mut status.groups {
            groups.groups[0].servers[0].facts = None;
            groups.groups[0].promotion_failure = "it was slow".into();
        }
        let warnings = of(
            &status,
            6,
            vec!["the fence cannot be written".to_owned(), "a:1 is down".to_owned()],
        );
        for (place, words) in [
            (0, "master a:1 of group 1 has not been asked"),
            (1, "1 slots are on no group, the first is 5"),
            (2, "the fence cannot be written"),
            (3, "member 1 at"),
            (4, "not connected to the group and may serve clients all the same: l"),
            (5, "not shut out of every server yet: f"),
            (6, "given up: it was slow"),
            (7, "the first is 6: no room"),
            (8, "1 slots have a move and moves are paused"),
            (9, "do not work by epoch 8 yet: p"),
            (10, "a proxy was removed at 6"),
        ] {
            assert!(warnings[place].contains(words), "{place}: {}", warnings[place]);
        }
        assert_eq!(warnings.len(), 11);
    }

    #[test]
    fn long_lists_are_shortened() {
        assert_eq!(some_of(&["1", "2", "3", "4", "5", "6", "7"]), "1, 2, 3, 4, 5 and 2 more");
    }
}
