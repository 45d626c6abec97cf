//! PUBLISH and SPUBLISH: to the master of the channel's slot.

use crate::command::CommandId;
use crate::engine::Engine;
use crate::engine::dispatch::Flow;
use crate::engine::route::{NoRoute, Route};
use crate::resp::Request;
use crate::slots;

impl Engine {
    /// Sends a request to the master that has the channel at argument 1. There are no keys to wait for where the
    /// slot migrates. The connection is that of the session's database, so that what it has written before, in
    /// the channel's slot, can be seen by whoever gets the message.
    pub(in crate::engine) fn publish(
        &mut self,
        session: u32,
        id: CommandId,
        request: &Request<'_>,
    ) -> Flow {
        let slot = slots::slot(request.arg(1));
        let lane = self.sessions[session as usize].lane();
        let reason = match self.routes.slots[usize::from(slot)] {
            Route::Server { master, .. } | Route::Migrating { to: master, .. } => {
                let backend = self.backend_at(master, lane, slot);
                return self.send(session, backend, id, request);
            }
            Route::Parked => NoRoute::Parked,
            Route::Offline => NoRoute::Offline,
            Route::Moving => NoRoute::Moving,
        };
        self.no_route(session, id, slot, reason)
    }
}
