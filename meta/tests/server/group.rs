//! Several members: calls that are passed on, and changes of who is a member.

use codis_proto::admin::v1 as api;
use codis_testbed::free_port;
use std::collections::BTreeMap;
use tonic::metadata::MetadataValue;
use tonic::{Code, Request, Status};

use crate::member::{Member, Options, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn any_member_takes_any_call() {
    let members = Member::group(3).await;
    // What only the leader knows.
    members[0].make_group(1, &["a:1"]).await;
    for member in &members {
        let gid = 10 + u32::try_from(member.node.id()).expect("a small id");
        let create = api::CreateGroupRequest { call: None, gid };
        member.admin().create_group(create).await.expect("created");
        let listed = member.admin().list_groups(api::ListGroupsRequest {}).await;
        let groups = listed.expect("listed").into_inner().groups;
        assert!(groups[0].servers[0].facts.is_some(), "the leader answered");
        assert!(groups.iter().any(|group| group.gid == gid), "its own change is there");
        let status = member.admin().get_status(api::GetStatusRequest {}).await;
        let members = status.expect("answered").into_inner().members.expect("members");
        assert!(members.members.iter().all(|member| member.active));
        let mut backup =
            member.admin().backup(api::BackupRequest {}).await.expect("begun").into_inner();
        assert!(backup.message().await.expect("it goes on").is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_asked_for_itself_tells_of_itself() {
    let members = Member::group(3).await;
    let request = api::GetMembersRequest { local: true };
    let listed = members[1].admin().get_members(request).await.expect("listed").into_inner();
    let own =
        listed.members.iter().find(|one| one.id == members[1].node.id()).expect("it is there");
    assert_eq!(own.role, "follower");
    assert!(own.applied > 0);
    let leader = listed.members.iter().find(|one| one.id == listed.leader).expect("it is there");
    assert_eq!((leader.role.as_str(), leader.applied), ("leader", 0), "it tells of itself alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_was_passed_on_is_not_passed_on_again() {
    let members = Member::group(3).await;
    let mut request = Request::new(api::ListGroupsRequest {});
    request.metadata_mut().insert("codis-forwarded", MetadataValue::from(9));
    let status = members[1].admin().list_groups(request).await.expect_err("refused");
    assert_eq!(status.code(), Code::Unavailable);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_majority_a_call_is_unavailable() {
    let mut members = Member::group(3).await;
    members.truncate(1);
    eventually("it finds out that it is alone", async || {
        members[0].node.standing().borrow().leader == 0
    })
    .await;
    let status =
        members[0].admin().list_groups(api::ListGroupsRequest {}).await.expect_err("alone");
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("no leader"), "{}", status.message());
    let mut request = Request::new(api::CreateGroupRequest { call: None, gid: 1 });
    request.set_timeout(std::time::Duration::from_secs(1));
    let status = members[0].admin().create_group(request).await.expect_err("alone");
    assert!(matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn leadership_is_handed_over_and_the_new_leader_answers() {
    let members = Member::group(3).await;
    let to = members[2].node.id();
    let mut listed = Err(Status::unavailable("not asked yet"));
    // The group may elect somebody else meanwhile, and says then that there is no leader.
    while listed.as_ref().is_err_and(|status| status.code() == Code::Unavailable) {
        let request = api::TransferLeadershipRequest { to };
        listed = members[1].admin().transfer_leadership(request).await;
    }
    assert_eq!(listed.expect("done").into_inner().leader, to);
    let request = api::TransferLeadershipRequest { to: 9 };
    let status = members[1].admin().transfer_leadership(request).await.expect_err("no member");
    assert_eq!(status.code(), Code::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_is_added_gets_its_vote_and_is_removed() {
    let leader = Member::alone().await;
    let addresses =
        BTreeMap::from([(1, leader.address.clone()), (2, format!("127.0.0.1:{}", free_port()))]);
    let second = Member::start(2, &addresses, None, Options::default()).await;
    let add = api::AddMemberRequest { id: 2, addr: addresses[&2].clone(), wait_ms: 60_000 };
    let listed = leader.admin().add_member(add.clone()).await.expect("added").into_inner();
    let roles: Vec<_> = listed.members.iter().map(|one| (one.id, one.role.as_str())).collect();
    assert_eq!(roles, [(1, "leader"), (2, "follower")]);
    leader.admin().add_member(add).await.expect("the same again changes nothing");
    let other = api::AddMemberRequest { id: 2, addr: "127.0.0.1:1".into(), wait_ms: 0 };
    let status = leader.admin().add_member(other).await.expect_err("the id is taken");
    assert_eq!(status.code(), Code::AlreadyExists);

    // The leader itself, asked for at the other one: leadership goes over first.
    let remove = api::RemoveMemberRequest { id: 1 };
    let listed = second.admin().remove_member(remove).await.expect("removed").into_inner();
    assert_eq!((listed.leader, listed.members.len()), (2, 1));
    let status = second.admin().remove_member(remove).await.expect_err("it is gone");
    assert_eq!(status.code(), Code::NotFound);
    let remove = api::RemoveMemberRequest { id: 2 };
    let status = second.admin().remove_member(remove).await.expect_err("the last one");
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.message().contains("no other one that votes"), "{}", status.message());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_does_not_answer_is_added_without_a_vote() {
    let leader = Member::alone().await;
    let addr = format!("127.0.0.1:{}", free_port());
    let add = api::AddMemberRequest { id: 2, addr, wait_ms: 100 };
    let status = leader.admin().add_member(add).await.expect_err("it does not answer");
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert!(status.message().contains("it does not answer"), "{}", status.message());
    let request = api::GetMembersRequest { local: false };
    let listed = leader.admin().get_members(request).await.expect("listed").into_inner();
    assert_eq!((listed.members[1].role.as_str(), listed.members[1].active), ("learner", false));
    leader.admin().remove_member(api::RemoveMemberRequest { id: 2 }).await.expect("removed");
}
