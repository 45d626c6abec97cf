//! A state under test, which checks with every command what holds for all commands.

use crate::changes;
use codis_meta::state::restore::EPOCHS_SKIPPED;
use codis_meta::state::{State, VERSION, invariants, topology};
use codis_proto::meta::v1 as pb;
use pb::RefusalCode as Code;
use pb::command::Change;
use pb::outcome::Result as Answer;

pub(crate) struct Cluster {
    pub(crate) state: State,
    pub(crate) index: u64,
    pub(crate) now: u64,
    /// The state's bytes after the last command.
    pub(crate) bytes: Vec<u8>,
}

impl Cluster {
    /// Before any product.
    pub(crate) fn bare() -> Self {
        let state = State::new();
        let bytes = state.snapshot();
        Self { state, index: 0, now: 1_000_000, bytes }
    }

    /// With the product "demo" and groups 1 to `count`, each of a master and two replicas.
    pub(crate) fn with_groups(count: u32) -> Self {
        let mut cluster = Self::bare();
        cluster.ok(changes::product("demo"));
        for group in 1..=count {
            cluster.ok(changes::group(group));
            for server in 1..=3 {
                cluster.ok(changes::server(group, &address(group, server)));
            }
        }
        cluster
    }

    pub(crate) fn command(&self, change: Change) -> pb::Command {
        let change = Some(change);
        pb::Command { version: VERSION, time_unix_ms: self.now, change, ..Default::default() }
    }

    /// Applies the command and checks what holds for all.
    pub(crate) fn apply(&mut self, command: &pb::Command) -> pb::Outcome {
        let old = self.state.topology().clone();
        self.index += 1;
        let outcome = self.state.apply_command(self.index, command);
        let bytes = self.state.snapshot();
        if let Some(Answer::Refused(refused)) = &outcome.result {
            assert!(bytes == self.bytes, "refused, and changed: {command:?}");
            assert!(!refused.message.is_empty());
            assert_eq!(outcome.epoch, self.state.epoch());
        } else if bytes != self.bytes {
            self.check_change(command, old);
            self.bytes = bytes;
        }
        outcome
    }

    /// The epoch has risen exactly if proxies see a difference, and all invariants hold.
    fn check_change(&self, command: &pb::Command, old: pb::Topology) {
        let new = self.state.topology();
        assert_eq!(
            *new,
            topology::of(self.state.data()),
            "the kept topology is stale: {command:?}"
        );
        let before = old.epoch;
        let changed = *new != pb::Topology { epoch: new.epoch, ..old };
        let rise = match &command.change {
            // Far beyond every epoch that anybody has seen.
            Some(Change::StateRestore(restore)) => {
                let backup = restore.backup.as_ref().map_or(0, |backup| backup.epoch);
                EPOCHS_SKIPPED + backup.saturating_sub(before)
            }
            _ => u64::from(changed),
        };
        assert_eq!(new.epoch, before + rise, "{command:?}");
        assert_eq!(new.epoch, self.state.epoch());
        assert_eq!(invariants::check(self.state.data()), Ok(()), "{command:?}");
    }

    /// Applies a change that must be accepted; the epoch afterwards.
    #[track_caller]
    pub(crate) fn ok(&mut self, change: Change) -> u64 {
        let outcome = self.apply(&self.command(change));
        match outcome.result {
            Some(Answer::Accepted(_)) => outcome.epoch,
            other => panic!("refused: {other:?}"),
        }
    }

    /// Applies a change that must be refused for that reason; the sentence.
    #[track_caller]
    pub(crate) fn refused(&mut self, code: Code, change: Change) -> String {
        let outcome = self.apply(&self.command(change));
        match outcome.result {
            Some(Answer::Refused(refused)) => {
                assert_eq!(refused.code(), code, "{}", refused.message);
                refused.message
            }
            other => panic!("not refused: {other:?}"),
        }
    }

    pub(crate) fn slot(&self, slot: usize) -> &pb::Slot {
        &self.state.data().slots[slot]
    }

    /// The slot as proxies see it: kind, from, to, locked.
    pub(crate) fn seen(&self, slot: usize) -> (pb::SlotKind, u32, u32, bool) {
        let slot = &self.state.topology().slots[slot];
        (slot.kind(), slot.from, slot.to, slot.locked)
    }

    pub(crate) fn group(&self, group: u32) -> &pb::Group {
        &self.state.data().groups[&group]
    }
}

/// The address of a group's server in [`Cluster::with_groups`]; 1 is the master.
pub(crate) fn address(group: u32, server: u32) -> String {
    format!("10.0.{group}.{server}:6379")
}
