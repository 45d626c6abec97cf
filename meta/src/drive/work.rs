//! The driver's loop: while the member leads, one task for each group in which something is under way.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use codis_proto::meta::v1 as pb;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::member::Member;
use super::moves::Mover;
use super::server::Servers;
use super::wire::RedisServers;
use super::{Context, fence, poll, promotion, sync};
use crate::node::Node;

/// How long nothing is tried after the group did not answer.
const PAUSE: Duration = Duration::from_millis(100);

/// How long to wait for a change of the state before looking anyhow.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Runs for as long as the member does.
pub(super) async fn run(context: Arc<Context<Node, RedisServers>>, password: String) {
    let mut standing = context.member.standing();
    loop {
        let term = match standing.wait_for(|standing| standing.leads).await {
            Ok(now) => now.term,
            Err(_) => return,
        };
        let over = standing.wait_for(|standing| !standing.leads || standing.term != term);
        // What is under way ends here, in the middle: what it has sent may still run, and is guarded.
        let Context { member, servers, sockets, exclusion, board, wanted, .. } = &*context;
        let mover =
            Mover::new((member, servers, sockets), exclusion, (board, wanted), &password, term);
        tokio::select! {
            () = async { tokio::join!(lead(&context, term), mover.run()); } => {}
            _ = over => {}
        }
        context.board.clear();
        context.wanted.clear();
        context.publish(std::collections::BTreeMap::new());
        context.troubles.clear();
    }
}

/// All that the leader of a term does but moving slots. Does not end by itself.
pub(super) async fn lead<M: Member, S: Servers>(context: &Arc<Context<M, S>>, term: u64) {
    tokio::join!(poll::run(context), fence::run(context), drive_groups(context, term));
}

/// Keeps a task running for each group that has something under way.
async fn drive_groups<M: Member, S: Servers>(context: &Arc<Context<M, S>>, term: u64) {
    let mut tasks = JoinSet::new();
    let mut driven = BTreeSet::new();
    loop {
        let applied = context.member.applied();
        let groups = context.member.peek(groups_under_way).await.unwrap_or_default();
        for id in groups.into_iter().filter(|id| driven.insert(*id)).collect::<Vec<_>>() {
            tasks.spawn(drive_group(Arc::clone(context), id, term));
        }
        tokio::select! {
            biased;
            Some(ended) = tasks.join_next() => match ended {
                Ok(id) => drop(driven.remove(&id)),
                // A panic in one, which has been reported: all begin anew.
                Err(_) => { tasks.abort_all(); driven.clear(); sleep(PAUSE).await; }
            },
            () = context.member.applied_beyond(applied, LOOK_EVERY) => {}
        }
    }
}

fn groups_under_way(state: &pb::State) -> Vec<u32> {
    let syncing = |group: &pb::Group| group.servers.iter().any(|server| server.sync.is_some());
    let under_way = |group: &&pb::Group| group.promotion.is_some() || syncing(group);
    state.groups.values().filter(under_way).map(|group| group.id).collect()
}

/// Drives what is under way in a group, to its end; answers the group.
async fn drive_group<M: Member, S: Servers>(
    context: Arc<Context<M, S>>,
    id: u32,
    term: u64,
) -> u32 {
    let result = match promotion::drive(&context, id, term).await {
        Ok(()) => sync::drive(&context, id).await,
        lost => lost,
    };
    if result.is_err() {
        // The loop will ask for it again, if this member leads then.
        sleep(PAUSE).await;
    }
    id
}
