//! Where to try next, and after which pause. Pure but for the chance in the pauses.

use fastrand::Rng;
use std::time::Duration;

/// The pause after the first failure in a row.
const PAUSE_MIN: Duration = Duration::from_millis(50);

/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// The members that are known, and what the last one said about the leader.
#[derive(Debug)]
pub(super) struct Addresses {
    /// From the configuration.
    listed: Vec<String>,
    /// From the group itself, as far as they are not listed.
    learned: Vec<String>,
    next: usize,
    /// Who leads, as the last one said.
    leader: Option<String>,
    /// The last attempt went where a member had sent it.
    redirected: bool,
    /// Attempts in a row that came to nothing, redirections aside.
    failures: u32,
    rng: Rng,
}

impl Addresses {
    /// Tries `listed` in turn, the first one first.
    pub(super) fn new(listed: Vec<String>, rng: Rng) -> Self {
        let leader = None;
        Self { listed, learned: Vec::new(), next: 0, leader, redirected: false, failures: 0, rng }
    }

    /// The address to try next.
    pub(super) fn take(&mut self) -> String {
        if let Some(leader) = self.leader.take() {
            return leader;
        }
        let known = self.listed.len() + self.learned.len();
        let place = self.next % known.max(1);
        self.next = place + 1;
        let mut all = self.listed.iter().chain(&self.learned);
        all.nth(place).cloned().unwrap_or_default()
    }

    /// The last attempt came to nothing; `leader` is where the member says to go. How long to wait before the next.
    pub(super) fn failed(&mut self, leader: Option<String>) -> Duration {
        let follow = leader.is_some() && !self.redirected;
        // Members that have not heard of an election may send a proxy round in circles: every second
        // redirection in a row waits.
        self.redirected = follow;
        self.leader = leader;
        if follow {
            return Duration::ZERO;
        }
        let longest = PAUSE_MIN.saturating_mul(1 << self.failures.min(10)).min(PAUSE_MAX);
        self.failures = self.failures.saturating_add(1);
        // So that a thousand proxies do not come back at one moment.
        longest.mul_f64(0.5 + 0.5 * self.rng.f64())
    }

    /// The last attempt reached the leader, which says that `members` are the group.
    pub(super) fn reached(&mut self, members: &[String]) {
        self.failures = 0;
        self.redirected = false;
        let new = members.iter().filter(|member| !self.listed.contains(member));
        self.learned = new.cloned().collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(listed: &[&str]) -> Addresses {
        let listed = listed.iter().map(|&address| address.to_owned()).collect();
        Addresses::new(listed, Rng::with_seed(1))
    }

    #[test]
    fn addresses_are_tried_in_turn() {
        let mut addresses = addresses(&["a", "b"]);
        let tried: Vec<String> = (0..5).map(|_| addresses.take()).collect();
        assert_eq!(tried, ["a", "b", "a", "b", "a"]);
    }

    #[test]
    fn a_members_word_about_the_leader_is_followed_once_and_at_once() {
        let mut addresses = addresses(&["a", "b"]);
        assert_eq!(addresses.take(), "a");
        assert_eq!(addresses.failed(Some("z".into())), Duration::ZERO);
        assert_eq!(addresses.take(), "z");
        assert!(!addresses.failed(None).is_zero());
        assert_eq!(addresses.take(), "b", "the list goes on where it was");
    }

    #[test]
    fn members_that_send_a_proxy_to_each_other_do_not_keep_it_busy() {
        let mut addresses = addresses(&["a"]);
        let pauses: Vec<Duration> = (0..12).map(|_| addresses.failed(Some("b".into()))).collect();
        assert!(pauses.iter().skip(1).step_by(2).all(|pause| *pause >= PAUSE_MIN / 2));
        assert!(pauses[11] >= PAUSE_MAX / 2);
    }

    #[test]
    fn pauses_grow_to_a_second_and_begin_anew_once_the_leader_was_reached() {
        let mut addresses = addresses(&["a"]);
        for longest_ms in [50, 100, 200, 400, 800, 1000, 1000] {
            let pause = addresses.failed(None).as_millis();
            assert!((longest_ms / 2..=longest_ms).contains(&pause), "{pause} of {longest_ms}");
        }
        addresses.reached(&[]);
        assert!(addresses.failed(None) <= PAUSE_MIN);
    }

    #[test]
    fn members_that_the_group_names_are_tried_too() {
        let mut addresses = addresses(&["a"]);
        addresses.reached(&["a".into(), "b".into(), "c".into()]);
        let tried: Vec<String> = (0..4).map(|_| addresses.take()).collect();
        assert_eq!(tried, ["a", "b", "c", "a"]);
        addresses.reached(&["c".into()]);
        assert_eq!([addresses.take(), addresses.take()], ["c", "a"]);
    }
}
