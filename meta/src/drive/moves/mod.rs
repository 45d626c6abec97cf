//! The migrator: moves slots from group to group, while the member leads. The protocol is in docs/migration.md.
//!
//! [`Mover`] is one leader's term. It keeps one task for each group that slots leave ([`source`]), which gets pending
//! slots ready ([`prepare`], with [`survey`], [`clean`] and the barrier) and takes passes over the source ([`pass`])
//! until nothing is left; what a key takes that is too big for one step is in [`big`]. [`link`] is the connections.
//!
//! **Simulated as it is.** The servers, the network and the clock come in by [`Net`], the group by
//! [`Member`], fences by [`Servers`]; there are no tasks, timers or sockets beside them. [`Sockets`] is the real thing.
//!
//! **Nothing is given up half-way but with the term.** Within a term no question to a server is abandoned: it
//! is answered, or its connection is lost and killed at the server before the next one is used there.

mod abilities;
mod admission;
mod big;
mod board;
mod clean;
mod copies;
mod exclusion;
mod functions;
mod link;
mod net;
mod pace;
mod pair;
mod pass;
mod plan;
mod prepare;
mod resp;
mod rest;
mod settle;
mod slot;
mod sockets;
mod source;
mod survey;
mod trouble;
mod walk;
mod wanted;
mod weigh;

use std::collections::BTreeSet;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use futures_util::stream::{FuturesUnordered, StreamExt};

use super::member::Member;
use super::server::Servers;
use admission::Admission;
use link::{Hosts, Link};
use trouble::Trouble;

pub use board::Board;
pub use exclusion::Exclusion;
#[cfg(test)]
pub(super) use exclusion::Moment;
pub(super) use exclusion::Shut;
pub(super) use link::older_mover;
pub use net::{Connection, Net, NetError, Request, Value, request};
pub use sockets::{Socket, Sockets};
pub use wanted::Wanted;
pub(super) use weigh::weigh;

/// How long to wait for a change of the state before looking anyhow.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long nothing is tried after the group did not answer.
const PAUSE: Duration = Duration::from_millis(100);

/// The migrator of one term. See the module's head.
pub struct Mover<'a, M, S, N> {
    member: &'a M,
    servers: &'a S,
    net: &'a N,
    exclusion: &'a Exclusion,
    board: &'a Board,
    wanted: &'a Wanted,
    password: &'a str,
    term: u64,
    hosts: Hosts,
    admission: Admission,
}

impl<'a, M: Member, S: Servers, N: Net> Mover<'a, M, S, N> {
    /// For the leader of `term`. `exclusion` is shared with the promotions of this leader; `password` is that of the
    /// servers, empty where they ask for none.
    pub fn new(
        (member, servers, net): (&'a M, &'a S, &'a N),
        exclusion: &'a Exclusion,
        (board, wanted): (&'a Board, &'a Wanted),
        password: &'a str,
        term: u64,
    ) -> Self {
        let (hosts, admission) = (Hosts::default(), Admission::default());
        Self { member, servers, net, exclusion, board, wanted, password, term, hosts, admission }
    }

    /// Works until it is dropped, which is to be when the term is over.
    pub async fn run(&self) {
        let mut tasks = FuturesUnordered::new();
        let mut driven = BTreeSet::new();
        loop {
            let applied = self.member.applied();
            let sources = self.member.peek(plan::sources).await.unwrap_or_default();
            for source in sources {
                if driven.insert(source) {
                    tasks.push(self.task(source));
                }
            }
            let changed = pin!(self.member.applied_beyond(applied, LOOK_EVERY));
            if tasks.is_empty() {
                changed.await;
            } else if let Either::Left((Some(ended), _)) = select(tasks.next(), changed).await {
                driven.remove(&ended);
            }
        }
    }

    /// Drives the moves away from a group; answers the group.
    async fn task(&self, source: u32) -> u32 {
        if self.drive(source).await.is_err() {
            // It is asked for again, if this member leads then.
            self.net.sleep(PAUSE).await;
        }
        self.board.leave(source);
        source
    }

    async fn open(&self, address: &str) -> Result<Link<N::Connection>, Trouble> {
        link::open(self.net, &self.hosts, address, self.password, self.term).await
    }
}
