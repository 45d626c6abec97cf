use super::*;
use proptest::prelude::*;
use std::time::Duration;

/// A file with every key of Codis 3.2, with the values that its own default file has.
const CODIS_3_2: &str = r#"
# product
product_name = "codis-demo"
product_auth = ""
session_auth = ""
admin_addr = "0.0.0.0:11080"
proto_type = "tcp4"
proxy_addr = "0.0.0.0:19000"

# jodis
jodis_name = ""
jodis_addr = ""
jodis_auth = ""
jodis_timeout = "20s"
jodis_compatible = false

# proxy
proxy_datacenter = ""
proxy_max_clients = 1000
proxy_max_offheap_size = "1024mb"
proxy_heap_placeholder = "256mb"

# backends
backend_ping_period = "5s"
backend_recv_bufsize = "128kb"
backend_recv_timeout = "30s"
backend_send_bufsize = "128kb"
backend_send_timeout = "30s"
backend_max_pipeline = 20480
backend_primary_only = false
backend_primary_parallel = 1
backend_replica_parallel = 1
backend_keepalive_period = "75s"
backend_number_databases = 16

# sessions
session_recv_bufsize = "128kb"
session_recv_timeout = "30m"
session_send_bufsize = "64kb"
session_send_timeout = "30s"
session_max_pipeline = 10000
session_keepalive_period = "75s"
session_break_on_failure = false

# metrics
metrics_report_server = ""
metrics_report_period = "1s"
metrics_report_influxdb_server = ""
metrics_report_influxdb_period = "1s"
metrics_report_influxdb_username = ""
metrics_report_influxdb_password = ""
metrics_report_influxdb_database = ""
metrics_report_statsd_server = ""
metrics_report_statsd_period = "1s"
metrics_report_statsd_prefix = ""
"#;

fn config(text: &str) -> ProxyConfig {
    parse(text, "proxy.toml").expect("a good file").config
}

/// What is wrong with `text`, one line a problem.
fn wrong(text: &str) -> String {
    parse(text, "proxy.toml").expect_err("a bad file").to_string()
}

#[test]
fn codis_own_file_loads_with_one_warning_for_each_key_that_lost_its_meaning() {
    let loaded = parse(CODIS_3_2, "proxy.toml").expect("Codis's file");
    let expected = ProxyConfig { proxy_max_clients: 1000, ..ProxyConfig::default() };
    assert_eq!(loaded.config, expected);
    let jodis = "the proxy does not register in ZooKeeper or etcd; give clients the addresses of the \
                 proxies, or one address in front of them";
    let memory = "it tuned the memory of the Go runtime, and there is none here";
    let buffers = "buffers grow and shrink with what is in them, and an idle connection has none; see \
                   session_output_soft and backend_output_max for the limits";
    let warnings = [
        (11, "jodis_name", jodis),
        (12, "jodis_addr", jodis),
        (13, "jodis_auth", jodis),
        (14, "jodis_timeout", jodis),
        (15, "jodis_compatible", jodis),
        (20, "proxy_max_offheap_size", memory),
        (21, "proxy_heap_placeholder", memory),
        (25, "backend_recv_bufsize", buffers),
        (27, "backend_send_bufsize", buffers),
        (37, "session_recv_bufsize", buffers),
        (39, "session_send_bufsize", buffers),
    ]
    .map(|(line, key, why)| format!("proxy.toml:{line}: {key} is ignored: {why}"));
    assert_eq!(loaded.warnings, warnings);
}

#[test]
fn the_default_file_reads_back_to_the_defaults_without_a_warning() {
    let loaded = parse(&default_toml(), "proxy.toml").expect("the default file");
    assert_eq!(loaded.config, ProxyConfig::default());
    assert_eq!(loaded.warnings, Vec::<String>::new());
}

#[test]
fn the_default_file_sets_every_key_that_has_a_meaning_under_a_comment() {
    let text = default_toml();
    let lines: Vec<&str> = text.lines().collect();
    for key in KEYS.iter().filter(|key| !key.is_ignored()) {
        let start = format!("{} = ", key.name);
        let at = lines.iter().position(|line| line.starts_with(&start)).expect(key.name);
        assert!(lines[at - 1].starts_with("# "), "{} has no comment", key.name);
    }
    assert!(lines.iter().all(|line| line.len() <= 110), "a line is too long to read");
}

#[test]
fn an_empty_file_gives_the_defaults_and_they_are_possible() {
    assert_eq!(config(""), ProxyConfig::default());
    assert_eq!(ProxyConfig::default().faults(), Vec::<String>::new());
}

#[test]
fn the_table_and_codis_agree_on_the_defaults() {
    let shown = ProxyConfig::default().to_json();
    for (key, value) in [
        ("proxy_addr", "0.0.0.0:19000"),
        ("admin_addr", "0.0.0.0:11080"),
        ("proto_type", "tcp4"),
        ("proxy_max_offheap_size", "1gb"),
        ("session_send_bufsize", "64kb"),
        ("session_recv_timeout", "30m"),
        ("backend_keepalive_period", "75s"),
        ("jodis_timeout", "20s"),
        ("jodis_auth", ""),
    ] {
        assert_eq!(shown[key], value, "{key}");
    }
    assert_eq!(shown["proxy_max_clients"], 10_000);
    assert_eq!(shown["backend_max_pipeline"], 20_480);
    assert_eq!(shown["session_break_on_failure"], false);
}

#[test]
fn the_json_page_has_every_key_of_codis_and_no_secret() {
    let text = CODIS_3_2
        .replace("product_auth = \"\"", "product_auth = \"hunter2\"")
        .replace("session_auth = \"\"", "session_auth = \"hunter2\"")
        .replace("jodis_auth = \"\"", "jodis_auth = \"hunter2\"")
        .replace("influxdb_password = \"\"", "influxdb_password = \"hunter2\"");
    let config = config(&text);
    let shown = config.to_json();
    let secrets = ["product_auth", "session_auth", "metrics_report_influxdb_password"];
    for line in CODIS_3_2.lines() {
        let Some((key, _)) = line.split_once(" = ") else { continue };
        assert_eq!(shown.get(key).is_some(), !secrets.contains(&key), "{key}");
    }
    assert!(!shown.to_string().contains("hunter2"));
    assert!(!format!("{config:?}").contains("hunter2"));
    assert!(
        config
            .entries()
            .iter()
            .all(|(key, value)| !secrets.contains(&key.as_str()) && value != "hunter2")
    );
}

#[test]
fn the_json_page_shows_ignored_keys_as_they_were_given() {
    let shown = config("jodis_name = \"etcd\"\nbackend_recv_bufsize = 65536\n").to_json();
    assert_eq!(shown["jodis_name"], "etcd");
    assert_eq!(shown["backend_recv_bufsize"], "64kb");
}

#[test]
fn numbers_without_quotes_are_sizes_in_bytes_and_times_in_seconds() {
    let config = config(
        "session_output_hard = 0x10_0000_0000\nsession_recv_timeout = 90\n\
         backend_send_timeout = 1.5\nslowlog_log_slower_than = 10000\n",
    );
    assert_eq!(config.session_output_hard, ByteSize(1 << 36));
    assert_eq!(config.session_recv_timeout, Period::from_secs(90));
    assert_eq!(config.backend_send_timeout, Period::from_millis(1500));
    assert_eq!(config.slowlog_log_slower_than, SlowThreshold(Some(Duration::from_millis(10))));
}

#[test]
fn all_problems_of_a_file_are_reported_together_in_the_order_of_its_lines() {
    let text = "proxy_max_client = 5\n\
                session_recv_timeout = \"soon\"\n\
                \n\
                proxy_max_clients = 0\n\
                backend_primary_only = \"yes\"\n\
                proxy_addr \"0.0.0.0:1\"\n\
                [metrics]\n\
                period = 1\n";
    let expected = "\
proxy.toml:1: proxy_max_client: unknown key; the nearest known one is proxy_max_clients
proxy.toml:2: session_recv_timeout: \"soon\" is not a time; write it as \"30m\", \"75s\", \"500ms\"
proxy.toml:4: proxy_max_clients: 0 is out of range: it must be between 1 and 1000000
proxy.toml:5: backend_primary_only: wants true or false, not text in quotes
proxy.toml:6: key with no value, expected `=`
proxy.toml:7: metrics: unknown section; there is [meta], and all other keys stand in none";
    assert_eq!(wrong(text), expected);
}

#[test]
fn each_bad_value_has_its_own_message() {
    for (line, what) in [
        // Wrong types.
        ("product_name = 1", "product_name: wants text in quotes, not the number 1"),
        ("product_auth = 12345", "product_auth: wants text in quotes"),
        (
            "proxy_max_clients = \"9\"",
            "proxy_max_clients: wants a whole number, not text in quotes",
        ),
        ("proxy_max_clients = 1.5", "proxy_max_clients: wants a whole number, not the number 1.5"),
        ("session_max_pipeline = [1]", "session_max_pipeline: wants a whole number, not an array"),
        (
            "session_max_pipeline = 99999999999999999999",
            "session_max_pipeline: wants a whole number, not a number that great",
        ),
        (
            "session_break_on_failure = 1",
            "session_break_on_failure: wants true or false, not the number 1",
        ),
        (
            "session_send_timeout = true",
            "session_send_timeout: wants a time such as \"30s\", not true",
        ),
        (
            "backend_output_max = 1979-05-27",
            "backend_output_max: wants a size such as \"128kb\", not a date",
        ),
        (
            "proto_type = 4",
            "proto_type: wants one of \"tcp\", \"tcp4\", \"tcp6\", \"unix\", not the number 4",
        ),
        ("jodis_timeout = []", "jodis_timeout: wants a time such as \"30s\", not an array"),
        // Impossible values.
        (
            "proto_type = \"unixpacket\"",
            "proto_type: \"unixpacket\" is not one of \"tcp\", \"tcp4\", \"tcp6\", \"unix\"",
        ),
        ("product_name = \"\"", "product_name: is empty; a proxy belongs to a product"),
        (
            "session_redis_version = \"7.4\"",
            "session_redis_version: \"7.4\" is no version: give three numbers, such as \"7.0.15\"",
        ),
        (
            "product_name = \"a b\"",
            "product_name: \"a b\" has characters other than letters, digits, '_', '-' and '.'",
        ),
        (
            "admin_addr = \"11080\"",
            "admin_addr: \"11080\" is not an address: it wants host:port, such as 127.0.0.1:6379",
        ),
        (
            "proxy_addr = \"host:99999\"",
            "proxy_addr: \"host:99999\" is not an address: \"99999\" is not a port between 0 and 65535",
        ),
        (
            "proto_type = \"tcp6\"",
            "proto_type: \"0.0.0.0:19000\" is an IPv4 address, and proto_type \"tcp6\" wants IPv6",
        ),
        ("proxy_max_clients = -1", "proxy_max_clients: -1 is negative; it cannot be"),
        (
            "backend_number_databases = 0",
            "backend_number_databases: 0 is out of range: it must be between 1 and 16384",
        ),
        (
            "backend_primary_parallel = 0",
            "backend_primary_parallel: 0 is out of range: it must be between 1 and 256",
        ),
        (
            "backend_connect_timeout = 0",
            "backend_connect_timeout: \"0\" is out of range: it must be between \"1ms\" and \"8760h\"",
        ),
        (
            "backend_ping_period = \"9000h\"",
            "backend_ping_period: \"9000h\" is out of range: it must be between \"0\" and \"8760h\"",
        ),
        (
            "session_keepalive_period = \"1ms\"",
            "session_keepalive_period: \"1ms\" is out of range: it must be 0, or between \"1s\" and \
             \"32767s\"",
        ),
        ("session_send_timeout = -1", "session_send_timeout: \"-1\" is negative; a time cannot be"),
        (
            "proto_max_bulk = \"1kb\"",
            "proto_max_bulk: \"1kb\" is out of range: it must be between \"1mb\" and \"1tb\"",
        ),
        (
            "session_output_soft = \"2gb\"",
            "session_output_soft: session_output_soft \"2gb\" is more than session_output_hard \"1gb\"",
        ),
        (
            "session_output_hard = \"1mb\"",
            "session_output_hard: session_output_soft \"16mb\" is more than session_output_hard \"1mb\"",
        ),
        (
            "metrics_report_server = \"localhost:28000\"",
            "metrics_report_server: \"localhost:28000\" is not a URL that starts with http://",
        ),
        (
            "metrics_report_influxdb_server = \"http://localhost:8086\"",
            "metrics_report_influxdb_server: metrics_report_influxdb_server needs \
             metrics_report_influxdb_database",
        ),
        (
            "metrics_report_statsd_server = \"localhost\"",
            "metrics_report_statsd_server: \"localhost\" is not an address: it wants host:port, such as \
             127.0.0.1:6379",
        ),
        // The metadata group.
        (
            "meta_addr = \"a:1\"",
            "meta_addr: wants a list such as [\"a\", \"b\"], not text in quotes",
        ),
        (
            "meta_addr = [\"a:1\", \"/run/meta.sock\"]",
            "meta_addr: \"/run/meta.sock\" is not an address: it wants host:port, such as 127.0.0.1:6379",
        ),
        ("meta = true", "meta: is a section: write [meta], and its keys below"),
        ("[[meta]]", "meta: is a section: write [meta], and its keys below"),
        ("[meta]\nembeded = true", "meta.embeded: unknown key; the nearest known one is embedded"),
        (
            "[meta]\nproduct_name = \"x\"",
            "meta.product_name: unknown key; the nearest known one is host_admin",
        ),
        (
            "[meta]\nmembers = [\"1@a\"]",
            "meta.members: \"a\" is not an address: give host:port, such as 10.0.0.1:6379",
        ),
        (
            "[meta]\nelection_timeout = \"soon\"",
            "meta.election_timeout: \"soon\" is not a time; write it as \"30m\", \"75s\", \"500ms\"",
        ),
        // What is no TOML.
        (
            "[metrics]",
            "metrics: unknown section; there is [meta], and all other keys stand in none",
        ),
        ("product_name = \"open", "invalid basic string, expected `\"`"),
        ("slowlog_max_len = 1\nslowlog_max_len = 2", "duplicate key"),
    ] {
        let line_number = line.lines().count();
        assert_eq!(wrong(line), format!("proxy.toml:{line_number}: {what}"));
    }
}

#[test]
fn a_file_that_is_something_else_is_refused_after_its_first_lines() {
    let log = "2026-11-22 18:53:12 WARN something happened\n".repeat(100_000);
    assert_eq!(wrong(&log).lines().count(), 20);
}

#[test]
fn a_forgotten_quote_does_not_show_the_password() {
    for text in
        ["product_auth = hunter2\n", "session_auth = \"hunter2\n", "product_auth = 1234567\n"]
    {
        let message = wrong(text);
        assert!(!message.contains("hunter2") && !message.contains("1234567"), "{message}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let error = load(std::path::Path::new("/no/such/proxy.toml")).expect_err("no such file");
    assert_eq!(
        error.to_string(),
        "cannot read the configuration /no/such/proxy.toml: No such file or directory (os error 2)"
    );
}

#[test]
fn a_file_on_disk_is_read() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("proxy.toml");
    std::fs::write(&path, "slowlog_max_len = 7\n").expect("written");
    assert_eq!(load(&path).expect("a good file").config.slowlog_max_len, 7);
}

#[test]
fn keys_that_may_change_at_run_time_change_and_are_shown() {
    let mut config = ProxyConfig::default();
    for (key, value, shown) in [
        ("proxy_max_clients", "5", "5"),
        ("session_recv_timeout", "90", "90s"),
        ("session_output_soft", "1mb", "1mb"),
        ("backend_primary_only", "yes", "true"),
        ("slowlog_log_slower_than", "-1", "off"),
        ("slowlog_log_slower_than", "5000", "5ms"),
    ] {
        assert_eq!(config.set(key, value), Ok(()), "{key}");
        assert!(config.entries().contains(&(key.to_owned(), shown.to_owned())), "{key}");
    }
    assert_eq!(config.set("session_auth", "hunter2"), Ok(()));
    assert!(config.session_auth.matches(b"hunter2"));
}

#[test]
fn a_refused_change_says_why_and_changes_nothing() {
    let mut config = ProxyConfig::default();
    for (key, value, why) in [
        (
            "proxy_addr",
            "0.0.0.0:1",
            "proxy_addr cannot change while the proxy runs; set it in the configuration file and restart",
        ),
        (
            "slowlog_max_length",
            "1",
            "unknown key slowlog_max_length; the nearest known one is slowlog_max_len",
        ),
        (
            "proxy_heap_placeholder",
            "1mb",
            "proxy_heap_placeholder has no effect: it tuned the memory of the Go runtime, and there is \
             none here",
        ),
        (
            "proxy_max_clients",
            "many",
            "proxy_max_clients: wants a whole number, not text in quotes",
        ),
        (
            "proxy_max_clients",
            "0",
            "proxy_max_clients: 0 is out of range: it must be between 1 and 1000000",
        ),
        (
            "session_output_soft",
            "2gb",
            "session_output_soft: session_output_soft \"2gb\" is more than session_output_hard \"1gb\"",
        ),
    ] {
        let error = config.set(key, value).expect_err(key);
        assert_eq!(error.to_string(), why);
        assert_eq!(config, ProxyConfig::default(), "{key}");
    }
}

#[test]
fn several_keys_change_together_or_not_at_all() {
    let mut config = ProxyConfig::default();
    let both = [("session_output_soft", "2gb"), ("session_output_hard", "4gb")];
    assert_eq!(config.set_all(both), Ok(()));
    assert_eq!(config.session_output_hard, ByteSize(4 << 30));
    let before = config.clone();
    assert!(config.set_all([("slowlog_max_len", "1"), ("slowlog_max_len", "x")]).is_err());
    assert_eq!(config, before);
}

#[test]
fn a_member_inside_has_the_keys_of_meta_toml_and_the_product_of_the_proxy() {
    let config = config(
        "product_name = \"shop\"\nproduct_auth = \"hunter2\"\n\
         [meta]\nembedded = true\ndata_dir = \"/var/lib/meta\"\nadmin_addr = \"10.0.0.1:1\"\n\
         members = [\"7@10.0.0.1:1\"]\nelection_timeout = \"2s\"\nsentinel_quorum = 3\n",
    );
    let member = config.meta_config().expect("a member inside");
    assert_eq!(member.product_name, "shop");
    assert!(member.product_auth.matches(b"hunter2"));
    assert_eq!(member.data_dir, "/var/lib/meta");
    assert_eq!(member.own_member(), Ok((7, "10.0.0.1:1".into())));
    assert_eq!(member.election_timeout, Period::from_secs(2));
    assert_eq!(member.initial_settings()["sentinel_quorum"], "3");
    assert_eq!(config.data_dir, "codis-proxy-data");
    assert!(config.follows_group());
}

#[test]
fn without_a_group_there_is_no_member_and_nothing_to_follow() {
    let config = config("[meta]\nmembers = [\"7@10.0.0.1:1\"]\n");
    assert_eq!(config.meta_config(), None);
    assert!(!config.follows_group());
}

#[test]
fn what_only_a_group_asks_for_is_checked_only_with_one() {
    for (text, what) in [
        (
            "product_auth = \"a\\u0007\"\n",
            "product_auth: has a control character, which the metadata group cannot be told; choose another",
        ),
        (
            "data_dir = \"\"\n",
            "data_dir: is empty; give the directory that the proxy keeps its last topology in",
        ),
        (
            "data_dir = \"codis-meta-data\"\n",
            "data_dir: is the member's, too; the proxy and the member inside need one each",
        ),
    ] {
        config(text);
        let message = wrong(&format!("{text}[meta]\nembedded = true\n"));
        assert_eq!(message, format!("proxy.toml:1: {what}"));
    }
}

#[test]
fn keys_of_a_section_are_shown_under_its_name_and_cannot_change_at_run_time() {
    let mut config = config("meta_addr = [\"a:1\", \"b:2\"]\nmeta.members = [\"1@c:3\"]\n");
    let entries = config.entries();
    for (key, value) in [
        ("meta_addr", "a:1,b:2"),
        ("meta.embedded", "false"),
        ("meta.members", "1@c:3"),
        ("meta.data_dir", "codis-meta-data"),
        ("data_dir", "codis-proxy-data"),
    ] {
        assert!(entries.contains(&(key.into(), value.into())), "{key}");
        let error = config.set(key, "x").expect_err(key).to_string();
        assert!(error.starts_with(&format!("{key} cannot change while the proxy runs")), "{error}");
    }
    let shown = config.to_json();
    assert_eq!(shown["meta_addr"], serde_json::json!(["a:1", "b:2"]));
    assert_eq!(shown["meta"]["members"], serde_json::json!(["1@c:3"]));
    assert_eq!(shown["meta"].get("product_auth"), None);
}

#[test]
fn the_default_file_ends_with_the_section_of_the_member_inside() {
    let text = default_toml();
    let (keys, section) = text.split_once("\n[meta]\n").expect("the section");
    assert!(keys.ends_with("product_name and product_auth are the proxy's."), "{keys}");
    for line in ["embedded = false", "data_dir = \"codis-meta-data\"", "members = []"] {
        assert!(section.lines().any(|found| found == line), "{line}");
    }
    assert!(!section.contains("product_name") && !section.contains("coordinator"));
}

#[test]
fn every_key_is_on_the_page_for_operators_with_its_default_and_when_it_changes() {
    let page = include_str!("../../../docs/configuration.md");
    let defaults = ProxyConfig::default();
    let row = "| `meta.embedded` | Whether the proxy runs a member of the metadata group | `false` | restart |";
    assert!(page.lines().any(|line| line == row));
    for key in KEYS {
        let row = page.lines().find(|line| line.starts_with(&format!("| `{}` |", key.name)));
        let row =
            row.unwrap_or_else(|| panic!("docs/configuration.md has no row for {}", key.name));
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        if key.is_ignored() {
            continue;
        }
        let (_, setting) = defaults.find(key.name).expect("a row of the table");
        let value = format!("`{}`", setting.written());
        assert_eq!(cells[2], value, "the default of {}", key.name);
        let change = if key.change == Change::Live { "yes" } else { "restart" };
        assert_eq!(cells[3], change, "whether CONFIG SET changes {}", key.name);
    }
}

proptest! {
    #[test]
    fn no_file_makes_the_reader_panic(text in "([a-z_]{1,12} ?= ?[\"0-9a-z\\[{.]{0,6}\n|\\PC{0,20}\n){0,8}") {
        let _ = parse(&text, "proxy.toml");
    }

    #[test]
    fn settings_read_back_from_what_config_get_shows(
        clients in 1_usize..=1_000_000,
        seconds in 0_u64..=1_000_000,
        soft_kb in 16_u64..=1 << 20,
        slow_us in proptest::option::of(0_u64..=10_000_000),
        primary_only: bool,
    ) {
        let config = ProxyConfig {
            proxy_max_clients: clients,
            session_recv_timeout: Period::from_secs(seconds),
            session_output_soft: ByteSize(soft_kb << 10),
            slowlog_log_slower_than: SlowThreshold(slow_us.map(Duration::from_micros)),
            backend_primary_only: primary_only,
            ..ProxyConfig::default()
        };
        let mut again = ProxyConfig::default();
        let entries = config.entries();
        let live = entries.iter().filter(|(name, _)| {
            config.find(name).is_some_and(|(key, _)| key.change == Change::Live)
        });
        again.set_all(live.map(|(key, value)| (key.as_str(), value.as_str()))).expect("its own values");
        prop_assert_eq!(again, config);
    }
}
