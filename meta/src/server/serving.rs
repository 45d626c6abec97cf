//! What is served, from the first moment of the process to its last.
//!
//! The port opens before there is a member, so that members can ask each other whether to found a group. Until it
//! has begun, every other call is told what this one waits for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use codis_proto::admin::v1::{self as api, ServerFacts};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic::Status;

use super::admin::votes;
use super::http::Counters;
use super::link::Links;
use crate::auth::{Guard, Token};
use crate::drive::SlotWeight;
use crate::node::Node;
use crate::transport::{Hall, MemberService, Peers};

/// The Redis servers, as the member that leads speaks to them.
#[tonic::async_trait]
pub trait Servers: Send + Sync + 'static {
    /// Whether a server may be added to a group. The result is what the operator should know of it.
    ///
    /// # Errors
    /// Why it may not.
    async fn check_new_server(&self, gid: u32, addr: &str) -> Result<Vec<String>, String>;

    /// Writes the fence on a master that slots are about to go to.
    ///
    /// # Errors
    /// Why it does not hold it.
    async fn prepare_master(&self, addr: &str) -> Result<(), String>;

    /// What the servers said of themselves when they were last asked, by address. Empty on a member that does not
    /// lead.
    fn facts(&self) -> Arc<BTreeMap<String, ServerFacts>>;

    /// How the moves of slots are doing; `moves` itself is empty.
    fn moves(&self) -> api::Moves;

    /// A client of some proxy waits for a big key to move.
    fn want(&self, database: u32, key: Vec<u8>);

    /// How many keys and bytes each of the slots has on a master.
    ///
    /// # Errors
    /// Why it could not be walked.
    async fn weigh(&self, addr: &str) -> Result<Vec<SlotWeight>, String>;

    /// What cannot be done at the servers, or is other than it should be: a sentence each.
    fn troubles(&self) -> Vec<String>;
}

/// Who this member is, for its pages.
#[derive(Debug, Clone)]
pub struct About {
    /// The product that the configuration names.
    pub product: String,
    /// The address of the port, as the configuration names it.
    pub admin_addr: String,
    /// Where the member keeps its log.
    pub data_dir: String,
    /// When the process started.
    pub started: SystemTime,
}

/// The parts of a member that has begun.
pub struct Parts {
    /// The member.
    pub node: Node,
    /// The others.
    pub peers: Peers,
    /// The product's servers.
    pub servers: Arc<dyn Servers>,
    /// Who this one is.
    pub about: About,
}

/// A member that has begun, with what serving it keeps.
pub(super) struct Serving {
    pub(super) node: Node,
    pub(super) peers: Peers,
    pub(super) servers: Arc<dyn Servers>,
    pub(super) about: About,
    pub(super) links: Arc<Links>,
    pub(super) counters: Arc<Counters>,
    /// Ended with this.
    _tasks: JoinSet<()>,
}

/// How far the member is.
enum Stage {
    /// It has not begun; the text completes "this member is starting: ".
    Starting(String),
    Begun(Arc<Serving>),
    Stopping,
}

/// What a port serves: handed to [`serve`](super::serve) before the member has begun, and told when it has.
#[derive(Clone)]
pub struct Services {
    stage: Arc<watch::Sender<Stage>>,
    member: MemberService,
    token: Token,
}

impl Services {
    /// Of a member that has not begun: peers are told of `hall`. Calls must carry `token`.
    #[must_use]
    pub fn new(hall: Hall, token: Token) -> Self {
        let stage = watch::Sender::new(Stage::Starting("it opens its data directory".to_owned()));
        Self { stage: Arc::new(stage), member: MemberService::new(hall), token }
    }

    /// Says what the member waits for before it can begin; completes "this member is starting: ".
    pub fn wait_for(&self, what: impl Into<String>) {
        let what = what.into();
        self.stage.send_if_modified(|stage| {
            let starting = matches!(stage, Stage::Starting(_));
            if starting {
                *stage = Stage::Starting(what);
            }
            starting
        });
    }

    /// Serves a member that has begun. Must be called on a tokio runtime.
    pub fn begin(&self, parts: Parts) {
        let mut tasks = JoinSet::new();
        let counters = Counters::start(&parts.node, &mut tasks);
        let links = Links::start(&parts.node, &parts.servers, &mut tasks);
        tasks.spawn(votes::give(parts.node.clone()));
        let Parts { node, peers, servers, about } = parts;
        self.member.begin(node.clone(), peers.clone());
        let serving = Serving { node, peers, servers, about, links, counters, _tasks: tasks };
        self.stage.send_replace(Stage::Begun(Arc::new(serving)));
    }

    /// Ends every stream, and refuses what comes.
    pub(super) fn stop(&self) {
        if let Stage::Begun(serving) = self.stage.send_replace(Stage::Stopping) {
            serving.links.stop();
        }
    }

    /// The member, if it has begun.
    ///
    /// # Errors
    /// `UNAVAILABLE`, with what it waits for.
    pub(super) fn begun(&self) -> Result<Arc<Serving>, Status> {
        match &*self.stage.borrow() {
            Stage::Begun(serving) => Ok(Arc::clone(serving)),
            Stage::Starting(what) => {
                Err(Status::unavailable(format!("this member is starting: {what}")))
            }
            Stage::Stopping => Err(stopping()),
        }
    }

    /// What answers other members.
    pub(super) fn member(&self) -> MemberService {
        self.member.clone()
    }

    /// Waits until the port is about to be closed.
    pub(super) async fn stopped(&self) {
        let mut stage = self.stage.subscribe();
        // The sender lives as long as this.
        let _ = stage.wait_for(|stage| matches!(stage, Stage::Stopping)).await;
    }

    /// The check of the group's own calls.
    pub(super) fn guard(&self) -> Guard {
        self.token.guard()
    }
}

/// The end of what is under way when the process ends.
pub(super) fn stopping() -> Status {
    Status::unavailable("this member is shutting down: ask another one")
}
