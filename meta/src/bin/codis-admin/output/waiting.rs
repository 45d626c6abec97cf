//! How far moves are that somebody waits for.

use super::Output;
use super::moves::{left, micros, time};
use super::tables::bytes;
use crate::Failure;
use codis_proto::admin::v1 as api;
use codis_proto::meta::v1 as meta;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use meta::slot_action::Phase;
use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

/// How often a line is printed where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// How far moves are.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    slots: usize,
    slots_left: usize,
    keys: u64,
    bytes: u64,
    keys_a_second: u64,
    left: Option<Duration>,
    slowest_barrier_us: u64,
    /// What is in their way.
    troubles: BTreeSet<String>,
}

impl Progress {
    /// Of the slots in `awaited`, each with the group that it goes to; `first` is what was seen before, `now` what is.
    pub(crate) fn of(awaited: &BTreeMap<u32, u32>, first: &api::Moves, now: &api::Moves) -> Self {
        let actions = now.moves.iter().filter_map(|one| Some((one, one.action.as_ref()?)));
        let open: Vec<_> = actions
            .filter(|(one, action)| awaited.get(&one.slot) == Some(&action.target))
            .collect();
        let is_moving =
            |action: &meta::SlotAction| matches!(action.phase, Some(Phase::Migrating(_)));
        let moving = open.iter().filter(|(_, action)| is_moving(action)).count() as u64;
        let sum = |of: fn(&api::MoveSource) -> u64| now.sources.iter().map(of).sum::<u64>();
        let keys_a_second = sum(|source| source.keys_a_second);
        // What has not begun is taken to be like what moves.
        let all_moving = now.moves.iter().filter_map(|one| one.action.as_ref());
        let all_moving = all_moving.filter(|action| is_moving(action)).count() as u64;
        let keys_each = sum(|source| source.keys_total) / all_moving.max(1);
        let keys_left = sum(|source| source.keys_total.saturating_sub(source.keys_moved))
            + keys_each * (open.len() as u64 - moving);
        let failures = open.iter().map(|(one, action)| (one.slot, action.failure.as_str()));
        let failures = failures.filter(|(_, failure)| !failure.is_empty());
        let mut troubles: BTreeSet<String> =
            failures.map(|(slot, failure)| format!("slot {slot}: {failure}")).take(1).collect();
        let froms: BTreeSet<u32> = open.iter().map(|(one, _)| one.from).collect();
        let in_the_way = now.sources.iter().filter(|source| froms.contains(&source.gid));
        let in_the_way = in_the_way.filter(|source| !source.trouble.is_empty());
        troubles
            .extend(in_the_way.map(|source| format!("group {}: {}", source.gid, source.trouble)));
        if now.paused {
            troubles
                .insert("moves are paused: `codis-admin slots resume` lets them go on".to_owned());
        }
        Self {
            slots: awaited.len(),
            slots_left: open.len(),
            // Another leader counts from 0.
            keys: now.keys_moved.checked_sub(first.keys_moved).unwrap_or(now.keys_moved),
            bytes: now.bytes_moved.checked_sub(first.bytes_moved).unwrap_or(now.bytes_moved),
            keys_a_second,
            left: if moving > 0 { left(keys_left, keys_a_second) } else { None },
            slowest_barrier_us: now.slowest_barrier_us,
            troubles,
        }
    }

    /// Whether none of the slots has a move any more.
    pub(crate) fn is_over(&self) -> bool {
        self.slots_left == 0
    }

    fn slots_done(&self) -> usize {
        self.slots - self.slots_left.min(self.slots)
    }

    fn words(&self) -> String {
        let left = self.left.map_or("?".to_owned(), time);
        format!(
            "{} keys, {}, {} keys/s, {left} left, slowest barrier {}",
            self.keys,
            bytes(self.bytes),
            self.keys_a_second,
            micros(self.slowest_barrier_us)
        )
    }
}

/// A bar on a terminal, lines elsewhere.
pub(crate) struct MoveBar {
    bar: ProgressBar,
    /// When the last line was printed.
    printed: Option<Instant>,
    troubles: BTreeSet<String>,
}

impl MoveBar {
    pub(crate) fn new(for_people: bool) -> Self {
        let shown = for_people && std::io::stderr().is_terminal();
        let target =
            if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        let style = ProgressStyle::with_template("[{bar:20}] {pos}/{len} slots, {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { bar, printed: None, troubles: BTreeSet::new() }
    }

    /// Shows how far the moves are, and at once what has newly come in their way.
    pub(crate) fn show(
        &mut self,
        output: &Output,
        moves: &api::Moves,
        progress: &Progress,
    ) -> Result<(), Failure> {
        let is_new = progress.troubles.difference(&self.troubles).next().is_some();
        for trouble in progress.troubles.difference(&self.troubles) {
            let said = format!("waiting: {trouble}");
            if self.bar.is_hidden() {
                output.said(&said);
            } else {
                self.bar.println(said);
            }
        }
        self.troubles.clone_from(&progress.troubles);
        if !self.bar.is_hidden() {
            self.bar.set_length(progress.slots as u64);
            self.bar.set_position(progress.slots_done() as u64);
            self.bar.set_message(progress.words());
            return Ok(());
        }
        let is_due = self.printed.is_none_or(|printed| printed.elapsed() >= LINE_EVERY);
        if !is_due && !is_new && !progress.is_over() {
            return Ok(());
        }
        self.printed = Some(Instant::now());
        let done = progress.slots_done();
        output.line("codis.admin.v1.Moves", moves, || {
            format!("{done} of {} slots, {}", progress.slots, progress.words())
        })
    }

    pub(crate) fn finish(self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(slot: u32, from: u32, target: u32, migrating: bool, failure: &str) -> api::Move {
        let migrating =
            migrating.then_some(Phase::Migrating(meta::slot_action::Migrating { epoch: 1 }));
        let phase = migrating.or(Some(Phase::Pending(meta::slot_action::Pending {})));
        let failure = failure.to_owned();
        let action = Some(meta::SlotAction { target, failure, phase, ..Default::default() });
        api::Move { slot, from, action }
    }

    fn seen() -> api::Moves {
        let source = api::MoveSource {
            gid: 1,
            keys_total: 300,
            keys_moved: 100,
            keys_a_second: 50,
            trouble: "the target is full".into(),
            ..Default::default()
        };
        api::Moves {
            moves: vec![
                one(0, 1, 2, true, ""),
                one(1, 1, 2, true, ""),
                one(2, 1, 2, false, "a proxy did not answer"),
                one(3, 1, 7, true, ""),
            ],
            sources: vec![source],
            keys_moved: 1000,
            slowest_barrier_us: 2500,
            ..Default::default()
        }
    }

    #[test]
    fn progress_is_of_the_slots_that_are_waited_for() {
        let awaited = (0..5).map(|slot| (slot, 2)).collect();
        let first = api::Moves { keys_moved: 400, ..Default::default() };
        let progress = Progress::of(&awaited, &first, &seen());
        assert_eq!((progress.slots, progress.slots_done(), progress.keys), (5, 2, 600));
        // 200 keys are left of three slots that move, and one more slot has not begun.
        assert_eq!(progress.left, Some(Duration::from_secs(6)));
        assert!(progress.words().contains("slowest barrier 2.5 ms"), "{}", progress.words());
        let troubles: Vec<&str> = progress.troubles.iter().map(String::as_str).collect();
        assert_eq!(troubles, ["group 1: the target is full", "slot 2: a proxy did not answer"]);
    }

    #[test]
    fn progress_is_over_when_no_slot_goes_there_any_more_and_goes_on_under_another_leader() {
        let awaited = [(3, 2)].into();
        let first = api::Moves { keys_moved: 5000, ..Default::default() };
        let progress = Progress::of(&awaited, &first, &seen());
        assert!(progress.is_over(), "slot 3 goes elsewhere");
        assert_eq!(progress.keys, 1000);
    }
}
