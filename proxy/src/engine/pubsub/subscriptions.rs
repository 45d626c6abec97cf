//! What one session is subscribed to.

use super::Form;
use crate::engine::session::{Flags, Session};
use crate::resp::Protocol;
use std::collections::{BTreeSet, VecDeque};

/// What one session is subscribed to, by topic.
#[derive(Debug, Default)]
pub(in crate::engine) struct Subscriptions {
    channels: BTreeSet<u32>,
    /// In the order in which they were subscribed, as Redis keeps them.
    patterns: Vec<u32>,
    shard_channels: BTreeSet<u32>,
    /// The topics of the SUBSCRIBE that is being answered whose confirmations have yet to go out, in their order.
    pub(super) pending: VecDeque<u32>,
}

impl Subscriptions {
    /// How many channels, patterns and shard channels it is subscribed to.
    pub(in crate::engine) fn counts(&self) -> [usize; 3] {
        [self.channels.len(), self.patterns.len(), self.shard_channels.len()]
    }

    /// Whether it is subscribed to anything.
    pub(in crate::engine) fn any(&self) -> bool {
        self.counts() != [0; 3]
    }

    /// Whether it waits for a confirmation.
    pub(in crate::engine) fn is_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// The number that Redis puts into a confirmation: channels and patterns are counted together.
    pub(super) fn shown_count(&self, form: Form) -> usize {
        match form {
            Form::Channel | Form::Pattern => self.channels.len() + self.patterns.len(),
            Form::Shard => self.shard_channels.len(),
        }
    }

    pub(super) fn insert(&mut self, form: Form, topic: u32) {
        match form {
            Form::Channel => _ = self.channels.insert(topic),
            Form::Shard => _ = self.shard_channels.insert(topic),
            Form::Pattern if self.patterns.contains(&topic) => {}
            Form::Pattern => self.patterns.push(topic),
        }
    }

    /// Whether it was there.
    pub(super) fn remove(&mut self, form: Form, topic: u32) -> bool {
        match form {
            Form::Channel => self.channels.remove(&topic),
            Form::Shard => self.shard_channels.remove(&topic),
            Form::Pattern => {
                let place = self.patterns.iter().position(|held| *held == topic);
                place.map(|place| self.patterns.remove(place)).is_some()
            }
        }
    }

    pub(super) fn of(&self, form: Form) -> Vec<u32> {
        match form {
            Form::Channel => self.channels.iter().copied().collect(),
            Form::Pattern => self.patterns.clone(),
            Form::Shard => self.shard_channels.iter().copied().collect(),
        }
    }
}

impl Session {
    /// Notes whether it may run hardly anything, by what it has become. Everyone who changes that calls this.
    pub(in crate::engine) fn note_hears_only(&mut self) {
        self.flags.unset(Flags::HEARS_ONLY);
        if self.protocol == Protocol::Resp2 && self.is_subscribed() {
            self.flags.set(Flags::HEARS_ONLY);
        }
    }

    /// Whether it is subscribed to anything.
    pub(in crate::engine) fn is_subscribed(&self) -> bool {
        self.subscriptions().is_some_and(Subscriptions::any)
    }

    pub(in crate::engine) fn subscriptions(&self) -> Option<&Subscriptions> {
        self.own.as_ref()?.subscriptions.as_ref()
    }

    pub(in crate::engine) fn subscriptions_mut(&mut self) -> &mut Subscriptions {
        self.own_mut().subscriptions.get_or_insert_default()
    }
}
