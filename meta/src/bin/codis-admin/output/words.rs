//! What happened, as sentences.

use codis_proto::admin::v1 as api;
use codis_proto::meta::v1 as meta;
use meta::command::Change;

/// That a change was made: "group 1 is created (epoch 3)", and what the operator should know.
pub(crate) fn changed(what: &str, changed: &api::Changed) -> String {
    let mut text = format!("{what} (epoch {})", changed.epoch);
    for token in &changed.proxies_waiting {
        text.push_str(&format!("\nwarning: proxy {token} does not work by it yet"));
    }
    for note in &changed.notes {
        text.push_str(&format!("\nnote: {note}"));
    }
    text
}

/// One line of `watch`.
pub(crate) fn event(event: &api::WatchEvent) -> String {
    use api::watch_event::Event;
    match &event.event {
        Some(Event::Current(current)) => {
            let epoch = current.topology.as_ref().map_or(0, |topology| topology.epoch);
            format!("{:>8}  epoch {epoch}  watching from here", current.index)
        }
        Some(Event::Change(change)) => {
            let command = change.command.as_ref();
            let what = command.and_then(|command| command.change.as_ref()).map(change_words);
            let what = what.unwrap_or_else(|| "an unknown change".to_owned());
            let by = command.filter(|command| command.client != 0);
            let by = by.map_or("the leader".to_owned(), |by| format!("client {:016x}", by.client));
            format!("{:>8}  epoch {}  {what}, by {by}", change.index, change.epoch)
        }
        None => "an unknown event".to_owned(),
    }
}

fn slots(range: Option<meta::SlotRange>) -> String {
    let range = range.unwrap_or_default();
    format!("slots {} to {}", range.first, range.last)
}

fn list(slots: &[u32]) -> String {
    super::tables::ranges(slots)
}

fn change_words(change: &Change) -> String {
    match change {
        Change::GroupCreate(it) => format!("group {} is created", it.group),
        Change::GroupRemove(it) => format!("group {} is removed", it.group),
        Change::ServerAdd(it) => format!("{} is added to group {}", it.address, it.group),
        Change::ServerRemove(it) => format!("{} is out of group {}", it.address, it.group),
        Change::SlotsAssign(it) => format!("{} are on group {}", slots(it.slots), it.group),
        Change::SlotsOffline(it) => format!("{} are offline", slots(it.slots)),
        Change::SlotActionCreate(it) => {
            format!("{} are to move to group {}", slots(it.slots), it.target)
        }
        Change::SlotActionCancel(it) => format!("the moves of {} are cancelled", slots(it.slots)),
        Change::SlotActionAdvance(it) => {
            let step = it.step().as_str_name().trim_start_matches("SLOT_STEP_").to_lowercase();
            format!("slots {}: {step}", list(&it.slots))
        }
        Change::GroupPromoteBegin(it) => {
            format!("group {}: {} is to become its master", it.group, it.target)
        }
        Change::GroupPromoteAdvance(it) => {
            let step = it.step().as_str_name().trim_start_matches("PROMOTE_STEP_").to_lowercase();
            format!("group {}: the change of its master is {step}", it.group)
        }
        Change::GroupPromoteAbort(it) => {
            format!("group {}: the change of its master is given up: {}", it.group, it.reason)
        }
        Change::GroupPromoteFinish(it) => {
            format!("group {}: the change of its master is over", it.group)
        }
        Change::GroupSyncBegin(it) => format!("{} is to be synced", it.address),
        Change::GroupSyncAdvance(it) => format!("{} is being synced", it.address),
        Change::GroupSyncFinish(it) if it.failure.is_empty() => format!("{} is synced", it.address),
        Change::GroupSyncFinish(it) => format!("{} is not synced: {}", it.address, it.failure),
        Change::ProxyRegister(it) => format!("proxy {} at {} registers", it.token, it.admin_addr),
        Change::ProxyRemove(it) => format!("proxy {} is removed", it.token),
        Change::ProxyOffline(it) if it.stopped => format!("proxy {} stopped", it.token),
        Change::ProxyOffline(it) => format!("proxy {} is lost", it.token),
        Change::FenceAdvance(it) => format!("the servers are fenced at epoch {}", it.epoch),
        Change::SettingsSet(it) => {
            let pairs = it.values.iter().map(|(name, value)| format!("{name}={value}"));
            format!("settings: {}", pairs.collect::<Vec<_>>().join(" "))
        }
        // What is left is rare, or only shown with --all.
        other => {
            let text = format!("{other:?}");
            text.split(['(', ' ']).next().unwrap_or_default().to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_said_with_its_epoch_and_what_to_know() {
        let answer = api::Changed {
            epoch: 3,
            proxies_waiting: vec!["abc".into()],
            notes: vec!["it has keys".into()],
            ..api::Changed::default()
        };
        assert_eq!(
            changed("group 1 is created", &answer),
            "group 1 is created (epoch 3)\nwarning: proxy abc does not work by it yet\nnote: it has keys"
        );
    }

    #[test]
    fn an_event_is_one_line() {
        let change = Change::GroupCreate(meta::GroupCreate { group: 4 });
        let command = meta::Command { client: 1, change: Some(change), ..Default::default() };
        let change = api::watch_event::Change { index: 9, epoch: 2, command: Some(command) };
        let event_ = api::WatchEvent { event: Some(api::watch_event::Event::Change(change)) };
        assert_eq!(
            event(&event_),
            "       9  epoch 2  group 4 is created, by client 0000000000000001"
        );
    }
}
