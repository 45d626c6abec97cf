//! Calls that are one change of the state, a row each.

use codis_proto::admin::v1 as api;
use codis_proto::meta::v1 as pb;
use pb::command::Change;

/// A request that is one change.
pub(super) trait OneChange {
    /// How the change is to be made, and the change.
    fn take_apart(self) -> (Option<api::Call>, Change);
}

macro_rules! plain {
    ($($request:ident => $change:ident { $($field:ident: $from:ident),* };)+) => { $(
        impl OneChange for api::$request {
            fn take_apart(self) -> (Option<api::Call>, Change) {
                let change = pb::$change { $($field: self.$from),* };
                (self.call, Change::$change(change))
            }
        }
    )+ };
}

plain! {
    CreateGroupRequest => GroupCreate { group: gid };
    RemoveGroupRequest => GroupRemove { group: gid };
    RemoveServerRequest => ServerRemove { group: gid, address: addr };
    SetReplicaReadsRequest =>
        ServerSetReplicaReads { group: gid, address: addr, enabled: enabled };
    PromoteServerRequest => GroupPromoteBegin { group: gid, target: addr };
    SyncServerRequest => GroupSyncBegin { address: addr };
    RemoveProxyRequest => ProxyRemove { token: token, force: force };
    SetSettingsRequest => SettingsSet { values: values };
}

// A server's replica reads are the operator's second step: it has no data yet.
impl OneChange for api::AddServerRequest {
    fn take_apart(self) -> (Option<api::Call>, Change) {
        let Self { call, gid: group, addr: address, datacenter } = self;
        let change = pb::ServerAdd { group, address, datacenter, replica_reads: false };
        (call, Change::ServerAdd(change))
    }
}

impl OneChange for api::AssignSlotsRequest {
    fn take_apart(self) -> (Option<api::Call>, Change) {
        let slots = Some(pb::SlotRange { first: self.beg, last: self.end });
        (self.call, Change::SlotsAssign(pb::SlotsAssign { slots, group: self.gid }))
    }
}

impl OneChange for api::MigrateSlotsRequest {
    fn take_apart(self) -> (Option<api::Call>, Change) {
        let Self { call, beg, end, gid: target, from_gid: from, count, moves } = self;
        let one = |api::PlannedMove { slot, from, to }| pb::SlotMove { slot, from, target: to };
        let moves = moves.into_iter().map(one).collect();
        let slots = Some(pb::SlotRange { first: beg, last: end });
        let change = pb::SlotActionCreate { slots, target, moves, from, count };
        (call, Change::SlotActionCreate(change))
    }
}

impl OneChange for api::CancelSlotsRequest {
    fn take_apart(self) -> (Option<api::Call>, Change) {
        let slots = Some(pb::SlotRange { first: self.beg, last: self.end });
        (self.call, Change::SlotActionCancel(pb::SlotActionCancel { slots }))
    }
}

impl OneChange for api::OfflineSlotsRequest {
    fn take_apart(self) -> (Option<api::Call>, Change) {
        let slots = Some(pb::SlotRange { first: self.beg, last: self.end });
        (self.call, Change::SlotsOffline(pb::SlotsOffline { slots }))
    }
}
