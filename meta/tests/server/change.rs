//! Calls that are one change: what they make, and how they are refused.

use codis_proto::admin::v1 as api;
use codis_proto::meta::v1 as pb;
use codis_proto::meta::v1::command::Change;
use std::collections::BTreeMap;
use std::time::Duration;
use tonic::{Code, Request, Status};

use crate::member::{Member, eventually};

fn rule(status: &Status) -> &str {
    let rule = status.metadata().get("codis-refusal").expect("a rule");
    rule.to_str().expect("text")
}

fn register(token: &str, epoch: u64) -> Change {
    Change::ProxyRegister(pb::ProxyRegister {
        product: "demo".into(),
        protocol: 1,
        token: token.into(),
        admin_addr: format!("{token}:11080"),
        proxy_addr: format!("{token}:19000"),
        proto_type: "tcp".into(),
        start_unix_ms: 5,
        epoch,
        ..Default::default()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_servers_and_slots_are_made_and_taken_away_again() {
    let member = Member::alone().await;
    let mut admin = member.admin();
    let create = api::CreateGroupRequest { call: None, gid: 1 };
    let created = admin.create_group(create).await.expect("created").into_inner();
    assert!(created.index > 0);
    let add = |addr: &str| api::AddServerRequest {
        call: None,
        gid: 1,
        addr: addr.into(),
        datacenter: "east".into(),
    };
    *member.servers.notes.lock().expect("sound") = vec!["it is a bit old".to_owned()];
    let added = admin.add_server(add("Host-A:1")).await.expect("added").into_inner();
    assert_eq!(added.notes, ["it is a bit old"]);
    admin.add_server(add("host-b:1")).await.expect("added");
    let reads =
        api::SetReplicaReadsRequest { call: None, gid: 1, addr: "host-b:1".into(), enabled: true };
    admin.set_replica_reads(reads).await.expect("set");
    let assign = api::AssignSlotsRequest { call: None, beg: 10, end: 19, gid: 1 };
    let assigned = admin.assign_slots(assign).await.expect("assigned").into_inner();
    assert_eq!(assigned.epoch, member.epoch().await);

    let groups = admin.list_groups(api::ListGroupsRequest {}).await.expect("listed").into_inner();
    let group = &groups.groups[0];
    assert_eq!((group.gid, group.slots, group.out_of_sync), (1, 10, true), "nobody was asked yet");
    let servers: Vec<_> = group
        .servers
        .iter()
        .map(|server| (server.addr.as_str(), server.datacenter.as_str(), server.replica_reads))
        .collect();
    assert_eq!(servers, [("host-a:1", "east", false), ("host-b:1", "east", true)]);
    let slots = admin.list_slots(api::ListSlotsRequest {}).await.expect("listed").into_inner();
    assert_eq!(slots.slots.iter().filter(|slot| slot.group == 1).count(), 10);

    let offline = api::OfflineSlotsRequest { call: None, beg: 10, end: 19 };
    admin.offline_slots(offline).await.expect("taken offline");
    for addr in ["host-b:1", "host-a:1"] {
        let remove = api::RemoveServerRequest { call: None, gid: 1, addr: addr.into() };
        admin.remove_server(remove).await.expect("removed");
    }
    let remove = api::RemoveGroupRequest { call: None, gid: 1 };
    admin.remove_group(remove).await.expect("removed");
    let groups = admin.list_groups(api::ListGroupsRequest {}).await.expect("listed").into_inner();
    assert_eq!(groups.groups, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_has_the_status_of_its_rule_and_names_it() {
    let member = Member::alone().await;
    member.make_group(1, &["a:1", "b:1"]).await;
    let mut admin = member.admin();
    let create = |gid| api::CreateGroupRequest { call: None, gid };
    let assign = |beg, end, gid| api::AssignSlotsRequest { call: None, beg, end, gid };
    admin.assign_slots(assign(0, 3, 1)).await.expect("assigned");
    for (status, code, name, words) in [
        (admin.create_group(create(1)).await.err(), Code::AlreadyExists, "GROUP_EXISTS", "exists"),
        (admin.create_group(create(0)).await.err(), Code::InvalidArgument, "INVALID_VALUE", "9999"),
        (
            admin.assign_slots(assign(5, 5, 9)).await.err(),
            Code::NotFound,
            "GROUP_UNKNOWN",
            "no group 9",
        ),
        (
            admin.remove_group(api::RemoveGroupRequest { call: None, gid: 1 }).await.err(),
            Code::FailedPrecondition,
            "GROUP_IN_USE",
            "4 slots",
        ),
        (
            admin
                .remove_proxy(api::RemoveProxyRequest { token: "x".into(), ..Default::default() })
                .await
                .err(),
            Code::NotFound,
            "PROXY_UNKNOWN",
            "\"x\"",
        ),
    ] {
        let status = status.expect(name);
        assert_eq!((status.code(), rule(&status)), (code, name));
        assert!(status.message().contains(words), "{}", status.message());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_expects_another_epoch_is_aborted() {
    let member = Member::alone().await;
    member.make_group(1, &["a:1"]).await;
    let epoch = member.epoch().await;
    let assign = |expect_epoch| {
        let call = Some(api::Call { expect_epoch, ..Default::default() });
        api::AssignSlotsRequest { call, beg: 0, end: 0, gid: 1 }
    };
    let status = member.admin().assign_slots(assign(epoch + 5)).await.expect_err("refused");
    assert_eq!((status.code(), rule(&status)), (Code::Aborted, "EPOCH_CONFLICT"));
    member.admin().assign_slots(assign(epoch)).await.expect("it is at this epoch");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_with_its_request_id_does_not_run_again() {
    let member = Member::alone().await;
    let mut admin = member.admin();
    let create = |gid, client| {
        let id = Some(api::RequestId { client, request: 7 });
        api::CreateGroupRequest { call: Some(api::Call { id, ..Default::default() }), gid }
    };
    let first = admin.create_group(create(1, 5)).await.expect("created").into_inner();
    let again = admin.create_group(create(1, 5)).await.expect("the same answer").into_inner();
    assert_eq!(again, first);
    let status = admin.create_group(create(2, 5)).await.expect_err("another change");
    assert_eq!((status.code(), rule(&status)), (Code::Aborted, "REQUEST_REUSED"));
    let status = admin.create_group(create(2, 0)).await.expect_err("no client");
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("is not 0"), "{}", status.message());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_fit_is_not_added() {
    let member = Member::alone().await;
    member.make_group(1, &[]).await;
    *member.servers.refusal.lock().expect("sound") = Some("it does not answer".to_owned());
    let add = api::AddServerRequest { gid: 1, addr: "a:1".into(), ..Default::default() };
    let status = member.admin().add_server(add).await.expect_err("refused");
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(status.message(), "a:1 cannot be added to group 1: it does not answer");
    let add = api::AddServerRequest { gid: 1, addr: "nonsense".into(), ..Default::default() };
    let status = member.admin().add_server(add).await.expect_err("no address");
    assert_eq!(status.code(), Code::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_server_of_a_group_is_given_the_fence() {
    let member = Member::alone().await;
    member.make_group(1, &[]).await;
    for addr in ["a:1", "b:1"] {
        let add = api::AddServerRequest { gid: 1, addr: addr.into(), ..Default::default() };
        member.admin().add_server(add).await.expect("added");
    }
    assert_eq!(*member.servers.prepared.lock().expect("sound"), ["a:1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_go_to_a_master_only_when_it_holds_the_fence() {
    let member = Member::alone().await;
    member.make_group(1, &["a:1"]).await;
    let assign = |slot| api::AssignSlotsRequest { call: None, beg: slot, end: slot, gid: 1 };
    member.admin().assign_slots(assign(0)).await.expect("there is no fence");
    assert_eq!(*member.servers.prepared.lock().expect("sound"), Vec::<String>::new());
    let epoch = member.epoch().await;
    member.make(Change::FenceAdvance(pb::FenceAdvance { epoch, tokens: vec![] })).await;
    member.admin().assign_slots(assign(1)).await.expect("the master takes the fence");
    assert_eq!(*member.servers.prepared.lock().expect("sound"), ["a:1"]);
    *member.servers.refusal.lock().expect("sound") = Some("it does not answer".to_owned());
    let status = member.admin().assign_slots(assign(2)).await.expect_err("refused");
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("a:1 does not hold the fence"), "{}", status.message());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_waits_until_online_proxies_work_by_it() {
    let member = Member::alone().await;
    member.make_group(1, &["a:1"]).await;
    let epoch = member.epoch().await;
    for token in ["p", "q", "gone"] {
        member.make(register(token, epoch)).await;
    }
    let lost = pb::ProxyOffline { token: "gone".into(), start_unix_ms: 5, stopped: false };
    member.make(Change::ProxyOffline(lost)).await;
    let assign = |slot, wait_ms| {
        let call = Some(api::Call { wait_ms, ..Default::default() });
        api::AssignSlotsRequest { call, beg: slot, end: slot, gid: 1 }
    };
    let changed = member.admin().assign_slots(assign(0, 50)).await.expect("made").into_inner();
    assert_eq!(changed.proxies_waiting, ["p", "q"], "the time is over");

    let mut admin = member.admin();
    let waiting = tokio::spawn(async move { admin.assign_slots(assign(1, 60_000)).await });
    eventually("the slot is assigned", async || member.epoch().await == changed.epoch + 1).await;
    for token in ["p", "q"] {
        let acked = pb::proxy_ack::Acked { start_unix_ms: 5, epoch: changed.epoch + 1 };
        let proxies = BTreeMap::from([(token.to_owned(), acked)]);
        member.make(Change::ProxyAck(pb::ProxyAck { proxies })).await;
    }
    let changed = waiting.await.expect("it did not panic").expect("made").into_inner();
    assert_eq!(changed.proxies_waiting, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_callers_deadline_ends_the_waiting_for_proxies() {
    let member = Member::alone().await;
    member.make_group(1, &["a:1"]).await;
    member.make(register("p", 0)).await;
    let call = Some(api::Call { wait_ms: 3_600_000, ..Default::default() });
    let mut request = Request::new(api::AssignSlotsRequest { call, beg: 0, end: 0, gid: 1 });
    request.set_timeout(Duration::from_secs(2));
    let changed = member.admin().assign_slots(request).await.expect("made").into_inner();
    assert_eq!(changed.proxies_waiting, ["p"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_removed_by_force_is_said_to_be_shut_out() {
    let member = Member::alone().await;
    member.make(register("p", 0)).await;
    let remove = |force| api::RemoveProxyRequest { call: None, token: "p".into(), force };
    let status = member.admin().remove_proxy(remove(false)).await.expect_err("it may run");
    assert_eq!((status.code(), rule(&status)), (Code::FailedPrecondition, "PROXY_RUNNING"));
    let removed = member.admin().remove_proxy(remove(true)).await.expect("removed").into_inner();
    assert!(removed.notes[0].contains("shut out of every server"), "{:?}", removed.notes);
    let request = api::ListProxiesRequest {};
    let proxies = member.admin().list_proxies(request).await.expect("listed").into_inner();
    assert_eq!((proxies.proxies.len(), proxies.leaving), (0, vec!["p".to_owned()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_listed_with_what_they_can_be_and_set_together() {
    let member = Member::alone().await;
    let mut admin = member.admin();
    let set = |name: &str, value: &str| {
        let values = BTreeMap::from([(name.to_owned(), value.to_owned())]);
        api::SetSettingsRequest { call: None, values }
    };
    admin.set_settings(set("barrier_deadline", "1500ms")).await.expect("set");
    let request = api::GetSettingsRequest {};
    let settings = admin.get_settings(request).await.expect("listed").into_inner().settings;
    assert_eq!(settings.len(), codis_meta::state::settings::SPECS.len());
    let one = settings.iter().find(|one| one.name == "barrier_deadline").expect("it is there");
    assert_eq!((one.value.as_str(), one.default.as_str()), ("1500ms", "2s"));
    assert_eq!(one.values, "a time from 100ms to 1m");
    assert!(one.about.starts_with("How long clients"));
    for (name, value, code, rule_name) in [
        ("barrier_deadline", "1h", Code::InvalidArgument, "SETTING_INVALID"),
        ("colour", "red", Code::NotFound, "SETTING_UNKNOWN"),
    ] {
        let status = admin.set_settings(set(name, value)).await.expect_err("refused");
        assert_eq!((status.code(), rule(&status)), (code, rule_name));
    }
}
