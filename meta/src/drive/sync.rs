//! Syncs: a server becomes a replica of its group's master, and its data is replaced by the master's.
//!
//! One at a time in a group. The order of a sync on the servers is the epoch of the state as it was read just before: the
//! master gets it first and the replica takes it over with the data, so that once the sync is over no leader of the past
//! can touch the replica. A promotion that begins later has a newer epoch.

use std::time::Duration;

use codis_proto::meta::v1 as pb;
use pb::command::Change;
use tokio::time::{Instant, sleep};

use super::Context;
use super::follow::replication_address;
use super::member::{Lost, Member};
use super::poll::foreign;
use super::server::{Guard, Marks, Seen, ServerError, Servers};

/// How often a server that is being filled is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// A sync has failed once nothing has changed at the server for so long.
const STUCK_AFTER: Duration = Duration::from_secs(60);

/// What is to be done in a group.
enum Task {
    /// The sync whose turn it is.
    Begin { address: String, order: u64 },
    /// The one that runs.
    Run(Running),
}

/// A sync that runs, as the state has it.
struct Running {
    address: String,
    order: u64,
    master: String,
    epoch: u64,
}

impl Task {
    fn of(state: &pb::State, id: u32) -> Option<Task> {
        let group = state.groups.get(&id)?;
        let master = &group.servers.first()?.address;
        let syncs = group.servers.iter().filter_map(|server| Some((server, server.sync?)));
        // The one that runs, else the first that waits.
        let (server, sync) = syncs.min_by_key(|(_, sync)| (!sync.running, sync.order))?;
        let address = server.address.clone();
        if sync.running {
            let (order, master, epoch) = (sync.order, master.clone(), state.epoch);
            return Some(Task::Run(Running { address, order, master, epoch }));
        }
        group.promotion.is_none().then_some(Task::Begin { address, order: sync.order })
    }
}

/// What a leader knows of a sync beside the state.
struct Attempt {
    order: u64,
    /// The server has been told to follow.
    told: bool,
    /// What was last seen to change, and when.
    progress: (u64, u64, bool),
    since: Instant,
    /// What went wrong last.
    failure: String,
}

impl Attempt {
    fn new(order: u64) -> Attempt {
        let failure = "its link to the master does not come up: see the server's log".to_owned();
        Attempt { order, told: false, progress: (0, 0, false), since: Instant::now(), failure }
    }

    /// Whether the server has got anywhere since it was last looked at counts from now.
    fn note(&mut self, seen: &Seen) {
        let facts = &seen.facts;
        let left = facts.sync_left_bytes;
        let progress = (left, facts.replication_offset, facts.sync_in_progress);
        if progress != self.progress {
            self.progress = progress;
            self.since = Instant::now();
        }
    }
}

/// Why a sync is not over yet.
enum Unfinished {
    /// It goes on.
    Copying,
    /// It may yet succeed.
    Trouble(String),
    /// It will not, by itself.
    Hopeless(String),
}

impl From<ServerError> for Unfinished {
    fn from(error: ServerError) -> Self {
        match error {
            ServerError::Silent { .. } => Unfinished::Trouble(error.to_string()),
            ServerError::Refused { .. } | ServerError::Outranked { .. } => {
                Unfinished::Hopeless(error.to_string())
            }
        }
    }
}

/// Drives the syncs of a group, one after the other, until there is none.
pub(super) async fn drive<M: Member, S: Servers>(
    context: &Context<M, S>,
    id: u32,
) -> Result<(), Lost> {
    let mut attempt: Option<Attempt> = None;
    loop {
        let task = context.member.look(move |state| Task::of(state, id)).await?;
        let running = match task {
            None => return Ok(()),
            Some(Task::Begin { address, order }) => {
                let change = pb::GroupSyncAdvance { address, order };
                // Refused where the state went on meanwhile.
                let _ = context.member.step(Change::GroupSyncAdvance(change), 0).await?;
                continue;
            }
            Some(Task::Run(running)) => running,
        };
        let attempt = match &mut attempt {
            Some(attempt) if attempt.order == running.order => attempt,
            other => other.insert(Attempt::new(running.order)),
        };
        if let Some(failure) = turn(context, &running, attempt).await {
            let (address, order) = (running.address, running.order);
            let change = pb::GroupSyncFinish { address, order, failure };
            let _ = context.member.step(Change::GroupSyncFinish(change), 0).await?;
        } else {
            sleep(LOOK_EVERY).await;
        }
    }
}

/// Looks how far a sync is, and does what it takes. `None` while it goes on, else its failure, empty for none.
async fn turn<M: Member, S: Servers>(
    context: &Context<M, S>,
    running: &Running,
    attempt: &mut Attempt,
) -> Option<String> {
    match go_on(context, running, attempt).await {
        Ok(()) => return Some(String::new()),
        Err(Unfinished::Hopeless(failure)) => return Some(failure),
        Err(Unfinished::Trouble(failure)) => attempt.failure = failure,
        Err(Unfinished::Copying) => {}
    }
    let stuck = attempt.since.elapsed() >= STUCK_AFTER;
    stuck.then(|| format!("no progress for {STUCK_AFTER:?}: {}", attempt.failure))
}

async fn go_on<M: Member, S: Servers>(
    context: &Context<M, S>,
    running: &Running,
    attempt: &mut Attempt,
) -> Result<(), Unfinished> {
    let Running { address, master, epoch, .. } = running;
    let seen = context.servers.look(address).await?;
    attempt.note(&seen);
    let of = context.servers.look(master).await?;
    if !of.is_master() {
        let why = format!("{master}, the group's master, follows {} itself", of.facts.master_addr);
        return Err(Unfinished::Hopeless(why));
    }
    if seen.is_linked_to(&of) {
        return Ok(());
    }
    let link = replication_address(master, &of).map_err(Unfinished::Hopeless)?;
    if attempt.told && !seen.is_master() && seen.facts.master_addr == link {
        return Err(Unfinished::Copying);
    }
    let held = context.servers.raise(master, Marks { fence: 0, order: *epoch }).await?;
    if let Some(why) = foreign(master, held, *epoch) {
        return Err(Unfinished::Hopeless(why));
    }
    // The state was read just before, and said that this sync runs.
    context.servers.follow(address, Some(&link), Guard::AtMost(*epoch)).await?;
    attempt.told = true;
    Err(Unfinished::Copying)
}
