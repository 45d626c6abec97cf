//! The shapes of Codis's JSON, made of what this group knows.
//!
//! The structs are the reference: their fields are Codis's keys in its order. What Codis left out when it was
//! empty is left out here too.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use codis_proto::admin::v1 as api;
use codis_proto::meta::v1 as pb;
use pb::{promotion, slot_action};
use serde::Serialize;
use serde_json::value::RawValue;
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use crate::server::serving::About;
use crate::state::settings::{self, Setting};

/// `/topom`
#[derive(Serialize)]
pub(super) struct Overview {
    version: &'static str,
    compile: String,
    config: Config,
    model: Model,
    stats: Stats,
}

impl Overview {
    pub(super) fn new(config: Config, model: Model, stats: Stats) -> Self {
        let compile = format!("rust, {}-{}", std::env::consts::OS, std::env::consts::ARCH);
        Self { version: env!("CARGO_PKG_VERSION"), compile, config, model, stats }
    }
}

#[derive(Serialize)]
pub(super) struct Config {
    coordinator_name: &'static str,
    coordinator_addr: String,
    coordinator_auth: &'static str,
    admin_addr: String,
    product_name: String,
    migration_method: String,
    migration_parallel_slots: u64,
    migration_async_maxbulks: u64,
    migration_async_maxbytes: String,
    migration_async_numkeys: u64,
    migration_timeout: String,
    sentinel_client_timeout: String,
    sentinel_quorum: u64,
    sentinel_parallel_syncs: u64,
    sentinel_down_after: String,
    sentinel_failover_timeout: String,
    sentinel_notification_script: String,
    sentinel_client_reconfig_script: String,
}

impl Config {
    /// `state` need hold no more than the settings.
    pub(super) fn of(about: &About, state: &pb::State) -> Self {
        let text = |setting| settings::text(state, setting).to_owned();
        let number = |setting| settings::number(state, setting);
        Self {
            // Where Codis named its ZooKeeper: the group keeps its own log.
            coordinator_name: "raft",
            coordinator_addr: about.data_dir.clone(),
            coordinator_auth: "",
            admin_addr: about.admin_addr.clone(),
            product_name: about.product.clone(),
            migration_method: text(Setting::MigrationMethod),
            migration_parallel_slots: number(Setting::MigrationParallelSlots),
            migration_async_maxbulks: number(Setting::MigrationAsyncMaxbulks),
            migration_async_maxbytes: text(Setting::MigrationAsyncMaxbytes),
            migration_async_numkeys: number(Setting::MigrationAsyncNumkeys),
            migration_timeout: text(Setting::MigrationTimeout),
            sentinel_client_timeout: text(Setting::SentinelClientTimeout),
            sentinel_quorum: number(Setting::SentinelQuorum),
            sentinel_parallel_syncs: number(Setting::SentinelParallelSyncs),
            sentinel_down_after: text(Setting::SentinelDownAfter),
            sentinel_failover_timeout: text(Setting::SentinelFailoverTimeout),
            sentinel_notification_script: text(Setting::SentinelNotificationScript),
            sentinel_client_reconfig_script: text(Setting::SentinelClientReconfigScript),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Model {
    token: String,
    start_time: String,
    admin_addr: String,
    product_name: String,
    pid: u32,
    pwd: String,
    sys: String,
}

impl Model {
    /// The member `id` as what Codis called a dashboard.
    pub(super) fn of(about: &About, id: u64, cluster: u64) -> Self {
        let uname = rustix::system::uname();
        let parts =
            [uname.sysname(), uname.nodename(), uname.release(), uname.version(), uname.machine()];
        let pwd = std::env::current_dir().map(|path| path.display().to_string());
        Self {
            token: format!("{cluster:016x}{id:016x}"),
            start_time: time_text(about.started),
            admin_addr: about.admin_addr.clone(),
            product_name: about.product.clone(),
            pid: std::process::id(),
            pwd: pwd.unwrap_or_default(),
            sys: parts.map(std::ffi::CStr::to_string_lossy).join(" "),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Stats {
    closed: bool,
    slots: Vec<Slot>,
    group: Groups,
    proxy: Proxies,
    slot_action: SlotAction,
    sentinels: Sentinels,
}

impl Stats {
    /// `state` need hold no more than the settings.
    pub(super) fn of(status: &api::Status, state: &pb::State) -> Self {
        let none = Vec::new();
        let groups = status.groups.as_ref().map_or(&[][..], |groups| &groups.groups);
        let proxies = status.proxies.as_ref().map_or(&[][..], |proxies| &proxies.proxies);
        let slots = status.slots.as_ref().map_or(&none, |slots| &slots.slots);
        Self {
            closed: false,
            slots: (0..).zip(slots).map(|(id, slot)| Slot::of(id, slot)).collect(),
            group: Groups::of(groups),
            proxy: Proxies::of(&status.product, proxies),
            slot_action: SlotAction::of(slots, state, status.moves.as_ref()),
            sentinels: Sentinels::of(&status.sentinels),
        }
    }
}

/// A move or a change that is under way; `{}` for none.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Action {
    #[serde(skip_serializing_if = "is_zero")]
    index: u64,
    #[serde(skip_serializing_if = "str::is_empty")]
    state: &'static str,
    #[serde(skip_serializing_if = "is_zero_u32")]
    target_id: u32,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

pub(super) fn is_zero_u32(number: &u32) -> bool {
    *number == 0
}

#[derive(Serialize)]
struct Slot {
    id: u32,
    group_id: u32,
    action: Action,
}

impl Slot {
    fn of(id: u32, slot: &pb::Slot) -> Self {
        let phase = slot.action.as_ref().and_then(|action| Some((action, action.phase.as_ref()?)));
        let action = phase.map(|(action, phase)| {
            let state = match phase {
                slot_action::Phase::Pending(_) => "pending",
                slot_action::Phase::Preparing(_) => "preparing",
                slot_action::Phase::Migrating(_) => "migrating",
            };
            Action { index: action.order, state, target_id: action.target }
        });
        Self { id, group_id: slot.group, action: action.unwrap_or_default() }
    }
}

#[derive(Serialize)]
struct Groups {
    models: Vec<Group>,
    stats: BTreeMap<String, ServerStats>,
}

impl Groups {
    fn of(groups: &[api::Group]) -> Self {
        let servers = groups.iter().flat_map(|group| &group.servers);
        let stats = servers.filter_map(|server| {
            Some((server.addr.clone(), ServerStats::of(server.facts.as_ref()?)))
        });
        Self { stats: stats.collect(), models: groups.iter().map(Group::of).collect() }
    }
}

#[derive(Serialize)]
struct Group {
    id: u32,
    servers: Vec<Server>,
    promoting: Action,
    out_of_sync: bool,
}

impl Group {
    fn of(group: &api::Group) -> Self {
        let promoting = group.promotion.as_ref().and_then(|promotion| {
            let state = match promotion.phase.as_ref()? {
                promotion::Phase::Preparing(_) => "preparing",
                promotion::Phase::Prepared(_) => "prepared",
                promotion::Phase::Finished(_) => "finished",
            };
            let target = |server: &api::Server| server.addr == promotion.target;
            let index = group.servers.iter().position(target).unwrap_or(0) as u64;
            Some(Action { index, state, target_id: 0 })
        });
        Self {
            id: group.gid,
            servers: group.servers.iter().map(Server::of).collect(),
            promoting: promoting.unwrap_or_default(),
            out_of_sync: group.out_of_sync,
        }
    }
}

#[derive(Serialize)]
struct Server {
    server: String,
    datacenter: String,
    action: Action,
    replica_group: bool,
}

impl Server {
    fn of(server: &api::Server) -> Self {
        let action = match &server.sync {
            Some(sync) => {
                let state = if sync.running { "syncing" } else { "pending" };
                Action { index: sync.order, state, target_id: 0 }
            }
            None if server.sync_failure.is_empty() => Action::default(),
            None => Action { state: "synced_failed", ..Action::default() },
        };
        Self {
            server: server.addr.clone(),
            datacenter: server.datacenter.clone(),
            action,
            replica_group: server.replica_reads,
        }
    }
}

#[derive(Serialize)]
struct ServerStats {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    stats: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    error: String,
    unixtime: u64,
}

impl ServerStats {
    fn of(facts: &api::ServerFacts) -> Self {
        let (stats, error) = (facts.info.clone(), facts.error.clone());
        Self { stats, error, unixtime: facts.unix_ms / 1000 }
    }
}

#[derive(Serialize)]
struct Proxies {
    models: Vec<Proxy>,
    stats: BTreeMap<String, ProxyStats>,
}

impl Proxies {
    fn of(product: &str, proxies: &[api::Proxy]) -> Self {
        let with_model = || proxies.iter().filter_map(|proxy| Some((proxy, proxy.model.as_ref()?)));
        let stats = |(proxy, model): (&api::Proxy, &pb::Proxy)| {
            (model.token.clone(), ProxyStats::of(proxy))
        };
        Self {
            models: with_model().map(|(_, model)| Proxy::of(product, model)).collect(),
            stats: with_model().map(stats).collect(),
        }
    }
}

#[derive(Serialize)]
struct Proxy {
    id: u64,
    token: String,
    start_time: String,
    admin_addr: String,
    proto_type: String,
    proxy_addr: String,
    product_name: String,
    pid: u32,
    pwd: String,
    sys: String,
    hostname: String,
    datacenter: String,
}

impl Proxy {
    fn of(product: &str, model: &pb::Proxy) -> Self {
        Self {
            id: model.id,
            token: model.token.clone(),
            start_time: time_text(from_unix_ms(model.start_unix_ms)),
            admin_addr: model.admin_addr.clone(),
            proto_type: model.proto_type.clone(),
            proxy_addr: model.proxy_addr.clone(),
            product_name: product.to_owned(),
            pid: model.pid,
            pwd: model.directory.clone(),
            sys: model.system.clone(),
            hostname: model.hostname.clone(),
            datacenter: model.datacenter.clone(),
        }
    }
}

#[derive(Serialize)]
struct ProxyStats {
    /// The proxy's own page.
    #[serde(skip_serializing_if = "Option::is_none")]
    stats: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
    unixtime: u64,
}

impl ProxyStats {
    fn of(proxy: &api::Proxy) -> Self {
        let page = proxy.stats.as_ref().and_then(|stats| {
            let text = String::from_utf8(stats.page.clone()).ok()?;
            RawValue::from_string(text).ok()
        });
        let error = (!proxy.connected).then_some("the proxy is not connected to the group");
        Self { stats: page, error, unixtime: proxy.stats_unix_ms / 1000 }
    }
}

#[derive(Serialize)]
struct SlotAction {
    /// In microseconds.
    interval: u64,
    disabled: bool,
    progress: Progress,
    executor: usize,
}

#[derive(Serialize)]
struct Progress {
    status: String,
}

impl Progress {
    /// How each group that slots leave is doing; empty where none do, as in Codis.
    fn of(sources: &[api::MoveSource]) -> Self {
        let one = |source: &api::MoveSource| {
            let api::MoveSource { gid, doing, keys_moved, keys_total, keys_a_second, .. } = source;
            let waits = match source.trouble.as_str() {
                "" => String::new(),
                trouble => format!(", waits: {trouble}"),
            };
            format!(
                "group {gid}: {doing}, {keys_moved} of {keys_total} keys, {keys_a_second} keys/s{waits}"
            )
        };
        Self { status: sources.iter().map(one).collect::<Vec<_>>().join("; ") }
    }
}

impl SlotAction {
    fn of(slots: &[pb::Slot], state: &pb::State, moves: Option<&api::Moves>) -> Self {
        let sources = moves.map_or(&[][..], |moves| &moves.sources);
        let migrating = slots.iter().filter(|slot| {
            let phase = slot.action.as_ref().and_then(|action| action.phase.as_ref());
            matches!(phase, Some(slot_action::Phase::Migrating(_)))
        });
        Self {
            interval: settings::number(state, Setting::MigrationInterval),
            disabled: settings::flag(state, Setting::MigrationDisabled),
            progress: Progress::of(sources),
            executor: migrating.count(),
        }
    }
}

#[derive(Serialize)]
struct Sentinels {
    model: SentinelModel,
    stats: BTreeMap<String, ()>,
    masters: BTreeMap<String, ()>,
}

#[derive(Serialize)]
struct SentinelModel {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    servers: Vec<String>,
    out_of_sync: bool,
}

impl Sentinels {
    fn of(servers: &[String]) -> Self {
        let model = SentinelModel { servers: servers.to_vec(), out_of_sync: false };
        Self { model, stats: BTreeMap::new(), masters: BTreeMap::new() }
    }
}

/// A moment as Codis wrote it.
fn time_text(at: SystemTime) -> String {
    const FORMAT: &[BorrowedFormatItem<'_>] = format_description!(
        "[year]-[month]-[day] [hour]:[minute]:[second].[subsecond digits:9] +0000 UTC"
    );
    OffsetDateTime::from(at).format(FORMAT).unwrap_or_default()
}

/// A moment that a proxy told; the beginning of time where it cannot be one.
fn from_unix_ms(ms: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(ms)).unwrap_or(SystemTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use serde_json::{json, to_value};

    use super::*;

    #[test]
    fn a_slot_without_an_action_has_an_empty_one() {
        let slot = Slot::of(3, &pb::Slot { group: 2, ..Default::default() });
        assert_eq!(to_value(slot).expect("JSON"), json!({"id": 3, "group_id": 2, "action": {}}));
    }

    #[test]
    fn a_slots_action_has_its_order_state_and_target() {
        let phase = Some(slot_action::Phase::Pending(slot_action::Pending {}));
        let action = pb::SlotAction { target: 4, order: 9, phase, ..Default::default() };
        let slot = Slot::of(3, &pb::Slot { group: 2, action: Some(action), ..Default::default() });
        let expected = json!({"index": 9, "state": "pending", "target_id": 4});
        assert_eq!(to_value(slot).expect("JSON")["action"], expected);
    }

    #[test]
    fn the_progress_of_moves_is_a_line() {
        let source = |gid, trouble: &str| api::MoveSource {
            gid,
            doing: "moving".into(),
            keys_total: 9,
            keys_moved: 4,
            keys_a_second: 2,
            trouble: trouble.into(),
            ..Default::default()
        };
        assert_eq!(Progress::of(&[]).status, "");
        assert_eq!(
            Progress::of(&[source(1, ""), source(3, "no room")]).status,
            "group 1: moving, 4 of 9 keys, 2 keys/s; group 3: moving, 4 of 9 keys, 2 keys/s, waits: no room"
        );
    }

    #[test]
    fn the_page_of_a_proxy_is_handed_on_as_it_is() {
        let stats = |page: &[u8]| {
            let stats = codis_proto::link::v1::Stats { page: page.to_vec(), ..Default::default() };
            let proxy = api::Proxy { connected: true, stats: Some(stats), ..Default::default() };
            serde_json::to_string(&ProxyStats::of(&proxy)).expect("JSON")
        };
        assert_eq!(stats(br#"{"b":1,"a":2}"#), r#"{"stats":{"b":1,"a":2},"unixtime":0}"#);
        assert_eq!(stats(b"{broken"), r#"{"unixtime":0}"#);
    }
}
