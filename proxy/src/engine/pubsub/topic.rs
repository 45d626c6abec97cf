//! A channel or a pattern: who is subscribed to it, and which servers have been told.

use super::Form;
use crate::slots;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// What the channels of keyspace events begin with.
const KEYSPACE_START: [&[u8]; 2] = [b"__keyspace@", b"__keyevent@"];

/// What a server was told last about a topic, and what it has said to that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Word {
    /// To subscribe; the answer is missing.
    Asked,
    /// To subscribe, and it has confirmed.
    Confirmed,
    /// To subscribe, and it answered this error.
    Refused(Rc<str>),
    /// To unsubscribe; the answer is missing.
    Leaving,
}

/// A topic at one server.
#[derive(Debug)]
pub(super) struct Place {
    /// The subscriber connection.
    pub(super) backend: u32,
    pub(super) word: Word,
    /// Answers that are missing. The last of them is the one to the word.
    pub(super) missing: u32,
}

/// A channel or a pattern.
#[derive(Debug)]
pub(super) struct Topic {
    pub(super) form: Form,
    pub(super) name: Rc<[u8]>,
    /// Whether it is subscribed on every master.
    pub(super) everywhere: bool,
    pub(super) slot: u16,
    /// Sessions whose subscription is confirmed.
    pub(super) subscribers: BTreeSet<u32>,
    /// Sessions whose subscription is not, and how often each has asked.
    pub(super) waiting: BTreeMap<u32, u32>,
    pub(super) places: Vec<Place>,
}

impl Topic {
    pub(super) fn new(form: Form, name: Rc<[u8]>) -> Self {
        Self {
            form,
            everywhere: form == Form::Pattern || (form == Form::Channel && is_of_keyspace(&name)),
            slot: slots::slot(&name),
            name,
            subscribers: BTreeSet::new(),
            waiting: BTreeMap::new(),
            places: Vec::new(),
        }
    }

    /// Whether a session is subscribed, or wants to be.
    pub(super) fn is_wanted(&self) -> bool {
        !self.subscribers.is_empty() || !self.waiting.is_empty()
    }

    /// Counts one request of a session that waits.
    pub(super) fn wait(&mut self, session: u32) {
        *self.waiting.entry(session).or_default() += 1;
    }

    /// Takes one such request back.
    pub(super) fn end_wait(&mut self, session: u32) {
        if let Some(count) = self.waiting.get_mut(&session) {
            *count -= 1;
            if *count == 0 {
                self.waiting.remove(&session);
            }
        }
    }

    pub(super) fn place(&mut self, backend: u32) -> Option<&mut Place> {
        self.places.iter_mut().find(|place| place.backend == backend)
    }

    /// What the server behind this connection was told last.
    pub(super) fn word(&self, backend: u32) -> Option<&Word> {
        let place = self.places.iter().find(|place| place.backend == backend)?;
        Some(&place.word)
    }
}

/// Whether events of keys are told on this channel.
pub(super) fn is_of_keyspace(channel: &[u8]) -> bool {
    KEYSPACE_START.iter().any(|start| channel.starts_with(start))
}
