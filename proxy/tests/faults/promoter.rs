//! An operator who changes masters while members die, and clients write.

use crate::calls::Caller;
use crate::operators::Books;
use codis_proto::admin::v1::{
    ListGroupsRequest, PromoteServerRequest, SyncServerRequest, sync_progress::Phase,
};
use codis_testbed::PATIENCE;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tonic::Code;

/// The groups that have a replica each.
const GROUPS: [u32; 2] = [1, 2];

/// Promotes until [`Books::stop`], then makes sure that it still can. Answers how many promotions came to an end.
pub async fn promote(books: Arc<Books>, mut caller: Caller) -> u32 {
    let mut made = 0;
    while !books.stopped() {
        let gid = GROUPS[caller.rng().usize(..GROUPS.len())];
        made += u32::from(promote_once(&mut caller, gid).await);
        let ms = caller.rng().u64(100..800);
        sleep(Duration::from_millis(ms)).await;
    }
    for gid in GROUPS {
        let deadline = Instant::now() + PATIENCE;
        while !promote_once(&mut caller, gid).await {
            assert!(Instant::now() < deadline, "group {gid} takes no new master any more");
        }
        made += 1;
    }
    made
}

/// Whether the group's replica was made its master. If not, all is as it was, and the replica is synced anew: it may
/// have missed the last change of masters.
async fn promote_once(caller: &mut Caller, gid: u32) -> bool {
    let addr = replica(caller, gid).await;
    let request = PromoteServerRequest { call: Some(caller.name()), gid, addr: addr.clone() };
    let promoted = caller.call("PromoteServer", |mut member| {
        let request = request.clone();
        async move { member.promote_server(request).await }
    });
    match promoted.await {
        Ok(_) => true,
        Err(status) if status.code() == Code::FailedPrecondition => {
            sync(caller, &addr).await;
            false
        }
        Err(status) => panic!("group {gid} to {addr}: {status}"),
    }
}

async fn replica(caller: &mut Caller, gid: u32) -> String {
    let read =
        caller.call("ListGroups", |mut m| async move { m.list_groups(ListGroupsRequest {}).await });
    let groups = read.await.expect("groups can be listed").groups;
    let group = groups.iter().find(|group| group.gid == gid).expect("nobody removes the group");
    assert_eq!(group.servers.len(), 2, "nobody removes servers: {group:?}");
    group.servers[1].addr.clone()
}

/// Makes a server a replica of its group's master; whether it is one. Any of what stands in the way may be gone the next
/// time: another sync, a promotion, the member that was asked.
pub async fn sync(caller: &mut Caller, addr: &str) -> bool {
    let request = SyncServerRequest { call: Some(caller.name()), addr: addr.to_owned() };
    let started = caller.call("SyncServer", |mut member| {
        let request = request.clone();
        async move { member.sync_server(request).await }
    });
    let Ok(mut progress) = started.await else { return false };
    while let Ok(Some(step)) = progress.message().await {
        if step.phase() == Phase::Done {
            return true;
        }
    }
    false
}
