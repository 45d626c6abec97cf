//! The operator, who has slots moved back and forth and changes their mind.

use crate::plan::{Key, Trouble};
use crate::server::data::Value;
use crate::world::{Event, World};
use codis_proto::meta::v1 as pb;
use codis_proxy::slots;
use pb::command::Change;

impl World {
    /// The product as it is when the first proxy comes.
    pub(crate) fn set_up(&mut self) {
        let create = pb::ProductCreate { name: "sim".into(), cluster: 7, ..Default::default() };
        self.must_apply(Change::ProductCreate(create));
        for server in 0..self.servers.len() {
            let group = server as u32 + 1;
            self.must_apply(Change::GroupCreate(pb::GroupCreate { group }));
            let mut addresses = vec![self.servers[server].address.clone()];
            if self.plan.replicas {
                addresses.push(format!("10.0.2.{group}:6379"));
            }
            for address in addresses {
                let add = pb::ServerAdd { group, address, ..Default::default() };
                self.must_apply(Change::ServerAdd(add));
            }
        }
        let slots = Some(pb::SlotRange { first: 0, last: 1023 });
        self.must_apply(Change::SlotsAssign(pb::SlotsAssign { slots, group: 1 }));
        self.set("barrier_deadline", &format!("{}ms", self.plan.deadline_ms));
        self.set("migration_durability", self.plan.durability);
        if self.plan.big {
            self.set("migration_big_bytes", "1kb");
        }
        if self.plan.rest_ms > 0 {
            self.set("migration_async_numkeys", "1");
            self.set("migration_interval", &format!("{}ms", self.plan.rest_ms));
        }
        if self.plan.walkers > 0 && self.plan.trouble != Trouble::Losses {
            self.lay_untouched();
        }
        if self.plan.strays {
            self.lay_strays();
        }
    }

    /// Keys of somebody's on a server that has nothing to do with their slots.
    fn lay_strays(&mut self) {
        let server = 1 + self.rng.usize(..self.servers.len() - 1);
        let keys: Vec<Key> = self.plan.keys.clone();
        for key in keys.into_iter().filter(|_| self.rng.u8(..3) == 0).collect::<Vec<_>>() {
            self.servers[server].data.put(key.place, Value::Text(b"stray".to_vec()), None);
        }
    }

    fn set(&mut self, name: &str, value: &str) {
        let values = [(name.to_owned(), value.to_owned())].into();
        self.must_apply(Change::SettingsSet(pb::SettingsSet { values }));
    }

    pub(crate) fn resume_moves(&mut self) {
        self.set("migration_disabled", "false");
    }

    /// One thing that an operator does.
    pub(crate) fn operate(&mut self) {
        if self.healed {
            return;
        }
        let tag = self.rng.usize(..self.plan.tags.len());
        let slot = u32::from(slots::slot(self.plan.tags[tag].as_bytes()));
        let slots = Some(pb::SlotRange { first: slot, last: slot });
        match self.rng.u8(..16) {
            0 | 1 => {
                let cancel = Change::SlotActionCancel(pb::SlotActionCancel { slots });
                self.tell(|| format!("the operator cancels slot {slot}"));
                self.apply(cancel, 0);
            }
            2 => {
                self.tell(|| "the operator pauses".into());
                self.set("migration_disabled", "true");
                let later = self.now + self.rng.u64(..200_000);
                self.at(later, Event::Operate);
            }
            3 => self.resume_moves(),
            _ => {
                let target = self.rng.u32(1..=self.servers.len() as u32);
                let create = pb::SlotActionCreate { slots, target, ..Default::default() };
                self.tell(|| format!("the operator has slot {slot} moved to group {target}"));
                // It may be there, or move already.
                self.apply(Change::SlotActionCreate(create), 0);
            }
        }
    }
}
