//! Slots as Codis filled its proxies with them.

use std::collections::BTreeMap;

use codis_proto::meta::v1 as pb;
use serde::Serialize;

use super::shapes::is_zero_u32;

/// A slot as Codis filled proxies with it.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct MappedSlot {
    id: u32,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    locked: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    backend_addr: String,
    #[serde(skip_serializing_if = "is_zero_u32")]
    backend_addr_group_id: u32,
    #[serde(skip_serializing_if = "String::is_empty")]
    migrate_from: String,
    #[serde(skip_serializing_if = "is_zero_u32")]
    migrate_from_group_id: u32,
}

impl MappedSlot {
    pub(super) fn all(topology: &pb::Topology) -> Vec<Self> {
        let masters: BTreeMap<u32, &str> =
            topology.groups.iter().map(|group| (group.id, group.master.as_str())).collect();
        let master = |gid: u32| masters.get(&gid).map_or(String::new(), |addr| (*addr).to_owned());
        let one = |(id, slot): (u32, &pb::TopologySlot)| {
            // Until it migrates, a slot that moves is served by where it comes from, and locked.
            let preparing = slot.kind() == pb::SlotKind::Preparing;
            let (serves, from) = if preparing { (slot.from, 0) } else { (slot.to, slot.from) };
            Self {
                id,
                locked: slot.locked || preparing,
                backend_addr: master(serves),
                backend_addr_group_id: serves,
                migrate_from: master(from),
                migrate_from_group_id: from,
            }
        };
        (0..).zip(&topology.slots).map(one).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{json, to_value};

    use super::*;

    #[test]
    fn a_moving_slot_is_mapped_as_codis_would_have_filled_it() {
        let slot = |kind: pb::SlotKind, from, to| pb::TopologySlot {
            kind: kind.into(),
            from,
            to,
            ..Default::default()
        };
        let group = |id, master: &str| pb::TopologyGroup {
            id,
            master: master.into(),
            ..Default::default()
        };
        let topology = pb::Topology {
            groups: vec![group(1, "a:1"), group(2, "b:2")],
            slots: vec![
                slot(pb::SlotKind::Offline, 0, 0),
                slot(pb::SlotKind::Stable, 0, 1),
                slot(pb::SlotKind::Preparing, 1, 2),
                slot(pb::SlotKind::Migrating, 1, 2),
            ],
            ..Default::default()
        };
        let expected = json!([
            {"id": 0},
            {"id": 1, "backend_addr": "a:1", "backend_addr_group_id": 1},
            {"id": 2, "locked": true, "backend_addr": "a:1", "backend_addr_group_id": 1},
            {"id": 3, "backend_addr": "b:2", "backend_addr_group_id": 2, "migrate_from": "a:1",
             "migrate_from_group_id": 1},
        ]);
        assert_eq!(to_value(MappedSlot::all(&topology)).expect("JSON"), expected);
    }
}
