//! Votes for members that were added.
//!
//! A member is added without a vote and gets one when it has caught up. Whoever leads sees to that, so that it happens
//! also where the one who added it has gone, or the leader of that moment.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::node::{Node, ReadError};
use crate::raft::{Change, Refusal};

/// How often the leader looks for members without a vote.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// Gives votes for as long as the member runs.
pub(in crate::server) async fn give(node: Node) {
    let mut look = interval(LOOK_INTERVAL);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        if !node.standing().borrow().leads {
            continue;
        }
        let Ok(status) = node.status().await else { return };
        // One at a time: each is a change of its own.
        let caught_up = status.learners.iter().find(|learner| {
            status
                .progress
                .get(learner)
                .is_some_and(|progress| progress.active && progress.matched > 0)
        });
        let Some(&id) = caught_up else { continue };
        match node.change_members(vec![Change::Promote { id }]).await {
            Ok(_) => tracing::info!(member = id, "the member has caught up and has a vote now"),
            // It has not caught up after all, or another change is under way: later.
            Err(ReadError::Refused(Refusal::Membership(why))) => {
                tracing::debug!(member = id, "no vote yet: {why}");
            }
            Err(_) => {}
        }
    }
}
