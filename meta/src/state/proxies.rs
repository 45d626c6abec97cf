//! Proxies: who they are, whether they are there, which epoch they work by.

use super::address::{self, Kind};
use super::limits::{NAME_BYTES_MAX, PROTOCOL_MIN, PROXIES_MAX, TEXT_BYTES_MAX};
use super::refusal::Refusal;
use super::text;
use codis_proto::meta::v1 as pb;
use pb::Presence;
use pb::RefusalCode as Code;

/// The ways a proxy can be reached by its clients.
pub(super) const PROTO_TYPES: [&str; 4] = ["tcp", "tcp4", "tcp6", "unix"];

fn unknown(token: &str) -> Refusal {
    let message =
        format!("there is no proxy {token:?}: see the list of proxies, or let it register");
    Refusal::new(Code::ProxyUnknown, message)
}

/// The proxy of that token and process.
fn process_mut<'a>(
    data: &'a mut pb::State,
    token: &str,
    start_unix_ms: u64,
) -> Result<&'a mut pb::Proxy, Refusal> {
    let proxy = data.proxies.get_mut(token).ok_or_else(|| unknown(token))?;
    Refusal::unless(proxy.start_unix_ms == start_unix_ms, Code::ProxyProcess, || {
        format!("another process of proxy {token} has registered since: register again")
    })?;
    Ok(proxy)
}

/// Registers a process; the result is its proxy's id.
///
/// A process at the admin address of a proxy that is not online takes that one's place: it is the same
/// machine's, started without its old token.
pub(super) fn register(data: &mut pb::State, change: &pb::ProxyRegister) -> Result<u64, Refusal> {
    check_product(data, change)?;
    let admin_addr = address::canonical(&change.admin_addr, Kind::Tcp)?;
    let proxy_addr = address::canonical(&change.proxy_addr, Kind::TcpOrPath)?;
    check_texts(change)?;
    let predecessor = predecessor(data, &change.token, &admin_addr)?;
    let known = data.proxies.get(&change.token);
    let count = data.proxies.len() + data.leaving.len();
    // A predecessor moves from the one list to the other and so makes no room.
    Refusal::unless(known.is_some() || count < PROXIES_MAX, Code::LimitReached, || {
        format!(
            "there are {PROXIES_MAX} proxies, the most there can be: remove those that are gone"
        )
    })?;
    let proxy = pb::Proxy {
        id: known.map_or(data.proxy_id_last + 1, |proxy| proxy.id),
        token: change.token.clone(),
        admin_addr,
        proxy_addr,
        proto_type: change.proto_type.clone(),
        datacenter: change.datacenter.clone(),
        start_unix_ms: change.start_unix_ms,
        version: change.version.clone(),
        hostname: change.hostname.clone(),
        pid: change.pid,
        shards: change.shards,
        directory: change.directory.clone(),
        system: change.system.clone(),
        presence: Presence::Online.into(),
        acked_epoch: acked_epoch(known, change),
        // Whatever process it is, it cannot use an older topology than the fence allows.
        fenced_epoch: known.map_or(0, |proxy| proxy.fenced_epoch),
    };
    if let Some(token) = predecessor {
        retire(data, &token);
    }
    let id = proxy.id;
    data.proxy_id_last = data.proxy_id_last.max(id);
    data.proxies.insert(proxy.token.clone(), proxy);
    Ok(id)
}

fn check_product(data: &pb::State, change: &pb::ProxyRegister) -> Result<(), Refusal> {
    Refusal::unless(change.product == data.product, Code::ProductMismatch, || {
        format!(
            "the proxy is of product {:?}, this group keeps {:?}: correct product_name or the group's \
             address in the proxy's configuration",
            change.product, data.product
        )
    })?;
    Refusal::unless(change.protocol >= PROTOCOL_MIN, Code::ProxyTooOld, || {
        format!(
            "the proxy (version {:?}) speaks version {} of the link, this group {PROTOCOL_MIN} and \
             newer: upgrade the proxy",
            change.version, change.protocol
        )
    })?;
    let foreign = change.cluster != 0 && change.cluster != data.cluster;
    Refusal::unless(!foreign, Code::ProductMismatch, || {
        "the proxy's saved topology is from another metadata group of the same product name: correct \
         the group's address, or delete the saved topology to join this group"
            .into()
    })?;
    Refusal::unless(change.epoch <= data.epoch, Code::EpochConflict, || {
        format!(
            "the proxy works by epoch {}, which this group at epoch {} has not made: delete its saved \
             topology and restart it",
            change.epoch, data.epoch
        )
    })
}

fn check_texts(change: &pb::ProxyRegister) -> Result<(), Refusal> {
    text::check_name("proxy's token", &change.token)?;
    text::check_text("proxy's data center", &change.datacenter, NAME_BYTES_MAX)?;
    text::check_text("proxy's version", &change.version, NAME_BYTES_MAX)?;
    text::check_text("proxy's host name", &change.hostname, TEXT_BYTES_MAX)?;
    text::check_text("proxy's directory", &change.directory, TEXT_BYTES_MAX)?;
    text::check_text("proxy's system", &change.system, TEXT_BYTES_MAX)?;
    Refusal::unless(PROTO_TYPES.contains(&change.proto_type.as_str()), Code::InvalidValue, || {
        format!(
            "{:?} is not a proto_type: give one of {}",
            change.proto_type,
            PROTO_TYPES.join(", ")
        )
    })
}

/// The other proxy at `admin_addr`, which is then not online.
fn predecessor(data: &pb::State, token: &str, admin_addr: &str) -> Result<Option<String>, Refusal> {
    let other = |proxy: &&pb::Proxy| proxy.admin_addr == admin_addr && proxy.token != token;
    let Some(other) = data.proxies.values().find(other) else { return Ok(None) };
    Refusal::unless(other.presence() != Presence::Online, Code::AddressTaken, || {
        format!(
            "{admin_addr} is the admin address of proxy {}, which is online: stop it first",
            other.token
        )
    })?;
    Ok(Some(other.token.clone()))
}

/// What a process that registers is known to work by: what it says, unless it is the process that
/// acknowledged more since.
fn acked_epoch(known: Option<&pb::Proxy>, change: &pb::ProxyRegister) -> u64 {
    match known {
        Some(known) if known.start_unix_ms == change.start_unix_ms => {
            known.acked_epoch.max(change.epoch)
        }
        _ => change.epoch,
    }
}

pub(super) fn online(data: &mut pb::State, change: &pb::ProxyOnline) -> Result<(), Refusal> {
    let proxy = process_mut(data, &change.token, change.start_unix_ms)?;
    Refusal::unless(proxy.presence() != Presence::Stopped, Code::ProxyProcess, || {
        format!("this process of proxy {} has stopped: register again", change.token)
    })?;
    proxy.set_presence(Presence::Online);
    Ok(())
}

pub(super) fn offline(data: &mut pb::State, change: &pb::ProxyOffline) -> Result<(), Refusal> {
    let proxy = process_mut(data, &change.token, change.start_unix_ms)?;
    // The stream of a proxy that stopped breaks as well, afterwards.
    let stopped = change.stopped || proxy.presence() == Presence::Stopped;
    proxy.set_presence(if stopped { Presence::Stopped } else { Presence::Lost });
    Ok(())
}

pub(super) fn remove(data: &mut pb::State, change: &pb::ProxyRemove) -> Result<(), Refusal> {
    let proxy = data.proxies.get(&change.token).ok_or_else(|| unknown(&change.token))?;
    let stopped = proxy.presence() == Presence::Stopped;
    Refusal::unless(stopped || change.force, Code::ProxyRunning, || {
        format!(
            "proxy {} at {} may still serve clients: stop it first, or remove it by force, which \
             shuts it out of every server",
            proxy.token, proxy.admin_addr
        )
    })?;
    retire(data, &change.token);
    Ok(())
}

/// Takes a known proxy off the list. The removal is visible, so that it makes the next epoch.
fn retire(data: &mut pb::State, token: &str) {
    let Some(proxy) = data.proxies.remove(token) else { return };
    let epoch = data.epoch + 1;
    data.retired_epoch = epoch;
    data.removals += 1;
    if proxy.presence() != Presence::Stopped {
        data.leaving.insert(token.to_owned(), pb::LeavingProxy { epoch });
    }
}

/// Takes note of acknowledgements. Those of proxies that have gone or started anew since they were
/// gathered are passed over.
pub(super) fn acknowledge(data: &mut pb::State, change: &pb::ProxyAck) -> Result<(), Refusal> {
    let ahead = change.proxies.iter().find(|(_, acked)| acked.epoch > data.epoch);
    if let Some((token, acked)) = ahead {
        return Err(Refusal::new(
            Code::EpochConflict,
            format!(
                "proxy {token:?} acknowledged epoch {}, the state is at {}: report it",
                acked.epoch, data.epoch
            ),
        ));
    }
    for (token, acked) in &change.proxies {
        if let Ok(proxy) = process_mut(data, token, acked.start_unix_ms) {
            proxy.acked_epoch = proxy.acked_epoch.max(acked.epoch);
        }
    }
    Ok(())
}
