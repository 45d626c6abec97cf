//! Connections to servers: bytes on their way, either way, and their ends.

use super::Wire;
use crate::world::{Event, World};

impl World {
    /// A connection is asked for; its bytes may be sent at once.
    pub(crate) fn connect(&mut self, wire: Wire) -> usize {
        self.wires.push(wire);
        let wire = self.wires.len() - 1;
        self.soon(self.plan.delay_us, Event::Connected(wire));
        wire
    }

    /// The server's kernel answers.
    pub(crate) fn connected(&mut self, wire: usize) {
        let server = self.wires[wire].server;
        if self.wires[wire].over {
            return;
        }
        if self.servers[server].down {
            self.wires[wire].killed = true;
            return self.wake_returning(wire);
        }
        self.wires[wire].connected = true;
        self.servers[server].run.backlog.push_back(wire);
        self.at(self.now, Event::Opened(wire));
        self.wake_arriving(wire);
        self.wake_server(server);
    }

    /// The near end sends.
    pub(crate) fn send(&mut self, wire: usize, bytes: &[u8]) {
        self.wires[wire].flying.extend_from_slice(bytes);
        if self.wires[wire].connected {
            self.wake_arriving(wire);
        }
    }

    pub(crate) fn wake_arriving(&mut self, wire: usize) {
        if !self.wires[wire].arriving {
            self.wires[wire].arriving = true;
            self.soon(self.plan.delay_us, Event::Arrive(wire));
        }
    }

    pub(crate) fn wake_returning(&mut self, wire: usize) {
        if !self.wires[wire].returning {
            self.wires[wire].returning = true;
            self.soon(self.plan.delay_us, Event::Return(wire));
        }
    }

    /// Bytes reach a server's kernel.
    pub(crate) fn arrive(&mut self, wire: usize) {
        let count = self.chunk(self.wires[wire].flying.len());
        let target = &mut self.wires[wire];
        target.arriving = false;
        if target.killed {
            return;
        }
        if target.stalled_us > self.now {
            target.arriving = true;
            let then = target.stalled_us;
            return self.at(then, Event::Arrive(wire));
        }
        target.input.extend(target.flying.drain(..count));
        let (more, server) = (!target.flying.is_empty(), target.server);
        if more {
            self.wake_arriving(wire);
        }
        self.wake_server(server);
    }

    /// Bytes, or the end, reach whoever has the near end.
    pub(crate) fn come_back(&mut self, wire: usize) {
        let count = self.chunk(self.wires[wire].back.len());
        let target = &mut self.wires[wire];
        target.returning = false;
        if target.over {
            return;
        }
        let frozen_us = if self.near_is_frozen(wire) { self.now + 1_000 } else { 0 };
        let then = frozen_us.max(self.wires[wire].stalled_us);
        if then > self.now {
            self.wires[wire].returning = true;
            return self.at(then, Event::Return(wire));
        }
        let target = &mut self.wires[wire];
        let bytes: Vec<u8> = target.back.drain(..count).collect();
        let (more, killed) = (!target.back.is_empty(), target.killed);
        if !bytes.is_empty() {
            self.near_bytes(wire, &bytes);
        }
        if more {
            self.wake_returning(wire);
        } else if killed {
            self.wires[wire].over = true;
            self.near_lost(wire);
        }
    }

    /// The server's end goes; what it has not read is lost, and so may be the last of what it said.
    pub(crate) fn kill(&mut self, wire: usize) {
        let kept = self.rng.usize(..=self.wires[wire].back.len());
        let target = &mut self.wires[wire];
        target.killed = true;
        target.input.clear();
        target.flying.clear();
        target.back.truncate(kept);
        let (server, id) = (target.server, target.client.id);
        target.client.waits = false;
        target.client.waiting = None;
        let run = &mut self.servers[server].run;
        if run.accepted.get(&id) == Some(&wire) {
            run.accepted.remove(&id);
        }
        run.backlog.retain(|other| *other != wire);
        self.wake_returning(wire);
    }

    /// The near end goes; what it has sent may still arrive, all of it or a part.
    pub(crate) fn close(&mut self, wire: usize) {
        let kept = self.wires[wire].flying.len();
        let kept = if self.rng.bool() { kept } else { self.rng.usize(..=kept) };
        let target = &mut self.wires[wire];
        target.over = true;
        target.ended = true;
        target.flying.truncate(kept);
        target.back.clear();
        self.wake_arriving(wire);
    }
}
