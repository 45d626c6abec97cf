//! `codis-admin slots ...`

use super::Session;
use crate::cli::SlotsCommand;
use crate::{Failure, confirm, output};
use codis_proto::admin::v1 as api;
use std::time::Duration;

impl Session {
    pub(super) async fn slots(&mut self, command: SlotsCommand) -> Result<(), Failure> {
        match command {
            SlotsCommand::List => {
                let slots = self.list_slots().await?;
                self.output.answer("codis.admin.v1.Slots", &slots, || output::slots(&slots.slots))
            }
            SlotsCommand::Assign { range, gid, wait } => {
                let call = self.change(wait);
                let request = api::AssignSlotsRequest { call, beg: range.beg, end: range.end, gid };
                let call = self.client.call(request, async |api, q| api.assign_slots(q).await);
                let changed = call.await?;
                let what = format!("slots {} to {} are on group {gid}", range.beg, range.end);
                self.changed(&what, &changed)
            }
            SlotsCommand::Offline { range, consent, wait } => {
                let what = format!(
                    "this takes slots {} to {} offline: their keys will answer errors",
                    range.beg, range.end
                );
                confirm::ask(&what, consent.confirm)?;
                let call = self.change(wait);
                let request = api::OfflineSlotsRequest { call, beg: range.beg, end: range.end };
                let call = self.client.call(request, async |api, q| api.offline_slots(q).await);
                let changed = call.await?;
                self.changed(&format!("slots {} to {} are offline", range.beg, range.end), &changed)
            }
            SlotsCommand::Migrate { which, follow } => self.migrate(which, follow).await,
            SlotsCommand::Rebalance { by, consent, follow } => {
                self.rebalance(by, 0, consent, follow).await
            }
            SlotsCommand::Cancel { range } => {
                let call = Some(self.client.change(Duration::ZERO));
                let request = api::CancelSlotsRequest { call, beg: range.beg, end: range.end };
                let call = self.client.call(request, async |api, q| api.cancel_slots(q).await);
                let changed = call.await?;
                let what = format!("slots {} to {} stay where they are", range.beg, range.end);
                self.changed(&what, &changed)
            }
            SlotsCommand::Pause => self.pause(true).await,
            SlotsCommand::Resume => self.pause(false).await,
            SlotsCommand::Status => {
                let moves = self.moves().await?;
                self.output.answer("codis.admin.v1.Moves", &moves, || output::moves(&moves))
            }
        }
    }
}
