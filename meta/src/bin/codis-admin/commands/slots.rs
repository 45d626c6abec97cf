//! `codis-admin slots ...`

use super::Session;
use crate::cli::SlotsCommand;
use crate::{Failure, confirm, output};
use codis_proto::admin::v1 as api;

impl Session {
    pub(super) async fn slots(&mut self, command: SlotsCommand) -> Result<(), Failure> {
        match command {
            SlotsCommand::List => {
                let request = api::ListSlotsRequest {};
                let call = self.client.call(request, async |api, q| api.list_slots(q).await);
                let slots = call.await?;
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
        }
    }
}
