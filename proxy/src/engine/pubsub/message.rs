//! The way of a message: from a server's connection to every session that is subscribed.

use super::Form;
use super::topic::is_of_keyspace;
use crate::engine::Engine;
use crate::engine::route::is_reserved;
use crate::resp::Protocol;
use crate::resp::reply::take_bulk;
use std::rc::Rc;

/// From this size on a message is shared by the sessions that get it; a smaller one is copied to each, next to what
/// else it is sent.
const SHARED_BYTES_MIN: usize = 16 * 1024;

/// A message as a server sends it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message<'a> {
    pub(super) form: Form,
    /// The channel or the pattern that it came by.
    pub(super) name: &'a [u8],
    pub(super) channel: &'a [u8],
    pub(super) payload: &'a [u8],
}

/// Reads a message. `None`: it is a reply.
pub(super) fn read(bytes: &[u8]) -> Option<Message<'_>> {
    const KINDS: [(&[u8], Form); 3] = [
        (b"*3\r\n$7\r\nmessage\r\n", Form::Channel),
        (b"*4\r\n$8\r\npmessage\r\n", Form::Pattern),
        (b"*3\r\n$8\r\nsmessage\r\n", Form::Shard),
    ];
    let kind = KINDS.iter().find_map(|(start, form)| Some((bytes.strip_prefix(*start)?, *form)));
    let (mut rest, form) = kind?;
    let name = take_bulk(&mut rest)?;
    let channel = if form == Form::Pattern { take_bulk(&mut rest)? } else { name };
    let payload = take_bulk(&mut rest)?;
    Some(Message { form, name, channel, payload })
}

impl Message<'_> {
    /// Whether it tells of a key that is codis's own, and that clients do not see.
    fn is_of_reserved_key(&self) -> bool {
        if !is_of_keyspace(self.channel) {
            return false;
        }
        let key = match self.channel.starts_with(b"__keyevent@") {
            true => Some(self.payload),
            false => memchr::memchr(b':', self.channel).map(|colon| &self.channel[colon + 1..]),
        };
        key.is_some_and(is_reserved)
    }
}

impl Engine {
    /// A message has come from a server.
    pub(super) fn on_message(&mut self, backend: u32, message: &Message<'_>, bytes: &[u8]) {
        // A master that was replaced may be its successor's replica, and repeat what that one says.
        if self.backends[backend as usize].retired || message.is_of_reserved_key() {
            return;
        }
        self.hub.counters.received += 1;
        if !self.hold_back(backend, message, bytes) {
            self.spread(message.form, message.name, bytes);
        }
    }

    /// Gives a message to every session that is subscribed to the name that it came by.
    pub(super) fn spread(&mut self, form: Form, name: &[u8], bytes: &[u8]) {
        let Some(topic) = self.hub.find(form, name) else { return };
        // Nothing that follows from output changes who is subscribed: that happens when a connection is closed.
        let subscribers = std::mem::take(&mut self.hub.topics[topic as usize].subscribers);
        self.hub.counters.delivered += subscribers.len() as u64;
        let mut forms = Forms { resp2: None, resp3: None };
        for session in &subscribers {
            let protocol = self.sessions[*session as usize].protocol;
            if bytes.len() < SHARED_BYTES_MIN {
                match protocol {
                    Protocol::Resp2 => self.push_to_session(*session, bytes),
                    Protocol::Resp3 => {
                        let pushed = forms.get(Protocol::Resp3, bytes);
                        self.push_to_session(*session, &pushed);
                    }
                }
            } else {
                let shared = forms.get(protocol, bytes);
                self.push_shared_to_session(*session, &shared);
            }
        }
        self.hub.topics[topic as usize].subscribers = subscribers;
    }
}

/// A message in the form of each protocol, made when it is needed first.
struct Forms {
    resp2: Option<Rc<Vec<u8>>>,
    resp3: Option<Rc<Vec<u8>>>,
}

impl Forms {
    /// `bytes` is the message in RESP2; in RESP3 it differs by its first byte.
    fn get(&mut self, protocol: Protocol, bytes: &[u8]) -> Rc<Vec<u8>> {
        let (form, first) = match protocol {
            Protocol::Resp2 => (&mut self.resp2, b'*'),
            Protocol::Resp3 => (&mut self.resp3, b'>'),
        };
        let made = form.get_or_insert_with(|| {
            let mut bytes = bytes.to_vec();
            bytes[0] = first;
            Rc::new(bytes)
        });
        Rc::clone(made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_told_from_replies() {
        let message = |form, name, channel, payload| Some(Message { form, name, channel, payload });
        for (bytes, expected) in [
            (
                &b"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\n\r\n\r\n"[..],
                message(Form::Channel, b"c", b"c", b"\r\n"),
            ),
            (
                b"*4\r\n$8\r\npmessage\r\n$2\r\nc*\r\n$2\r\nch\r\n$0\r\n\r\n",
                message(Form::Pattern, b"c*", b"ch", b""),
            ),
            (
                b"*3\r\n$8\r\nsmessage\r\n$1\r\nc\r\n$1\r\nm\r\n",
                message(Form::Shard, b"c", b"c", b"m"),
            ),
            (b"*3\r\n$9\r\nsubscribe\r\n$7\r\nmessage\r\n:1\r\n", None),
            (b"*2\r\n$4\r\npong\r\n$0\r\n\r\n", None),
            (b"+PONG\r\n", None),
            (b"-ERR no\r\n", None),
        ] {
            assert_eq!(read(bytes), expected, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn events_of_codis_own_keys_are_known_by_the_key() {
        for (channel, payload, reserved) in [
            ("__keyspace@0__:__codis_fence__", "set", true),
            ("__keyspace@0__:fence", "set", false),
            ("__keyevent@3__:set", "__codis_order__", true),
            ("__keyevent@3__:set", "order", false),
            ("news", "__codis_fence__", false),
        ] {
            let (channel, payload) = (channel.as_bytes(), payload.as_bytes());
            let message = Message { form: Form::Channel, name: channel, channel, payload };
            assert_eq!(message.is_of_reserved_key(), reserved, "{}", channel.escape_ascii());
        }
    }
}
