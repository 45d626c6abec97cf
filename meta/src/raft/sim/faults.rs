//! What goes wrong in the simulated group, and how it is made right again.

use super::super::member::Change;
use super::super::store::Loaded;
use super::disk::Doom;
use super::{Network, World};

impl World {
    /// Something goes wrong, or comes right, or is changed by an operator.
    fn mishap(&mut self) {
        let ids: Vec<u64> =
            self.nodes.iter().filter(|(_, node)| !node.retired).map(|(id, _)| *id).collect();
        let Some(id) = self.rng.choice(ids) else { return };
        let running = self.nodes[&id].member.is_some();
        match self.rng.u32(0..16) {
            0 | 1 if running => self.crash(id),
            2..=4 if running => {
                let doom = if self.rng.bool() { Doom::Before } else { Doom::After };
                self.nodes[&id].disk.borrow_mut().doom = Some((self.rng.u32(0..6), doom));
            }
            0..=6 if !running => self.start(id),
            5 => self.partition(),
            6 | 7 => self.cut.clear(),
            8 => {
                let others: Vec<u64> = self.nodes.keys().copied().collect();
                let other = self.rng.choice(others).unwrap_or(id);
                self.cut.insert((id, other));
            }
            9 => {
                let mut up_to = |most: u32| self.rng.u32(0..most);
                self.network = Network { lost: up_to(200), twice: up_to(200), late: up_to(200) };
            }
            10 => self.network = Network::default(),
            11 => self.nodes[&id].disk.borrow_mut().full = true,
            12 => self.nodes.values().for_each(|node| node.disk.borrow_mut().full = false),
            13 => {
                if let Some(leader) = self.leader()
                    && let Some(member) = self.member(leader)
                {
                    // A member without a vote is refused, which is as good as nothing happening.
                    let _ = member.transfer_leadership(id);
                }
            }
            _ => {}
        }
    }

    /// Splits the group in two.
    fn partition(&mut self) {
        self.cut.clear();
        let ids: Vec<u64> = self.nodes.keys().copied().collect();
        let (left, right): (Vec<u64>, Vec<u64>) = ids.into_iter().partition(|_| self.rng.bool());
        for (a, b) in left.iter().flat_map(|a| right.iter().map(move |b| (*a, *b))) {
            self.cut.insert((a, b));
            self.cut.insert((b, a));
        }
        *self.seen.entry("partition").or_default() += 1;
    }

    /// Runs for `units` with clients and mishaps.
    pub(super) fn run_with_mishaps(&mut self, units: u64, clients: usize) {
        for _ in 0..units {
            if self.rng.u32(0..self.calm) == 0 {
                self.mishap();
            }
            if self.rng.u32(0..8) == 0 {
                self.serve_clients(clients);
            }
            self.step();
        }
    }

    /// An operator adds, promotes, removes and replaces members, ids from 10 on.
    pub(super) fn operate(&mut self) {
        let Some(leader) = self.leader() else { return };
        let Some(status) = self.member(leader).map(|member| member.status()) else { return };
        let newest = self.nodes.keys().max().copied().unwrap_or(0).max(9);
        let voter = self.rng.choice(status.voters.clone()).unwrap_or(leader);
        let learner = status.learners.first().copied();
        let changes = match (self.rng.u32(0..4), learner) {
            (0, _) if status.voters.len() + status.learners.len() < 6 => {
                self.add(newest + 1, Loaded::default());
                vec![Change::AddLearner { id: newest + 1, address: format!("sim:{}", newest + 1) }]
            }
            (1, Some(learner)) => vec![Change::Promote { id: learner }],
            (2, Some(learner)) => {
                vec![Change::Promote { id: learner }, Change::Remove { id: voter }]
            }
            (3, _) if status.voters.len() > 3 => vec![Change::Remove { id: voter }],
            _ => return,
        };
        if let Some(member) = self.member(leader) {
            // Most are refused, by the rules that keep a majority alive.
            let _ = member.change_members(changes);
        }
    }

    /// Stops for good the nodes that know that they are no members any more. Those that do not know
    /// go on, and must do no harm.
    pub(super) fn retire(&mut self) {
        let gone: Vec<u64> = self
            .nodes
            .iter()
            .filter(|(_, node)| node.removed && !node.retired)
            .map(|(id, _)| *id)
            .collect();
        for id in gone {
            if self.nodes[&id].member.is_some() {
                self.crash(id);
            }
            if let Some(node) = self.nodes.get_mut(&id) {
                node.retired = true;
            }
        }
    }

    /// Ends all faults and starts everybody.
    pub(super) fn heal(&mut self) {
        self.cut.clear();
        self.network = Network::default();
        for node in self.nodes.values() {
            let mut disk = node.disk.borrow_mut();
            (disk.full, disk.doom) = (false, None);
        }
        let down: Vec<u64> = self
            .nodes
            .iter()
            .filter(|(_, node)| node.member.is_none() && !node.retired)
            .map(|(id, _)| *id)
            .collect();
        for id in down {
            self.start(id);
        }
    }
}
