use codis_meta::auth::Token;
use codis_meta::raft::{Body, Envelope};
use codis_proto::member::v1::member_client::MemberClient;
use codis_proto::member::v1::{HelloRequest, Packet};
use codis_service::config::Secret;
use tokio::time::{Duration, sleep};
use tonic::{Code, Request, Status};

use crate::running::{Group, begin};

#[tokio::test(flavor = "multi_thread")]
async fn a_member_with_another_token_does_not_get_in() {
    let group = Group::running(3).await;
    let mut plan = group.plan(1);
    plan.data_dir = group.data_dir(9);
    plan.founders.insert(9, crate::running::address());
    plan.own = Ok((9, plan.founders[&9].clone()));
    plan.listen = plan.founders[&9].clone();
    plan.product_auth = Secret::new("wrong");
    let mut starting = begin(plan);
    sleep(Duration::from_millis(300)).await;
    assert!(!starting.has_begun() && !starting.has_ended());
    let mut client = MemberClient::connect(format!("http://{}", group.founders[&1])).await.unwrap();
    let status = client.hello(HelloRequest::default()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert!(!status.message().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_of_another_product_ends_with_a_sentence() {
    let mut group = Group::running(3).await;
    let id = group.follower().await;
    group.stop(id).await;
    let mut plan = group.plan(id);
    plan.product = "other".into();
    let reason = begin(plan).running().await.unwrap().end().await;
    assert!(reason.contains("keeps product \"demo\""), "{reason}");
    // The same of one that has not begun.
    let mut plan = group.plan(id);
    plan.founders.insert(9, crate::running::address());
    plan.own = Ok((9, plan.founders[&9].clone()));
    plan.listen = plan.founders[&9].clone();
    plan.data_dir = group.data_dir(9);
    plan.product = "other".into();
    let reason = begin(plan).running().await.err().unwrap();
    assert!(reason.contains("keeps product \"demo\""), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_directory_of_another_member_is_refused() {
    let mut group = Group::running(3).await;
    group.stop(2).await;
    group.stop(3).await;
    let mut plan = group.plan(2);
    plan.data_dir = group.data_dir(3);
    let reason = begin(plan).running().await.err().unwrap();
    assert!(reason.contains("belongs to member 3"), "{reason}");
}

/// What a member answers to a stream with one message.
async fn deliver(address: &str, from: &str, envelope: Vec<u8>) -> Status {
    let token = Token::new("secret").unwrap();
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{address}")).unwrap();
    let mut client = MemberClient::with_interceptor(channel.connect().await.unwrap(), token);
    let packets = tokio_stream::iter([Packet { envelope: envelope.into() }]);
    let mut request = Request::new(packets);
    request.metadata_mut().insert("codis-member", from.parse().unwrap());
    client.deliver(request).await.unwrap_err()
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_are_not_for_this_member_end_the_stream_with_a_sentence() {
    let group = Group::running(1).await;
    let address = &group.founders[&1];
    let own = group.node(1).status().await.unwrap().group;
    let body = Body::LogLost { last_index: 1 };
    let envelope = Envelope { group: own, from: 2, to: 1, body };
    let cases = [
        (Envelope { group: own ^ 1, ..envelope.clone() }, "2@a:1", "belongs to group"),
        (Envelope { to: 3, ..envelope.clone() }, "2@a:1", "is for member 3, but this is member 1"),
        (envelope.clone(), "3@a:1", "in another member's name"),
        (envelope.clone(), "1@a:1", "this member's own id"),
    ];
    for (envelope, from, expected) in cases {
        let status = deliver(address, from, envelope.encode()).await;
        assert_eq!(status.code(), Code::FailedPrecondition);
        assert!(status.message().contains(expected), "{}", status.message());
    }
    let mut newer = envelope.encode();
    newer[0] += 1;
    assert_eq!(deliver(address, "2@a:1", newer).await.code(), Code::FailedPrecondition);
    assert_eq!(deliver(address, "2@a:1", vec![1]).await.code(), Code::InvalidArgument);
    assert_eq!(deliver(address, "nobody", envelope.encode()).await.code(), Code::InvalidArgument);
    group.create(1, 1).await;
}
