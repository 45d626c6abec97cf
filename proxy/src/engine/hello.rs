//! HELLO, SELECT and RESET: the commands that change which connections a session's requests take.
//!
//! Each protocol and each database has connections of its own to the servers. So that nothing overtakes what the session sent
//! before on others - MOVE and COPY put keys into databases that are not the connection's - a change waits until all
//! of that has been answered.

use super::Engine;
use super::dispatch::Flow;
use super::lane::Lane;
use super::local::{Answer, NOT_AN_INTEGER, ok};
use super::session::Flags;
use crate::command::CommandId;
use crate::resp::request::strict_integer;
use crate::resp::{Protocol, Request, write};

const HELLO_UNAUTHENTICATED: &str = "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO \
     AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol \
     version at the same time";

/// What HELLO asks for.
struct Hello<'a> {
    protocol: Option<Protocol>,
    credentials: Option<(&'a [u8], &'a [u8])>,
    name: Option<&'a [u8]>,
}

impl<'a> Hello<'a> {
    fn read(request: &Request<'a>) -> Result<Self, String> {
        let mut hello = Self { protocol: None, credentials: None, name: None };
        if request.len() > 1 {
            hello.protocol = Some(match strict_integer(request.arg(1)) {
                Some(2) => Protocol::Resp2,
                Some(3) => Protocol::Resp3,
                Some(_) => return Err("NOPROTO unsupported protocol version".into()),
                None => return Err("ERR Protocol version is not an integer or out of range".into()),
            });
        }
        let mut i = 2;
        while i < request.len() {
            let option = request.arg(i);
            let left = request.len() - i - 1;
            if option.eq_ignore_ascii_case(b"AUTH") && left >= 2 {
                hello.credentials = Some((request.arg(i + 1), request.arg(i + 2)));
                i += 3;
            } else if option.eq_ignore_ascii_case(b"SETNAME") && left >= 1 {
                hello.name = Some(request.arg(i + 1));
                i += 2;
            } else {
                let option = String::from_utf8_lossy(option);
                return Err(format!("ERR Syntax error in HELLO option '{option}'"));
            }
        }
        Ok(hello)
    }
}

impl Engine {
    /// Runs `HELLO [version [AUTH user password] [SETNAME name]]`.
    pub(super) fn hello(&mut self, session: u32, id: CommandId, request: &Request<'_>) -> Flow {
        let hello = match Hello::read(request) {
            Ok(hello) => hello,
            Err(text) => return self.reject(session, id, &text),
        };
        let present = self.sessions[session as usize].protocol;
        if hello.protocol.is_some_and(|wanted| wanted != present) {
            if let Some(flow) = self.wait_until_quiet(session) {
                return flow;
            }
            // Its connection answers in the old protocol.
            self.break_watch(session, |_| false);
        }
        let answer = self.greet(session, &hello);
        self.answer(session, id, answer)
    }

    fn greet(&mut self, session: u32, hello: &Hello<'_>) -> Answer {
        if let Some((user, password)) = hello.credentials {
            self.authenticate(session, user, password)?;
        }
        if !self.sessions[session as usize].flags.has(Flags::AUTHENTICATED) {
            return Err(HELLO_UNAUTHENTICATED.into());
        }
        if let Some(name) = hello.name {
            self.name_session(session, name)?;
        }
        if let Some(protocol) = hello.protocol {
            self.sessions[session as usize].speak(protocol);
            if protocol == Protocol::Resp2 {
                self.close_trackers(session);
            } else {
                self.open_for_bcast(session);
            }
        }
        let target = &self.sessions[session as usize];
        let (protocol, client) = (target.protocol, target.client);
        let mut out = Vec::new();
        write::map(&mut out, protocol, 7);
        for (key, value) in [("server", "redis"), ("version", &self.settings.redis_version)] {
            write::bulk(&mut out, key.as_bytes());
            write::bulk(&mut out, value.as_bytes());
        }
        for (key, value) in [("proto", i64::from(protocol.version())), ("id", client as i64)] {
            write::bulk(&mut out, key.as_bytes());
            write::integer(&mut out, value);
        }
        for (key, value) in [("mode", "standalone"), ("role", "master")] {
            write::bulk(&mut out, key.as_bytes());
            write::bulk(&mut out, value.as_bytes());
        }
        write::bulk(&mut out, b"modules");
        write::array(&mut out, 0);
        Ok(out)
    }

    /// Runs `SELECT database`.
    pub(super) fn select(&mut self, session: u32, id: CommandId, request: &Request<'_>) -> Flow {
        let Some(database) = strict_integer(request.arg(1)) else {
            return self.reject(session, id, NOT_AN_INTEGER);
        };
        let database = u16::try_from(database).ok().filter(|n| *n < self.settings.databases);
        let Some(database) = database else {
            return self.reject(session, id, "ERR DB index is out of range");
        };
        if self.sessions[session as usize].database != database
            && let Some(flow) = self.wait_until_quiet(session)
        {
            return flow;
        }
        self.sessions[session as usize].select(database);
        self.answer(session, id, ok())
    }

    /// Runs RESET: the session is as it was when it began.
    pub(super) fn reset(&mut self, session: u32, id: CommandId) -> Flow {
        if self.sessions[session as usize].lane() != Lane::own(0)
            && let Some(flow) = self.wait_until_quiet(session)
        {
            return flow;
        }
        self.end_subscriptions(session);
        self.end_monitor(session);
        self.end_own(session);
        let target = &mut self.sessions[session as usize];
        target.read_from_replicas(None);
        target.select(0);
        target.leave_untouched(false);
        target.speak(Protocol::Resp2);
        if let Some(identity) = &mut target.identity {
            identity.name.clear();
        }
        for flag in [Flags::REPLY_OFF, Flags::REPLY_SKIP, Flags::NO_EVICT] {
            target.flags.unset(flag);
        }
        self.become_default(session);
        self.answer(session, id, Ok(b"+RESET\r\n".to_vec()))
    }
}
