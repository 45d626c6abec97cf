//! Promotions: a replica becomes the master of its group, and no write that was acknowledged is lost.
//!
//! The steps and what each leader may do are in `state/promotion.rs`. E is the promotion's epoch.
//!
//! 1. *Preparing.* Proxies acknowledge E or are fenced there; then no client's command is on its way to the
//!    group.
//! 2. *Prepared.* No slot's keys move to or from the group any more: those of this leader are waited for, those of
//!    older ones are shut out of the servers that run their moves. Then the order E is written on the previous master. It is the last write of all: when it has come to the
//!    target, so has everything before it, since replication keeps the order of writes. No offsets are compared; those
//!    of two servers mean nothing to each other once one has restarted.
//! 3. The target stops following **if its order is exactly E**, checked by the target itself in one transaction.
//! 4. The target is *sealed*: given the order E+1, which it takes as a master only. From there on nobody who
//!    acts for this promotion, or an older change, can make it follow again.
//! 5. *Finished* is committed: the topology names the target. Then the others are made to follow it.
//!
//! **Another leader** finds in Prepared a target that follows, and goes on at 2; or one that is a master with order E or
//! E+1. Such a target has all data: the order E exists only since the promotion was prepared, and came to it
//! from the previous master, whose clients have waited ever since; had they not, the promotion would not be in Prepared.
//! So the leader goes on at 4. A master *without* that order is none of the driver's doing and is not touched.
//!
//! **The way back** while preparing is to abort. In Prepared a target that has stopped following is never made to follow
//! by this promotion: where it answers, the way on is as short. Where it does not, and may have been told
//! to stop, the promotion is aborted and a sync of it begins, which makes it follow when it answers again. The
//! previous master then gets a newer order, so that a command to the target that is still on its way is
//! refused there. One that comes before that leaves a replica that does not follow, which is seen, but no
//! write is lost: clients are with the previous master.
//!
//! **The fence.** The new master must hold every fence that the state speaks of. It gets the state's own epoch S, which
//! is no lower than any, and Finished is proposed for a topology of epoch S only. No proxy that knows the new
//! master has a topology of S or older.

use std::collections::BTreeSet;
use std::time::Duration;

use codis_proto::meta::v1 as pb;
use pb::command::Change;
use pb::promotion::Phase;
use tokio::time::{Instant, sleep, timeout_at};

use super::follow;
use super::member::{Lost, Member};
use super::moves::Shut;
use super::server::{Guard, Marks, Seen, ServerError, Servers};
use super::{Context, barriers};

/// How often the target is looked at while it catches up.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// What a leader takes for an attempt, even where it begins at the deadline.
const ATTEMPT_MIN: Duration = Duration::from_millis(200);

/// A promotion as the state has it, with all that driving it takes.
#[derive(Debug, Clone)]
pub(super) struct View {
    pub(super) group: u32,
    pub(super) target: String,
    pub(super) previous: String,
    pub(super) epoch: u64,
    pub(super) phase: Phase,
    pub(super) servers: Vec<String>,
    pub(super) barrier: barriers::Barrier,
    /// The servers at which keys that come to the group or leave it are moved: the previous master, and the masters of
    /// groups whose slots come.
    moved_at: Vec<String>,
    /// The epoch of the whole state.
    state_epoch: u64,
}

impl View {
    fn of(state: &pb::State, id: u32) -> Option<View> {
        let group = state.groups.get(&id)?;
        let promotion = group.promotion.as_ref()?;
        let phase = promotion.phase?;
        let deadline_unix_ms = match &phase {
            Phase::Preparing(begun) => begun.deadline_unix_ms,
            Phase::Prepared(prepared) => prepared.deadline_unix_ms,
            Phase::Finished(_) => 0,
        };
        Some(View {
            group: id,
            target: promotion.target.clone(),
            previous: promotion.previous.clone(),
            epoch: promotion.epoch,
            phase,
            servers: group.servers.iter().map(|server| server.address.clone()).collect(),
            barrier: barriers::Barrier::of(state, promotion.epoch, deadline_unix_ms),
            moved_at: moved_at(state, id, &promotion.previous),
            state_epoch: state.epoch,
        })
    }

    /// The order that keeps the target from following again.
    pub(super) fn seal(&self) -> u64 {
        self.epoch + 1
    }

    /// Whether `target` has stopped following for this promotion, with all data.
    fn is_detached(&self, target: &Seen) -> bool {
        target.is_master() && [self.epoch, self.seal()].contains(&target.order())
    }
}

/// See [`View::moved_at`].
fn moved_at(state: &pb::State, group: u32, previous: &str) -> Vec<String> {
    let comes = |slot: &&pb::Slot| {
        slot.action.as_ref().is_some_and(|action| {
            let moves = matches!(action.phase, Some(pb::slot_action::Phase::Migrating(_)));
            moves && action.target == group
        })
    };
    let sources: BTreeSet<u32> = state.slots.iter().filter(comes).map(|slot| slot.group).collect();
    let masters = sources.iter().filter_map(|id| state.groups.get(id)?.servers.first());
    let masters = masters.map(|server| server.address.clone());
    std::iter::once(previous.to_owned()).chain(masters).collect()
}

/// What a leader knows of a promotion beside the state.
struct Attempt {
    epoch: u64,
    deadline: Instant,
    /// Both servers have been looked at, before clients wait for long.
    checked: bool,
    /// The target may have been told to stop following.
    told: bool,
    /// No key moves to or from the previous master any more.
    without_movers: bool,
    /// The leader's term.
    term: u64,
    fence: barriers::Fencing,
}

impl Attempt {
    fn new(view: &View, now_unix_ms: u64, term: u64) -> Attempt {
        Attempt {
            epoch: view.epoch,
            deadline: Instant::now() + view.barrier.left(now_unix_ms),
            checked: false,
            told: false,
            without_movers: false,
            term,
            fence: barriers::Fencing::default(),
        }
    }

    /// Waits for an answer of a server for as long as clients may.
    async fn in_time<T>(
        &self,
        call: impl Future<Output = Result<T, ServerError>>,
    ) -> Result<T, String> {
        let until = self.deadline.max(Instant::now() + ATTEMPT_MIN);
        match timeout_at(until, call).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("a server did not answer before the deadline".to_owned()),
        }
    }
}

/// Drives the promotion of a group to its end; at once over where there is none.
pub(super) async fn drive<M: Member, S: Servers>(
    context: &Context<M, S>,
    id: u32,
    term: u64,
) -> Result<(), Lost> {
    let mut attempt: Option<Attempt> = None;
    let mut shut = None;
    loop {
        let applied = context.member.applied();
        let view = context.member.look(move |state| View::of(state, id)).await?;
        let Some(view) = view else { return Ok(()) };
        // To the end, as the moves must look anew at who is the master.
        let shut = shut.get_or_insert_with(|| context.exclusion.shut(id));
        let fresh = || Attempt::new(&view, context.member.unix_ms(), term);
        let attempt = match &mut attempt {
            Some(attempt) if attempt.epoch == view.epoch => attempt,
            other => other.insert(fresh()),
        };
        let failed = match view.phase {
            Phase::Preparing(_) => preparing(context, &view, attempt, applied).await?,
            Phase::Prepared(_) => prepared(context, &view, attempt, shut).await?,
            Phase::Finished(_) => {
                finished(context, &view).await?;
                None
            }
        };
        if let Some(reason) = failed {
            abort(context, &view, attempt, reason).await?;
        }
    }
}

/// Waits for the barrier. The result is why the promotion is to be given up, if it is.
async fn preparing<M: Member, S: Servers>(
    context: &Context<M, S>,
    view: &View,
    attempt: &mut Attempt,
    applied: u64,
) -> Result<Option<String>, Lost> {
    if !attempt.checked {
        if let Err(reason) = look_at_both(context, view, attempt).await {
            return Ok(Some(reason));
        }
        attempt.checked = true;
    }
    if view.barrier.is_over() {
        advance(context, view, pb::PromoteStep::Prepared, 0).await?;
        return Ok(None);
    }
    let left = attempt.deadline.saturating_duration_since(Instant::now());
    let means = (&context.member, &context.servers, &sleep);
    barriers::bring_about(means, &view.barrier, left, &mut attempt.fence, applied).await
}

/// Looks at the target and its master, and whether the one follows the other.
async fn look_at_both<M: Member, S: Servers>(
    context: &Context<M, S>,
    view: &View,
    attempt: &Attempt,
) -> Result<(Seen, Seen), String> {
    let both = async {
        tokio::try_join!(context.servers.look(&view.previous), context.servers.look(&view.target))
    };
    let (previous, target) = attempt.in_time(both).await?;
    let View { target: address, previous: master, .. } = view;
    if !previous.is_master() {
        let of = &previous.facts.master_addr;
        return Err(format!("{master} is no master, it follows {of}: make it one, or look why"));
    }
    if target.is_master() {
        let keys = target.keys_of_clients();
        return Err(format!(
            "{address} does not follow {master}, it is a master of its own with {keys} keys: sync it first"
        ));
    }
    if !target.is_linked_to(&previous) {
        return Err(format!(
            "the link of {address} to {master} is down, or it follows another server ({}): sync it first",
            target.facts.master_addr
        ));
    }
    Ok((previous, target))
}

/// Lets the target catch up and stop following. The result is why the promotion is to be given up, if it is.
async fn prepared<M: Member, S: Servers>(
    context: &Context<M, S>,
    view: &View,
    attempt: &mut Attempt,
    shut: &Shut<'_>,
) -> Result<Option<String>, Lost> {
    let reason = match hand_over(context, view, attempt, shut).await? {
        Ok(()) => return Ok(None),
        Err(reason) => reason,
    };
    if Instant::now() >= attempt.deadline {
        return Ok(Some(reason));
    }
    sleep(LOOK_EVERY).await;
    Ok(None)
}

/// One attempt at all of it. The inner error is why it came to nothing this time.
async fn hand_over<M: Member, S: Servers>(
    context: &Context<M, S>,
    view: &View,
    attempt: &mut Attempt,
    shut: &Shut<'_>,
) -> Result<Result<(), String>, Lost> {
    let seen = match attempt.in_time(context.servers.look(&view.target)).await {
        Ok(seen) => seen,
        Err(reason) => {
            // Another leader may have told it.
            attempt.told = true;
            return Ok(Err(reason));
        }
    };
    if !view.is_detached(&seen) {
        if let Err(reason) = keep_movers_off(context, view, attempt, shut).await {
            return Ok(Err(reason));
        }
        if let Err(reason) = catch_up(context, view, attempt).await {
            return Ok(Err(reason));
        }
        let Some(view) = still_prepared(context, view).await? else { return Ok(Ok(())) };
        attempt.told = true;
        let guard = Guard::Exactly(view.epoch);
        let stop = context.servers.follow(&view.target, None, guard);
        if let Err(reason) = attempt.in_time(stop).await {
            return Ok(Err(reason));
        }
    }
    name_target(context, view, attempt).await
}

/// Sees to it that no key moves to or from the previous master any more, whoever moves it: what came after the order
/// would be lost, or come back.
async fn keep_movers_off<M: Member, S: Servers>(
    context: &Context<M, S>,
    view: &View,
    attempt: &mut Attempt,
    shut: &Shut<'_>,
) -> Result<(), String> {
    if attempt.without_movers {
        return Ok(());
    }
    let all_off = async {
        shut.emptied().await;
        for address in &view.moved_at {
            context.servers.keep_movers_off(address, attempt.term).await?;
        }
        Ok(())
    };
    attempt.in_time(all_off).await?;
    attempt.without_movers = true;
    Ok(())
}

/// Writes the order on the previous master, and says whether it has come to the target.
async fn catch_up<M: Member, S: Servers>(
    context: &Context<M, S>,
    view: &View,
    attempt: &Attempt,
) -> Result<(), String> {
    let (previous, target) = look_at_both(context, view, attempt).await?;
    if target.order() == view.epoch {
        return Ok(());
    }
    let marks = Marks { fence: 0, order: view.epoch };
    let held = attempt.in_time(context.servers.raise(&view.previous, marks)).await?;
    if held.order != view.epoch {
        return Err(ServerError::Outranked {
            address: view.previous.clone(),
            held: held.order,
            order: view.epoch,
        }
        .to_string());
    }
    let behind = previous.facts.replication_offset.saturating_sub(target.facts.replication_offset);
    Err(format!(
        "{} has not caught up with {}: it was {behind} bytes behind when last asked",
        view.target, view.previous
    ))
}

/// Reads the state anew: the promotion, if this member leads and it is still prepared.
async fn still_prepared<M: Member, S: Servers>(
    context: &Context<M, S>,
    view: &View,
) -> Result<Option<View>, Lost> {
    let (id, epoch) = (view.group, view.epoch);
    let view = context.member.look(move |state| View::of(state, id)).await?;
    Ok(view.filter(|view| view.epoch == epoch && matches!(view.phase, Phase::Prepared(_))))
}

/// Seals the target, which has stopped following, and has the topology name it.
async fn name_target<M: Member, S: Servers>(
    context: &Context<M, S>,
    view: &View,
    attempt: &Attempt,
) -> Result<Result<(), String>, Lost> {
    let Some(view) = still_prepared(context, view).await? else { return Ok(Ok(())) };
    let marks = Marks { fence: view.state_epoch, order: view.seal() };
    match attempt.in_time(context.servers.raise(&view.target, marks)).await {
        Err(reason) => return Ok(Err(reason)),
        Ok(held) if held.order != view.seal() => {
            let (address, held) = (view.target.clone(), held.order);
            let error = ServerError::Outranked { address, held, order: view.seal() };
            return Ok(Err(error.to_string()));
        }
        Ok(_) => {}
    }
    advance(context, &view, pb::PromoteStep::Finished, view.state_epoch).await?;
    Ok(Ok(()))
}

/// Takes a step of the promotion, of a topology of `expect_epoch` (0 for any).
async fn advance<M: Member, S: Servers>(
    context: &Context<M, S>,
    view: &View,
    step: pb::PromoteStep,
    expect_epoch: u64,
) -> Result<(), Lost> {
    let change =
        pb::GroupPromoteAdvance { group: view.group, epoch: view.epoch, step: step.into() };
    // Refused where the state went on meanwhile: the caller looks again.
    let _ = context.member.step(Change::GroupPromoteAdvance(change), expect_epoch).await?;
    Ok(())
}

/// Gives the promotion up.
async fn abort<M: Member, S: Servers>(
    context: &Context<M, S>,
    view: &View,
    attempt: &Attempt,
    reason: String,
) -> Result<(), Lost> {
    let View { group, epoch, target, previous, .. } = view;
    tracing::warn!("the promotion of {target} in group {group} is given up: {reason}");
    let change = pb::GroupPromoteAbort { group: *group, epoch: *epoch, reason };
    let Ok(outcome) = context.member.step(Change::GroupPromoteAbort(change), 0).await? else {
        // It went on after all.
        return Ok(());
    };
    if !matches!(view.phase, Phase::Prepared(_)) {
        return Ok(());
    }
    // Clients are served again: from here on nothing is in a hurry.
    let marks = Marks { fence: 0, order: outcome.epoch };
    if let Err(error) = context.servers.raise(previous, marks).await {
        tracing::warn!("after the promotion of {target} was given up: {error}");
    }
    if attempt.told {
        let change = pb::GroupSyncBegin { address: target.clone() };
        // Refused where an operator was faster.
        let _ = context.member.step(Change::GroupSyncBegin(change), 0).await?;
    }
    Ok(())
}

/// Makes the others follow the new master, as far as they answer.
async fn finished<M: Member, S: Servers>(context: &Context<M, S>, view: &View) -> Result<(), Lost> {
    let not_following = follow::all(context, view).await;
    let change = pb::GroupPromoteFinish { group: view.group, epoch: view.epoch, not_following };
    // Refused where another leader has done so.
    let _ = context.member.step(Change::GroupPromoteFinish(change), 0).await?;
    Ok(())
}
