//! `--fillslots`: a topology from Codis's JSON, and back.

use super::{Address, Group, GroupIndex, Slot, SlotState, Topology};
use crate::address::check_server;
use crate::slots::SLOT_COUNT;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Why a slots file was refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FillslotsError(pub String);

/// The greatest number that a group can have.
const GROUP_ID_MAX: u64 = 9999;

/// The fields that a slot can have.
const FIELDS: [&str; 8] = [
    "id",
    "locked",
    "backend_addr",
    "backend_addr_group_id",
    "migrate_from",
    "migrate_from_group_id",
    "forward_method",
    "replica_groups",
];

/// Reads Codis's list of slots: `[{"id":0,"backend_addr":"127.0.0.1:6380", ...}, ...]`.
///
/// Slots that are not listed, or have no `backend_addr`, are offline. Entries of one group must agree on
/// its master, and on its replicas where they name any. The epoch is 1.
///
/// # Errors
/// A sentence that names the slot and the field.
pub fn parse(json: &str) -> Result<Topology, FillslotsError> {
    let list: Value = serde_json::from_str(json)
        .map_err(|error| FillslotsError(format!("the list of slots is not JSON: {error}")))?;
    let Value::Array(entries) = list else {
        return Err(FillslotsError("the list of slots is not a JSON array".into()));
    };
    let mut topology = Topology { epoch: 1, ..Topology::offline() };
    let mut seen = [false; SLOT_COUNT];
    for (position, value) in entries.iter().enumerate() {
        let entry = Entry::new(value, position)?;
        if std::mem::replace(&mut seen[entry.slot], true) {
            return Err(entry.wrong("id", "the slot is listed twice"));
        }
        topology.slots[entry.slot] = entry.read(&mut topology.groups)?;
    }
    Ok(topology)
}

/// One object of the list.
struct Entry<'a> {
    slot: usize,
    fields: &'a Map<String, Value>,
}

impl<'a> Entry<'a> {
    fn new(value: &'a Value, position: usize) -> Result<Self, FillslotsError> {
        let wrong = |what: String| FillslotsError(format!("entry {position} of the list: {what}"));
        let fields = value.as_object().ok_or_else(|| wrong("it is not a JSON object".into()))?;
        let id = fields.get("id").ok_or_else(|| wrong("id is missing".into()))?;
        let slot =
            id.as_u64().and_then(|id| usize::try_from(id).ok()).filter(|&id| id < SLOT_COUNT);
        let last = SLOT_COUNT - 1;
        let slot =
            slot.ok_or_else(|| wrong(format!("id {id} is not a slot between 0 and {last}")))?;
        let entry = Self { slot, fields };
        match fields.keys().find(|name| !FIELDS.contains(&name.as_str())) {
            Some(name) => {
                Err(entry
                    .wrong(name, &format!("no slot has this field; it has {}", FIELDS.join(", "))))
            }
            None => Ok(entry),
        }
    }

    fn wrong(&self, field: &str, what: &str) -> FillslotsError {
        FillslotsError(format!("slot {}: {field}: {what}", self.slot))
    }

    /// The slot; its groups are added to `groups` where they are new.
    fn read(&self, groups: &mut Vec<Group>) -> Result<Slot, FillslotsError> {
        let locked = self.truth("locked")?;
        self.number("forward_method", 1)?;
        let replicas = self.replicas()?;
        let to = self.group("backend_addr", "backend_addr_group_id", groups)?;
        let from = self.group("migrate_from", "migrate_from_group_id", groups)?;
        let state = match (from, to) {
            (None, None) => SlotState::Offline,
            (None, Some(to)) => SlotState::Stable(to),
            (Some(_), None) => return Err(self.wrong("migrate_from", "backend_addr is missing")),
            (Some(from), Some(to)) if from == to => {
                return Err(self.wrong("migrate_from", "it is the group of backend_addr"));
            }
            (Some(from), Some(to)) => SlotState::Migrating { from, to, since: 0 },
        };
        if !replicas.is_empty() {
            let to = to.ok_or_else(|| self.wrong("replica_groups", "backend_addr is missing"))?;
            self.join_replicas(&mut groups[usize::from(to.0)], replicas)?;
        }
        Ok(Slot { state, locked })
    }

    fn field(&self, name: &str) -> Option<&'a Value> {
        self.fields.get(name).filter(|value| !value.is_null())
    }

    fn truth(&self, name: &str) -> Result<bool, FillslotsError> {
        let Some(value) = self.field(name) else { return Ok(false) };
        value
            .as_bool()
            .ok_or_else(|| self.wrong(name, &format!("{value} is neither true nor false")))
    }

    fn number(&self, name: &str, max: u64) -> Result<u64, FillslotsError> {
        let Some(value) = self.field(name) else { return Ok(0) };
        value.as_u64().filter(|&n| n <= max).ok_or_else(|| {
            self.wrong(name, &format!("{value} is not a whole number between 0 and {max}"))
        })
    }

    /// An address; `None` where the field is missing or empty.
    fn address(&self, name: &str, value: &Value) -> Result<Option<Address>, FillslotsError> {
        match value.as_str() {
            Some("") => Ok(None),
            Some(text) => match check_server(text) {
                Ok(()) => Ok(Some(Arc::from(text))),
                Err(what) => Err(self.wrong(name, &what)),
            },
            None => Err(self.wrong(name, &format!("{value} is not an address in quotes"))),
        }
    }

    /// The group that the fields `master` and `id` name, added to `groups` if it is new.
    fn group(
        &self,
        master: &str,
        id: &str,
        groups: &mut Vec<Group>,
    ) -> Result<Option<GroupIndex>, FillslotsError> {
        let number = self.number(id, GROUP_ID_MAX)? as u32;
        let given = self.field(master).map(|value| self.address(master, value)).transpose()?;
        let Some(address) = given.flatten() else {
            return match number {
                0 => Ok(None),
                _ => Err(self.wrong(id, &format!("{master} is missing"))),
            };
        };
        // The number comes first: it is what the operator calls the group.
        let by_number = groups.iter().position(|group| number != 0 && group.id == number);
        let by_master = || groups.iter().position(|group| group.master == address);
        let known = by_number.or_else(by_master);
        let Some(index) = known else {
            groups.push(Group {
                id: number,
                master: address,
                replicas: Vec::new(),
                has_replicas: false,
            });
            return Ok(Some(index_of(groups.len() - 1)));
        };
        let group = &mut groups[index];
        if group.master != address {
            let what = format!(
                "\"{address}\" is a second master of group {number}, which another slot gives \"{}\"",
                group.master
            );
            return Err(self.wrong(master, &what));
        }
        if number != 0 && group.id != 0 && group.id != number {
            let what = format!(
                "\"{address}\" is the master of group {number} here and of group {} in another slot",
                group.id
            );
            return Err(self.wrong(master, &what));
        }
        // Slots that name a server without its group belong to the group that others name.
        group.id = group.id.max(number);
        Ok(Some(index_of(index)))
    }

    fn replicas(&self) -> Result<Vec<Vec<Address>>, FillslotsError> {
        const NAME: &str = "replica_groups";
        let wrong = || self.wrong(NAME, "it is not a list of lists of addresses");
        let Some(value) = self.field(NAME) else { return Ok(Vec::new()) };
        let mut sets = Vec::new();
        for set in value.as_array().ok_or_else(wrong)? {
            let mut addresses = Vec::new();
            for address in set.as_array().ok_or_else(wrong)? {
                addresses.extend(self.address(NAME, address)?);
            }
            if !addresses.is_empty() {
                sets.push(addresses);
            }
        }
        Ok(sets)
    }

    /// Gives `group` its replicas. Codis leaves them out where a slot moves, so none is no statement.
    fn join_replicas(
        &self,
        group: &mut Group,
        replicas: Vec<Vec<Address>>,
    ) -> Result<(), FillslotsError> {
        if group.replicas.is_empty() {
            group.has_replicas = true;
            group.replicas = replicas;
        } else if group.replicas != replicas {
            let what = format!("another slot names other replicas of \"{}\"", group.master);
            return Err(self.wrong("replica_groups", &what));
        }
        Ok(())
    }
}

fn index_of(position: usize) -> GroupIndex {
    // Each of 1024 slots names two groups at most.
    GroupIndex(u16::try_from(position).expect("at most 2048 groups"))
}

/// Every slot of `topology` as an object of Codis's list, in the order of slots. What is empty, zero or
/// false is left out, as Codis does.
///
/// A slot in `Preparing` is shown as locked on the group that has its keys, which is what it is to
/// clients.
#[must_use]
pub fn to_json(topology: &Topology) -> Value {
    let slots = topology.slots.iter().enumerate();
    slots.map(|(id, slot)| slot_to_json(topology, id, *slot)).collect()
}

fn slot_to_json(topology: &Topology, id: usize, slot: Slot) -> Value {
    let mut object = Map::new();
    object.insert("id".into(), json!(id));
    let (backend, source, waits) = match slot.state {
        SlotState::Offline => (None, None, false),
        SlotState::Stable(group) => (Some(group), None, false),
        SlotState::Preparing { from, .. } => (Some(from), None, true),
        SlotState::Migrating { from, to, .. } => (Some(to), Some(from), false),
    };
    if slot.locked || waits {
        object.insert("locked".into(), json!(true));
    }
    for (index, name, id_name) in [
        (backend, "backend_addr", "backend_addr_group_id"),
        (source, "migrate_from", "migrate_from_group_id"),
    ] {
        let Some(group) = index.map(|index| topology.group(index)) else { continue };
        object.insert(name.into(), json!(&*group.master));
        if group.id != 0 {
            object.insert(id_name.into(), json!(group.id));
        }
    }
    let replicas = backend.map(|index| &topology.group(index).replicas);
    if let Some(sets) = replicas.filter(|sets| !sets.is_empty()) {
        let sets: Vec<Vec<&str>> =
            sets.iter().map(|set| set.iter().map(|address| &**address).collect()).collect();
        object.insert("replica_groups".into(), json!(sets));
    }
    // Codis's number for migration of one key at a time, without blocking the server for long.
    object.insert("forward_method".into(), json!(1));
    Value::Object(object)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wrong(json: &str) -> String {
        parse(json).expect_err("a bad list").0
    }

    #[test]
    fn codis_list_becomes_a_topology_and_unlisted_slots_are_offline() {
        let topology = parse(
            r#"[
              {"id":0,"backend_addr":"127.0.0.1:6380","backend_addr_group_id":1,"locked":false,
               "migrate_from":"","migrate_from_group_id":0,"forward_method":0,
               "replica_groups":[["a:1"],["b:2","c:3"]]},
              {"id":7,"backend_addr":"127.0.0.1:6381","backend_addr_group_id":2,"locked":true,
               "migrate_from":"127.0.0.1:6380","migrate_from_group_id":1,"forward_method":1},
              {"id":8},
              {"id":1023,"backend_addr":"127.0.0.1:6380","backend_addr_group_id":1}
            ]"#,
        )
        .expect("a good list");
        assert_eq!(topology.epoch, 1);
        let replicas: Vec<Vec<Address>> =
            vec![vec!["a:1".into()], vec!["b:2".into(), "c:3".into()]];
        assert_eq!(
            topology.groups,
            [
                Group { id: 1, master: "127.0.0.1:6380".into(), replicas, has_replicas: true },
                Group {
                    id: 2,
                    master: "127.0.0.1:6381".into(),
                    replicas: Vec::new(),
                    has_replicas: false,
                },
            ]
        );
        let (one, two) = (GroupIndex(0), GroupIndex(1));
        let expected = |id| match id {
            0 | 1023 => Slot { state: SlotState::Stable(one), locked: false },
            7 => {
                Slot { state: SlotState::Migrating { from: one, to: two, since: 0 }, locked: true }
            }
            _ => Slot { state: SlotState::Offline, locked: false },
        };
        assert_eq!(topology.slots, (0..SLOT_COUNT).map(expected).collect::<Vec<_>>());
    }

    #[test]
    fn a_server_named_without_its_group_belongs_to_the_group_that_others_name() {
        let topology = parse(
            r#"[{"id":0,"backend_addr":"a:1"},{"id":1,"backend_addr":"a:1","backend_addr_group_id":3},
                {"id":2,"backend_addr":"a:1"},{"id":3,"backend_addr":"/run/b.sock"}]"#,
        )
        .expect("a good list");
        let groups: Vec<(u32, &str)> =
            topology.groups.iter().map(|group| (group.id, &*group.master)).collect();
        assert_eq!(groups, [(3, "a:1"), (0, "/run/b.sock")]);
    }

    #[test]
    fn an_empty_list_leaves_every_slot_offline() {
        assert_eq!(parse("[]"), Ok(Topology { epoch: 1, ..Topology::offline() }));
    }

    #[test]
    fn what_is_wrong_is_named_with_slot_and_field() {
        for (json, what) in [
            ("{}", "the list of slots is not a JSON array"),
            ("[1]", "entry 0 of the list: it is not a JSON object"),
            (r#"[{"id":1},{}]"#, "entry 1 of the list: id is missing"),
            (r#"[{"id":1024}]"#, "entry 0 of the list: id 1024 is not a slot between 0 and 1023"),
            (r#"[{"id":-1}]"#, "entry 0 of the list: id -1 is not a slot between 0 and 1023"),
            (r#"[{"id":"1"}]"#, "entry 0 of the list: id \"1\" is not a slot between 0 and 1023"),
            (r#"[{"id":5},{"id":5}]"#, "slot 5: id: the slot is listed twice"),
            (
                r#"[{"id":5,"backend_adr":"a:1"}]"#,
                "slot 5: backend_adr: no slot has this field; it has id, locked, backend_addr, \
                 backend_addr_group_id, migrate_from, migrate_from_group_id, forward_method, \
                 replica_groups",
            ),
            (
                r#"[{"id":5,"backend_addr":"a"}]"#,
                "slot 5: backend_addr: \"a\" is not an address: it wants host:port, such as \
                 127.0.0.1:6379",
            ),
            (
                r#"[{"id":5,"backend_addr":6379}]"#,
                "slot 5: backend_addr: 6379 is not an address in quotes",
            ),
            (
                r#"[{"id":5,"backend_addr":"a:1","backend_addr_group_id":10000}]"#,
                "slot 5: backend_addr_group_id: 10000 is not a whole number between 0 and 9999",
            ),
            (
                r#"[{"id":5,"backend_addr_group_id":1}]"#,
                "slot 5: backend_addr_group_id: backend_addr is missing",
            ),
            (r#"[{"id":5,"locked":1}]"#, "slot 5: locked: 1 is neither true nor false"),
            (
                r#"[{"id":5,"forward_method":2}]"#,
                "slot 5: forward_method: 2 is not a whole number between 0 and 1",
            ),
            (r#"[{"id":5,"migrate_from":"a:1"}]"#, "slot 5: migrate_from: backend_addr is missing"),
            (
                r#"[{"id":5,"backend_addr":"a:1","migrate_from":"a:1"}]"#,
                "slot 5: migrate_from: it is the group of backend_addr",
            ),
            (
                r#"[{"id":5,"backend_addr":"a:1","backend_addr_group_id":1},
                    {"id":6,"backend_addr":"b:1","backend_addr_group_id":1}]"#,
                "slot 6: backend_addr: \"b:1\" is a second master of group 1, which another slot gives \
                 \"a:1\"",
            ),
            (
                r#"[{"id":5,"backend_addr":"a:1","backend_addr_group_id":1},
                    {"id":6,"backend_addr":"a:1","backend_addr_group_id":2}]"#,
                "slot 6: backend_addr: \"a:1\" is the master of group 2 here and of group 1 in another \
                 slot",
            ),
            (
                r#"[{"id":4,"backend_addr":"b:1"},
                    {"id":5,"backend_addr":"a:1","backend_addr_group_id":1},
                    {"id":6,"backend_addr":"b:1","backend_addr_group_id":1}]"#,
                "slot 6: backend_addr: \"b:1\" is a second master of group 1, which another slot gives \
                 \"a:1\"",
            ),
            (
                r#"[{"id":5,"backend_addr":"a:1","replica_groups":["b:1"]}]"#,
                "slot 5: replica_groups: it is not a list of lists of addresses",
            ),
            (
                r#"[{"id":5,"backend_addr":"a:1","replica_groups":[["b"]]}]"#,
                "slot 5: replica_groups: \"b\" is not an address: it wants host:port, such as \
                 127.0.0.1:6379",
            ),
            (
                r#"[{"id":5,"replica_groups":[["b:1"]]}]"#,
                "slot 5: replica_groups: backend_addr is missing",
            ),
            (
                r#"[{"id":5,"backend_addr":"a:1","replica_groups":[["b:1"]]},
                    {"id":6,"backend_addr":"a:1","replica_groups":[["c:1"]]}]"#,
                "slot 6: replica_groups: another slot names other replicas of \"a:1\"",
            ),
        ] {
            assert_eq!(wrong(json), what);
        }
        assert!(wrong("[{").starts_with("the list of slots is not JSON: EOF"));
    }

    #[test]
    fn a_slot_is_shown_with_codis_keys_and_without_what_is_empty() {
        let list = json!([
            {"id":0,"backend_addr":"a:1","backend_addr_group_id":1,"replica_groups":[["r:1"]]},
            {"id":1,"backend_addr":"b:1","locked":true,"migrate_from":"a:1"},
        ]);
        let mut topology = parse(&list.to_string()).expect("a good list");
        let (from, to) = (GroupIndex(0), GroupIndex(1));
        topology.slots[2].state = SlotState::Preparing { from, to };
        let shown = to_json(&topology);
        assert_eq!(
            shown[0],
            json!({"id":0,"backend_addr":"a:1","backend_addr_group_id":1,"replica_groups":[["r:1"]],
                   "forward_method":1})
        );
        assert_eq!(
            shown[1],
            json!({"id":1,"backend_addr":"b:1","locked":true,"migrate_from":"a:1",
                   "migrate_from_group_id":1,"forward_method":1})
        );
        assert_eq!(
            shown[2],
            json!({"id":2,"backend_addr":"a:1","backend_addr_group_id":1,"locked":true,
                   "replica_groups":[["r:1"]],"forward_method":1})
        );
        assert_eq!(shown[3], json!({"id":3,"forward_method":1}));
        assert_eq!(shown.as_array().map(Vec::len), Some(SLOT_COUNT));
    }

    /// Slots of up to five groups in every state that a file can say.
    fn lists() -> impl Strategy<Value = Value> {
        let slot = (0..5_u32, proptest::option::of(0..5_u32), any::<bool>());
        proptest::collection::btree_map(0..SLOT_COUNT, slot, 0..40).prop_map(|slots| {
            let entry = |(id, (to, from, locked)): (usize, (u32, Option<u32>, bool))| {
                let mut entry = json!({"id": id, "locked": locked});
                let from = from.filter(|&from| from != to && to != 0);
                for (group, field) in [(Some(to), "backend_addr"), (from, "migrate_from")] {
                    // Group 0 stands for a slot that is offline.
                    if let Some(group @ 1..) = group {
                        entry[field] = json!(format!("redis-{group}:6379"));
                        entry[format!("{field}_group_id")] = json!(group);
                    }
                }
                entry
            };
            slots.into_iter().map(entry).collect()
        })
    }

    proptest! {
        #[test]
        fn a_topology_reads_back_from_the_page_that_shows_it(list in lists()) {
            let topology = parse(&list.to_string()).expect("a good list");
            let again = parse(&to_json(&topology).to_string()).expect("our own list");
            prop_assert_eq!(again, topology);
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "[\\[\\]{}\":,a-z0-9]{0,40}|.*") {
            let _ = parse(&text);
        }
    }
}
