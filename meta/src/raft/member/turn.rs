//! From Raft's `Ready` to the store, the state machine and the messages.

use protobuf::Message as _;
use raft::eraftpb::{ConfChangeV2, Entry, EntryType, Message, MessageType, Snapshot};
use raft::{Ready, StateRole};

use super::super::machine::StateMachine;
use super::super::message::{Body, ProposalId};
use super::super::store::{Compacted, Image, LogStore, StoreError, Write};
use super::outcome::{AnswerKind, Fault, Notice, Ticket};
use super::{Member, image, membership, new_node};

impl<M: StateMachine, S: LogStore> Member<M, S> {
    /// Turns until there is nothing left to do.
    pub(super) fn run(&mut self) {
        while self.fault.is_none() {
            self.ask_for_reads();
            if !self.node.has_ready() {
                break;
            }
            self.turn();
        }
        self.incoming.forget_whole();
        if self.node.raft.state == StateRole::Leader {
            for (to, chunk) in self.outgoing.chunks(self.config.chunk_bytes) {
                self.send(to, Body::Chunk(chunk));
            }
        }
        for ticket in self.reads.readable(self.applied) {
            self.answer(ticket, AnswerKind::Readable { index: self.applied });
        }
        self.notice_leader();
    }

    /// One `Ready`: made durable, then spoken of, then applied.
    fn turn(&mut self) {
        let mut ready = self.node.ready();
        // A leader's messages need not wait for its own disk: it counts itself only afterwards.
        self.post(ready.take_messages());
        for state in ready.take_read_states() {
            self.take_read_state(&state.request_ctx, state.index);
        }
        let Some(installed) = self.persist(&mut ready) else { return };
        self.post(ready.take_persisted_messages());
        if let Some(image) = installed {
            self.install(&image);
            if self.fault.is_some() {
                return;
            }
        }
        let committed = ready.take_committed_entries();
        let mut light = self.node.advance_append(ready);
        if let Some(commit) = light.commit_index() {
            self.node.mut_store().note_commit(commit);
        }
        self.post(light.take_messages());
        // Applied only now: Raft counts a leader's own disk in `advance_append`, and cannot once the
        // leader has applied its removal.
        self.apply(committed);
        self.apply(light.take_committed_entries());
        if self.fault.is_some() {
            return;
        }
        self.node.advance_apply_to(self.applied);
        self.leave_if_removed();
        self.take_image_if_due();
    }

    /// Makes durable what the `Ready` holds. Returns the image that it brought, if it did; nothing
    /// where the store refused.
    #[allow(
        clippy::option_option,
        reason = "the outer level is whether to go on, the inner one what with"
    )]
    fn persist(&mut self, ready: &mut Ready) -> Option<Option<Image>> {
        let image = match ready.snapshot() {
            snapshot if snapshot.is_empty() => None,
            snapshot => Some(self.received_image(&snapshot.clone())?),
        };
        let write = Write {
            hard_state: ready.hs().cloned(),
            entries: ready.take_entries(),
            compacted: image.as_ref().map(|image| Compacted {
                index: image.index,
                term: image.term,
                whole_log: true,
            }),
            image,
            sync: ready.must_sync(),
        };
        if write.hard_state.is_none() && write.entries.is_empty() && write.image.is_none() {
            return Some(None);
        }
        self.write(write).ok()
    }

    /// Writes to the store, and to the log's mirror once that is done. Returns the write's image.
    fn write(&mut self, write: Write) -> Result<Option<Image>, ()> {
        match self.store.write(&write) {
            Ok(()) => {
                let image = write.image.clone();
                self.node.mut_store().absorb(write);
                Ok(image)
            }
            Err(error) => {
                self.stop(match error {
                    StoreError::Full(_) => Fault::Full(error.to_string()),
                    StoreError::Failed(_) => Fault::Failed(error.to_string()),
                });
                Err(())
            }
        }
    }

    /// The bytes of the image that Raft has taken up.
    fn received_image(&mut self, snapshot: &Snapshot) -> Option<Image> {
        let metadata = snapshot.get_metadata();
        let Some((data, crc32)) = self.incoming.take((metadata.index, metadata.term)) else {
            // Raft is offered an image only when its bytes are there, in the same call.
            self.stop(Fault::Failed(format!(
                "the image of index {} that the leader sent is not there",
                metadata.index
            )));
            return None;
        };
        Some(Image {
            index: metadata.index,
            term: metadata.term,
            conf_state: metadata.get_conf_state().clone(),
            data,
            crc32,
        })
    }

    /// Replaces the state by that of an image which is durable.
    fn install(&mut self, image: &Image) {
        let restored = image::decode(&image.data).map_err(|error| error.to_string()).and_then(
            |(addresses, snapshot)| {
                self.machine
                    .restore(snapshot)
                    .map(|()| addresses)
                    .map_err(|error| error.to_string())
            },
        );
        match restored {
            Ok(addresses) => self.addresses = addresses,
            Err(error) => {
                return self
                    .stop(Fault::Failed(format!("{error}, sent by a leader of a newer release")));
            }
        }
        self.applied = image.index;
        self.node.mut_store().set_conf_state(image.conf_state.clone());
        // What was proposed here may be in the image, and its outcome is not.
        for ticket in std::mem::take(&mut self.proposals).into_keys() {
            self.answer(Ticket(ticket), AnswerKind::Unknown);
        }
        self.output.notices.push(Notice::Installed { index: image.index });
    }

    fn apply(&mut self, entries: Vec<Entry>) {
        for entry in entries {
            if self.fault.is_some() {
                return;
            }
            debug_assert_eq!(entry.index, self.applied + 1, "entries are applied in order");
            let outcome = match entry.get_entry_type() {
                // Without a context it is the entry with which a leader opens its term.
                EntryType::EntryNormal if entry.context.is_empty() => Vec::new(),
                EntryType::EntryNormal => self.machine.apply(entry.index, &entry.data),
                EntryType::EntryConfChange | EntryType::EntryConfChangeV2 => {
                    match self.apply_conf_change(&entry) {
                        Ok(()) => Vec::new(),
                        Err(reason) => {
                            return self.stop(Fault::Failed(format!(
                                "entry {} cannot be applied: {reason}",
                                entry.index
                            )));
                        }
                    }
                }
            };
            self.applied = entry.index;
            self.answer_proposal(&entry, outcome);
        }
    }

    fn apply_conf_change(&mut self, entry: &Entry) -> Result<(), String> {
        let mut change = ConfChangeV2::default();
        change.merge_from_bytes(&entry.data).map_err(|error| error.to_string())?;
        let was_member = membership::is_member(self.node.store().conf_state(), self.config.id);
        let members = self.node.apply_conf_change(&change).map_err(|error| error.to_string())?;
        membership::update_addresses(&mut self.addresses, &change, &members)
            .map_err(|error| error.to_string())?;
        self.output.notices.push(Notice::Members);
        if was_member && !membership::is_member(&members, self.config.id) {
            self.output.notices.push(Notice::Removed);
        }
        self.node.mut_store().set_conf_state(members);
        Ok(())
    }

    fn answer_proposal(&mut self, entry: &Entry, outcome: Vec<u8>) {
        let Some(proposal) = ProposalId::from_bytes(&entry.context) else { return };
        let own = (proposal.member, proposal.boot) == (self.config.id, self.config.boot);
        if own && self.proposals.remove(&proposal.sequence).is_some() {
            self.answer(
                Ticket(proposal.sequence),
                AnswerKind::Applied { index: entry.index, outcome },
            );
        }
    }

    /// A leader that is no member any more lets the others elect another one.
    fn leave_if_removed(&mut self) {
        let raft = &mut self.node.raft;
        if raft.state != StateRole::Leader || raft.promotable() {
            return;
        }
        let term = raft.term;
        raft.become_follower(term, ::raft::INVALID_ID);
    }

    fn take_image_if_due(&mut self) {
        let log = self.node.store();
        let since = self.applied - log.image().index;
        let due = since >= self.config.image_entries || log.bytes() >= self.config.image_log_bytes;
        if since > 0 && (due || log.take_image_wanted()) {
            self.take_image();
        }
    }

    /// Takes an image of the state and drops the log before it, but for what lagging followers want.
    fn take_image(&mut self) {
        let log = self.node.store();
        let term_at = |index: u64| {
            log.term_at(index)
                .expect("applied entries are in the log, or its end, until an image covers them")
        };
        let data = image::encode(&self.addresses, &self.machine.snapshot());
        let image = Image::new(self.applied, term_at(self.applied), log.conf_state().clone(), data);
        // A log that is due because of its size would stay so if its end were kept.
        let trailing = if log.bytes() >= self.config.image_log_bytes {
            0
        } else {
            self.config.trailing_entries
        };
        let index = self.applied.saturating_sub(trailing).max(log.compacted_index());
        let compacted = Compacted { index, term: term_at(index), whole_log: false };
        // A refusal has stopped the member; there is nothing else to do here.
        let _ = self.write(Write {
            image: Some(image),
            compacted: Some(compacted),
            sync: true,
            ..Write::default()
        });
    }

    fn take_read_state(&mut self, context: &[u8], index: u64) {
        let Some(question) = ProposalId::from_bytes(context) else { return };
        if (question.member, question.boot) == (self.config.id, self.config.boot) {
            self.reads.answer(question.sequence, index);
        }
    }

    fn post(&mut self, messages: Vec<Message>) {
        for message in messages {
            match message.get_msg_type() {
                MessageType::MsgSnapshot => {
                    let image = self.node.store().image().clone();
                    self.outgoing.start(message, image, self.ticks);
                }
                _ => self.send(message.to, Body::Raft(message)),
            }
        }
    }

    /// Takes no part any more until the store can be relied on again.
    ///
    /// Whatever Raft holds that is not durable is forgotten, as if the process had died: the node is
    /// made anew from what the store has. The state machine stays, as all that it has applied is
    /// durable.
    fn stop(&mut self, fault: Fault) {
        tracing::error!("{fault}");
        self.hand_over();
        let log = std::mem::take(self.node.mut_store());
        // After an image that could not be restored the log begins behind the state.
        let applied = self.applied.max(log.compacted_index());
        self.node = new_node(&self.config, log, applied)
            .expect("the configuration was good when the member started");
        self.outgoing.clear();
        self.probe_at = self.ticks + self.config.election_ticks as u64;
        self.output.notices.push(Notice::Fault(fault.clone()));
        self.fault = Some(fault);
    }

    /// A leader that stops asks the voter that is furthest to stand for election at once.
    fn hand_over(&mut self) {
        if self.node.raft.state != StateRole::Leader {
            return;
        }
        let voters = self.node.store().conf_state().voters.clone();
        let active = self
            .progress()
            .into_iter()
            .filter(|(id, progress)| progress.active && voters.contains(id));
        if let Some((to, _)) = active.max_by_key(|(_, progress)| progress.matched) {
            let mut message = Message::default();
            message.set_msg_type(MessageType::MsgTimeoutNow);
            (message.from, message.to, message.term) = (self.config.id, to, self.node.raft.term);
            self.send(to, Body::Raft(message));
        }
    }

    /// Takes part again once the store takes writes.
    pub(super) fn try_to_recover(&mut self) {
        match self.store.probe() {
            Ok(()) => {
                tracing::info!("the log can be written again; this member takes part again");
                self.fault = None;
                self.output.notices.push(Notice::Recovered);
                self.stand_if_alone();
            }
            Err(error @ StoreError::Full(_)) => {
                self.probe_at = self.ticks + self.config.election_ticks as u64;
                self.fault = Some(Fault::Full(error.to_string()));
            }
            Err(error @ StoreError::Failed(_)) => {
                let fault = Fault::Failed(error.to_string());
                tracing::error!("{fault}");
                self.output.notices.push(Notice::Fault(fault.clone()));
                self.fault = Some(fault);
            }
        }
    }

    fn notice_leader(&mut self) {
        let raft = &self.node.raft;
        let leader = if self.fault.is_some() { 0 } else { raft.leader_id };
        if self.leader.0 != leader || (leader != 0 && self.leader.1 != raft.term) {
            self.leader = (leader, raft.term);
            let term = raft.term;
            self.output.notices.push(Notice::Leader { leader, term });
            if leader != 0 {
                // What was sent to an earlier leader may have died with it; its sender need not wait any longer.
                self.end_as_unknown(|proposal| {
                    proposal.forwarded_in.is_some_and(|sent| sent < term)
                });
            }
        }
    }
}
