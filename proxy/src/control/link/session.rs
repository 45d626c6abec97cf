//! One open stream: takes topologies, acknowledges them, sends counters, says goodbye.

use super::failure::Failure;
use super::open::{Opened, decode, message, next};
use super::{Received, Shared};
use crate::topology::from_group;
use codis_meta::state::delta;
use codis_proto::link::v1 as wire;
use codis_proto::meta::v1 as pb;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::mpsc;
use tonic::Streaming;
use wire::member_message::Body as MemberBody;
use wire::proxy_message::Body as ProxyBody;

/// How many changes that wait are taken before the newest topology is handed on.
const COALESCED_MAX: usize = 1024;

/// Who follows.
#[derive(Debug)]
pub(super) struct Me {
    /// The registration, but for what the process works by.
    pub(super) registration: pb::ProxyRegister,
    /// The group that the topology on the disk was from at the start; 0 for none.
    pub(super) saved_cluster: u64,
    /// Where the proxy is.
    pub(super) datacenter: String,
}

impl Me {
    /// The registration as it is to be sent now.
    pub(super) fn registration(&self, shared: &Shared) -> pb::ProxyRegister {
        let received = shared.received.borrow();
        let cluster = received.as_ref().map_or(self.saved_cluster, |received| received.cluster);
        // What was received and is not acknowledged yet may still be overtaken by a restart.
        let epoch = *shared.acks.epoch().borrow();
        pb::ProxyRegister { epoch, cluster, ..self.registration.clone() }
    }
}

/// A stream that a leader has welcomed.
pub(super) struct Session<'a> {
    shared: &'a Shared,
    datacenter: &'a str,
    inbound: Streaming<wire::MemberMessage>,
    out: mpsc::Sender<wire::ProxyMessage>,
    cluster: u64,
    /// The newest topology as it was sent; changes apply to it.
    newest: pb::Topology,
    /// The newest epoch that the group knows this proxy to work by.
    acked: u64,
}

/// What a session waits for.
enum Event {
    /// The proxy stops.
    Stopping,
    /// What is due can be sent.
    Room,
    /// The leader has sent something.
    Message(MemberBody),
    /// Something is due.
    Due,
}

impl<'a> Session<'a> {
    /// Checks what the leader began with, and hands the topology on.
    pub(super) fn begin(
        shared: &'a Shared,
        me: &'a Me,
        registered: &pb::ProxyRegister,
        opened: Opened,
    ) -> Result<Self, Failure> {
        let Opened { inbound, out, welcome, topology } = opened;
        let cluster = welcome.cluster;
        if registered.cluster != 0 && registered.cluster != cluster {
            let reason = format!(
                "it belongs to the metadata group {cluster:016x}, and this proxy to {:016x}: correct meta_addr",
                registered.cluster
            );
            return Err(Failure::Nonsense(reason));
        }
        let acked = registered.epoch;
        if topology.epoch < acked {
            return Err(went_back(acked, topology.epoch));
        }
        let datacenter = me.datacenter.as_str();
        let newest = topology;
        let session = Self { shared, datacenter, inbound, out, cluster, newest, acked };
        session.hand_on()?;
        shared.status.send_modify(|status| status.acked_epoch = acked);
        Ok(session)
    }

    /// Follows until the stream ends; `Ok` when the proxy has said that it stops.
    pub(super) async fn run(mut self) -> Result<(), Failure> {
        let mut acks = self.shared.acks.epoch();
        let mut wanted = self.shared.wanted.subscribe();
        let mut stats = self.shared.stats.subscribe();
        let mut stopping = self.shared.stopping.subscribe();
        // Those were counted for an earlier stream.
        stats.mark_unchanged();
        loop {
            let ack = *acks.borrow_and_update();
            let ack_due = ack > self.acked;
            let wanted_due = !wanted.borrow_and_update().is_empty();
            let stats_due = stats.has_changed().unwrap_or(false);
            let event = tokio::select! {
                biased;
                _ = stopping.wait_for(|stopping| *stopping) => Event::Stopping,
                room = self.out.reserve(), if ack_due || wanted_due || stats_due => match room {
                    Ok(_) => Event::Room,
                    Err(_closed) => return Err(Failure::unreachable("the stream was cut")),
                },
                body = next(&mut self.inbound) => Event::Message(body?),
                _ = acks.changed(), if !ack_due => Event::Due,
                _ = wanted.changed(), if !wanted_due => Event::Due,
                _ = stats.changed(), if !stats_due => {
                    stats.mark_changed();
                    Event::Due
                }
            };
            match event {
                Event::Stopping => {
                    self.say_goodbye().await;
                    return Ok(());
                }
                Event::Message(body) => self.take(body).await?,
                Event::Room if ack_due => self.acknowledge(ack),
                Event::Room if wanted_due => self.say_wanted(),
                Event::Room => {
                    let stats = stats.borrow_and_update().clone();
                    self.say(ProxyBody::Stats(stats.unwrap_or_default()));
                }
                Event::Due => {}
            }
        }
    }

    fn acknowledge(&mut self, epoch: u64) {
        self.say(ProxyBody::Ack(wire::Ack { epoch }));
        self.acked = epoch;
        self.shared.status.send_modify(|status| status.acked_epoch = epoch);
    }

    fn say_wanted(&self) {
        let wanted = self.shared.wanted.send_replace(BTreeSet::new());
        let key = |(database, name)| wire::Key { database: u32::from(database), name };
        self.say(ProxyBody::Wanted(wire::Wanted { keys: wanted.into_iter().map(key).collect() }));
    }

    /// Sends what there is room for.
    fn say(&self, body: ProxyBody) {
        // Nobody else takes the room; a stream that has ended meanwhile shows when it is read next.
        let _ = self.out.try_send(message(body));
    }

    /// Takes a message and those that wait behind it, and hands the topology that they make on: what was in
    /// between is of no use to anybody.
    async fn take(&mut self, first: MemberBody) -> Result<(), Failure> {
        let mut taken = self.apply(&first);
        for _ in 1..COALESCED_MAX {
            if taken.is_err() {
                break;
            }
            taken = tokio::select! {
                biased;
                body = next(&mut self.inbound) => body.and_then(|body| self.apply(&body)),
                () = std::future::ready(()) => break,
            };
        }
        self.hand_on()?;
        taken
    }

    fn apply(&mut self, body: &MemberBody) -> Result<(), Failure> {
        match body {
            MemberBody::Topology(bytes) => {
                let topology: pb::Topology = decode(bytes)?;
                if topology.epoch < self.newest.epoch {
                    return Err(went_back(self.newest.epoch, topology.epoch));
                }
                self.newest = topology;
                Ok(())
            }
            MemberBody::Change(bytes) => {
                let change: wire::TopologyChange = decode(bytes)?;
                if change.epoch <= change.from_epoch {
                    return Err(went_back(change.from_epoch, change.epoch));
                }
                delta::apply(&mut self.newest, &change)
                    .map_err(|error| Failure::Nonsense(error.to_string()))
            }
            MemberBody::Welcome(_) => Err(Failure::Nonsense("a second welcome".into())),
        }
    }

    /// Hands the newest topology on, if it is newer than what was.
    fn hand_on(&self) -> Result<(), Failure> {
        let epoch = self.newest.epoch;
        let known = self.shared.received.borrow().as_ref().map(|known| known.topology.epoch);
        match known {
            Some(known) if known == epoch => return Ok(()),
            Some(known) if known > epoch => return Err(went_back(known, epoch)),
            _ => {}
        }
        let topology = from_group(&self.newest, self.datacenter).map_err(|wrong| {
            Failure::Nonsense(format!("the topology of epoch {epoch}: {wrong}"))
        })?;
        let sent = Arc::new(self.newest.clone());
        let received = Received { cluster: self.cluster, sent, topology: Arc::new(topology) };
        self.shared.received.send_replace(Some(received));
        self.shared.status.send_modify(|status| status.epoch = epoch);
        Ok(())
    }

    /// Says that the proxy stops, and waits until the member has ended the stream.
    async fn say_goodbye(self) {
        let Self { out, mut inbound, .. } = self;
        // If the stream has ended meanwhile, there is nobody to tell.
        let _ = out.send(message(ProxyBody::Stopping(wire::Stopping {}))).await;
        drop(out);
        while next(&mut inbound).await.is_ok() {}
    }
}

fn went_back(from: u64, to: u64) -> Failure {
    Failure::Nonsense(format!(
        "its topology of epoch {to} is older than epoch {from}, which this proxy works by"
    ))
}
