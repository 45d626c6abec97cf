//! The members of a group that has no leader.

use codis_testbed::free_port;

use crate::at;
use crate::fake::Fake;

#[test]
fn without_a_leader_the_members_that_answer_are_shown_and_the_command_fails() {
    let fake = Fake::default();
    let served = fake.serve();
    fake.held().members.insert(1, "10.0.0.1:18080".into());
    fake.held().without_leader = true;
    let addresses = format!("127.0.0.1:{},{}", free_port(), served.address);
    let ended = at(&addresses, "--timeout=0.3 meta status");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stdout.contains("no member leads"), "{ended:?}");
    assert!(ended.stdout.contains("10.0.0.1:18080"), "{ended:?}");
    assert!(ended.stderr.contains("the group has no leader"), "{ended:?}");
    let ended = at(&addresses, "--timeout=0.3 --json meta status");
    assert_eq!((ended.code, &ended.json()["leader"]), (Some(1), &0.into()), "{ended:?}");
}

#[test]
fn where_no_member_answers_none_is_shown() {
    at(&format!("127.0.0.1:{}", free_port()), "--timeout=0.2 meta status").failed();
}
