//! Scripts are on every master, or are brought there before they are called.
//!
//! SCRIPT LOAD goes to all masters; but a master that joined or was promoted later, or was restarted, does not have the
//! script, and EVAL leaves it on one master alone. So a shard remembers the bodies that it has seen, and a connection
//! remembers which of them were loaded on it. An EVALSHA of a known body, on a connection on which it was not loaded,
//! has a SCRIPT LOAD written right before it, whose reply nobody is given. Nothing is ever sent twice for that,
//! nor overtaken.

use super::super::Engine;
use super::super::backend::State;
use super::super::dispatch::Flow;
use super::merge::Rule;
use super::{Part, Work, read};
use crate::command::{CommandId, ids};
use crate::resp::{Protocol, Request, write};
use ahash::{AHashMap, AHashSet};
use sha1::{Digest as _, Sha1};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

/// How many bodies a shard remembers...
const BODIES_MAX: usize = 4096;

/// ...of how many bytes, all together.
const BODY_BYTES_MAX: usize = 16 << 20;

/// What names a body.
type Digest = [u8; 20];

/// The digests of the bodies that were loaded on one connection.
#[derive(Debug, Default)]
pub(in super::super) struct Loaded {
    digests: AHashSet<Digest>,
}

impl Loaded {
    /// Another connection, or other scripts on the server.
    pub(in super::super) fn clear(&mut self) {
        self.digests = AHashSet::new();
    }
}

/// The bodies that a shard has seen.
#[derive(Debug, Default)]
pub(in super::super) struct Scripts {
    bodies: AHashMap<Digest, Rc<[u8]>>,
    digests: AHashMap<Rc<[u8]>, Digest>,
    /// The oldest first.
    order: VecDeque<Digest>,
    bytes: usize,
}

impl Scripts {
    /// Remembers a body; the oldest ones make room.
    fn remember(&mut self, body: &[u8]) {
        if self.digests.contains_key(body) || body.len() > BODY_BYTES_MAX {
            return;
        }
        while self.order.len() >= BODIES_MAX || self.bytes + body.len() > BODY_BYTES_MAX {
            let Some(oldest) = self.order.pop_front() else { break };
            if let Some(body) = self.bodies.remove(&oldest) {
                self.bytes -= body.len();
                self.digests.remove(&body);
            }
        }
        let digest: Digest = Sha1::digest(body).into();
        let body: Rc<[u8]> = body.into();
        self.bytes += body.len();
        self.order.push_back(digest);
        self.bodies.insert(digest, Rc::clone(&body));
        self.digests.insert(body, digest);
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}

/// The digest that 40 hexadecimal digits are.
fn digest(text: &[u8]) -> Option<Digest> {
    if text.len() != 40 {
        return None;
    }
    let digit = |byte: u8| (byte as char).to_digit(16);
    let mut digest = Digest::default();
    for (byte, pair) in digest.iter_mut().zip(text.chunks_exact(2)) {
        *byte = (digit(pair[0])? * 16 + digit(pair[1])?) as u8;
    }
    Some(digest)
}

/// Whether a command runs a script or a function.
#[inline]
pub(in super::super) fn runs_script(id: CommandId) -> bool {
    matches!(
        id,
        ids::EVAL | ids::EVAL_RO | ids::EVALSHA | ids::EVALSHA_RO | ids::FCALL | ids::FCALL_RO
    )
}

impl Engine {
    /// Sends a request that runs a script and declares no keys: to the master of the group with the lowest number.
    pub(in super::super) fn run_keyless(
        &mut self,
        session: u32,
        id: CommandId,
        request: &Request<'_>,
    ) -> Flow {
        let Some(backend) = self.first_lane(session) else {
            return self.refuse_nowhere(session, id);
        };
        self.before_script(backend, id, request);
        self.send(session, backend, id, request)
    }

    /// A script is about to be called on a connection: has the server know it.
    #[cold]
    pub(in super::super) fn before_script(
        &mut self,
        backend: u32,
        id: CommandId,
        request: &Request<'_>,
    ) {
        self.connect_controller(backend);
        match id {
            ids::EVAL | ids::EVAL_RO => self.fans.scripts.remember(request.arg(1)),
            ids::EVALSHA | ids::EVALSHA_RO => {
                if let Some(digest) = digest(request.arg(1)) {
                    self.load_script(backend, digest);
                }
            }
            _ => {}
        }
    }

    /// Writes SCRIPT LOAD to a connection on which a known body was not loaded.
    fn load_script(&mut self, backend: u32, digest: Digest) {
        let Some(body) = self.fans.scripts.bodies.get(&digest).map(Rc::clone) else { return };
        let target = &mut self.backends[backend as usize];
        // Where the call itself cannot be sent now, it is offered again.
        if !target.takes_requests() || !target.has_room(&self.settings) {
            return;
        }
        let loaded = target.loaded.get_or_insert_default();
        if loaded.digests.len() >= 2 * BODIES_MAX {
            loaded.clear();
        }
        if !loaded.digests.insert(digest) {
            return;
        }
        // Where it cannot be loaded, the call that follows says so.
        self.push_swallowed(backend, ids::SCRIPT_LOAD, &[b"SCRIPT", b"LOAD", &body]);
    }

    /// While a server runs a script it takes no new connections' greetings, and nothing more on the script's own
    /// connection. So the one by which the script can be killed is made before the first script runs.
    fn connect_controller(&mut self, backend: u32) {
        let target = &mut self.backends[backend as usize];
        if target.loaded.is_some() {
            return;
        }
        target.loaded = Some(Box::default());
        let address = Arc::clone(&target.address);
        if let Some(controller) = self.waiter(&address)
            && self.backends[controller as usize].state == State::Idle
        {
            self.connect(controller);
        }
    }

    /// A server does not have a script that it was believed to have: somebody else flushed them.
    #[cold]
    pub(in super::super) fn forget_loaded(&mut self, backend: u32) {
        if let Some(loaded) = &mut self.backends[backend as usize].loaded {
            loaded.clear();
        }
    }

    /// SCRIPT FLUSH: nothing is known any more.
    pub(super) fn forget_scripts(&mut self) {
        self.fans.scripts.clear();
        for (_, backend) in &mut self.backends {
            if let Some(loaded) = &mut backend.loaded {
                loaded.clear();
            }
        }
    }

    /// SCRIPT KILL or FUNCTION KILL.
    pub(super) fn kill_scripts(
        &mut self,
        session: u32,
        id: CommandId,
        request: &Request<'_>,
    ) -> Flow {
        self.ask_controllers(session, id, Rule::Kill, request)
    }

    /// Sends a request to all masters, on connections that no script runs on.
    pub(super) fn ask_controllers(
        &mut self,
        session: u32,
        id: CommandId,
        rule: Rule,
        request: &Request<'_>,
    ) -> Flow {
        let masters = self.masters();
        if masters.is_empty() {
            return self.refuse_nowhere(session, id);
        }
        let mut lanes = Vec::new();
        for master in masters {
            let address = self.routes.address(master.server);
            lanes.extend(self.waiter(&address).map(|backend| (master.number, backend)));
        }
        let backends: Vec<u32> = lanes.iter().map(|(_, backend)| *backend).collect();
        if let Err(flow) = self.check(session, id, &backends) {
            return flow;
        }
        let fan = self.begin(session, id, Work::Merge(rule));
        for (group, backend) in lanes {
            self.put(fan, group, backend, request.bytes);
        }
        Flow::Next
    }

    /// All masters have answered SCRIPT LOAD.
    pub(super) fn on_script_loaded(
        &mut self,
        body: &[u8],
        parts: &[Part],
        protocol: Protocol,
    ) -> Vec<u8> {
        let reply = Rule::Alike.merge(parts, protocol);
        if read::error(&reply).is_none() {
            self.fans.scripts.remember(body);
        }
        reply
    }

    /// All masters have answered SCRIPT EXISTS. A script is there if all have it, or if this shard can bring it to those
    /// that do not.
    pub(super) fn on_scripts_exist(&self, names: &[Vec<u8>], parts: &[Part]) -> Vec<u8> {
        let mut everywhere = vec![true; names.len()];
        for part in parts {
            let Some(elements) = read::elements(&part.reply) else { return part.reply.clone() };
            for (everywhere, element) in everywhere.iter_mut().zip(elements) {
                *everywhere &= read::integer(element) == Some(1);
            }
        }
        let mut out = Vec::new();
        write::array(&mut out, names.len());
        for (name, everywhere) in names.iter().zip(everywhere) {
            let known =
                digest(name).is_some_and(|digest| self.fans.scripts.bodies.contains_key(&digest));
            write::integer(&mut out, i64::from(everywhere || known));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_found_by_its_digest_in_either_letter_case() {
        let mut scripts = Scripts::default();
        scripts.remember(b"return 1");
        let name = b"e0e1f9fabfc9d4800c877a703b823ac0578ff8db";
        let known = |text: &[u8]| digest(text).is_some_and(|d| scripts.bodies.contains_key(&d));
        assert!(known(name) && known(&name.to_ascii_uppercase()));
        assert!(!known(&name[1..]) && !known(&[b'g'; 40]));
    }

    #[test]
    fn bodies_are_bounded_by_number_and_by_bytes() {
        let mut scripts = Scripts::default();
        for i in 0..BODIES_MAX + 10 {
            scripts.remember(format!("return {i}").as_bytes());
        }
        assert_eq!((scripts.bodies.len(), scripts.digests.len()), (BODIES_MAX, BODIES_MAX));
        let large = vec![b'x'; BODY_BYTES_MAX - 10];
        scripts.remember(&large);
        assert!(scripts.digests.contains_key(&large[..]) && scripts.bytes <= BODY_BYTES_MAX);
        scripts.remember(&vec![b'x'; BODY_BYTES_MAX + 1]);
        assert!(scripts.digests.contains_key(&large[..]), "what is too large changes nothing");
    }
}
