//! What a group must do, whatever happens to its members, its network and its disks.

use super::super::member::{Change, Refusal, Role};
use super::super::store::Loaded;
use super::disk::Doom;
use super::{Network, TICK, World, for_each_seed};

/// Units within which a group without faults elects a leader.
const ELECTION: u64 = 60 * TICK;

impl World {
    fn until_led(&mut self) -> u64 {
        self.until(ELECTION, "a leader is elected", |world| {
            world.leader().is_some_and(|leader| {
                let follow = |status: super::super::member::Status| status.leader == leader;
                world
                    .nodes
                    .values()
                    .filter_map(|node| node.member.as_ref())
                    .all(|member| follow(member.status()))
            })
        });
        self.leader().expect("it was just there")
    }

    /// Carries out `count` writes and waits for the end of all.
    fn write(&mut self, count: usize) {
        let wanted = self.clients.operations.len() + count;
        self.until(200_000, "writes are acknowledged", |world| {
            let numbers: Vec<usize> = world.clients.current.values().copied().collect();
            for number in numbers {
                if !world.clients.waiting.values().any(|waiting| *waiting == number) {
                    world.attempt(number);
                }
            }
            if world.clients.current.is_empty() && world.clients.operations.len() < wanted {
                world.clients.call(0, true);
            }
            world.clients.current.is_empty() && world.clients.operations.len() == wanted
        });
    }
}

#[test]
fn a_group_survives_every_mixture_of_faults() {
    for_each_seed(40, |seed| {
        let mut world = World::new(seed, 3 + 2 * (seed % 2));
        world.run_with_mishaps(4_000, 4);
        world.settle_and_check();
    });
}

#[test]
fn a_group_survives_faults_while_its_members_change() {
    for_each_seed(40, |seed| {
        let mut world = World::new(1_000_000 + seed, 3);
        for _ in 0..40 {
            world.run_with_mishaps(100, 3);
            world.operate();
            world.retire();
        }
        world.settle_and_check();
    });
}

#[test]
fn the_faults_of_the_simulation_do_happen() {
    let mut seen = std::collections::BTreeMap::new();
    for seed in 0..12 {
        let mut world = World::new(seed, 3);
        for _ in 0..40 {
            world.run_with_mishaps(100, 3);
            world.operate();
            world.retire();
        }
        for (what, count) in world.seen {
            *seen.entry(what).or_insert(0) += count;
        }
    }
    for what in
        ["crash", "partition", "full", "recovered", "installed", "members", "unknown", "refused"]
    {
        assert!(seen.get(what).is_some_and(|count| *count > 0), "{what} is never seen: {seen:?}");
    }
    assert_eq!(seen.get("log lost"), None, "no sound disk loses what was acknowledged");
}

#[test]
fn a_member_that_dies_at_any_write_loses_nothing_that_was_acknowledged() {
    for_each_seed(2, |seed| {
        for victim in 1..=3 {
            for writes in 0..12 {
                for doom in [Doom::Before, Doom::After] {
                    let mut world = World::new(seed, 3);
                    world.until_led();
                    world.nodes[&victim].disk.borrow_mut().doom = Some((writes, doom));
                    world.write(12);
                    world.settle_and_check();
                }
            }
        }
    });
}

#[test]
fn a_group_of_one_leads_itself_before_any_time_has_passed() {
    let mut world = World::new(1, 1);
    assert_eq!(world.leader(), Some(1));
    world.write(3);
    world.crash(1);
    world.start(1);
    assert_eq!(world.leader(), Some(1));
    world.settle_and_check();
}

#[test]
fn a_group_of_one_with_a_full_disk_acknowledges_nothing_and_recovers_by_itself() {
    let mut world = World::new(1, 1);
    world.write(1);
    world.nodes[&1].disk.borrow_mut().full = true;
    world.clients.call(0, true);
    world.attempt(1);
    world.steps(40 * TICK);
    let status = world.member(1).expect("it runs").status();
    assert!(status.fault.is_some());
    assert_ne!(status.role, Role::Leader);
    assert!(matches!(world.member(1).expect("it runs").propose(vec![]), Err(Refusal::Storage(_))));
    assert_eq!(world.clients.operations[1].returned, None);
    world.nodes[&1].disk.borrow_mut().full = false;
    world.settle_and_check();
    assert_eq!(world.member(1).expect("it runs").status().fault, None);
}

#[test]
fn a_leader_with_a_full_disk_lets_another_member_lead() {
    for_each_seed(20, |seed| {
        let mut world = World::new(seed, 3);
        let full = world.until_led();
        world.write(5);
        world.nodes[&full].disk.borrow_mut().full = true;
        world.until(ELECTION, "another member leads", |world| {
            world.serve_clients(2);
            world.leader().is_some_and(|leader| leader != full)
        });
        world.write(40);
        world.settle_and_check();
        assert_eq!(world.seen.get("recovered"), Some(&1));
    });
}

#[test]
fn a_follower_that_missed_the_log_gets_an_image_in_chunks_over_a_bad_network() {
    for_each_seed(20, |seed| {
        let mut world = World::new(seed, 3);
        let leader = world.until_led();
        let behind = world.running().into_iter().find(|id| *id != leader).expect("there are three");
        world.crash(behind);
        world.write(120);
        world.network = Network { lost: 150, twice: 150, late: 150 };
        world.start(behind);
        world.until(60_000, "the image is installed", |world| world.seen.contains_key("installed"));
        world.settle_and_check();
    });
}

#[test]
fn a_member_is_added_promoted_and_removed() {
    let mut world = World::new(5, 3);
    let leader = world.until_led();
    world.write(60);
    world.add(4, Loaded::default());
    let change = |world: &mut World, change: Change| {
        world.member(leader).expect("it leads").change_members(vec![change]).map(|_| ())
    };
    change(&mut world, Change::AddLearner { id: 4, address: "sim:4".to_owned() })
        .expect("it is new");
    world.until(3_000, "the learner has caught up", |world| {
        let (at, led) = (
            world.member(4).map(|member| member.status()),
            world.member(leader).map(|member| member.status()),
        );
        at.is_some_and(|at| {
            at.role == Role::Learner
                && Some(at.applied) == led.map(|led| led.applied)
                && at.applied > 60
        })
    });
    change(&mut world, Change::Promote { id: 4 }).expect("it has caught up");
    world.until(3_000, "the learner votes", |world| {
        world.member(4).is_some_and(|member| member.status().role == Role::Follower)
    });
    let removed = (1..=3).find(|id| *id != leader).expect("there are three");
    change(&mut world, Change::Remove { id: removed }).expect("a majority is left");
    world.until(3_000, "the member is gone", |world| world.seen.contains_key("removed"));
    world.retire();
    world.write(5);
    world.settle_and_check();
    let status = world.member(leader).expect("it leads").status();
    assert!(!status.addresses.contains_key(&removed));
    assert_eq!(status.addresses[&4], "sim:4");
    assert_eq!(status.voters.len(), 3);
}

#[test]
fn a_member_is_replaced_through_a_joint_configuration_that_ends_by_itself() {
    let mut world = World::new(6, 3);
    let leader = world.until_led();
    world.add(4, Loaded::default());
    let member = world.member(leader).expect("it leads");
    member
        .change_members(vec![Change::AddLearner { id: 4, address: "sim:4".to_owned() }])
        .expect("it is new");
    let replaced = (1..=3).find(|id| *id != leader).expect("there are three");
    world.until(5_000, "the learner may be promoted", |world| {
        let changes = vec![Change::Promote { id: 4 }, Change::Remove { id: replaced }];
        world.member(leader).expect("it leads").change_members(changes).is_ok()
    });
    world.until(5_000, "the joint configuration is left", |world| {
        let status = world.member(leader).expect("it leads").status();
        status.voters.contains(&4) && !status.voters.contains(&replaced) && !status.joint
    });
    world.retire();
    world.write(5);
    world.settle_and_check();
}

#[test]
fn leadership_goes_to_whom_it_is_handed() {
    let mut world = World::new(7, 3);
    let leader = world.until_led();
    let next = (1..=3).find(|id| *id != leader).expect("there are three");
    // It may be asked of any member.
    world.member(next).expect("it runs").transfer_leadership(next).expect("it votes");
    world.until(20 * TICK, "the other one leads", |world| world.leader() == Some(next));
    world.write(3);
    world.settle_and_check();
}

#[test]
fn a_lone_member_cut_off_does_not_disturb_the_others_when_it_comes_back() {
    for_each_seed(10, |seed| {
        let mut world = World::new(seed, 3);
        let leader = world.until_led();
        let term = world.member(leader).expect("it leads").status().term;
        let alone = (1..=3).find(|id| *id != leader).expect("there are three");
        for other in (1..=3).filter(|id| *id != alone) {
            world.cut.extend([(alone, other), (other, alone)]);
        }
        world.steps(100 * TICK);
        world.cut.clear();
        world.steps(40 * TICK);
        let status = world.member(leader).expect("it leads").status();
        assert_eq!((status.role, status.term), (Role::Leader, term));
    });
}

#[test]
fn a_leader_cut_off_steps_down_and_answers_no_read() {
    let mut world = World::new(9, 3);
    let leader = world.until_led();
    world.write(1);
    for other in (1..=3).filter(|id| *id != leader) {
        world.cut.extend([(leader, other), (other, leader)]);
    }
    let ticket = world.member(leader).expect("it runs").read().expect("it believes to lead");
    let number = world.clients.call(1, false);
    world.clients.waiting.insert((leader, ticket), number);
    world.steps(100 * TICK);
    assert_eq!(world.clients.operations[number].returned, None);
    assert_ne!(world.member(leader).expect("it runs").status().role, Role::Leader);
    world.settle_and_check();
}

#[test]
fn a_member_that_lost_acknowledged_entries_says_so_and_gets_them_again() {
    for_each_seed(10, |seed| {
        let mut world = World::new(seed, 3);
        let leader = world.until_led();
        world.write(10);
        let damaged = (1..=3).find(|id| *id != leader).expect("there are three");
        world.until(1_000, "everybody has everything", |world| {
            let status = world.member(leader).expect("it leads").status();
            status.progress.values().all(|progress| progress.matched == status.last_index)
        });
        world.crash(damaged);
        world.nodes[&damaged].disk.borrow_mut().lose_entries(4);
        world.start(damaged);
        world.until(20 * TICK, "it notices", |world| world.seen.contains_key("log lost"));
        world.settle_and_check();
    });
}
