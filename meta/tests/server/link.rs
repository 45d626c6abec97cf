//! Proxies' streams.

use codis_meta::state::delta;
use codis_proto::admin::v1 as api;
use codis_proto::link::v1::member_message::Body;
use codis_proto::link::v1::{Ack, Key, MemberMessage, ProxyMessage, Stats, Stopping};
use codis_proto::link::v1::{TopologyChange, Wanted, Welcome, proxy_message};
use codis_proto::meta::v1 as pb;
use pb::Presence;
use pb::command::Change;
use prost::Message as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

use crate::member::{CLUSTER, Member, Options, PRODUCT, eventually};

/// A proxy as the group sees it.
struct Proxy {
    out: mpsc::Sender<ProxyMessage>,
    inbox: Streaming<MemberMessage>,
    welcome: Welcome,
    topology: pb::Topology,
}

fn register(token: &str) -> pb::ProxyRegister {
    pb::ProxyRegister {
        product: PRODUCT.into(),
        protocol: 1,
        token: token.into(),
        admin_addr: format!("{token}:11080"),
        proxy_addr: format!("{token}:19000"),
        proto_type: "tcp".into(),
        start_unix_ms: 5,
        version: "1.0".into(),
        shards: 2,
        ..Default::default()
    }
}

impl Proxy {
    /// Opens a stream and takes what it begins with.
    async fn connect(member: &Member, register: pb::ProxyRegister) -> Result<Self, Status> {
        let (out, messages) = mpsc::channel(16);
        let body = Some(proxy_message::Body::Register(register));
        out.send(ProxyMessage { body }).await.expect("there is room");
        let mut inbox = member.link().follow(ReceiverStream::new(messages)).await?.into_inner();
        let welcome = match next(&mut inbox).await?.body {
            Some(Body::Welcome(welcome)) => welcome,
            other => panic!("a stream begins with a welcome, not {other:?}"),
        };
        let topology = match next(&mut inbox).await?.body {
            Some(Body::Topology(bytes)) => pb::Topology::decode(bytes).expect("a topology"),
            other => panic!("after the welcome comes the topology, not {other:?}"),
        };
        Ok(Self { out, inbox, welcome, topology })
    }

    async fn say(&self, body: proxy_message::Body) {
        self.out.send(ProxyMessage { body: Some(body) }).await.expect("the stream is open");
    }

    async fn ack(&self, epoch: u64) {
        self.say(proxy_message::Body::Ack(Ack { epoch })).await;
    }

    /// Follows the topology until it is at `epoch`.
    async fn follow_to(&mut self, epoch: u64) {
        while self.topology.epoch < epoch {
            match next(&mut self.inbox).await.expect("the stream goes on").body {
                Some(Body::Change(bytes)) => {
                    let change = TopologyChange::decode(bytes).expect("a change");
                    delta::apply(&mut self.topology, &change).expect("it fits what came before");
                }
                other => panic!("a change was due, not {other:?}"),
            }
        }
    }

    /// Reads until the stream ends; with what.
    async fn end(&mut self) -> Status {
        loop {
            if let Err(status) = next(&mut self.inbox).await {
                return status;
            }
        }
    }
}

async fn next(inbox: &mut Streaming<MemberMessage>) -> Result<MemberMessage, Status> {
    let message = tokio::time::timeout(codis_testbed::PATIENCE, inbox.message()).await;
    message.expect("a message comes").transpose().expect("the stream does not end without a word")
}

async fn known(member: &Member, token: &str) -> Option<pb::Proxy> {
    let token = token.to_owned();
    member.node.peek(move |state| state.data().proxies.get(&token).cloned()).await.expect("it runs")
}

async fn is(member: &Member, token: &str, presence: Presence) -> bool {
    known(member, token).await.is_some_and(|proxy| proxy.presence() == presence)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_registers_and_follows_each_change() {
    let member = Member::alone().await;
    member.make_group(1, &["a:1"]).await;
    let mut proxy = Proxy::connect(&member, register("p")).await.expect("it is taken in");
    assert_eq!((proxy.welcome.proxy_id, proxy.welcome.cluster), (1, CLUSTER));
    assert_eq!(proxy.welcome.members, std::slice::from_ref(&member.address));
    assert!(is(&member, "p", Presence::Online).await);
    assert_eq!(proxy.topology.epoch, member.epoch().await);
    for slot in 0..5 {
        let slots = Some(pb::SlotRange { first: slot, last: slot });
        member.make(Change::SlotsAssign(pb::SlotsAssign { slots, group: 1 })).await;
    }
    proxy.follow_to(member.epoch().await).await;
    let topology = member.node.topology().borrow().clone();
    assert_eq!(proxy.topology, *topology);
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledgements_and_counters_reach_the_group() {
    let member = Member::alone().await;
    member.make_group(1, &["a:1"]).await;
    let proxy = Proxy::connect(&member, register("p")).await.expect("it is taken in");
    let epoch = member.epoch().await;
    proxy.ack(epoch).await;
    eventually("the acknowledgement is in the state", async || {
        known(&member, "p").await.is_some_and(|proxy| proxy.acked_epoch == epoch)
    })
    .await;
    proxy.say(proxy_message::Body::Stats(Stats { ops_total: 9, ..Default::default() })).await;
    eventually("the counters are listed", async || {
        let listed = member.admin().list_proxies(api::ListProxiesRequest {}).await;
        let proxy = listed.expect("listed").into_inner().proxies.remove(0);
        assert!(proxy.connected);
        proxy.stats_unix_ms > 0 && proxy.stats.is_some_and(|stats| stats.ops_total == 9)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn big_keys_that_clients_wait_for_are_handed_on() {
    let member = Member::alone().await;
    let proxy = Proxy::connect(&member, register("p")).await.expect("it is taken in");
    let keys = vec![Key { database: 3, name: b"big".to_vec() }];
    proxy.say(proxy_message::Body::Wanted(Wanted { keys })).await;
    eventually("the migrator knows", async || {
        *member.servers.wanted.lock().expect("no test panics with it") == [(3, b"big".to_vec())]
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_of_what_was_not_sent_ends_the_stream() {
    let member = Member::alone().await;
    let mut proxy = Proxy::connect(&member, register("p")).await.expect("it is taken in");
    proxy.ack(proxy.topology.epoch + 1).await;
    assert_eq!(proxy.end().await.code(), Code::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_whose_stream_breaks_is_lost_and_one_that_says_so_has_stopped() {
    let member = Member::alone().await;
    let proxy = Proxy::connect(&member, register("p")).await.expect("it is taken in");
    drop(proxy);
    eventually("it counts as lost", async || is(&member, "p", Presence::Lost).await).await;
    let proxy = Proxy::connect(&member, register("p")).await.expect("it comes back");
    assert!(is(&member, "p", Presence::Online).await);
    proxy.say(proxy_message::Body::Stopping(Stopping {})).await;
    eventually("it counts as stopped", async || is(&member, "p", Presence::Stopped).await).await;
    drop(proxy);
    // The end of its stream follows, and changes nothing.
    eventually("its stream is gone", async || {
        let listed = member.admin().list_proxies(api::ListProxiesRequest {}).await;
        !listed.expect("listed").into_inner().proxies[0].connected
    })
    .await;
    assert!(is(&member, "p", Presence::Stopped).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_stream_of_a_token_replaces_the_older_one() {
    let member = Member::alone().await;
    let mut first = Proxy::connect(&member, register("p")).await.expect("it is taken in");
    let mut second = Proxy::connect(&member, register("p")).await.expect("it is taken in");
    assert_eq!(first.end().await.code(), Code::Aborted, "the same process");
    let restarted = pb::ProxyRegister { start_unix_ms: 6, ..register("p") };
    let third = Proxy::connect(&member, restarted).await.expect("it is taken in");
    let status = second.end().await;
    assert_eq!(status.code(), Code::FailedPrecondition, "another process");
    assert!(status.message().contains("another process"), "{}", status.message());
    drop((first, second));
    third.ack(third.topology.epoch).await;
    eventually("the newest is the one that counts", async || {
        known(&member, "p").await.is_some_and(|proxy| {
            proxy.start_unix_ms == 6 && proxy.acked_epoch == third.topology.epoch
        })
    })
    .await;
    assert!(is(&member, "p", Presence::Online).await, "the older ones' ends are not its own");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_does_not_belong_here_is_refused_with_the_reason() {
    let member = Member::alone().await;
    let _first = Proxy::connect(&member, register("p")).await.expect("it is taken in");
    let with = |change: fn(&mut pb::ProxyRegister)| {
        let mut register = register("q");
        change(&mut register);
        register
    };
    for (register, code, words) in [
        (with(|one| one.product = "other".into()), Code::FailedPrecondition, "product \"other\""),
        (with(|one| one.protocol = 0), Code::FailedPrecondition, "upgrade the proxy"),
        (with(|one| one.cluster = 1), Code::FailedPrecondition, "another metadata group"),
        (with(|one| one.admin_addr = "p:11080".into()), Code::AlreadyExists, "stop it first"),
        (with(|one| one.token = "no token".into()), Code::InvalidArgument, "proxy's token"),
    ] {
        let status = Proxy::connect(&member, register).await.err().expect(words);
        assert_eq!(status.code(), code, "{words}");
        assert!(status.message().contains(words), "{}", status.message());
    }
    assert!(known(&member, "q").await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_begins_with_a_registration() {
    let member = Member::alone().await;
    let (out, messages) = mpsc::channel(1);
    let body = Some(proxy_message::Body::Ack(Ack { epoch: 1 }));
    out.send(ProxyMessage { body }).await.expect("there is room");
    let status = member.link().follow(ReceiverStream::new(messages)).await.expect_err("refused");
    assert_eq!(status.code(), Code::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_was_removed_is_told_so() {
    let member = Member::alone().await;
    let mut proxy = Proxy::connect(&member, register("p")).await.expect("it is taken in");
    member.make(Change::ProxyRemove(pb::ProxyRemove { token: "p".into(), force: true })).await;
    let status = proxy.end().await;
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.message().contains("was removed"), "{}", status.message());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_counts_as_lost_while_its_stream_is_open_is_online_again() {
    let member = Member::alone().await;
    let _proxy = Proxy::connect(&member, register("p")).await.expect("it is taken in");
    let lost = pb::ProxyOffline { token: "p".into(), start_unix_ms: 5, stopped: false };
    member.make(Change::ProxyOffline(lost)).await;
    eventually("it is online again", async || is(&member, "p", Presence::Online).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_does_not_lead_names_the_leader() {
    let members = Member::group(3).await;
    let status = Proxy::connect(&members[1], register("p")).await.err().expect("redirected");
    assert_eq!(status.code(), Code::Unavailable);
    let leader = status.metadata().get("codis-leader").expect("the leader's address");
    assert_eq!(leader.to_str().expect("text"), members[0].address);
    Proxy::connect(&members[0], register("p")).await.expect("the leader takes it in");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_hands_over_sends_its_proxies_on() {
    let members = Member::group(3).await;
    let mut proxy = Proxy::connect(&members[0], register("p")).await.expect("it is taken in");
    let to = members[1].node.id();
    members[0].node.transfer_leadership(to).await.expect("it can be handed over");
    let status = proxy.end().await;
    assert_eq!(status.code(), Code::Unavailable);
    eventually("the other one leads", async || members[1].node.standing().borrow().leads).await;
    let again = Proxy::connect(&members[1], register("p")).await.expect("the new leader takes it");
    assert_eq!(again.welcome.proxy_id, 1, "it is the same proxy");
    assert_eq!(again.welcome.members.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_reaches_a_hundred_streams_and_all_acknowledge_it() {
    const STREAMS: usize = 100;
    let member = Member::alone().await;
    member.make_group(1, &["a:1"]).await;
    let mut proxies = Vec::new();
    for number in 0..STREAMS {
        let register = register(&format!("p{number}"));
        proxies.push(Proxy::connect(&member, register).await.expect("it is taken in"));
    }
    let call = Some(api::Call { wait_ms: 60_000, ..Default::default() });
    let mut admin = member.admin();
    let assign = api::AssignSlotsRequest { call, beg: 0, end: 9, gid: 1 };
    let changed = tokio::spawn(async move { admin.assign_slots(assign).await });
    let epoch = member.epoch().await + 1;
    eventually("the slots are assigned", async || member.epoch().await >= epoch).await;
    for proxy in &mut proxies {
        proxy.follow_to(epoch).await;
        proxy.ack(epoch).await;
    }
    let changed = changed.await.expect("it did not panic").expect("made").into_inner();
    assert_eq!(changed.proxies_waiting, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_closes_ends_its_streams() {
    let mut member = Member::alone().await;
    let mut proxy = Proxy::connect(&member, register("p")).await.expect("it is taken in");
    member.close();
    let status = proxy.end().await;
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("shutting down"), "{}", status.message());
    assert!(is(&member, "p", Presence::Online).await, "it will come to another member");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_without_the_token_is_unauthenticated() {
    let member = Member::alone_with(Options { auth: "secret", ..Options::default() }).await;
    Proxy::connect(&member, register("p")).await.expect("it has the token");
    let mut link = codis_proto::link::v1::link_client::LinkClient::new(member.channel());
    let (_out, messages) = mpsc::channel::<ProxyMessage>(1);
    let status = link.follow(ReceiverStream::new(messages)).await.expect_err("no token");
    assert_eq!(status.code(), Code::Unauthenticated);
}
