//! Clients of the simulated group, and the history of what they saw.

use std::collections::BTreeMap;

use todc_utils::linearizability::WGLChecker;
use todc_utils::linearizability::history::{Action, History};
use todc_utils::specifications::register::{RegisterOperation, RegisterSpecification};

use super::super::member::Ticket;

/// An operation of a client, from its call to its return.
#[derive(Debug, Clone)]
pub(super) struct Operation {
    /// The request id of a write; none for a read.
    pub(super) write: Option<u64>,
    /// What is written, or was read.
    pub(super) value: u64,
    pub(super) called: u64,
    pub(super) returned: Option<u64>,
}

/// Clients with one operation at a time each.
#[derive(Debug, Default)]
pub(super) struct Clients {
    pub(super) operations: Vec<Operation>,
    /// By client: its operation under way.
    pub(super) current: BTreeMap<usize, usize>,
    /// By member and ticket: the operation that waits for it.
    pub(super) waiting: BTreeMap<(u64, Ticket), usize>,
    /// Orders calls and returns.
    clock: u64,
}

impl Clients {
    pub(super) fn call(&mut self, client: usize, write: bool) -> usize {
        self.clock += 1;
        let number = self.operations.len();
        let id = number as u64 + 1;
        self.operations.push(Operation {
            write: write.then_some(id),
            value: if write { id } else { 0 },
            called: self.clock,
            returned: None,
        });
        self.current.insert(client, number);
        number
    }

    pub(super) fn finish(&mut self, number: usize, read: Option<u64>) {
        self.clock += 1;
        let operation = &mut self.operations[number];
        if operation.returned.is_some() {
            return;
        }
        operation.returned = Some(self.clock);
        if let Some(value) = read {
            operation.value = value;
        }
        self.current.retain(|_, current| *current != number);
    }

    /// Whether every answer can be explained by operations that took effect one after another, each
    /// between its call and its return.
    pub(super) fn are_linearizable(&self) -> bool {
        let mut events = Vec::new();
        for (process, operation) in self.operations.iter().enumerate() {
            let action = match (operation.write, operation.returned) {
                (Some(_), _) => RegisterOperation::Write(operation.value),
                (None, Some(_)) => RegisterOperation::Read(Some(operation.value)),
                // A read without an answer says nothing.
                (None, None) => continue,
            };
            // A write without an answer may take effect at any time after its call.
            let returned = operation.returned.unwrap_or(u64::MAX - process as u64);
            events.push((operation.called, process, Action::Call(action)));
            events.push((returned, process, Action::Response(action)));
        }
        events.sort_by_key(|(at, _, _)| *at);
        let actions = events.into_iter().map(|(_, process, action)| (process, action)).collect();
        WGLChecker::<RegisterSpecification<u64>>::is_linearizable(History::from_actions(actions))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_of_an_overwritten_value_is_found_out() {
        let mut clients = Clients::default();
        for _ in 0..2 {
            let write = clients.call(0, true);
            clients.finish(write, None);
        }
        let read = clients.call(0, false);
        clients.finish(read, Some(2));
        assert!(clients.are_linearizable());
        let stale = clients.call(0, false);
        clients.finish(stale, Some(1));
        assert!(!clients.are_linearizable());
    }
}
