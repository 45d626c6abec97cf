//! Replies, against what Redis 7.0 says to the same requests.

use super::super::testing::{Fixture, Manner, Seen, fixture};
use super::answer;
use crate::messages::Question;
use crate::resp::Protocol;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

fn args(request: &str) -> Vec<Vec<u8>> {
    request.split(' ').map(|arg| arg.as_bytes().to_vec()).collect()
}

/// The reply to `request` of client 1, with two shards.
async fn reply(question: Question, request: &str) -> String {
    reply_of(fixture(&[Manner::Answers, Manner::Answers]), question, request).await
}

async fn reply_of(fixture: Fixture, question: Question, request: &str) -> String {
    let (state, _seen) = fixture.state();
    let reply = answer(&state, question, &args(request), 1, Protocol::Resp2).await;
    String::from_utf8(reply).expect("replies in tests are text")
}

/// The text of a bulk string.
fn bulk(reply: &str) -> &str {
    let (head, rest) = reply.strip_prefix('$').and_then(|r| r.split_once("\r\n")).expect("a bulk");
    let len: usize = head.parse().expect("a length");
    assert_eq!(&rest[len..], "\r\n");
    &rest[..len]
}

/// The fields of INFO by section.
fn sections(reply: &str) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut sections = BTreeMap::new();
    for section in bulk(reply).split("\r\n\r\n") {
        let mut lines = section.trim_end().split("\r\n");
        let name = lines.next().and_then(|line| line.strip_prefix("# ")).expect("a head");
        let field = |line: &str| {
            let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("{line}"));
            (name.to_owned(), value.to_owned())
        };
        sections.insert(name.to_owned(), lines.map(field).collect());
    }
    sections
}

#[tokio::test(start_paused = true)]
async fn info_has_the_sections_of_redis_and_our_own() {
    let sections = sections(&reply(Question::Info, "INFO").await);
    let names: Vec<&str> = sections.keys().map(String::as_str).collect();
    for name in ["Server", "Clients", "Memory", "Stats", "CPU", "Keyspace", "Proxy", "Backends"] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    assert!(!names.contains(&"Commandstats"), "only when asked for");
    let server = &sections["Server"];
    assert_eq!(server["redis_version"], "7.0.15");
    assert_eq!(server["redis_mode"], "standalone");
    assert_eq!(server["tcp_port"], "19000");
    assert_eq!(server["process_id"], std::process::id().to_string());
    assert_eq!(server["run_id"].len(), 40);
    assert_eq!(sections["Clients"]["connected_clients"], "10");
    assert_eq!(sections["Clients"]["maxclients"], "10000");
    let stats = &sections["Stats"];
    assert_eq!(stats["total_connections_received"], "20");
    assert_eq!(stats["total_commands_processed"], "200");
    assert_eq!(stats["total_net_input_bytes"], "10000");
    assert_eq!(stats["rejected_connections"], "14");
    assert_eq!(stats["total_error_replies"], "12");
    assert_ne!(sections["Memory"]["used_memory"], "0");
    assert_eq!(sections["Errorstats"]["errorstat_LOADING"], "count=4");
    assert_eq!(sections["Proxy"]["topology_epoch"], "1");
    assert_eq!(sections["Proxy"]["slots_stable"], "2");
    assert!(sections["Proxy"]["shard1"].starts_with("core=3,epoch=1,sessions=5,"));
    assert!(
        sections["Backends"]["backend0"].starts_with("addr=127.0.0.1:6380,group=1,role=master,")
    );
    assert!(sections["Keyspace"].is_empty());
}

#[tokio::test(start_paused = true)]
async fn info_shows_commands_and_their_percentiles_when_asked() {
    let sections = sections(&reply(Question::Info, "INFO commandstats Latencystats").await);
    assert_eq!(sections.len(), 2);
    assert_eq!(
        sections["Commandstats"]["cmdstat_get"],
        "calls=200,usec=20000,usec_per_call=100.00,rejected_calls=2,failed_calls=10"
    );
    assert!(sections["Commandstats"].contains_key("cmdstat_client|list"));
    let get = &sections["Latencystats"]["latency_percentiles_usec_get"];
    let percentiles: Vec<f64> = get
        .split(',')
        .map(|pair| pair.split_once('=').expect("a pair").1.parse().expect("a number"))
        .collect();
    assert!(percentiles.iter().all(|us| (64.0..=128.0).contains(us)), "{get}");
    assert_eq!(percentiles.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_section_that_there_is_not_gives_an_empty_reply() {
    assert_eq!(reply(Question::Info, "INFO nothing").await, "$0\r\n\r\n");
}

#[tokio::test(start_paused = true)]
async fn clients_of_all_shards_are_listed_by_id() {
    let ids = |reply: &str| -> Vec<String> {
        let lines = bulk(reply).lines();
        lines.map(|line| line.split(' ').next().expect("a field").to_owned()).collect()
    };
    let all = reply(Question::ClientList, "CLIENT LIST").await;
    assert_eq!(ids(&all), ["id=1", "id=2", "id=3", "id=4"]);
    assert_eq!(reply(Question::ClientList, "client list type NORMAL").await, all);
    assert_eq!(reply(Question::ClientList, "CLIENT LIST TYPE pubsub").await, "$0\r\n\r\n");
    let some = reply(Question::ClientList, "CLIENT LIST ID 4 99 2").await;
    assert_eq!(ids(&some), ["id=4", "id=2"]);
}

#[tokio::test(start_paused = true)]
async fn client_list_refuses_in_the_words_of_redis() {
    for (request, error) in [
        ("CLIENT LIST TYPE foo", "-ERR Unknown client type 'foo'\r\n"),
        ("CLIENT LIST ID a", "-ERR Invalid client ID\r\n"),
        ("CLIENT LIST ID", "-ERR syntax error\r\n"),
        ("CLIENT LIST FOO x", "-ERR syntax error\r\n"),
    ] {
        assert_eq!(reply(Question::ClientList, request).await, error, "{request}");
    }
}

#[tokio::test(start_paused = true)]
async fn client_kill_answers_in_the_words_of_redis() {
    for (request, expected) in [
        ("CLIENT KILL 127.0.0.1:5002", "+OK\r\n"),
        ("CLIENT KILL 127.0.0.1:5001", "+OK\r\n"),
        ("CLIENT KILL 1.2.3.4:5", "-ERR No such client\r\n"),
        ("CLIENT KILL ID 2", ":1\r\n"),
        ("CLIENT KILL ID 99", ":0\r\n"),
        ("CLIENT KILL ID 1", ":0\r\n"),
        ("CLIENT KILL ID 1 SKIPME no", ":1\r\n"),
        ("CLIENT KILL LADDR 127.0.0.1:19000", ":3\r\n"),
        ("CLIENT KILL LADDR 127.0.0.1:19000 SKIPME NO", ":4\r\n"),
        ("CLIENT KILL TYPE normal", ":3\r\n"),
        ("CLIENT KILL TYPE pubsub", ":0\r\n"),
        ("CLIENT KILL TYPE pubsub SKIPME no", ":0\r\n"),
        ("CLIENT KILL USER default MAXAGE 30", ":2\r\n"),
        ("CLIENT KILL ADDR 127.0.0.1:5003 ID 3", ":1\r\n"),
        ("CLIENT KILL ADDR 127.0.0.1:5003 ID 4", ":0\r\n"),
        ("CLIENT KILL ID 0", "-ERR client-id should be greater than 0\r\n"),
        ("CLIENT KILL ID x", "-ERR client-id should be greater than 0\r\n"),
        ("CLIENT KILL TYPE foo", "-ERR Unknown client type 'foo'\r\n"),
        ("CLIENT KILL USER bob", "-ERR No such user 'bob'\r\n"),
        ("CLIENT KILL SKIPME maybe", "-ERR syntax error\r\n"),
        ("CLIENT KILL FOO bar", "-ERR syntax error\r\n"),
        ("CLIENT KILL ID 5 ADDR", "-ERR syntax error\r\n"),
        ("CLIENT KILL MAXAGE x", "-ERR maxage is not an integer or out of range\r\n"),
        ("CLIENT KILL MAXAGE 0", "-ERR maxage should be greater than 0\r\n"),
    ] {
        assert_eq!(reply(Question::ClientKill, request).await, expected, "{request}");
    }
}

#[tokio::test(start_paused = true)]
async fn config_get_matches_patterns_over_our_names_and_those_of_redis() {
    let pairs = |reply: &str| -> Vec<String> {
        let bulks = reply.split("\r\n").skip(1).collect::<Vec<_>>();
        bulks.chunks(4).filter(|c| c.len() == 4).map(|c| format!("{}={}", c[1], c[3])).collect()
    };
    let get = |request: &'static str| async move {
        let reply = reply(Question::ConfigGet, request).await;
        (reply.split("\r\n").next().map(str::to_owned), pairs(&reply))
    };
    let (head, both) = get("CONFIG GET save appendonly SAVE").await;
    assert_eq!(head.as_deref(), Some("*4"));
    assert_eq!(both, ["appendonly=no", "save="]);
    assert_eq!(get("CONFIG GET MaxClients").await.1, ["maxclients=10000"]);
    assert_eq!(
        get("CONFIG GET slowlog*").await.1,
        [
            "slowlog-log-slower-than=10000",
            "slowlog-max-len=128",
            "slowlog_log_slower_than=10ms",
            "slowlog_max_len=128"
        ]
    );
    assert_eq!(get("CONFIG GET timeout databases").await.1, ["databases=16", "timeout=1800"]);
    assert_eq!(get("CONFIG GET nothing").await, (Some("*0".into()), Vec::new()));
    let all = get("CONFIG GET *").await.1.join("\n");
    assert!(all.contains("product_name=codis-demo"));
    assert!(!all.contains("pw-of-the-product"), "secrets are not shown");
}

#[tokio::test(start_paused = true)]
async fn config_set_changes_all_of_its_settings_here_and_on_every_shard() {
    let (state, mut seen) = fixture(&[Manner::Answers, Manner::Answers]).state();
    let request = args("CONFIG SET maxclients 50 TIMEOUT 60 slowlog_max_len 7 save");
    let request = [request, vec![Vec::new()]].concat();
    let answer = answer(&state, Question::ConfigSet, &request, 1, Protocol::Resp2).await;
    assert_eq!(answer, b"+OK\r\n");
    let config = state.config();
    assert_eq!((config.proxy_max_clients, config.slowlog_max_len), (50, 7));
    assert_eq!(config.session_recv_timeout.0.as_secs(), 60);
    for shard in 0..2 {
        let settings = Seen::Settings(std::sync::Arc::clone(&config));
        assert_eq!(seen.recv().await, Some((shard, settings)));
    }
}

#[tokio::test(start_paused = true)]
async fn config_set_changes_nothing_when_one_setting_is_wrong() {
    for (request, error) in [
        (
            "CONFIG SET maxclients 50 foo 1",
            "-ERR Unknown option or number of arguments for CONFIG SET - 'foo'\r\n",
        ),
        (
            "CONFIG SET maxclients 50 maxclients 60",
            "-ERR CONFIG SET failed (possibly related to argument 'maxclients') - duplicate \
             parameter\r\n",
        ),
        (
            "CONFIG SET maxclients 50 proxy_max_clients 60",
            "-ERR CONFIG SET failed (possibly related to argument 'proxy_max_clients') - \
             duplicate parameter\r\n",
        ),
        (
            "CONFIG SET maxclients 50 databases 4",
            "-ERR CONFIG SET failed (possibly related to argument 'databases') - can't set \
             immutable config\r\n",
        ),
        (
            "CONFIG SET maxclients 50 product_name x",
            "-ERR CONFIG SET failed (possibly related to argument 'product_name') - can't set \
             immutable config\r\n",
        ),
        ("CONFIG SET maxclients 50 timeout", "-ERR syntax error\r\n"),
    ] {
        let (state, mut seen) = fixture(&[Manner::Answers]).state();
        let answer = answer(&state, Question::ConfigSet, &args(request), 1, Protocol::Resp2).await;
        assert_eq!(String::from_utf8_lossy(&answer), error, "{request}");
        assert_eq!(state.config().proxy_max_clients, 10_000, "{request}");
        assert!(seen.try_recv().is_err(), "{request}: a shard was told");
    }
}

#[tokio::test(start_paused = true)]
async fn config_set_names_a_setting_with_a_wrong_value_as_the_client_did() {
    for value in ["abc", "-1", ""] {
        let fixture = fixture(&[Manner::Answers]);
        let request = format!("CONFIG SET Timeout {value}");
        let error = reply_of(fixture, Question::ConfigSet, &request).await;
        let start = "-ERR CONFIG SET failed (possibly related to argument 'Timeout') - ";
        assert!(error.starts_with(start), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn resetstat_reaches_every_shard() {
    let (state, mut seen) = fixture(&[Manner::Answers, Manner::Answers]).state();
    let request = args("CONFIG RESETSTAT");
    assert_eq!(
        answer(&state, Question::ConfigResetStat, &request, 1, Protocol::Resp2).await,
        b"+OK\r\n"
    );
    assert_eq!(seen.recv().await, Some((0, Seen::StatsReset)));
    assert_eq!(seen.recv().await, Some((1, Seen::StatsReset)));
}

#[tokio::test(start_paused = true)]
async fn slow_logs_are_merged_newest_first_with_ids_that_are_unique() {
    let newest = reply(Question::SlowlogGet, "SLOWLOG GET 1").await;
    assert_eq!(
        newest,
        "*1\r\n*6\r\n:3\r\n:1000011\r\n:20000\r\n*2\r\n$3\r\nget\r\n$5\r\nkey11\r\n\
         $11\r\n127.0.0.1:5\r\n$1\r\nn\r\n"
    );
    let all = reply(Question::SlowlogGet, "SLOWLOG GET -1").await;
    let keys: Vec<&str> = all.split("\r\n").filter(|line| line.starts_with("key")).collect();
    assert_eq!(keys, ["key11", "key01", "key10", "key00"]);
    let id = |at: usize| all.split("*6\r\n:").nth(at).and_then(|entry| entry.split("\r\n").next());
    assert_eq!([1, 2, 3, 4].map(id), [Some("3"), Some("2"), Some("1"), Some("0")]);
    assert_eq!(reply(Question::SlowlogGet, "SLOWLOG GET").await, all);
    assert_eq!(reply(Question::SlowlogGet, "SLOWLOG GET 0").await, "*0\r\n");
    assert_eq!(reply(Question::SlowlogLen, "SLOWLOG LEN").await, ":4\r\n");
}

#[tokio::test(start_paused = true)]
async fn slowlog_get_refuses_a_count_as_redis_does() {
    for request in ["SLOWLOG GET -5", "SLOWLOG GET abc", "SLOWLOG GET 1.5"] {
        assert_eq!(
            reply(Question::SlowlogGet, request).await,
            "-ERR count should be greater than or equal to -1\r\n"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn slowlog_reset_reaches_every_shard() {
    let (state, mut seen) = fixture(&[Manner::Answers, Manner::Answers]).state();
    let request = args("SLOWLOG RESET");
    assert_eq!(
        answer(&state, Question::SlowlogReset, &request, 1, Protocol::Resp2).await,
        b"+OK\r\n"
    );
    assert_eq!(seen.recv().await, Some((0, Seen::SlowlogReset)));
    assert_eq!(seen.recv().await, Some((1, Seen::SlowlogReset)));
}

#[tokio::test(start_paused = true)]
async fn each_question_asks_each_shard_once() {
    let fixture = fixture(&[Manner::Answers]);
    let asked = std::sync::Arc::clone(&fixture.stats_asked);
    reply_of(fixture, Question::Info, "INFO all").await;
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}
