//! Which values are impossible, alone or together.

use super::ProxyConfig;
use super::listen::Listen;
use crate::address::{check_tcp, host_port};
use crate::command::REDIS_VERSION;
use codis_meta::auth::Token;
use codis_service::config::{ByteSize, Configuration, Fault, Period};
use std::ops::RangeInclusive;
use std::time::Duration;

/// No time in the file is longer than a year; more than that is a slip of the unit.
const PERIOD_MAX: Period = Period::from_secs(365 * 24 * 3600);
/// The longest TCP keepalive that Linux takes (MAX_TCP_KEEPIDLE).
const KEEPALIVE_MAX: Period = Period::from_secs(32_767);
/// No limit in bytes is more than this; the proxy would be out of memory long before.
const SIZE_MAX: ByteSize = ByteSize(1 << 40);

impl Configuration for ProxyConfig {
    fn check(&self) -> Vec<Fault> {
        let mut found = Vec::new();
        names(self, &mut found);
        group(self, &mut found);
        numbers(self, &mut found);
        periods(self, &mut found);
        sizes(self, &mut found);
        metrics(self, &mut found);
        found
    }
}

fn fault(found: &mut Vec<Fault>, key: &'static str, what: impl Into<String>) {
    found.push(Fault::new(key, what));
}

fn names(config: &ProxyConfig, found: &mut Vec<Fault>) {
    let name = &config.product_name;
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if name.is_empty() {
        fault(found, "product_name", "is empty; a proxy belongs to a product");
    } else if !name.chars().all(allowed) {
        let what =
            format!("\"{name}\" has characters other than letters, digits, '_', '-' and '.'");
        fault(found, "product_name", what);
    }
    let version = &config.session_redis_version;
    let is_number = |part: &str| part.len() <= 9 && part.parse::<u32>().is_ok();
    if version.split('.').count() != 3 || !version.split('.').all(is_number) {
        let what =
            format!("\"{version}\" is no version: give three numbers, such as \"{REDIS_VERSION}\"");
        fault(found, "session_redis_version", what);
    }
    if let Err(what) = host_port(&config.admin_addr) {
        fault(found, "admin_addr", what);
    }
    if let Err(what) = Listen::parse(config.proto_type, &config.proxy_addr) {
        found.push(Fault { keys: vec!["proxy_addr", "proto_type"], what });
    }
}

/// What the metadata group asks for, where the proxy follows one.
fn group(config: &ProxyConfig, found: &mut Vec<Fault>) {
    for member in &config.meta_addr {
        if let Err(what) = check_tcp(member) {
            fault(found, "meta_addr", what);
        }
    }
    if !config.follows_group() {
        return;
    }
    if Token::new(config.product_auth.expose()).is_err() {
        let what =
            "has a control character, which the metadata group cannot be told; choose another";
        fault(found, "product_auth", what);
    }
    if config.data_dir.is_empty() {
        let what = "is empty; give the directory that the proxy keeps its last topology in";
        fault(found, "data_dir", what);
    } else if config.meta.embedded && config.data_dir == config.meta.member.data_dir {
        let what = "is the member's, too; the proxy and the member inside need one each";
        fault(found, "data_dir", what);
    }
}

fn numbers(config: &ProxyConfig, found: &mut Vec<Fault>) {
    let databases = usize::try_from(config.backend_number_databases).unwrap_or(usize::MAX);
    let rules: [(&str, usize, RangeInclusive<usize>); 9] = [
        ("proxy_max_clients", config.proxy_max_clients, 1..=1_000_000),
        ("backend_max_pipeline", config.backend_max_pipeline, 1..=10_000_000),
        ("backend_primary_parallel", config.backend_primary_parallel, 1..=256),
        ("backend_replica_parallel", config.backend_replica_parallel, 1..=256),
        ("backend_number_databases", databases, 1..=16_384),
        ("backend_dedicated_max", config.backend_dedicated_max, 1..=1_000_000),
        ("session_max_pipeline", config.session_max_pipeline, 1..=10_000_000),
        ("slowlog_max_len", config.slowlog_max_len, 0..=1_000_000),
        ("monitor_max_clients", config.monitor_max_clients, 0..=10_000),
    ];
    for (key, value, range) in rules {
        if !range.contains(&value) {
            let what = format!(
                "{value} is out of range: it must be between {} and {}",
                range.start(),
                range.end()
            );
            fault(found, key, what);
        }
    }
}

fn periods(config: &ProxyConfig, found: &mut Vec<Fault>) {
    const ANY: Period = Period(Duration::ZERO);
    const MILLISECOND: Period = Period::from_millis(1);
    let rules = [
        ("backend_ping_period", config.backend_ping_period, ANY),
        ("backend_recv_timeout", config.backend_recv_timeout, ANY),
        ("backend_send_timeout", config.backend_send_timeout, ANY),
        ("backend_connect_timeout", config.backend_connect_timeout, MILLISECOND),
        ("backend_reconnect_max", config.backend_reconnect_max, MILLISECOND),
        ("session_recv_timeout", config.session_recv_timeout, ANY),
        ("session_send_timeout", config.session_send_timeout, ANY),
        ("shutdown_timeout", config.shutdown_timeout, ANY),
        ("metrics_report_period", config.metrics_report_period, ANY),
        ("metrics_report_influxdb_period", config.metrics_report_influxdb_period, ANY),
        ("metrics_report_statsd_period", config.metrics_report_statsd_period, ANY),
    ];
    for (key, value, least) in rules {
        if !(least..=PERIOD_MAX).contains(&value) {
            let what = format!(
                "\"{value}\" is out of range: it must be between \"{least}\" and \"{PERIOD_MAX}\""
            );
            fault(found, key, what);
        }
    }
    for (key, value) in [
        ("backend_keepalive_period", config.backend_keepalive_period),
        ("session_keepalive_period", config.session_keepalive_period),
    ] {
        let possible = Period::from_secs(1)..=KEEPALIVE_MAX;
        if value.non_zero().is_some() && !possible.contains(&value) {
            let what = format!(
                "\"{value}\" is out of range: it must be 0, or between \"1s\" and \"{KEEPALIVE_MAX}\""
            );
            fault(found, key, what);
        }
    }
}

fn sizes(config: &ProxyConfig, found: &mut Vec<Fault>) {
    const KB: u64 = 1 << 10;
    // The last two are the least values that Redis takes for the settings of the same meaning.
    let rules = [
        ("backend_output_max", config.backend_output_max, ByteSize(16 * KB)),
        ("session_output_soft", config.session_output_soft, ByteSize(16 * KB)),
        ("session_output_hard", config.session_output_hard, ByteSize(16 * KB)),
        ("session_input_max", config.session_input_max, ByteSize(KB * KB)),
        ("proto_max_bulk", config.proto_max_bulk, ByteSize(KB * KB)),
    ];
    for (key, value, least) in rules {
        if !(least..=SIZE_MAX).contains(&value) {
            let what = format!(
                "\"{value}\" is out of range: it must be between \"{least}\" and \"{SIZE_MAX}\""
            );
            fault(found, key, what);
        }
    }
    if config.session_output_soft > config.session_output_hard {
        found.push(Fault {
            keys: vec!["session_output_soft", "session_output_hard"],
            what: format!(
                "session_output_soft \"{}\" is more than session_output_hard \"{}\"",
                config.session_output_soft, config.session_output_hard
            ),
        });
    }
}

fn metrics(config: &ProxyConfig, found: &mut Vec<Fault>) {
    for (key, server) in [
        ("metrics_report_server", &config.metrics_report_server),
        ("metrics_report_influxdb_server", &config.metrics_report_influxdb_server),
    ] {
        if let Err(what) = check_url(server) {
            fault(found, key, what);
        }
    }
    let statsd = &config.metrics_report_statsd_server;
    if let (false, Err(what)) = (statsd.is_empty(), host_port(statsd)) {
        fault(found, "metrics_report_statsd_server", what);
    }
    let influxdb = &config.metrics_report_influxdb_server;
    if !influxdb.is_empty() && config.metrics_report_influxdb_database.is_empty() {
        found.push(Fault {
            keys: vec!["metrics_report_influxdb_database", "metrics_report_influxdb_server"],
            what: "metrics_report_influxdb_server needs metrics_report_influxdb_database".into(),
        });
    }
}

/// Checks `http://host[:port][/path]`; an empty text means none.
fn check_url(url: &str) -> Result<(), String> {
    if url.is_empty() {
        return Ok(());
    }
    let Some(rest) = url.strip_prefix("http://") else {
        return Err(format!("\"{url}\" is not a URL that starts with http://"));
    };
    let authority = rest.split('/').next().unwrap_or(rest);
    if authority.is_empty() {
        return Err(format!("\"{url}\" has no host"));
    }
    let lacks_port = authority.ends_with(']') || !authority.contains(':');
    let with_port = if lacks_port { format!("{authority}:80") } else { authority.to_owned() };
    host_port(&with_port).map(|_| ())
}
