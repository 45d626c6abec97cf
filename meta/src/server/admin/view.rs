//! The state together with what the leader saw and heard, as operators look at it.

use std::collections::BTreeMap;

use codis_proto::admin::v1 as api;
use codis_proto::meta::v1 as pb;

use crate::server::link::Links;
use crate::state::settings::{self, Setting};

/// What servers said of themselves, by address.
pub(super) type Facts = BTreeMap<String, api::ServerFacts>;

/// Every group, with its servers as they answered.
pub(super) fn groups(data: &pb::State, facts: &Facts) -> Vec<api::Group> {
    let mut slots = BTreeMap::<u32, u32>::new();
    for slot in &data.slots {
        *slots.entry(slot.group).or_default() += 1;
    }
    let count = |id| slots.get(&id).copied().unwrap_or(0);
    data.groups.values().map(|one| group(one, count(one.id), facts)).collect()
}

fn group(group: &pb::Group, slots: u32, facts: &Facts) -> api::Group {
    let servers: Vec<api::Server> =
        group.servers.iter().map(|server| self::server(server, facts)).collect();
    let out_of_sync = complaints(&servers).next().is_some();
    api::Group {
        gid: group.id,
        slots,
        promotion: group.promotion.clone(),
        promotion_failure: group.promotion_failure.clone(),
        out_of_sync,
        servers,
    }
}

fn server(server: &pb::Server, facts: &Facts) -> api::Server {
    api::Server {
        addr: server.address.clone(),
        datacenter: server.datacenter.clone(),
        replica_reads: server.replica_reads,
        sync: server.sync,
        sync_failure: server.sync_failure.clone(),
        facts: facts.get(&server.address).cloned(),
    }
}

/// What is not as it should be with a group's servers, each with its server.
pub(super) fn complaints(servers: &[api::Server]) -> impl Iterator<Item = (&api::Server, String)> {
    let master = servers.first().map(|server| server.addr.as_str());
    servers.iter().enumerate().filter_map(move |(place, server)| {
        let wanted = if place == 0 { None } else { master };
        Some((server, complaint(server, wanted)?))
    })
}

/// Why a server is not what the state wants it to be; `master` is whom it should follow.
fn complaint(server: &api::Server, master: Option<&str>) -> Option<String> {
    let Some(facts) = &server.facts else { return Some("has not been asked yet".to_owned()) };
    if !facts.error.is_empty() {
        return Some(format!("does not answer ({})", facts.error));
    }
    match master {
        None if facts.role != "master" => {
            Some(format!("follows {}, and should be a master", facts.master_addr))
        }
        None => None,
        Some(master) if facts.role == "master" => {
            Some(format!("is a master, and should follow {master}: sync it"))
        }
        Some(master) if !facts.master_addr.eq_ignore_ascii_case(master) => {
            Some(format!("follows {}, and should follow {master}: sync it", facts.master_addr))
        }
        Some(_) if !facts.master_link_up => Some("has lost its master".to_owned()),
        Some(_) if !server.sync_failure.is_empty() => {
            Some(format!("could not be synced ({})", server.sync_failure))
        }
        Some(_) => None,
    }
}

/// Every proxy, with its stream and its counters.
pub(super) fn proxies(data: &pb::State, links: &Links) -> api::Proxies {
    let one = |proxy: &pb::Proxy| {
        let (connected, stats_unix_ms, stats) = links.seen(&proxy.token);
        api::Proxy { model: Some(proxy.clone()), connected, stats_unix_ms, stats }
    };
    api::Proxies {
        proxies: data.proxies.values().map(one).collect(),
        leaving: data.leaving.keys().cloned().collect(),
    }
}

/// Every slot.
pub(super) fn slots(data: &pb::State) -> api::Slots {
    api::Slots { epoch: data.epoch, slots: data.slots.clone() }
}

/// The queue of moves, with the leader's figures of them.
pub(super) fn moves(data: &pb::State, figures: api::Moves) -> api::Moves {
    let queued = (0..).zip(&data.slots).filter_map(|(slot, one)| {
        let action = Some(one.action.clone()?);
        Some(api::Move { slot, from: one.group, action })
    });
    let mut moves: Vec<api::Move> = queued.collect();
    moves.sort_by_key(|one| one.action.as_ref().map(|action| action.order));
    api::Moves { moves, paused: settings::flag(data, Setting::MigrationDisabled), ..figures }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(facts: Option<api::ServerFacts>) -> api::Server {
        api::Server { addr: "b:2".to_owned(), facts, ..api::Server::default() }
    }

    fn facts(role: &str, master_addr: &str, master_link_up: bool) -> api::ServerFacts {
        let (role, master_addr) = (role.to_owned(), master_addr.to_owned());
        api::ServerFacts { role, master_addr, master_link_up, ..api::ServerFacts::default() }
    }

    #[test]
    fn a_server_that_is_what_it_should_be_gives_no_complaint() {
        assert_eq!(complaint(&server(Some(facts("master", "", false))), None), None);
        assert_eq!(complaint(&server(Some(facts("slave", "A:1", true))), Some("a:1")), None);
    }

    #[test]
    fn whatever_is_wrong_with_a_server_is_said() {
        let silent =
            api::ServerFacts { error: "refused".to_owned(), ..facts("slave", "a:1", true) };
        let mut unsynced = server(Some(facts("slave", "a:1", true)));
        unsynced.sync_failure = "no room".to_owned();
        for (server, master, words) in [
            (server(None), None, "not been asked"),
            (server(Some(silent)), Some("a:1"), "does not answer (refused)"),
            (
                server(Some(facts("slave", "c:3", true))),
                None,
                "follows c:3, and should be a master",
            ),
            (server(Some(facts("master", "", false))), Some("a:1"), "should follow a:1"),
            (
                server(Some(facts("slave", "c:3", true))),
                Some("a:1"),
                "follows c:3, and should follow a:1",
            ),
            (server(Some(facts("slave", "a:1", false))), Some("a:1"), "lost its master"),
            (unsynced, Some("a:1"), "could not be synced (no room)"),
        ] {
            let said = complaint(&server, master).expect(words);
            assert!(said.contains(words), "{said}");
        }
    }
}
