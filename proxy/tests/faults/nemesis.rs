//! What happens to members.

use crate::world::Machine;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What can happen to one member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Killed, and started again later.
    Killed,
    /// Stopped in the middle of what it does, and woken later.
    Frozen,
    /// Its cable is pulled out.
    Unplugged,
    /// It and another one do not hear each other; both hear the third.
    CutFromOne,
    /// What it sends does not arrive, but it hears the others.
    Mute,
    /// There is no space left on its disk.
    DiskFull,
}

/// What can happen on loopback interfaces and the machine's own disks.
const EVERYWHERE: [Fault; 2] = [Fault::Killed, Fault::Frozen];

/// What can happen in a sandbox.
const IN_SANDBOX: [Fault; 6] = [
    Fault::Killed,
    Fault::Frozen,
    Fault::Unplugged,
    Fault::CutFromOne,
    Fault::Mute,
    Fault::DiskFull,
];

/// Deals faults to members.
pub struct Nemesis<'a> {
    machines: &'a mut [Machine],
    rng: fastrand::Rng,
    /// Faults of which each comes once before any comes again.
    deck: Vec<Fault>,
    /// How often each has come.
    pub dealt: BTreeMap<Fault, u32>,
}

impl<'a> Nemesis<'a> {
    pub fn new(machines: &'a mut [Machine], rng: fastrand::Rng) -> Self {
        Self { machines, rng, deck: Vec::new(), dealt: BTreeMap::new() }
    }

    /// Deals faults for `length`, then mends everything.
    pub fn run(&mut self, length: Duration) {
        let end = Instant::now() + length;
        while Instant::now() < end {
            // Mostly a minority, so that the group goes on; sometimes all of it.
            let victims = match self.rng.u8(..10) {
                0..7 => 1,
                7..9 => 2,
                _ => self.machines.len(),
            };
            let mut order: Vec<usize> = (0..self.machines.len()).collect();
            self.rng.shuffle(&mut order);
            let faults: Vec<(usize, Fault)> =
                order.iter().take(victims).map(|victim| (*victim, self.deal())).collect();
            for (victim, fault) in &faults {
                self.begin(*victim, *fault);
            }
            self.wait(300..2500, end);
            for (victim, fault) in &faults {
                self.mend(*victim, *fault);
            }
            self.wait(200..1500, end);
        }
    }

    fn deal(&mut self) -> Fault {
        if self.deck.is_empty() {
            let sandboxed = self.machines[0].member.host().is_some();
            let all: &[Fault] = if sandboxed { &IN_SANDBOX } else { &EVERYWHERE };
            self.deck = all.to_vec();
            self.rng.shuffle(&mut self.deck);
        }
        let fault = self.deck.pop().expect("it was filled");
        *self.dealt.entry(fault).or_default() += 1;
        fault
    }

    fn wait(&mut self, ms: std::ops::Range<u64>, end: Instant) {
        let wanted = Duration::from_millis(self.rng.u64(ms));
        std::thread::sleep(wanted.min(end.saturating_duration_since(Instant::now())));
    }

    fn begin(&mut self, victim: usize, fault: Fault) {
        let others = self.others(victim);
        let machine = &mut self.machines[victim];
        match fault {
            Fault::Killed => machine.member.kill(),
            Fault::Frozen => machine.member.process().freeze(),
            Fault::Unplugged => machine.host().unplug(),
            Fault::DiskFull => machine.disk().fill(),
            Fault::CutFromOne => {
                let (one, other) = (self.machines[victim].host(), self.machines[others[0]].host());
                one.lose_what_goes_to(other);
                other.lose_what_goes_to(one);
            }
            Fault::Mute => {
                for other in others {
                    self.machines[victim].host().lose_what_goes_to(self.machines[other].host());
                }
            }
        }
    }

    fn mend(&mut self, victim: usize, fault: Fault) {
        let others = self.others(victim);
        let machine = &mut self.machines[victim];
        match fault {
            Fault::Killed => machine.member.relaunch(),
            Fault::Frozen => machine.member.process().thaw(),
            Fault::Unplugged => machine.host().plug(),
            Fault::DiskFull => machine.disk().empty(),
            Fault::CutFromOne | Fault::Mute => {
                for other in others {
                    let (one, other) = (self.machines[victim].host(), self.machines[other].host());
                    one.reach(other);
                    other.reach(one);
                }
            }
        }
    }

    fn others(&self, victim: usize) -> Vec<usize> {
        (0..self.machines.len()).filter(|other| *other != victim).collect()
    }
}
