//! Asking every server each second how it is, and putting right what can be without harm.
//!
//! A master that lost its marks (flushed, evicted, restarted empty) gets them again, so that it is shut to the same
//! proxies and leaders of the past as before. Not so in a group whose master is being changed: there an
//! order means more, see `promotion`.

use std::collections::BTreeMap;
use std::time::Duration;

use codis_proto::admin::v1::ServerFacts;
use codis_proto::meta::v1 as pb;
use codis_proto::{FENCE_KEY, ORDER_KEY};
use futures_util::StreamExt;
use futures_util::stream;
use tokio::time::{MissedTickBehavior, interval};

use super::Context;
use super::member::Member;
use super::server::{Marks, Seen, Servers};
use super::troubles::About;

/// How often every server is asked. A round begins when the one before has ended, at the earliest.
const EVERY: Duration = Duration::from_secs(1);

/// Servers that are asked at a time.
const SERVERS_AT_A_TIME: usize = 128;

/// A server as the state has it.
struct Wanted {
    address: String,
    group: u32,
    master: bool,
    /// The group's master is being changed, or this server is being synced.
    under_way: bool,
    /// What a master must hold at least.
    fence: u64,
    epoch: u64,
}

/// Asks until it is dropped.
pub(super) async fn run<M: Member, S: Servers>(context: &Context<M, S>) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Ok(wanted) = context.member.peek(all_servers).await {
            round(context, wanted).await;
        }
    }
}

fn all_servers(state: &pb::State) -> Vec<Wanted> {
    let of_group = |group: &pb::Group| {
        let (id, promoting) = (group.id, group.promotion.is_some());
        let server = |(place, server): (usize, &pb::Server)| Wanted {
            address: server.address.clone(),
            group: id,
            master: place == 0,
            under_way: promoting || server.sync.is_some(),
            fence: state.fence_epoch,
            epoch: state.epoch,
        };
        group.servers.iter().enumerate().map(server).collect::<Vec<_>>()
    };
    state.groups.values().flat_map(of_group).collect()
}

async fn round<M: Member, S: Servers>(context: &Context<M, S>, wanted: Vec<Wanted>) {
    let before = context.facts();
    context.troubles.retain_servers(|address| wanted.iter().any(|one| one.address == address));
    let mut calls = Vec::new();
    for wanted in wanted {
        calls.push(ask(context, wanted, &before));
    }
    let answers = stream::iter(calls).buffer_unordered(SERVERS_AT_A_TIME);
    context.publish(answers.collect().await);
}

async fn ask<M: Member, S: Servers>(
    context: &Context<M, S>,
    wanted: Wanted,
    before: &BTreeMap<String, ServerFacts>,
) -> (String, ServerFacts) {
    let facts = match context.servers.look(&wanted.address).await {
        Ok(seen) => {
            let trouble = attend(context, &wanted, &seen).await;
            context.troubles.set(About::Server(wanted.address.clone()), trouble);
            seen.facts
        }
        Err(error) => {
            let known = before.get(&wanted.address).cloned().unwrap_or_default();
            ServerFacts { error: error.to_string(), ..known }
        }
    };
    (wanted.address, facts)
}

/// Renews the marks of a master; answers what is wrong with it.
async fn attend<M: Member, S: Servers>(
    context: &Context<M, S>,
    wanted: &Wanted,
    seen: &Seen,
) -> Option<String> {
    let Wanted { address, group, .. } = wanted;
    if wanted.under_way {
        return None;
    }
    if !wanted.master {
        let stray = format!(
            "{address} of group {group} follows no master: `codis-admin group sync --addr {address}` makes it a replica, \
             which replaces its data"
        );
        return seen.is_master().then_some(stray);
    }
    if !seen.is_master() {
        let of = &seen.facts.master_addr;
        return Some(format!(
            "{address} is the master of group {group}, but follows {of}: promote the server that is to be master, \
             or make {address} one by REPLICAOF NO ONE"
        ));
    }
    let marks = seen.marks?;
    if marks.fence.max(marks.order) > wanted.epoch {
        // Of another group; or this one's, if it went on since this round began.
        let epoch = context.member.look(|state| state.epoch).await.ok()?;
        return foreign(address, marks, epoch);
    }
    // A missing order only: a newer one than there is would outrank what is under way.
    let order = if marks.order == 0 { wanted.epoch } else { 0 };
    if marks.fence < wanted.fence || order > 0 {
        let marks = Marks { fence: wanted.fence, order };
        let raised = context.servers.raise(address, marks).await;
        return raised.err().map(|error| format!("cannot renew the fence: {error}"));
    }
    None
}

/// What to say of marks that are of no epoch of this state, which is at `epoch`.
pub(super) fn foreign(address: &str, marks: Marks, epoch: u64) -> Option<String> {
    let Marks { fence, order } = marks;
    (fence.max(order) > epoch).then(|| {
        format!(
            "{address} holds a fence of epoch {fence} and an order of {order}, this group is at epoch {epoch}: they \
             are of another metadata group, and shut out proxies and changes of this one. If that group is gone, \
             DEL {FENCE_KEY} {ORDER_KEY} there"
        )
    })
}
