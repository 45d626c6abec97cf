//! What goes wrong with servers, and when it is over.

use crate::ledger::Checked;
use crate::server::Stage;
use crate::world::{Event, World};

impl World {
    pub(crate) fn fault(&mut self) {
        let server = self.rng.usize(..self.servers.len());
        let long = [5_000, 60_000, 600_000][self.rng.usize(..3)];
        let until = self.now + self.rng.u64(..long);
        let open: Vec<usize> = (0..self.conns.len())
            .filter(|conn| {
                self.conns[*conn].server == server && self.conns[*conn].stage == Stage::Open
            })
            .collect();
        self.servers[server].faulty = true;
        match self.rng.u8(..10) {
            0..3 => {
                if !open.is_empty() {
                    let conn = open[self.rng.usize(..open.len())];
                    self.lose(conn);
                }
            }
            3 | 4 => {
                self.servers[server].down = true;
                open.into_iter().for_each(|conn| self.lose(conn));
            }
            5 | 6 => self.servers[server].frozen = true,
            7 => self.servers[server].hangs = true,
            8 => {
                if self.rng.bool() {
                    self.servers[server].refuses = true;
                } else {
                    self.servers[server].full = true;
                }
            }
            _ => {
                // It goes mad.
                if !open.is_empty() {
                    let conn = open[self.rng.usize(..open.len())];
                    self.conns[conn].output.push(b"?what\r\n");
                    self.wake_server_answering(conn);
                }
            }
        }
        self.at(until, Event::Recover(server));
    }

    /// A server's end of a connection goes away; a part of its last words may have left.
    fn lose(&mut self, conn: usize) {
        let count = self.chunk(self.conns[conn].output.len());
        let words = self.conns[conn].output.pop(count);
        let target = &mut self.conns[conn];
        if self.rng.bool() {
            target.to_proxy.push(&words);
        } else {
            target.to_proxy.clear();
        }
        target.output.clear();
        target.replies.clear();
        target.to_server.clear();
        target.lost = true;
        self.waits.forget(conn);
        self.wake_server_reading(conn);
    }

    /// What the group's leader does where proxies do not acknowledge the newest topology: it writes a
    /// fence on a home's servers, then kills those proxies' connections there.
    pub(crate) fn raise_fence(&mut self) {
        let home = self.rng.usize(..self.fences.len());
        let epoch = self.ledger.topologies.len() as u64 - 1;
        self.fences[home] = epoch;
        for server in self.servers.iter_mut().filter(|server| server.home == home) {
            server.faulty = true;
        }
        for conn in 0..self.conns.len() {
            let target = &self.conns[conn];
            if self.servers[target.server].home == home
                && self.nodes[target.node].settled < epoch
                && target.stage != Stage::Connecting
                && !target.lost
            {
                self.lose(conn);
            }
        }
    }

    pub(crate) fn recover(&mut self, server: usize) {
        let target = &mut self.servers[server];
        target.down = false;
        target.hangs = false;
        target.frozen = false;
        target.refuses = false;
        target.full = false;
        for conn in 0..self.conns.len() {
            if self.conns[conn].server == server && !self.conns[conn].lost {
                self.wake_server(conn);
                self.wake_server_answering(conn);
            }
        }
    }

    /// A server that says nothing while requests wait is given up in time.
    pub(crate) fn audit_silence(&mut self, node: usize) -> Checked {
        let settings = &self.plan.settings;
        let limit = settings.recv_timeout_us;
        if limit == 0 {
            return Ok(());
        }
        for conn in 0..self.conns.len() {
            let target = &self.conns[conn];
            // Who waits for an element is silent, and is let wait.
            let waits = target.waiting.is_some();
            if target.node != node || target.stage != Stage::Open || target.closing || waits {
                continue;
            }
            let Some(waits) = self.nodes[node].engine.backend_waits_us(target.backend) else {
                continue;
            };
            let silent = u64::from(waits).min(self.now - target.quiet_since);
            if silent > limit + settings.connect_timeout_us + 10 * self.plan.delay_us {
                return Err(format!(
                    "backend {} has been silent for {silent} us, and a request waits",
                    target.backend
                ));
            }
        }
        Ok(())
    }
}
