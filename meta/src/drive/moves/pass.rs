//! One pass over a source: every key of the slots that leave it is handed to the move script.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use codis_proto::CLEAN_KEY;
use codis_proto::moves::{Moved, SEVERAL, Script, Target, UNCLEAN, UNKNOWN, unlink_arguments};

use super::board::Step;
use super::exclusion::Moment;
use super::link::{CALL_MAX, Link};
use super::net::{Net, Request, Value, request};
use super::pace::Pace;
use super::plan::{Place, Plan};
use super::settle::{self, Waiter};
use super::slot::slot;
use super::source::Lookout;
use super::trouble::Trouble;
use super::walk::{SCAN_COUNT, Walk};
use super::{Member, Mover, Servers};
use crate::state::limits::SLOT_COUNT;

/// How many places of the table a SCAN beside a batch looks at, at most.
const SCAN_MAX: usize = 1000;

/// How often the way to the source is measured, of which the shortest counts.
const PINGS: usize = 5;

/// What a pass came to.
#[derive(Debug, Default)]
pub(super) struct Passed {
    /// Slots of which a key was found, or that could not be looked after.
    pub(super) unfinished: BTreeSet<u32>,
    /// Targets that nothing could be moved to, and why.
    pub(super) blocked: BTreeMap<u32, String>,
}

/// What is on its way to one target.
struct Lane<'p, C> {
    place: &'p Place,
    queue: VecDeque<(u32, Vec<u8>)>,
    script: Script,
    waiter: Waiter<C>,
    blocked: Option<String>,
    /// So many of the next keys go one by one.
    singly: usize,
}

/// Old copies of keys that are safe on the target of a lane.
struct Removal {
    lane: u32,
    database: u32,
    keys: Vec<Vec<u8>>,
}

/// A step that is asked for.
struct Batch {
    lane: u32,
    database: u32,
    keys: Vec<Vec<u8>>,
    request: Request,
}

pub(super) struct Pass<'p, 'm, M, S, N: Net> {
    mover: &'p Mover<'m, M, S, N>,
    plan: &'p Plan,
    moment: &'p Moment,
    source: Link<N::Connection>,
    lanes: BTreeMap<u32, Lane<'p, N::Connection>>,
    /// By slot, the lane that its keys take; 0 for none.
    lane_of: [u32; SLOT_COUNT],
    pace: &'p mut Pace,
    /// How long the way to the source and back takes, once it is known.
    way: Option<Duration>,
    /// To be made with the next step.
    removals: Vec<Removal>,
    /// Keys that are to go in pieces.
    big: VecDeque<(u32, Vec<u8>)>,
    unfinished: BTreeSet<u32>,
}

impl<'p, 'm, M: Member, S: Servers, N: Net> Pass<'p, 'm, M, S, N> {
    /// A pass by what the plan says is migrating, to all but the targets in `resting`.
    pub(super) async fn begin(
        mover: &'p Mover<'m, M, S, N>,
        plan: &'p Plan,
        moment: &'p Moment,
        resting: &BTreeSet<u32>,
        pace: &'p mut Pace,
    ) -> Result<Self, Trouble> {
        let source = mover.open(&plan.source.address).await?;
        let mut pass = Pass {
            mover,
            plan,
            moment,
            source,
            lanes: BTreeMap::new(),
            lane_of: [0; SLOT_COUNT],
            pace,
            way: None,
            removals: Vec::new(),
            big: VecDeque::new(),
            unfinished: BTreeSet::new(),
        };
        for one in plan.migrating() {
            let Some(place) = plan.targets.get(&one.target) else { continue };
            if resting.contains(&one.target) {
                pass.unfinished.insert(one.slot);
                continue;
            }
            pass.lane_of[one.slot as usize] = one.target;
            pass.lanes.entry(one.target).or_insert_with(|| Lane {
                place,
                queue: VecDeque::new(),
                script: Script::Sha1,
                waiter: Waiter::default(),
                blocked: None,
                singly: 0,
            });
        }
        Ok(pass)
    }

    /// Takes it, big keys that are known first.
    pub(super) async fn run(
        mut self,
        known_big: Vec<(u32, Vec<u8>)>,
        lookout: &mut Lookout,
    ) -> Result<Passed, Trouble> {
        for (database, key) in known_big {
            if self.lane_of[slot(&key) as usize] != 0 {
                self.big.push_back((database, key));
            }
        }
        self.move_big(lookout).await?;
        let mut walk = Walk::begin(&mut self.source).await?;
        loop {
            lookout.look(self.mover, self.plan).await?;
            let batch = self.next_batch(walk.is_over());
            if batch.is_none() && walk.is_over() && self.removals.is_empty() {
                break;
            }
            let moved = batch.is_some();
            self.step(batch, &mut walk).await?;
            self.move_big(lookout).await?;
            if moved && !self.plan.rules.interval.is_zero() {
                self.mover.net.sleep(self.plan.rules.interval).await;
            }
        }
        self.check_clean().await?;
        let blocked = self.lanes.iter();
        let blocked = blocked.filter_map(|(id, lane)| Some((*id, lane.blocked.clone()?)));
        Ok(Passed { blocked: blocked.collect(), unfinished: self.unfinished })
    }

    /// How many places a step with a batch or without looks at: none where the keys for another batch are there. Beside
    /// a batch it is about as many as have gone with it, so that one step is like the other.
    fn scan_count(&self, beside_a_batch: bool) -> usize {
        let size = self.pace.size(self.plan.rules.batch_keys);
        let queued: usize = self.lanes.values().map(|lane| lane.queue.len()).sum();
        match beside_a_batch {
            true if queued >= size => 0,
            true => size.min(SCAN_MAX),
            false => SCAN_COUNT,
        }
    }

    /// The keys for the next step: a whole batch, or what there is at the end of the walk.
    fn next_batch(&mut self, walk_is_over: bool) -> Option<Batch> {
        let size = self.pace.size(self.plan.rules.batch_keys);
        loop {
            let full = |lane: &Lane<'_, _>| lane.queue.len() >= size;
            let fullest = self.lanes.iter_mut().max_by_key(|(_, lane)| lane.queue.len());
            let (id, lane) = fullest.filter(|(_, lane)| full(lane) || walk_is_over)?;
            let database = lane.queue.front()?.0;
            let size = if lane.singly > 0 { 1 } else { size };
            lane.singly = lane.singly.saturating_sub(1);
            let same = lane.queue.iter().take(size).take_while(|(other, _)| *other == database);
            let count = same.count();
            let mut keys: Vec<Vec<u8>> = lane.queue.drain(..count).map(|(_, key)| key).collect();
            // SCAN may tell a key twice, and MIGRATE finds the second one at the target already.
            keys.sort_unstable();
            keys.dedup();
            let request = self.mover.move_request(
                &self.plan.rules,
                lane.place,
                &self.source.run_id,
                (database, &keys, lane.script),
            );
            match request {
                Some(request) => return Some(Batch { lane: *id, database, keys, request }),
                None => {
                    let address = &lane.place.address;
                    let why = format!(
                        "{address} is no address that another server can move keys to: give it one of host and port"
                    );
                    let id = *id;
                    self.block(id, why);
                }
            }
        }
    }

    /// Gives a target up for this pass.
    fn block(&mut self, id: u32, why: String) {
        let slots = self.lane_of.iter_mut().enumerate().filter(|(_, lane)| **lane == id);
        for (number, lane) in slots {
            *lane = 0;
            self.unfinished.insert(u32::try_from(number).unwrap_or(u32::MAX));
        }
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.queue.clear();
            lane.blocked = Some(why);
        }
    }

    /// Removes what is safe elsewhere, moves a batch and reads on, in one go.
    async fn step(&mut self, mut batch: Option<Batch>, walk: &mut Walk) -> Result<(), Trouble> {
        let group = batch.as_ref().map_or(self.plan.source.group, |batch| batch.lane);
        let inside = self.mover.exclusion.enter(self.moment, [self.plan.source.group, group]);
        let _inside = inside.ok_or(Trouble::Stale)?;
        let removals = std::mem::take(&mut self.removals);
        let mut requests: Vec<(u32, Request)> =
            removals.iter().map(|one| (one.database, self.removal_request(one))).collect();
        requests.extend(
            batch.as_mut().map(|batch| (batch.database, std::mem::take(&mut batch.request))),
        );
        let places = self.scan_count(batch.is_some());
        let scan = (places > 0).then(|| walk.question(places)).flatten();
        let scans = scan.is_some();
        requests.extend(scan);
        // Within the script the source may wait for the target, for a key and then for another.
        let patience = CALL_MAX * 2 + Duration::from_millis(self.plan.rules.migrate_timeout_ms * 4);
        let began = self.mover.net.now();
        let answers = self.source.ask(requests, patience).await?;
        let took = self.mover.net.now().saturating_sub(began);
        let mut answers = answers.into_iter();
        for removal in removals {
            self.removed(removal, answers.next()).await?;
        }
        let answer = batch.as_ref().and_then(|_| answers.next());
        if let Some(answer) = answers.next().filter(|_| scans) {
            let page = walk.answer(&self.source, answer)?;
            for key in page.keys {
                self.found(page.database, key);
            }
        }
        match (batch, answer) {
            (Some(batch), Some(answer)) => self.judge(batch, answer, took).await,
            _ => Ok(()),
        }
    }

    fn removal_request(&self, removal: &Removal) -> Request {
        let keys: Vec<&[u8]> = removal.keys.iter().map(Vec::as_slice).collect();
        let address = self.plan.targets.get(&removal.lane).map_or("", |place| &place.address);
        unlink_arguments(&self.source.run_id, address, removal.database, &keys)
    }

    /// Old copies were removed, unless a MIGRATE of a proxy may still bring them back: then they go the way of all keys again.
    async fn removed(&mut self, removal: Removal, answer: Option<Value>) -> Result<(), Trouble> {
        let why = match answer {
            Some(Value::Error(why)) if why.starts_with(UNCLEAN) => why,
            Some(Value::Error(why)) => return Err(self.source.refused("UNLINK", &why)),
            _ => return Ok(()),
        };
        let Removal { lane, database, keys } = removal;
        self.refused(lane, database, keys, &why).await
    }

    /// A slot is done only where no MIGRATE of its keys can still be at work on the target.
    async fn check_clean(&mut self) -> Result<(), Trouble> {
        let open = self.lanes.iter().filter(|(_, lane)| lane.blocked.is_none());
        for id in open.map(|(id, _)| *id).collect::<Vec<_>>() {
            let Some(lane) = self.lanes.get(&id) else { continue };
            let look = request(&["HGET", CLEAN_KEY, &lane.place.address]);
            let held = self.source.all_well_in(0, vec![look], CALL_MAX).await?.pop();
            if held.as_ref().and_then(Value::text) == Some(self.source.run_id.as_str()) {
                continue;
            }
            let slots = (0..).zip(&self.lane_of).filter(|(_, lane)| **lane == id);
            self.unfinished.extend(slots.map(|(number, _)| number));
            self.clean(id).await?;
        }
        Ok(())
    }

    fn found(&mut self, database: u32, key: Vec<u8>) {
        let number = slot(&key);
        let id = self.lane_of[number as usize];
        if let Some(lane) = self.lanes.get_mut(&id) {
            self.unfinished.insert(number);
            lane.queue.push_back((database, key));
        }
    }

    /// What became of a batch.
    async fn judge(&mut self, batch: Batch, answer: Value, took: Duration) -> Result<(), Trouble> {
        let Batch { lane: id, database, keys, .. } = batch;
        let items = match answer {
            Value::Error(why) => return self.refused(id, database, keys, &why).await,
            answer => answer.into_items().unwrap_or_default(),
        };
        if items.len() != keys.len() + 3 {
            return Err(self.source.refused("the move script", "not as it answers"));
        }
        let bytes = items[keys.len()].integer().and_then(|bytes| u64::try_from(bytes).ok());
        let kept = items[keys.len() + 1].integer().and_then(|micros| u64::try_from(micros).ok());
        let words = items[keys.len() + 2].text().unwrap_or_default().to_owned();
        let count = keys.len();
        let mut outcome = Sorted::default();
        for (key, item) in keys.into_iter().zip(&items) {
            outcome.sort(key, item.integer().and_then(Moved::from_number));
        }
        let Sorted { there, big, not_tried, went, failed } = outcome;
        // How long the source was kept, by its own clock: the way there and back keeps nobody.
        let kept = match kept.filter(|micros| *micros > 0) {
            Some(micros) => Duration::from_micros(micros),
            // For a script, that clock stands still at some servers: Valkey 9 is one.
            None if went > 0 => took.saturating_sub(self.way_there_and_back().await?),
            None => took,
        };
        if went > 0 {
            self.pace.learn(count - not_tried.len(), kept, self.plan.rules.batch_time);
        }
        let Some(lane) = self.lanes.get_mut(&id) else { return Ok(()) };
        lane.script = Script::Sha1;
        not_tried.into_iter().rev().for_each(|key| lane.queue.push_front((database, key)));
        self.big.extend(big.into_iter().map(|key| (database, key)));
        if !there.is_empty() && settle::is_needed(&self.plan.rules, lane.place) {
            match self.mover.settle(&mut lane.waiter, &self.plan.rules, lane.place).await {
                Ok(()) => self.removals.push(Removal { lane: id, database, keys: there }),
                Err(Trouble::Stale) => return Err(Trouble::Stale),
                Err(error) => {
                    self.block(id, error.to_string());
                    return Ok(());
                }
            }
        }
        let step = Step { keys: went, bytes: bytes.unwrap_or(0), took: kept };
        let size = self.pace.size(self.plan.rules.batch_keys);
        self.mover.board.step(self.plan.source.group, self.mover.net.now(), step, size);
        if failed {
            let address = &self.plan.targets[&id].address;
            self.block(id, format!("{address} does not take a key: {words}"));
        }
        Ok(())
    }

    /// How long the way to the source and back takes; measured once.
    async fn way_there_and_back(&mut self) -> Result<Duration, Trouble> {
        if let Some(known) = self.way {
            return Ok(known);
        }
        let mut shortest = Duration::MAX;
        for _ in 0..PINGS {
            let began = self.mover.net.now();
            self.source.all_well(vec![request(&["PING"])]).await?;
            shortest = shortest.min(self.mover.net.now().saturating_sub(began));
        }
        self.way = Some(shortest);
        Ok(shortest)
    }

    /// The script did nothing, or nobody knows what.
    async fn refused(
        &mut self,
        id: u32,
        database: u32,
        keys: Vec<Vec<u8>>,
        why: &str,
    ) -> Result<(), Trouble> {
        let Some(lane) = self.lanes.get_mut(&id) else { return Ok(()) };
        keys.into_iter().rev().for_each(|key| lane.queue.push_front((database, key)));
        if why.starts_with("NOSCRIPT") {
            lane.script = Script::Text;
            return Ok(());
        }
        if why.starts_with(SEVERAL) {
            lane.singly = lane.queue.len();
        } else if ![UNCLEAN, UNKNOWN].iter().any(|word| why.starts_with(word)) {
            let why = self.source.refused("the move script", why).to_string();
            self.block(id, why);
            return Ok(());
        }
        self.clean(id).await
    }

    /// Makes the source clean towards the target of a lane; a target that does not answer is given up.
    async fn clean(&mut self, id: u32) -> Result<(), Trouble> {
        let Some(lane) = self.lanes.get(&id) else { return Ok(()) };
        match self.mover.clean(&mut self.source, lane.place).await {
            Ok(()) => Ok(()),
            Err(error @ Trouble::Away { .. }) if !error.is_of(self.source.address()) => {
                self.block(id, error.to_string());
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// The next key to go in pieces: those that clients wait for come first.
    fn next_big(&mut self) -> Option<(u32, Vec<u8>)> {
        let moves = |key: &[u8]| self.lane_of[slot(key) as usize] != 0;
        self.mover.wanted.take(moves).or_else(|| self.big.pop_front())
    }

    /// Moves what is to go in pieces.
    async fn move_big(&mut self, lookout: &mut Lookout) -> Result<(), Trouble> {
        while let Some((database, key)) = self.next_big() {
            let number = slot(&key);
            let id = self.lane_of[number as usize];
            let Some(lane) = self.lanes.get_mut(&id) else { continue };
            self.unfinished.insert(number);
            let place = lane.place;
            let moved =
                self.mover.move_big(self.plan, self.moment, place, database, &key, lookout).await;
            match moved {
                // Proxies may have asked for it once more meanwhile.
                Ok(()) => self.mover.wanted.forget(database, &key),
                Err(error @ (Trouble::Lost(_) | Trouble::Stale)) => return Err(error),
                Err(error) if error.is_of(self.source.address()) => return Err(error),
                Err(error) => self.block(id, error.to_string()),
            }
        }
        Ok(())
    }
}

/// The keys of a batch by what became of them.
#[derive(Default)]
struct Sorted {
    there: Vec<Vec<u8>>,
    big: Vec<Vec<u8>>,
    not_tried: Vec<Vec<u8>>,
    went: u64,
    failed: bool,
}

impl Sorted {
    fn sort(&mut self, key: Vec<u8>, moved: Option<Moved>) {
        match moved {
            Some(Moved::NotHere) => {}
            Some(Moved::There) => {
                self.went += 1;
                self.there.push(key);
            }
            Some(Moved::WasThere) => self.there.push(key),
            Some(Moved::Big) => self.big.push(key),
            Some(Moved::NotTried) => self.not_tried.push(key),
            Some(Moved::Failed) | None => self.failed = true,
        }
    }
}

impl<M: Member, S: Servers, N: Net> Mover<'_, M, S, N> {
    /// The request that moves keys of a database to a target.
    pub(super) fn move_request(
        &self,
        rules: &super::plan::Rules,
        target: &Place,
        run_id: &str,
        (database, keys, script): (u32, &[Vec<u8>], Script),
    ) -> Option<Request> {
        let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
        let target = Target {
            address: &target.address,
            database,
            password: self.password,
            timeout_ms: rules.migrate_timeout_ms,
            copy: settle::is_needed(rules, target),
            big_bytes: rules.big_bytes,
            big_elements: rules.big_elements,
            budget_bytes: rules.batch_bytes,
        };
        target.arguments(script, run_id, &keys)
    }
}
