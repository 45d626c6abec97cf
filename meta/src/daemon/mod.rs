//! A whole member, from its configuration to a served port and back.
//!
//! - [`Plan`]: what it is run with; `configured` makes it of a configuration file's. `founding`: how a member with an
//!   empty data directory begins. `duties`: what it does by itself. `port`: what it serves. `servers`: the driver as
//!   the port's calls use it.
//!
//! The top wires them in [`run_plan`], and holds no rule of its own.

mod configured;
mod duties;
pub mod founding;
mod plan;
mod port;
mod servers;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::auth::Token;
use crate::drive;
use crate::node::{Node, Standing, Stopper};
use crate::raft::{DiskStore, Identity, Role};
use crate::server::{About, Parts, Services, Tls};
use crate::transport::{Dialer, Hall, Me, Peers};
use founding::{Beginning, Founders};
use port::Port;

pub use configured::run;
pub use plan::{Plan, Times};

/// How long a leader that stops waits for another one to lead.
const HAND_OVER: Duration = Duration::from_secs(1);

/// A member that has begun.
struct Begun {
    node: Node,
    stopper: Stopper,
    peers: Peers,
}

/// A member that has begun and serves its port.
#[derive(Clone)]
pub struct Ready {
    /// Where the port is.
    pub address: SocketAddr,
    /// The member.
    pub node: Node,
}

/// Runs a member until `shutdown`. `ready` is called once the member has begun and everything is served; before that
/// the port answers other members that want to found a group with it.
///
/// # Errors
/// Why it cannot run, or cannot go on: a sentence for the operator.
pub async fn run_plan(
    plan: Plan,
    ready: impl FnOnce(Ready) + Send,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), String> {
    tokio::pin!(shutdown);
    let started = SystemTime::now();
    let (listener, address) = listen(&plan.listen).await?;
    let whose = DiskStore::identity(&plan.data_dir).map_err(|error| error.to_string())?;
    let founders = founders(&plan, whose)?;
    let hall = Hall { id: founders.me, product: plan.product.clone(), group: founders.group };
    let token = Token::new(plan.product_auth.expose()).map_err(|error| error.to_string())?;
    let services = Services::new(hall, token.clone());
    let mut port = Port::open(listener, services.clone(), plan.tls.clone());
    let dialer = Dialer::new(token, plan.tls.as_ref().map(Tls::client));
    let beginning = tokio::select! {
        beginning = beginning(whose, &founders, &dialer, &services) => beginning?,
        reason = port.ended() => return Err(reason),
        () = &mut shutdown => return Ok(()),
    };
    let Begun { node, stopper, peers } = begin(&plan, &founders, beginning, dialer).await?;
    let about = About {
        product: plan.product.clone(),
        admin_addr: plan.listen.clone(),
        data_dir: plan.data_dir.display().to_string(),
        started,
    };
    let driver = drive::start(node.clone(), plan.product_auth.expose().to_owned());
    let (servers, others) = (Arc::new(driver), peers.clone());
    services.begin(Parts { node: node.clone(), peers: others, servers, about });
    ready(Ready { address, node: node.clone() });
    let result = tokio::select! {
        reason = duties::attend(&plan, &node) => Err(reason),
        reason = port.ended() => Err(reason),
        () = shutdown => Ok(()),
    };
    hand_over(&node).await;
    port.close().await;
    peers.close();
    // An error is a panic of the thread, which has been logged.
    let _ = spawn_blocking(|| stopper.stop()).await;
    result
}

async fn listen(address: &str) -> Result<(TcpListener, SocketAddr), String> {
    let failed = |error: std::io::Error| {
        format!("cannot listen on {address}: {error}; free the address, or set another admin_addr")
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// Who founds the group, or has founded it.
fn founders(plan: &Plan, whose: Option<Identity>) -> Result<Founders, String> {
    let own = match (&plan.own, whose) {
        (Ok((id, _)), Some(whose)) if *id != whose.member => {
            return Err(format!(
                "the data directory {} belongs to member {}, and by the configuration this is member {id}: \
                 correct data_dir, member_id or members",
                plan.data_dir.display(),
                whose.member
            ));
        }
        (Ok(own), _) => own.clone(),
        (Err(_), Some(whose)) => (whose.member, String::new()),
        (Err(reason), None) => return Err(reason.clone()),
    };
    Ok(Founders::new(&plan.product, own, plan.founders.clone()))
}

/// The group's id, and whether this member founds it.
async fn beginning(
    whose: Option<Identity>,
    founders: &Founders,
    dialer: &Dialer,
    services: &Services,
) -> Result<(u64, Beginning), String> {
    if let Some(Identity { group, .. }) = whose {
        // Its data directory says the rest.
        return Ok((group, Beginning::Join { group, is_member: true }));
    }
    let say = |waits: &str| services.wait_for(waits);
    let beginning = founding::settle(founders, dialer, say).await?;
    let group = match &beginning {
        Beginning::Found => {
            tracing::info!("this is member {} of a new group", founders.me);
            founders.group
        }
        Beginning::Join { group, is_member } => {
            say_joining(founders, *is_member);
            *group
        }
    };
    Ok((group, beginning))
}

fn say_joining(founders: &Founders, is_member: bool) {
    let me = founders.me;
    let address = founders.members.get(&me).map_or("HOST:PORT", String::as_str);
    if is_member {
        tracing::info!("this is member {me} of a group that exists; waiting for its state");
    } else {
        tracing::warn!(
            "the group does not have member {me} yet: run codis-admin meta add --id {me} --addr {address}"
        );
    }
}

/// Opens the data directory and starts the member on it.
async fn begin(
    plan: &Plan,
    founders: &Founders,
    (group, beginning): (u64, Beginning),
    dialer: Dialer,
) -> Result<Begun, String> {
    let identity = Identity { group, member: founders.me };
    let config = plan.node_config(identity);
    let founding = (beginning == Beginning::Found).then(|| founders.founding());
    let address = founders.members.get(&founders.me).cloned().unwrap_or_default();
    let me = Me { id: founders.me, group, address };
    let mut others = founders.members.clone();
    others.remove(&founders.me);
    let peers = Peers::new(me, dialer, others, Handle::current());
    let (outbox, dir) = (peers.outbox(), plan.data_dir.clone());
    let start = move || {
        let (store, loaded) = DiskStore::open(&dir, identity, founding.as_ref())
            .map_err(|error| error.to_string())?;
        Node::start(config, store, loaded, outbox).map_err(|error| error.to_string())
    };
    let started = spawn_blocking(start).await;
    let (node, stopper) =
        started.map_err(|_| "the member could not be started: see the log".to_owned())??;
    peers.follow(node.members());
    Ok(Begun { node, stopper, peers })
}

/// A leader that stops lets another one lead first: the group then does not have to find out that it is gone.
async fn hand_over(node: &Node) {
    let Ok(status) = node.status().await else { return };
    if status.role != Role::Leader {
        return;
    }
    let follows = status
        .progress
        .iter()
        .filter(|(id, progress)| progress.active && status.voters.contains(id));
    let Some((to, _)) = follows.max_by_key(|(_, progress)| progress.matched) else { return };
    if node.transfer_leadership(*to).await.is_ok() {
        let mut standing = node.standing();
        let another = |standing: &Standing| !standing.leads && standing.leader != 0;
        // Without it the others elect one when they miss this one.
        let _ = timeout(HAND_OVER, standing.wait_for(another)).await;
    }
}
