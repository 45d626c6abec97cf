//! Changes of who is a member.
//!
//! A new member joins as a learner: it receives the log and does not vote. Once it has caught up it
//! may be promoted. One proposal may carry several changes, so that a member is replaced in one
//! step; Raft then goes through a joint configuration and leaves it by itself.

use raft::eraftpb::{ConfChangeSingle, ConfChangeType, ConfChangeV2, ConfState};

use super::super::message::{DecodeError, Decoder, Encoder};
use super::image::Addresses;
use super::outcome::{Progress, Refusal};

/// One change of who is a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Adds a member that follows the log without a vote.
    AddLearner {
        /// Its id, which no member has.
        id: u64,
        /// Where the others reach it.
        address: String,
    },
    /// Gives a learner a vote.
    Promote {
        /// Its id.
        id: u64,
    },
    /// Removes a member, voter or learner.
    Remove {
        /// Its id.
        id: u64,
    },
}

/// What the leader knows when it judges a change.
pub(super) struct Situation<'a> {
    pub(super) leader: u64,
    pub(super) members: &'a ConfState,
    /// An earlier change is not applied yet.
    pub(super) change_pending: bool,
    pub(super) committed: u64,
    /// How many entries a learner may lack and still be promoted.
    pub(super) promotion_lag_max: u64,
    pub(super) progress: &'a std::collections::BTreeMap<u64, Progress>,
}

/// Judges changes and makes of them what Raft wants.
///
/// # Errors
///
/// [`Refusal::Membership`], with a reason that tells the operator what to do.
pub(super) fn judge(
    changes: &[Change],
    situation: &Situation<'_>,
) -> Result<ConfChangeV2, Refusal> {
    let refuse = |reason: String| Err(Refusal::Membership(reason));
    let members = situation.members;
    if situation.change_pending || !members.voters_outgoing.is_empty() {
        return refuse("another change of members is under way: wait until it is done".to_owned());
    }
    if changes.is_empty() {
        return refuse("there is no change in this change of members".to_owned());
    }
    let mut named = Vec::new();
    let mut voters = members.voters.clone();
    for change in changes {
        let id = change.id();
        if id == 0 || named.contains(&id) {
            return refuse(format!(
                "member id {id} cannot be used here: ids are 1 and up, each once in a change"
            ));
        }
        named.push(id);
        let (is_voter, is_learner) = (members.voters.contains(&id), members.learners.contains(&id));
        match change {
            Change::AddLearner { .. } if is_voter || is_learner => {
                return refuse(format!(
                    "member {id} is in the group already: choose another id or remove it first"
                ));
            }
            Change::AddLearner { .. } => {}
            Change::Promote { .. } if is_voter => {
                return refuse(format!("member {id} has a vote already"));
            }
            Change::Promote { .. } if !is_learner => {
                return refuse(format!("member {id} is not in the group: add it first"));
            }
            Change::Promote { .. } => {
                let progress = situation.progress.get(&id);
                let lag = progress.map_or(situation.committed, |progress| {
                    situation.committed.saturating_sub(progress.matched)
                });
                if !progress.is_some_and(|progress| progress.active) {
                    return refuse(format!(
                        "member {id} does not answer: start it before it gets a vote"
                    ));
                }
                if lag > situation.promotion_lag_max {
                    return refuse(format!(
                        "member {id} is still {lag} entries behind: wait until it has caught up"
                    ));
                }
                voters.push(id);
            }
            Change::Remove { .. } if !is_voter && !is_learner => {
                return refuse(format!("member {id} is not in the group"));
            }
            Change::Remove { .. } if id == situation.leader => {
                return refuse(format!(
                    "member {id} leads the group: transfer leadership to another one first"
                ));
            }
            Change::Remove { .. } => voters.retain(|voter| *voter != id),
        }
    }
    let answering = |id: &&u64| {
        **id == situation.leader
            || situation.progress.get(id).is_some_and(|progress| progress.active)
    };
    let active = voters.iter().filter(answering).count();
    if active <= voters.len() / 2 {
        return refuse(format!(
            "only {active} of the {} members that would vote answer, which is no majority: start or remove those that are down first",
            voters.len()
        ));
    }
    Ok(conf_change(changes))
}

fn conf_change(changes: &[Change]) -> ConfChangeV2 {
    let mut conf_change = ConfChangeV2::default();
    let mut addresses = Encoder::default();
    for change in changes {
        let kind = match change {
            Change::AddLearner { id, address } => {
                addresses.u64(*id);
                addresses.sized(address.as_bytes());
                ConfChangeType::AddLearnerNode
            }
            Change::Promote { .. } => ConfChangeType::AddNode,
            Change::Remove { .. } => ConfChangeType::RemoveNode,
        };
        let mut single = ConfChangeSingle { node_id: change.id(), ..ConfChangeSingle::default() };
        single.set_change_type(kind);
        conf_change.mut_changes().push(single);
    }
    conf_change.context = addresses.bytes.into();
    conf_change
}

/// Takes the addresses that an applied change brings, and forgets those of members that are gone.
///
/// # Errors
///
/// The change's context is not what [`judge`] makes.
pub(super) fn update_addresses(
    addresses: &mut Addresses,
    change: &ConfChangeV2,
    members: &ConfState,
) -> Result<(), DecodeError> {
    let mut input = Decoder { bytes: &change.context };
    while !input.bytes.is_empty() {
        addresses.insert(input.u64()?, input.text()?);
    }
    addresses.retain(|id, _| is_member(members, *id));
    Ok(())
}

/// Whether `id` is a member in any way.
pub(super) fn is_member(members: &ConfState, id: u64) -> bool {
    [&members.voters, &members.learners, &members.voters_outgoing, &members.learners_next]
        .into_iter()
        .any(|ids| ids.contains(&id))
}

impl Change {
    /// The member that it concerns.
    pub fn id(&self) -> u64 {
        match self {
            Change::AddLearner { id, .. } | Change::Promote { id } | Change::Remove { id } => *id,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Judges in a group of voters 1, 2, 3 and learner 4, led by 1; `down` do not answer.
    fn judged(changes: &[Change], down: &[u64], learner_at: u64) -> Result<ConfChangeV2, String> {
        let members =
            ConfState { voters: vec![1, 2, 3], learners: vec![4], ..ConfState::default() };
        let progress: BTreeMap<u64, Progress> = [(2, 100), (3, 100), (4, learner_at)]
            .map(|(id, matched)| (id, Progress { matched, active: !down.contains(&id) }))
            .into();
        let situation = Situation {
            leader: 1,
            members: &members,
            change_pending: false,
            committed: 100,
            promotion_lag_max: 10,
            progress: &progress,
        };
        judge(changes, &situation).map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn a_learner_gets_its_vote_only_when_it_has_caught_up() {
        assert!(judged(&[Change::Promote { id: 4 }], &[], 90).is_ok());
        assert_eq!(
            judged(&[Change::Promote { id: 4 }], &[], 89),
            Err("member 4 is still 11 entries behind: wait until it has caught up".to_owned())
        );
        assert!(judged(&[Change::Promote { id: 4 }], &[4], 100).is_err());
    }

    #[test]
    fn a_removal_that_leaves_no_majority_is_refused() {
        assert!(judged(&[Change::Remove { id: 3 }], &[3], 100).is_ok());
        assert_eq!(
            judged(&[Change::Remove { id: 2 }], &[3], 100),
            Err("only 1 of the 2 members that would vote answer, which is no majority: start or remove those that are down first".to_owned())
        );
    }

    #[test]
    fn the_leader_is_not_removed_before_it_hands_over() {
        assert_eq!(
            judged(&[Change::Remove { id: 1 }], &[], 100),
            Err("member 1 leads the group: transfer leadership to another one first".to_owned())
        );
    }

    #[test]
    fn ids_must_fit_what_is_done_to_them() {
        assert!(judged(&[Change::AddLearner { id: 2, address: String::new() }], &[], 100).is_err());
        assert!(judged(&[Change::AddLearner { id: 0, address: String::new() }], &[], 100).is_err());
        assert!(judged(&[Change::Promote { id: 2 }], &[], 100).is_err());
        assert!(judged(&[Change::Promote { id: 9 }], &[], 100).is_err());
        assert!(judged(&[Change::Remove { id: 9 }], &[], 100).is_err());
        assert!(judged(&[Change::Promote { id: 4 }, Change::Remove { id: 4 }], &[], 100).is_err());
        assert!(judged(&[], &[], 100).is_err());
    }

    #[test]
    fn a_member_is_replaced_in_one_change_and_its_address_goes_with_it() {
        let changes = [
            Change::Promote { id: 4 },
            Change::Remove { id: 3 },
            Change::AddLearner { id: 5, address: "e:5".to_owned() },
        ];
        let conf_change = judged(&changes, &[], 100).expect("the change is possible");
        assert_eq!(conf_change.changes.len(), 3);
        let mut addresses = Addresses::from([(1, "a:1".to_owned()), (3, "c:3".to_owned())]);
        let members =
            ConfState { voters: vec![1, 2, 4], learners: vec![5], ..ConfState::default() };
        update_addresses(&mut addresses, &conf_change, &members).expect("the context is our own");
        assert_eq!(addresses, Addresses::from([(1, "a:1".to_owned()), (5, "e:5".to_owned())]));
    }
}
