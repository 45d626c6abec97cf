//! A timer finer than a poll's timeout.

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Instant;

/// The timer's place among a poll's tokens: after those of all connections.
const TOKEN: Token = Token(usize::MAX - 1);

/// Wakes a poll at a time that is given in nanoseconds. It is edge-triggered, so it need not be read.
#[derive(Debug)]
pub(crate) struct Timer {
    timer: OwnedFd,
    /// What it was last set to.
    due: Option<Instant>,
}

impl Timer {
    pub(crate) fn new(registry: &Registry) -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        registry.register(&mut SourceFd(&timer.as_raw_fd()), TOKEN, Interest::READABLE)?;
        Ok(Self { timer, due: None })
    }

    /// Wakes the poll once, when it is `due`. To set it costs some microseconds where the clock is a hypervisor's, so what it
    /// is set to already is left.
    pub(crate) fn set(&mut self, due: Instant, now: Instant) {
        if self.due.replace(due) == Some(due) {
            return;
        }
        let wait = due.saturating_duration_since(now);
        let it_value = Timespec {
            tv_sec: wait.as_secs().try_into().unwrap_or(i64::MAX),
            // Nothing at all would turn it off.
            tv_nsec: i64::from(wait.subsec_nanos().max(1)),
        };
        let it_interval = Timespec { tv_sec: 0, tv_nsec: 0 };
        let setting = Itimerspec { it_interval, it_value };
        // It can fail for bad arguments alone; then the poll's own timeout ends the wait.
        let _ = timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &setting);
    }
}
