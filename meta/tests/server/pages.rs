//! Pages over HTTP/1.1 on the same port.

use codis_proto::admin::v1 as api;
use codis_proto::meta::v1 as pb;
use codis_proto::meta::v1::command::Change;
use codis_testbed::{http_get, metric_by_label, metric_sum};
use serde_json::Value;

use crate::member::{Member, eventually};

async fn get(member: &Member, path: &str) -> (u16, String) {
    let (address, path) = (member.address.clone(), path.to_owned());
    let answer = tokio::task::spawn_blocking(move || http_get(&address, &path)).await;
    let answer = answer.expect("it did not panic");
    (answer.status, answer.body)
}

async fn json(member: &Member, path: &str) -> Value {
    let (status, body) = get(member, path).await;
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).expect("JSON")
}

/// A product in which everything that the pages show is there once.
async fn filled(member: &Member) {
    member.make_group(1, &["a:1", "b:1"]).await;
    member.make_group(2, &["c:1"]).await;
    let slots = Some(pb::SlotRange { first: 0, last: 9 });
    member.make(Change::SlotsAssign(pb::SlotsAssign { slots, group: 1 })).await;
    let slots = Some(pb::SlotRange { first: 9, last: 9 });
    let create = pb::SlotActionCreate { slots, target: 2, ..Default::default() };
    member.make(Change::SlotActionCreate(create)).await;
    let register = pb::ProxyRegister {
        product: "demo".into(),
        protocol: 1,
        token: "p".into(),
        admin_addr: "p:11080".into(),
        proxy_addr: "p:19000".into(),
        proto_type: "tcp4".into(),
        start_unix_ms: 1_700_000_000_000,
        ..Default::default()
    };
    member.make(Change::ProxyRegister(register)).await;
}

/// What the leader knows of moves.
fn moving() -> api::Moves {
    let source = api::MoveSource {
        gid: 1,
        doing: "moving".into(),
        keys_total: 100,
        keys_moved: 70,
        keys_a_second: 30,
        longest_step_us: 2500,
        trouble: "c:1 is full".into(),
        ..Default::default()
    };
    api::Moves { sources: vec![source], keys_moved: 70, ..Default::default() }
}

/// The keys of an object as they stand in the text, which a parser would sort.
fn keys_in_order(text: &str, names: &[&str]) -> bool {
    let mut rest = text;
    names.iter().all(|name| match rest.split_once(&format!("\"{name}\":")) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_takes_part_is_healthy_for_probes() {
    let member = Member::alone().await;
    assert_eq!(get(&member, "/healthz").await, (200, "ok\n".to_owned()));
    let mut members = Member::group(3).await;
    members.truncate(1);
    eventually("it knows no leader", async || get(&members[0], "/healthz").await.0 == 503).await;
    assert!(get(&members[0], "/healthz").await.1.contains("no leader is known"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_page_and_a_missing_one_name_the_pages_there_are() {
    let member = Member::alone().await;
    for (path, status) in [("/", 200), ("/nonsense", 404)] {
        let (got, body) = get(&member, path).await;
        assert_eq!(got, status);
        assert!(body.contains("/healthz") && body.contains("/topom"), "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_overview_has_codiss_keys_in_their_order() {
    let member = Member::alone().await;
    filled(&member).await;
    let text = get(&member, "/topom").await.1;
    assert!(keys_in_order(&text, &["version", "compile", "config", "model", "stats"]), "{text}");
    let config = [
        "coordinator_name",
        "coordinator_addr",
        "coordinator_auth",
        "admin_addr",
        "product_name",
        "migration_method",
        "migration_parallel_slots",
        "migration_async_maxbulks",
        "migration_async_maxbytes",
        "migration_async_numkeys",
        "migration_timeout",
        "sentinel_client_timeout",
        "sentinel_quorum",
        "sentinel_parallel_syncs",
        "sentinel_down_after",
        "sentinel_failover_timeout",
        "sentinel_notification_script",
        "sentinel_client_reconfig_script",
    ];
    assert!(keys_in_order(&text, &config), "{text}");
    let model = ["token", "start_time", "admin_addr", "product_name", "pid", "pwd", "sys"];
    assert!(keys_in_order(&text, &model), "{text}");
    let stats = ["closed", "slots", "group", "proxy", "slot_action", "sentinels"];
    assert!(keys_in_order(&text, &stats), "{text}");
    let proxy = [
        "models",
        "id",
        "token",
        "start_time",
        "admin_addr",
        "proto_type",
        "proxy_addr",
        "product_name",
        "pid",
        "pwd",
        "sys",
        "hostname",
        "datacenter",
    ];
    assert!(keys_in_order(&text, &proxy), "{text}");
    let page: Value = serde_json::from_str(&text).expect("JSON");
    let object = |value: &Value| value.as_object().expect("an object").len();
    assert_eq!((object(&page), object(&page["config"]), object(&page["model"])), (5, 18, 7));
    assert_eq!((object(&page["stats"]), object(&page["stats"]["proxy"]["models"][0])), (6, 12));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stats_show_slots_groups_and_proxies_as_codis_did() {
    let member = Member::alone().await;
    filled(&member).await;
    let stats = json(&member, "/topom/stats").await;
    let expected = serde_json::json!({"id": 0, "group_id": 1, "action": {}});
    assert_eq!(stats["slots"][0], expected);
    let action = &stats["slots"][9]["action"];
    assert_eq!((&action["state"], &action["target_id"]), (&"pending".into(), &2.into()));
    assert_eq!(stats["slots"].as_array().expect("a list").len(), 1024);
    let group = serde_json::json!({
        "id": 1,
        "servers": [
            {"server": "a:1", "datacenter": "", "action": {}, "replica_group": false},
            {"server": "b:1", "datacenter": "", "action": {}, "replica_group": false},
        ],
        "promoting": {},
        "out_of_sync": false,
    });
    assert_eq!(stats["group"]["models"][0], group);
    let server =
        serde_json::json!({"stats": {"redis_version": "7.0.15"}, "unixtime": 1_700_000_000});
    assert_eq!(stats["group"]["stats"]["a:1"], server);
    let proxy = &stats["proxy"]["models"][0];
    assert_eq!(proxy["start_time"], "2023-11-14 22:13:20.000000000 +0000 UTC");
    assert_eq!(proxy["proto_type"], "tcp4");
    let slot_action = serde_json::json!({
        "interval": 0, "disabled": false, "progress": {"status": ""}, "executor": 0
    });
    assert_eq!(stats["slot_action"], slot_action);
    let sentinels =
        serde_json::json!({"model": {"out_of_sync": false}, "stats": {}, "masters": {}});
    assert_eq!(stats["sentinels"], sentinels);
    let slots = json(&member, "/topom/slots").await;
    let expected = serde_json::json!({"id": 1, "backend_addr": "a:1", "backend_addr_group_id": 1});
    assert_eq!(slots[1], expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stats_show_how_moves_are_doing_and_that_they_are_paused() {
    let members = Member::group(2).await;
    *members[0].servers.moves.lock().expect("sound") = moving();
    let values = [("migration_disabled", "true"), ("migration_interval", "5ms")];
    let values = values.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    members[0].make(Change::SettingsSet(pb::SettingsSet { values })).await;
    // The one that does not lead may not have applied it yet.
    eventually("the pause is shown", async || {
        json(&members[1], "/topom/stats").await["slot_action"]["disabled"] == true
    })
    .await;
    let action = json(&members[1], "/topom/stats").await["slot_action"].clone();
    assert_eq!(action["interval"], 5000);
    let status = "group 1: moving, 70 of 100 keys, 30 keys/s, waits: c:1 is full";
    assert_eq!(action["progress"]["status"], status);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_need_the_xauth_of_the_product() {
    let member = Member::alone().await;
    // printf 'Codis-XAuth-[demo]' | sha256sum | cut -c1-32
    let xauth = "c32db19baf104a834a2d07a99c55a19a";
    assert_eq!(json(&member, &format!("/api/topom/xping/{xauth}")).await, "OK");
    for page in ["stats", "slots"] {
        json(&member, &format!("/api/topom/{page}/{xauth}")).await;
        let (status, body) = get(&member, &format!("/api/topom/{page}/0123")).await;
        assert_eq!(status, 800);
        let error: Value = serde_json::from_str(&body).expect("JSON");
        assert!(error["Cause"].as_str().expect("text").contains("invalid xauth"));
        assert_eq!(error["Stack"], Value::Null);
    }
    json(&member, "/api/topom/model").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_shows_what_the_leader_knows() {
    let members = Member::group(3).await;
    members[0].make_group(1, &["a:1"]).await;
    let stats = json(&members[1], "/topom/stats").await;
    assert_eq!(stats["group"]["stats"]["a:1"]["stats"]["redis_version"], "7.0.15");
    assert_eq!(json(&members[1], "/topom").await["config"]["admin_addr"], members[1].address);
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_count_what_there_is() {
    let member = Member::alone().await;
    filled(&member).await;
    let error = "down".to_owned();
    member.servers.show("b:1", api::ServerFacts { error, ..Default::default() });
    *member.servers.moves.lock().expect("sound") = moving();
    let (status, page) = get(&member, "/metrics").await;
    assert_eq!(status, 200);
    for (name, value) in [
        ("codis_meta_raft_has_leader", 1.0),
        ("codis_meta_raft_is_leader", 1.0),
        ("codis_meta_raft_fault", 0.0),
        ("codis_meta_raft_voters", 1.0),
        ("codis_meta_groups", 2.0),
        ("codis_meta_slots", 1024.0),
        ("codis_meta_proxies", 1.0),
        ("codis_meta_link_streams", 0.0),
    ] {
        assert_eq!(metric_sum(&page, name), value, "{name}");
    }
    assert_eq!(metric_sum(&page, "codis_meta_topology_epoch"), member.epoch().await as f64);
    assert!(metric_sum(&page, "codis_meta_changes_total") > 0.0);
    assert!(metric_sum(&page, "codis_process_resident_memory_bytes") > 0.0);
    let slots = metric_by_label(&page, "codis_meta_slots", "state");
    assert_eq!((slots["stable"], slots["pending"], slots["offline"]), (9.0, 1.0, 1014.0));
    let waiting = metric_by_label(&page, "codis_moves_waiting", "group");
    assert_eq!((waiting["1"], metric_sum(&page, "codis_moves_keys_total")), (1.0, 70.0));
    assert_eq!(metric_sum(&page, "codis_moves_longest_step_seconds"), 0.0025);
    let up = metric_by_label(&page, "codis_meta_server_up", "server");
    assert_eq!((up["a:1"], up["b:1"]), (1.0, 0.0));
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().expect("a name");
        assert!(page.contains(&format!("# TYPE {name} ")), "{line}");
    }
}
