//! What a server says of itself by INFO.

use std::collections::BTreeMap;

use codis_proto::admin::v1::ServerFacts;

use crate::node::unix_ms;

/// Reads the text of INFO. What is missing stays empty, as older servers say less.
pub(super) fn parse(text: &str) -> ServerFacts {
    let fields = text.lines().filter(|line| !line.starts_with('#'));
    let fields = fields.filter_map(|line| line.trim_end().split_once(':'));
    let info: BTreeMap<String, String> =
        fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let text = |name: &str| info.get(name).map_or("", String::as_str);
    let number = |name: &str| text(name).parse::<u64>().unwrap_or(0);
    let role = text("role").to_owned();
    let follows = role == "slave";
    let offset = if follows { "slave_repl_offset" } else { "master_repl_offset" };
    ServerFacts {
        unix_ms: unix_ms(),
        error: String::new(),
        version: version(&info).to_owned(),
        master_addr: if follows {
            address(text("master_host"), text("master_port"))
        } else {
            String::new()
        },
        master_link_up: follows && text("master_link_status") == "up",
        replication_offset: number(offset),
        sync_in_progress: follows && text("master_sync_in_progress") == "1",
        sync_total_bytes: number("master_sync_total_bytes"),
        // -1 before the server knows how much there is to come.
        sync_left_bytes: number("master_sync_left_bytes"),
        used_memory_bytes: number("used_memory"),
        max_memory_bytes: number("maxmemory"),
        keys: info.iter().filter_map(|(name, value)| keys_of(name, value)).sum(),
        role,
        info,
    }
}

/// Valkey tells a Redis version for the sake of old clients, and its own beside it.
fn version(info: &BTreeMap<String, String>) -> &str {
    let own = info.get("valkey_version").or_else(|| info.get("redis_version"));
    own.map_or("", String::as_str)
}

/// `host:port` as this product spells addresses.
fn address(host: &str, port: &str) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// The count in a line such as `db0:keys=2,expires=0,avg_ttl=0`.
fn keys_of(name: &str, value: &str) -> Option<u64> {
    name.strip_prefix("db")?.parse::<u32>().ok()?;
    value.split(',').find_map(|part| part.strip_prefix("keys=")?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_replica_that_is_filled_tells_its_master_and_its_progress() {
        let facts = parse(
            "# Server\r\nredis_version:7.0.15\r\n\r\n# Replication\r\nrole:slave\r\nmaster_host:::1\r\n\
             master_port:6379\r\nmaster_link_status:down\r\nmaster_sync_in_progress:1\r\n\
             slave_repl_offset:77\r\nmaster_sync_total_bytes:100\r\nmaster_sync_left_bytes:40\r\n",
        );
        assert_eq!((facts.role.as_str(), facts.version.as_str()), ("slave", "7.0.15"));
        assert_eq!(facts.master_addr, "[::1]:6379");
        assert!(!facts.master_link_up && facts.sync_in_progress);
        let numbers = (facts.sync_total_bytes, facts.sync_left_bytes, facts.replication_offset);
        assert_eq!(numbers, (100, 40, 77));
    }

    #[test]
    fn a_master_tells_its_keys_in_all_databases_and_follows_no_one() {
        let facts = parse(
            "role:master\r\nmaster_repl_offset:9\r\nused_memory:5\r\nmaxmemory:8\r\ndbsize:3\r\n\
             db0:keys=2,expires=0,avg_ttl=0\r\ndb11:keys=40,expires=1,avg_ttl=0\r\n",
        );
        assert_eq!((facts.keys, facts.replication_offset), (42, 9));
        assert_eq!((facts.used_memory_bytes, facts.max_memory_bytes), (5, 8));
        assert_eq!(facts.master_addr, "");
        assert!(!facts.master_link_up);
    }

    #[test]
    fn valkeys_own_version_counts() {
        assert_eq!(parse("redis_version:7.2.4\r\nvalkey_version:8.0.1\r\n").version, "8.0.1");
    }
}
