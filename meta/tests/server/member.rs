//! Members under test, each with a data directory and a port of its own.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use codis_meta::auth::Token;
use codis_meta::drive::SlotWeight;
use codis_meta::node::{Node, NodeConfig, Stopper};
use codis_meta::raft::{Config, DiskStore, Founding, Identity};
use codis_meta::server::{self, About, Parts, Servers, Services, Tls};
use codis_meta::state::State;
use codis_meta::transport::{Dialer, Hall, Me, Peers};
use codis_proto::admin::v1 as api;
use codis_proto::admin::v1::admin_client::AdminClient;
use codis_proto::link::v1::link_client::LinkClient;
use codis_proto::meta::v1 as pb;
use codis_testbed::{PATIENCE, free_port};
use pb::command::Change;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;

pub(crate) type Admin = AdminClient<InterceptedService<Channel, Token>>;
pub(crate) type Link = LinkClient<InterceptedService<Channel, Token>>;

pub(crate) const PRODUCT: &str = "demo";
pub(crate) const CLUSTER: u64 = 0x00c0_d150;
const GROUP: u64 = 77;

/// Redis servers as a test wants them to be.
#[derive(Default)]
pub(crate) struct FakeServers {
    /// Why new servers are refused.
    pub(crate) refusal: Mutex<Option<String>>,
    pub(crate) notes: Mutex<Vec<String>>,
    pub(crate) facts: Mutex<Arc<BTreeMap<String, api::ServerFacts>>>,
    pub(crate) troubles: Mutex<Vec<String>>,
    /// The masters that the fence was written on.
    pub(crate) prepared: Mutex<Vec<String>>,
    pub(crate) moves: Mutex<api::Moves>,
    /// Big keys that clients of proxies wait for.
    pub(crate) wanted: Mutex<Vec<(u32, Vec<u8>)>>,
    /// What slots weigh, by master; the others cannot be walked.
    pub(crate) weights: Mutex<BTreeMap<String, Vec<SlotWeight>>>,
}

#[tonic::async_trait]
impl Servers for FakeServers {
    async fn check_new_server(&self, _gid: u32, _addr: &str) -> Result<Vec<String>, String> {
        match self.refusal.lock().expect("no test panics with it").clone() {
            Some(why) => Err(why),
            None => Ok(self.notes.lock().expect("no test panics with it").clone()),
        }
    }

    async fn prepare_master(&self, addr: &str) -> Result<(), String> {
        if let Some(why) = self.refusal.lock().expect("no test panics with it").clone() {
            return Err(why);
        }
        self.prepared.lock().expect("no test panics with it").push(addr.to_owned());
        Ok(())
    }

    fn facts(&self) -> Arc<BTreeMap<String, api::ServerFacts>> {
        Arc::clone(&self.facts.lock().expect("no test panics with it"))
    }

    fn moves(&self) -> api::Moves {
        self.moves.lock().expect("no test panics with it").clone()
    }

    fn want(&self, database: u32, key: Vec<u8>) {
        self.wanted.lock().expect("no test panics with it").push((database, key));
    }

    async fn weigh(&self, addr: &str) -> Result<Vec<SlotWeight>, String> {
        let weights = self.weights.lock().expect("no test panics with it");
        weights.get(addr).cloned().ok_or_else(|| format!("{addr} does not answer"))
    }

    fn troubles(&self) -> Vec<String> {
        self.troubles.lock().expect("no test panics with it").clone()
    }
}

impl FakeServers {
    /// What the leader saw of a server.
    pub(crate) fn show(&self, address: &str, facts: api::ServerFacts) {
        let mut shown = self.facts.lock().expect("no test panics with it");
        let mut all = (**shown).clone();
        all.insert(address.to_owned(), facts);
        *shown = Arc::new(all);
    }

    /// A server as it should be.
    pub(crate) fn show_sound(&self, address: &str, master: Option<&str>) {
        let role = if master.is_some() { "slave" } else { "master" };
        self.show(
            address,
            api::ServerFacts {
                unix_ms: 1_700_000_000_123,
                role: role.to_owned(),
                master_addr: master.unwrap_or_default().to_owned(),
                master_link_up: master.is_some(),
                info: BTreeMap::from([("redis_version".to_owned(), "7.0.15".to_owned())]),
                ..Default::default()
            },
        );
    }
}

/// A member that runs and is served. Ends when it is dropped.
pub(crate) struct Member {
    pub(crate) node: Node,
    pub(crate) servers: Arc<FakeServers>,
    pub(crate) address: String,
    token: Token,
    close: Option<oneshot::Sender<()>>,
    stopper: Option<Stopper>,
    _dir: TempDir,
}

/// How a member is started.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) auth: &'static str,
    pub(crate) tls: Option<Tls>,
}

impl Member {
    /// The only member of its group, which keeps the product.
    pub(crate) async fn alone() -> Self {
        Self::alone_with(Options::default()).await
    }

    pub(crate) async fn alone_with(options: Options) -> Self {
        let address = format!("127.0.0.1:{}", free_port());
        let members = BTreeMap::from([(1, address)]);
        let member = Self::start(1, &members, Some(&members), options).await;
        member.create_product().await;
        member
    }

    /// A group of so many, which keeps the product; the first of the list leads.
    pub(crate) async fn group(count: u64) -> Vec<Self> {
        let addresses: BTreeMap<u64, String> =
            (1..=count).map(|id| (id, format!("127.0.0.1:{}", free_port()))).collect();
        let mut members = Vec::new();
        for id in 1..=count {
            members.push(Self::start(id, &addresses, Some(&addresses), Options::default()).await);
        }
        eventually("a leader is elected", async || {
            members.iter().any(|member| member.node.standing().borrow().leads)
        })
        .await;
        members.sort_by_key(|member| !member.node.standing().borrow().leads);
        members[0].create_product().await;
        for member in &members {
            eventually("every member has the product", async || {
                member.node.peek(|state| state.data().product == PRODUCT).await == Ok(true)
            })
            .await;
        }
        members
    }

    /// A member at `addresses[id]`, which founds the group of `founders` or waits to be added.
    pub(crate) async fn start(
        id: u64,
        addresses: &BTreeMap<u64, String>,
        founders: Option<&BTreeMap<u64, String>>,
        options: Options,
    ) -> Self {
        let address = addresses[&id].clone();
        let token = Token::new(options.auth).expect("a token that headers can carry");
        let hall = Hall { id, product: PRODUCT.to_owned(), group: GROUP };
        let services = Services::new(hall, token.clone());
        let me = Me { id, group: GROUP, address: address.clone() };
        let dialer = Dialer::new(token.clone(), options.tls.as_ref().map(Tls::client));
        let mut others = addresses.clone();
        others.remove(&id);
        let peers = Peers::new(me, dialer, others, Handle::current());
        let dir = TempDir::new().expect("a temporary directory");
        let (node, stopper) = start_node(id, dir.path(), founders, &peers);
        peers.follow(node.members());
        let servers = Arc::new(FakeServers::default());
        let about = About {
            product: PRODUCT.to_owned(),
            admin_addr: address.clone(),
            data_dir: "/data".to_owned(),
            started: SystemTime::UNIX_EPOCH,
        };
        services.begin(Parts {
            node: node.clone(),
            peers,
            servers: Arc::clone(&servers) as Arc<dyn Servers>,
            about,
        });
        let close = serve(&address, services, options.tls).await;
        let (close, stopper) = (Some(close), Some(stopper));
        Self { node, servers, address, token, close, stopper, _dir: dir }
    }

    async fn create_product(&self) {
        let name = PRODUCT.to_owned();
        self.make(Change::ProductCreate(pb::ProductCreate {
            name,
            cluster: CLUSTER,
            ..Default::default()
        }))
        .await;
    }

    /// Makes a change past the port.
    pub(crate) async fn make(&self, change: Change) -> pb::Outcome {
        self.node.change(None, 0, change, Instant::now() + PATIENCE).await.expect("a good change")
    }

    /// Group `gid` with these servers, master first, as they should be.
    pub(crate) async fn make_group(&self, gid: u32, servers: &[&str]) {
        self.make(Change::GroupCreate(pb::GroupCreate { group: gid })).await;
        for address in servers {
            let address = (*address).to_owned();
            let add = pb::ServerAdd { group: gid, address: address.clone(), ..Default::default() };
            self.make(Change::ServerAdd(add)).await;
            let master = servers.first().filter(|master| ***master != address);
            self.servers.show_sound(&address, master.copied());
        }
    }

    pub(crate) async fn epoch(&self) -> u64 {
        self.node.peek(|state| state.epoch()).await.expect("it runs")
    }

    pub(crate) fn channel(&self) -> Channel {
        Channel::from_shared(format!("http://{}", self.address)).expect("an address").connect_lazy()
    }

    pub(crate) fn admin(&self) -> Admin {
        AdminClient::with_interceptor(self.channel(), self.token.clone())
    }

    pub(crate) fn link(&self) -> Link {
        LinkClient::with_interceptor(self.channel(), self.token.clone())
    }

    /// Closes the port, as the end of the process does.
    pub(crate) fn close(&mut self) {
        self.close = None;
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.close = None;
        if let Some(stopper) = self.stopper.take() {
            stopper.stop();
        }
    }
}

fn start_node(
    id: u64,
    dir: &std::path::Path,
    founders: Option<&BTreeMap<u64, String>>,
    peers: &Peers,
) -> (Node, Stopper) {
    let identity = Identity { group: GROUP, member: id };
    let snapshot = State::new().snapshot();
    let founding = founders.map(|members| Founding { members: members.clone(), snapshot });
    let (store, loaded) =
        DiskStore::open(dir, identity, founding.as_ref()).expect("a directory of its own");
    let raft = Config::new(id, GROUP, fastrand::u64(1..));
    let config = NodeConfig { raft, tick: Duration::from_millis(20) };
    Node::start(config, store, loaded, peers.outbox()).expect("a sound store")
}

/// Serves a port; dropping the result closes it.
pub(crate) async fn serve(
    address: &str,
    services: Services,
    tls: Option<Tls>,
) -> oneshot::Sender<()> {
    let address: SocketAddr = address.parse().expect("an address");
    let listener = TcpListener::bind(address).await.expect("a free port");
    let (close, closed) = oneshot::channel::<()>();
    tokio::spawn(async move {
        let closed = async {
            let _ = closed.await;
        };
        let served = server::serve(listener, services, tls.as_ref(), closed).await;
        served.expect("the port can be served");
    });
    close
}

/// Polls `condition` until it holds.
pub(crate) async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition().await {
        assert!(Instant::now() < deadline, "within {PATIENCE:?} this did not happen: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}
