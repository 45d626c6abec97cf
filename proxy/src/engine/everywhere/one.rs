//! Commands for one server that the client names: `CODIS.SERVER host:port command ...`, and Codis's `INFO host:port` and
//! `PING host:port`.
//!
//! Only servers that the topology names are asked, and only commands that leave the connection as it is, since it is
//! everybody's. What changes a server, or tells what clients of the proxy need not know, takes
//! `backend_admin_commands`.

use super::super::Engine;
use super::super::dispatch::Flow;
use super::super::route::is_reserved;
use super::Work;
use super::merge::Rule;
use crate::command::{self, CommandId, LookupError};
use crate::resp::{Request, write};
use crate::slots;

/// Commands that anyone may run on a server that he names.
const OPEN: &[&str] = &[
    "ping",
    "echo",
    "time",
    "info",
    "role",
    "dbsize",
    "lastsave",
    "memory|doctor",
    "memory|stats",
    "memory|malloc-stats",
    "latency|doctor",
    "latency|graph",
    "latency|histogram",
    "latency|history",
    "latency|latest",
    "slowlog|len",
    "module|list",
    "function|list",
    "function|stats",
    "script|exists",
    "pubsub|channels",
    "pubsub|numpat",
    "pubsub|numsub",
];

/// Those that take `backend_admin_commands`. CONFIG GET and SLOWLOG GET show passwords.
const ADMIN: &[&str] = &[
    "config|get",
    "config|set",
    "config|resetstat",
    "config|rewrite",
    "slowlog|get",
    "slowlog|reset",
    "latency|reset",
    "memory|purge",
    "client|list",
    "client|kill",
    "save",
    "bgsave",
    "bgrewriteaof",
    "debug",
];

impl Engine {
    /// Runs `CODIS.SERVER host:port command [argument ...]`.
    pub(super) fn on_server(&mut self, session: u32, id: CommandId, request: &Request<'_>) -> Flow {
        let Some(server) = self.server_named(request.arg(1)) else {
            let text = format!(
                "ERR no server of the topology has the address {}: SLOTSMAPPING names them",
                String::from_utf8_lossy(request.arg(1))
            );
            return self.reject(session, id, &text);
        };
        let inner = Request { bytes: request.bytes, args: &request.args[2..] };
        let name = match command::resolve(&inner) {
            Ok(inner) => inner.command().name,
            Err(error) => return self.refuse_inner(session, id, &inner, error),
        };
        let admitted =
            OPEN.contains(&name) || (ADMIN.contains(&name) && self.settings.backend_admin_commands);
        if !admitted {
            let text = match ADMIN.contains(&name) {
                true => {
                    format!("ERR '{name}' on one server is refused: set backend_admin_commands")
                }
                false => format!("ERR '{name}' cannot be run on one server through the proxy"),
            };
            return self.reject(session, id, &text);
        }
        self.send_to_server(session, id, server, &inner)
    }

    fn refuse_inner(
        &mut self,
        session: u32,
        id: CommandId,
        inner: &Request<'_>,
        error: LookupError,
    ) -> Flow {
        let text = error.text(inner);
        self.reject(session, id, &String::from_utf8_lossy(&text))
    }

    fn send_to_server(
        &mut self,
        session: u32,
        id: CommandId,
        server: u16,
        inner: &Request<'_>,
    ) -> Flow {
        let lane = self.sessions[session as usize].lane();
        let backend = self.lane_to(server, lane);
        let words: Vec<&[u8]> = (0..inner.len()).map(|i| inner.arg(i)).collect();
        let mut bytes = Vec::new();
        write::request(&mut bytes, &words);
        if let Err(flow) = self.check(session, id, &[backend]) {
            return flow;
        }
        let fan = self.begin(session, id, Work::Merge(Rule::Alike));
        self.put(fan, 0, backend, &bytes);
        Flow::Next
    }

    /// Runs `INFO host:port [section ...]` or `PING host:port`, where the argument names a server. `None`: it names none.
    pub(in super::super) fn ask_named(
        &mut self,
        session: u32,
        id: CommandId,
        request: &Request<'_>,
    ) -> Option<Flow> {
        if request.len() < 2 {
            return None;
        }
        let server = self.server_named(request.arg(1))?;
        if let Some(flow) = self.wait_until_quiet(session) {
            return Some(flow);
        }
        let mut args = request.args.to_vec();
        args.remove(1);
        let inner = Request { bytes: request.bytes, args: &args };
        Some(self.send_to_server(session, id, server, &inner))
    }

    /// The server of an address.
    pub(in super::super) fn server_named(&self, address: &[u8]) -> Option<u16> {
        // No word that a client might mean otherwise has one of these.
        if !address.iter().any(|byte| matches!(byte, b':' | b'/')) {
            return None;
        }
        let mut servers = (0..).zip(&self.routes.servers);
        let named = servers.find(|(_, server)| server.address().as_bytes() == address);
        named.map(|(index, _)| index)
    }

    /// Runs DEBUG, where that is allowed: on the server of its key, or on all masters.
    pub(super) fn debug(&mut self, session: u32, id: CommandId, request: &Request<'_>) -> Flow {
        if !self.settings.backend_admin_commands {
            let text = "ERR DEBUG is refused: set backend_admin_commands, or connect to a server";
            return self.reject(session, id, text);
        }
        if request.arg(1).eq_ignore_ascii_case(b"object") && request.len() >= 3 {
            if is_reserved(request.arg(2)) {
                return self.refuse_reserved(session, id);
            }
            let slot = slots::slot(request.arg(2));
            return self.forward(session, id, slot, &[2], request);
        }
        self.to_all(session, id, Work::Merge(Rule::Alike), request.bytes)
    }
}
