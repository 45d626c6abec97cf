//! One command: from the bytes of a log entry to its outcome.
//!
//! Each change checks all its rules before it touches anything, so that what is refused changes nothing.
//! An accepted one raises the epoch exactly if proxies can see a difference.

use super::limits::COMMAND_BYTES_MAX;
use super::refusal::Refusal;
use super::{State, text, topology};
use super::{actions, barrier, groups, members, promotion, proxies, restore, sentinels, settings};
use super::{slots, sync};
use codis_proto::meta::v1 as pb;
use pb::RefusalCode as Code;
use pb::command::Change;
use pb::outcome::{Accepted, Refused, Result as Answer};
use prost::Message;

impl State {
    /// Applies the log entry at `index`: a [`Command`](pb::Command) in, an [`Outcome`](pb::Outcome) out,
    /// both as bytes.
    pub fn apply(&mut self, index: u64, command: &[u8]) -> Vec<u8> {
        let outcome = match decode(command) {
            Ok(command) => self.apply_command(index, &command),
            Err(refusal) => self.refused(index, refusal),
        };
        outcome.encode_to_vec()
    }

    /// As [`apply`](Self::apply), for a command that has been decoded.
    pub fn apply_command(&mut self, index: u64, command: &pb::Command) -> pb::Outcome {
        match self.run(index, command) {
            Ok(outcome) => outcome,
            Err(refusal) => self.refused(index, refusal),
        }
    }

    fn refused(&self, index: u64, Refusal { code, message }: Refusal) -> pb::Outcome {
        let result = Some(Answer::Refused(Refused { code: code.into(), message }));
        pb::Outcome { index, epoch: self.data.epoch, result }
    }

    fn run(&mut self, index: u64, command: &pb::Command) -> Result<pb::Outcome, Refusal> {
        check_version(command, self.data.version)?;
        let change = command.change.as_ref().ok_or_else(|| {
            Refusal::new(Code::Malformed, "the command names no change: report it")
        })?;
        if let Some(outcome) = self.first_outcome(command, change)? {
            return Ok(outcome);
        }
        self.check_epoch(command.expect_epoch)?;
        let created = !self.data.product.is_empty() || matches!(change, Change::ProductCreate(_));
        Refusal::unless(created, Code::NoProduct, || {
            "this metadata group has no product yet: try again, a member creates it as soon as there is a leader".into()
        })?;
        let proxy_id = change_data(&mut self.data, change, command.time_unix_ms)?;
        self.data.time_unix_ms = self.data.time_unix_ms.max(command.time_unix_ms);
        if may_be_seen_by_proxies(change) {
            self.renew_topology();
        }
        self.remember(index, command, change, proxy_id);
        let result = Some(Answer::Accepted(Accepted { proxy_id }));
        Ok(pb::Outcome { index, epoch: self.data.epoch, result })
    }

    /// The outcome of the first run of this request, if it has run.
    fn first_outcome(
        &self,
        command: &pb::Command,
        change: &Change,
    ) -> Result<Option<pb::Outcome>, Refusal> {
        let found = self.retries.get(command.client, command.request);
        let Some(first) = found.filter(|_| command.client != 0) else { return Ok(None) };
        Refusal::unless(first.change_crc == crc(change), Code::RequestReused, || {
            format!(
                "request {:016x}-{:016x} was a different change: draw a new id for each change",
                command.client, command.request
            )
        })?;
        let result = Some(Answer::Accepted(Accepted { proxy_id: first.proxy_id }));
        Ok(Some(pb::Outcome { index: first.index, epoch: first.epoch, result }))
    }

    fn check_epoch(&self, expected: u64) -> Result<(), Refusal> {
        let epoch = self.data.epoch;
        Refusal::unless(expected == 0 || expected == epoch, Code::EpochConflict, || {
            format!(
                "the topology is at epoch {epoch}, not {expected}: look at it again, then decide"
            )
        })
    }

    fn renew_topology(&mut self) {
        let mut topology = topology::of(&self.data);
        if topology != self.topology {
            self.data.epoch += 1;
            topology.epoch = self.data.epoch;
            self.topology = topology;
        }
    }

    fn remember(&mut self, index: u64, command: &pb::Command, change: &Change, proxy_id: u64) {
        if command.client == 0 {
            return;
        }
        self.retries.push(pb::Remembered {
            client: command.client,
            request: command.request,
            change_crc: crc(change),
            // Never falling, so that what is remembered is forgotten in its order.
            time_unix_ms: self.data.time_unix_ms,
            index,
            epoch: self.data.epoch,
            proxy_id,
        });
    }
}

fn decode(bytes: &[u8]) -> Result<pb::Command, Refusal> {
    Refusal::unless(bytes.len() <= COMMAND_BYTES_MAX, Code::Malformed, || {
        format!("the command is longer than {COMMAND_BYTES_MAX} bytes: report it")
    })?;
    pb::Command::decode(bytes).map_err(|error| {
        Refusal::new(Code::Malformed, format!("the command cannot be read ({error}): report it"))
    })
}

/// Checks against the version agreed on, not the newest that this code knows, so that members of
/// different versions decide alike.
fn check_version(command: &pb::Command, agreed: u32) -> Result<(), Refusal> {
    Refusal::unless(command.version != 0, Code::Malformed, || {
        "the command names no version: report it".into()
    })?;
    Refusal::unless(command.version <= agreed, Code::UnsupportedVersion, || {
        format!(
            "the command is of version {}, the group agreed on {agreed}: upgrade every member first",
            command.version
        )
    })
}

fn crc(change: &Change) -> u32 {
    let mut bytes = Vec::with_capacity(change.encoded_len());
    change.encode(&mut bytes);
    crc32fast::hash(&bytes)
}

/// False for the frequent changes that a topology shows nothing of.
fn may_be_seen_by_proxies(change: &Change) -> bool {
    !matches!(
        change,
        Change::ProxyAck(_)
            | Change::ProxyOnline(_)
            | Change::ProxyOffline(_)
            | Change::FenceAdvance(_)
            | Change::SentinelAdd(_)
            | Change::SentinelRemove(_)
            | Change::MemberStarted(_)
    )
}

/// Makes the change; the result is the id of the proxy that registered, else 0.
fn change_data(data: &mut pb::State, change: &Change, now: u64) -> Result<u64, Refusal> {
    match change {
        Change::ProxyRegister(change) => return proxies::register(data, change),
        Change::ProductCreate(change) => create_product(data, change),
        Change::GroupCreate(change) => groups::create(data, change),
        Change::GroupRemove(change) => groups::remove(data, change),
        Change::ServerAdd(change) => groups::add_server(data, change),
        Change::ServerRemove(change) => groups::remove_server(data, change),
        Change::ServerSetReplicaReads(change) => groups::set_replica_reads(data, change),
        Change::SlotsAssign(change) => slots::assign(data, change),
        Change::SlotsOffline(change) => slots::offline(data, change),
        Change::SlotActionCreate(change) => actions::create(data, change),
        Change::SlotActionCancel(change) => actions::cancel(data, change),
        Change::SlotActionAdvance(change) => actions::advance(data, change, now),
        Change::GroupPromoteBegin(change) => promotion::begin(data, change, now),
        Change::GroupPromoteAdvance(change) => promotion::advance(data, change),
        Change::GroupPromoteAbort(change) => promotion::abort(data, change),
        Change::GroupPromoteFinish(change) => promotion::finish(data, change),
        Change::GroupSyncBegin(change) => sync::begin(data, change),
        Change::GroupSyncAdvance(change) => sync::advance(data, change),
        Change::GroupSyncFinish(change) => sync::finish(data, change),
        Change::ProxyOnline(change) => proxies::online(data, change),
        Change::ProxyOffline(change) => proxies::offline(data, change),
        Change::ProxyRemove(change) => proxies::remove(data, change),
        Change::ProxyAck(change) => proxies::acknowledge(data, change),
        Change::SentinelAdd(change) => sentinels::add(data, change, now),
        Change::SentinelRemove(change) => sentinels::remove(data, change),
        Change::SettingsSet(change) => settings::set(data, change),
        Change::FenceAdvance(change) => barrier::advance_fence(data, change),
        Change::MemberStarted(change) => members::started(data, change),
        Change::StateRestore(change) => restore::restore(data, change),
    }?;
    Ok(0)
}

/// Creates the product. The same again, of the same cluster, changes nothing: a member that begins
/// cannot know whether it did so before it died.
fn create_product(data: &mut pb::State, change: &pb::ProductCreate) -> Result<(), Refusal> {
    text::check_name("product's name", &change.name)?;
    Refusal::unless(change.cluster != 0, Code::Malformed, || {
        "the command names no cluster id: report it".into()
    })?;
    let same = data.product == change.name && data.cluster == change.cluster;
    Refusal::unless(data.product.is_empty() || same, Code::ProductMismatch, || {
        format!(
            "this metadata group keeps product {:?} already: use another group for {:?}",
            data.product, change.name
        )
    })?;
    if !same {
        settings::set_values(data, &change.settings)?;
    }
    data.product.clone_from(&change.name);
    data.cluster = change.cluster;
    Ok(())
}
