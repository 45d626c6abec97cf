//! What there is, as tables.

use super::moves::{Alike, alike};
use codis_proto::admin::v1 as api;
use codis_proto::meta::v1 as meta;
use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{Cell, Color, ContentArrangement, Table};
use std::collections::BTreeMap;
use std::io::IsTerminal as _;

pub(super) fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY).set_header(header);
    // Elsewhere lines are as long as they are: a script or a log wraps nothing.
    if std::io::stdout().is_terminal() {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    table
}

/// A cell that is red where something is wrong.
fn judged(text: impl ToString, good: bool) -> Cell {
    let cell = Cell::new(text);
    if good { cell } else { cell.fg(Color::Red) }
}

/// Everything, one part below the other.
pub(crate) fn status(status: &api::Status) -> String {
    let mut parts = vec![format!(
        "product {}, epoch {}, servers fenced at epoch {}",
        status.product, status.epoch, status.fence_epoch
    )];
    if let Some(found) = &status.members {
        parts.push(members(found));
    }
    if let Some(found) = &status.groups {
        parts.push(groups(&found.groups));
    }
    if let Some(found) = &status.slots {
        parts.push(slots(&found.slots));
    }
    if let Some(found) = &status.proxies {
        parts.push(proxies(found, Some(status.epoch)));
    }
    if !status.sentinels.is_empty() {
        parts.push(format!("sentinels: {}", status.sentinels.join(", ")));
    }
    parts.extend(status.warnings.iter().map(|warning| format!("warning: {warning}")));
    parts.join("\n")
}

/// The members of the metadata group.
pub(crate) fn members(members: &api::Members) -> String {
    let mut table = table(["member", "address", "role", "log", "version", "state"]);
    for member in &members.members {
        let heard = member.active || member.id == members.leader;
        let state = match (member.fault.as_str(), heard) {
            ("", true) => "takes part".to_owned(),
            ("", false) => "is not heard of".to_owned(),
            (fault, _) => fault.to_owned(),
        };
        let lag = members.commit_index.saturating_sub(member.matched);
        let log = if lag == 0 { format!("{}", member.matched) } else { format!("-{lag}") };
        table.add_row([
            Cell::new(member.id),
            Cell::new(&member.addr),
            Cell::new(&member.role),
            Cell::new(log),
            Cell::new(&member.version),
            judged(state, heard && member.fault.is_empty()),
        ]);
    }
    let led = match members.leader {
        0 => "no member leads".to_owned(),
        leader => format!("member {leader} leads in term {}", members.term),
    };
    format!("{led}, entry {} is committed\n{table}", members.commit_index)
}

/// The groups with their servers.
pub(crate) fn groups(groups: &[api::Group]) -> String {
    if groups.is_empty() {
        return "there is no group yet: see `codis-admin group create --help`".to_owned();
    }
    let mut table =
        table(["group", "slots", "server", "role", "state", "memory", "keys", "version"]);
    for group in groups {
        if group.servers.is_empty() {
            table.add_row([group.gid.to_string(), group.slots.to_string(), "(none)".to_owned()]);
        }
        for (place, server) in group.servers.iter().enumerate() {
            let first = |text: u32| if place == 0 { text.to_string() } else { String::new() };
            let facts = server.facts.clone().unwrap_or_default();
            let (state, good) = server_state(server, place == 0);
            let mut name = server.addr.clone();
            if !server.datacenter.is_empty() {
                name.push_str(&format!(" ({})", server.datacenter));
            }
            table.add_row([
                Cell::new(first(group.gid)),
                Cell::new(first(group.slots)),
                Cell::new(name),
                Cell::new(if place == 0 { "master" } else { "replica" }),
                judged(state, good),
                Cell::new(bytes(facts.used_memory_bytes)),
                Cell::new(facts.keys),
                Cell::new(facts.version),
            ]);
        }
    }
    let mut text = table.to_string();
    for group in groups {
        if let Some(promotion) = &group.promotion {
            let target = &promotion.target;
            text.push_str(&format!("\ngroup {}: {target} is becoming its master", group.gid));
        }
        if !group.promotion_failure.is_empty() {
            let why = &group.promotion_failure;
            text.push_str(&format!("\ngroup {}: its master was not changed: {why}", group.gid));
        }
    }
    text
}

/// How a server is, and whether that is as it should be.
fn server_state(server: &api::Server, is_master: bool) -> (String, bool) {
    if let Some(sync) = &server.sync {
        return (if sync.running { "being synced" } else { "waits to be synced" }.to_owned(), true);
    }
    if !server.sync_failure.is_empty() {
        return (format!("not synced: {}", server.sync_failure), false);
    }
    match &server.facts {
        None => ("not asked yet".to_owned(), true),
        Some(facts) if !facts.error.is_empty() => (facts.error.clone(), false),
        Some(facts) if is_master && facts.role == "master" => ("serves".to_owned(), true),
        Some(facts) if is_master => (format!("is a replica of {}", facts.master_addr), false),
        Some(facts) if facts.role == "master" => ("is no replica: sync it".to_owned(), false),
        Some(facts) if facts.master_link_up => ("follows".to_owned(), true),
        Some(facts) => (format!("has no link to {}", facts.master_addr), false),
    }
}

/// Which group has which slots.
pub(crate) fn slots(slots: &[meta::Slot]) -> String {
    let mut by_group: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (number, slot) in (0..).zip(slots) {
        by_group.entry(slot.group).or_default().push(number);
    }
    let mut table = table(["slots of", "count", "slots"]);
    for (group, numbers) in &by_group {
        let name = match group {
            0 => judged("(offline)", false),
            group => Cell::new(format!("group {group}")),
        };
        table.add_row([name, Cell::new(numbers.len()), Cell::new(ranges(numbers))]);
    }
    let mut text = table.to_string();
    let actions = (0..)
        .zip(slots)
        .filter_map(|(number, slot)| Some((number, slot.group, slot.action.as_ref()?)));
    for Alike { slots, from, to, phase, failure } in alike(actions) {
        let slots = ranges(&slots);
        text.push_str(&format!("\nslots {slots} move from group {from} to {to}: {phase}"));
        if !failure.is_empty() {
            text.push_str(&format!(" ({failure})"));
        }
    }
    text
}

/// Rising numbers with runs as `0-511`.
pub(crate) fn ranges(numbers: &[u32]) -> String {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for &number in numbers {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => runs.push((number, number)),
        }
    }
    let words = runs.iter().map(|(first, last)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    });
    words.collect::<Vec<_>>().join(",")
}

/// The proxies; how far they are behind where the group's `epoch` is known.
pub(crate) fn proxies(proxies: &api::Proxies, epoch: Option<u64>) -> String {
    if proxies.proxies.is_empty() && proxies.leaving.is_empty() {
        return "there is no proxy yet: start one with --meta".to_owned();
    }
    let header = ["proxy", "address", "admin", "state", "epoch", "ops/s", "sessions", "token"];
    let mut table = table(header);
    for proxy in &proxies.proxies {
        let model = proxy.model.clone().unwrap_or_default();
        let stats = proxy.stats.clone().unwrap_or_default();
        let (state, good) = match model.presence() {
            meta::Presence::Online if proxy.connected => ("online", true),
            meta::Presence::Online => ("coming back", true),
            meta::Presence::Lost => ("lost", false),
            meta::Presence::Stopped => ("stopped", true),
        };
        let behind = epoch.is_some_and(|epoch| model.acked_epoch < epoch);
        table.add_row([
            Cell::new(model.id),
            Cell::new(model.proxy_addr),
            Cell::new(model.admin_addr),
            judged(state, good),
            judged(model.acked_epoch, !behind),
            Cell::new(stats.ops_per_second),
            Cell::new(stats.sessions_alive),
            Cell::new(model.token),
        ]);
    }
    let mut text = table.to_string();
    for token in &proxies.leaving {
        text.push_str(&format!("\nproxy {token} is being shut out of the servers"));
    }
    text
}

/// The product's settings.
pub(crate) fn settings(settings: &[api::Setting]) -> String {
    let mut table = table(["setting", "value", "default", "can be", "what it does"]);
    for setting in settings {
        let cells =
            [&setting.name, &setting.value, &setting.default, &setting.values, &setting.about];
        table.add_row(cells);
    }
    table.to_string()
}

/// A size as people read it.
pub(super) fn bytes(bytes: u64) -> String {
    let units = [(1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "KB")];
    match units.iter().find(|(size, _)| bytes >= *size) {
        Some((size, unit)) => format!("{:.1} {unit}", bytes as f64 / *size as f64),
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_slots_are_short() {
        assert_eq!(ranges(&[]), "");
        assert_eq!(ranges(&[5]), "5");
        assert_eq!(ranges(&[0, 1, 2, 7, 9, 10]), "0-2,7,9-10");
    }

    #[test]
    fn sizes_have_the_unit_that_fits() {
        assert_eq!(bytes(12), "12 B");
        assert_eq!(bytes(1536), "1.5 KB");
        assert_eq!(bytes(3 << 30), "3.0 GB");
    }

    #[test]
    fn a_replica_without_its_link_is_named_with_its_master() {
        let facts = api::ServerFacts {
            role: "slave".into(),
            master_addr: "10.0.0.1:6379".into(),
            ..Default::default()
        };
        let server = api::Server { facts: Some(facts), ..Default::default() };
        let expected = ("has no link to 10.0.0.1:6379".to_owned(), false);
        assert_eq!(server_state(&server, false), expected);
    }

    #[test]
    fn slots_are_shown_by_group_and_those_offline_first() {
        let slot = |group| meta::Slot { group, ..Default::default() };
        let action =
            meta::SlotAction { target: 7, failure: "no room".into(), ..Default::default() };
        let moving = meta::Slot { action: Some(action), ..slot(2) };
        let text = slots(&[slot(1), slot(1), slot(0), slot(2), moving]);
        let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("no {what} in {text}"));
        assert!(at("(offline)") < at("group 1") && at("0-1") < at("group 2"));
        at("slots 4 move from group 2 to 7: pending (no room)");
    }
}
