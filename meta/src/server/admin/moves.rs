//! Slots that move to other groups.

use codis_proto::admin::v1 as api;
use codis_proto::meta::v1 as pb;
use pb::slot_action::Phase;
use tonic::{Request, Status};

use super::{change, view};
use crate::server::serving::Serving;
use crate::state::settings::{self, Setting};

/// Queues moves, and says what they will wait for.
pub(super) async fn migrate(
    serving: &Serving,
    request: Request<api::MigrateSlotsRequest>,
) -> Result<api::Changed, Status> {
    let mut changed = change::one(serving, request).await?;
    changed.notes = serving.node.peek(|state| notes(state.data())).await?;
    Ok(changed)
}

/// The queue, with the leader's figures.
pub(super) async fn list(
    serving: &Serving,
    _: Request<api::GetMovesRequest>,
) -> Result<api::Moves, Status> {
    let figures = serving.servers.moves();
    Ok(serving.node.read(move |state| view::moves(state.data(), figures)).await?)
}

/// How long the queue is, and what holds it up.
fn notes(data: &pb::State) -> Vec<String> {
    let phases = data.slots.iter().filter_map(|slot| slot.action.as_ref()?.phase.as_ref());
    let (waiting, moving): (Vec<&Phase>, Vec<&Phase>) =
        phases.partition(|phase| matches!(phase, Phase::Pending(_)));
    let (waiting, moving) = (waiting.len(), moving.len());
    let mut notes = vec![format!("{waiting} slots wait to move, {moving} are moving")];
    if settings::flag(data, Setting::MigrationDisabled) {
        notes.push("moves are paused: resume them (migration_disabled = false)".to_owned());
    }
    notes.extend(promotions(data));
    notes
}

/// A sentence for each group that slots leave or come to and whose master is being changed.
pub(super) fn promotions(data: &pb::State) -> impl Iterator<Item = String> + '_ {
    let promoting = data.groups.values().filter(|group| group.promotion.is_some());
    promoting.map(|group| {
        format!("group {}'s master is being changed: its slots move when that is over", group.id)
    })
}
