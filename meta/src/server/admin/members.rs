//! The group's members: who they are, how far they are, and changes of them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use codis_proto::admin::v1 as api;
use codis_proto::meta::v1 as pb;
use tokio::time::{Instant, sleep, timeout_at};
use tonic::{Request, Status};

use crate::node::{Node, ReadError};
use crate::raft::{self, Change, Refusal, Role};
use crate::server::deadline;
use crate::server::forward::{self, Route};
use crate::server::serving::Serving;
use crate::state;

/// How long a change of members may take where the caller does not say.
const MEMBERS_TIMEOUT: Duration = Duration::from_secs(10);

/// How often it is looked whether what was asked for has happened.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// A refusal for the members' sake may be of another change that is under way and soon over.
const REFUSED_TIMEOUT: Duration = Duration::from_secs(2);

/// Leadership that was not handed over after so long is asked to be again.
const TRANSFER_RETRY: Duration = Duration::from_secs(2);

pub(super) async fn list(
    serving: &Serving,
    _: Request<api::GetMembersRequest>,
) -> Result<api::Members, Status> {
    let versions = serving.node.peek(|state| versions(state.data())).await?;
    Ok(members(&serving.node.status().await?, &versions))
}

/// The version of each member's program, as it said when it started.
pub(super) fn versions(data: &pb::State) -> BTreeMap<u64, String> {
    data.members_seen.iter().map(|(id, seen)| (*id, seen.version.clone())).collect()
}

/// The members as the one with this status sees them.
pub(super) fn members(status: &raft::Status, versions: &BTreeMap<u64, String>) -> api::Members {
    let ids = status.voters.iter().chain(&status.learners);
    let mut members: Vec<api::Member> = ids.map(|id| member(status, *id, versions)).collect();
    // One that is not in the group (any more, or yet) tells at least of itself.
    if !members.iter().any(|member| member.id == status.id) {
        members.push(member(status, status.id, versions));
    }
    members.sort_by_key(|member| member.id);
    api::Members {
        group: status.group,
        leader: status.leader,
        term: status.term,
        commit_index: status.committed,
        members,
    }
}

fn member(status: &raft::Status, id: u64, versions: &BTreeMap<u64, String>) -> api::Member {
    let progress = status.progress.get(&id);
    let role = if id == status.id {
        role_name(status.role)
    } else if id == status.leader {
        "leader"
    } else if status.learners.contains(&id) {
        "learner"
    } else if progress.is_some() {
        "follower"
    } else {
        ""
    };
    let member = api::Member {
        id,
        addr: status.addresses.get(&id).cloned().unwrap_or_default(),
        role: role.to_owned(),
        active: progress.is_some_and(|progress| progress.active),
        matched: progress.map_or(0, |progress| progress.matched),
        version: versions.get(&id).cloned().unwrap_or_default(),
        ..api::Member::default()
    };
    if id != status.id {
        return member;
    }
    api::Member {
        active: status.fault.is_none(),
        matched: status.last_index,
        fault: status.fault.as_ref().map(ToString::to_string).unwrap_or_default(),
        applied: status.applied,
        image_index: status.image_index,
        first_index: status.first_index,
        ..member
    }
}

/// Raft's word for what a member is.
pub(in crate::server) fn role_name(role: Role) -> &'static str {
    match role {
        Role::Leader => "leader",
        Role::Follower => "follower",
        Role::Candidate => "candidate",
        Role::Learner => "learner",
    }
}

/// Adds a member, and waits for its vote if the caller wants to.
pub(super) async fn add(
    serving: &Serving,
    request: Request<api::AddMemberRequest>,
) -> Result<api::Members, Status> {
    let mut deadline = deadline::within(request.metadata(), MEMBERS_TIMEOUT);
    let has_deadline = request.metadata().contains_key("grpc-timeout");
    let api::AddMemberRequest { id, addr, wait_ms } = request.into_inner();
    let address = state::member_address(&addr)?;
    let node = &serving.node;
    check_addition(&node.status().await?, id, &address)?;
    let is_in = |status: &raft::Status| status.addresses.contains_key(&id);
    change(node, Change::AddLearner { id, address }, is_in, deadline).await?;
    let has_vote = |status: &raft::Status| status.voters.contains(&id);
    if wait_ms > 0 {
        let wait = Instant::now() + Duration::from_millis(wait_ms);
        deadline = if has_deadline { wait.min(deadline) } else { wait };
        if !seen(node, has_vote, deadline).await? {
            return Err(Status::deadline_exceeded(format!(
                "member {id} was added and has no vote yet, as {}: it gets one by itself once it has caught up",
                why_no_vote(&node.status().await?, id)
            )));
        }
    }
    list(serving, Request::new(api::GetMembersRequest::default())).await
}

/// Whether a member may be added under this id and address.
fn check_addition(status: &raft::Status, id: u64, address: &str) -> Result<(), Status> {
    if id == 0 {
        return Err(Status::invalid_argument("a member's id is 1 or more"));
    }
    match status.addresses.get(&id) {
        // The same again: a retry.
        Some(known) if known == address => return Ok(()),
        Some(known) => {
            return Err(Status::already_exists(format!(
                "member {id} is in the group already, at {known}: take another id, or remove it first"
            )));
        }
        None => {}
    }
    if let Some((other, _)) = status.addresses.iter().find(|(_, known)| *known == address) {
        return Err(Status::already_exists(format!(
            "{address} is the address of member {other}: remove that one first, or correct the address"
        )));
    }
    let Some(ip) = ip_of(address) else { return Ok(()) };
    if ip.is_unspecified() {
        return Err(Status::invalid_argument(format!(
            "{address} means any address of its own machine: give the one by which the other members reach it"
        )));
    }
    let elsewhere = |known: &&String| ip_of(known).is_none_or(|ip| !ip.is_loopback());
    if ip.is_loopback()
        && let Some(other) = status.addresses.values().find(elsewhere)
    {
        return Err(Status::invalid_argument(format!(
            "{address} is only known on its own machine, and there is a member at {other}: give the address by which \
             that one reaches it"
        )));
    }
    Ok(())
}

fn ip_of(address: &str) -> Option<IpAddr> {
    let (host, _) = address.rsplit_once(':')?;
    host.trim_matches(['[', ']']).parse().ok()
}

fn why_no_vote(status: &raft::Status, id: u64) -> String {
    match status.progress.get(&id) {
        Some(progress) if progress.active => {
            format!("it is {} entries behind", status.last_index.saturating_sub(progress.matched))
        }
        _ => "it does not answer".to_owned(),
    }
}

/// Removes a member. One that leads hands over first.
pub(super) async fn remove(
    serving: &Serving,
    request: Request<api::RemoveMemberRequest>,
) -> Result<api::Members, Status> {
    let deadline = deadline::within(request.metadata(), MEMBERS_TIMEOUT);
    let id = request.into_inner().id;
    let node = &serving.node;
    let status = node.status().await?;
    if !status.voters.contains(&id) && !status.learners.contains(&id) {
        return Err(no_member(id));
    }
    if id == node.id() {
        let to = successor(&status).ok_or_else(|| {
            Status::failed_precondition(format!(
                "member {id} leads, and no other one that votes answers: start or add one first"
            ))
        })?;
        hand_over(node, to, deadline).await?;
    }
    let is_out =
        |status: &raft::Status| !status.voters.contains(&id) && !status.learners.contains(&id);
    change(node, Change::Remove { id }, is_out, deadline).await?;
    listed_by_leader(serving).await
}

fn no_member(id: u64) -> Status {
    Status::not_found(format!("there is no member {id} in the group: see the list of members"))
}

/// Who takes over best: the one that answers and lacks the least.
fn successor(status: &raft::Status) -> Option<u64> {
    let voters = status.voters.iter().filter_map(|id| Some((id, status.progress.get(id)?)));
    let answering = voters.filter(|(_, progress)| progress.active);
    answering.max_by_key(|(_, progress)| progress.matched).map(|(id, _)| *id)
}

/// Hands leadership over, and answers when the new leader is seen.
pub(super) async fn transfer(
    serving: &Serving,
    request: Request<api::TransferLeadershipRequest>,
) -> Result<api::Members, Status> {
    let deadline = deadline::within(request.metadata(), MEMBERS_TIMEOUT);
    let to = request.into_inner().to;
    let status = serving.node.status().await?;
    if !status.voters.contains(&to) && !status.learners.contains(&to) {
        return Err(no_member(to));
    }
    hand_over(&serving.node, to, deadline).await?;
    listed_by_leader(serving).await
}

async fn hand_over(node: &Node, to: u64, deadline: Instant) -> Result<(), Status> {
    loop {
        match node.transfer_leadership(to).await {
            Err(ReadError::Refused(Refusal::NoLeader | Refusal::Busy))
                if Instant::now() < deadline =>
            {
                sleep(LOOK_INTERVAL).await;
                continue;
            }
            asked => asked?,
        }
        // The request may have been lost on its way.
        let until = deadline.min(Instant::now() + TRANSFER_RETRY);
        let mut standing = node.standing();
        let leads = standing.wait_for(|standing| standing.leader == to);
        if timeout_at(until, leads).await.is_ok() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(Status::deadline_exceeded(format!(
                "leadership was not taken over by member {to} in time: see whether it answers and has caught up"
            )));
        }
    }
}

/// Makes a change of members and waits until it is seen here.
async fn change(
    node: &Node,
    change: Change,
    is_made: impl Fn(&raft::Status) -> bool,
    deadline: Instant,
) -> Result<(), Status> {
    let refused_until = deadline.min(Instant::now() + REFUSED_TIMEOUT);
    // What became of an attempt is not always known, but whether its change is there is.
    while !is_made(&node.status().await?) {
        let refusal = match node.change_members(vec![change.clone()]).await {
            Ok(_) if seen(node, &is_made, deadline).await? => return Ok(()),
            Ok(_) => return Err(Refusal::NoLeader.into()),
            Err(ReadError::Gone(gone)) => return Err(gone.into()),
            Err(ReadError::Refused(refusal)) => refusal,
        };
        let until =
            if matches!(refusal, Refusal::Membership(_)) { refused_until } else { deadline };
        if Instant::now() >= until {
            return Err(refusal.into());
        }
        sleep(LOOK_INTERVAL).await;
    }
    Ok(())
}

/// Whether something is seen of the members before `deadline`.
async fn seen(
    node: &Node,
    what: impl Fn(&raft::Status) -> bool,
    deadline: Instant,
) -> Result<bool, Status> {
    while !what(&node.status().await?) {
        if Instant::now() >= deadline {
            return Ok(false);
        }
        sleep(LOOK_INTERVAL).await;
    }
    Ok(true)
}

/// The members as the leader sees them, which may be another one by now.
async fn listed_by_leader(serving: &Serving) -> Result<api::Members, Status> {
    match forward::route(serving, Request::new(api::GetMembersRequest::default()))? {
        Route::Here(request) => list(serving, request).await,
        Route::Leader(mut leader, request) => {
            let answer = leader.get_members(request).await.map_err(forward::failed)?;
            Ok(answer.into_inner())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(addresses: &[(u64, &str)]) -> raft::Status {
        raft::Status {
            id: 1,
            group: 7,
            role: Role::Leader,
            leader: 1,
            term: 3,
            committed: 90,
            applied: 90,
            first_index: 1,
            last_index: 90,
            image_index: 1,
            voters: addresses.iter().map(|(id, _)| *id).collect(),
            learners: Vec::new(),
            joint: false,
            addresses: addresses.iter().map(|(id, at)| (*id, (*at).to_owned())).collect(),
            progress: addresses
                .iter()
                .filter(|(id, _)| *id != 1)
                .map(|(id, _)| (*id, raft::Progress { matched: 90 - id, active: *id != 3 }))
                .collect(),
            fault: None,
        }
    }

    #[test]
    fn an_address_that_the_others_cannot_reach_is_refused() {
        let group = status(&[(1, "10.0.0.1:1"), (2, "10.0.0.2:1")]);
        let refused = |id, address| {
            check_addition(&group, id, address).map_err(|status| status.message().to_owned())
        };
        assert_eq!(refused(3, "10.0.0.3:1"), Ok(()));
        assert_eq!(refused(3, "meta-3.example:1"), Ok(()));
        assert_eq!(refused(2, "10.0.0.2:1"), Ok(()), "a retry");
        for (id, address, words) in [
            (0, "10.0.0.3:1", "1 or more"),
            (2, "10.0.0.3:1", "in the group already, at 10.0.0.2:1"),
            (3, "10.0.0.2:1", "the address of member 2"),
            (3, "0.0.0.0:1", "any address of its own machine"),
            (3, "[::]:1", "any address of its own machine"),
            (3, "127.0.0.1:1", "there is a member at 10.0.0.1:1"),
        ] {
            let said = refused(id, address).expect_err(address);
            assert!(said.contains(words), "{said}");
        }
        let alone = status(&[(1, "127.0.0.1:1")]);
        assert!(check_addition(&alone, 2, "127.0.0.1:2").is_ok(), "all on one machine");
    }

    #[test]
    fn the_leader_hands_over_to_who_answers_and_lacks_the_least() {
        assert_eq!(successor(&status(&[(1, "a:1"), (2, "b:1"), (3, "c:1"), (4, "d:1")])), Some(2));
        assert_eq!(successor(&status(&[(1, "a:1"), (3, "c:1")])), None);
    }

    #[test]
    fn members_are_listed_with_what_the_leader_knows_of_them() {
        let members = members(&status(&[(1, "a:1"), (2, "b:1"), (3, "c:1")]), &BTreeMap::new());
        let rows: Vec<_> = members
            .members
            .iter()
            .map(|one| (one.id, one.role.as_str(), one.active, one.matched))
            .collect();
        let expected =
            [(1, "leader", true, 90), (2, "follower", true, 88), (3, "follower", false, 87)];
        assert_eq!(rows, expected);
    }
}
