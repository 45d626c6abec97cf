//! The driver model: what the ring and the shard do for an engine. Its other half, connections to servers, is in
//! [`crate::connections`].

use crate::ledger::Checked;
use crate::plan::Bug;
use crate::world::{Event, Question, World};
use codis_proxy::engine::Effect;

/// What one read takes at most.
const READ_BYTES_MAX: usize = 16_000;

impl World {
    /// How many of so many bytes go at once.
    pub(crate) fn chunk(&mut self, available: usize) -> usize {
        if !self.plan.cut || available <= 1 {
            return available;
        }
        match self.rng.u8(..4) {
            0 if available <= 4_000 => self.rng.usize(1..=available.min(12)),
            0 | 1 => self.rng.usize(1..=available),
            _ => available,
        }
    }

    pub(crate) fn carry_out(&mut self, node: usize, effect: Effect) -> Checked {
        match effect {
            Effect::Connect { backend, address } => self.connect(node, backend, &address)?,
            Effect::CloseBackend { backend } => {
                if let Some(conn) = self.conn_of(node, backend) {
                    self.conns[conn].closing = true;
                    self.soon(self.plan.delay_us, Event::CloseServer(conn));
                }
            }
            Effect::CloseClient { session } => {
                // It may have been lost in the same turn: then it is closed already.
                if let Some(client) = self.client_of(node, session) {
                    if self.clients[client].lost {
                        return Ok(());
                    }
                    if self.clients[client].closing {
                        return Err(format!("session {session} is closed twice"));
                    }
                    self.clients[client].closing = true;
                    self.soon(self.plan.delay_us, Event::CloseClient(client));
                }
            }
            Effect::Pause { session } => {
                if let Some(client) = self.client_of(node, session) {
                    self.clients[client].paused = self.plan.bug != Bug::PauseIgnored;
                    self.clients[client].read_under_way = true;
                }
            }
            Effect::Resume { session } => {
                if let Some(client) = self.client_of(node, session) {
                    self.clients[client].paused = false;
                    self.wake_client_reading(client);
                }
            }
            // Nobody monitors.
            Effect::Monitored { .. } | Effect::MonitorEnded { .. } => {}
            // Slots that migrate are in the other simulation.
            Effect::Wanted { .. } => {}
            Effect::Settled { epoch } => {
                let node = &mut self.nodes[node];
                if epoch <= node.settled || epoch > node.epoch {
                    return Err(format!(
                        "epoch {epoch} has settled, after {} and by topology {}",
                        node.settled, node.epoch
                    ));
                }
                node.settled = epoch;
            }
            Effect::Ask { session, client, sequence, args, .. } => {
                let text = &args[1];
                let reply = [format!("${}\r\n", text.len()).as_bytes(), text, b"\r\n"].concat();
                self.nodes[node].questions += 1;
                self.questions.push(Some(Question { node, session, client, sequence, reply }));
                if self.plan.bug != Bug::NoAnswer {
                    self.soon(self.plan.delay_us, Event::Answer(self.questions.len() - 1));
                }
            }
        }
        Ok(())
    }

    pub(crate) fn answer(&mut self, question: usize) {
        let Some(question) = self.questions[question].take() else {
            return;
        };
        self.nodes[question.node].questions -= 1;
        self.engine(question.node).on_answer(
            question.session,
            question.client,
            question.sequence,
            &question.reply,
        );
    }

    pub(crate) fn conn_of(&self, node: usize, backend: u32) -> Option<usize> {
        self.nodes[node].conn_of.get(backend as usize).copied().flatten()
    }

    fn client_of(&self, node: usize, session: u32) -> Option<usize> {
        self.nodes[node].client_of.get(session as usize).copied().flatten()
    }

    // Clients.

    pub(crate) fn wake_client_reading(&mut self, client: usize) {
        if !self.clients[client].reading {
            self.clients[client].reading = true;
            self.soon(self.plan.delay_us, Event::ReadClient(client));
        }
    }

    /// The driver reads from a client.
    pub(crate) fn read_client(&mut self, client: usize) {
        let target = &mut self.clients[client];
        target.reading = false;
        let (node, Some(session)) = (target.node, target.session) else {
            return;
        };
        // A read that was under way when the pause came still ends.
        if target.paused
            && (!std::mem::take(&mut target.read_under_way)
                || !self.plan.cut
                || self.rng.u8(..4) != 0)
        {
            return;
        }
        if self.clients[client].reset {
            return self.client_lost(client);
        }
        let waiting = self.clients[client].to_proxy.len();
        let count = self.chunk(if self.plan.cut { waiting.min(READ_BYTES_MAX) } else { waiting });
        if count > 0 {
            let bytes = self.clients[client].to_proxy.pop(count);
            self.engine(node).on_client_bytes(session, &bytes);
            self.wake_writer(client);
        }
        let target = &mut self.clients[client];
        if target.to_proxy.len() > 0 {
            self.wake_client_reading(client);
        } else if target.to_proxy.ended && !target.eof_told && !target.paused {
            target.eof_told = true;
            self.engine(node).on_client_eof(session);
        }
    }

    /// A client's connection is gone without the engine's doing.
    fn client_lost(&mut self, client: usize) {
        let target = &mut self.clients[client];
        let (node, Some(session)) = (target.node, target.session) else { return };
        target.closing = true;
        if target.lost || self.rng.bool() {
            return self.close_client(client);
        }
        // What the driver has under way for it must end first.
        target.lost = true;
        self.engine(node).on_client_lost(session);
        self.soon(self.plan.delay_us, Event::CloseClient(client));
    }

    pub(crate) fn close_client(&mut self, client: usize) {
        let target = &mut self.clients[client];
        let (node, Some(session)) = (target.node, target.session.take()) else {
            return;
        };
        let sending = target.sending.take();
        target.from_proxy.ended = true;
        self.nodes[node].client_of[session as usize] = None;
        if let Some((segment, _)) = sending
            && self.rng.bool()
        {
            self.engine(node).recycle(segment);
        }
        if self.plan.bug != Bug::CloseUntold || self.rng.u8(..4) != 0 {
            self.engine(node).on_client_closed(session);
        }
        let target = &mut self.clients[client];
        if !target.hearing && !target.closed {
            target.hearing = true;
            self.soon(self.plan.delay_us, Event::ClientReads(client));
        }
    }

    pub(crate) fn flush_client(&mut self, node: usize, session: u32) {
        let Some(client) = self.client_of(node, session) else {
            return;
        };
        if self.clients[client].sending.is_some() {
            return;
        }
        if let Some(segment) = self.nodes[node].engine.take_client_output(session) {
            self.clients[client].sending = Some((segment, 0));
            self.soon(self.plan.delay_us, Event::SendClient(client));
        }
    }

    pub(crate) fn wake_client_sending(&mut self, client: usize) {
        if self.clients[client].sending.is_some() {
            self.soon(self.plan.delay_us, Event::SendClient(client));
        }
    }

    /// The network takes bytes for a client.
    pub(crate) fn send_client(&mut self, client: usize) {
        let target = &self.clients[client];
        let (node, Some(session)) = (target.node, target.session) else {
            return;
        };
        let Some((segment, sent)) = &target.sending else {
            return;
        };
        if target.reset {
            return self.client_lost(client);
        }
        let (left, sent) = (segment.len() - sent, *sent);
        let count = self.chunk(left.min(target.from_proxy.room()));
        if count == 0 {
            return;
        }
        self.deliver_to_client(client, sent, count);
        self.engine(node).on_client_sent(session, count);
        if count < left {
            return self.soon(self.plan.delay_us, Event::SendClient(client));
        }
        if let Some((segment, _)) = self.clients[client].sending.take() {
            self.engine(node).recycle(segment);
        }
        self.flush_client(node, session);
    }

    fn deliver_to_client(&mut self, client: usize, sent: usize, count: usize) {
        let Some((segment, position)) = &mut self.clients[client].sending else {
            return;
        };
        *position += count;
        let mut bytes = segment[sent..sent + count].to_vec();
        if self.plan.bug == Bug::LostByte && self.rng.u8(..8) == 0 {
            bytes.pop();
        }
        let mut to = client;
        if self.plan.bug == Bug::WrongClient && self.rng.u8(..4) == 0 {
            to = (client + 1) % self.clients.len();
        }
        self.clients[to].from_proxy.push(&bytes);
        if !self.clients[to].hearing && !self.clients[to].closed {
            self.clients[to].hearing = true;
            self.soon(self.plan.delay_us, Event::ClientReads(to));
        }
    }
}
