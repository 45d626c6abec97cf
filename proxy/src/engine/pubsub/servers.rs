//! The servers that topics are subscribed on, and the connection to each.

use crate::engine::Engine;
use crate::engine::backend::Role;
use crate::engine::lane::Lane;
use crate::engine::route::{NONE, Routes};
use crate::topology::{Address, SlotState};

impl Routes {
    /// Every master, by its index in `servers`.
    pub(super) fn masters(&self) -> impl Iterator<Item = u16> {
        let servers = self.servers.iter().enumerate();
        servers.filter(|(_, server)| !server.replica).map(|(index, _)| index as u16)
    }

    /// The masters that a slot's channels are on: the one that has the slot, and where it is about to move
    /// the one that will have it.
    pub(super) fn masters_of(&self, slot: u16) -> impl Iterator<Item = u16> {
        let groups = match self.topology.slots[usize::from(slot)].state {
            SlotState::Offline => [None, None],
            SlotState::Stable(group) => [Some(group), None],
            SlotState::Preparing { from, to } => [Some(from), Some(to)],
            SlotState::Migrating { to, .. } => [Some(to), None],
        };
        groups.into_iter().flatten().filter_map(|group| self.master(group))
    }

    /// The connection to a server that hears for all sessions, if it has been made.
    pub(super) fn subscriber_of(&self, server: u16) -> Option<u32> {
        let backend = self.servers[usize::from(server)].subscriber;
        (backend != NONE).then_some(backend)
    }

    /// The same by address.
    pub(super) fn subscriber_at(&self, address: &Address) -> Option<u32> {
        let server = self.servers.iter().position(|server| server.address == *address)?;
        self.subscriber_of(server as u16)
    }

    /// Takes such connections from servers that are masters no more.
    pub(super) fn take_subscribers_of_replicas(&mut self) -> Vec<u32> {
        let replicas = self.servers.iter_mut().filter(|server| server.replica);
        let taken = replicas.map(|server| std::mem::replace(&mut server.subscriber, NONE));
        taken.filter(|backend| *backend != NONE).collect()
    }
}

impl Engine {
    /// The connection to a server that hears for all sessions; made on first use.
    pub(super) fn subscriber(&mut self, server: u16) -> u32 {
        if let Some(known) = self.routes.subscriber_of(server) {
            return known;
        }
        let index = self.insert_backend(server, Lane::own(0));
        self.backends[index as usize].role = Role::Subscriber;
        self.routes.servers[usize::from(server)].subscriber = index;
        index
    }
}
