//! Moving slots, and staying until they have moved.

use super::Session;
use crate::cli::{By, Consent, Follow, Which};
use crate::confirm::{self, Answer};
use crate::output::{self, MoveBar};
use crate::{Failure, output::Progress};
use codis_proto::admin::v1 as api;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a plan may take: every key of every server is weighed for it, unless it is by slots.
const PLAN_TIME: Duration = Duration::from_secs(3600);

/// How often it is looked how far moves are.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The first and the last slot there are.
const ALL_SLOTS: (u32, u32) = (0, 1023);

impl Session {
    pub(super) async fn moves(&mut self) -> Result<api::Moves, Failure> {
        let request = api::GetMovesRequest {};
        Ok(self.client.call(request, async |api, q| api.get_moves(q).await).await?)
    }

    pub(super) async fn list_slots(&mut self) -> Result<api::Slots, Failure> {
        let request = api::ListSlotsRequest {};
        Ok(self.client.call(request, async |api, q| api.list_slots(q).await).await?)
    }

    pub(super) async fn pause(&mut self, paused: bool) -> Result<(), Failure> {
        let call = Some(self.client.change(Duration::ZERO));
        let values = BTreeMap::from([("migration_disabled".to_owned(), paused.to_string())]);
        let request = api::SetSettingsRequest { call, values };
        let call = self.client.call(request, async |api, q| api.set_settings(q).await);
        let changed = call.await?;
        self.changed(if paused { "moves are paused" } else { "slots move" }, &changed)
    }

    pub(super) async fn migrate(&mut self, which: Which, follow: Follow) -> Result<(), Failure> {
        let (beg, end) = (which.beg.unwrap_or(ALL_SLOTS.0), which.end.unwrap_or(ALL_SLOTS.1));
        let gid = which.gid.or(which.to_gid).unwrap_or_default();
        let from_gid = which.from_gid.unwrap_or_default();
        let count = which.count.unwrap_or_default();
        let request =
            api::MigrateSlotsRequest { beg, end, gid, from_gid, count, ..Default::default() };
        let what = match which.from_gid {
            Some(from) => format!("slots of group {from} are to move to group {gid}"),
            None => format!("slots {beg} to {end} are to move to group {gid}"),
        };
        self.make_moves(request, &what, follow).await?;
        if !follow.wait {
            return Ok(());
        }
        let is_meant = |one: &api::Move| {
            (beg..=end).contains(&one.slot)
                && (from_gid == 0 || one.from == from_gid)
                && one.action.as_ref().is_some_and(|action| action.target == gid)
        };
        let queue = self.moves().await?.moves;
        let awaited = queue.iter().filter(|one| is_meant(one)).map(|one| (one.slot, gid)).collect();
        self.follow(awaited).await
    }

    /// Plans, shows the plan, and makes its moves if the operator wants them. Drains a group if one is named.
    pub(super) async fn rebalance(
        &mut self,
        by: By,
        drain_gid: u32,
        consent: Consent,
        follow: Follow,
    ) -> Result<(), Failure> {
        let by = api::rebalance_request::By::from(by);
        let request = api::RebalanceRequest { by: by.into(), drain_gid };
        let call = self.client.call_for(PLAN_TIME, request, async |api, q| api.rebalance(q).await);
        let plan = call.await?;
        let is_run = consent.confirm && !plan.moves.is_empty();
        if self.output.is_for_people() || !is_run {
            self.output
                .answer("codis.admin.v1.RebalancePlan", &plan, || output::plan(&plan, by))?;
        }
        if plan.moves.is_empty() || (!self.output.is_for_people() && !is_run) {
            return Ok(());
        }
        let count = plan.moves.len();
        match confirm::answer(&format!("this moves {count} slots"), consent.confirm)? {
            Answer::Yes => {}
            Answer::No => return Err(Failure::Said("nothing was moved".to_owned())),
            Answer::NobodyToAsk => {
                self.output.said("nothing was moved: give --confirm to make these moves");
                return Ok(());
            }
        }
        let awaited = plan.moves.iter().map(|one| (one.slot, one.to)).collect();
        let request = api::MigrateSlotsRequest { moves: plan.moves, ..Default::default() };
        self.make_moves(request, &format!("{count} slots are to move"), follow).await?;
        if follow.wait { self.follow(awaited).await } else { Ok(()) }
    }

    /// Queues moves, and says so; `what` is it.
    async fn make_moves(
        &mut self,
        request: api::MigrateSlotsRequest,
        what: &str,
        follow: Follow,
    ) -> Result<(), Failure> {
        let call = Some(self.client.change(Duration::ZERO));
        let request = api::MigrateSlotsRequest { call, ..request };
        let call = self.client.call(request, async |api, q| api.migrate_slots(q).await);
        let changed = call.await?;
        let text = || output::changed(what, &changed);
        let name = "codis.admin.v1.Changed";
        // Of several documents each is a line.
        if follow.wait {
            self.output.line(name, &changed, text)
        } else {
            self.output.answer(name, &changed, text)
        }
    }

    /// Stays until these slots, each with where it goes, move no more; or until Ctrl-C, which stops no move.
    async fn follow(&mut self, awaited: BTreeMap<u32, u32>) -> Result<(), Failure> {
        let interrupted = tokio::signal::ctrl_c();
        tokio::select! {
            ended = self.follow_to_the_end(awaited) => ended,
            _ = interrupted => Err(Failure::Said(
                "the moves go on without this command: `codis-admin slots status` shows them".to_owned(),
            )),
        }
    }

    async fn follow_to_the_end(&mut self, awaited: BTreeMap<u32, u32>) -> Result<(), Failure> {
        let first = self.moves().await?;
        let mut bar = MoveBar::new(self.output.is_for_people());
        let mut moves = first.clone();
        loop {
            let progress = Progress::of(&awaited, &first, &moves);
            bar.show(&self.output, &moves, &progress)?;
            if progress.is_over() {
                break;
            }
            tokio::time::sleep(LOOK_EVERY).await;
            moves = self.moves().await?;
        }
        bar.finish();
        let slots = self.list_slots().await?.slots;
        let is_there =
            |slot: u32, gid| slots.get(slot as usize).is_some_and(|slot| slot.group == gid);
        let stayed: Vec<u32> = awaited
            .iter()
            .filter(|(slot, gid)| !is_there(**slot, **gid))
            .map(|(slot, _)| *slot)
            .collect();
        if !stayed.is_empty() {
            let stayed = output::ranges(&stayed);
            return Err(Failure::Said(format!(
                "slots {stayed} are not where they were to go: their moves were cancelled, or they have moved on"
            )));
        }
        self.output.said(&format!("{} slots have moved", awaited.len()));
        Ok(())
    }
}
