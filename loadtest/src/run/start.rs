//! The common start of all threads.

use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

/// When what begins and ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Phases {
    /// The first request is due.
    pub(crate) start: Instant,
    /// The warm-up is over.
    pub(crate) measured: Instant,
    /// No request is sent any more.
    pub(crate) end: Instant,
}

/// Where threads wait for each other before the load begins.
#[derive(Debug, Default)]
pub struct Start {
    phases: Mutex<Option<Phases>>,
    begun: Condvar,
}

impl Start {
    /// Lets all threads begin.
    pub(crate) fn begin(&self, warmup: Duration, duration: Duration) -> Phases {
        let start = Instant::now();
        let measured = start + warmup;
        self.set(Phases { start, measured, end: measured + duration })
    }

    /// Lets threads that still wait go, to end at once.
    pub(crate) fn give_up(&self) {
        let now = Instant::now();
        self.set(Phases { start: now, measured: now, end: now });
    }

    fn set(&self, phases: Phases) -> Phases {
        let mut place = self.phases.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let phases = *place.get_or_insert(phases);
        self.begun.notify_all();
        phases
    }

    /// Waits until the load begins.
    pub(crate) fn wait(&self) -> Phases {
        let mut place = self.phases.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        loop {
            if let Some(phases) = *place {
                return phases;
            }
            place = self.begun.wait(place).unwrap_or_else(std::sync::PoisonError::into_inner);
        }
    }
}
