//! The driver model's connections to servers, and the network and the servers behind them.

use crate::ledger::Checked;
use crate::plan::Bug;
use crate::server::{Conn, Context, Stage};
use crate::world::{Event, World};

impl World {
    pub(crate) fn connect(&mut self, node: usize, backend: u32, address: &str) -> Checked {
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
        let conn = self.conns.len();
        let socket_bytes = self.plan.socket_bytes;
        self.conns.push(Conn::new(node, backend, target, socket_bytes, self.now, conn));
        self.soon(self.plan.delay_us, Event::Connected(conn));
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
        self.waits.forget(conn);
        let target = &mut self.conns[conn];
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
            given_up,
            waits: &mut self.waits,
        };
        let mut replies = self.conns[conn].serve(&bytes, &mut context)?;
        if self.plan.bug == Bug::SwappedReplies && replies.len() > 1 && self.rng.u8(..4) == 0 {
            replies.swap(0, 1);
        }
        if self.plan.bug == Bug::MissingReply && replies.len() > 1 && self.rng.u8(..8) == 0 {
            replies.pop();
        }
        for reply in replies {
            self.reply_on(conn, reply);
        }
        self.after_serving(server)?;
        if self.conns[conn].to_server.len() > 0 {
            self.wake_server(conn);
        }
        if self.conns[conn].sending.is_some() {
            self.soon(self.plan.delay_us, Event::SendServer(conn));
        }
        Ok(())
    }

    /// A server will write a reply.
    pub(crate) fn reply_on(&mut self, conn: usize, reply: Vec<u8>) {
        let due = self.now
            + if self.plan.delay_us == 0 { 0 } else { self.rng.u64(..=self.plan.delay_us * 2) };
        let due = self.conns[conn].replies.back().map_or(due, |(last, _)| due.max(*last));
        self.conns[conn].replies.push_back((due, reply));
        self.at(due, Event::ServerAnswers(conn));
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
