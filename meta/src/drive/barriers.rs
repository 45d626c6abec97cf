//! Bringing a barrier about: waiting for the proxies' acknowledgements, and fencing those that give none.

use std::pin::pin;
use std::time::Duration;

use codis_proto::meta::v1 as pb;
use futures_util::future::{Either, select};

use super::fence::{self, FenceError};
use super::member::{Lost, Member};
use super::server::Servers;
use crate::state::barrier::{self, Waiting};
use crate::state::settings::{self, Setting};

/// How long to wait before a fence is tried again.
const PAUSE: Duration = Duration::from_millis(50);

/// How many proxies a reason names.
const NAMED_MAX: usize = 5;

/// A barrier as the state has it.
#[derive(Debug, Clone)]
pub(super) struct Barrier {
    epoch: u64,
    deadline_unix_ms: u64,
    waiting: Waiting,
    /// Those among the waited for that were removed by force, and will never acknowledge.
    leaving: Vec<String>,
    /// How long clients may wait at a barrier.
    length: Duration,
}

impl Barrier {
    pub(super) fn of(state: &pb::State, epoch: u64, deadline_unix_ms: u64) -> Barrier {
        Barrier {
            epoch,
            deadline_unix_ms,
            waiting: barrier::waiting(state, epoch),
            leaving: state.leaving.keys().cloned().collect(),
            length: Duration::from_micros(settings::number(state, Setting::BarrierDeadline)),
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.waiting.is_over()
    }

    /// How long clients may still wait. Never longer than a whole barrier, however far apart the clocks of the
    /// members are.
    pub(super) fn left(&self, now_unix_ms: u64) -> Duration {
        let left = Duration::from_millis(self.deadline_unix_ms.saturating_sub(now_unix_ms));
        left.min(self.length)
    }
}

/// What became of the fences of a barrier so far.
#[derive(Debug, Default)]
pub(super) struct Fencing {
    failure: Option<String>,
}

/// Waits for a change, or fences. The result is why the barrier is to be given up, if it is.
///
/// For the first half of the time a proxy may acknowledge by itself, as fencing costs it its connections. What is known
/// to take a fence gets it at once.
///
/// `left` is how long clients may still wait. The clock comes in as `sleep`, so that all of it can be simulated.
pub(super) async fn bring_about<M: Member, S: Servers, Slept: Future<Output = ()>>(
    (member, servers, sleep): (&M, &S, &impl Fn(Duration) -> Slept),
    barrier: &Barrier,
    left: Duration,
    fencing: &mut Fencing,
    applied: u64,
) -> Result<Option<String>, Lost> {
    if left.is_zero() {
        return Ok(Some(reason(&barrier.waiting, fencing)));
    }
    let grace = left.saturating_sub(barrier.length / 2);
    let tokens = if grace.is_zero() { &barrier.waiting.tokens } else { &barrier.leaving };
    if tokens.is_empty() && barrier.waiting.fence_epoch == 0 {
        member.applied_beyond(applied, if grace.is_zero() { left } else { grace }).await;
        return Ok(None);
    }
    let epoch = barrier.epoch.max(barrier.waiting.fence_epoch);
    let fence = pin!(fence::fence(member, servers, epoch, tokens));
    match select(fence, pin!(sleep(left))).await {
        Either::Left((Ok(()), _)) => fencing.failure = None,
        Either::Left((Err(FenceError::Lost(lost)), _)) => return Err(lost),
        Either::Left((Err(FenceError::Failed(why)), _)) => {
            fencing.failure = Some(why);
            sleep(PAUSE.min(left)).await;
        }
        Either::Right(_) => fencing.failure = Some("the masters did not answer in time".to_owned()),
    }
    Ok(None)
}

fn reason(waiting: &Waiting, fencing: &Fencing) -> String {
    let named: Vec<&str> = waiting.tokens.iter().take(NAMED_MAX).map(String::as_str).collect();
    let more = waiting.tokens.len().saturating_sub(NAMED_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let who = if named.is_empty() {
        "proxies that stopped or were removed must be fenced".to_owned()
    } else {
        format!("these proxies did not acknowledge in time: {}{more}", named.join(", "))
    };
    match &fencing.failure {
        None => who,
        Some(why) => format!("{who}; and they could not be fenced: {why}"),
    }
}
