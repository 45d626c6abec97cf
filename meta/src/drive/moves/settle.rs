//! Waiting until what was copied is where it must be before the old copy goes.

use std::time::Duration;

use codis_proto::WAIT_KEY;
use codis_proto::meta::v1::Durability;

use super::link::{CALL_MAX, Link};
use super::net::{Net, Value, request};
use super::plan::{Place, Rules};
use super::trouble::Trouble;
use super::{Member, Mover, Servers};

/// How long the target may wait at a time, and how long it is waited for altogether.
const WAIT_MS: &str = "100";
const WAIT_MAX: Duration = Duration::from_secs(2);

/// How long a target without a connected replica is taken to have none.
const ALONE: Duration = Duration::from_secs(1);

/// A connection of its own to a target, for waiting there.
pub(super) struct Waiter<C> {
    link: Option<Link<C>>,
    alone_until: Duration,
    written: u64,
}

impl<C> Default for Waiter<C> {
    fn default() -> Self {
        Self { link: None, alone_until: Duration::ZERO, written: 0 }
    }
}

/// Whether a move to the group needs the wait, and so leaves the source's copy where it is until then.
pub(super) fn is_needed(rules: &Rules, target: &Place) -> bool {
    match rules.durability {
        Durability::Replica => target.has_replicas,
        Durability::Aof => true,
        Durability::None => false,
    }
}

impl<M: Member, S: Servers, N: Net> Mover<'_, M, S, N> {
    /// Waits until everything that the target has got so far is safe there.
    pub(super) async fn settle(
        &self,
        waiter: &mut Waiter<N::Connection>,
        rules: &Rules,
        target: &Place,
    ) -> Result<(), Trouble> {
        if !is_needed(rules, target) {
            return Ok(());
        }
        let aof = rules.durability == Durability::Aof;
        if !aof && self.net.now() < waiter.alone_until {
            return Ok(());
        }
        let mut link = match waiter.link.take() {
            Some(link) => link,
            None => self.open(&target.address).await?,
        };
        waiter.written += 1;
        let marker = request(&["SET", WAIT_KEY, &waiter.written.to_string()]);
        let wait = if aof {
            request(&["WAITAOF", "1", "0", WAIT_MS])
        } else {
            request(&["WAIT", "1", WAIT_MS])
        };
        let until = self.net.now() + WAIT_MAX;
        let mut asked = vec![marker, wait.clone()];
        loop {
            let answer = link.all_well_in(0, asked, CALL_MAX).await?.pop();
            if count(answer) > 0 {
                break;
            }
            if !aof && !has_online_replica(&mut link).await? {
                waiter.alone_until = self.net.now() + ALONE;
                break;
            }
            if self.net.now() >= until {
                let what = if aof { "its append-only file" } else { "a replica of it" };
                return Err(Trouble::Unfit(format!(
                    "{} has taken keys, but {what} did not follow within {WAIT_MAX:?} (migration_durability)",
                    target.address
                )));
            }
            asked = vec![wait.clone()];
        }
        waiter.link = Some(link);
        Ok(())
    }
}

/// How many have it, as WAIT says, or WAITAOF of the server itself.
fn count(answer: Option<Value>) -> i64 {
    match answer {
        Some(Value::Array(counts)) => counts.first().and_then(Value::integer).unwrap_or(0),
        answer => answer.as_ref().and_then(Value::integer).unwrap_or(0),
    }
}

async fn has_online_replica<C: super::net::Connection>(
    link: &mut Link<C>,
) -> Result<bool, Trouble> {
    let info = link.all_well(vec![request(&["INFO", "replication"])]).await?.pop();
    let info = info.and_then(Value::into_bytes).unwrap_or_default();
    Ok(is_followed(&String::from_utf8_lossy(&info)))
}

fn is_followed(info: &str) -> bool {
    info.lines().any(|line| line.starts_with("slave") && line.contains("state=online"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_that_is_still_filled_is_not_waited_for() {
        let info = |state: &str| {
            format!(
                "role:master\r\nconnected_slaves:1\r\nslave0:ip=10.0.0.3,port=1,state={state},offset=0,lag=0\r\n"
            )
        };
        assert!(is_followed(&info("online")));
        assert!(!is_followed(&info("send_bulk")));
        assert!(!is_followed("role:master\r\nconnected_slaves:0\r\n"));
    }

    #[test]
    fn the_servers_own_file_counts_for_waitaof() {
        let both =
            |own, others| Some(Value::Array(vec![Value::Integer(own), Value::Integer(others)]));
        assert_eq!((count(both(1, 0)), count(both(0, 2))), (1, 0));
        assert_eq!((count(Some(Value::Integer(2))), count(Some(Value::Nil))), (2, 0));
    }
}
