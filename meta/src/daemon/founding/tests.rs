use super::*;

/// Member 1 of three that would found a group.
fn founders() -> Founders {
    let members = [(1, "a:1"), (2, "b:1"), (3, "c:1")].map(|(id, at)| (id, at.to_owned()));
    Founders::new("demo", (1, "a:1".to_owned()), members.into())
}

/// What member `id` says before it has begun.
fn waiting(id: u64) -> HelloReply {
    let (product, group) = ("demo".to_owned(), founders().group);
    HelloReply { id, product, group, ..HelloReply::default() }
}

/// What member `id` says when it has begun with this member in its group, and cannot ask the group.
fn begun(id: u64) -> HelloReply {
    HelloReply { begun: true, is_member: true, ..waiting(id) }
}

fn verdict(second: Option<HelloReply>, third: Option<HelloReply>) -> Verdict {
    let refused = || "connection refused".to_owned();
    let answers = [(2, second.ok_or_else(refused)), (3, third.ok_or_else(refused))];
    decide(&founders(), &answers.into())
}

const FOUND: Verdict = Verdict::Begin(Beginning::Found);

#[track_caller]
fn assert_waits(verdict: Verdict, why: &str) {
    match verdict {
        Verdict::Wait(waits) => assert!(waits.iter().any(|wait| wait.contains(why)), "{waits:?}"),
        other => panic!("it does not wait: {other:?}"),
    }
}

#[test]
fn a_group_is_founded_when_all_of_the_list_are_there_to() {
    assert_eq!(verdict(Some(waiting(2)), Some(waiting(3))), FOUND);
    assert_waits(verdict(Some(waiting(2)), None), "member 3 at c:1 does not answer");
}

#[test]
fn one_that_was_slower_than_the_others_founds_with_them() {
    assert_eq!(verdict(Some(begun(2)), Some(waiting(3))), FOUND);
    assert_eq!(verdict(Some(begun(2)), Some(begun(3))), FOUND);
}

#[test]
fn a_member_that_cannot_ask_its_group_is_not_believed_alone() {
    // The one that does not answer may know that this member had a log.
    assert_waits(verdict(Some(begun(2)), None), "member 3 at c:1 does not answer");
    let asked = HelloReply { fresh: true, ..begun(2) };
    assert_eq!(verdict(Some(asked), None), FOUND);
}

#[test]
fn a_member_that_had_a_log_is_refused_whatever_the_others_say() {
    let knows = HelloReply { knows_you: true, ..begun(3) };
    let fresh = HelloReply { fresh: true, ..begun(2) };
    for second in [None, Some(waiting(2)), Some(fresh)] {
        let Verdict::Refuse(reason) = verdict(second, Some(knows.clone())) else {
            panic!("it is not refused")
        };
        assert!(reason.contains("codis-admin meta remove --id 1"), "{reason}");
    }
}

#[test]
fn a_group_of_another_list_is_joined_once_it_can_speak_for_itself() {
    let other = HelloReply { group: 99, is_member: false, ..begun(2) };
    assert_waits(verdict(Some(other.clone()), Some(waiting(3))), "has no leader");
    let fresh = HelloReply { fresh: true, ..other };
    let join = |is_member| Verdict::Begin(Beginning::Join { group: 99, is_member });
    assert_eq!(verdict(Some(fresh.clone()), None), join(false));
    assert_eq!(verdict(Some(HelloReply { is_member: true, ..fresh }), None), join(true));
}

#[test]
fn a_member_that_was_removed_before_it_ever_began_joins_and_does_not_found() {
    let removed = HelloReply { is_member: false, fresh: true, ..begun(2) };
    let group = founders().group;
    let join = Verdict::Begin(Beginning::Join { group, is_member: false });
    assert_eq!(verdict(Some(removed.clone()), None), join);
    let stale = HelloReply { fresh: false, ..removed };
    assert_waits(verdict(Some(stale), Some(waiting(3))), "has no leader");
}

#[test]
fn members_of_two_groups_in_one_list_are_an_error_to_correct() {
    let (one, other) =
        (HelloReply { fresh: true, ..begun(2) }, HelloReply { group: 9, ..begun(3) });
    assert_waits(verdict(Some(one), Some(other)), "more than one group");
}

#[test]
fn configurations_that_differ_are_named() {
    let product = |reply| HelloReply { product: "other".to_owned(), ..reply };
    assert_waits(verdict(Some(product(waiting(2))), Some(waiting(3))), "product \"other\"");
    assert_waits(verdict(Some(waiting(9)), Some(waiting(3))), "says that it is member 9");
    let list = HelloReply { group: 9, ..waiting(2) };
    assert_waits(verdict(Some(list), Some(waiting(3))), "another list of members");
    assert!(matches!(verdict(Some(product(begun(2))), None), Verdict::Refuse(_)));
}

#[test]
fn the_groups_id_follows_from_product_and_list_alone() {
    let same = founders();
    assert_eq!(Founders { me: 2, ..same.clone() }.group, founders().group);
    let other = |product: &str, members: &[(u64, &str)]| {
        let members = members.iter().map(|(id, at)| (*id, (*at).to_owned())).collect();
        Founders::new(product, (1, "a:1".to_owned()), members).group
    };
    let list = [(1, "a:1"), (2, "b:1"), (3, "c:1")];
    assert_eq!(other("demo", &list), same.group);
    assert_ne!(other("demo2", &list), same.group);
    assert_ne!(other("demo", &list[..2]), same.group);
    assert_ne!(other("demo", &[(1, "a:1"), (2, "c:1"), (3, "b:1")]), same.group);
}

#[test]
fn two_members_alone_found_two_groups() {
    let alone = || Founders::new("demo", (1, "a:1".to_owned()), BTreeMap::new());
    assert_ne!(alone().group, alone().group);
    assert_eq!(alone().members.len(), 1);
}
