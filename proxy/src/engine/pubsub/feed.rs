//! What the servers are asked for, on one connection to each master, and what they answer.

use super::message;
use super::topic::{Place, Topic, Word};
use crate::command::ids;
use crate::engine::Engine;
use crate::engine::backend::{Body, InFlight, Kind};
use crate::engine::dispatch::since_us;
use crate::resp::write;
use std::rc::Rc;

impl Engine {
    /// The servers, by index, that a topic is subscribed on; the one that has a channel now is the first.
    pub(super) fn servers_of(&self, topic: &Topic) -> Vec<u16> {
        match topic.everywhere {
            true => self.routes.masters().collect(),
            false => self.routes.masters_of(topic.slot).collect(),
        }
    }

    /// Sees to it that every server that counts for a topic was asked for it, in so far as it can be.
    pub(super) fn tell_servers(&mut self, topic: u32) {
        for server in self.servers_of(&self.hub.topics[topic as usize]) {
            let backend = self.subscriber(server);
            let target = &mut self.hub.topics[topic as usize];
            match target.word(backend) {
                Some(Word::Asked | Word::Confirmed) => continue,
                _ if !self.backends[backend as usize].takes_requests() => continue,
                None => {
                    let place = Place { backend, word: Word::Asked, missing: 0 };
                    target.places.push(place);
                }
                Some(Word::Refused(_) | Word::Leaving) => {}
            }
            self.tell(topic, backend, Word::Asked);
        }
    }

    /// Tells a server the next word about a topic that it has been told of.
    fn tell(&mut self, topic: u32, backend: u32, word: Word) {
        let target = &mut self.hub.topics[topic as usize];
        let (form, name) = (target.form, Rc::clone(&target.name));
        let Some(place) = target.place(backend) else { return };
        place.missing += 1;
        let command = if word == Word::Leaving { form.unsubscribe() } else { form.subscribe() };
        place.word = word;
        let mut request = Vec::with_capacity(name.len() + 48);
        write::request(&mut request, &[command, &name]);
        self.push_to_feed(backend, Kind::Topic, topic, &request);
    }

    /// Whether the server at this address has confirmed all that it should.
    #[cfg(test)]
    pub(in crate::engine) fn has_all_subscriptions(&self, address: &str) -> bool {
        let backend = self.routes.subscriber_at(&crate::topology::Address::from(address));
        self.hub.topics.iter().filter(|(_, topic)| topic.is_wanted()).all(|(_, topic)| {
            let servers = self.servers_of(topic);
            let is_meant = servers.iter().any(|server| *self.routes.address(*server) == *address);
            let word = backend.and_then(|backend| topic.word(backend));
            !is_meant || word == Some(&Word::Confirmed)
        })
    }

    /// Gives a request of the proxy's own to a subscriber connection.
    pub(super) fn push_to_feed(&mut self, backend: u32, kind: Kind, number: u32, request: &[u8]) {
        let entry = InFlight {
            session: 0,
            sequence: number,
            since_us: since_us(self.now_us),
            offset: 0,
            command: ids::SUBSCRIBE,
            kind,
        };
        self.push(backend, entry, Body::Copy(request));
    }

    /// Has the servers forget a topic that nobody wants any more.
    pub(super) fn release_topic(&mut self, topic: u32) {
        if !self.hub.topics[topic as usize].is_wanted() {
            self.leave_servers(topic, |_| true);
            self.hub.drop_if_over(topic);
        }
    }

    /// Unsubscribes a topic on the connections that `which` means.
    pub(super) fn leave_servers(&mut self, topic: u32, which: impl Fn(u32) -> bool) {
        let target = &mut self.hub.topics[topic as usize];
        // A server that has refused it has nothing to forget.
        target.places.retain(|place| {
            !(which(place.backend) && matches!(place.word, Word::Refused(_)) && place.missing == 0)
        });
        let told = target.places.iter().filter(|place| place.word != Word::Leaving);
        let told: Vec<u32> = told.map(|place| place.backend).filter(|told| which(*told)).collect();
        for backend in told {
            self.tell(topic, backend, Word::Leaving);
        }
    }

    /// A whole message or reply has come on a subscriber connection.
    #[cold]
    pub(in crate::engine) fn on_feed_reply(&mut self, backend: u32, bytes: &[u8]) {
        let mut whole = std::mem::take(&mut self.backends[backend as usize].partial);
        let bytes = match whole.is_empty() {
            true => bytes,
            false => {
                whole.extend_from_slice(bytes);
                &whole
            }
        };
        if let Some(message) = message::read(bytes) {
            return self.on_message(backend, &message, bytes);
        }
        let Some(entry) = self.backends[backend as usize].in_flight.pop_front() else {
            return self.fail_backend(backend, "a reply came to no request");
        };
        match entry.kind {
            Kind::Topic => self.on_word(backend, entry.sequence, bytes),
            Kind::Flush => self.end_hold(entry.sequence),
            _ => self.on_pong(backend, &entry),
        }
    }

    /// A server has answered SUBSCRIBE or UNSUBSCRIBE.
    fn on_word(&mut self, backend: u32, topic: u32, reply: &[u8]) {
        let Some(target) = self.hub.topics.get_mut(topic as usize) else { return };
        let Some(place) = target.place(backend) else { return };
        place.missing -= 1;
        if place.missing > 0 {
            return;
        }
        match (&place.word, reply.strip_prefix(b"-")) {
            (Word::Leaving, _) => target.places.retain(|place| place.backend != backend),
            (_, None) => place.word = Word::Confirmed,
            (_, Some(text)) => {
                let text = String::from_utf8_lossy(text).trim_end().to_string();
                place.word = Word::Refused(text.clone().into());
                let name = String::from_utf8_lossy(&target.name).into_owned();
                let server = &self.backends[backend as usize].address;
                tracing::warn!(shard = self.shard, backend = %server, name, text, "a server refuses a subscription");
            }
        }
        self.confirm_waiting(topic);
        if self.hub.topics.contains(topic as usize) {
            self.release_topic(topic);
        }
    }

    /// A subscriber connection is ready: what is not on its way already is subscribed.
    pub(in crate::engine) fn on_feed_ready(&mut self, backend: u32) {
        let again = self.backends[backend as usize].counters.connects > 1;
        self.hub.counters.reconnects += u64::from(again);
        for topic in self.hub.all() {
            if self.hub.topics[topic as usize].is_wanted() {
                self.tell_servers(topic);
            }
        }
    }

    /// A subscriber connection is lost, or the topology has no more use for it: its server has forgotten everything.
    pub(in crate::engine) fn on_feed_lost(&mut self, backend: u32) {
        // All of them first: what follows from one may be that another one is left.
        for (_, topic) in &mut self.hub.topics {
            topic.places.retain(|place| place.backend != backend);
        }
        for topic in self.hub.all() {
            self.confirm_waiting(topic);
            if self.hub.topics.contains(topic as usize) {
                self.release_topic(topic);
            }
        }
        self.end_holds_of(backend);
    }
}
