//! What the engine tells the operator of itself.

use super::backend::Role;
use super::session::{Flags, Stall};
use super::{CUT_REASONS, Engine};
use crate::clients::ClientInfo;
use crate::command::{COMMANDS, CommandId};
use crate::stats::{BackendStats, CommandStats, PubsubStats, ShardStats};

impl Engine {
    /// Every counter, copied. What only the driver knows (core, turns, CPU time) is left at zero.
    #[must_use]
    pub fn stats(&self) -> ShardStats {
        let cut = CUT_REASONS.into_iter().zip(self.counters.cut);
        let seen = |stats: &CommandStats| *stats != CommandStats::default();
        let alive = |session: &super::Session| !session.flags.has(Flags::GONE);
        ShardStats {
            shard: self.shard,
            epoch: self.routes.topology.epoch,
            sessions_alive: self.sessions.iter().filter(|(_, s)| alive(s)).count() as u64,
            sessions_blocked: self.blocked_sessions() as u64,
            dedicated_connections: self.leases.connections as u64,
            sessions_total: self.counters.sessions_total,
            sessions_cut: cut.filter(|(_, count)| *count > 0).collect(),
            client_bytes_in: self.counters.client_bytes_in,
            client_bytes_out: self.counters.client_bytes_out,
            client_output_bytes: self.sessions.iter().map(|(_, s)| s.reply_bytes() as u64).sum(),
            protocol_errors: self.counters.protocol_errors,
            moves: self.counters.moves,
            pubsub: self.hub.stats(),
            commands: COMMANDS
                .iter()
                .chain([CommandId::LEARNED.command()])
                .zip(&self.commands)
                .filter(|(_, stats)| seen(stats))
                .map(|(command, stats)| (command.name, stats.clone()))
                .collect(),
            backends: self
                .backends
                .iter()
                .filter(|(_, backend)| !matches!(backend.role, Role::Dedicated | Role::Tracker))
                .map(|(_, backend)| backend_stats(backend))
                .collect(),
            ..ShardStats::default()
        }
    }

    /// Sets every counter to zero.
    pub fn reset_stats(&mut self) {
        self.commands.fill(CommandStats::default());
        self.counters = super::Counters::default();
        self.hub.counters = PubsubStats::default();
        for (_, backend) in &mut self.backends {
            backend.counters = super::backend::Counters::default();
        }
    }

    /// Every open session.
    #[must_use]
    pub fn clients(&self) -> Vec<(u32, ClientInfo)> {
        self.sessions
            .iter()
            .filter(|(_, session)| !session.flags.has(Flags::DEAD | Flags::GONE))
            .map(|(index, _)| (index as u32, self.client_info(index as u32)))
            .collect()
    }

    pub(super) fn client_info(&self, session: u32) -> ClientInfo {
        let now_s = self.now_s();
        let target = &self.sessions[session as usize];
        let identity = target.identity.as_deref().cloned().unwrap_or_default();
        ClientInfo {
            id: target.client,
            addr: target.peer,
            laddr: None,
            shard: self.shard,
            fd: -1,
            name: identity.name,
            lib_name: identity.lib_name,
            lib_ver: identity.lib_ver,
            age_s: u64::from(now_s - target.opened_s),
            idle_s: u64::from(now_s - target.active_s),
            db: u32::from(target.database),
            protocol: target.protocol,
            query_bytes: target.input.len(),
            output_bytes: target.reply_bytes(),
            in_flight: target.in_flight() as usize,
            command: target.last_command.command().name,
            user: self.settings.users.get(target.user).name().to_owned(),
            subscriptions: target.subscriptions().map_or([0; 3], |held| held.counts()),
            no_evict: target.flags.has(Flags::NO_EVICT),
            no_touch: target.flags.has(Flags::NO_TOUCH),
            monitors: target.flags.has(Flags::MONITOR),
            tracking: self.tracking(session).is_some(),
            tracking_bcast: self.tracking(session).is_some_and(|tracking| tracking.is_bcast()),
            blocked: target.stall == Stall::Blocked,
            queued: target.queued(),
        }
    }
}

fn backend_stats(backend: &super::Backend) -> BackendStats {
    let counters = &backend.counters;
    BackendStats {
        address: backend.address.to_string(),
        group: backend.group,
        replica: backend.replica,
        database: u32::from(backend.database),
        state: backend.shown_state(),
        requests: counters.requests,
        in_flight: backend.in_flight.len() as u64,
        output_bytes: backend.output.unsent() as u64,
        bytes_in: counters.bytes_in,
        bytes_out: counters.bytes_out,
        errors: counters.errors,
        loading: counters.loading,
        masterdown: counters.masterdown,
        readonly: counters.readonly,
        connects: counters.connects,
        failures: counters.failures,
        timeouts: counters.timeouts,
        last_error: backend.last_error.clone(),
        ping_us: counters.ping_us,
    }
}
