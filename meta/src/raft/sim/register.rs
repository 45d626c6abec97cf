//! The replicated state of the simulation: one register, written by commands that carry an id.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::super::machine::{RestoreError, StateMachine};

/// What all members applied, to see that they applied the same.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// By index: the command, and the checksum of the whole state after it.
    applied: BTreeMap<u64, (Vec<u8>, u32)>,
}

impl Ledger {
    fn record(&mut self, index: u64, command: &[u8], state: u32) {
        let entry = (command.to_vec(), state);
        let known = self.applied.entry(index).or_insert_with(|| entry.clone());
        assert_eq!(
            *known, entry,
            "two members applied different commands, or to different states, at index {index}"
        );
    }
}

/// A write of `value` under the request id `id`.
pub(super) fn command(id: u64, value: u64) -> Vec<u8> {
    [id.to_le_bytes(), value.to_le_bytes()].concat()
}

/// A register that carries each request id out once.
#[derive(Debug, Default)]
pub(super) struct Register {
    pub(super) value: u64,
    /// The index at which each request id was carried out.
    pub(super) done: BTreeMap<u64, u64>,
    ledger: Rc<RefCell<Ledger>>,
}

impl Register {
    pub(super) fn new(ledger: Rc<RefCell<Ledger>>) -> Register {
        Register { ledger, ..Register::default() }
    }
}

impl StateMachine for Register {
    fn apply(&mut self, index: u64, command: &[u8]) -> Vec<u8> {
        let number = |at: usize| {
            u64::from_le_bytes(command[at..at + 8].try_into().expect("a command is two numbers"))
        };
        let (id, value) = (number(0), number(8));
        let done = *self.done.entry(id).or_insert_with(|| {
            self.value = value;
            index
        });
        let state = crc32fast::hash(&self.snapshot());
        self.ledger.borrow_mut().record(index, command, state);
        done.to_le_bytes().to_vec()
    }

    fn snapshot(&self) -> Vec<u8> {
        let pairs = self.done.iter().flat_map(|(id, index)| [*id, *index]);
        std::iter::once(self.value).chain(pairs).flat_map(u64::to_le_bytes).collect()
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), RestoreError> {
        let mut numbers = snapshot
            .chunks(8)
            .map(|bytes| u64::from_le_bytes(bytes.try_into().expect("a snapshot is numbers")));
        self.value = numbers.next().expect("a snapshot begins with the value");
        self.done.clear();
        while let (Some(id), Some(index)) = (numbers.next(), numbers.next()) {
            self.done.insert(id, index);
        }
        Ok(())
    }
}
