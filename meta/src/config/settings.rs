//! The table of settings: every key of the file with what it means and its default. The struct, its
//! defaults, `--default-config` and the JSON page all come from this one list.

use super::initial::Initial;
use crate::state::settings::Setting;
use codis_service::config::{Period, Secret};
use codis_service::settings;

/// Why the keys of the coordinator are ignored.
const COORDINATOR: &str = "ZooKeeper, etcd and the file system are no longer needed: the group's members \
                           keep the topology themselves, in data_dir";

settings! {
    /// Every setting of a member.
    #[derive(Debug, Clone, PartialEq)]
    pub struct MetaConfig / KEYS {
        /// Was the kind of the coordinator.
        (Ignored(COORDINATOR)) coordinator_name: String = String::new();
        /// Was the address of the coordinator.
        (Ignored(COORDINATOR)) coordinator_addr: String = String::new();
        /// Was the password of the coordinator.
        (Ignored(COORDINATOR)) coordinator_auth: Secret = Secret::default();

        /// The product whose topology the group holds.
        (Restart) product_name: String = "codis-demo".into();
        /// The password of the product: its Redis servers ask for it, and so does the group of its own
        /// members, of proxies and of operators. Empty for none.
        (Restart) product_auth: Secret = Secret::default();
        /// Where this member listens: host:port, for gRPC and for the HTTP pages.
        (Restart) admin_addr: String = "0.0.0.0:18080".into();
        /// Where others reach this member, where that is not admin_addr: host:port. Empty for admin_addr
        /// itself or, where that is every address of the machine, for the one of "members" or the
        /// machine's first.
        (Restart) host_admin: String = String::new();
        /// Where this member keeps its log and its snapshots. No two members may share it.
        (Restart) data_dir: String = "codis-meta-data".into();
        /// The number of this member. 0 for the one that "members" has under this member's address.
        (Restart) member_id: u32 = 0;
        /// The members that found the group, this one included, the same list on each of them:
        /// "id@host:port". Empty for a member that is a group by itself.
        (Restart) members: Vec<String> = Vec::new();

        /// How long members wait for a leader that is silent before they elect another; up to twice as
        /// long, by chance, so that they do not all stand at once.
        (Restart) election_timeout: Period = Period::from_secs(1);
        /// How often a leader says that it is there. Less than a third of election_timeout.
        (Restart) heartbeat_interval: Period = Period::from_millis(200);

        /// The certificate that this member shows, a PEM file. Empty for no TLS.
        (Restart) tls_certificate: String = String::new();
        /// The key of that certificate, a PEM file.
        (Restart) tls_key: String = String::new();
        /// The CA that the certificates of the members are checked against, a PEM file. Empty for the
        /// certificate above itself, which then is that of all members.
        (Restart) tls_ca: String = String::new();

        /// How keys move, as a new product begins: "semi-async" or "sync", taken for Codis's sake. This and
        /// all keys below are what a new product starts with; later, "codis-admin config set" changes them.
        (Restart) migration_method: Initial = Initial::of(Setting::MigrationMethod);
        /// How many slots may prepare or migrate at a time.
        (Restart) migration_parallel_slots: Initial = Initial::of(Setting::MigrationParallelSlots);
        /// The most elements of a big key that move in one step.
        (Restart) migration_async_maxbulks: Initial = Initial::of(Setting::MigrationAsyncMaxbulks);
        /// The most bytes that move in one step.
        (Restart) migration_async_maxbytes: Initial = Initial::of(Setting::MigrationAsyncMaxbytes);
        /// The most keys that move in one step.
        (Restart) migration_async_numkeys: Initial = Initial::of(Setting::MigrationAsyncNumkeys);
        /// How long one step may take.
        (Restart) migration_timeout: Initial = Initial::of(Setting::MigrationTimeout);

        /// How long a sentinel may take to answer.
        (Restart) sentinel_client_timeout: Initial = Initial::of(Setting::SentinelClientTimeout);
        /// How many sentinels must find a master down.
        (Restart) sentinel_quorum: Initial = Initial::of(Setting::SentinelQuorum);
        /// How many replicas follow a new master at a time.
        (Restart) sentinel_parallel_syncs: Initial = Initial::of(Setting::SentinelParallelSyncs);
        /// How long a server must be silent to be down.
        (Restart) sentinel_down_after: Initial = Initial::of(Setting::SentinelDownAfter);
        /// How long a failover may take.
        (Restart) sentinel_failover_timeout: Initial = Initial::of(Setting::SentinelFailoverTimeout);
        /// The sentinels' own setting, handed on.
        (Restart) sentinel_notification_script: Initial =
            Initial::of(Setting::SentinelNotificationScript);
        /// The sentinels' own setting, handed on.
        (Restart) sentinel_client_reconfig_script: Initial =
            Initial::of(Setting::SentinelClientReconfigScript);
    }
    sections {}
}
