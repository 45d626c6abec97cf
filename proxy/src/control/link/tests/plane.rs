//! The control plane that follows a group: what reaches the shards, the group and the operator.

use super::super::testing::*;
use super::super::*;
use super::nobody;
use crate::control::testing::{Manner, Running, Seen, fixture};
use crate::control::{Exit, Signal};
use crate::messages::{ControlMessage, Question};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::Status as Rpc;
use wire::proxy_message::Body as ProxyBody;

const SHARDS: [Manner; 2] = [Manner::Answers, Manner::Answers];

/// A control plane with two shards and the link of `proxy`.
fn plane(link: Link) -> Running {
    let mut fixture = fixture(&SHARDS);
    fixture.control.link = Some(link);
    fixture.start()
}

/// The whole answer to a request of the admin pages.
async fn request(running: &Running, method: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(running.admin).await.expect("the pages are served");
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\n[]"
    );
    stream.write_all(request.as_bytes()).await.expect("it is taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("it is answered");
    answer
}

#[tokio::test]
async fn a_topology_reaches_every_shard_and_is_acknowledged_when_they_have_settled() {
    let mut member = Member::start().await;
    let Proxy { link, path: _path, .. } = Proxy::start(&[&member.address], None);
    let mut running = plane(link);
    let (_, mut stream) = member.welcome(&topology(3, 1)).await;
    for shard in 0..2 {
        let (seen_by, Seen::Topology(seen)) = running.next().await else { panic!("no topology") };
        assert_eq!((seen_by, seen.epoch), (shard, 3));
    }
    running.say(ControlMessage::Settled { shard: 0, epoch: 3 });
    running.say(ControlMessage::Settled { shard: 1, epoch: 3 });
    assert_eq!(stream.ack().await, 3);
}

#[tokio::test]
async fn the_group_is_told_once_of_each_big_key_that_is_waited_for() {
    let mut member = Member::start().await;
    let Proxy { link, path: _path, .. } = Proxy::start(&[&member.address], None);
    let running = plane(link);
    for name in ["b", "a", "b"] {
        running.say(ControlMessage::Wanted { database: 3, key: name.into() });
    }
    let (_, mut stream) = member.welcome(&topology(3, 1)).await;
    let mut told = Vec::new();
    while told.len() < 2 {
        if let Some(ProxyBody::Wanted(wanted)) = stream.next().await {
            told.extend(wanted.keys.into_iter().map(|key| (key.database, key.name)));
        }
    }
    told.sort_unstable();
    assert_eq!(told, [(3, b"a".to_vec()), (3, b"b".to_vec())]);
}

#[tokio::test]
async fn the_group_is_sent_the_counters_of_all_shards() {
    let mut member = Member::start().await;
    let Proxy { link, path: _path, .. } = Proxy::start(&[&member.address], None);
    let _running = plane(link);
    let (_, mut stream) = member.welcome(&topology(3, 1)).await;
    let Some(ProxyBody::Stats(stats)) = stream.next().await else { panic!("no counters") };
    assert_eq!((stats.ops_total, stats.sessions_alive), (200, 10));
    assert!(stats.resident_bytes > 0);
    let page: serde_json::Value = serde_json::from_slice(&stats.page).expect("JSON");
    assert_eq!(page["ops"]["total"], 200);
}

#[tokio::test]
async fn a_proxy_that_has_drained_says_so_when_its_shards_have_ended() {
    let mut member = Member::start().await;
    let Proxy { link, path: _path, .. } = Proxy::start(&[&member.address], None);
    let mut running = plane(link);
    let (_, mut stream) = member.welcome(&topology(0, 0)).await;
    running.signal(Signal::End);
    for shard in 0..2 {
        assert_eq!(running.next().await, (shard, Seen::Drain));
        running.say(ControlMessage::Drained { shard });
    }
    assert_eq!(running.next().await.1, Seen::Stop);
    assert_eq!(running.next().await.1, Seen::Stop);
    // The shards end.
    let Running { shards, exit, .. } = running;
    drop(shards);
    loop {
        match stream.next().await {
            Some(ProxyBody::Stats(_)) => {}
            other => break assert_eq!(other, Some(ProxyBody::Stopping(wire::Stopping {}))),
        }
    }
    drop(stream);
    assert_eq!(exit.await.expect("no panic"), Exit::Drained);
}

#[tokio::test]
async fn a_proxy_with_every_slot_offline_ends_when_the_group_refuses_it() {
    let mut member = Member::start().await;
    let Proxy { link, path: _path, .. } = Proxy::start(&[&member.address], None);
    let running = plane(link);
    member.call().await.refuse(Rpc::already_exists("its address is taken"));
    let Exit::Failed(reason) = running.exit.await.expect("no panic") else { panic!("it goes on") };
    assert!(reason.contains("its address is taken"), "{reason}");
}

#[tokio::test]
async fn operators_see_how_the_link_stands_and_fill_no_slots_past_the_group() {
    let mut member = Member::start().await;
    let Proxy { link, path: _path, .. } = Proxy::start(&[&member.address], None);
    let mut status = link.status();
    let mut running = plane(link);
    let (_, _stream) = member.welcome(&topology(3, 1)).await;
    status.wait_for(|status| status.epoch == 3 && status.connected).await.expect("it is there");

    let proxy = request(&running, "GET", "/proxy").await;
    assert!(proxy.contains("\"meta\""), "{proxy}");
    assert!(proxy.contains(&format!("\"leader\": \"{}\"", member.address)), "{proxy}");
    let metrics = request(&running, "GET", "/metrics").await;
    assert!(metrics.contains("\ncodis_meta_connected 1\n"), "{metrics}");
    assert!(metrics.contains("\ncodis_meta_epoch 3\n"), "{metrics}");

    let fill = format!("/api/proxy/fillslots/{}", running.xauth());
    let refused = request(&running, "PUT", &fill).await;
    assert!(refused.starts_with("HTTP/1.1 800 "), "{refused}");
    assert!(refused.contains("this proxy follows a metadata group"), "{refused}");

    let (shard, session, client, sequence) = (0, 5, 1, 9);
    let (question, args) = (Question::Info, vec![b"INFO".to_vec(), b"meta".to_vec()]);
    let protocol = crate::resp::Protocol::Resp2;
    running.say(ControlMessage::Ask { shard, session, client, sequence, question, args, protocol });
    let info = loop {
        if let (_, Seen::Answer { reply, .. }) = running.next().await {
            break reply;
        }
    };
    assert!(info.contains("\r\nmeta:connected\r\n"), "{info}");
    assert!(info.contains("\r\nmeta_acked_epoch:0\r\n"), "{info}");
}

#[tokio::test]
async fn a_group_that_is_away_is_shown_with_the_reason() {
    let address = nobody();
    let Proxy { link, path: _path, .. } = Proxy::start(&[&address], None);
    let mut status = link.status();
    let running = plane(link);
    status.wait_for(|status| !status.last_refusal.is_empty()).await.expect("it is there");
    let proxy = request(&running, "GET", "/proxy").await;
    assert!(proxy.contains("\"connected\": false"), "{proxy}");
    assert!(proxy.contains(&format!("\"last_refusal\": \"{address}: ")), "{proxy}");
}
