//! Values that are read and written by several operators at a time, and what each saw of them.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use todc_utils::linearizability::WGLChecker;
use todc_utils::linearizability::history::{Action, History};
use todc_utils::specifications::register::{RegisterOperation, RegisterSpecification};

/// Orders calls and answers of every operator.
#[derive(Debug, Default)]
pub struct Clock(AtomicU64);

impl Clock {
    /// Now. No two calls are told the same.
    pub fn now(&self) -> u64 {
        self.0.fetch_add(1, SeqCst)
    }
}

/// One value, and the history of it in a round.
#[derive(Debug, Default)]
pub struct Register {
    history: Mutex<Vec<Operation>>,
}

#[derive(Debug, Clone, Copy)]
struct Operation {
    what: RegisterOperation<u64>,
    called: u64,
    answered: u64,
}

impl Register {
    /// `value` was read between two moments of the clock.
    pub fn read(&self, value: u64, called: u64, answered: u64) {
        self.add(Operation { what: RegisterOperation::Read(Some(value)), called, answered });
    }

    /// `value` was written between two moments of the clock.
    pub fn wrote(&self, value: u64, called: u64, answered: u64) {
        self.add(Operation { what: RegisterOperation::Write(value), called, answered });
    }

    fn add(&self, operation: Operation) {
        self.history.lock().expect("nothing panics under this lock").push(operation);
    }

    /// How much the history holds.
    pub fn len(&self) -> usize {
        self.history.lock().expect("nothing panics under this lock").len()
    }

    /// Whether everything that was seen can be explained by operations that took effect one after another, each
    /// between its call and its answer. The value before the first of them is taken to be 0.
    pub fn is_linearizable(&self) -> bool {
        let history = self.history.lock().expect("nothing panics under this lock");
        let mut events = Vec::with_capacity(2 * history.len());
        for (process, operation) in history.iter().enumerate() {
            events.push((operation.called, process, Action::Call(operation.what)));
            events.push((operation.answered, process, Action::Response(operation.what)));
        }
        events.sort_by_key(|(at, _, _)| *at);
        let actions = events.into_iter().map(|(_, process, action)| (process, action)).collect();
        WGLChecker::<RegisterSpecification<u64>>::is_linearizable(History::from_actions(actions))
    }
}

#[test]
fn a_read_of_a_value_that_was_overwritten_before_it_began_is_found_out() {
    let (fresh, stale) = (Register::default(), Register::default());
    for register in [&fresh, &stale] {
        register.wrote(1, 0, 1);
        register.wrote(2, 2, 4);
        register.read(1, 3, 5);
    }
    fresh.read(2, 6, 7);
    stale.read(1, 6, 7);
    assert!(fresh.is_linearizable());
    assert!(!stale.is_linearizable());
}
