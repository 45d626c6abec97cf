//! Who is not let in, and what they are told.

use crate::bed::{Bed, PROXY, has_group, meta, operator};
use codis_testbed::{Member, MemberOptions, Proxy, ProxyOptions, eventually};
use std::path::Path;

const PASSWORD: &str = "correct horse";

#[test]
fn an_operator_without_the_password_is_told_so() {
    let bed = Bed::start_with_password(1, PASSWORD);
    let members = bed.group.addresses();
    for wrong in [operator(&members), operator(&members).with_auth("wrong")] {
        let said = wrong.refused("group create --gid 7");
        assert!(said.contains("auth"), "{said}");
        assert!(!said.contains(PASSWORD), "the password is shown: {said}");
    }
    assert!(!has_group(&bed.admin, 7));
}

#[test]
fn a_proxy_with_the_wrong_password_is_refused_and_says_why() {
    let bed = Bed::start_with_password(1, PASSWORD);
    let options = bed.proxy_options().set("product_auth = \"wrong\"");
    is_refused(&bed, &options, "product_auth");
}

#[test]
fn a_proxy_of_another_product_is_refused_and_says_why() {
    let bed = Bed::start(1);
    let options = ProxyOptions { product: "another".to_owned(), ..bed.proxy_options() };
    is_refused(&bed, &options, "another");
}

fn is_refused(bed: &Bed, options: &ProxyOptions, why: &str) {
    let proxy = Proxy::launch(options);
    eventually("the proxy says why", || proxy.process().printed().contains(why));
    let list = bed.admin.run("proxy list");
    assert!(!list.contains(&proxy.address()), "{list}");
}

#[test]
fn a_member_of_another_product_joins_no_group() {
    let group = codis_testbed::MemberGroup::start(MemberOptions::founders(&meta(), 3));
    let admin = operator(&group.addresses());
    let before = admin.run("meta status");
    let mut stranger = MemberOptions::alone(&meta());
    stranger.product = "another".to_owned();
    stranger.members = group.members[0].options().members.clone();
    stranger.members.push(format!("4@{}", stranger.address));
    let address = stranger.address.clone();
    let mut stranger = Member::launch(stranger);
    let refused = || {
        stranger.process_mut().ended().is_some_and(|status| !status.success())
            || stranger.process().printed().contains("test")
    };
    eventually("it says that it belongs to another product", refused);
    let after = admin.run("meta status");
    assert!(!after.contains(&address), "before:\n{before}\nafter:\n{after}");
}

#[test]
fn the_proxys_command_line_needs_no_group() {
    let redis = codis_testbed::Redis::start();
    let proxy = Proxy::start(&ProxyOptions::over(Path::new(PROXY), &[redis.address()]));
    assert_eq!(proxy.client().run("SET a b"), codis_testbed::Value::ok());
}
