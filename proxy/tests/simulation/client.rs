//! A client: writes its script as it likes, reads when it likes, and checks every reply.

use crate::ledger::Checked;
use crate::pipe::Pipe;
use crate::script::Made;
use crate::script::{Ending, Expect, Script, Sheet};
use crate::world::{Event, World};
use codis_proxy::engine::Segment;
use codis_proxy::resp::reply::{Scan, Scanner};
use std::collections::VecDeque;

/// One client connection, with what both ends know of it.
pub(crate) struct Client {
    pub(crate) node: usize,
    /// The session's index in the engine, until the driver says that it is closed.
    pub(crate) session: Option<u32>,
    pub(crate) script: Script,
    pub(crate) to_proxy: Pipe,
    pub(crate) from_proxy: Pipe,
    /// Bytes made and not yet written.
    pub(crate) outbox: Vec<u8>,
    pub(crate) expected: VecDeque<Expect>,
    /// The most requests that it leaves unanswered.
    pub(crate) window: usize,
    /// The bytes of a reply that has not ended.
    partial: Vec<u8>,
    scanner: Scanner,
    /// All that it was ever sent; kept only where two runs are compared.
    pub(crate) received: Option<Vec<u8>>,
    pub(crate) replies: usize,
    /// It reads nothing before this time.
    pub(crate) deaf_until: u64,
    /// The script's last bytes are in the outbox.
    pub(crate) finished: bool,
    /// Its host has reset the connection.
    pub(crate) reset: bool,
    /// It has seen the end of the connection.
    pub(crate) closed: bool,

    // What the driver keeps.
    pub(crate) sending: Option<(Segment, usize)>,
    pub(crate) paused: bool,
    /// One more read may end after the pause.
    pub(crate) read_under_way: bool,
    pub(crate) closing: bool,
    /// The engine was told that the connection is lost.
    pub(crate) lost: bool,
    pub(crate) eof_told: bool,
    pub(crate) reading: bool,
    pub(crate) stepping: bool,
    pub(crate) hearing: bool,
}

impl Client {
    pub(crate) fn new(
        node: usize,
        script: Script,
        socket_bytes: usize,
        window: usize,
        keep: bool,
    ) -> Self {
        Self {
            node,
            session: None,
            script,
            to_proxy: Pipe::new(socket_bytes),
            from_proxy: Pipe::new(socket_bytes),
            outbox: Vec::new(),
            expected: VecDeque::new(),
            window,
            partial: Vec::new(),
            scanner: Scanner::default(),
            received: keep.then(Vec::new),
            replies: 0,
            deaf_until: 0,
            finished: false,
            reset: false,
            closed: false,
            sending: None,
            paused: false,
            read_under_way: false,
            closing: false,
            lost: false,
            eof_told: false,
            reading: false,
            stepping: false,
            hearing: false,
        }
    }

    /// Takes bytes; answers the whole replies among them.
    pub(crate) fn hear(&mut self, bytes: &[u8]) -> Checked<Vec<Vec<u8>>> {
        if let Some(received) = &mut self.received {
            received.extend_from_slice(bytes);
        }
        let mut replies = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            match self
                .scanner
                .scan(&bytes[at..])
                .map_err(|error| format!("a client was sent {error}"))?
            {
                Scan::End(len) | Scan::EndOfPush(len) => {
                    self.partial.extend_from_slice(&bytes[at..at + len]);
                    at += len;
                    replies.push(std::mem::take(&mut self.partial));
                }
                Scan::More => {
                    self.partial.extend_from_slice(&bytes[at..]);
                    at = bytes.len();
                }
            }
        }
        Ok(replies)
    }

    /// Whether it was given all that it was owed, and no half of anything.
    pub(crate) fn satisfied(&self) -> bool {
        // What was written after a QUIT or a breach is not read.
        let all_read = matches!(self.script.ending, Ending::Quit | Ending::Breach)
            || self.outbox.is_empty() && self.to_proxy.len() == 0;
        self.expected.is_empty() && self.partial.is_empty() && self.finished && all_read
    }

    /// Whether nothing may be missing when the proxy closes the connection.
    pub(crate) fn is_owed(&self) -> bool {
        !self.reset && self.script.ending != Ending::Http
    }

    /// Whether it waits for nothing any more.
    pub(crate) fn is_quiet(&self) -> bool {
        if self.session.is_none() && (self.closed || self.reset) {
            return true;
        }
        !self.reset && self.script.ending == Ending::Stay && self.satisfied() && !self.closed
    }
}

/// What clients do.
impl World {
    pub(crate) fn client_opens(&mut self, client: usize) {
        let node = self.clients[client].node;
        let peer = "127.0.0.1:50000".parse().ok();
        let session = self.engine(node).on_client_open(1000 + client as u64, peer);
        let sessions = &mut self.nodes[node].client_of;
        if sessions.len() <= session as usize {
            sessions.resize(session as usize + 1, None);
        }
        sessions[session as usize] = Some(client);
        self.clients[client].session = Some(session);
        self.wake_writer(client);
    }

    pub(crate) fn wake_writer(&mut self, client: usize) {
        if !self.clients[client].stepping && !self.clients[client].closed {
            self.clients[client].stepping = true;
            self.soon(self.plan.delay_us, Event::ClientWrites(client));
        }
    }

    /// Makes requests and writes them, as far as the window and the socket allow.
    pub(crate) fn client_writes(&mut self, client: usize) {
        let burst = if self.plan.cut { self.rng.usize(1..=30) } else { 30 };
        let target = &mut self.clients[client];
        target.stepping = false;
        if target.closed || target.reset {
            return;
        }
        let (node, epoch) = (target.node, self.nodes[target.node].epoch);
        let asked = &mut self.ledger.asked[client];
        let transactions = &mut self.ledger.transactions[client];
        let mut sheet = Sheet { asked, transactions, node, epoch };
        for _ in 0..burst {
            if target.outbox.len() > 100_000 || target.expected.len() >= target.window {
                break;
            }
            if target.finished {
                break;
            }
            let made = if target.script.left > 0 {
                vec![target.script.next(&mut sheet)]
            } else {
                target.finished = true;
                target.script.last(&mut sheet)
            };
            for Made { bytes, expect } in made {
                target.outbox.extend_from_slice(&bytes);
                target.expected.extend(expect);
            }
        }
        let room = target.to_proxy.room().min(target.outbox.len());
        let count = self.chunk(room);
        let target = &mut self.clients[client];
        let rest = target.outbox.split_off(count);
        let written = std::mem::replace(&mut target.outbox, rest);
        target.to_proxy.push(&written);
        self.after_write(client, count);
    }

    pub(crate) fn after_write(&mut self, client: usize, count: usize) {
        let target = &self.clients[client];
        let all_written = target.finished && target.outbox.is_empty();
        let blocked = target.to_proxy.room() == 0;
        let waits = target.outbox.is_empty() && target.expected.len() >= target.window;
        if all_written {
            match target.script.ending {
                Ending::Eof | Ending::EofMidway => self.clients[client].to_proxy.ended = true,
                Ending::Reset => self.soon(self.plan.delay_us * 4, Event::ClientResets(client)),
                Ending::Stay | Ending::Quit | Ending::Breach | Ending::Http => {}
            }
        } else if !blocked && !waits {
            self.wake_writer(client);
        }
        if count > 0 || self.clients[client].to_proxy.ended {
            self.wake_client_reading(client);
        }
        if self.plan.unread && self.rng.u8(..10) == 0 {
            let pause = [50_000, 500_000, 5_000_000][self.rng.usize(..3)];
            self.clients[client].deaf_until = self.now + self.rng.u64(..pause);
        }
    }

    pub(crate) fn client_resets(&mut self, client: usize) {
        let target = &mut self.clients[client];
        target.reset = true;
        target.closed = true;
        target.to_proxy.clear();
        self.wake_client_reading(client);
        self.wake_client_sending(client);
    }

    /// Reads replies and checks each.
    pub(crate) fn client_reads(&mut self, client: usize) -> Checked {
        let target = &mut self.clients[client];
        target.hearing = false;
        if target.closed || target.reset {
            return Ok(());
        }
        if target.deaf_until > self.now && !self.healed {
            let until = target.deaf_until;
            target.hearing = true;
            self.at(until, Event::ClientReads(client));
            return Ok(());
        }
        let count = self.chunk(self.clients[client].from_proxy.len());
        let target = &mut self.clients[client];
        let bytes = target.from_proxy.pop(count);
        for reply in target.hear(&bytes)? {
            self.check_reply(client, &reply)?;
        }
        let target = &mut self.clients[client];
        if target.from_proxy.len() > 0 {
            target.hearing = true;
            self.soon(self.plan.delay_us, Event::ClientReads(client));
        } else if target.from_proxy.ended {
            target.closed = true;
            self.client_was_closed(client)?;
        }
        if !self.clients[client].closed {
            self.wake_client_sending(client);
            self.wake_writer(client);
        }
        Ok(())
    }

    pub(crate) fn check_reply(&mut self, client: usize, reply: &[u8]) -> Checked {
        let target = &mut self.clients[client];
        target.replies += 1;
        let shown = || reply[..reply.len().min(200)].escape_ascii().to_string();
        match target.expected.pop_front() {
            None => Err(format!("client {client} was sent a reply to nothing: {}", shown())),
            Some(Expect::Exactly(bytes)) if bytes == reply => Ok(()),
            Some(Expect::Exactly(bytes)) => Err(format!(
                "client {client} was sent {} and not {}",
                shown(),
                bytes.escape_ascii()
            )),
            Some(Expect::Starts(start)) if reply.starts_with(start.as_bytes()) => Ok(()),
            Some(Expect::Starts(start)) => {
                Err(format!("client {client} was sent {} and not {start}...", shown()))
            }
            Some(expect @ (Expect::Asked(number) | Expect::Executed(number))) => {
                let in_order = self.plan.replicas == 0 || self.plan.settings.primary_only;
                let faulty = |address: &str| {
                    self.servers.iter().any(|server| server.faulty && server.address == address)
                };
                let epoch = self.nodes[target.node].epoch;
                let ledger = &mut self.ledger;
                match expect {
                    Expect::Executed(_) => {
                        ledger.check_executed(client, number, reply, in_order, faulty, epoch)
                    }
                    _ => ledger.check_answer(client, number, reply, in_order, faulty, epoch),
                }
            }
        }
    }

    /// A client has seen its connection end.
    pub(crate) fn client_was_closed(&mut self, client: usize) -> Checked {
        let target = &self.clients[client];
        if target.satisfied() || !target.is_owed() {
            return Ok(());
        }
        if self.plan.calm {
            return Err(format!(
                "client {client} was closed with {} replies missing",
                target.expected.len()
            ));
        }
        self.abrupt += 1;
        Ok(())
    }
}
