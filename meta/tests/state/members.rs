use crate::changes::*;
use crate::cluster::Cluster;
use codis_meta::state::limits::MEMBERS_SEEN_MAX;
use codis_proto::meta::v1 as pb;
use pb::RefusalCode as Code;
use pb::command::Change;

#[test]
fn a_member_that_has_begun_is_remembered_and_no_proxy_sees_it() {
    let mut cluster = Cluster::with_groups(1);
    let epoch = cluster.state.epoch();
    assert_eq!(cluster.ok(member(3)), epoch);
    let version = "0.2.0".into();
    let again = pb::MemberStarted { id: 3, version, start_unix_ms: 9 };
    cluster.ok(Change::MemberStarted(again));
    let record = &cluster.state.data().members_seen[&3];
    assert_eq!((record.version.as_str(), record.start_unix_ms), ("0.2.0", 9));
    assert_eq!(cluster.state.data().members_seen.len(), 1);
}

#[test]
fn members_are_remembered_up_to_a_bound_and_known_ones_beyond_it() {
    let mut cluster = Cluster::with_groups(0);
    for id in 1..=MEMBERS_SEEN_MAX as u64 {
        cluster.ok(member(id));
    }
    cluster.refused(Code::LimitReached, member(MEMBERS_SEEN_MAX as u64 + 1));
    cluster.ok(member(1));
}

#[test]
fn a_product_is_created_with_its_first_settings_or_not_at_all() {
    let mut cluster = Cluster::bare();
    let create = |value: &str| {
        let settings = [("sentinel_quorum".to_owned(), value.to_owned())].into();
        Change::ProductCreate(pb::ProductCreate { name: "demo".into(), cluster: 5, settings })
    };
    cluster.refused(Code::SettingInvalid, create("x"));
    assert_eq!(cluster.state.data().product, "");
    cluster.ok(create("3"));
    assert_eq!(cluster.state.data().settings["sentinel_quorum"], "3");
    cluster.ok(set(&[("sentinel_quorum", "4")]));
    cluster.ok(create("3"));
    assert_eq!(cluster.state.data().settings["sentinel_quorum"], "4", "a retry sets nothing");
}

#[test]
fn a_member_has_an_id_and_a_version_that_can_be_shown() {
    let mut cluster = Cluster::with_groups(0);
    cluster.refused(Code::Malformed, member(0));
    let version = "0.1\n".into();
    let change = pb::MemberStarted { id: 1, version, start_unix_ms: 1 };
    cluster.refused(Code::InvalidValue, Change::MemberStarted(change));
}
