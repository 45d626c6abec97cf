//! The pages over a real socket.

use super::super::testing::{Fixture, Manner, Running, Seen, fixture};
use super::super::{Exit, Signal};
use super::CONNECTIONS_MAX;
use crate::logging::Level;
use crate::messages::ControlMessage;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn two_shards() -> Fixture {
    fixture(&[Manner::Answers, Manner::Answers])
}

/// An answer of the server.
struct Page {
    status: u16,
    head: String,
    body: String,
}

impl Page {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

async fn request(admin: SocketAddr, method: &str, path: &str, body: &str) -> Page {
    let mut stream = TcpStream::connect(admin).await.expect("the server listens");
    let len = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len}\r\nConnection: close\r\n\r\n{body}"
    );
    // The server may answer and close before it has read all of a body that is too long.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).expect("pages are UTF-8");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    Page { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
}

async fn get(running: &Running, path: &str) -> Page {
    request(running.admin, "GET", path, "").await
}

async fn put(running: &Running, path: &str, body: &str) -> Page {
    request(running.admin, "PUT", path, body).await
}

#[tokio::test]
async fn a_proxy_whose_shards_answer_is_healthy_whatever_its_servers_do() {
    let running = two_shards().start();
    let page = get(&running, "/healthz").await;
    assert_eq!(page.status, 200);
    let health = page.json();
    assert_eq!(health["status"], "ok");
    assert_eq!(health["shards_answering"], 2);
    assert_eq!(health["slots_offline"], 1022);
    assert_eq!(health["backends_down"][0]["addr"], "127.0.0.1:6381");
    assert_eq!(health["backends_down"][0]["error"], "Connection refused");
    assert_eq!(health["backends_down"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_proxy_that_lost_a_shard_is_not_healthy_and_says_which() {
    let running = fixture(&[Manner::Answers, Manner::Gone]).start();
    let page = get(&running, "/healthz").await;
    assert_eq!(page.status, 503);
    assert_eq!(page.json()["reasons"][0], "shard 1 has ended; restart the proxy");
    let metrics = get(&running, "/metrics").await;
    assert_eq!(metrics.status, 200);
    assert!(metrics.body.contains("codis_shard_up{shard=\"1\"} 0\n"));
    let overview = get(&running, "/proxy").await.json();
    assert_eq!(overview["stats"]["missing"][0], "shard 1 has ended; restart the proxy");
    assert_eq!(overview["stats"]["ops"]["total"], 100);
}

#[tokio::test]
async fn a_proxy_that_drains_wants_no_more_traffic() {
    let mut running = two_shards().start();
    running.signal(Signal::End);
    assert_eq!(running.next().await.1, Seen::Drain);
    let page = get(&running, "/healthz").await;
    assert_eq!(page.status, 503);
    assert!(page.body.contains("told to end"), "{}", page.body);
}

#[tokio::test]
async fn the_overview_has_the_shape_of_codis_and_no_secrets() {
    let running = two_shards().start();
    let page = get(&running, "/proxy").await;
    assert_eq!(page.status, 200);
    assert!(page.head.contains("content-type: application/json; charset=utf-8"), "{}", page.head);
    assert!(!page.body.contains("pw-of-the-product"));
    let overview = page.json();
    for key in ["version", "compile", "config", "model", "stats", "slots"] {
        assert!(!overview[key].is_null(), "{key}");
    }
    assert_eq!(overview["config"]["product_name"], "codis-demo");
    let model = &overview["model"];
    assert_eq!(model["token"], running.token.as_str());
    assert_eq!(model["admin_addr"], running.admin.to_string());
    assert_eq!(model["proxy_addr"], "127.0.0.1:19000");
    assert_eq!(model["proto_type"], "tcp4");
    assert_eq!(model["pid"], std::process::id());
    let stats = &overview["stats"];
    assert_eq!((&stats["online"], &stats["closed"]), (&true.into(), &false.into()));
    assert_eq!(stats["ops"]["total"], 200);
    assert_eq!(stats["ops"]["fails"], 6);
    assert_eq!(stats["ops"]["redis"]["errors"], 4);
    let get = stats["ops"]["cmd"].as_array().expect("a list").iter().find(|c| c["opstr"] == "GET");
    let get = get.expect("GET was called");
    assert_eq!((&get["calls"], &get["usecs"]), (&200.into(), &20_000.into()));
    assert_eq!((&get["usecs_percall"], &get["redis_errtype"]), (&100.into(), &4.into()));
    assert_eq!(
        (&stats["sessions"]["total"], &stats["sessions"]["alive"]),
        (&20.into(), &10.into())
    );
    assert!(stats["rusage"]["mem"].as_u64() > Some(0));
    assert_eq!(stats["rusage"]["mem"], stats["rusage"]["raw"]["vm_rss"]);
    assert_eq!(overview["slots"].as_array().map(Vec::len), Some(1024));
    assert_eq!(overview["slots"][1]["backend_addr"], "127.0.0.1:6380");
    assert_eq!(overview["slots"][1]["backend_addr_group_id"], 1);
}

#[tokio::test]
async fn parts_of_the_overview_have_pages_of_their_own() {
    let running = two_shards().start();
    let overview = get(&running, "/proxy").await.json();
    for path in ["/proxy/model", "/api/proxy/model"] {
        assert_eq!(get(&running, path).await.json(), overview["model"], "{path}");
    }
    assert_eq!(get(&running, "/proxy/slots").await.json(), overview["slots"]);
    assert_eq!(get(&running, "/proxy/stats").await.json()["ops"]["total"], 200);
    let root = get(&running, "/").await;
    assert_eq!(root.status, 307);
    assert!(root.head.contains("location: /proxy"), "{}", root.head);
}

#[tokio::test]
async fn calls_need_the_xauth_of_the_product_and_the_proxy() {
    let mut running = two_shards().start();
    let xauth = running.xauth();
    assert_eq!(get(&running, &format!("/api/proxy/xping/{xauth}")).await.json(), "OK");
    let wrong = "0".repeat(32);
    for (method, call) in [
        ("GET", format!("xping/{wrong}")),
        ("GET", format!("stats/{wrong}")),
        ("GET", format!("stats/{wrong}/1")),
        ("GET", format!("slots/{wrong}")),
        ("PUT", format!("start/{wrong}")),
        ("PUT", format!("stats/reset/{wrong}")),
        ("PUT", format!("shutdown/{wrong}")),
        ("PUT", format!("loglevel/{wrong}/DEBUG")),
        ("PUT", format!("fillslots/{wrong}")),
    ] {
        let page = request(running.admin, method, &format!("/api/proxy/{call}"), "[]").await;
        assert_eq!(page.status, 800, "{call}");
        let error = page.json();
        assert_eq!(error["Cause"], "invalid xauth, please check product name & auth", "{call}");
        assert!(error["Stack"].is_null());
    }
    assert!(running.seen.try_recv().is_err(), "no shard was told anything");
    assert!(running.log.level.lock().expect("no panic").is_none());
}

#[tokio::test]
async fn stats_show_commands_only_with_their_flag() {
    let running = two_shards().start();
    let xauth = running.xauth();
    let without = get(&running, &format!("/api/proxy/stats/{xauth}")).await.json();
    assert_eq!(without["ops"]["total"], 200);
    assert!(without["ops"]["cmd"].is_null());
    let with = get(&running, &format!("/api/proxy/stats/{xauth}/1")).await.json();
    assert_eq!(with["ops"]["cmd"].as_array().map(Vec::len), Some(2));
    assert_eq!(get(&running, &format!("/api/proxy/stats/{xauth}/x")).await.status, 800);
}

#[tokio::test]
async fn filled_slots_reach_every_shard_at_the_next_epoch() {
    let mut running = two_shards().start();
    let call = format!("/api/proxy/fillslots/{}", running.xauth());
    let slots = r#"[{"id":7,"backend_addr":"127.0.0.1:6390","backend_addr_group_id":2}]"#;
    assert_eq!(put(&running, &call, slots).await.json(), "OK");
    for shard in 0..2 {
        let (number, Seen::Topology(topology)) = running.next().await else { panic!("not told") };
        assert_eq!((number, topology.epoch), (shard, 2));
    }
    let shown = get(&running, "/proxy/slots").await.json();
    assert_eq!(shown[7]["backend_addr"], "127.0.0.1:6390");
    assert_eq!(shown[0]["backend_addr"], "127.0.0.1:6380", "slots that were not sent stay");
    for wrong in ["", "{}", r#"[{"id":5000}]"#] {
        let page = put(&running, &call, wrong).await;
        assert_eq!(page.status, 800, "{wrong}");
        assert!(page.json()["Cause"].is_string());
    }
    assert!(running.seen.try_recv().is_err(), "a wrong list changes nothing");
}

#[tokio::test]
async fn a_body_without_bound_is_refused() {
    let running = two_shards().start();
    let call = format!("/api/proxy/fillslots/{}", running.xauth());
    let body = " ".repeat(super::BODY_BYTES_MAX + 1);
    let page = put(&running, &call, &body).await;
    assert_eq!(page.status, 800);
    assert!(page.body.contains("cannot read the body"), "{}", page.body);
}

#[tokio::test]
async fn the_level_of_the_log_is_set() {
    let running = two_shards().start();
    let xauth = running.xauth();
    assert_eq!(put(&running, &format!("/api/proxy/loglevel/{xauth}/debug"), "").await.json(), "OK");
    assert_eq!(*running.log.level.lock().expect("no panic"), Some(Level::Debug));
    assert_eq!(put(&running, &format!("/api/proxy/loglevel/{xauth}/loud"), "").await.status, 800);
}

#[tokio::test]
async fn counters_are_reset_on_every_shard() {
    let mut running = two_shards().start();
    let call = format!("/api/proxy/stats/reset/{}", running.xauth());
    assert_eq!(put(&running, &call, "").await.json(), "OK");
    assert_eq!(running.next().await, (0, Seen::StatsReset));
    assert_eq!(running.next().await, (1, Seen::StatsReset));
}

#[tokio::test]
async fn a_shutdown_is_answered_before_the_proxy_ends() {
    let mut running = two_shards().start();
    let (admin, call) = (running.admin, format!("/api/proxy/shutdown/{}", running.xauth()));
    // Shards without sessions are drained at once, while the answer is still on its way.
    let drained = async {
        for shard in 0..2 {
            assert_eq!(running.next().await, (shard, Seen::Drain));
            running.say(ControlMessage::Drained { shard });
        }
    };
    let (page, ()) = tokio::join!(request(admin, "PUT", &call, ""), drained);
    assert_eq!((page.status, page.json()), (200, "OK".into()));
    assert_eq!(running.exit.await.expect("no panic"), Exit::Drained);
}

#[tokio::test]
async fn an_unknown_page_lists_those_that_there_are() {
    let running = two_shards().start();
    let page = get(&running, "/nothing").await;
    assert_eq!(page.status, 404);
    let pages = page.json()["pages"].clone();
    assert!(pages.as_array().is_some_and(|pages| pages.contains(&"GET /metrics".into())));
    assert_eq!(put(&running, "/metrics", "").await.status, 405);
    assert_eq!(request(running.admin, "HEAD", "/healthz", "").await.body, "");
}

#[tokio::test]
async fn clients_that_say_nothing_or_garbage_keep_nobody_out() {
    let running = two_shards().start();
    let mut open = Vec::new();
    for i in 0..CONNECTIONS_MAX + 8 {
        let mut stream = TcpStream::connect(running.admin).await.expect("the server listens");
        let bytes: &[u8] = match i % 16 {
            0 => b"\x00\xff\x16\x03 garbage\r\n\r\n",
            1..8 => b"GET /healthz HTTP/1.1\r\nHos",
            _ => b"",
        };
        // The server may have closed the connection of an early one by now.
        let _ = stream.write_all(bytes).await;
        open.push(stream);
    }
    assert_eq!(get(&running, "/healthz").await.status, 200);
}

#[tokio::test]
async fn the_oldest_connections_make_room_for_new_ones() {
    let connection = || tokio::spawn(std::future::pending::<()>());
    let tasks: Vec<_> = (0..=CONNECTIONS_MAX).map(|_| connection()).collect();
    let mut open = tasks.iter().map(|task| task.abort_handle()).collect();
    super::make_room(&mut open);
    assert_eq!(open.len(), CONNECTIONS_MAX - 1);
    tokio::task::yield_now().await;
    let ended: Vec<bool> = tasks.iter().map(|task| task.is_finished()).collect();
    assert_eq!(ended.iter().filter(|ended| **ended).count(), 2);
    assert!(ended[0] && ended[1]);
    // One that ended by itself makes room as well.
    tasks[9].abort();
    tokio::task::yield_now().await;
    open.push_back(connection().abort_handle());
    super::make_room(&mut open);
    assert!(!tasks[2].is_finished());
}

/// A sample's labels, by name.
type LabelMap = BTreeMap<String, String>;

/// Reads one sample of Prometheus's text format: name, labels, value.
fn sample(line: &str) -> (String, LabelMap, f64) {
    let is_name = |name: &str| {
        !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    let name_len = line.find(['{', ' ']).expect("a sample has a value");
    let (name, mut rest) = line.split_at(name_len);
    assert!(is_name(name), "{line}");
    let mut labels = LabelMap::new();
    if let Some(mut inner) = rest.strip_prefix('{') {
        loop {
            let (label, after) = inner.split_once("=\"").expect("a label");
            assert!(is_name(label), "{line}");
            let mut value = String::new();
            let mut chars = after.char_indices();
            let end = loop {
                match chars.next().expect("a value ends") {
                    (at, '"') => break at + 1,
                    (_, '\\') => match chars.next().expect("an escape") {
                        (_, 'n') => value.push('\n'),
                        (_, c @ ('\\' | '"')) => value.push(c),
                        (_, c) => panic!("escape {c} in {line}"),
                    },
                    (_, c) => value.push(c),
                }
            };
            assert!(labels.insert(label.to_owned(), value).is_none(), "{line}: label twice");
            inner = &after[end..];
            match inner.strip_prefix(',') {
                Some(more) => inner = more,
                None => break,
            }
        }
        rest = inner.strip_prefix('}').expect("labels are closed");
    }
    let value = rest.strip_prefix(' ').expect("a blank before the value");
    (name.to_owned(), labels, value.parse().unwrap_or_else(|_| panic!("{line}")))
}

/// Checks a page of Prometheus's text format; its series by name and labels.
fn exposition(page: &str) -> BTreeMap<(String, LabelMap), f64> {
    assert!(page.ends_with('\n'));
    let mut series = BTreeMap::new();
    let mut seen_families = BTreeSet::new();
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        let help = line.strip_prefix("# HELP ").unwrap_or_else(|| panic!("{line}: no HELP"));
        let (family, text) = help.split_once(' ').expect("a help text");
        assert!(!text.is_empty() && family.starts_with("codis_"), "{line}");
        assert!(seen_families.insert(family.to_owned()), "{family} twice");
        let kind = lines.next().and_then(|line| line.strip_prefix("# TYPE ")).expect("a TYPE");
        let kind = kind.strip_prefix(family).expect("of the same family").trim_start();
        assert_eq!(kind == "counter", family.ends_with("_total"), "{family} is a {kind}");
        while let Some(line) = lines.next_if(|line| !line.starts_with('#')) {
            let (name, labels, value) = sample(line);
            match (kind, name.strip_prefix(family)) {
                ("counter" | "gauge", Some("")) | ("histogram", Some("_sum" | "_count")) => {}
                ("histogram", Some("_bucket")) => assert!(labels.contains_key("le"), "{line}"),
                _ => panic!("{line} in family {family}"),
            }
            assert!(series.insert((name, labels), value).is_none(), "{line}: twice");
        }
    }
    series
}

fn labels(pairs: &[(&str, &str)]) -> LabelMap {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn metrics_are_by_shard_by_command_and_by_backend() {
    let running = two_shards().start();
    let page = get(&running, "/metrics").await;
    assert!(page.head.contains("content-type: text/plain; version=0.0.4"), "{}", page.head);
    let series = exposition(&page.body);
    let value = |name: &str, pairs: &[(&str, &str)]| {
        let key = (name.to_owned(), labels(pairs));
        *series.get(&key).unwrap_or_else(|| panic!("{key:?} is not there"))
    };
    for shard in ["0", "1"] {
        assert_eq!(value("codis_shard_up", &[("shard", shard)]), 1.0);
        assert_eq!(value("codis_shard_commands_total", &[("shard", shard)]), 100.0);
        assert_eq!(value("codis_shard_cpu_user_seconds_total", &[("shard", shard)]), 1.5);
        let cut = [("shard", shard), ("reason", "output limit")];
        assert_eq!(value("codis_sessions_cut_total", &cut), 1.0);
    }
    assert_eq!(value("codis_command_calls_total", &[("command", "get")]), 200.0);
    assert_eq!(value("codis_command_calls_total", &[("command", "client|list")]), 0.0);
    let master = [("backend", "127.0.0.1:6380"), ("group", "1"), ("role", "master")];
    assert_eq!(value("codis_backend_requests_total", &master), 180.0);
    assert_eq!(value("codis_backend_ping_seconds", &master), 0.00015);
    let ready = [master.as_slice(), &[("state", "ready")]].concat();
    assert_eq!(value("codis_backend_connections", &ready), 2.0);
    assert_eq!(value("codis_slots", &[("state", "stable")]), 2.0);
    assert_eq!(value("codis_log_lines_lost_total", &[]), 3.0);
}

#[tokio::test]
async fn histograms_rise_from_bucket_to_bucket_up_to_their_count() {
    let running = two_shards().start();
    let series = exposition(&get(&running, "/metrics").await.body);
    let name = "codis_command_duration_seconds";
    let mut buckets: Vec<(f64, f64)> = Vec::new();
    for ((series_name, labels), value) in &series {
        if *series_name == format!("{name}_bucket") && labels["command"] == "get" {
            buckets.push((labels["le"].parse().expect("a bound"), *value));
        }
    }
    buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
    assert!(buckets.is_sorted_by(|one, other| one.0 < other.0 && one.1 <= other.1));
    assert_eq!(buckets.last(), Some(&(f64::INFINITY, 200.0)));
    let of_get = |suffix: &str| series[&(format!("{name}{suffix}"), labels(&[("command", "get")]))];
    assert_eq!((of_get("_count"), of_get("_sum")), (200.0, 0.02));
    let at_bound = |bound: f64| buckets.iter().find(|(le, _)| *le == bound).expect("a bucket").1;
    assert_eq!((at_bound(0.000_064), at_bound(0.000_128)), (0.0, 200.0));
}
