//! What moves, and what is planned to.

use super::tables::{bytes, ranges, table};
use api::rebalance_request::By;
use codis_proto::admin::v1 as api;
use codis_proto::meta::v1 as meta;
use meta::slot_action::Phase;
use std::collections::BTreeMap;
use std::time::Duration;

/// Slots of which the same is to be said.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Alike {
    pub(super) slots: Vec<u32>,
    pub(super) from: u32,
    pub(super) to: u32,
    pub(super) phase: &'static str,
    pub(super) failure: String,
}

/// Slots (number, group, action) by what is to be said of them, in the order in which their first ones come.
pub(super) fn alike<'a>(
    slots: impl IntoIterator<Item = (u32, u32, &'a meta::SlotAction)>,
) -> Vec<Alike> {
    let mut found: Vec<Alike> = Vec::new();
    for (slot, from, action) in slots {
        let (to, phase, failure) = (action.target, phase(action), action.failure.clone());
        let same = |it: &&mut Alike| {
            (it.from, it.to, it.phase, &it.failure) == (from, to, phase, &failure)
        };
        match found.iter_mut().find(same) {
            Some(alike) => alike.slots.push(slot),
            None => found.push(Alike { slots: vec![slot], from, to, phase, failure }),
        }
    }
    found.iter_mut().for_each(|alike| alike.slots.sort_unstable());
    found
}

fn phase(action: &meta::SlotAction) -> &'static str {
    match &action.phase {
        Some(Phase::Preparing(_)) => "preparing",
        Some(Phase::Migrating(_)) => "migrating",
        Some(Phase::Pending(_)) | None => "pending",
    }
}

/// The queue, and how the groups that slots leave are doing.
pub(crate) fn moves(moves: &api::Moves) -> String {
    let mut parts = Vec::new();
    if moves.paused {
        parts.push("moves are paused: `codis-admin slots resume` lets them go on".to_owned());
    }
    if moves.moves.is_empty() {
        parts.push("no slot is to move".to_owned());
    } else {
        parts.push(queue(&moves.moves));
    }
    if !moves.sources.is_empty() {
        parts.push(sources(&moves.sources));
    }
    for source in moves.sources.iter().filter(|source| !source.trouble.is_empty()) {
        parts.push(format!("group {} waits: {}", source.gid, source.trouble));
    }
    parts.push(format!(
        "since this leader leads: {} slots, {} keys and {} have moved, slowest barrier {}",
        moves.slots_done,
        moves.keys_moved,
        bytes(moves.bytes_moved),
        micros(moves.slowest_barrier_us)
    ));
    parts.join("\n")
}

fn queue(moves: &[api::Move]) -> String {
    let mut table = table(["slots", "from", "to", "phase", "last failure"]);
    let slots = moves.iter().filter_map(|one| Some((one.slot, one.from, one.action.as_ref()?)));
    for Alike { slots, from, to, phase, failure } in alike(slots) {
        table.add_row([
            ranges(&slots),
            format!("group {from}"),
            format!("group {to}"),
            phase.to_owned(),
            failure,
        ]);
    }
    table.to_string()
}

fn sources(sources: &[api::MoveSource]) -> String {
    let mut table = table([
        "from",
        "server",
        "doing",
        "keys",
        "bytes",
        "keys/s",
        "bytes/s",
        "left",
        "batch",
        "longest step",
    ]);
    for source in sources {
        table.add_row([
            format!("group {}", source.gid),
            source.addr.clone(),
            source.doing.clone(),
            format!("{}/{}", source.keys_moved, source.keys_total),
            format!("{}/~{}", bytes(source.bytes_moved), bytes(source.bytes_total)),
            source.keys_a_second.to_string(),
            bytes(source.bytes_a_second),
            left(source.keys_total.saturating_sub(source.keys_moved), source.keys_a_second)
                .map_or("?".to_owned(), time),
            format!("{} keys", source.batch_keys),
            micros(source.longest_step_us),
        ]);
    }
    table.to_string()
}

/// How long so many keys take at this rate; unknown where nothing moves.
pub(super) fn left(keys: u64, keys_a_second: u64) -> Option<Duration> {
    if keys == 0 {
        return Some(Duration::ZERO);
    }
    Some(Duration::from_secs(keys.div_ceil(std::num::NonZero::new(keys_a_second)?.get())))
}

/// A time to wait, as people read it.
pub(super) fn time(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}

/// A short time, as people read it.
pub(super) fn micros(us: u64) -> String {
    format!("{:.1} ms", us as f64 / 1000.0)
}

/// Groups before and after, and what moves between them.
pub(crate) fn plan(plan: &api::RebalancePlan, by: By) -> String {
    let weight = |weight: u64| match by {
        By::Bytes => bytes(weight),
        By::Slots | By::Keys => weight.to_string(),
    };
    let mut parts = vec![match by {
        By::Slots => shares(plan, ["group", "slots now", "slots then"], |_| Vec::new()),
        By::Bytes | By::Keys => {
            let header = match by {
                By::Bytes => ["group", "slots now", "slots then", "bytes now", "bytes then"],
                _ => ["group", "slots now", "slots then", "keys now", "keys then"],
            };
            shares(plan, header, |share| {
                vec![weight(share.weight_before), weight(share.weight_after)]
            })
        }
    }];
    let mut ways: BTreeMap<(u32, u32), Vec<u32>> = BTreeMap::new();
    for one in &plan.moves {
        ways.entry((one.from, one.to)).or_default().push(one.slot);
    }
    for ((from, to), mut slots) in ways {
        slots.sort_unstable();
        let (count, slots) = (slots.len(), ranges(&slots));
        parts.push(format!("group {from} gives group {to} {count} slots: {slots}"));
    }
    parts.extend(plan.notes.iter().map(|note| format!("note: {note}")));
    parts.push(match plan.moves.len() {
        0 => "there is nothing to move".to_owned(),
        count => format!("{count} slots are to move"),
    });
    parts.join("\n")
}

fn shares<const N: usize>(
    plan: &api::RebalancePlan,
    header: [&str; N],
    weights: impl Fn(&api::GroupShare) -> Vec<String>,
) -> String {
    let mut table = table(header);
    for share in &plan.shares {
        let mut row = vec![
            share.gid.to_string(),
            share.slots_before.to_string(),
            share.slots_after.to_string(),
        ];
        row.extend(weights(share));
        table.add_row(row);
    }
    table.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(target: u32, failure: &str) -> meta::SlotAction {
        let phase = Some(Phase::Pending(meta::slot_action::Pending {}));
        meta::SlotAction { target, failure: failure.into(), phase, ..Default::default() }
    }

    #[test]
    fn slots_of_which_the_same_is_to_be_said_share_a_line() {
        let (plain, failed) = (action(2, ""), action(2, "no room"));
        let found = alike([(5, 1, &plain), (9, 1, &failed), (4, 1, &plain), (6, 3, &plain)]);
        let slots: Vec<&[u32]> = found.iter().map(|alike| alike.slots.as_slice()).collect();
        assert_eq!(slots, [&[4, 5][..], &[9], &[6]]);
        assert_eq!((found[1].from, found[1].to, found[1].failure.as_str()), (1, 2, "no room"));
    }

    #[test]
    fn a_source_that_moves_nothing_has_no_time_left() {
        assert_eq!(left(0, 0), Some(Duration::ZERO));
        assert_eq!(left(10, 0), None);
        assert_eq!(left(10, 4).map(time).as_deref(), Some("3 s"));
        assert_eq!(time(Duration::from_secs(7199)), "119 min");
    }

    #[test]
    fn a_plan_says_who_gives_whom_how_many_slots() {
        let one = |slot| api::PlannedMove { slot, from: 1, to: 2 };
        let share =
            api::GroupShare { gid: 1, slots_before: 3, weight_before: 2048, ..Default::default() };
        let planned = api::RebalancePlan {
            moves: vec![one(7), one(3), one(4)],
            shares: vec![share],
            notes: vec!["5 slots are offline".into()],
            ..Default::default()
        };
        let text = plan(&planned, By::Bytes);
        for words in [
            "2.0 KB",
            "group 1 gives group 2 3 slots: 3-4,7",
            "note: 5 slots",
            "3 slots are to move",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
    }
}
