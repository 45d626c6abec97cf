//! The moves away from one group, from the first slot to the last.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use codis_proto::meta::v1 as pb;
use pb::SlotStep;
use pb::command::Change;

use super::exclusion::Moment;
use super::net::Net;
use super::pace::Pace;
use super::pass::{Pass, Passed};
use super::plan::{Phase, Plan, SlotMove};
use super::rest::Rests;
use super::trouble::Trouble;
use super::{Member, Mover, Servers};
use crate::drive::member::Lost;
use crate::state;

/// How long to wait for a change of the state before looking anyhow.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long to wait before looking again where it did not hold what was seen.
const PAUSE: Duration = Duration::from_millis(5);

/// How long a server rests that nothing could be moved from or to.
const REST_MIN: Duration = Duration::from_millis(50);
const REST_MAX: Duration = Duration::from_secs(1);

/// What is known of the moves away from a group beside the state.
pub(super) struct Session {
    pace: Pace,
    /// Servers by their groups, the source included.
    rests: Rests<u32>,
    /// The slots, by the orders of their actions, whose keys have been counted.
    weighed: BTreeSet<u64>,
    /// Keys that are known to be big.
    big: Vec<(u32, Vec<u8>)>,
}

impl Session {
    fn new() -> Self {
        Self {
            pace: Pace::default(),
            rests: Rests::new(REST_MIN, REST_MAX),
            weighed: BTreeSet::new(),
            big: Vec::new(),
        }
    }

    /// Counts the keys of those of the slots that have not been counted.
    pub(super) async fn weigh<M: Member, S: Servers, N: Net>(
        &mut self,
        mover: &Mover<'_, M, S, N>,
        plan: &Plan,
        slots: BTreeSet<u32>,
    ) -> Result<(), Trouble> {
        let new = plan.moves.iter().filter(|one| slots.contains(&one.slot));
        let new: Vec<&SlotMove> = new.filter(|one| !self.weighed.contains(&one.order)).collect();
        if new.is_empty() {
            return Ok(());
        }
        let numbers: BTreeSet<u32> = new.iter().map(|one| one.slot).collect();
        let weighed = mover.weigh_source(plan, &numbers).await?;
        mover.board.found(plan.source.group, weighed.keys, weighed.bytes);
        self.big.extend(weighed.big);
        self.weighed.extend(new.iter().map(|one| one.order));
        Ok(())
    }
}

/// Whether what a pass goes by is so still: asked at each change of the state, and of the whole group
/// now and then, so that a leader of the past stops soon.
pub(super) struct Lookout {
    applied: u64,
    looked: Duration,
}

impl Lookout {
    /// See the type.
    pub(super) async fn look<M: Member, S: Servers, N: Net>(
        &mut self,
        mover: &Mover<'_, M, S, N>,
        plan: &Plan,
    ) -> Result<(), Trouble> {
        let (applied, now) = (mover.member.applied(), mover.net.now());
        let due = now.saturating_sub(self.looked) >= LOOK_EVERY;
        if applied == self.applied && !due {
            return Ok(());
        }
        let source = plan.source.group;
        let newest = move |state: &pb::State| Plan::of(state, source);
        let newest = if due {
            self.looked = now;
            mover.member.look(newest).await?
        } else {
            mover.member.peek(newest).await?
        };
        self.applied = applied;
        let holds = newest.is_some_and(|newest| plan.holds_in(&newest));
        if holds { Ok(()) } else { Err(Trouble::Stale) }
    }
}

impl<M: Member, S: Servers, N: Net> Mover<'_, M, S, N> {
    /// Drives the moves away from a group until there are none.
    pub(super) async fn drive(&self, group: u32) -> Result<(), Lost> {
        let mut session = Session::new();
        loop {
            let applied = self.member.applied();
            let moment = self.exclusion.moment();
            let plan = self.member.look(move |state| Plan::of(state, group)).await?;
            let Some(plan) = plan else { return Ok(()) };
            self.board.enter(group, &plan.source.address);
            if self.roll_back_others(&plan).await?
                || self.prepare(&mut session, &plan, &moment).await?
            {
                continue;
            }
            if !self.go_on(&mut session, &plan, &moment).await? {
                self.idle(&session, &plan, applied).await;
            }
        }
    }

    /// Rolls back what another leader has begun: what it knew of the targets is not known here.
    async fn roll_back_others(&self, plan: &Plan) -> Result<bool, Lost> {
        let preparing = |one: &&SlotMove| matches!(one.phase, Phase::Preparing(_));
        let found: Vec<SlotMove> = plan.moves.iter().filter(preparing).cloned().collect();
        let reason = "the leader changed while proxies were waited for";
        self.advance_all(&found, SlotStep::RollBack, reason).await?;
        Ok(!found.is_empty())
    }

    /// Takes a pass, if there is something to move. Answers whether there was.
    async fn go_on(
        &self,
        session: &mut Session,
        plan: &Plan,
        moment: &Moment,
    ) -> Result<bool, Lost> {
        let group = plan.source.group;
        let resting: BTreeSet<u32> = session.rests.resting(self.net.now()).copied().collect();
        let movable = |one: &SlotMove| !resting.contains(&one.target);
        let something = plan.migrating().any(movable) && !resting.contains(&group);
        if plan.rules.paused || !something {
            return Ok(false);
        }
        let result = match self.weigh_inherited(session, plan).await {
            Ok(()) => self.pass(session, plan, moment, &resting).await,
            Err(trouble) => Err(trouble),
        };
        match result {
            Ok(passed) => self.conclude(session, plan, passed, &resting).await?,
            Err(Trouble::Lost(lost)) => return Err(lost),
            Err(Trouble::Stale) => self.net.sleep(PAUSE).await,
            Err(trouble) => {
                session.rests.failed(group, self.net.now());
                self.board.trouble(group, &trouble.to_string());
                let moves: Vec<SlotMove> = plan.migrating().cloned().collect();
                self.note(&moves, &trouble.to_string()).await?;
            }
        }
        Ok(true)
    }

    /// Counts what slots have that another leader made ready.
    async fn weigh_inherited(&self, session: &mut Session, plan: &Plan) -> Result<(), Trouble> {
        let slots: BTreeSet<u32> = plan.migrating().map(|one| one.slot).collect();
        session.weigh(self, plan, slots).await
    }

    async fn pass(
        &self,
        session: &mut Session,
        plan: &Plan,
        moment: &Moment,
        resting: &BTreeSet<u32>,
    ) -> Result<Passed, Trouble> {
        self.board.doing(plan.source.group, "moving");
        let mut lookout = Lookout { applied: 0, looked: self.net.now() };
        let pass = Pass::begin(self, plan, moment, resting, &mut session.pace).await?;
        pass.run(std::mem::take(&mut session.big), &mut lookout).await
    }

    /// Commits the slots that are empty, and notes what stands in the way of others.
    async fn conclude(
        &self,
        session: &mut Session,
        plan: &Plan,
        passed: Passed,
        resting: &BTreeSet<u32>,
    ) -> Result<(), Lost> {
        let group = plan.source.group;
        session.rests.well(&group);
        let done = |one: &&SlotMove| !passed.unfinished.contains(&one.slot);
        let done: Vec<SlotMove> = plan.migrating().filter(done).cloned().collect();
        self.meet_targets(plan, &done).await;
        if self.advance_all(&done, SlotStep::Done, "").await? {
            self.board.done(done.len());
        }
        for one in &done {
            session.weighed.remove(&one.order);
        }
        let mut troubles = String::new();
        for target in plan.targets.keys().filter(|target| !resting.contains(target)) {
            let to =
                |one: &&SlotMove| one.target == *target && !done.iter().any(|d| d.slot == one.slot);
            let moves: Vec<SlotMove> = plan.migrating().filter(to).cloned().collect();
            let why = passed.blocked.get(target);
            match why {
                None => session.rests.well(target),
                Some(why) => {
                    session.rests.failed(*target, self.net.now());
                    why.clone_into(&mut troubles);
                }
            }
            self.note(&moves, why.map_or("", String::as_str)).await?;
        }
        self.board.trouble(group, &troubles);
        Ok(())
    }

    /// Connects to those targets that this leader has had no reason to, so that nothing stays there that
    /// the last one left. One that cannot be reached is left: what is there is in nobody's way.
    async fn meet_targets(&self, plan: &Plan, done: &[SlotMove]) {
        let targets: BTreeSet<u32> = done.iter().map(|one| one.target).collect();
        let places = targets.iter().filter_map(|target| plan.targets.get(target));
        for place in places.filter(|place| !self.hosts.has_met(&place.address)) {
            if let Err(trouble) = self.open(&place.address).await {
                tracing::info!("it was not seen to what earlier moves have left there: {trouble}");
            }
        }
    }

    /// Waits for a change, or until something may be tried again.
    async fn idle(&self, session: &Session, plan: &Plan, applied: u64) {
        let doing = if plan.rules.paused { "paused" } else { "waiting" };
        self.board.doing(plan.source.group, doing);
        let now = self.net.now();
        let next = [session.rests.next(now), self.admission.next(now), Some(LOOK_EVERY)];
        let next = next.into_iter().flatten().min().unwrap_or(LOOK_EVERY);
        self.member.applied_beyond(applied, next).await;
    }

    /// Notes why slots are not further; empty where nothing is in their way. What has been noted is not noted again.
    pub(super) async fn note(&self, slots: &[SlotMove], reason: &str) -> Result<(), Lost> {
        let kept = if reason.is_empty() { String::new() } else { state::reason(reason) };
        let known = |one: &&SlotMove| one.failure != kept;
        let news: Vec<SlotMove> = slots.iter().filter(known).cloned().collect();
        if !news.is_empty() && !reason.is_empty() {
            tracing::warn!("{} slots do not move: {reason}", news.len());
        }
        self.advance_all(&news, SlotStep::Note, reason).await?;
        Ok(())
    }

    /// Takes a step with slots of different epochs. Answers whether all were accepted.
    async fn advance_all(
        &self,
        slots: &[SlotMove],
        step: SlotStep,
        reason: &str,
    ) -> Result<bool, Lost> {
        let mut by_epoch: BTreeMap<u64, BTreeSet<u32>> = BTreeMap::new();
        for one in slots {
            by_epoch.entry(one.phase.epoch()).or_default().insert(one.slot);
        }
        let mut accepted = true;
        for (epoch, slots) in by_epoch {
            accepted &= self.advance(&slots, step, epoch, reason).await?.is_some();
        }
        Ok(accepted)
    }

    /// Takes a step; answers the epoch then. `None` where the state refuses it, as it went on meanwhile.
    pub(super) async fn advance(
        &self,
        slots: &BTreeSet<u32>,
        step: SlotStep,
        phase_epoch: u64,
        reason: &str,
    ) -> Result<Option<u64>, Lost> {
        let change = pb::SlotActionAdvance {
            slots: slots.iter().copied().collect(),
            step: step.into(),
            phase_epoch,
            reason: reason.to_owned(),
            targets: Vec::new(),
        };
        let outcome = self.member.step(Change::SlotActionAdvance(change), 0).await?;
        Ok(outcome.ok().map(|outcome| outcome.epoch))
    }

    /// The step of pending slots to the barrier, if they are still to move to the targets that were looked through for
    /// them; by slot. The answer is that of [`Mover::advance`].
    pub(super) async fn advance_to_barrier(
        &self,
        targets: &BTreeMap<u32, u32>,
    ) -> Result<Option<u64>, Lost> {
        let change = pb::SlotActionAdvance {
            slots: targets.keys().copied().collect(),
            step: SlotStep::Prepare.into(),
            phase_epoch: 0,
            reason: String::new(),
            targets: targets.values().copied().collect(),
        };
        let outcome = self.member.step(Change::SlotActionAdvance(change), 0).await?;
        Ok(outcome.ok().map(|outcome| outcome.epoch))
    }
}
