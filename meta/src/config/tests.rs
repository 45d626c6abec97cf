use super::*;
use crate::state::settings::{SPECS, Values};
use codis_service::config::Written;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// The file that Codis's dashboard runs with.
const DASHBOARD: &str = include_str!("dashboard.toml");

fn read(text: &str) -> MetaConfig {
    parse::<MetaConfig>(text, "meta.toml").expect("a good file").config
}

/// What is wrong with `text`, one line a problem.
fn wrong(text: &str) -> String {
    parse::<MetaConfig>(text, "meta.toml").expect_err("a bad file").to_string()
}

/// The member that `text` makes of a machine with the addresses `own`.
fn member(text: &str, own: &[&str]) -> Result<(u64, String), String> {
    let own: Vec<IpAddr> = own.iter().map(|ip| ip.parse().expect("an address")).collect();
    read(text).own_member_at(&own)
}

const MACHINE: [&str; 3] = ["127.0.0.1", "10.0.0.2", "fe80::1"];
const THREE: &str =
    "members = [\"1@10.0.0.1:18080\", \"2@10.0.0.2:18080\", \"3@10.0.0.3:18080\"]\n";

#[test]
fn a_dashboards_own_file_loads_with_one_warning_for_each_key_of_the_coordinator() {
    let loaded: Loaded = parse(DASHBOARD, "dashboard.toml").expect("Codis's file");
    let why = "ZooKeeper, etcd and the file system are no longer needed: the group's members keep the \
               topology themselves, in data_dir";
    let warnings = [(4, "coordinator_name"), (5, "coordinator_addr"), (6, "coordinator_auth")]
        .map(|(line, key)| format!("dashboard.toml:{line}: {key} is ignored: {why}"));
    assert_eq!(loaded.warnings, warnings);
    assert_eq!(loaded.config.admin_addr, "0.0.0.0:18080");
    assert_eq!(loaded.config.members, Vec::<String>::new());
}

#[test]
fn a_new_product_starts_with_those_settings_of_the_file_that_differ_from_the_defaults() {
    let expected = [
        ("migration_async_maxbytes", "16mb"),
        ("migration_method", "sync"),
        ("migration_parallel_slots", "64"),
        ("migration_timeout", "45s"),
        ("sentinel_down_after", "1500ms"),
        ("sentinel_notification_script", "/etc/codis/notify.sh"),
        ("sentinel_quorum", "3"),
    ];
    let expected: BTreeMap<String, String> =
        expected.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
    assert_eq!(read(DASHBOARD).initial_settings(), expected);
    assert_eq!(MetaConfig::default().initial_settings(), BTreeMap::new());
}

#[test]
fn every_first_setting_of_the_product_reaches_it_under_its_own_name() {
    let default = MetaConfig::default();
    let named = |name: &str| default.rows().iter().any(|(key, _)| key.name == name);
    let in_file: Vec<_> = SPECS.iter().filter(|spec| named(spec.name)).collect();
    assert_eq!(in_file.len(), 13, "Codis's dashboard.toml has so many");
    for spec in in_file {
        let mut config = MetaConfig::default();
        let setting = config.setting_mut(spec.name).expect("a row of the table");
        let other = match spec.values {
            Values::Choice(words) => Written::Text(words[0].into()),
            Values::Text => Written::Text("/x".into()),
            _ => Written::Integer(7),
        };
        setting.take(&other).expect("a possible value");
        assert_eq!(config.initial_settings().into_keys().collect::<Vec<_>>(), [spec.name]);
    }
}

#[test]
fn the_default_file_reads_back_to_the_defaults_without_a_warning() {
    let text = default_toml();
    let loaded: Loaded = parse(&text, "meta.toml").expect("the default file");
    assert_eq!(loaded.config, MetaConfig::default());
    assert_eq!(loaded.warnings, Vec::<String>::new());
    assert!(text.starts_with("# codis-meta: every setting with its default.\n"));
    assert!(text.contains("\nmembers = []\n") && text.contains("\nsentinel_quorum = 2\n"));
    assert!(text.lines().all(|line| line.len() <= 110), "a line is too long to read");
}

#[test]
fn an_empty_file_gives_the_defaults_and_they_are_possible() {
    assert_eq!(read(""), MetaConfig::default());
    assert_eq!(MetaConfig::default().check(), Vec::new());
}

#[test]
fn no_password_is_shown() {
    let config = read("product_auth = \"hunter2\"\ncoordinator_auth = \"hunter2\"\n");
    assert!(!format!("{config:?}").contains("hunter2"));
    let shown = to_json(&config);
    assert!(!shown.to_string().contains("hunter2"));
    assert_eq!(shown["coordinator_auth"], "");
    assert_eq!(shown.get("product_auth"), None);
    assert_eq!(shown["migration_parallel_slots"], 1024);
}

#[test]
fn each_bad_value_has_its_own_message() {
    for (line, what) in [
        ("members = \"1@a:1\"", "members: wants a list such as [\"a\", \"b\"], not text in quotes"),
        ("members = [1]", "members: wants texts in quotes in its list, not the number 1"),
        (
            "members = [\"10.0.0.1:18080\"]",
            "members: \"10.0.0.1:18080\" is not a member: it wants id@host:port, such as 1@10.0.0.1:18080",
        ),
        (
            "members = [\"0@a:1\"]",
            "members: \"0@a:1\" is not a member: its number must be between 1 and 4294967295",
        ),
        (
            "members = [\"01@a:1\"]",
            "members: \"01@a:1\" is not a member: its number must be between 1 and 4294967295",
        ),
        (
            "members = [\"1@a\"]",
            "members: \"a\" is not an address: give host:port, such as 10.0.0.1:6379",
        ),
        (
            "members = [\"1@0.0.0.0:1\"]",
            "members: \"0.0.0.0:1\" is no address that others can connect to",
        ),
        (
            "members = [\"1@a:1\", \"1@b:1\"]",
            "members: two members have the number 1; give each its own",
        ),
        (
            "members = [\"1@a:1\", \"2@A:1\"]",
            "members: two members have the address a:1; give each its own",
        ),
        (
            "member_id = 4\nmembers = [\"1@a:1\", \"2@b:1\"]",
            "member_id: 4 is not in members; they are 1@a:1, 2@b:1: add this one, or correct its number",
        ),
        (
            "product_name = \"a b\"",
            "product_name: \"a b\" is not a product's name: give 1 to 128 letters, digits, \"_\", \"-\" or \".\"",
        ),
        (
            "product_auth = \"a\\u0007\"",
            "product_auth: has a control character, which no call can carry; choose another password",
        ),
        (
            "data_dir = \"\"",
            "data_dir: is empty; give the directory that this member keeps its log in",
        ),
        (
            "admin_addr = \"18080\"",
            "admin_addr: \"18080\" is not an address: it wants host:port, such as 127.0.0.1:6379",
        ),
        (
            "admin_addr = \"a:0\"",
            "admin_addr: \"a:0\" has port 0; others must know the port, so give one",
        ),
        (
            "host_admin = \"[::]:1\"",
            "host_admin: \"[::]:1\" is no address that others can connect to",
        ),
        (
            "election_timeout = \"10ms\"",
            "election_timeout: \"10ms\" is out of range: it must be between \"100ms\" and \"1m\"",
        ),
        (
            "heartbeat_interval = \"1ms\"",
            "heartbeat_interval: \"1ms\" is too short: it must be at least \"10ms\"",
        ),
        (
            "election_timeout = \"600ms\"",
            "election_timeout: \"200ms\" is not less than a third of election_timeout \"600ms\": one that is \
             late would start an election",
        ),
        (
            "tls_certificate = \"a.pem\"",
            "tls_certificate: tls_certificate needs tls_key with it: both PEM files, or neither",
        ),
        (
            "tls_key = \"a.pem\"",
            "tls_key: tls_key needs tls_certificate with it: both PEM files, or neither",
        ),
        (
            "tls_ca = \"a.pem\"",
            "tls_ca: tls_ca needs tls_certificate with it: both PEM files, or neither",
        ),
        (
            "sentinel_quorum = \"two\"",
            "sentinel_quorum: wants a whole number from 1 to 1000, not text in quotes",
        ),
        (
            "sentinel_quorum = 0",
            "sentinel_quorum: 0 is not possible: it must be a whole number from 1 to 1000",
        ),
        (
            "migration_method = \"async\"",
            "migration_method: \"async\" is not possible: it must be sync or semi-async",
        ),
        (
            "migration_timeout = \"2h\"",
            "migration_timeout: \"2h\" is not possible: it must be a time from 1ms to 1h",
        ),
        (
            "migration_async_maxbytes = \"big\"",
            "migration_async_maxbytes: \"big\" is not a size; write it as \"128kb\", \"64mb\", \"1gb\"",
        ),
        ("member = 1", "member: unknown key; the nearest known one is members"),
        ("[meta]", "meta: unknown section; the keys of this file stand in none"),
    ] {
        // Where two keys do not go together, the first one's line is named.
        let number = if what.starts_with("member_id") { 1 } else { line.lines().count() };
        assert_eq!(wrong(line), format!("meta.toml:{number}: {what}"));
    }
}

#[test]
fn times_are_counted_in_ticks_of_half_a_heartbeat() {
    let ticks = MetaConfig::default().ticks();
    assert_eq!(ticks, Ticks { tick: Duration::from_millis(100), election: 10, heartbeat: 2 });
    let ticks = read("election_timeout = \"250ms\"\nheartbeat_interval = \"60ms\"\n").ticks();
    assert_eq!(ticks, Ticks { tick: Duration::from_millis(30), election: 9, heartbeat: 2 });
}

#[test]
fn a_member_alone_is_number_one_under_the_first_address_that_others_can_use() {
    let (own, none) = (&MACHINE, &["127.0.0.1", "169.254.1.1"]);
    assert_eq!(member("", own), Ok((1, "10.0.0.2:18080".into())));
    assert_eq!(member("admin_addr = \":7\"", own), Ok((1, "10.0.0.2:7".into())));
    assert_eq!(member("", none), Ok((1, "127.0.0.1:18080".into())));
    assert_eq!(
        member("admin_addr = \"[::]:7\"", &["::1", "fe80::1", "fd00::2"]),
        Ok((1, "[fd00::2]:7".into()))
    );
    assert_eq!(member("admin_addr = \"Meta-1:7\"", own), Ok((1, "meta-1:7".into())));
    assert_eq!(member("host_admin = \"nat:9\"\nmember_id = 5", own), Ok((5, "nat:9".into())));
}

#[test]
fn a_member_finds_itself_in_the_list_by_number_or_by_address() {
    let own = &MACHINE;
    let three = |first: &str| member(&format!("{first}\n{THREE}"), own);
    assert_eq!(three(""), Ok((2, "10.0.0.2:18080".into())));
    assert_eq!(three("member_id = 3"), Ok((3, "10.0.0.3:18080".into())));
    assert_eq!(three("admin_addr = \"10.0.0.1:18080\""), Ok((1, "10.0.0.1:18080".into())));
    assert_eq!(three("host_admin = \"10.0.0.3:18080\""), Ok((3, "10.0.0.3:18080".into())));
}

#[test]
fn a_member_that_cannot_tell_which_it_is_says_what_to_set() {
    assert_eq!(
        member(&format!("admin_addr = \"0.0.0.0:7\"\n{THREE}"), &MACHINE),
        Err("none of members is this one: none is 0.0.0.0:7, and none has port 7 and an address of this \
             machine; they are 1@10.0.0.1:18080, 2@10.0.0.2:18080, 3@10.0.0.3:18080. Add this member, or set \
             member_id"
            .into())
    );
    let both = "members = [\"1@10.0.0.2:18080\", \"2@127.0.0.1:18080\"]";
    assert_eq!(
        member(both, &MACHINE),
        Err("more than one of members could be this one, by their port 18080 and the addresses of this \
             machine; they are 1@10.0.0.2:18080, 2@127.0.0.1:18080. Set member_id"
            .into())
    );
}

#[test]
fn this_machine_has_an_address_for_a_member_alone() {
    let (id, address) = MetaConfig::default().own_member().expect("a member");
    assert_eq!(id, 1);
    assert!(address.ends_with(":18080") && !address.starts_with("0.0.0.0"), "{address}");
}

#[test]
fn founding_members_have_one_spelling_whatever_the_order_of_the_list() {
    let one = read("members = [\"2@B.Example:2\", \"1@[0::1]:1\"]").founding_members();
    let other = read("members = [\"1@[::1]:1\", \"2@b.example:2\"]").founding_members();
    assert_eq!(one, other);
    assert_eq!(one[&2], "b.example:2");
    assert!(MetaConfig::default().founding_members().is_empty());
}

#[test]
fn an_address_without_a_host_is_listened_on_everywhere() {
    assert_eq!(read("admin_addr = \":7\"").listen_addr(), "0.0.0.0:7");
    assert_eq!(read("admin_addr = \"[::1]:7\"").listen_addr(), "[::1]:7");
}

#[test]
fn every_key_is_on_the_page_for_operators_with_its_default() {
    let page = include_str!("../../../docs/meta-configuration.md");
    let defaults = MetaConfig::default();
    for (key, setting) in defaults.rows() {
        let start = format!("| `{}` |", key.name);
        let row = page.lines().find(|line| line.starts_with(&start));
        let row =
            row.unwrap_or_else(|| panic!("docs/meta-configuration.md has no row for {}", key.name));
        if key.is_ignored() {
            continue;
        }
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        assert_eq!(cells[2], format!("`{}`", setting.written()), "the default of {}", key.name);
    }
}
