//! The commands that the proxy answers itself. Those that need every shard go to the control thread
//! as a question.

use super::dispatch::Flow;
use super::pubsub::{self, Form};
use super::session::{Flags, Session, Stall};
use super::{CutReason, Effect, Engine};
use crate::command::{self, CommandId, Local};
use crate::messages::Question;
use crate::resp::request::strict_integer;
use crate::resp::{Request, write};
use crate::slots::{self, SLOT_COUNT};
use crate::topology::SlotState;

pub(super) const SYNTAX: &str = "ERR syntax error";
pub(super) const NOT_AN_INTEGER: &str = "ERR value is not an integer or out of range";
pub(super) const WRONG_PASSWORD: &str =
    "WRONGPASS invalid username-password pair or user is disabled.";
pub(super) const NO_PASSWORD: &str = "ERR AUTH <password> called without any password configured for the \
                           default user. Are you sure your configuration is correct?";

/// What a local command answers.
pub(super) type Answer = Result<Vec<u8>, String>;

impl Engine {
    /// Answers a command in the proxy.
    pub(super) fn local(
        &mut self,
        session: u32,
        id: CommandId,
        local: Local,
        request: &Request<'_>,
    ) -> Flow {
        if matches!(local, Local::Info | Local::Ping)
            && let Some(flow) = self.ask_named(session, id, request)
        {
            return flow;
        }
        if let Some(question) = question(local) {
            return self.ask(session, id, question, request);
        }
        if let Some((form, begins)) = subscription(local) {
            return match begins {
                true => self.subscribe(session, id, form, request),
                false => self.unsubscribe(session, id, form, request),
            };
        }
        let protocol = self.sessions[session as usize].protocol;
        let answer = match local {
            Local::Auth => self.auth(session, request),
            Local::Hello => return self.hello(session, id, request),
            Local::Select => return self.select(session, id, request),
            Local::Ping => ping(request, &self.sessions[session as usize]),
            Local::Echo => Ok(bulk(request.arg(1))),
            Local::Role => Ok(role()),
            Local::Quit => return self.quit(session, id),
            Local::Reset => return self.reset(session, id),
            Local::Time => Ok(self.time()),
            Local::ClientId => {
                let client = self.sessions[session as usize].client;
                Ok(integer(client as i64))
            }
            Local::ClientSetName => self.set_name(session, request),
            Local::ClientGetName => Ok(self.get_name(session)),
            Local::ClientSetInfo => self.set_info(session, request),
            Local::ClientInfo => {
                let line = crate::clients::line(&self.client_info(session));
                let mut out = Vec::new();
                write::verbatim(&mut out, protocol, format!("{line}\n").as_bytes());
                Ok(out)
            }
            Local::ClientNoEvict => self.no_evict(session, request),
            Local::ClientNoTouch => return self.no_touch(session, id, request),
            Local::ClientReply => return self.client_reply(session, id, request),
            Local::AclWhoAmI
            | Local::AclUsers
            | Local::AclList
            | Local::AclGetUser
            | Local::AclCat
            | Local::AclDryRun
            | Local::AclGenPass => self.acl(session, local, request),
            Local::ReadOnly | Local::ReadWrite => {
                let target = &mut self.sessions[session as usize];
                target.read_from_replicas(Some(local == Local::ReadOnly));
                ok()
            }
            Local::Multi | Local::Exec | Local::Discard | Local::Watch | Local::Unwatch => {
                return self.transact(session, id, local, request);
            }
            Local::ClientTracking
            | Local::ClientCaching
            | Local::ClientTrackingInfo
            | Local::ClientGetRedir => return self.track(session, id, local, request),
            Local::SlotsInfo => self.slots_info(request),
            Local::SlotsMapping => self.slots_mapping(request),
            Local::SlotsHashKey => {
                let mut out = Vec::new();
                write::array(&mut out, request.len() - 1);
                for i in 1..request.len() {
                    write::integer(&mut out, i64::from(slots::slot(request.arg(i))));
                }
                Ok(out)
            }
            _ => {
                let mut out = Vec::new();
                let known = command::reply(local, request, protocol, &mut out);
                debug_assert!(known, "a local command that nobody answers");
                Ok(out)
            }
        };
        self.answer(session, id, answer)
    }

    pub(super) fn answer(&mut self, session: u32, id: CommandId, answer: Answer) -> Flow {
        match answer {
            Ok(reply) => {
                self.count_local(id);
                self.reply(session, &reply);
                Flow::Next
            }
            Err(text) => self.reject(session, id, &text),
        }
    }

    /// Counts a command that the proxy answers; its time is within one turn.
    pub(super) fn count_local(&mut self, id: CommandId) {
        let stats = self.command_stats(id);
        stats.calls += 1;
        stats.latency.record(0);
    }

    /// Hands a question to the control thread.
    fn ask(
        &mut self,
        session: u32,
        id: CommandId,
        question: Question,
        request: &Request<'_>,
    ) -> Flow {
        self.count_local(id);
        let target = &mut self.sessions[session as usize];
        // Its answer comes later and would be hard to hold back then.
        if target.wants_silence() {
            target.flags.set(Flags::REPLY_SKIP);
            self.reply(session, b"");
            return Flow::Next;
        }
        if question == Question::Monitor {
            // Who monitors already is told nothing.
            if !target.flags.raise(Flags::MONITOR) {
                self.reply(session, b"");
                return Flow::Next;
            }
        }
        if question == Question::ClientKill {
            target.flags.set(Flags::KILLS);
        }
        // One question of a session at a time: what follows sees what it did, and a client that
        // pipelines thousands of CLIENT LIST does not make the control thread hold thousands of lists.
        target.stall = Stall::Answer;
        target.references += 1;
        let sequence = target.sequence();
        let (client, protocol) = (target.client, target.protocol);
        let args = (0..request.len()).map(|i| request.arg(i).to_vec()).collect();
        self.effects.push(Effect::Ask { session, client, sequence, question, args, protocol });
        Flow::Next
    }

    fn quit(&mut self, session: u32, id: CommandId) -> Flow {
        let flow = self.answer(session, id, ok());
        self.close_when_drained(session);
        flow
    }

    fn time(&self) -> Vec<u8> {
        let now = self.unix_us();
        let mut out = Vec::new();
        write::array(&mut out, 2);
        write::bulk(&mut out, (now / 1_000_000).to_string().as_bytes());
        write::bulk(&mut out, (now % 1_000_000).to_string().as_bytes());
        out
    }

    pub(super) fn name_session(&mut self, session: u32, name: &[u8]) -> Result<(), String> {
        let text = printable(name)
            .ok_or("ERR Client names cannot contain spaces, newlines or special characters.")?;
        self.sessions[session as usize].identity_mut().name = text;
        Ok(())
    }

    fn set_name(&mut self, session: u32, request: &Request<'_>) -> Answer {
        self.name_session(session, request.arg(2))?;
        ok()
    }

    fn get_name(&self, session: u32) -> Vec<u8> {
        match &self.sessions[session as usize].identity {
            Some(identity) if !identity.name.is_empty() => bulk(identity.name.as_bytes()),
            _ => {
                let mut out = Vec::new();
                write::null(&mut out, self.sessions[session as usize].protocol);
                out
            }
        }
    }

    fn set_info(&mut self, session: u32, request: &Request<'_>) -> Answer {
        let option = String::from_utf8_lossy(request.arg(2)).to_ascii_lowercase();
        let value = printable(request.arg(3));
        let is_lib_name = option == "lib-name";
        if !is_lib_name && option != "lib-ver" {
            let shown = String::from_utf8_lossy(request.arg(2));
            return Err(format!("ERR Unrecognized option '{shown}'"));
        }
        let Some(value) = value else {
            return Err(format!(
                "ERR {option} cannot contain spaces, newlines or special characters."
            ));
        };
        let identity = self.sessions[session as usize].identity_mut();
        *(if is_lib_name { &mut identity.lib_name } else { &mut identity.lib_ver }) = value;
        ok()
    }

    fn no_evict(&mut self, session: u32, request: &Request<'_>) -> Answer {
        let flags = &mut self.sessions[session as usize].flags;
        match &request.arg(2).to_ascii_lowercase()[..] {
            b"on" => flags.set(Flags::NO_EVICT),
            b"off" => flags.unset(Flags::NO_EVICT),
            _ => return Err(SYNTAX.into()),
        }
        ok()
    }

    fn no_touch(&mut self, session: u32, id: CommandId, request: &Request<'_>) -> Flow {
        let on = match &request.arg(2).to_ascii_lowercase()[..] {
            b"on" => true,
            b"off" => false,
            _ => return self.reject(session, id, SYNTAX),
        };
        // Other connections are taken from here on, and must not overtake.
        if self.sessions[session as usize].flags.has(Flags::NO_TOUCH) != on
            && let Some(flow) = self.wait_until_quiet(session)
        {
            return flow;
        }
        self.sessions[session as usize].leave_untouched(on);
        self.answer(session, id, ok())
    }

    fn client_reply(&mut self, session: u32, id: CommandId, request: &Request<'_>) -> Flow {
        let flags = &mut self.sessions[session as usize].flags;
        match &request.arg(2).to_ascii_lowercase()[..] {
            b"on" => {
                flags.unset(Flags::REPLY_OFF);
                flags.unset(Flags::REPLY_SKIP);
                self.answer(session, id, ok())
            }
            b"off" => {
                flags.set(Flags::REPLY_OFF);
                self.answer(session, id, Ok(Vec::new()))
            }
            b"skip" => {
                let flow = self.answer(session, id, Ok(Vec::new()));
                let flags = &mut self.sessions[session as usize].flags;
                if !flags.has(Flags::REPLY_OFF) {
                    flags.set(Flags::REPLY_SKIP);
                }
                flow
            }
            _ => self.reject(session, id, SYNTAX),
        }
    }

    /// `SLOTSINFO [host:port] [start [count]]`: for each slot that a group serves - that the server is the master of,
    /// where one is named - its number, its group, its master and whether it is locked.
    fn slots_info(&self, request: &Request<'_>) -> Answer {
        let named = match request.len() {
            0 | 1 => None,
            _ => self.server_named(request.arg(1)).map(|server| self.routes.address(server)),
        };
        let first = 1 + usize::from(named.is_some());
        let number = |i: usize, default: usize| match request.len() > i {
            true => slot_number(request.arg(i), SLOT_COUNT),
            false => Ok(default),
        };
        let start = number(first, 0)?;
        let count = number(first + 1, SLOT_COUNT)?;
        let topology = &self.routes.topology;
        let mut out = Vec::new();
        let mut len = 0;
        for (slot, entry) in topology.slots.iter().enumerate().skip(start).take(count) {
            let Some(group) = serving(entry.state) else {
                continue;
            };
            let group = topology.group(group);
            if named.as_ref().is_some_and(|named| *named != group.master) {
                continue;
            }
            len += 1;
            write::array(&mut out, 4);
            write::integer(&mut out, slot as i64);
            write::integer(&mut out, i64::from(group.id));
            write::bulk(&mut out, group.master.as_bytes());
            write::integer(&mut out, i64::from(entry.locked));
        }
        let mut whole = Vec::new();
        write::array(&mut whole, len);
        whole.extend_from_slice(&out);
        Ok(whole)
    }

    /// `SLOTSMAPPING [slot]`: number, master, the master that the slot's keys come from, replicas.
    fn slots_mapping(&self, request: &Request<'_>) -> Answer {
        let mut out = Vec::new();
        if request.len() > 1 {
            self.slot_mapping(slot_number(request.arg(1), SLOT_COUNT - 1)?, &mut out);
        } else {
            write::array(&mut out, SLOT_COUNT);
            (0..SLOT_COUNT).for_each(|slot| self.slot_mapping(slot, &mut out));
        }
        Ok(out)
    }

    fn slot_mapping(&self, slot: usize, out: &mut Vec<u8>) {
        let topology = &self.routes.topology;
        let state = topology.slots[slot].state;
        let group = serving(state).map(|group| topology.group(group));
        let from = match state {
            SlotState::Migrating { from, .. } => &topology.group(from).master,
            _ => "",
        };
        write::array(out, 4);
        write::bulk(out, slot.to_string().as_bytes());
        write::bulk(out, group.map_or("", |group| &group.master).as_bytes());
        write::bulk(out, from.as_bytes());
        let replicas = group.map_or(&[][..], |group| &group.replicas);
        write::array(out, replicas.len());
        for set in replicas {
            write::array(out, set.len());
            set.iter().for_each(|address| write::bulk(out, address.as_bytes()));
        }
    }

    /// Closes a session for CLIENT KILL. One that asks for its own end gets its answer first.
    pub fn kill(&mut self, session: u32) {
        let target = &self.sessions[session as usize];
        if target.flags.has(Flags::KILLS) {
            self.close_when_drained(session);
        } else {
            self.cut(session, CutReason::Killed);
        }
    }
}

/// What the proxy is to its clients: a master without replicas, at no offset that they could compare with another's.
fn role() -> Vec<u8> {
    let mut out = Vec::new();
    write::array(&mut out, 3);
    write::bulk(&mut out, b"master");
    write::integer(&mut out, 0);
    write::array(&mut out, 0);
    out
}

/// The group that serves a slot, or will once its keys have moved.
fn serving(state: SlotState) -> Option<crate::topology::GroupIndex> {
    match state {
        SlotState::Offline => None,
        SlotState::Stable(group) => Some(group),
        SlotState::Preparing { from, .. } => Some(from),
        SlotState::Migrating { to, .. } => Some(to),
    }
}

/// The question that a command is, for those that every shard must answer.
fn question(local: Local) -> Option<Question> {
    Some(match local {
        Local::Info => Question::Info,
        Local::ClientList => Question::ClientList,
        Local::ClientKill => Question::ClientKill,
        Local::ClientUnblock => Question::ClientUnblock,
        Local::ClientPause => Question::ClientPause,
        Local::ClientUnpause => Question::ClientUnpause,
        Local::ConfigGet => Question::ConfigGet,
        Local::ConfigSet => Question::ConfigSet,
        Local::ConfigResetStat => Question::ConfigResetStat,
        Local::SlowlogGet => Question::SlowlogGet,
        Local::SlowlogLen => Question::SlowlogLen,
        Local::SlowlogReset => Question::SlowlogReset,
        Local::Monitor => Question::Monitor,
        _ => return None,
    })
}

/// What a command subscribes or unsubscribes, and whether it subscribes.
fn subscription(local: Local) -> Option<(Form, bool)> {
    Some(match local {
        Local::Subscribe => (Form::Channel, true),
        Local::Psubscribe => (Form::Pattern, true),
        Local::Ssubscribe => (Form::Shard, true),
        Local::Unsubscribe => (Form::Channel, false),
        Local::Punsubscribe => (Form::Pattern, false),
        Local::Sunsubscribe => (Form::Shard, false),
        _ => return None,
    })
}

fn slot_number(text: &[u8], max: usize) -> Result<usize, String> {
    let number = strict_integer(text).and_then(|number| usize::try_from(number).ok());
    number
        .filter(|number| *number <= max)
        .ok_or_else(|| format!("ERR a slot is a number from 0 to {}", SLOT_COUNT - 1))
}

fn ping(request: &Request<'_>, session: &Session) -> Answer {
    match request.len() {
        1 | 2 if session.flags.has(Flags::HEARS_ONLY) => Ok(pubsub::pong(request)),
        1 => Ok(b"+PONG\r\n".to_vec()),
        2 => Ok(bulk(request.arg(1))),
        _ => Err("ERR wrong number of arguments for 'ping' command".into()),
    }
}

pub(super) fn ok() -> Answer {
    Ok(b"+OK\r\n".to_vec())
}

pub(super) fn bulk(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 16);
    write::bulk(&mut out, bytes);
    out
}

fn integer(value: i64) -> Vec<u8> {
    let mut out = Vec::new();
    write::integer(&mut out, value);
    out
}

/// The text, if it has only the characters that Redis allows in names: `!` to `~`.
fn printable(bytes: &[u8]) -> Option<String> {
    bytes
        .iter()
        .all(|byte| (b'!'..=b'~').contains(byte))
        .then(|| String::from_utf8_lossy(bytes).into_owned())
}
