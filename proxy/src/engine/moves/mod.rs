//! Slots that migrate: a request's keys leave their source before it goes to the target.
//!
//! See docs/migration.md for the protocol. What lives here is the proxies' side of it. A request of a slot that
//! migrates is not taken from its session before each of its keys is known to have left ([`memory`]); until then
//! the session stalls and the request is offered again, so that order within a session needs nothing more than it
//! does elsewhere. What has to happen to a key is a [`Job`] ([`jobs`]), one for all sessions that want the key. Jobs of one
//! connection to a source and one target stand in a [`Line`]; at the end of a turn they leave as calls of the move
//! script ([`ask`]), whose answers ([`answer`]) end the jobs, or send them on: to wait for the target's replicas
//! ([`safe`]), or to wait a moment and ask again. Reads of big keys go on at the source ([`read`]).
//!
//! Who waits is a [`Wait`], one a session. It is named by session and round, so that a job's answer cannot reach
//! the next request of the session, or the next session of the index.

mod answer;
mod ask;
mod audit;
mod jobs;
mod memory;
mod read;
mod safe;

use super::Engine;
use super::dispatch::Flow;
use super::everywhere::runs_script;
use super::lane::Lane;
use super::route::Route;
use super::session::Stall;
use crate::command::CommandId;
use crate::resp::Request;
use crate::topology::Address;
use ahash::AHashMap;
use memory::{Memory, Pin, Place};
use safe::Safe;
use slab::Slab;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::rc::Rc;

/// What a backend connection's server calls itself.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) enum RunId {
    /// It has not been asked.
    #[default]
    Unknown,
    /// It has been, on this connection.
    Asked,
    /// It has said so on this connection, and so cannot have become another since.
    Known(Box<str>),
}

/// What becomes of a job next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// It stands in its line.
    Queued,
    /// A call to the source is under way.
    Called,
    /// The target has the key, and the source too, until the target's copy is safe.
    Copied,
    /// Nothing happens before this time; then it is asked for again, or whether the copy is safe.
    Paused { due_us: u64, copied: bool },
}

/// A key that is to leave its source.
#[derive(Debug)]
struct Job {
    place: Place,
    key: Rc<[u8]>,
    /// The connection to the source.
    backend: u32,
    target: Address,
    /// Sessions, and the rounds of their waits.
    waiters: Vec<(u32, u64)>,
    step: Step,
    /// The source says that it is big. It stays for the migrator; reads go on there.
    big: bool,
    /// It goes in a call of its own.
    alone: bool,
    /// A newer topology has ended it: what is under way is its last step.
    cancelled: bool,
    pause_us: u64,
}

/// What a wait has come to.
#[derive(Debug)]
enum Outcome {
    /// A key cannot be moved: the sentence for the client.
    Failed(String),
    /// The source has answered the read of a big key.
    Answer { reply: Vec<u8>, since_us: u32 },
    /// The target has the big key that is to be read...
    AtTarget,
    /// ...or it has not, and had not while this connection to the source stood.
    NotAtTarget(read::Standing),
}

/// A session's request that waits for its keys.
#[derive(Debug)]
struct Wait {
    /// Names this wait; another one each time that the request is offered.
    round: u64,
    /// The request's place in its session.
    sequence: u32,
    /// When it was offered first.
    began_us: u64,
    /// Keys that have not left.
    missing: usize,
    /// It reads one key.
    reads: bool,
    outcome: Option<Outcome>,
    pin: Pin,
}

/// The jobs of one connection to a source, for one target.
#[derive(Debug)]
struct Line {
    backend: u32,
    target: Address,
    queue: VecDeque<u32>,
    /// Calls of the script that are under way.
    calls: usize,
    /// It is in the list of lines to look at.
    dirty: bool,
}

/// What a call's replies are for; the call's place is the `sequence` of its entries in flight, and which of the replies
/// it is their `session`.
#[derive(Debug)]
enum What {
    /// INFO, for the source's run id.
    RunId,
    /// The move script.
    Script { line: u32, jobs: Vec<u32>, copy: bool },
    /// The old copies go.
    Unlink { jobs: Vec<u32> },
    /// Whether copies at the target are safe.
    Safe(safe::Question),
    /// Whether the target has a big key.
    Look(read::Looking),
    /// The read of a big key at its source.
    Read(read::Reading),
}

/// A call to a server.
#[derive(Debug)]
struct Call {
    backend: u32,
    what: What,
}

/// All that a shard knows of keys that are on their way.
#[derive(Debug, Default)]
pub(super) struct Moves {
    memory: Memory,
    /// By session.
    waits: AHashMap<u32, Wait>,
    rounds: u64,
    jobs: Slab<Job>,
    /// By database, then by key.
    by_key: AHashMap<u16, AHashMap<Rc<[u8]>, u32>>,
    lines: Slab<Line>,
    line_of: AHashMap<(u32, Address), u32>,
    /// Lines to look at before the turn ends.
    dirty_lines: Vec<u32>,
    calls: Slab<Call>,
    safes: AHashMap<Address, Safe>,
    /// Targets to ask before the turn ends.
    dirty_safes: Vec<Address>,
    /// When paused jobs go on; entries whose job is at another step, or at another time, are stale.
    paused: BinaryHeap<Reverse<(u64, u32)>>,
}

impl Moves {
    /// Whether something is to be sent before the turn ends.
    #[inline]
    pub(super) fn pending(&self) -> bool {
        !self.dirty_lines.is_empty() || !self.dirty_safes.is_empty()
    }

    /// When the first paused job goes on.
    #[inline]
    pub(super) fn due_us(&self) -> u64 {
        self.paused.peek().map_or(u64::MAX, |Reverse((due, _))| *due)
    }

    /// The wait that is named by session and round, if it is still the session's.
    fn wait(&mut self, session: u32, round: u64) -> Option<&mut Wait> {
        self.waits.get_mut(&session).filter(|wait| wait.round == round)
    }

    /// Whether the answer to a session's next request is here, and is given to it when it goes on.
    pub(super) fn holds_answer(&self, session: u32) -> bool {
        let outcome = self.waits.get(&session).and_then(|wait| wait.outcome.as_ref());
        matches!(outcome, Some(Outcome::Answer { .. }))
    }

    /// The job of a key.
    fn job_of(&self, database: u16, key: &[u8]) -> Option<u32> {
        self.by_key.get(&database)?.get(key).copied()
    }

    fn remove_job(&mut self, job: u32) -> Job {
        let job = self.jobs.remove(job as usize);
        if !job.cancelled {
            self.unname(&job.key, job.place.database);
        }
        job
    }

    /// The next request for the key finds no job.
    fn unname(&mut self, key: &[u8], database: u16) {
        if let Some(jobs) = self.by_key.get_mut(&database) {
            jobs.remove(key);
            if jobs.is_empty() {
                self.by_key.remove(&database);
            }
        }
    }

    /// Those of the jobs that go on; the others are dropped.
    fn drop_cancelled(&mut self, mut jobs: Vec<u32>) -> Vec<u32> {
        jobs.retain(|job| drop_if_cancelled(&mut self.jobs, *job));
        jobs
    }

    /// The same for all jobs that nothing is under way for.
    fn drop_cancelled_queues(&mut self) {
        let jobs = &mut self.jobs;
        for (_, line) in &mut self.lines {
            line.queue.retain(|job| drop_if_cancelled(jobs, *job));
        }
        for safe in self.safes.values_mut() {
            safe.retain(|job| drop_if_cancelled(jobs, job));
        }
    }

    fn end_wait(&mut self, session: u32) {
        if let Some(wait) = self.waits.remove(&session) {
            self.memory.end_wait(wait.pin);
        }
    }
}

/// Whether a job goes on; drops it if not.
fn drop_if_cancelled(jobs: &mut Slab<Job>, job: u32) -> bool {
    let goes_on = !jobs[job as usize].cancelled;
    if !goes_on {
        jobs.remove(job as usize);
    }
    goes_on
}

impl Engine {
    /// Takes a request, all of whose keys are of one slot that migrates, to the target, once they have left the source.
    #[cold]
    pub(super) fn follow(
        &mut self,
        session: u32,
        id: CommandId,
        slot: u16,
        keys: &[u32],
        read_only: bool,
        request: &Request<'_>,
    ) -> Flow {
        let lane = self.sessions[session as usize].lane();
        let mut target = None;
        let mut unmoved = Vec::new();
        for key in keys.iter().map(|key| request.arg(*key as usize)) {
            match self.moved_to(slot, lane, key) {
                Some(backend) => target = Some(backend),
                None => unmoved.push(key),
            }
        }
        match target {
            Some(backend) if unmoved.is_empty() => {
                if runs_script(id) {
                    self.before_script(backend, id, request);
                }
                self.send(session, backend, id, request)
            }
            _ => {
                let read = (read_only && keys.len() == 1).then_some(request);
                self.wait_for_keys(session, id, &unmoved, read)
            }
        }
    }

    /// The connection to the target of a slot that migrates, if the key is known to have left the source.
    #[cold]
    pub(super) fn moved_to(&mut self, slot: u16, lane: Lane, key: &[u8]) -> Option<u32> {
        let Route::Migrating { to, .. } = self.routes.slots[usize::from(slot)] else { return None };
        let place = self.place(slot, lane.database)?;
        let known = self.moves.memory.knows(place, key);
        known.then(|| self.backend_at(to, lane, slot))
    }

    /// The connection to the target of a slot that migrates.
    pub(super) fn target_of(&mut self, slot: u16, lane: Lane) -> Option<u32> {
        let Route::Migrating { to, .. } = self.routes.slots[usize::from(slot)] else { return None };
        Some(self.backend_at(to, lane, slot))
    }

    /// Lets a session wait until these keys, each of a slot that migrates, have left their sources; or answers its
    /// request, if it has waited for them and that has come to an end. `read` is the request where it reads one key.
    #[cold]
    pub(super) fn wait_for_keys(
        &mut self,
        session: u32,
        id: CommandId,
        keys: &[&[u8]],
        read: Option<&Request<'_>>,
    ) -> Flow {
        let database = self.sessions[session as usize].database;
        let keys: Vec<(u16, &[u8])> = keys.iter().map(|key| (database, *key)).collect();
        self.wait_for_places(session, id, &keys, read)
    }

    /// The same for keys of several databases.
    #[cold]
    pub(super) fn wait_for_places(
        &mut self,
        session: u32,
        id: CommandId,
        keys: &[(u16, &[u8])],
        read: Option<&Request<'_>>,
    ) -> Flow {
        match self.take_outcome(session) {
            Some(Outcome::Failed(text)) => return self.fail(session, id, &text),
            Some(Outcome::Answer { reply, since_us }) => {
                self.record(id, since_us, &reply);
                self.reply(session, &reply);
                return Flow::Next;
            }
            looked => {
                if let (Some(request), &[key]) = (read, keys)
                    && let Some(flow) = self.read_big(session, id, key, request, looked.as_ref())
                {
                    return flow;
                }
            }
        }
        let round = self.begin_wait(session, keys.len(), read.is_some());
        for &(database, key) in keys {
            if let Some(job) = self.job_for(database, key) {
                self.moves.jobs[job as usize].waiters.push((session, round));
            }
        }
        Flow::Wait
    }

    /// What the wait of the session's next request has come to.
    fn take_outcome(&mut self, session: u32) -> Option<Outcome> {
        let next = self.sessions[session as usize].next;
        let wait = self.moves.waits.get_mut(&session)?;
        if wait.sequence != next {
            self.moves.end_wait(session);
            return None;
        }
        wait.outcome.take()
    }

    /// The session's next request waits for so many keys; answers the round.
    fn begin_wait(&mut self, session: u32, missing: usize, reads: bool) -> u64 {
        let target = &mut self.sessions[session as usize];
        target.stall = Stall::Move;
        let Moves { waits, rounds, memory, .. } = &mut self.moves;
        *rounds += 1;
        let counters = &mut self.counters.moves;
        let wait = waits.entry(session).or_insert_with(|| {
            counters.requests_waited += 1;
            Wait {
                round: 0,
                sequence: target.next,
                began_us: self.now_us,
                missing,
                reads,
                outcome: None,
                pin: memory.begin_wait(),
            }
        });
        (wait.round, wait.missing, wait.reads) = (*rounds, missing, reads);
        *rounds
    }

    /// The session's request was offered again, and waits for keys no more.
    pub(super) fn end_wait_unless_stalled(&mut self, session: u32) {
        if !self.moves.waits.is_empty()
            && self.sessions.get(session as usize).is_none_or(|target| target.stall != Stall::Move)
        {
            self.moves.end_wait(session);
        }
    }

    /// A session is closed.
    pub(super) fn forget_wait(&mut self, session: u32) {
        self.moves.end_wait(session);
    }
}
