//! WAIT: a model server's replica, which lags behind.

use super::commands::number;
use super::reply::{Reply, Request};
use crate::world::{Event, World};

/// How long replicas lag behind, at most, in microseconds.
const LAG_US_MAX: u64 = 30_000;

impl World {
    /// WAIT: the replica has everything after a while, or the time is up before.
    pub(super) fn wait_for_replica(
        &mut self,
        server: usize,
        wire: usize,
        args: &Request,
    ) -> Option<Reply> {
        let patience_us = 1000 * number(&args[2]).unwrap_or(0) as u64;
        // Now and then longer than anyone waits.
        let slow = self.servers_may_fail() && self.rng.u8(..8) == 0;
        let lag = self.rng.u64(..LAG_US_MAX) * if slow { 20 } else { 1 };
        let has_replica = self.servers[server].replica.is_some();
        let follows = has_replica && lag < patience_us;
        let run = self.servers[server].runs;
        self.wires[wire].client.waits = true;
        let due = self.now + if follows { lag } else { patience_us };
        self.at(due, Event::Waited { server, run, wire, follows });
        None
    }

    pub(crate) fn waited(&mut self, server: usize, run: u64, wire: usize, follows: bool) {
        let target = &mut self.servers[server];
        if target.runs != run || !self.wires[wire].client.waits {
            return;
        }
        if target.frozen {
            let later = self.now + 1_000;
            return self.at(later, Event::Waited { server, run, wire, follows });
        }
        self.wires[wire].client.waits = false;
        let follows = follows && target.replica.is_some();
        if follows {
            target.replica = Some(target.data.clone());
        }
        self.answer(wire, &Reply::Int(i64::from(follows)));
        self.wake_server(server);
    }
}
