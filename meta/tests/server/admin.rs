//! What operators look at.

use codis_proto::admin::v1 as api;
use codis_proto::meta::v1 as pb;
use codis_proto::meta::v1::command::Change;

use crate::member::{CLUSTER, Member, PRODUCT};

async fn status(member: &Member) -> api::Status {
    member.admin().get_status(api::GetStatusRequest {}).await.expect("answered").into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_has_everything_in_one_look() {
    let member = Member::alone().await;
    member.make_group(1, &["a:1", "b:1"]).await;
    let slots = Some(pb::SlotRange { first: 0, last: 1023 });
    member.make(Change::SlotsAssign(pb::SlotsAssign { slots, group: 1 })).await;
    let status = status(&member).await;
    assert_eq!((status.product.as_str(), status.cluster), (PRODUCT, CLUSTER));
    assert_eq!(status.epoch, member.epoch().await);
    let members = status.members.expect("members");
    assert_eq!((members.leader, members.members.len()), (1, 1));
    let group = &status.groups.expect("groups").groups[0];
    assert_eq!((group.slots, group.out_of_sync), (1024, false));
    let facts = group.servers[1].facts.as_ref().expect("it was asked");
    assert_eq!(facts.master_addr, "a:1");
    assert_eq!(status.slots.expect("slots").slots.len(), 1024);
    assert_eq!(status.warnings, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_warns_of_what_is_wrong() {
    let member = Member::alone().await;
    member.make_group(1, &["a:1"]).await;
    let error = "connection refused".to_owned();
    member.servers.show("a:1", api::ServerFacts { error, ..Default::default() });
    *member.servers.troubles.lock().expect("sound") = vec!["p cannot be shut out".to_owned()];
    let warnings = status(&member).await.warnings;
    assert!(warnings[0].contains("1024 slots are on no group"), "{warnings:?}");
    assert!(warnings[1].contains("a:1 of group 1 does not answer"), "{warnings:?}");
    assert_eq!(warnings[2], "p cannot be shut out");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_tells_its_own_log_and_version() {
    let member = Member::alone().await;
    let started = pb::MemberStarted { id: 1, version: "9.9".to_owned(), start_unix_ms: 1 };
    member.make(Change::MemberStarted(started)).await;
    for local in [true, false] {
        let request = api::GetMembersRequest { local };
        let members = member.admin().get_members(request).await.expect("listed").into_inner();
        let one = &members.members[0];
        assert_eq!((one.id, one.role.as_str(), one.active), (1, "leader", true));
        assert_eq!((one.addr.as_str(), one.version.as_str()), (member.address.as_str(), "9.9"));
        assert!(one.applied > 0 && one.first_index > 0 && one.matched >= one.applied);
        assert_eq!(one.fault, "");
    }
}
