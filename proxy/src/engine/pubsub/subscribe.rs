//! What clients ask for: SUBSCRIBE, UNSUBSCRIBE and their like, and the confirmations.
//!
//! A request has as many confirmations as names, and they are no array: messages may come in between. So it waits until
//! no other request is in flight, sends them one by one, and has an empty reply behind the last.

use super::Form;
use super::Subscriptions;
use super::topic::Word;
use crate::command::{CommandId, ids};
use crate::engine::Engine;
use crate::engine::dispatch::Flow;
use crate::engine::session::{Flags, Stall};
use crate::resp::{Protocol, Request, write};

/// What may run while a RESP2 session is subscribed.
const ALLOWED: [CommandId; 9] = [
    ids::PING,
    ids::SUBSCRIBE,
    ids::SSUBSCRIBE,
    ids::UNSUBSCRIBE,
    ids::SUNSUBSCRIBE,
    ids::PSUBSCRIBE,
    ids::PUNSUBSCRIBE,
    ids::QUIT,
    ids::RESET,
];

/// How a subscription that is not confirmed stands.
enum Standing {
    /// Some server has yet to confirm it.
    Waits,
    /// All servers that count have.
    On,
    /// It cannot be, for this reason.
    Refused(String),
}

impl Engine {
    /// SUBSCRIBE, PSUBSCRIBE or SSUBSCRIBE.
    pub(in crate::engine) fn subscribe(
        &mut self,
        session: u32,
        id: CommandId,
        form: Form,
        request: &Request<'_>,
    ) -> Flow {
        if let Some(flow) = self.wait_until_quiet(session) {
            return flow;
        }
        self.count_local(id);
        for arg in 1..request.len() {
            let topic = self.hub.topic(form, request.arg(arg));
            self.hub.topics[topic as usize].wait(session);
            self.tell_servers(topic);
            let target = self.sessions[session as usize].subscriptions_mut();
            target.pending.push_back(topic);
        }
        let target = &mut self.sessions[session as usize];
        target.sequence();
        target.wants_silence();
        self.send_confirmations(session);
        if self.is_subscribing(session) {
            self.sessions[session as usize].stall = Stall::Subscribing;
        }
        Flow::Next
    }

    /// Whether a session has a confirmation to wait for.
    pub(in crate::engine) fn is_subscribing(&self, session: u32) -> bool {
        let subscriptions = self.sessions[session as usize].subscriptions();
        subscriptions.is_some_and(Subscriptions::is_pending)
    }

    /// Sends out the confirmations whose turn has come, and goes on with the session after the last one.
    pub(super) fn send_confirmations(&mut self, session: u32) {
        while self.is_subscribing(session) {
            let pending = &self.sessions[session as usize].subscriptions_mut().pending;
            let topic = pending[0];
            let standing = self.standing(topic);
            if matches!(standing, Standing::Waits) {
                return;
            }
            self.sessions[session as usize].subscriptions_mut().pending.pop_front();
            self.hub.topics[topic as usize].end_wait(session);
            match standing {
                Standing::Refused(text) => {
                    self.release_topic(topic);
                    self.say_error(session, &text);
                }
                _ => self.join(session, topic),
            }
            if !self.is_subscribing(session) {
                return self.end_subscribe(session);
            }
        }
    }

    /// Sends one of the elements that the reply to the present request has in place of an array. CLIENT REPLY OFF does
    /// not silence it, as in Redis.
    fn reply_element(&mut self, session: u32, element: &[u8]) {
        let target = &mut self.sessions[session as usize];
        if !target.flags.has(Flags::DEAD | Flags::GONE) {
            target.reply_element(&mut self.pool, element);
            self.after_output(session);
        }
    }

    fn say_error(&mut self, session: u32, text: &str) {
        let mut reply = Vec::new();
        write::error(&mut reply, text);
        self.reply_element(session, &reply);
    }

    /// A session is subscribed from now on, and told so.
    fn join(&mut self, session: u32, topic: u32) {
        let target = &mut self.hub.topics[topic as usize];
        target.subscribers.insert(session);
        let (form, name) = (target.form, std::rc::Rc::clone(&target.name));
        let holder = &mut self.sessions[session as usize];
        holder.subscriptions_mut().insert(form, topic);
        holder.note_hears_only();
        self.say_confirmation(session, form.subscribe(), Some(&name), form);
    }

    fn say_confirmation(&mut self, session: u32, word: &[u8], name: Option<&[u8]>, form: Form) {
        let target = &self.sessions[session as usize];
        let (protocol, subscriptions) = (target.protocol, target.subscriptions());
        let count = subscriptions.map_or(0, |held| held.shown_count(form));
        let mut reply = Vec::new();
        write::push(&mut reply, protocol, 3);
        write::bulk(&mut reply, word);
        match name {
            Some(name) => write::bulk(&mut reply, name),
            None => write::null(&mut reply, protocol),
        }
        write::integer(&mut reply, count as i64);
        self.reply_element(session, &reply);
    }

    /// The last confirmation is out: the session goes on with its next request.
    fn end_subscribe(&mut self, session: u32) {
        self.forget_if_empty(session);
        let target = &mut self.sessions[session as usize];
        let sequence = target.head;
        target.references += 1;
        self.deliver(session, sequence, b"");
        if self.sessions.get(session as usize).is_some_and(|held| held.stall == Stall::Subscribing)
        {
            self.make_resumable(session);
        }
    }

    /// How a topic stands with the servers that count for it.
    fn standing(&self, topic: u32) -> Standing {
        let target = &self.hub.topics[topic as usize];
        let servers = self.servers_of(target);
        let mut down = None;
        let mut confirmed = 0;
        for (place, server) in servers.iter().enumerate() {
            let Some(backend) = self.routes.subscriber_of(*server) else { return Standing::Waits };
            match target.word(backend) {
                Some(Word::Confirmed) => confirmed += 1,
                Some(Word::Refused(text)) => return Standing::Refused(text.to_string()),
                _ if self.backends[backend as usize].takes_requests() => return Standing::Waits,
                // What is published to a server that is down fails, so nothing is missed there. But a channel
                // has one server, or two while its slot is about to move, and the first has it now.
                _ if target.everywhere || place > 0 => down = Some(backend),
                _ => return Standing::Refused(self.down_text(backend)),
            }
        }
        match down {
            _ if confirmed > 0 => Standing::On,
            Some(backend) => Standing::Refused(self.down_text(backend)),
            None => Standing::Refused(match target.everywhere {
                true => "ERR no group serves any slot".into(),
                false => format!("ERR slot {} is offline: no group serves it", target.slot),
            }),
        }
    }

    /// Takes to the servers' word every session that waits for it.
    pub(super) fn confirm_waiting(&mut self, topic: u32) {
        let Some(target) = self.hub.topics.get(topic as usize) else { return };
        let waiting: Vec<u32> = target.waiting.keys().copied().collect();
        for session in waiting {
            self.send_confirmations(session);
        }
    }

    /// UNSUBSCRIBE, PUNSUBSCRIBE or SUNSUBSCRIBE; without names all of them.
    pub(in crate::engine) fn unsubscribe(
        &mut self,
        session: u32,
        id: CommandId,
        form: Form,
        request: &Request<'_>,
    ) -> Flow {
        if let Some(flow) = self.wait_until_quiet(session) {
            return flow;
        }
        self.count_local(id);
        let word = form.unsubscribe();
        let target = &mut self.sessions[session as usize];
        target.sequence();
        target.wants_silence();
        if request.len() > 1 {
            for arg in 1..request.len() {
                let name = request.arg(arg);
                if let Some(topic) = self.hub.find(form, name) {
                    self.part(session, form, topic);
                }
                self.say_confirmation(session, word, Some(name), form);
            }
        } else {
            let subscriptions = self.sessions[session as usize].subscriptions();
            let topics = subscriptions.map_or_else(Vec::new, |held| held.of(form));
            if topics.is_empty() {
                self.say_confirmation(session, word, None, form);
            }
            for topic in topics {
                let name = std::rc::Rc::clone(&self.hub.topics[topic as usize].name);
                self.part(session, form, topic);
                self.say_confirmation(session, word, Some(&name), form);
            }
        }
        self.end_subscribe(session);
        Flow::Next
    }

    /// Ends one subscription of a session, if it has it.
    fn part(&mut self, session: u32, form: Form, topic: u32) {
        let holder = &mut self.sessions[session as usize];
        if holder.subscriptions().is_none() {
            return;
        }
        if holder.subscriptions_mut().remove(form, topic) {
            holder.note_hears_only();
            self.hub.topics[topic as usize].subscribers.remove(&session);
            self.release_topic(topic);
        }
    }

    fn forget_if_empty(&mut self, session: u32) {
        let target = &mut self.sessions[session as usize];
        let empty = |held: &Subscriptions| !held.any() && !held.is_pending();
        if target.subscriptions().is_some_and(empty) {
            target.own_mut().subscriptions = None;
            target.tidy_own();
        }
    }

    /// Ends all subscriptions of a session: it is closed, or RESET.
    pub(in crate::engine) fn end_subscriptions(&mut self, session: u32) {
        let target = &mut self.sessions[session as usize];
        let Some(own) = &mut target.own else { return };
        let Some(subscriptions) = own.subscriptions.take() else { return };
        target.tidy_own();
        target.note_hears_only();
        for form in [Form::Channel, Form::Pattern, Form::Shard] {
            for topic in subscriptions.of(form) {
                self.hub.topics[topic as usize].subscribers.remove(&session);
                self.release_topic(topic);
            }
        }
        for topic in subscriptions.pending {
            self.hub.topics[topic as usize].end_wait(session);
            self.release_topic(topic);
        }
    }

    /// Why a RESP2 session that is subscribed may not run a command.
    pub(in crate::engine) fn refuse_while_subscribed(
        &mut self,
        session: u32,
        id: CommandId,
    ) -> Option<Flow> {
        if ALLOWED.contains(&id) {
            return None;
        }
        let text = format!(
            "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are \
             allowed in this context",
            id.command().name
        );
        Some(self.reject(session, id, &text))
    }
}

/// PING of a RESP2 session that is subscribed: it must look like a message.
pub(in crate::engine) fn pong(request: &Request<'_>) -> Vec<u8> {
    let mut reply = Vec::new();
    write::push(&mut reply, Protocol::Resp2, 2);
    write::bulk(&mut reply, b"pong");
    write::bulk(&mut reply, if request.len() > 1 { request.arg(1) } else { b"" });
    reply
}
