//! Publish and subscribe: one connection to each master hears for all sessions of the shard.
//!
//! A channel lives on the master of its slot, so PUBLISH goes there like a command with a key. What a
//! server cannot tell by slot - patterns, and the channels of keyspace events, which arise wherever the key
//! is - is subscribed on every master. A [`topic::Topic`] is a channel or a pattern with its subscribers;
//! however many these are, each server is told once. [`subscribe`] is what clients ask for, [`feed`] what the
//! servers are asked for and answer, [`message`] the way of a message, and [`follow`] what a new topology changes.
//!
//! A client's confirmation goes out when every server that counts has confirmed, so whoever has it misses
//! nothing that is published afterwards.

mod feed;
mod follow;
mod hold;
mod message;
mod publish;
mod servers;
mod subscribe;
mod subscriptions;
mod topic;

pub(super) use subscribe::pong;
pub(super) use subscriptions::Subscriptions;

use crate::stats::PubsubStats;
use ahash::AHashMap;
use hold::Holds;
use slab::Slab;
use std::rc::Rc;
use topic::Topic;

/// The three kinds of names that can be subscribed to, each with a space of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// SUBSCRIBE
    Channel,
    /// PSUBSCRIBE
    Pattern,
    /// SSUBSCRIBE
    Shard,
}

impl Form {
    /// The command that subscribes, and the word that confirms it.
    fn subscribe(self) -> &'static [u8] {
        match self {
            Self::Channel => b"subscribe",
            Self::Pattern => b"psubscribe",
            Self::Shard => b"ssubscribe",
        }
    }

    /// The command that ends it, and the word that confirms it.
    fn unsubscribe(self) -> &'static [u8] {
        match self {
            Self::Channel => b"unsubscribe",
            Self::Pattern => b"punsubscribe",
            Self::Shard => b"sunsubscribe",
        }
    }
}

/// All that the sessions of a shard are subscribed to.
#[derive(Debug, Default)]
pub(super) struct Hub {
    topics: Slab<Topic>,
    /// By form and name: the topic.
    names: [AHashMap<Rc<[u8]>, u32>; 3],
    holds: Holds,
    pub(super) counters: PubsubStats,
}

impl Hub {
    /// Whether nobody is subscribed to anything, and no server has to be told so.
    pub(super) fn is_idle(&self) -> bool {
        self.topics.is_empty()
    }

    /// Forgets messages that are held for nobody.
    fn forget_held(&mut self) {
        self.holds = Holds::default();
    }

    fn find(&self, form: Form, name: &[u8]) -> Option<u32> {
        self.names[form as usize].get(name).copied()
    }

    /// The topic of this name; made on first use.
    fn topic(&mut self, form: Form, name: &[u8]) -> u32 {
        if let Some(topic) = self.find(form, name) {
            return topic;
        }
        let name: Rc<[u8]> = Rc::from(name);
        let topic = self.topics.insert(Topic::new(form, Rc::clone(&name))) as u32;
        self.names[form as usize].insert(name, topic);
        topic
    }

    /// Forgets a topic that nobody wants and no server has to be asked about.
    fn drop_if_over(&mut self, topic: u32) {
        let target = &self.topics[topic as usize];
        if !target.is_wanted() && target.places.is_empty() {
            let target = self.topics.remove(topic as usize);
            self.names[target.form as usize].remove(&target.name);
        }
    }

    /// Every topic's index, in an order that no hash decides.
    fn all(&self) -> Vec<u32> {
        self.topics.iter().map(|(topic, _)| topic as u32).collect()
    }

    /// The counters, and how much there is now.
    pub(super) fn stats(&self) -> PubsubStats {
        let subscribed = |form: Form| {
            let topics = self.topics.iter().map(|(_, topic)| topic);
            topics.filter(|topic| topic.form == form && !topic.subscribers.is_empty()).count()
                as u64
        };
        PubsubStats {
            channels: subscribed(Form::Channel),
            patterns: subscribed(Form::Pattern),
            shard_channels: subscribed(Form::Shard),
            ..self.counters
        }
    }
}
