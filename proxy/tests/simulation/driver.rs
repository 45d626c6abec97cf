//! The driver model: what the ring and the shard do for an engine, and what the network and the
//! servers do to them.

use crate::ledger::Checked;
use crate::plan::Bug;
use crate::server::{Conn, Context, Stage};
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

    fn conn_of(&self, node: usize, backend: u32) -> Option<usize> {
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

    // Servers.

    fn connect(&mut self, node: usize, backend: u32, address: &str) -> Checked {
        let server = self.servers.iter().position(|server| server.address == address);
        let server =
            server.ok_or_else(|| format!("a connection to {address}, which is no server"))?;
        let places = &mut self.nodes[node].conn_of;
        if places.len() <= backend as usize {
            places.resize(backend as usize + 1, None);
        }
        if places[backend as usize].is_some() {
            return Err(format!("backend {backend} connects twice"));
        }
        let mut target = server;
        if self.plan.bug == Bug::WrongServer {
            target = self.rng.usize(..self.servers.len());
        }
        self.nodes[node].conn_of[backend as usize] = Some(self.conns.len());
        self.conns.push(Conn::new(node, backend, target, self.plan.socket_bytes, self.now));
        self.soon(self.plan.delay_us, Event::Connected(self.conns.len() - 1));
        Ok(())
    }

    pub(crate) fn connected(&mut self, conn: usize) {
        let target = &mut self.conns[conn];
        let (node, backend, server) = (target.node, target.backend, target.server);
        if target.stage != Stage::Connecting {
            return;
        }
        if self.servers[server].down {
            return self.server_lost(conn, "Connection refused");
        }
        if self.servers[server].hangs {
            // Nothing comes of it until the engine gives up.
            return;
        }
        self.conns[conn].stage = Stage::Open;
        self.conns[conn].quiet_since = self.now;
        self.engine(node).on_backend_open(backend);
    }

    /// The driver finds that a connection is gone.
    pub(crate) fn server_lost(&mut self, conn: usize, reason: &str) {
        if self.plan.bug == Bug::LossUntold
            && self.conns[conn].stage == Stage::Open
            && self.rng.u8(..4) == 0
        {
            return;
        }
        self.end_conn(conn, reason);
    }

    fn end_conn(&mut self, conn: usize, reason: &str) {
        let target = &mut self.conns[conn];
        if target.stage == Stage::Over {
            return;
        }
        target.stage = Stage::Over;
        let (node, backend, sending) = (target.node, target.backend, target.sending.take());
        self.nodes[node].conn_of[backend as usize] = None;
        if self.plan.bug == Bug::SentTwice {
            let server = self.conns[conn].server;
            self.stash = Some((server, std::mem::take(&mut self.conns[conn].last_sent)));
        }
        if let Some((segment, _)) = sending
            && self.rng.bool()
        {
            self.engine(node).recycle_backend(backend, segment);
        }
        self.engine(node).on_backend_closed(backend, reason);
    }

    pub(crate) fn close_server(&mut self, conn: usize) {
        self.end_conn(conn, "closed");
        // What is under way may still reach the server, which may still run it.
        if self.rng.bool() {
            self.conns[conn].to_server.clear();
        } else {
            self.wake_server(conn);
        }
    }

    pub(crate) fn wake_server_reading(&mut self, conn: usize) {
        if !self.conns[conn].reading {
            self.conns[conn].reading = true;
            self.soon(self.plan.delay_us, Event::ReadServer(conn));
        }
    }

    /// The driver reads from a server.
    pub(crate) fn read_server(&mut self, conn: usize) {
        let target = &mut self.conns[conn];
        target.reading = false;
        if target.stage != Stage::Open || target.closing && self.rng.bool() {
            return;
        }
        let count = self.chunk(self.conns[conn].to_proxy.len());
        let target = &mut self.conns[conn];
        let (node, backend) = (target.node, target.backend);
        if count > 0 {
            target.quiet_since = self.now;
            let bytes = target.to_proxy.pop(count);
            self.engine(node).on_backend_bytes(backend, &bytes);
            self.wake_server_answering(conn);
        }
        if self.conns[conn].to_proxy.len() > 0 {
            self.wake_server_reading(conn);
        } else if self.conns[conn].lost {
            self.server_lost(conn, "Connection reset by peer");
        }
    }

    pub(crate) fn flush_server(&mut self, node: usize, backend: u32) {
        let Some(conn) = self.conn_of(node, backend) else {
            return;
        };
        if self.conns[conn].sending.is_some() || self.conns[conn].stage != Stage::Open {
            return;
        }
        if let Some(segment) = self.nodes[node].engine.take_backend_output(backend) {
            self.conns[conn].sending = Some((segment, 0));
            self.soon(self.plan.delay_us, Event::SendServer(conn));
        }
    }

    /// The network takes bytes for a server.
    pub(crate) fn send_server(&mut self, conn: usize) {
        let target = &self.conns[conn];
        let (node, backend) = (target.node, target.backend);
        let Some((segment, sent)) = &target.sending else {
            return;
        };
        if target.stage != Stage::Open {
            return;
        }
        if target.lost && self.rng.bool() {
            return self.server_lost(conn, "Broken pipe");
        }
        let (left, sent) = (segment.len() - sent, *sent);
        let count = self.chunk(left.min(target.to_server.room()));
        if count == 0 {
            return;
        }
        self.put_on_wire(conn, sent, count);
        self.engine(node).on_backend_sent(backend, count);
        if count < left {
            return self.soon(self.plan.delay_us, Event::SendServer(conn));
        }
        if let Some((segment, _)) = self.conns[conn].sending.take() {
            self.engine(node).recycle_backend(backend, segment);
        }
        self.flush_server(node, backend);
    }

    fn put_on_wire(&mut self, conn: usize, sent: usize, count: usize) {
        let target = &mut self.conns[conn];
        let Some((segment, position)) = &mut target.sending else {
            return;
        };
        *position += count;
        let bytes = &segment[sent..sent + count];
        if target.lost {
            return;
        }
        target.to_server.push(bytes);
        if self.plan.bug == Bug::SentTwice && sent == 0 && *position == segment.len() {
            target.last_sent = bytes.to_vec();
            if let Some((server, old)) = self.stash.take() {
                if server == target.server
                    && !old.starts_with(b"*3\r\n$6\r\nCLIENT")
                    && bytes.starts_with(b"*")
                    && !bytes.starts_with(b"*3\r\n$6\r\nCLIENT")
                {
                    target.to_server.push(&old);
                } else {
                    self.stash = Some((server, old));
                }
            }
        }
        self.wake_server(conn);
    }

    pub(crate) fn wake_server(&mut self, conn: usize) {
        if !self.conns[conn].stepping {
            self.conns[conn].stepping = true;
            self.soon(self.plan.delay_us, Event::ServerReads(conn));
        }
    }

    /// A server reads what has come, and runs it.
    pub(crate) fn server_reads(&mut self, conn: usize) -> Checked {
        self.conns[conn].stepping = false;
        let server = self.conns[conn].server;
        if self.servers[server].frozen || self.conns[conn].lost {
            return Ok(());
        }
        let count = self.chunk(self.conns[conn].to_server.len());
        let bytes = self.conns[conn].to_server.pop(count);
        self.conns[conn].quiet_since = self.now;
        let node = self.conns[conn].node;
        let fence = self.fences[self.servers[server].home];
        // What the proxy has given up may still run, though its client was told of the loss.
        let given_up = self.conns[conn].stage == Stage::Over || self.conns[conn].closing;
        let mut context = Context {
            server: &self.servers[server],
            store: &mut self.stores[self.servers[server].home],
            ledger: &mut self.ledger,
            epoch: self.nodes[node].epoch,
            oldest: if given_up { 0 } else { self.nodes[node].settled.max(fence) },
            fence,
            auth: &self.plan.settings.product_auth,
            token: &self.plan.settings.token,
            primary_only: self.plan.settings.primary_only,
            bug: self.plan.bug,
            rng: &mut self.rng,
        };
        let mut replies = self.conns[conn].serve(&bytes, &mut context)?;
        if self.plan.bug == Bug::SwappedReplies && replies.len() > 1 && self.rng.u8(..4) == 0 {
            replies.swap(0, 1);
        }
        if self.plan.bug == Bug::MissingReply && replies.len() > 1 && self.rng.u8(..8) == 0 {
            replies.pop();
        }
        for reply in replies {
            let due = self.now
                + if self.plan.delay_us == 0 { 0 } else { self.rng.u64(..=self.plan.delay_us * 2) };
            let due = self.conns[conn].replies.back().map_or(due, |(last, _)| due.max(*last));
            self.conns[conn].replies.push_back((due, reply));
            self.at(due, Event::ServerAnswers(conn));
        }
        if self.conns[conn].to_server.len() > 0 {
            self.wake_server(conn);
        }
        if self.conns[conn].sending.is_some() {
            self.soon(self.plan.delay_us, Event::SendServer(conn));
        }
        Ok(())
    }

    pub(crate) fn wake_server_answering(&mut self, conn: usize) {
        let target = &mut self.conns[conn];
        if !target.answering && (target.output.len() > 0 || !target.replies.is_empty()) {
            target.answering = true;
            self.soon(self.plan.delay_us, Event::ServerAnswers(conn));
        }
    }

    /// A server writes the replies that are due.
    pub(crate) fn server_answers(&mut self, conn: usize) {
        let target = &mut self.conns[conn];
        target.answering = false;
        if self.servers[target.server].frozen || target.lost {
            return;
        }
        while target.replies.front().is_some_and(|(due, _)| *due <= self.now) {
            if let Some((_, reply)) = target.replies.pop_front() {
                target.output.push(&reply);
            }
        }
        let count = self.chunk(self.conns[conn].output.len().min(self.conns[conn].to_proxy.room()));
        if count == 0 {
            return;
        }
        let bytes = self.conns[conn].output.pop(count);
        self.conns[conn].to_proxy.push(&bytes);
        self.wake_server_reading(conn);
        if self.conns[conn].output.len() > 0 {
            self.wake_server_answering(conn);
        }
    }
}
