//! A timer finer than a poll's timeout.

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// The timer's place among a poll's tokens: after those of all connections.
const TOKEN: Token = Token(usize::MAX - 1);

/// Between two times that the timer goes off, there is at least what so many of its interrupts take.
const STEP_INTERRUPTS: u32 = 4;
/// The longest that makes a request late.
const STEP_MAX: Duration = Duration::from_micros(200);

/// Wakes a poll at a time that is given in nanoseconds. It is edge-triggered, so it need not be read.
///
/// What an interrupt of the clock takes depends on the machine. On a virtual one it was 25 us, and one for each of 80,000
/// requests a second was two fifths of the load's work. So the timer finds out what it takes, and goes off no
/// more often than leaves the thread three quarters of its time. At rates where that matters replies wake the poll more often
/// than the timer does.
#[derive(Debug)]
pub(crate) struct Timer {
    timer: OwnedFd,
    /// The least time between two times that it goes off.
    step: Duration,
    /// What it was last set to.
    at: Option<Instant>,
}

impl Timer {
    pub(crate) fn new(registry: &Registry) -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        let step = (interrupt(&timer) * STEP_INTERRUPTS).min(STEP_MAX);
        registry.register(&mut SourceFd(&timer.as_raw_fd()), TOKEN, Interest::READABLE)?;
        Ok(Self { timer, step, at: None })
    }

    /// Wakes the poll once, when something is `due`, or somewhat later (see [`Timer`]).
    pub(crate) fn set(&mut self, due: Instant, now: Instant) {
        if self.at.is_some_and(|at| at > now && at >= due) {
            return;
        }
        let at = next(self.at, self.step, due);
        self.at = Some(at);
        arm(&self.timer, at.saturating_duration_since(now));
    }
}

/// When a timer that was last set to `before` goes off for what is `due`.
fn next(before: Option<Instant>, step: Duration, due: Instant) -> Instant {
    before.map_or(due, |before| due.max(before + step))
}

/// What one interrupt takes: that of a timer which is over when it is set comes at once.
fn interrupt(timer: &OwnedFd) -> Duration {
    let one = |_| {
        let before = Instant::now();
        arm(timer, Duration::ZERO);
        before.elapsed()
    };
    // The others were disturbed.
    (0..16).map(one).min().unwrap_or_default()
}

fn arm(timer: &OwnedFd, wait: Duration) {
    let it_value = Timespec {
        tv_sec: wait.as_secs().try_into().unwrap_or(i64::MAX),
        // Nothing at all would turn it off.
        tv_nsec: i64::from(wait.subsec_nanos()).max(i64::from(wait.is_zero())),
    };
    let it_interval = Timespec { tv_sec: 0, tv_nsec: 0 };
    let setting = Itimerspec { it_interval, it_value };
    // It can fail for bad arguments alone; then the poll's own timeout ends the wait.
    let _ = timerfd_settime(timer, TimerfdTimerFlags::empty(), &setting);
}

#[cfg(test)]
mod tests {
    use super::next;
    use std::time::{Duration, Instant};

    #[test]
    fn a_timer_is_exact_at_low_rates_and_keeps_its_distance_at_high_ones() {
        let start = Instant::now();
        let us = |us| start + Duration::from_micros(us);
        let step = Duration::from_micros(100);
        assert_eq!(next(None, step, us(7)), us(7), "the first");
        assert_eq!(next(Some(us(0)), step, us(100)), us(100));
        assert_eq!(next(Some(us(0)), step, us(250)), us(250));
        assert_eq!(next(Some(us(0)), step, us(12)), us(100));
        assert_eq!(next(Some(us(0)), Duration::ZERO, us(12)), us(12));
    }
}
