//! Getting slots ready: a target without keys of theirs, a clean source, and the barrier.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use codis_proto::meta::v1 as pb;
use pb::SlotStep;

use super::exclusion::Moment;
use super::net::Net;
use super::plan::{Phase, Plan, SlotMove, Way};
use super::source::Session;
use super::survey::Looked;
use super::trouble::Trouble;
use super::{Member, Mover, Servers};
use crate::drive::barriers::{self, Barrier, Fencing};
use crate::drive::member::Lost;

/// What the barrier of some slots looks like.
struct View {
    /// Those that are still at it.
    slots: BTreeSet<u32>,
    barrier: Barrier,
}

impl View {
    fn of(state: &pb::State, source: u32, epoch: u64) -> View {
        let plan = Plan::of(state, source);
        let moves = plan.map(|plan| plan.moves).unwrap_or_default();
        let at_it = moves.iter().filter(|one| one.phase == Phase::Preparing(epoch));
        let slots: BTreeSet<u32> = at_it.map(|one| one.slot).collect();
        let first = slots.first().and_then(|slot| state.slots.get(*slot as usize));
        let phase = first.and_then(|slot| slot.action.as_ref()?.phase.as_ref());
        let deadline_unix_ms = match phase {
            Some(pb::slot_action::Phase::Preparing(barrier)) => barrier.deadline_unix_ms,
            _ => 0,
        };
        View { slots, barrier: Barrier::of(state, epoch, deadline_unix_ms) }
    }
}

/// The targets of some slots, as they were when they were looked through, by their addresses.
type Runs = BTreeMap<String, Looked>;

impl<M: Member, S: Servers, N: Net> Mover<'_, M, S, N> {
    /// Gets those ready whose turn it is. Answers whether there were any.
    pub(super) async fn prepare(
        &self,
        session: &mut Session,
        plan: &Plan,
        moment: &Moment,
    ) -> Result<bool, Lost> {
        if plan.rules.paused {
            return Ok(false);
        }
        let admitted = self.admission.admit(plan, self.net.now());
        if admitted.slots.is_empty() {
            return Ok(false);
        }
        // What came the other way before these were admitted is in the state by now.
        let source = plan.source.group;
        let newest = self.member.look(move |state| Plan::of(state, source)).await?;
        let ways = newest.map(|newest| newest.ways).unwrap_or_default();
        let crossed = |one: &SlotMove| {
            let own = Way { from: source, to: one.target };
            ways.iter().any(|way| way.crosses(own))
        };
        if admitted.slots.iter().any(crossed) {
            return Ok(true);
        }
        let (ready, runs) = self.look_at_targets(plan, moment, &admitted.slots).await?;
        if ready.is_empty() {
            return Ok(true);
        }
        self.board.doing(plan.source.group, "counting what is to move");
        match self.ready_source(session, plan, moment, (&ready, &runs, &ways)).await {
            Ok(ready) if ready.is_empty() => {}
            Ok(ready) => self.barrier(plan, &ready, &runs).await?,
            Err(trouble) => self.wait_with(&ready, &trouble).await?,
        }
        Ok(true)
    }

    /// Looks through every target; answers the slots that none stands in the way of.
    async fn look_at_targets(
        &self,
        plan: &Plan,
        moment: &Moment,
        slots: &[SlotMove],
    ) -> Result<(Vec<SlotMove>, Runs), Lost> {
        self.board.doing(plan.source.group, "looking at the target");
        let mut by_target: BTreeMap<u32, Vec<SlotMove>> = BTreeMap::new();
        for one in slots {
            by_target.entry(one.target).or_default().push(one.clone());
        }
        let (mut ready, mut runs) = (Vec::new(), Runs::new());
        for (target, slots) in by_target {
            let Some(place) = plan.targets.get(&target) else { continue };
            match self.look_at_target(plan, moment, place, &slots).await {
                Ok(looked) => {
                    for one in slots {
                        match looked.foreign.get(&one.slot) {
                            None => ready.push(one),
                            Some(foreign) => {
                                let reason = foreign.reason(&place.address, looked.abilities);
                                self.put_off(std::slice::from_ref(&one), &reason).await?;
                            }
                        }
                    }
                    runs.insert(place.address.clone(), looked);
                }
                Err(trouble) => self.wait_with(&slots, &trouble).await?,
            }
        }
        Ok((ready, runs))
    }

    /// Counts what is to move, cleans the source towards every target, and has the functions there that the keys may need.
    /// Answers those of the slots whose keys the target can be given; `ways` are those that slots are on.
    async fn ready_source(
        &self,
        session: &mut Session,
        plan: &Plan,
        moment: &Moment,
        (ready, runs, ways): (&[SlotMove], &Runs, &BTreeSet<Way>),
    ) -> Result<Vec<SlotMove>, Trouble> {
        let slots: BTreeSet<u32> = ready.iter().map(|one| one.slot).collect();
        session.weigh(self, plan, slots).await?;
        let mut targets: BTreeSet<u32> = ready.iter().map(|one| one.target).collect();
        let mut source = self.open(&plan.source.address).await?;
        let mut ready = ready.to_vec();
        for target in targets.clone() {
            let Some(place) = plan.targets.get(&target) else { continue };
            let Some(looked) = runs.get(&place.address) else { continue };
            let rested = !ways.contains(&Way { from: plan.source.group, to: target });
            let tried = self.try_pair(&mut source, (plan, moment), (place, looked), rested).await;
            if let Err(trouble) = tried {
                let (unfit, fit) = ready.into_iter().partition(|one| one.target == target);
                self.wait_with(&unfit as &Vec<SlotMove>, &trouble).await?;
                ready = fit;
                targets.remove(&target);
            }
        }
        for place in targets.iter().filter_map(|target| plan.targets.get(target)) {
            let inside = self.exclusion.enter(moment, [plan.source.group, place.group]);
            let _inside = inside.ok_or(Trouble::Stale)?;
            self.clean(&mut source, place).await?;
            self.bring_functions(&mut source, place).await?;
        }
        // What was found at the targets is so still, as nobody was promoted since.
        for place in targets.iter().filter_map(|target| plan.targets.get(target)) {
            let inside = self.exclusion.enter(moment, [plan.source.group, place.group]);
            drop(inside.ok_or(Trouble::Stale)?);
        }
        Ok(ready)
    }

    /// Notes why slots wait, and lets them rest.
    async fn wait_with(&self, slots: &[SlotMove], trouble: &Trouble) -> Result<(), Lost> {
        match trouble {
            Trouble::Lost(lost) => Err(*lost),
            // Looked at again at once.
            Trouble::Stale => Ok(()),
            trouble => self.put_off(slots, &trouble.to_string()).await,
        }
    }

    async fn put_off(&self, slots: &[SlotMove], reason: &str) -> Result<(), Lost> {
        let now = self.net.now();
        slots.iter().for_each(|one| self.admission.failed(one, now));
        self.note(slots, reason).await
    }

    /// Holds up the clients of the slots until every proxy knows, and has the keys move then.
    async fn barrier(&self, plan: &Plan, ready: &[SlotMove], runs: &Runs) -> Result<(), Lost> {
        let source = plan.source.group;
        self.board.doing(source, "at the barrier");
        let targets: BTreeMap<u32, u32> = ready.iter().map(|one| (one.slot, one.target)).collect();
        let began = self.net.now();
        let Some(epoch) = self.advance_to_barrier(&targets).await? else {
            // Paused, cancelled, replaced or promoted meanwhile.
            return Ok(());
        };
        let mut deadline = None;
        let mut fencing = Fencing::default();
        loop {
            let applied = self.member.applied();
            let view = self.member.look(move |state| View::of(state, source, epoch)).await?;
            if view.slots.is_empty() {
                return Ok(());
            }
            let now = self.net.now();
            let left = view.barrier.left(self.member.unix_ms());
            let deadline: Duration = *deadline.get_or_insert(now + left);
            if view.barrier.is_over() {
                return match self.same_runs(runs).await {
                    Ok(()) => self.let_go(&view.slots, epoch, began).await,
                    Err(reason) => self.roll_back(ready, &view.slots, epoch, &reason).await,
                };
            }
            let left = deadline.saturating_sub(now);
            let sleep = |length| self.net.sleep(length);
            let given_up = barriers::bring_about(
                (self.member, self.servers, &sleep),
                &view.barrier,
                left,
                &mut fencing,
                applied,
            );
            if let Some(reason) = given_up.await? {
                return self.roll_back(ready, &view.slots, epoch, &reason).await;
            }
        }
    }

    /// Whether the targets are still those that were looked through.
    async fn same_runs(&self, runs: &Runs) -> Result<(), String> {
        for (address, looked) in runs {
            let link = self.open(address).await.map_err(|trouble| trouble.to_string())?;
            if link.run_id != looked.run_id {
                return Err(format!(
                    "{address} has been restarted since it was looked through: it is looked through again"
                ));
            }
        }
        Ok(())
    }

    async fn let_go(&self, slots: &BTreeSet<u32>, epoch: u64, began: Duration) -> Result<(), Lost> {
        // Refused where the state went on meanwhile: the caller looks again.
        if self.advance(slots, SlotStep::Migrate, epoch, "").await?.is_some() {
            self.board.barrier(self.net.now().saturating_sub(began));
        }
        Ok(())
    }

    /// Serves the clients of the slots from the source again.
    async fn roll_back(
        &self,
        ready: &[SlotMove],
        slots: &BTreeSet<u32>,
        epoch: u64,
        reason: &str,
    ) -> Result<(), Lost> {
        tracing::warn!("{} slots do not move yet: {reason}", slots.len());
        self.advance(slots, SlotStep::RollBack, epoch, reason).await?;
        let now = self.net.now();
        ready.iter().for_each(|one| self.admission.failed(one, now));
        Ok(())
    }
}
